//! `Win32_RDMSVirtualDesktopCollection`: collections as Windows Server's management knows them.

use crate::classes::collection::{alias, find};
use crate::classes::{jobs, settings};
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::limits::LimitsChange;
use openrdms_broker::sddl::SecurityDescriptor;
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, CollectionKind, DesktopName, LimitAction, SettingOwner,
};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params, Value, WmiCode};
use openrdms_engine::EngineError;

/// How long settings that are a text may be, in characters, and an icon in bytes: they are in every list.
const LONGEST_TEXT: usize = 16_384;
const LARGEST_ICON: usize = 12_288;

pub(crate) struct VirtualDesktopCollection;

#[async_trait::async_trait]
impl Provider for VirtualDesktopCollection {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSVirtualDesktopCollection")
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
        if call.params.uint32("Type")?.is_some() {
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
        if call.method.starts_with("Provisioning") {
            return jobs::provisioning(cx, call).await;
        }
        let collection = find(cx, call.path).await?;
        call.audit.target = collection.alias.to_string();
        match call.method {
            "AddVirtualDesktop" => {
                let name = desktop(call)?;
                Ok(cx.engine.add_desktop(collection.alias.as_str(), name).await?)
            }
            "RemoveVirtualDesktop" => {
                let name = desktop(call)?;
                let removed = cx.engine.remove_desktop(collection.alias.as_str(), &name).await;
                removed.map_err(|error| MethodError { fault: false, ..MethodError::from(error) })
            }
            "SchedulePatch" | "CancelPatch" | "GetPatchProperties" => {
                jobs::patch(cx, call, &collection).await
            }
            _ => property(cx, call, &collection).await,
        }
    }
}

fn desktop(call: &mut Call<'_>) -> Result<DesktopName, MethodError> {
    let name = call.params.required_string("VMName")?;
    call.audit.detail = name.to_owned();
    Ok(DesktopName::new(name).map_err(|error| EngineError::Invalid(error.to_string()))?)
}

/// A setting: the limits that scripts know by name are the collection's own, any other is kept as it is.
pub(super) async fn property(
    cx: &Context,
    call: &mut Call<'_>,
    collection: &Collection,
) -> Result<(), MethodError> {
    let owner = SettingOwner::Collection(collection.alias.clone());
    let name = settings::name(call)?;
    let limits = collection.limits;
    let acting = [
        ("IdleSessionLimit", milliseconds(limits.idle)),
        ("ActiveSessionLimit", milliseconds(limits.active)),
        ("DisconnectedSessionLimit", milliseconds(limits.disconnected)),
        ("BrokenConnectionAction", i32::from(limits.action == LimitAction::Logoff)),
    ];
    let Some((name, now)) = acting.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) else {
        return settings::invoke(cx, call, &owner).await;
    };
    match call.method {
        "GetInt32Property" => {
            call.answer("Value", Value::Sint32(now));
            Ok(())
        }
        "SetInt32Property" => {
            let value = call.params.required_sint32("Value")?;
            let change = limits_change(name, value)?;
            Ok(cx.engine.change_collection(collection.alias.as_str(), change).await?)
        }
        "GetStringProperty" | "SetStringProperty" => Err(settings::other_type(name, "a text")),
        _ => Err(no_method(call)),
    }
}

/// Seconds as scripts have them.
fn milliseconds(seconds: u32) -> i32 {
    i32::try_from(u64::from(seconds) * 1000).unwrap_or(i32::MAX)
}

fn limits_change(name: &str, value: i32) -> Result<LimitsChange, MethodError> {
    let (value, rule) = (u32::try_from(value).ok(), |rule| format!("{name} {rule}"));
    let (change, rule) = match name {
        "BrokenConnectionAction" => (value.and_then(action), rule("is 0 (disconnect) or 1 (log off)")),
        _ => (value.and_then(|v| limit(name, v)), rule("is a number of milliseconds, 0 for never")),
    };
    change.ok_or_else(|| MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, rule))
}

/// What the idle and the active limit do from now on, as scripts say it.
pub(super) fn action(value: u32) -> Option<LimitsChange> {
    let action = match value {
        0 => LimitAction::Disconnect,
        1 => LimitAction::Logoff,
        _ => return None,
    };
    Some(LimitsChange { action: Some(action), ..LimitsChange::default() })
}

/// The limit of that name from now on; `None` where there is none of that name.
pub(super) fn limit(name: &str, milliseconds: u32) -> Option<LimitsChange> {
    // never shorter than asked for, and never 0 where something was
    let seconds = Some(milliseconds.div_ceil(1000));
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("IdleSessionLimit") {
        return Some(LimitsChange { idle: seconds, ..LimitsChange::default() });
    }
    if is("ActiveSessionLimit") {
        return Some(LimitsChange { active: seconds, ..LimitsChange::default() });
    }
    is("DisconnectedSessionLimit").then(|| LimitsChange { disconnected: seconds, ..LimitsChange::default() })
}

/// What the properties ask for.
fn change(properties: &Params) -> Result<CollectionChange, CimError> {
    for (name, why) in [
        ("IsHA", "local desktops run on one machine: they are not highly available"),
        ("IsUserAdmin", "nobody is administrator inside of a local desktop"),
    ] {
        if properties.boolean(name)? == Some(true) {
            return Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, format!("{name}: {why}")));
        }
    }
    if let Some(sddl) = text(properties, "SecurityDescriptor")?.filter(|sddl| !sddl.is_empty()) {
        let parsed = SecurityDescriptor::parse(&sddl);
        parsed.map_err(|error| invalid(&format!("SecurityDescriptor: {error}")))?;
    }
    Ok(CollectionChange {
        users: None,
        display_name: properties.string("Name")?.map(str::to_owned),
        limits: LimitsChange::default(),
        managed: properties.boolean("IsManaged")?,
        rollback: properties.boolean("RollbackEnabled")?,
        shown: properties.boolean("ShowInPortal")?,
        description: text(properties, "CollectionDescription")?,
        user_disk: text(properties, "UserVHDSetting")?,
        security_descriptor: text(properties, "SecurityDescriptor")?,
        farm_settings: text(properties, "VmFarmSettings")?,
        icon: icon(properties)?,
    })
}

/// A text that was given; null clears it.
fn text(properties: &Params, name: &str) -> Result<Option<String>, CimError> {
    if !properties.0.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
        return Ok(None);
    }
    let text = properties.string(name)?.unwrap_or_default();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        return Err(invalid(&format!("{name} has {LONGEST_TEXT} characters at most")));
    }
    Ok(Some(text.to_owned()))
}

fn icon(properties: &Params) -> Result<Option<Vec<u8>>, CimError> {
    if !properties.0.iter().any(|(given, _)| given.eq_ignore_ascii_case("IconContents")) {
        return Ok(None);
    }
    let icon = properties.bytes("IconContents")?.unwrap_or_default();
    if icon.len() > LARGEST_ICON {
        return Err(invalid(&format!("IconContents has {LARGEST_ICON} bytes at most")));
    }
    Ok(Some(icon))
}

fn invalid(message: &str) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
}

fn kind_of(number: u32) -> Result<CollectionKind, CimError> {
    match number {
        1 => Ok(CollectionKind::Pooled),
        2 => Ok(CollectionKind::ManualPersonal),
        3 => Ok(CollectionKind::AutomaticPersonal),
        _ => Err(invalid(&format!(
            "Type is 1 (pooled), 2 or 3 (personal, assigned by hand or by itself), not {number}"
        ))),
    }
}

fn instance(class: &Class, collection: &Collection) -> Instance {
    let kind: u32 = match collection.kind {
        CollectionKind::Pooled => 1,
        CollectionKind::ManualPersonal => 2,
        CollectionKind::AutomaticPersonal => 3,
    };
    let icon = collection
        .icon
        .as_ref()
        .map_or(Value::Null, |icon| Value::Array(icon.iter().map(|byte| Value::Uint8(*byte)).collect()));
    Instance::of(class)
        .with("Alias", collection.alias.as_str())
        .with("Type", kind)
        .with("IsManaged", collection.managed)
        .with("Name", collection.display_name.as_str())
        .with("CollectionDescription", collection.description.as_deref())
        .with("SecurityDescriptor", collection.security_descriptor.as_deref())
        .with("VmFarmSettings", collection.farm_settings.as_deref())
        .with("UserVHDSetting", collection.user_disk.as_deref())
        .with("IconContents", icon)
        .with("ShowInPortal", collection.shown)
        .with("IsHA", false)
        .with("IsUserAdmin", false)
        .with("RollbackEnabled", collection.rollback)
}
