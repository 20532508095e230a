//! The dispatch that every front end calls.

mod listing;
mod wiped;

use crate::error::MethodError;
use crate::provider::{Call, Context, Noted, Passwords, Provider, Wanted};
use crate::{changes, classes, events, stated};
use openrdms_broker::change::Position;
use openrdms_broker::{AuditRecord, Outcome};
use openrdms_cim::path::canonical_namespace;
use openrdms_cim::repository::RepositoryError;
use openrdms_cim::service::{Since, Told, Watch, not_capable};
use openrdms_cim::{
    CimError, CimService, Class, Enumeration, Instance, Limits, Listing, MethodResult, ObjectPath, Params,
    Principal, Repository, Value, WmiCode,
};
use openrdms_engine::{Engine, Expected};
use wiped::Wiped;

/// The namespaces with Microsoft's classes and ours. The one above them all has none of its own.
pub(crate) const SCHEMAS: [(&str, &str); 5] = [
    ("root", ""),
    ("root/cimv2", include_str!("../../../../schema/CimV2.mof")),
    ("root/cimv2/terminalservices", include_str!("../../../../schema/TerminalServices.mof")),
    ("root/cimv2/rdms", include_str!("../../../../schema/RDManagement.mof")),
    ("root/openrdms", include_str!("../../../../schema/OpenRDMS.mof")),
];

/// What every namespace has besides: the namespaces below it, and the classes of events.
const SYSTEM: &str = include_str!("../../../../schema/System.mof");

/// In Microsoft's classes most failures are return values, with the text beside them; ours answer every failure as a
/// fault, which carries a text.
const OURS: &str = "root/openrdms";

/// Serves the classes of `schema/*.mof`.
pub struct Rdms {
    context: Context,
    repository: Repository,
    providers: Vec<Box<dyn Provider>>,
}

/// The schema and the providers do not fit together: a bug that no start survives.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A schema file does not parse.
    #[error("the built-in schema cannot be read: {0}")]
    Mof(#[from] RepositoryError),
    /// A class without a provider, or the reverse.
    #[error("class {0} and its provider do not fit")]
    Unserved(String),
}

/// The classes of `schema/*.mof`; clients read answers by them.
///
/// # Errors
/// When a schema file does not parse.
pub fn repository() -> Result<Repository, SchemaError> {
    let mut repository = Repository::default();
    for (namespace, text) in SCHEMAS {
        for text in [SYSTEM, text] {
            for diagnostic in repository.load(namespace, text)? {
                tracing::warn!(namespace, ?diagnostic, "the built-in schema");
            }
        }
    }
    Ok(repository)
}

impl Rdms {
    /// Loads the schema and puts the providers behind it.
    ///
    /// # Errors
    /// When a schema file does not parse, or classes and providers are not one to one.
    pub fn new(
        engine: Engine,
        passwords: std::sync::Arc<dyn Passwords>,
        deployment: String,
        uids: std::ops::RangeInclusive<u32>,
    ) -> Result<Self, SchemaError> {
        let repository = repository()?;
        let providers = classes::all();
        for provider in &providers {
            let (namespace, class) = provider.serves();
            repository.class(namespace, class).map_err(|_| SchemaError::Unserved(class.to_owned()))?;
        }
        let rdms = Self { context: Context { engine, passwords, deployment, uids }, repository, providers };
        for (namespace, _) in SCHEMAS {
            let all = rdms.repository.classes(namespace);
            for class in all.filter(|class| stated::is_to_be_served(&rdms.repository, class)) {
                rdms.provider(class).map_err(|_| SchemaError::Unserved(class.name.clone()))?;
            }
        }
        Ok(rdms)
    }

    fn provider(&self, class: &Class) -> Result<&dyn Provider, CimError> {
        self.providers
            .iter()
            .find(|p| p.serves() == (class.namespace.as_str(), class.name.as_str()))
            .map(|p| &**p)
            .ok_or_else(|| stated::unserved(&self.repository, class))
    }

    /// For a change: of a class that has no provider there is nothing to make, change or remove.
    fn changer(&self, class: &Class, what: &str) -> Result<&dyn Provider, CimError> {
        self.provider(class).map_err(|_| not_capable(&class.name, what))
    }

    fn class(&self, path: &ObjectPath) -> Result<&Class, CimError> {
        self.repository.class(&canonical_namespace(&path.namespace), &path.class)
    }

    /// An instance as it is now, and which of `properties` are to become something else.
    async fn compared(
        &self,
        who: &Principal,
        path: &ObjectPath,
        class: &Class,
        properties: Params,
    ) -> Result<(Instance, Params), CimError> {
        let now = self.get(who, path).await?;
        let properties = changes::of(class, &now, properties)?;
        Ok((now, properties))
    }

    async fn audit<T>(&self, call: &Call<'_>, class: &Class, outcome: &Result<T, MethodError>) {
        let Noted { target, subject, detail } = &call.audit;
        let (outcome, detail) = match outcome {
            Ok(_) => (Outcome::Done, detail.clone()),
            Err(failed) => (Outcome::Failed(failed.error.code.0), failed.error.message.clone()),
        };
        let record = AuditRecord {
            at: self.context.engine.now(),
            actor: call.who.name.clone(),
            from: call.who.from.clone(),
            action: format!("{}.{}", class.name, call.method),
            target: cut(if target.is_empty() { call.path.to_string() } else { target.clone() }),
            subject: cut(subject.clone()),
            outcome,
            detail: cut(detail),
        };
        tracing::info!(actor = record.actor, from = record.from, action = record.action, target = record.target,
            outcome = ?record.outcome, "management call");
        self.context.engine.audit(record).await;
    }
}

#[async_trait::async_trait]
impl CimService for Rdms {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    async fn enumerate(
        &self,
        who: &Principal,
        what: &Enumeration,
        after: Option<&str>,
        limits: Limits,
    ) -> Result<Listing, CimError> {
        listing::page(self, who, what, after, limits).await
    }

    async fn get(&self, who: &Principal, path: &ObjectPath) -> Result<Instance, CimError> {
        let class = self.class(path)?;
        self.provider(class)?.get(&self.context, &Wanted { who, class, path }).await
    }

    async fn invoke(
        &self,
        who: &Principal,
        path: &ObjectPath,
        method: &str,
        params: Params,
        options: &[(String, String)],
    ) -> Result<MethodResult, CimError> {
        let params = Wiped(params);
        let class = self.class(path)?;
        let declared = class.method(method).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_INVALID_METHOD, format!("{} has no method '{method}'", class.name))
        })?;
        if let Some((name, _)) =
            params.0.0.iter().find(|(name, _)| !declared.parameter(name).is_some_and(|p| p.is_in()))
        {
            return Err(CimError::new(
                WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS,
                format!("{}.{} has no parameter '{name}'", class.name, declared.name),
            ));
        }
        if path.keys.is_empty() && !declared.is_static() {
            return Err(CimError::new(
                WmiCode::WBEM_E_INVALID_OBJECT_PATH,
                format!("{}.{} is called on an instance: its keys are missing", class.name, declared.name),
            ));
        }
        let option = |name: &str| {
            options.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        let expected = Expected { user: option("ExpectedUser"), state: option("ExpectedState") };
        let heeded = expected == Expected::default() || declared.expects();
        let mut call = Call {
            who,
            path,
            method: &declared.name,
            params: &params.0,
            expected,
            out: Params::default(),
            audit: Noted::default(),
        };
        let outcome = if heeded {
            self.provider(class)?.invoke(&self.context, &mut call).await
        } else {
            let text = format!(
                "{}.{} is about no session: it cannot heed ExpectedUser and ExpectedState",
                class.name, declared.name
            );
            Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, text).into())
        };
        if outcome.is_err() || !declared.only_reads() {
            self.audit(&call, class, &outcome).await;
        }
        let (code, reason) = match outcome {
            Ok(()) => (0, None),
            Err(failed) if failed.fault || class.namespace == OURS => return Err(failed.error),
            Err(failed) => (failed.error.code.0, Some(cut(failed.error.message))),
        };
        // what there is nothing to say of is null, in the order that is declared
        let told = |name: &str| (name.to_owned(), call.out.get(name).clone());
        let out = declared.parameters.iter().filter(|p| p.is_out()).map(|p| told(&p.name)).collect();
        Ok(MethodResult { return_value: Value::Uint32(code), out: Params(out), reason })
    }

    async fn create(
        &self,
        who: &Principal,
        class: &ObjectPath,
        properties: Params,
    ) -> Result<ObjectPath, CimError> {
        let (path, class) = (class, self.class(class)?);
        changes::known(class, &properties)?;
        let mut call = change(who, path, "Create", &properties);
        let made = self.changer(class, "made")?.create(&self.context, &mut call).await;
        self.audit(&call, class, &made).await;
        made.map_err(|failed| failed.error)
    }

    async fn put(
        &self,
        who: &Principal,
        path: &ObjectPath,
        properties: Params,
    ) -> Result<Instance, CimError> {
        let class = self.class(path)?;
        let provider = self.changer(class, "changed")?;
        if !class.properties.iter().any(changes::is_writable) {
            return Err(not_capable(&class.name, "changed"));
        }
        changes::known(class, &properties)?;
        let (now, properties) = match self.compared(who, path, class, properties).await {
            Ok(compared) => compared,
            // who tried is written down here too, as for everything else that is refused
            Err(error) => {
                let (nothing, refused) = (Params::default(), Err::<Instance, MethodError>(error.into()));
                self.audit(&change(who, path, "Put", &nothing), class, &refused).await;
                return refused.map_err(|failed| failed.error);
            }
        };
        if properties.0.is_empty() {
            return Ok(now);
        }
        let mut call = change(who, path, "Put", &properties);
        let changed = provider.put(&self.context, &mut call).await;
        self.audit(&call, class, &changed).await;
        changed.map_err(|failed| failed.error)?;
        self.get(who, path).await
    }

    async fn delete(&self, who: &Principal, path: &ObjectPath) -> Result<(), CimError> {
        let class = self.class(path)?;
        let nothing = Params::default();
        let mut call = change(who, path, "Delete", &nothing);
        let deleted = self.changer(class, "removed")?.delete(&self.context, &mut call).await;
        self.audit(&call, class, &deleted).await;
        deleted.map_err(|failed| failed.error)
    }

    async fn watch(&self, who: &Principal, what: &Watch, since: Since) -> Result<Option<u64>, CimError> {
        events::watch(&self.context, &self.repository, who, what, since).await
    }

    async fn changes(
        &self,
        who: &Principal,
        what: &Watch,
        after: u64,
        limits: Limits,
    ) -> Result<Told, CimError> {
        events::changes(&self.context, &self.repository, who, what, after, limits).await
    }

    async fn changed(&self, after: u64) {
        self.context.engine.store().changed(Position(after)).await;
    }
}

/// A change that is not a method, for the provider and the audit trail.
fn change<'a>(
    who: &'a Principal,
    path: &'a ObjectPath,
    what: &'static str,
    properties: &'a Params,
) -> Call<'a> {
    let (expected, out, audit) = (Expected::default(), Params::default(), Noted::default());
    Call { who, path, method: what, params: properties, expected, out, audit }
}

/// What callers write reaches the log and the trail, but not at any length.
fn cut(mut text: String) -> String {
    const MOST: usize = 256;
    if let Some((end, _)) = text.char_indices().nth(MOST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn what_a_caller_writes_is_not_kept_at_any_length() {
        assert_eq!(cut("short".to_owned()), "short");
        assert_eq!(cut("ä".repeat(100_000)).chars().count(), 257);
    }
}
