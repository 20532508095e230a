//! `Win32_RDSHServer`: the hosts, as Windows Server's management of session hosts knows them.
//!
//! `ServerState` is documented with five values, of which all but `TARGET_RUNNING` are said to be invalid, and yet there
//! is a method that changes it. Here it says what the host is: running while it is up and takes new sessions, stopping
//! while it is up and drained, unknown while nobody vouches for it. `TestAndSetState` turns the one into the other and
//! back; no other state can be given to a host. Hosts come by themselves when a node serves them, so none waits to be
//! started, and every collection may have desktops on every host.

use super::settings;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{Intake, KnownHost, KnownNode, SettingOwner, Timestamp};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct RdshServer;

const UNKNOWN: u32 = 1;
const RUNNING: u32 = 3;
const INVALID: u32 = 8;
const STARTING: u32 = 9;
const STOPPING: u32 = 10;

/// The setting that says whether a host takes new sessions, and its values; 1 would mean until the host restarts.
const DRAIN_MODE: &str = "DrainMode";
const OPEN: i32 = 0;
const UNTIL_RESTART: i32 = 1;
const DRAINED: i32 = 2;

#[async_trait::async_trait]
impl Provider for RdshServer {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDSHServer")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let nodes = cx.engine.store().nodes().await.map_err(fault)?;
        let (hosts, now) = (cx.engine.store().hosts().await.map_err(fault)?, cx.engine.now());
        let instances = hosts.iter().map(|host| instance(query.class, host, &nodes, now)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let host = find(cx, wanted.path).await?;
        let nodes = cx.engine.store().nodes().await.map_err(fault)?;
        Ok(instance(wanted.class, &host, &nodes, cx.engine.now()))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = find(cx, call.path).await?.lease.host.to_string();
        let text = "a host belongs to the node that serves it, and may have desktops of every collection";
        Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text).into())
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        if call.method == "GetPendingStartServerList" {
            call.params.required_uint32("maxServers")?;
            call.answer("ServerFQDNs", Value::Array(Vec::new()));
            return Ok(());
        }
        let host = find(cx, call.path).await?;
        call.audit.target = host.lease.host.to_string();
        if call.method == "TestAndSetState" {
            return test_and_set(cx, call, &host).await;
        }
        let name = settings::name(call)?;
        if !name.eq_ignore_ascii_case(DRAIN_MODE) {
            return settings::invoke(cx, call, &SettingOwner::Host(host.lease.host)).await;
        }
        match call.method {
            "GetInt32Property" => {
                let mode = if host.intake == Intake::Open { OPEN } else { DRAINED };
                call.answer("Value", mode);
                Ok(())
            }
            "SetInt32Property" => {
                let intake = drain_mode(call.params.required_sint32("Value")?)?;
                call.audit.detail = format!("{intake:?}");
                cx.engine.set_intake(host.lease.host.as_str(), intake).await?;
                Ok(())
            }
            _ => Err(settings::other_type(DRAIN_MODE, "a text")),
        }
    }
}

fn drain_mode(mode: i32) -> Result<Intake, MethodError> {
    match mode {
        OPEN => Ok(Intake::Open),
        DRAINED => Ok(Intake::Drained),
        UNTIL_RESTART => {
            let text =
                "a drained host stays so through restarts: say 2, and 0 when it is to take sessions again";
            Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text))
        }
        other => {
            let text =
                format!("{DRAIN_MODE} is {OPEN} (takes new sessions) or {DRAINED} (takes none), not {other}");
            Err(MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, text))
        }
    }
}

/// Drains a host that is running, or opens one that is stopping, in one step; tells what it was in any case.
async fn test_and_set(cx: &Context, call: &mut Call<'_>, host: &KnownHost) -> Result<(), MethodError> {
    let comparand = known(call, "Comparand")?;
    let new = known(call, "NewState")?;
    call.audit.detail = format!("{comparand} to {new}");
    let now = cx.engine.now();
    let turned = match (comparand, new) {
        (RUNNING, STOPPING) => Some(Intake::Drained),
        (STOPPING, RUNNING) => Some(Intake::Open),
        _ => None,
    };
    let before = match turned {
        Some(intake) => cx.engine.store().turn_intake(host.lease.host.as_str(), intake, now).await?,
        None => host.clone(),
    };
    let state = state(&before, now);
    call.answer("InitState", state);
    if state != comparand {
        let text = format!("the server's state is {state}, not {comparand}: nothing was changed");
        return Err(MethodError::said(WmiCode::WBEM_E_INVALID_OBJECT, text));
    }
    if turned.is_none() && new != comparand {
        let text =
            format!("only {RUNNING} (running) and {STOPPING} (stopping) can be turned into each other");
        return Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text));
    }
    Ok(())
}

/// A state that is documented.
fn known(call: &Call<'_>, parameter: &str) -> Result<u32, MethodError> {
    match call.params.required_uint32(parameter)? {
        state @ (UNKNOWN | RUNNING | INVALID | STARTING | STOPPING) => Ok(state),
        other => {
            let text = format!("{parameter} is 1, 3, 8, 9 or 10, not {other}");
            Err(MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, text))
        }
    }
}

fn state(host: &KnownHost, now: Timestamp) -> u32 {
    match (host.is_up(now), host.intake) {
        (false, _) => UNKNOWN,
        (true, Intake::Open) => RUNNING,
        (true, Intake::Drained) => STOPPING,
    }
}

async fn find(cx: &Context, path: &ObjectPath) -> Result<KnownHost, CimError> {
    let name = path.key("Name").and_then(Value::as_str).unwrap_or_default();
    let found = cx.engine.store().host(name).await.map_err(fault)?;
    found.ok_or_else(|| fault(EngineError::NotFound("host")))
}

fn instance(class: &Class, host: &KnownHost, nodes: &[KnownNode], now: Timestamp) -> Instance {
    let broker = nodes.iter().find(|node| node.lease.node == host.lease.node);
    Instance::of(class)
        .with("Name", host.lease.host.as_str())
        .with("ConnectionBroker", broker.map(|node| node.lease.host.as_str()))
        .with("CollectionAlias", Value::Null)
        .with("ServerState", state(host, now))
}
