//! What has to be listed for a query, and what of each match is given.

use super::subject::Subject;
use super::{Projection, Select};
use crate::{CimError, Class, Enumeration, Instance, ObjectPath, Repository, Value, WmiCode};

/// What a query asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan<'r> {
    /// Instances: list them, and give [`Projection::of`] each.
    Instances(Enumeration),
    /// Their number: [`crate::CimService::count`] and [`count_of`].
    Count(Enumeration),
    /// Classes; with `COUNT(*)` their number.
    Classes(Vec<&'r Class>),
}

impl Select {
    /// Checks it against the classes of a namespace and says what has to be listed.
    ///
    /// # Errors
    /// As [`Select::check`]; an event query is refused, because events are subscribed to, not listed.
    pub fn plan<'r>(&self, repository: &'r Repository, namespace: &str) -> Result<Plan<'r>, CimError> {
        self.check(repository, namespace)?;
        if self.is_about_classes() {
            let wanted = |class: &&Class| {
                self.condition.as_ref().is_none_or(|c| c.holds_for_class(class, repository).is_true())
            };
            return Ok(Plan::Classes(repository.classes(namespace).filter(wanted).collect()));
        }
        let class = repository.class(namespace, &self.from)?;
        if self.within.is_some() || self.group.is_some() || repository.is_a(class, "__Event") {
            let text = "the query is for events: subscribe to it";
            return Err(CimError::new(WmiCode::WBEM_E_INVALID_QUERY, text));
        }
        let class = ObjectPath::class(namespace, &class.name);
        let what = Enumeration { class, condition: self.condition.clone() };
        Ok(match self.projection {
            Projection::Count => Plan::Count(what),
            Projection::All | Projection::Properties(_) => Plan::Instances(what),
        })
    }
}

impl Projection {
    /// The selected properties of an instance, in the query's order, by their declared names where they are
    /// properties of the instance itself, else as the query writes them. `*` and `COUNT(*)` give all.
    pub fn of(&self, instance: &Instance, repository: &Repository) -> Vec<(String, Value)> {
        let Projection::Properties(wanted) = self else { return instance.properties.clone() };
        let class = repository.class(&instance.namespace, &instance.class).ok();
        let subject = Subject::Instance(instance);
        wanted
            .iter()
            .map(|property| {
                let last = property.steps.last().map_or("", |step| step.name.as_str());
                let declared = class.and_then(|class| class.property(last));
                let name = match (declared, property.steps.len()) {
                    (Some(declared), 1) if property.name().is_some() => declared.name.clone(),
                    _ => property.to_string(),
                };
                (name, subject.value(property, repository).into_owned())
            })
            .collect()
    }
}

/// What `COUNT(*)` gives: an object of no class of the schema with the property `Count`.
pub fn count_of(namespace: &str, count: u64) -> Instance {
    let namespace = crate::path::canonical_namespace(namespace);
    Instance { class: "__Generic".into(), namespace, properties: vec![("Count".into(), count.into())] }
}
