//! `Win32_RDMSJoinedNode`: the servers of the deployment, by their names.
//!
//! A server is one that a node runs on, whose desktops some node runs, or that `Join` has named before it was ever
//! heard. The documentation has roles, certificates and `OSVersion` writable; what a server is comes from what runs
//! there, so `OSVersion` alone is written, and nothing but its text comes of it. `Unjoin` of a server that is heard again
//! later is undone by that: what runs belongs to the deployment.

use super::published::text;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::document::{JoinedNode, Stored};
use openrdms_broker::ports::{SessionFilter, StoreError};
use openrdms_broker::sddl::Sid;
use openrdms_broker::{HostName, KnownHost, Timestamp};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::EngineError;
use std::collections::BTreeMap;

pub(crate) struct Node;

/// Roles of `GetJoinedNodeCount`.
const BROKER: u32 = 1;
const SESSIONS: u32 = 2;
const DESKTOPS: u32 = 4;
/// The kind of hosts whose sessions share a system.
pub(super) const MACHINES: &str = "machines";
/// Longest version of an operating system.
const LONGEST_VERSION: usize = 64;
/// How many names that were joined are read at once, and how many there may be.
const PAGE: u32 = 500;
const MOST: usize = 5000;
/// How often a change is tried anew where somebody else is faster.
const ATTEMPTS: usize = 8;

/// What is known of a server.
struct Server {
    name: HostName,
    /// Its word is the last until this time; `None` where it was never heard.
    heard: Option<Timestamp>,
    /// A node has it as its own machine.
    broker: bool,
    /// It has desktops, or sessions, of this kind of host.
    host: Option<KnownHost>,
    /// What was said of it.
    joined: Option<Stored<JoinedNode>>,
}

#[async_trait::async_trait]
impl Provider for Node {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSJoinedNode")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let servers = servers(cx).await.map_err(fault)?;
        let instances = servers.iter().map(|server| instance(query.class, server)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &find(cx, wanted.path).await.map_err(fault)?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        match call.method {
            "GetJoinedNodeCount" => count(cx, call).await,
            "Join" => join(cx, call).await,
            "Unjoin" => unjoin(cx, call).await,
            _ => Err(no_method(call)),
        }
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let server = find(cx, call.path).await?;
        call.audit.target = server.name.to_string();
        if let Some((name, _)) =
            call.params.0.iter().find(|(name, _)| !name.eq_ignore_ascii_case("OSVersion"))
        {
            let message =
                format!("{name} comes from what runs on the server: it is not for the caller to say");
            return Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, message).into());
        }
        let version = text(call.params, "OSVersion", LONGEST_VERSION)?;
        call.audit.detail = format!("OSVersion: {}", version.as_deref().unwrap_or("none"));
        keep(cx, server, |joined| joined.os_version.clone_from(&version)).await
    }
}

impl Server {
    fn is_up(&self, now: Timestamp) -> bool {
        self.heard.is_some_and(|until| until > now)
    }

    /// Whether it was taken out, and not heard since.
    fn has_left(&self) -> bool {
        let left = self.joined.as_ref().and_then(|stored| stored.document.left);
        left.is_some_and(|left| self.heard.is_none_or(|until| until <= left))
    }

    fn roles(&self) -> u32 {
        let host = self.host.as_ref().map(|host| match host.lease.kind.as_str() {
            MACHINES => SESSIONS,
            _ => DESKTOPS,
        });
        host.unwrap_or(0) | if self.broker { BROKER } else { 0 }
    }
}

/// The servers of the deployment, by name.
async fn servers(cx: &Context) -> Result<Vec<Server>, EngineError> {
    let store = cx.engine.store();
    let mut servers = BTreeMap::new();
    for node in store.nodes().await? {
        let server = entry(&mut servers, &node.lease.host);
        server.broker = true;
        server.heard = server.heard.max(Some(node.lease.until));
    }
    for host in store.hosts().await? {
        let server = entry(&mut servers, &host.lease.host);
        server.heard = server.heard.max(Some(host.lease.until));
        server.host = Some(host);
    }
    let mut after = None;
    loop {
        let page = store.documents::<JoinedNode>("", after, PAGE).await?;
        for stored in page.rows {
            let Ok(name) = HostName::new(&stored.document.fqdn) else { continue };
            entry(&mut servers, &name).joined = Some(stored);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(servers.into_values().filter(|server| !server.has_left()).collect())
}

fn entry<'a>(servers: &'a mut BTreeMap<String, Server>, name: &HostName) -> &'a mut Server {
    let new = || Server { name: name.clone(), heard: None, broker: false, host: None, joined: None };
    servers.entry(name.as_str().to_lowercase()).or_insert_with(new)
}

async fn find(cx: &Context, path: &ObjectPath) -> Result<Server, EngineError> {
    let name = path.key("FQDN").and_then(Value::as_str).unwrap_or_default();
    let found = servers(cx).await?.into_iter().find(|server| server.name.as_str().eq_ignore_ascii_case(name));
    found.ok_or(EngineError::NotFound("server"))
}

async fn count(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let said = |text: String| MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, text);
    let roles = call.params.required_uint32("roleType")?;
    if roles & !(BROKER | SESSIONS | DESKTOPS) != 0 {
        return Err(said(format!("roleType is a sum of {BROKER}, {SESSIONS} and {DESKTOPS}, not {roles}")));
    }
    let of = |server: &&Server| roles == 0 || server.roles() & roles != 0;
    let count = servers(cx).await?.iter().filter(of).count();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    call.answer("Count", count);
    Ok(())
}

async fn join(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let said = |text: String| MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, text);
    let name =
        HostName::new(call.params.required_string("NodeFQDN")?).map_err(|error| said(error.to_string()))?;
    call.audit.target = name.to_string();
    let sid = match call.params.string("NodeSID")?.filter(|sid| !sid.is_empty()) {
        None => None,
        Some(text) => {
            let sid = Sid::parse(text).map_err(|error| said(format!("NodeSID: {error}")))?;
            Some(sid.to_string())
        }
    };
    let servers = servers(cx).await?;
    if servers.iter().any(|server| server.name.is(&name)) {
        let message = format!("{name} is part of the deployment already");
        return Err(MethodError::said(WmiCode::WBEM_E_ALREADY_EXISTS, message));
    }
    if servers.len() >= MOST {
        let message = format!("a deployment has at most {MOST} servers");
        return Err(MethodError::said(WmiCode::WBEM_E_QUOTA_VIOLATION, message));
    }
    let stored = cx.engine.store().document::<JoinedNode>(name.as_str()).await?;
    let server = Server { name, heard: None, broker: false, host: None, joined: stored };
    keep(cx, server, |joined| {
        joined.sid.clone_from(&sid);
        joined.left = None;
    })
    .await
}

/// Takes a server out that is silent, and has no session that may come back.
async fn unjoin(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let server = find(cx, call.path).await?;
    call.audit.target = server.name.to_string();
    let (store, now) = (cx.engine.store(), cx.engine.now());
    let of_host = SessionFilter { host: Some(server.name.clone()), ..SessionFilter::default() };
    if server.is_up(now) || store.count_sessions(&of_host).await? > 0 {
        let message = format!("{} is up, or has sessions that have not ended", server.name);
        return Err(MethodError::said(WmiCode::WBEM_E_INVALID_OPERATION, message));
    }
    if server.heard.is_some() {
        // what was heard of it stays in the store
        return keep(cx, server, |joined| joined.left = Some(now)).await;
    }
    match store.delete_document::<JoinedNode>(server.name.as_str()).await {
        // somebody else was faster
        Ok(()) | Err(StoreError::NotFound(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes down what was said of a server.
async fn keep(cx: &Context, server: Server, change: impl Fn(&mut JoinedNode)) -> Result<(), MethodError> {
    let (store, mut stored) = (cx.engine.store(), server.joined);
    for _ in 0..ATTEMPTS {
        let new = || JoinedNode {
            fqdn: server.name.to_string(),
            sid: None,
            os_version: None,
            joined: cx.engine.now(),
            left: None,
        };
        let mut joined = stored.as_ref().map_or_else(new, |stored| stored.document.clone());
        change(&mut joined);
        let written = match &stored {
            Some(stored) => store.update_document(&joined, stored.generation).await,
            None => store.insert_document(&joined).await,
        };
        match written {
            Err(StoreError::Stale | StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
            written => return Ok(written?),
        }
        stored = store.document::<JoinedNode>(server.name.as_str()).await?;
    }
    Err(StoreError::Stale.into())
}

fn instance(class: &Class, server: &Server) -> Instance {
    let roles = server.roles();
    let joined = server.joined.as_ref().map(|stored| &stored.document);
    Instance::of(class)
        .with("FQDN", server.name.as_str())
        .with("SID", joined.and_then(|joined| joined.sid.as_deref()))
        .with("OSVersion", joined.and_then(|joined| joined.os_version.as_deref()))
        .with("IsRdcb", roles & BROKER != 0)
        .with("IsRdg", false)
        .with("IsRdls", false)
        .with("IsRdvh", roles & DESKTOPS != 0)
        .with("IsRdwa", false)
        .with("IsRdsh", roles & SESSIONS != 0)
        .with("IsWebAccessCertificateInstalled", false)
        .with("IsGatewayCertificateInstalled", false)
        // the relay does not start without one
        .with("IsRedirectorCertificateInstalled", roles & BROKER != 0)
        .with("IsPublishingCertificateInstalled", false)
}
