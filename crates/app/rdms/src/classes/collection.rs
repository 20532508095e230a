//! `OpenRDMS_Collection`: sets of desktops offered under one alias.

use super::datetime;
use crate::changes;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::limits::LimitsChange;
use openrdms_broker::ports::SessionFilter;
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, CollectionKind, DesktopName, LimitAction, Limits, UserName,
};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct OpenRdmsCollection;

#[async_trait::async_trait]
impl Provider for OpenRdmsCollection {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Collection")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let mut instances = Vec::new();
        for collection in cx.engine.store().collections().await.map_err(fault)? {
            instances.push(instance(cx, query.class, &collection).await?);
        }
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        instance(cx, wanted.class, &find(cx, wanted.path).await?).await
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        match call.method {
            "CreateCollection" => create(cx, call).await,
            "SetLimits" => {
                call.audit.target = alias(call.path).to_owned();
                let change = limits_change(call)?;
                call.audit.detail = format!("{change:?}");
                Ok(cx.engine.change_collection(alias(call.path), change).await?)
            }
            "AddDesktop" | "RemoveDesktop" => {
                let name = call.params.required_string("Name")?;
                call.audit.target = format!("{} {name}", alias(call.path));
                let name = DesktopName::new(name).map_err(|error| EngineError::Invalid(error.to_string()))?;
                match call.method {
                    "AddDesktop" => Ok(cx.engine.add_desktop(alias(call.path), name).await?),
                    _ => Ok(cx.engine.remove_desktop(alias(call.path), &name).await?),
                }
            }
            "DeleteCollection" => self.delete(cx, call).await,
            _ => Err(no_method(call)),
        }
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        for (name, _) in &call.params.0 {
            if ["Created", "SessionCount"].iter().any(|computed| computed.eq_ignore_ascii_case(name))
                && !call.params.get(name).is_null()
            {
                let message = format!("{name} is not for the caller to say");
                return Err(CimError::new(WmiCode::WBEM_E_READ_ONLY, message).into());
            }
        }
        create(cx, call).await?;
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1)
            .with_key("Alias", call.audit.target.as_str()))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = alias(call.path).to_owned();
        let named =
            |property: &str| call.params.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(property));
        let nullable =
            |name: &str| ["Description", "Users"].iter().any(|known| known.eq_ignore_ascii_case(name));
        for (name, _) in call.params.0.iter().filter(|(name, _)| !nullable(name)) {
            changes::given(call.params, name)?;
        }
        let description = call.params.string("Description")?;
        let display_name = call.params.string("DisplayName")?.map(str::to_owned);
        let users = named("Users").then(|| users(cx, call)).transpose()?;
        if users == Some(None) && call.params.0.len() > 1 {
            // an instance that was read before somebody said who may use it, and is put back for another reason
            let stored = cx.engine.store().collection(alias(call.path)).await?;
            if stored.is_some_and(|stored| stored.users.is_some()) {
                let message = "null for Users lets everybody in: say so alone, or leave Users out";
                return Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message).into());
            }
        }
        let change = CollectionChange {
            display_name,
            users,
            description: named("Description").then(|| description.unwrap_or_default().to_owned()),
            rollback: call.params.boolean("Rollback")?,
            ..limits_change(call)?.into()
        };
        call.audit.detail = format!("{change:?}");
        Ok(cx.engine.change_collection(alias(call.path), change).await?)
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        call.audit.target = alias(call.path).to_owned();
        Ok(cx.engine.delete_collection(alias(call.path)).await?)
    }
}

/// The alias in a path to a collection, in whichever class that is: all have it as their key.
pub(crate) fn alias(path: &ObjectPath) -> &str {
    path.key("Alias").and_then(Value::as_str).unwrap_or_default()
}

/// The collection of a path.
pub(crate) async fn find(cx: &Context, path: &ObjectPath) -> Result<Collection, CimError> {
    named(cx, alias(path)).await
}

/// The collection of that alias.
pub(crate) async fn named(cx: &Context, alias: &str) -> Result<Collection, CimError> {
    let found = cx.engine.store().collection(alias).await.map_err(fault)?;
    found.ok_or_else(|| fault(EngineError::NotFound("collection")))
}

async fn create(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let text = call.params.required_string("Alias")?;
    call.audit.target = text.to_owned();
    let alias = CollectionAlias::new(text)
        .map_err(|error| CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, error.to_string()))?;
    let collection = Collection {
        display_name: call.params.string("DisplayName")?.unwrap_or(text).to_owned(),
        size: call.params.uint32("Size")?.unwrap_or(1),
        users: users(cx, call)?,
        description: call.params.string("Description")?.map(str::to_owned),
        kind: call.params.string("Kind")?.map(kind).transpose()?.unwrap_or_default(),
        rollback: call.params.boolean("Rollback")?.unwrap_or_default(),
        limits: limits_change(call)?.of(Limits::default()),
        ..Collection::new(alias, cx.engine.now())
    };
    Ok(cx.engine.create_collection(collection).await?)
}

/// Who may use the collection; `None`: everybody. Nobody cannot be said: WS-Management cannot tell an empty list from
/// none, and an instance that is sent back would open the collection to everybody.
fn users(cx: &Context, call: &Call<'_>) -> Result<Option<Vec<UserName>>, CimError> {
    match call.params.strings("Users")? {
        None => Ok(None),
        Some(names) if names.is_empty() => {
            let message = "Users names one user at least, or is null for everybody";
            Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message))
        }
        Some(names) => names.into_iter().map(|name| cx.parse_user(name)).collect::<Result<_, _>>().map(Some),
    }
}

const KINDS: [(&str, CollectionKind); 3] = [
    ("Pooled", CollectionKind::Pooled),
    ("Personal", CollectionKind::ManualPersonal),
    ("AutoPersonal", CollectionKind::AutomaticPersonal),
];

fn kind(text: &str) -> Result<CollectionKind, CimError> {
    let found = KINDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, kind)| *kind).ok_or_else(|| {
        let message = format!("Kind is Pooled, Personal or AutoPersonal, not '{text}'");
        CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
    })
}

/// The limits among the parameters of a method.
fn limits_change(call: &Call<'_>) -> Result<LimitsChange, CimError> {
    let action = match call.params.string("LimitAction")? {
        None => None,
        Some(text) => Some(
            [LimitAction::Disconnect, LimitAction::Logoff]
                .into_iter()
                .find(|action| action.as_str().eq_ignore_ascii_case(text))
                .ok_or_else(|| {
                    let message = format!("LimitAction is Disconnect or Logoff, not '{text}'");
                    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
                })?,
        ),
    };
    Ok(LimitsChange {
        idle: call.params.uint32("IdleLimitSeconds")?,
        active: call.params.uint32("ActiveLimitSeconds")?,
        disconnected: call.params.uint32("DisconnectedLimitSeconds")?,
        action,
        warning: call.params.uint32("LimitWarningSeconds")?,
    })
}

async fn instance(cx: &Context, class: &Class, collection: &Collection) -> Result<Instance, CimError> {
    let filter = SessionFilter { collection: Some(collection.alias.clone()), ..SessionFilter::default() };
    let sessions = cx.engine.store().count_sessions(&filter).await.map_err(fault)?;
    let users = collection.users.as_ref().map_or(Value::Null, |users| {
        Value::Array(users.iter().map(|user| Value::from(user.to_string())).collect())
    });
    Ok(Instance::of(class)
        .with("Alias", collection.alias.as_str())
        .with("DisplayName", collection.display_name.as_str())
        .with("Description", collection.description.as_deref())
        .with("Kind", KINDS.iter().find(|(_, kind)| *kind == collection.kind).map(|(name, _)| *name))
        .with("Rollback", collection.rollback)
        .with("Size", collection.size)
        .with("Users", users)
        .with("IdleLimitSeconds", collection.limits.idle)
        .with("ActiveLimitSeconds", collection.limits.active)
        .with("DisconnectedLimitSeconds", collection.limits.disconnected)
        .with("LimitAction", collection.limits.action.as_str())
        .with("LimitWarningSeconds", collection.limits.warning)
        .with("Created", datetime(collection.created))
        .with("SessionCount", sessions))
}
