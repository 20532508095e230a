//! `OpenRDMS_Host`: the machines that run desktops, whether a node vouches for them, and draining.

use super::{datetime, intake};
use crate::changes;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::ports::SessionFilter;
use openrdms_broker::{Intake, KnownHost};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value};
use openrdms_engine::EngineError;

pub(crate) struct OpenRdmsHost;

#[async_trait::async_trait]
impl Provider for OpenRdmsHost {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Host")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let mut instances = Vec::new();
        for host in cx.engine.store().hosts().await.map_err(fault)? {
            instances.push(instance(cx, query.class, &host).await?);
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let found = cx.engine.store().host(name(wanted.path)).await.map_err(fault)?;
        let host = found.ok_or_else(|| fault(EngineError::NotFound("host")))?;
        instance(cx, wanted.class, &host).await
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
        call.audit.target = name(call.path).to_owned();
        let intake = match changes::given(call.params, "Drained")?.and_then(Value::as_bool) {
            Some(true) => Intake::Drained,
            Some(false) => Intake::Open,
            None => return Ok(()),
        };
        call.audit.detail = format!("{intake:?}");
        cx.engine.set_intake(name(call.path), intake).await?;
        Ok(())
    }
}

fn name(path: &ObjectPath) -> &str {
    path.key("Name").and_then(Value::as_str).unwrap_or_default()
}

async fn instance(cx: &Context, class: &Class, host: &KnownHost) -> Result<Instance, CimError> {
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
        .with("LeaseUntil", datetime(lease.until))
        .with("Sessions", store.count_sessions(&of_host).await.map_err(fault)?)
        .with("Desktops", store.count_desktops(&lease.host).await.map_err(fault)?)
        .with("BootId", lease.boot_id.as_str())
        .with("Version", lease.version.as_str()))
}
