//! `Win32_RDMSDesktopAssignment`: whose the desktops of personal collections are.

use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::{Assignment, CollectionAlias, DesktopName, UserName};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params, Value};
use openrdms_engine::EngineError;

pub(crate) struct DesktopAssignment;

#[async_trait::async_trait]
impl Provider for DesktopAssignment {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSDesktopAssignment")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let collection = query.equal("CollectionAlias").and_then(|alias| CollectionAlias::new(&alias).ok());
        let after = query.after.and_then(|name| DesktopName::new(name).ok());
        let page = cx.engine.store().assignments(collection.as_ref(), after, query.limit()).await;
        let page = page.map_err(fault)?;
        let instances = page.rows.iter().map(|assignment| instance(query.class, assignment)).collect();
        Ok(Listing { instances, next: page.next.map(String::from) })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let keys = Params(wanted.path.keys.clone());
        Ok(instance(wanted.class, &find(cx, &keys).await?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        match call.method {
            "AddDesktopAssignment" => add(cx, call).await.map(|_| ()),
            "RemoveDesktopAssignment" => {
                let keys = call.params;
                keys.required_string("CollectionAlias")?;
                named(call, keys)?;
                let found = find(cx, keys).await.map_err(|error| MethodError { error, fault: false })?;
                Ok(cx.engine.unassign(&found.desktop, Some(&found.user)).await?)
            }
            _ => Err(no_method(call)),
        }
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let (desktop, user) = add(cx, call).await?;
        let row = cx.engine.store().assignment(&desktop).await?;
        let row = row.filter(|row| row.user == user).ok_or(EngineError::NotFound("assignment"))?;
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1)
            .with_key("CollectionAlias", row.collection.as_str())
            .with_key("DesktopName", row.desktop.as_str())
            .with_key("UserName", row.user.name())
            .with_key("UserDomain", row.user.domain()))
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let keys = Params(call.path.keys.clone());
        named(call, &keys)?;
        let found = find(cx, &keys).await?;
        Ok(cx.engine.unassign(&found.desktop, Some(&found.user)).await?)
    }
}

/// Assigns what the parameters name. A desktop that is not in the collection that was named is not found.
async fn add(cx: &Context, call: &mut Call<'_>) -> Result<(DesktopName, UserName), MethodError> {
    let alias = call.params.required_string("CollectionAlias")?.to_owned();
    let (desktop, user) = named(call, call.params)?;
    let row = cx.engine.store().desktop(&desktop).await?;
    if row.is_none_or(|row| !row.collection.as_str().eq_ignore_ascii_case(&alias)) {
        let error = fault(EngineError::NotFound("desktop in this collection"));
        return Err(MethodError { error, fault: false });
    }
    cx.engine.assign(&desktop, &user).await?;
    Ok((desktop, user))
}

/// Desktop and user that the keys or parameters name, for the audit trail too.
fn named(call: &mut Call<'_>, keys: &Params) -> Result<(DesktopName, UserName), MethodError> {
    let invalid = |error: openrdms_broker::IdError| EngineError::Invalid(error.to_string());
    let desktop = DesktopName::new(keys.required_string("DesktopName")?).map_err(invalid)?;
    let (domain, name) = (keys.required_string("UserDomain")?, keys.required_string("UserName")?);
    let user = UserName::new(domain, name).map_err(invalid)?;
    call.audit.target = desktop.to_string();
    call.audit.subject = user.to_string();
    Ok((desktop, user))
}

/// The assignment of these keys.
async fn find(cx: &Context, keys: &Params) -> Result<Assignment, CimError> {
    let key = |name: &str| keys.get(name).as_str().unwrap_or_default();
    let not_found = || fault(EngineError::NotFound("assignment"));
    let desktop = DesktopName::new(key("DesktopName")).map_err(|_| not_found())?;
    let user = UserName::new(key("UserDomain"), key("UserName")).map_err(|_| not_found())?;
    let found = cx.engine.store().assignment(&desktop).await.map_err(fault)?;
    found
        .filter(|found| found.user == user)
        .filter(|found| found.collection.as_str().eq_ignore_ascii_case(key("CollectionAlias")))
        .ok_or_else(not_found)
}

fn instance(class: &Class, assignment: &Assignment) -> Instance {
    Instance::of(class)
        .with("CollectionAlias", assignment.collection.as_str())
        .with("DesktopName", assignment.desktop.as_str())
        .with("UserName", assignment.user.name())
        .with("UserDomain", Value::from(assignment.user.domain()))
}
