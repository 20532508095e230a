//! `Win32_SessionDirectoryVirtualDesktopServer`: the hosts that have a desktop for each user; and
//! `Win32_TSVirtualDesktopServerSettings`, what holds for the one of the node that answers. Nothing of either is written.

use super::joined_node::MACHINES;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::KnownHost;
use openrdms_cim::{CimError, Class, Instance, Listing, Value, WmiCode};
use openrdms_engine::{EngineError, PREPARED_AT_ONCE};

pub(crate) struct Server;
pub(crate) struct Settings;

const NAMESPACE: &str = "root/cimv2/terminalservices";
/// `PolicySourceSessionBrokerName` where no policy of a domain says it.
const HERE: i32 = 0;

#[async_trait::async_trait]
impl Provider for Server {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionDirectoryVirtualDesktopServer")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let hosts = cx.engine.store().hosts().await.map_err(fault)?;
        let instances = hosts.iter().filter(|host| is_one(host)).map(|host| server(query.class, host));
        Ok(Listing { instances: instances.collect(), next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let name = wanted.path.key("Name").and_then(Value::as_str).unwrap_or_default();
        let host = cx.engine.store().host(name).await.map_err(fault)?.filter(is_one);
        let host = host.ok_or_else(|| fault(EngineError::NotFound("host with desktops of a user each")))?;
        Ok(server(wanted.class, &host))
    }
}

#[async_trait::async_trait]
impl Provider for Settings {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_TSVirtualDesktopServerSettings")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        Ok(Listing { instances: vec![settings(cx, query.class)], next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(settings(cx, wanted.class))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = cx.engine.host().name().to_string();
        let text = "a host belongs to the node that serves it, which makes as many desktops at once as it always does";
        Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text).into())
    }
}

/// As `IsRdvh` of `Win32_RDMSJoinedNode` says.
fn is_one(host: &KnownHost) -> bool {
    host.lease.kind != MACHINES
}

fn server(class: &Class, host: &KnownHost) -> Instance {
    Instance::of(class).with("Name", host.lease.host.as_str())
}

fn settings(cx: &Context, class: &Class) -> Instance {
    Instance::of(class)
        .with("SessionBrokerName", cx.engine.host().name().as_str())
        .with("PolicySourceSessionBrokerName", HERE)
        .with("Concurrency", u32::try_from(PREPARED_AT_ONCE).unwrap_or(u32::MAX))
}
