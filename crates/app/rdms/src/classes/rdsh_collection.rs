//! `Win32_RDSHCollection`: the collections once more, as Windows Server's management of session hosts knows them.
//!
//! `Type` counts otherwise than `Win32_RDMSVirtualDesktopCollection.Type`, has no 1, and calls 2 and 3 reserved. Entries
//! for `KeyValue…` are apart from the settings of `Get…Property` and `Set…Property`: a script that guards something by an
//! entry does not meet another's setting of that name.

use super::settings;
use super::virtual_desktop_collection::property;
use crate::classes::collection::{alias, find};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, CollectionKind, SettingOwner, SettingValue,
};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct RdshCollection;

/// Longest text for people, in characters.
const LONGEST_TEXT: usize = 4096;

#[async_trait::async_trait]
impl Provider for RdshCollection {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDSHCollection")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let collections = cx.engine.store().collections().await.map_err(fault)?;
        let instances = collections.iter().map(|collection| instance(query.class, collection)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &find(cx, wanted.path).await?))
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let alias = call.params.required_string("Alias")?;
        call.audit.target = alias.to_owned();
        let alias = CollectionAlias::new(alias).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let kind = call.params.uint32("Type")?.map(kind_of).transpose()?.unwrap_or_default();
        let empty = Collection { kind, ..Collection::new(alias.clone(), cx.engine.now()) };
        cx.engine.create_collection(change(call.params)?.of(empty)).await?;
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1).with_key("Alias", alias.as_str()))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        alias(call.path).clone_into(&mut call.audit.target);
        if !call.params.get("Type").is_null() {
            let text = "the Type of a collection stays what it was made with";
            return Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text).into());
        }
        Ok(cx.engine.change_collection(alias(call.path), change(call.params)?).await?)
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        alias(call.path).clone_into(&mut call.audit.target);
        Ok(cx.engine.delete_collection(alias(call.path)).await?)
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let collection = find(cx, call.path).await?;
        call.audit.target = collection.alias.to_string();
        let entries = SettingOwner::Entries(collection.alias.clone());
        match call.method {
            "KeyValueGet" => {
                let name = settings::name(call)?;
                match settings::find(cx, &entries, &name).await? {
                    SettingValue::Text(text) => call.answer("Value", text),
                    SettingValue::Int(_) | SettingValue::List(_) => {
                        return Err(settings::other_type(&name, "a text"));
                    }
                }
                Ok(())
            }
            "KeyValueDelete" => {
                let name = settings::name(call)?;
                settings::find(cx, &entries, &name).await?;
                Ok(cx.engine.store().remove_setting(&entries, &name).await?)
            }
            "KeyValueCompareAndSet" => compare_and_set(cx, call, &entries).await,
            _ => property(cx, call, &collection).await,
        }
    }
}

/// Sets an entry that is the expected one, or is not there; tells what was there in any case.
async fn compare_and_set(
    cx: &Context,
    call: &mut Call<'_>,
    entries: &SettingOwner,
) -> Result<(), MethodError> {
    let name = settings::name(call)?;
    let new = settings::text(call, "NewValue")?;
    // whoever expects that there is nothing has nothing to compare with
    let expected = call.params.string("Comparand")?;
    settings::room(cx, entries, &name).await?;
    let compared = cx.engine.store().compare_and_set(entries, &name, expected, &new).await?;
    call.answer("InitialValue", compared.before);
    if compared.set {
        return Ok(());
    }
    let text = format!("entry '{name}' is not what it was expected to be: nothing was changed");
    Err(MethodError::said(WmiCode::WBEM_E_INVALID_OBJECT, text))
}

fn change(properties: &Params) -> Result<CollectionChange, CimError> {
    let text = |name: &str| match properties.string(name)? {
        Some(text) if text.chars().nth(LONGEST_TEXT).is_some() => {
            Err(invalid(format!("{name} has {LONGEST_TEXT} characters at most")))
        }
        text => Ok(text.map(str::to_owned)),
    };
    let described = properties.0.iter().any(|(name, _)| name.eq_ignore_ascii_case("Description"));
    Ok(CollectionChange {
        display_name: text("Name")?,
        // null clears it
        description: text("Description")?.or_else(|| described.then(String::new)),
        ..CollectionChange::default()
    })
}

fn kind_of(number: u32) -> Result<CollectionKind, CimError> {
    match number {
        0 => Ok(CollectionKind::Pooled),
        4 => Ok(CollectionKind::ManualPersonal),
        5 => Ok(CollectionKind::AutomaticPersonal),
        _ => {
            let rule = format!(
                "Type is 0 (regular), 4 or 5 (personal, assigned by hand or by itself), not {number}"
            );
            Err(invalid(rule))
        }
    }
}

fn instance(class: &Class, collection: &Collection) -> Instance {
    let kind: u32 = match collection.kind {
        CollectionKind::Pooled => 0,
        CollectionKind::ManualPersonal => 4,
        CollectionKind::AutomaticPersonal => 5,
    };
    Instance::of(class)
        .with("Alias", collection.alias.as_str())
        .with("Name", collection.display_name.as_str())
        .with("Description", collection.description.as_deref())
        .with("Type", kind)
}

fn invalid(message: String) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
}
