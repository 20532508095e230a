//! `OpenRDMS_Setting`: every setting that scripts have written, to be listed and removed. The methods that the
//! documented classes have for settings name one at a time, and only the deployment's can be removed by them.

use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{CollectionAlias, HostName, Setting, SettingOwner, SettingValue};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value};
use openrdms_engine::EngineError;

pub(crate) struct OpenRdmsSetting;

#[async_trait::async_trait]
impl Provider for OpenRdmsSetting {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Setting")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let owners = match query.equal("Owner") {
            Some(text) => owner(&text).into_iter().collect(),
            None => all(cx).await?,
        };
        let mut instances = Vec::new();
        for owner in owners {
            let settings = cx.engine.store().settings(&owner).await.map_err(fault)?;
            instances.extend(settings.iter().map(|setting| instance(query.class, &owner, setting)));
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let (owner, name) = keys(wanted.path)?;
        let settings = cx.engine.store().settings(&owner).await.map_err(fault)?;
        let found = settings.iter().find(|setting| setting.name.to_lowercase() == name.to_lowercase());
        let setting = found.ok_or_else(|| fault(EngineError::NotFound("setting")))?;
        Ok(instance(wanted.class, &owner, setting))
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let (owner, name) = keys(call.path)?;
        call.audit.target = owner.to_string();
        name.clone_into(&mut call.audit.detail);
        // the store's own word for what is missing says nothing of settings
        if cx.engine.store().setting(&owner, name).await?.is_none() {
            return Err(fault(EngineError::NotFound("setting")).into());
        }
        Ok(cx.engine.store().remove_setting(&owner, name).await?)
    }
}

/// Everybody who may have settings.
async fn all(cx: &Context) -> Result<Vec<SettingOwner>, CimError> {
    let collections = cx.engine.store().collections().await.map_err(fault)?;
    let hosts = cx.engine.store().hosts().await.map_err(fault)?;
    let collections = collections.into_iter().map(|collection| SettingOwner::Collection(collection.alias));
    let hosts = hosts.into_iter().map(|host| SettingOwner::Host(host.lease.host));
    Ok(std::iter::once(SettingOwner::Deployment).chain(collections).chain(hosts).collect())
}

/// An owner as it is written; entries for compare-and-set are no settings.
fn owner(text: &str) -> Option<SettingOwner> {
    match text.split_once(' ') {
        None => text.eq_ignore_ascii_case("deployment").then_some(SettingOwner::Deployment),
        Some((kind, alias)) if kind.eq_ignore_ascii_case("collection") => {
            CollectionAlias::new(alias).ok().map(SettingOwner::Collection)
        }
        Some((kind, name)) if kind.eq_ignore_ascii_case("host") => {
            HostName::new(name).ok().map(SettingOwner::Host)
        }
        Some(_) => None,
    }
}

fn keys(path: &ObjectPath) -> Result<(SettingOwner, &str), CimError> {
    let key = |name: &str| path.key(name).and_then(Value::as_str).unwrap_or_default();
    let owner = owner(key("Owner")).ok_or_else(|| fault(EngineError::NotFound("setting")))?;
    Ok((owner, key("Name")))
}

fn instance(class: &Class, owner: &SettingOwner, setting: &Setting) -> Instance {
    let row = Instance::of(class).with("Owner", owner.to_string()).with("Name", setting.name.as_str());
    match &setting.value {
        SettingValue::Int(number) => row.with("Kind", "Number").with("Number", Value::Sint32(*number)),
        SettingValue::Text(text) => row.with("Kind", "Text").with("Text", text.as_str()),
        SettingValue::List(list) => {
            let items = list.iter().map(|item| Value::from(item.as_str())).collect();
            row.with("Kind", "List").with("List", Value::Array(items))
        }
    }
}
