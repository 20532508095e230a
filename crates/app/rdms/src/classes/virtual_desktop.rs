//! `Win32_RDMSVirtualDesktop`: the desktops, whose they are, and whether they run.

use crate::classes::desktop::{Known, find};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::{CollectionAlias, DesktopName, UserName};
use openrdms_cim::{CimError, Class, Instance, Listing, Value, WmiCode};
use openrdms_engine::{EngineError, Power, PowerState};

pub(crate) struct VirtualDesktop;

#[async_trait::async_trait]
impl Provider for VirtualDesktop {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSVirtualDesktop")
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
        match call.method {
            "GetVirtualDesktopAssignedToUser" => return assigned_to(cx, call).await,
            "RemoveUserAssignment" => return remove_assignment(cx, call).await,
            _ => {}
        }
        let desktop = find(cx, call.path).await?;
        call.audit.target = desktop.name.to_string();
        match call.method {
            "GetUserAssignment" => {
                let owner = cx.engine.store().assignment(&desktop.name).await?.map(|found| found.user);
                call.answer("UserName", owner.as_ref().map(UserName::name));
                call.answer("UserDomain", owner.as_ref().map(UserName::domain));
                Ok(())
            }
            "SetUserAssignment" => {
                let user = user(call)?;
                Ok(cx.engine.assign(&desktop.name, &user).await?)
            }
            // what a local desktop has is the machine's, and no desktop's own
            "GetVirtualDesktopDetails" => {
                call.answer("RAMSizeInMB", Value::Null);
                call.answer("RemoteFXEnabled", false);
                call.answer("OSVersion", Value::Null);
                Ok(())
            }
            "GetVirtualDesktopState" => {
                let session = cx.engine.store().session_in_desktop(&desktop.name).await?;
                let state = cx.engine.power(&desktop, session.as_ref()).await?;
                call.answer("VMState", vm_state(state));
                Ok(())
            }
            "SetVirtualDesktopState" => {
                let wanted = call.params.required_uint32("VMState")?;
                call.audit.detail = format!("VMState {wanted}");
                Ok(cx.engine.set_power(&desktop.name, wanted_power(wanted)?, &call.expected).await?)
            }
            _ => Err(no_method(call)),
        }
    }
}

async fn assigned_to(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let alias = call.params.required_string("CollectionAlias")?;
    let none = |what| MethodError { error: fault(EngineError::NotFound(what)), fault: false };
    let alias = CollectionAlias::new(alias).map_err(|_| none("collection"))?;
    let user = user(call)?;
    let found = cx.engine.store().assignment_of_user(&alias, &user).await?;
    let found = found.ok_or_else(|| none("desktop of this user in the collection"))?;
    call.audit.target = found.desktop.to_string();
    call.answer("VMName", found.desktop.as_str());
    Ok(())
}

async fn remove_assignment(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let name = call.params.required_string("VMName")?;
    call.audit.target = name.to_owned();
    let gone = |error: EngineError| MethodError { fault: false, ..MethodError::from(error) };
    let name = DesktopName::new(name).map_err(|_| gone(EngineError::NotFound("desktop")))?;
    cx.engine.unassign(&name, None).await.map_err(gone)
}

/// The user that the parameters name, for the audit trail too.
fn user(call: &mut Call<'_>) -> Result<UserName, MethodError> {
    let (domain, name) =
        (call.params.required_string("UserDomain")?, call.params.required_string("UserName")?);
    let user = UserName::new(domain, name).map_err(|error| EngineError::Invalid(error.to_string()))?;
    call.audit.subject = user.to_string();
    Ok(user)
}

fn vm_state(state: PowerState) -> u32 {
    match state {
        PowerState::Unknown => 0,
        PowerState::On => 2,
        PowerState::Off => 3,
        PowerState::Paused => 32768,
        PowerState::Starting => 32770,
        PowerState::Stopping => 32774,
    }
}

/// What may be asked for. Suspending is something else than pausing: the memory would be on the disk.
fn wanted_power(vm_state: u32) -> Result<Power, MethodError> {
    match vm_state {
        2 => Ok(Power::On),
        3 => Ok(Power::Off),
        32768 => Ok(Power::Paused),
        32769 => {
            let text = "local desktops cannot be suspended: pause them (32768)";
            Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text))
        }
        _ => {
            let text =
                format!("a desktop can be asked to be 2 (on), 3 (off) or 32768 (paused), not {vm_state}");
            Err(MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, text))
        }
    }
}

fn instance(class: &Class, known: &Known<'_>) -> Instance {
    let Known { desktop, session, owner, state, .. } = known;
    Instance::of(class)
        .with("Name", desktop.name.as_str())
        .with("HostName", desktop.host.as_str())
        .with("Status", 0u32)
        .with("CollectionAlias", desktop.collection.as_str())
        .with("SessionState", session.as_ref().map(|session| session.state.name().as_str()))
        .with("SessionUserName", session.as_ref().map(|session| session.user.to_string()))
        .with("UserName", owner.as_ref().map(UserName::name))
        .with("UserDomain", owner.as_ref().map(UserName::domain))
        .with("VMState", vm_state(*state))
}
