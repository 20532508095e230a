//! `Win32_VirtualDesktopSession`, as Windows Server's RDMS provider states it.
//!
//! `SessionId` is unique per host, not per desktop: the documented key leaves the desktop out.
//! `ConnectState` counts as `WTS_CONNECTSTATE_CLASS` does, which the documentation does not say.

use super::session::{act, in_scope, list};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted};
use openrdms_broker::Session;
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Principal, Value};

pub(crate) struct VirtualDesktopSession;

#[async_trait::async_trait]
impl Provider for VirtualDesktopSession {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_VirtualDesktopSession")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        list(cx, query, |_, class, session| instance(class, session)).await
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        Ok(instance(wanted.class, &find(cx, wanted.who, wanted.path).await?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        let session = find(cx, call.who, call.path).await?;
        act(cx, call, &session).await
    }
}

async fn find(cx: &Context, who: &Principal, path: &ObjectPath) -> Result<Session, CimError> {
    let host = path.key("VMHostName").and_then(Value::as_str);
    let id = path.key("SessionId").and_then(Value::as_int).and_then(|id| u32::try_from(id).ok());
    let found = match (host, id) {
        (Some(host), Some(id)) => cx.engine.store().session_by_id(host, id).await.map_err(fault)?,
        (None, _) | (_, None) => None,
    };
    in_scope(who, found)
}

pub(crate) fn instance(class: &Class, session: &Session) -> Instance {
    let client = session.client.as_ref().filter(|_| session.state.connection().is_some());
    Instance::of(class)
        .with("VMHostName", session.host.as_str())
        .with("SessionId", session.session_id)
        .with("VMName", session.desktop.as_str())
        .with("ConnectState", session.state.connect_state())
        .with("UserName", session.user.name())
        .with("DomainName", session.user.domain())
        .with("CollectionId", session.collection.as_str())
        .with("ClientMachineName", client.map(|c| c.machine.as_str()))
}
