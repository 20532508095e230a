//! `OpenRDMS_Desktop`: the desktops of the collections, and who is in them.

use crate::error::fault;
use crate::provider::{Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{CollectionAlias, Desktop, DesktopName};
use openrdms_cim::{CimError, Class, Instance, Listing, Value};
use openrdms_engine::EngineError;
use std::fmt::Write as _;

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
        let mut instances = Vec::with_capacity(page.rows.len());
        for desktop in &page.rows {
            instances.push(instance(cx, query.class, desktop).await?);
        }
        Ok(Listing { instances, next: page.next.map(String::from) })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let not_found = || fault(EngineError::NotFound("desktop"));
        let name = wanted.path.key("Name").and_then(Value::as_str).unwrap_or_default();
        let name = DesktopName::new(name).map_err(|_| not_found())?;
        let desktop = cx.engine.store().desktop(&name).await.map_err(fault)?.ok_or_else(not_found)?;
        instance(cx, wanted.class, &desktop).await
    }
}

async fn instance(cx: &Context, class: &Class, desktop: &Desktop) -> Result<Instance, CimError> {
    let session = cx.engine.store().session_in_desktop(&desktop.name).await.map_err(fault)?;
    let pin = desktop.certificate_sha256.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    Ok(Instance::of(class)
        .with("Name", desktop.name.as_str())
        .with("CollectionAlias", desktop.collection.as_str())
        .with("HostName", desktop.host.as_str())
        .with("Running", desktop.handle.is_some())
        .with("UserName", session.map(|s| s.user.to_string()))
        .with("CertificateSha256", pin))
}
