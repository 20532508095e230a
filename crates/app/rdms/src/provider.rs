//! What a class's provider does, and what it is told of the call.

use crate::error::{MethodError, fault};
use openrdms_broker::{Credentials, UserName};
use openrdms_cim::service::not_capable;
use openrdms_cim::{
    CimError, Class, Condition, Instance, Limits, Listing, ObjectPath, Params, Principal, Value, WmiCode,
};
use openrdms_engine::{Engine, EngineError, Expected};
use zeroize::Zeroizing;

/// Makes credentials of passwords; the binary gives the providers one that hashes.
#[async_trait::async_trait]
pub trait Passwords: Send + Sync + 'static {
    /// Credentials for a user's new password, or why it is not acceptable (for people).
    async fn credentials(&self, user: &UserName, password: Zeroizing<String>) -> Result<Credentials, String>;
}

/// What every provider may use.
pub(crate) struct Context {
    pub(crate) engine: Engine,
    pub(crate) passwords: std::sync::Arc<dyn Passwords>,
    /// The domain of local accounts.
    pub(crate) deployment: String,
    /// The range that unprivileged uids are given from.
    pub(crate) uids: std::ops::RangeInclusive<u32>,
}

/// One listing as the provider sees it.
pub(crate) struct Query<'a> {
    pub(crate) who: &'a Principal,
    pub(crate) class: &'a Class,
    pub(crate) condition: Option<&'a Condition>,
    pub(crate) after: Option<&'a str>,
    pub(crate) limits: Limits,
}

/// One instance that is asked for by its keys, as the provider sees it.
pub(crate) struct Wanted<'a> {
    pub(crate) who: &'a Principal,
    pub(crate) class: &'a Class,
    pub(crate) path: &'a ObjectPath,
}

/// One method call, or one change (`Create`, `Put`, `Delete`), as the provider sees it.
pub(crate) struct Call<'a> {
    pub(crate) who: &'a Principal,
    pub(crate) path: &'a ObjectPath,
    pub(crate) method: &'a str,
    pub(crate) params: &'a Params,
    pub(crate) expected: Expected,
    /// What the method gives back: its OUT parameters.
    pub(crate) out: Params,
    /// What the audit trail says of it: filled as soon as it is known.
    pub(crate) audit: Noted,
}

/// The provider's part of an audit record.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) target: String,
    pub(crate) subject: String,
    pub(crate) detail: String,
}

/// One class.
#[async_trait::async_trait]
pub(crate) trait Provider: Send + Sync {
    /// The class's name and namespace.
    fn serves(&self) -> (&'static str, &'static str);

    /// A page of instances; the condition may be used to choose rows early, the dispatch judges all again. None, for
    /// administrators, where a class has methods only.
    async fn enumerate(&self, _cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        Ok(Listing { instances: Vec::new(), next: None })
    }

    /// One instance, if the class has any.
    async fn get(&self, _cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let message = format!("{} has no instances: its methods are called on the class", wanted.class.name);
        Err(CimError::new(WmiCode::WBEM_E_NOT_FOUND, message))
    }

    /// A method whose name, parameters and staticness the schema has confirmed.
    async fn invoke(&self, _cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        Err(no_method(call))
    }

    /// Makes an instance of the properties that are the call's parameters: properties of the class, each once.
    async fn create(&self, _cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        Err(not_capable(&call.path.class, "made").into())
    }

    /// Changes the properties that are the call's parameters: writable, each once, and other than they are now.
    async fn put(&self, _cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        Err(not_capable(&call.path.class, "changed").into())
    }

    /// Removes an instance.
    async fn delete(&self, _cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        Err(not_capable(&call.path.class, "removed").into())
    }
}

impl Call<'_> {
    /// Gives a value back, by the name of its OUT parameter.
    pub(crate) fn answer(&mut self, parameter: &str, value: impl Into<Value>) {
        self.out.0.push((parameter.to_owned(), value.into()));
    }
}

impl Query<'_> {
    /// What a property has to equal, as text, where the condition says so.
    pub(crate) fn equal(&self, property: &str) -> Option<String> {
        let equalities = self.condition?.equalities();
        let found = equalities.iter().find(|(name, _)| name.eq_ignore_ascii_case(property));
        found.map(|(_, constant)| constant.text())
    }

    /// How many rows a page of the store's has.
    pub(crate) fn limit(&self) -> u32 {
        u32::try_from(self.limits.max_elements.clamp(1, 1000)).unwrap_or(1000)
    }
}

impl Context {
    /// The principal as a user of the deployment, for their own sessions; `None` for `uid:0` and the like.
    pub(crate) fn user_of(who: &Principal) -> Option<UserName> {
        let (domain, name) = who.name.split_once('\\')?;
        UserName::new(domain, name).ok()
    }

    /// A user named by an administrator: `name`, or `domain\name`.
    pub(crate) fn parse_user(&self, text: &str) -> Result<UserName, CimError> {
        let (domain, name) = text.split_once('\\').unwrap_or((&self.deployment, text));
        UserName::new(domain, name)
            .map_err(|error| CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, error.to_string()))
    }
}

/// A cursor that is none of ours, or of another listing.
pub(crate) fn cannot_continue() -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, "the list cannot be continued from there")
}

/// A method that the schema has and the provider does not.
pub(crate) fn no_method(call: &Call<'_>) -> MethodError {
    fault(EngineError::Invalid(format!("there is no method '{}'", call.method))).into()
}

/// Denies what only administrators may see or do.
pub(crate) fn admin_only(who: &Principal) -> Result<(), CimError> {
    if who.admin {
        return Ok(());
    }
    Err(CimError::new(
        WmiCode::WBEM_E_ACCESS_DENIED,
        format!("{} may not do this: it takes the role admin", who.name),
    ))
}
