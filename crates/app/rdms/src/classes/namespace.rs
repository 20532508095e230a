//! `__NAMESPACE`: the namespaces below one, by which clients of WMI find their way from `root` on. Whoever is proved may
//! read it, as declarations: it says nothing of the deployment.

use crate::dispatch::SCHEMAS;
use crate::error::fault;
use crate::provider::{Context, Provider, Query, Wanted};
use openrdms_cim::{CimError, Class, Instance, Listing, Value};
use openrdms_engine::EngineError;

/// Of the namespace with this name.
pub(crate) struct Namespace(pub(crate) &'static str);

#[async_trait::async_trait]
impl Provider for Namespace {
    fn serves(&self) -> (&'static str, &'static str) {
        (self.0, "__NAMESPACE")
    }

    async fn enumerate(&self, _cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        let instances = self.below().map(|name| instance(query.class, name)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, _cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        let given = wanted.path.key("Name").and_then(Value::as_str).unwrap_or_default();
        let found = self.below().find(|name| name.eq_ignore_ascii_case(given));
        found
            .map(|name| instance(wanted.class, name))
            .ok_or_else(|| fault(EngineError::NotFound("namespace")))
    }
}

impl Namespace {
    /// The names of those right below it.
    fn below(&self) -> impl Iterator<Item = &'static str> {
        let names = SCHEMAS.iter().filter_map(|(name, _)| name.strip_prefix(self.0)?.strip_prefix('/'));
        names.filter(|name| !name.contains('/'))
    }
}

fn instance(class: &Class, name: &str) -> Instance {
    Instance::of(class).with("Name", name)
}
