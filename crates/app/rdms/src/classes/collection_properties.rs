//! `Win32_RDMSCollectionProperties`: what is written down of the template of a collection, and how its desktops are
//! made.

use crate::classes::collection::find;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::Collection;
use openrdms_broker::document::{Stored, Template};
use openrdms_broker::ports::StoreError;
use openrdms_cim::{CimError, Class, Instance, Listing, Params, Value, WmiCode};

/// How long a text may be, in characters, and how many adapters there may be.
const LONGEST: usize = 1024;
const MOST_ADAPTERS: usize = 64;
/// How often a row may change under us before we give up: each time somebody else has made progress.
const MAX_STALE: usize = 32;

pub(crate) struct CollectionProperties;

#[async_trait::async_trait]
impl Provider for CollectionProperties {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSCollectionProperties")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let mut instances = Vec::new();
        for collection in cx.engine.store().collections().await.map_err(fault)? {
            let template = template(cx, &collection).await.map_err(fault)?.document;
            instances.push(instance(query.class, &collection, &template));
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let collection = find(cx, wanted.path).await?;
        let template = template(cx, &collection).await.map_err(fault)?.document;
        Ok(instance(wanted.class, &collection, &template))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let collection = find(cx, call.path).await?;
        call.audit.target = collection.alias.to_string();
        let store = cx.engine.store();
        for _ in 0..MAX_STALE {
            let Stored { generation, document } = template(cx, &collection).await?;
            let changed = changed(document, call.params)?;
            let written = match generation {
                0 => store.insert_document(&changed).await,
                _ => store.update_document(&changed, generation).await,
            };
            match written {
                // somebody else was faster
                Err(StoreError::Stale | StoreError::Conflict(_)) => {}
                done => return Ok(done?),
            }
        }
        Err(StoreError::Stale.into())
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let collection = find(cx, call.path).await?;
        call.audit.target = collection.alias.to_string();
        if call.method != "GetProvisioningProperties" {
            return Err(no_method(call));
        }
        // Local desktops have no disks: nothing of this is about images, shares or domains. No key ever comes out.
        call.out = Params::default()
            .with("NamePrefix", format!("{}-", collection.alias))
            .with("NameStartIndex", 1u32)
            .with("RunFromSMB", false)
            .with("SMBStreaming", false);
        for nothing in [
            "PoolVhdType",
            "MasterVmLocation",
            "LocalVmLocation",
            "LocalGoldVmLocation",
            "SMBLocation",
            "VmDomain",
            "VmOU",
            "ProductKey",
        ] {
            call.answer(nothing, Value::Null);
        }
        Ok(())
    }
}

/// What is written down of the collection's template; of generation 0 where that is nothing.
async fn template(cx: &Context, collection: &Collection) -> Result<Stored<Template>, StoreError> {
    let found = cx.engine.store().document::<Template>(collection.alias.as_str()).await?;
    Ok(found.unwrap_or_else(|| Stored { generation: 0, document: Template::of(collection.alias.clone()) }))
}

fn changed(template: Template, properties: &Params) -> Result<Template, CimError> {
    let mut new = template;
    for (name, value) in &properties.0 {
        let text = || -> Result<Option<String>, CimError> {
            let text = properties.string(name)?;
            if text.is_some_and(|text| text.chars().nth(LONGEST).is_some()) {
                return Err(invalid(format!("{name} has {LONGEST} characters at most")));
            }
            Ok(text.map(str::to_owned))
        };
        match name.as_str() {
            "ReferenceVirtualDesktopName" => new.name = text()?,
            "ReferenceVirtualDesktopMachineName" => new.machine_name = text()?,
            "ReferenceVirtualDesktopHost" => new.host = text()?,
            "ReferenceVirtualDesktopGuid" => new.guid = text()?,
            "ReferenceVirtualDesktopOsversion" => new.os_version = text()?,
            "ReferenceVirtualDesktopArchitecture" => new.architecture = text()?,
            "ReferenceVirtualDesktopRamsizeMB" => new.memory_mb = properties.uint32(name)?,
            "ReferenceVirtualDesktopRemoteFX" => {
                if properties.boolean(name)? == Some(true) {
                    let text = format!("{name}: no desktop here has such an adapter");
                    return Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text));
                }
            }
            "ReferenceVirtualDesktopAdapters" => new.adapters = adapters(properties, name)?,
            _ => return Err(invalid(format!("{name} cannot become {value:?}"))),
        }
    }
    Ok(new)
}

fn adapters(properties: &Params, name: &str) -> Result<Vec<String>, CimError> {
    let adapters = properties.strings(name)?.unwrap_or_default();
    if adapters.len() > MOST_ADAPTERS || adapters.iter().any(|text| text.chars().nth(LONGEST).is_some()) {
        return Err(invalid(format!("{name} has {MOST_ADAPTERS} names of {LONGEST} characters at most")));
    }
    Ok(adapters.into_iter().map(str::to_owned).collect())
}

fn invalid(message: String) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
}

fn instance(class: &Class, collection: &Collection, template: &Template) -> Instance {
    Instance::of(class)
        .with("Alias", collection.alias.as_str())
        .with("ReferenceVirtualDesktopName", template.name.as_deref())
        .with("ReferenceVirtualDesktopMachineName", template.machine_name.as_deref())
        .with("ReferenceVirtualDesktopHost", template.host.as_deref())
        .with("ReferenceVirtualDesktopGuid", template.guid.as_deref())
        .with("ReferenceVirtualDesktopOsversion", template.os_version.as_deref())
        .with("ReferenceVirtualDesktopRamsizeMB", template.memory_mb)
        .with("ReferenceVirtualDesktopArchitecture", template.architecture.as_deref())
        .with("ReferenceVirtualDesktopRemoteFX", false)
        .with(
            "ReferenceVirtualDesktopAdapters",
            template.adapters.iter().map(String::as_str).collect::<Vec<_>>(),
        )
}
