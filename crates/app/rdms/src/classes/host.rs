//! `OpenRDMS_Host`: what runs desktops, whether a node vouches for it, draining, and the machines that administrators add.

use super::machine::{self, hex, is_machine, logon_name, no_machine};
use super::{datetime, intake};
use crate::changes;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::ports::SessionFilter;
use openrdms_broker::{Address, Intake, KnownHost, Machine};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params, Value};
use openrdms_engine::{EngineError, MachineChange, NewMachine};

pub(crate) struct OpenRdmsHost;

#[async_trait::async_trait]
impl Provider for OpenRdmsHost {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Host")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let (mut instances, machines) = (Vec::new(), machine::all(cx).await?);
        for host in cx.engine.store().hosts().await.map_err(fault)? {
            let machine = machines.get(&machine::key(&host.lease.host));
            instances.push(instance(cx, query.class, &host, machine).await?);
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let host = find(cx, wanted.path).await?;
        let machine = match cx.engine.machine(&host.lease.host).await {
            Ok(machine) => Some(machine),
            Err(EngineError::NotFound(_)) => None,
            Err(error) => return Err(fault(error)),
        };
        instance(cx, wanted.class, &host, machine.as_ref()).await
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let name = machine::new_name(call.params)?;
        call.audit.target = name.to_string();
        let change = machine::change(call.params)?;
        call.audit.detail = said(call.params);
        let address = match &change.address {
            Some(address) => address.clone(),
            None => Address::parse(name.as_str()).map_err(|error| EngineError::Invalid(error.to_string()))?,
        };
        let collection = machine::collection(call.params)?;
        let certificate_sha256 = change.certificate_sha256;
        let new = NewMachine { name, address, certificate_sha256, collection, change };
        let machine = cx.engine.add_machine(new).await?;
        if call.params.boolean("Drained")? == Some(true) {
            cx.engine.set_intake(machine.name.as_str(), Intake::Drained).await?;
        }
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1).with_key("Name", machine.name.as_str()))
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let host = find(cx, call.path).await?;
        call.audit.target = host.lease.host.to_string();
        if !is_machine(&host) {
            return Err(no_machine());
        }
        Ok(cx.engine.remove_machine(&host.lease.host).await?)
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = name(call.path).to_owned();
        let intake = intake(call)?;
        cx.engine.set_intake(name(call.path), intake).await?;
        Ok(())
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let host = find(cx, call.path).await?;
        let name = &host.lease.host;
        call.audit.target = name.to_string();
        for (property, _) in &call.params.0 {
            if !property.eq_ignore_ascii_case("CollectionAlias") {
                changes::given(call.params, property)?;
            }
            if !is_machine(&host) && !property.eq_ignore_ascii_case("Drained") {
                return Err(no_machine());
            }
        }
        let change = machine::change(call.params)?;
        let collection = machine::collection(call.params)?;
        let place = machine::says(call.params, "CollectionAlias").then_some(collection.as_ref());
        let drained = call.params.boolean("Drained")?;
        call.audit.detail = said(call.params);
        if place.is_some() || change != MachineChange::default() {
            cx.engine.change_machine(name, change, place).await?;
        }
        if let Some(drained) = drained {
            let intake = if drained { Intake::Drained } else { Intake::Open };
            cx.engine.set_intake(name.as_str(), intake).await?;
        }
        Ok(())
    }
}

/// What was given, for the audit trail.
fn said(params: &Params) -> String {
    let said = params.0.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Name"));
    said.map(|(name, value)| format!("{name}: {}", value.text().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(", ")
}

async fn find(cx: &Context, path: &ObjectPath) -> Result<KnownHost, CimError> {
    let found = cx.engine.store().host(name(path)).await.map_err(fault)?;
    found.ok_or_else(|| fault(EngineError::NotFound("host")))
}

fn name(path: &ObjectPath) -> &str {
    path.key("Name").and_then(Value::as_str).unwrap_or_default()
}

async fn instance(
    cx: &Context,
    class: &Class,
    host: &KnownHost,
    machine: Option<&Machine>,
) -> Result<Instance, CimError> {
    let placed = match machine {
        Some(machine) => machine::placed(cx, &machine.name).await.map_err(fault)?,
        None => None,
    };
    let (store, lease, now) = (cx.engine.store(), &host.lease, cx.engine.now());
    let of_host = SessionFilter { host: Some(lease.host.clone()), ..SessionFilter::default() };
    let state = match (host.is_up(now), host.intake) {
        (false, _) => "Lost",
        (true, Intake::Drained) => "Drained",
        (true, Intake::Open) => "Up",
    };
    Ok(Instance::of(class)
        .with("Name", lease.host.as_str())
        .with("Kind", lease.kind.as_str())
        .with("State", state)
        .with("Drained", host.intake == Intake::Drained)
        .with("Address", machine.map(|machine| machine.address.to_string()))
        .with("CertificateSha256", machine.map(|machine| hex(&machine.certificate_sha256)))
        .with("Logon", machine.map(|machine| logon_name(machine.logon)))
        .with("SessionLimit", machine.map(|machine| machine.session_limit))
        .with("RelativeWeight", machine.map(|machine| machine.weight))
        .with("CollectionAlias", placed.map(|alias| alias.to_string()))
        .with("LeaseUntil", datetime(lease.until))
        .with("Sessions", store.count_sessions(&of_host).await.map_err(fault)?)
        .with("Desktops", store.count_desktops(&lease.host).await.map_err(fault)?)
        .with("BootId", lease.boot_id.as_str())
        .with("Version", lease.version.as_str()))
}
