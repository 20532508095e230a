//! `Win32_RDSHServer`: the hosts, as Windows Server's management of session hosts knows them.
//!
//! `ServerState` is documented with five values, of which all but `TARGET_RUNNING` are said to be invalid, and yet there
//! is a method that changes it. Here it says what the host is: running while it is up and takes new sessions, stopping
//! while it is up and drained, starting once whoever starts machines was told of it, unknown while nobody vouches for it
//! otherwise. `TestAndSetState` turns running into stopping and back; no other state can be given to a host. Machines are
//! made, put into collections and removed here too. The host of a node comes by itself when the node serves it, and may
//! have desktops of every collection.

use super::machine::{self, no_machine};
use super::settings;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{
    Address, HostName, Intake, KnownHost, KnownNode, Machine, MachineStart, SettingOwner, Timestamp,
};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params, Value, WmiCode};
use openrdms_engine::{EngineError, MachineChange, NewMachine};

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
        let (mut instances, machines) = (Vec::new(), machine::all(cx).await?);
        for host in cx.engine.store().hosts().await.map_err(fault)? {
            let machine = machines.get(&machine::key(&host.lease.host)).cloned();
            instances.push(instance(cx, query.class, &Server { host, machine }, &nodes).await?);
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let server = find(cx, wanted.path).await?;
        let nodes = cx.engine.store().nodes().await.map_err(fault)?;
        instance(cx, wanted.class, &server, &nodes).await
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let name = machine::new_name(call.params)?;
        call.audit.target = name.to_string();
        check_broker(cx, call.params).await?;
        let collection = machine::collection(call.params)?;
        let address =
            Address::parse(name.as_str()).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let new = NewMachine {
            name,
            address,
            certificate_sha256: None,
            collection,
            change: MachineChange::default(),
        };
        let machine = cx.engine.add_machine(new).await?;
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1).with_key("Name", machine.name.as_str()))
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let Server { host, .. } = find(cx, call.path).await?;
        call.audit.target = host.lease.host.to_string();
        if !machine::is_machine(&host) {
            return Err(no_machine());
        }
        Ok(cx.engine.remove_machine(&host.lease.host).await?)
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let Server { host, machine } = find(cx, call.path).await?;
        call.audit.target = host.lease.host.to_string();
        let machine = machine.ok_or_else(no_machine)?;
        check_broker(cx, call.params).await?;
        if machine::says(call.params, "CollectionAlias") {
            let collection = machine::collection(call.params)?;
            call.audit.detail = collection.as_ref().map_or_else(String::new, ToString::to_string);
            cx.engine.place_machine(&machine.name, collection.as_ref()).await?;
        }
        Ok(())
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        if call.method == "GetPendingStartServerList" {
            let most = call.params.required_uint32("maxServers")?;
            let names = cx.engine.machines_to_start(most as usize).await?;
            call.audit.detail = names.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ");
            let names = names.iter().map(|name| Value::from(name.as_str())).collect();
            call.answer("ServerFQDNs", Value::Array(names));
            return Ok(());
        }
        let server = find(cx, call.path).await?;
        let host = &server.host;
        call.audit.target = host.lease.host.to_string();
        if call.method == "TestAndSetState" {
            return test_and_set(cx, call, &server).await;
        }
        let name = settings::name(call)?;
        if let Some(machine) = &server.machine
            && let Some(now) = machine::number(machine, &name)
        {
            return number(cx, call, machine, &name, now).await;
        }
        if server.machine.is_none() && call.method.starts_with("Set") && machine::is_number(&name) {
            let text = format!("{name} is a machine's: a local host serves as many as its desktops");
            return Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text));
        }
        if !name.eq_ignore_ascii_case(DRAIN_MODE) {
            return settings::invoke(cx, call, &SettingOwner::Host(host.lease.host.clone())).await;
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

/// A setting of a machine that acts on it.
async fn number(
    cx: &Context,
    call: &mut Call<'_>,
    machine: &Machine,
    name: &str,
    now: u32,
) -> Result<(), MethodError> {
    match call.method {
        "GetInt32Property" => {
            call.answer("Value", i32::try_from(now).unwrap_or(i32::MAX));
            Ok(())
        }
        "SetInt32Property" => {
            let value = call.params.required_sint32("Value")?;
            let change = machine::number_change(name, value)
                .map_err(|error| MethodError::said(error.code, error.message))?;
            cx.engine.change_machine(&machine.name, change, None).await?;
            Ok(())
        }
        _ => Err(settings::other_type(name, "a text")),
    }
}

/// Every node leads users to every machine: any of them may be named, and nothing comes of it.
async fn check_broker(cx: &Context, params: &Params) -> Result<(), MethodError> {
    let Some(broker) = params.string("ConnectionBroker")?.filter(|broker| !broker.is_empty()) else {
        return Ok(());
    };
    let nodes = cx.engine.store().nodes().await?;
    if nodes.iter().any(|node| node.lease.host.as_str().eq_ignore_ascii_case(broker)) {
        return Ok(());
    }
    let text = format!("no node of this deployment runs on '{broker}'");
    Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, text).into())
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
async fn test_and_set(cx: &Context, call: &mut Call<'_>, server: &Server) -> Result<(), MethodError> {
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
        Some(intake) => cx.engine.store().turn_intake(server.host.lease.host.as_str(), intake, now).await?,
        None => server.host.clone(),
    };
    let state = state(&before, server.machine.as_ref(), now);
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

fn state(host: &KnownHost, machine: Option<&Machine>, now: Timestamp) -> u32 {
    match (host.is_up(now), host.intake) {
        (false, _) if machine.is_some_and(|machine| matches!(machine.start, MachineStart::Told { .. })) => {
            STARTING
        }
        (false, _) => UNKNOWN,
        (true, Intake::Open) => RUNNING,
        (true, Intake::Drained) => STOPPING,
    }
}

/// A host, and what more is known of it where it is a machine.
struct Server {
    host: KnownHost,
    machine: Option<Machine>,
}

async fn find(cx: &Context, path: &ObjectPath) -> Result<Server, CimError> {
    let name = path.key("Name").and_then(Value::as_str).unwrap_or_default();
    let found = cx.engine.store().host(name).await.map_err(fault)?;
    let host = found.ok_or_else(|| fault(EngineError::NotFound("host")))?;
    let machine = cx.engine.store().document::<Machine>(host.lease.host.as_str()).await.map_err(fault)?;
    Ok(Server { host, machine: machine.map(|stored| stored.document) })
}

async fn instance(
    cx: &Context,
    class: &Class,
    server: &Server,
    nodes: &[KnownNode],
) -> Result<Instance, CimError> {
    let Server { host, machine } = server;
    let broker = nodes.iter().find(|node| node.lease.node == host.lease.node);
    let placed = match machine {
        Some(machine) => machine::placed(cx, &machine.name).await.map_err(fault)?,
        None => None,
    };
    Ok(Instance::of(class)
        .with("Name", host.lease.host.as_str())
        .with("ConnectionBroker", broker.map(|node| node.lease.host.as_str()))
        .with("CollectionAlias", placed.map(|alias| alias.to_string()))
        .with("ServerState", state(host, machine.as_ref(), cx.engine.now())))
}
