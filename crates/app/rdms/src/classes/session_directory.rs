//! `Win32_SessionDirectorySession`, `-Server` and `-Cluster`: what Windows Server 2008's broker of connections tells,
//! told of the same sessions and hosts. Nothing of it is written.
//!
//! `ServerName` and `ServerIPAddress` are described as the broker's. Beside `SessionID` as a key, and with a farm and a
//! load, they can only be the host's. The farm of all hosts is the deployment.

use super::datetime;
use super::session::{in_scope, list};
use crate::error::fault;
use crate::provider::{Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::ports::SessionFilter;
use openrdms_broker::{KnownHost, Session, State};
use openrdms_cim::{CimError, Class, Instance, Listing, Value};
use openrdms_engine::EngineError;

pub(crate) struct DirectorySession;
pub(crate) struct DirectoryServer;
pub(crate) struct DirectoryCluster;

const NAMESPACE: &str = "root/cimv2";
/// `TSProtocol` of a session that is reached by RDP.
const RDP: u32 = 2;
/// `SingleSessionMode` where a user has one session of a collection.
const ON: u32 = 1;

#[async_trait::async_trait]
impl Provider for DirectorySession {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionDirectorySession")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        list(cx, query, |_, class, session| session_instance(class, session)).await
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        let host = wanted.path.key("ServerName").and_then(Value::as_str);
        let id = wanted.path.key("SessionID").and_then(Value::as_int).and_then(|id| u32::try_from(id).ok());
        let found = match (host, id) {
            (Some(host), Some(id)) => cx.engine.store().session_by_id(host, id).await.map_err(fault)?,
            (None, _) | (_, None) => None,
        };
        Ok(session_instance(wanted.class, &in_scope(wanted.who, found)?))
    }
}

#[async_trait::async_trait]
impl Provider for DirectoryServer {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionDirectoryServer")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let mut instances = Vec::new();
        for host in cx.engine.store().hosts().await.map_err(fault)? {
            instances.push(server_instance(cx, query.class, &host).await?);
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let name = wanted.path.key("ServerName").and_then(Value::as_str).unwrap_or_default();
        let host = cx.engine.store().host(name).await.map_err(fault)?;
        let host = host.ok_or_else(|| fault(EngineError::NotFound("host")))?;
        server_instance(cx, wanted.class, &host).await
    }
}

#[async_trait::async_trait]
impl Provider for DirectoryCluster {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionDirectoryCluster")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        Ok(Listing { instances: vec![cluster_instance(cx, query.class).await?], next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let name = wanted.path.key("ClusterName").and_then(Value::as_str).unwrap_or_default();
        if name.to_lowercase() != cx.deployment.to_lowercase() {
            return Err(fault(EngineError::NotFound("farm")));
        }
        cluster_instance(cx, wanted.class).await
    }
}

fn session_instance(class: &Class, session: &Session) -> Instance {
    let attached = session.state.connection().is_some();
    let client = session.client.as_ref().filter(|_| attached);
    let disconnected = match &session.state {
        State::Disconnected { since, .. } => Some(datetime(*since)),
        State::Starting { .. }
        | State::Active { .. }
        | State::LoggingOff { .. }
        | State::Lost { .. }
        | State::Ended { .. } => None,
    };
    Instance::of(class)
        .with("ServerName", session.host.as_str())
        .with("SessionID", session.session_id)
        .with("UserName", session.user.name())
        .with("DomainName", session.user.domain())
        .with("ServerIPAddress", Value::Null)
        .with("TSProtocol", RDP)
        .with("ApplicationType", Value::Null)
        .with("ResolutionWidth", client.map(|client| u32::from(client.width)))
        .with("ResolutionHeight", client.map(|client| u32::from(client.height)))
        .with("ColorDepth", Value::Null)
        .with("CreateTime", datetime(session.created))
        .with("DisconnectTime", disconnected)
        .with("SessionState", u32::from(!attached))
}

async fn server_instance(cx: &Context, class: &Class, host: &KnownHost) -> Result<Instance, CimError> {
    let of_host = SessionFilter { host: Some(host.lease.host.clone()), ..SessionFilter::default() };
    let sessions = cx.engine.store().count_sessions(&of_host).await.map_err(fault)?;
    Ok(Instance::of(class)
        .with("ServerName", host.lease.host.as_str())
        .with("ServerIPAddress", Value::Null)
        .with("ClusterName", cx.deployment.as_str())
        .with("NumberOfSessions", sessions)
        .with("SingleSessionMode", ON)
        .with("ServerWeight", Value::Null)
        .with("NumPendRedir", 0_u32)
        .with("LoadIndicator", sessions))
}

async fn cluster_instance(cx: &Context, class: &Class) -> Result<Instance, CimError> {
    let hosts = cx.engine.store().hosts().await.map_err(fault)?.len();
    Ok(Instance::of(class)
        .with("ClusterName", cx.deployment.as_str())
        .with("NumberOfServers", u32::try_from(hosts).unwrap_or(u32::MAX))
        .with("SingleSessionMode", ON))
}
