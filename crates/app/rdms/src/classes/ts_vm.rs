//! `Win32_TSVm`: the desktops once more, as the agent of a virtualisation host knows virtual machines.
//!
//! A local desktop has no image: it is programs of its host, which has the one system. So there is nothing to export, no
//! system inside of it to tell of while it is off, and nothing there that would read settings.

use super::desktop::{Known, named};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::DesktopName;
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::PowerState;

pub(crate) struct Vm;

#[async_trait::async_trait]
impl Provider for Vm {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/terminalservices", "Win32_TSVm")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let store = cx.engine.store();
        let after = query.after.and_then(|name| DesktopName::new(name).ok());
        let page = store.desktops(None, after, query.limit()).await.map_err(fault)?;
        let hosts = store.hosts().await.map_err(fault)?;
        let mut instances = Vec::with_capacity(page.rows.len());
        for desktop in &page.rows {
            instances.push(instance(query.class, &Known::of(cx, desktop, &hosts).await.map_err(fault)?));
        }
        Ok(Listing { instances, next: page.next.map(String::from) })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let desktop = named(cx, name(wanted.path)).await?;
        let hosts = cx.engine.store().hosts().await.map_err(fault)?;
        Ok(instance(wanted.class, &Known::of(cx, &desktop, &hosts).await.map_err(fault)?))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = named(cx, name(call.path)).await?.name.to_string();
        let text = "nothing inside of a local desktop reads settings of its host's";
        Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text).into())
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = named(cx, name(call.path)).await?.name.to_string();
        let text = match call.method {
            "DumpVmInfo" => "it is for tests of another provider",
            "Export" => {
                call.audit.detail = call.params.required_string("ExportFolderPath")?.to_owned();
                "a local desktop has no image that could be exported"
            }
            "QueryOfflineInformation" => "a local desktop has no system of its own: it has its host's",
            _ => return Err(no_method(call)),
        };
        Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text))
    }
}

fn name(path: &ObjectPath) -> &str {
    path.key("VmName").and_then(Value::as_str).unwrap_or_default()
}

fn instance(class: &Class, known: &Known<'_>) -> Instance {
    let status = match known.state {
        PowerState::On | PowerState::Off | PowerState::Paused => "OK",
        PowerState::Starting => "Starting",
        PowerState::Stopping => "Stopping",
        PowerState::Unknown => "Unknown",
    };
    let name = known.desktop.name.as_str();
    Instance::of(class)
        .with("Caption", name.chars().take(64).collect::<String>())
        .with("Description", Value::Null)
        .with("InstallDate", Value::Null)
        .with("Name", name)
        .with("Status", status)
        .with("VmName", name)
        .with("EnlightmentSettings", Value::Null)
}
