//! `OpenRDMS_Desktop`: the desktops of the collections, who is in them, whose they are, and whether they run.

use super::machine::hex;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::ports::StoreError;
use openrdms_broker::{CollectionAlias, Desktop, DesktopName, KnownHost, Session, UserName};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value};
use openrdms_engine::{EngineError, Power, PowerState};

pub(crate) struct OpenRdmsDesktop;

#[async_trait::async_trait]
impl Provider for OpenRdmsDesktop {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Desktop")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let collection = query.equal("CollectionAlias").and_then(|alias| CollectionAlias::new(&alias).ok());
        let after = query.after.and_then(|name| DesktopName::new(name).ok());
        let store = cx.engine.store();
        let page = store.desktops(collection.as_ref(), after, query.limit()).await.map_err(fault)?;
        let hosts = store.hosts().await.map_err(fault)?;
        let mut instances = Vec::with_capacity(page.rows.len());
        for desktop in &page.rows {
            instances.push(instance(query.class, &Known::of(cx, desktop, &hosts).await.map_err(fault)?));
        }
        Ok(Listing { instances, next: page.next.map(String::from) })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let desktop = find(cx, wanted.path).await?;
        let hosts = cx.engine.store().hosts().await.map_err(fault)?;
        Ok(instance(wanted.class, &Known::of(cx, &desktop, &hosts).await.map_err(fault)?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let desktop = find(cx, call.path).await?;
        call.audit.target = desktop.name.to_string();
        let power = match call.method {
            "Start" => Power::On,
            "Stop" => Power::Off,
            "Pause" => Power::Paused,
            "Assign" => {
                let user = cx.parse_user(call.params.required_string("UserName")?)?;
                call.audit.subject = user.to_string();
                return Ok(cx.engine.assign(&desktop.name, &user).await?);
            }
            "Unassign" => return Ok(cx.engine.unassign(&desktop.name, None).await?),
            _ => return Err(no_method(call)),
        };
        Ok(cx.engine.set_power(&desktop.name, power, &call.expected).await?)
    }
}

/// The desktop of these keys, whose class has the name as its key.
pub(crate) async fn find(cx: &Context, path: &ObjectPath) -> Result<Desktop, CimError> {
    named(cx, path.key("Name").and_then(Value::as_str).unwrap_or_default()).await
}

/// The desktop of that name.
pub(crate) async fn named(cx: &Context, name: &str) -> Result<Desktop, CimError> {
    let not_found = || fault(EngineError::NotFound("desktop"));
    let name = DesktopName::new(name).map_err(|_| not_found())?;
    cx.engine.store().desktop(&name).await.map_err(fault)?.ok_or_else(not_found)
}

/// A desktop with what other rows say of it.
pub(crate) struct Known<'a> {
    pub(crate) desktop: &'a Desktop,
    /// The live session in it.
    pub(crate) session: Option<Session>,
    pub(crate) owner: Option<UserName>,
    pub(crate) state: PowerState,
    /// The SHA-256 of the certificate that it has to show.
    pin: [u8; 32],
}

impl<'a> Known<'a> {
    pub(crate) async fn of(
        cx: &Context,
        desktop: &'a Desktop,
        hosts: &[KnownHost],
    ) -> Result<Self, StoreError> {
        let store = cx.engine.store();
        let session = store.session_in_desktop(&desktop.name).await?;
        let owner = store.assignment(&desktop.name).await?.map(|found| found.user);
        let host = hosts.iter().find(|host| host.lease.host.is(&desktop.host));
        let state = PowerState::of(desktop, session.as_ref(), host, cx.engine.now());
        Ok(Self { desktop, session, owner, state, pin: cx.engine.pinned(desktop) })
    }
}

fn state(state: PowerState) -> &'static str {
    match state {
        PowerState::Unknown => "Unknown",
        PowerState::Off => "Off",
        PowerState::Starting => "Starting",
        PowerState::On => "On",
        PowerState::Paused => "Paused",
        PowerState::Stopping => "Stopping",
    }
}

fn instance(class: &Class, known: &Known<'_>) -> Instance {
    let desktop = known.desktop;
    Instance::of(class)
        .with("Name", desktop.name.as_str())
        .with("CollectionAlias", desktop.collection.as_str())
        .with("HostName", desktop.host.as_str())
        .with("Running", desktop.handle.is_some() || known.state == PowerState::On)
        .with("State", state(known.state))
        .with("UserName", known.session.as_ref().map(|session| session.user.to_string()))
        .with("Owner", known.owner.as_ref().map(ToString::to_string))
        .with("CertificateSha256", hex(&known.pin))
}
