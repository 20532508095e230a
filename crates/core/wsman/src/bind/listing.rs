//! What an Enumerate lists: all of a class, those that a filter selects, a number, or the declarations of classes.

use super::{Detail, class, declared, path_of, unexpected};
use crate::{Family, Fault, Filter, Request, Subcode};
use openrdms_cim::wql::{Plan, Projection, Select};
use openrdms_cim::{CimError, Class, Condition, Enumeration, Repository, Type, Value, WmiCode};

/// What is listed.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Instances, and what is given of each.
    Instances(Enumeration, Projection),
    /// How many instances there are.
    Count(Enumeration),
    /// Declarations of these classes of the namespace.
    Classes {
        /// The namespace.
        namespace: String,
        /// Names, in the order of the listing.
        names: Vec<String>,
        /// How much of each is told.
        detail: Detail,
    },
    /// How many declarations there are.
    ClassCount {
        /// The namespace.
        namespace: String,
        /// The number.
        count: u64,
    },
}

/// What the request lists.
///
/// # Errors
/// A fault where the class or the namespace is unknown, or the filter cannot be understood or does not fit the class.
pub fn listing(request: &Request, repository: &Repository, filter: Option<&Filter>) -> Result<Wanted, Fault> {
    let resource = request.resource.as_ref().ok_or_else(super::no_resource)?;
    if resource.family == Family::Declarations {
        if filter.is_some() {
            let reason = "declarations are not filtered: ask for meta_class instead";
            return Err(Fault::new(Subcode::CannotProcessFilter, reason));
        }
        return Ok(classes(request, &resource.namespace, declared::list(request, repository)?));
    }
    if let Some((name, _)) = request.selectors.first() {
        return Err(unexpected(name));
    }
    let select = match filter {
        Some(Filter::Wql(text)) => Select::parse(text.trim()),
        Some(Filter::Cql(text)) => Select::parse_cql(text.trim()),
        Some(Filter::Selectors(pairs)) => {
            let class = class(request, repository)?;
            let what = Enumeration { class: path_of(class), condition: equalities(class, pairs)? };
            return Ok(Wanted::Instances(what, Projection::All));
        }
        None => {
            let what = Enumeration { class: path_of(class(request, repository)?), condition: None };
            return Ok(Wanted::Instances(what, Projection::All));
        }
    };
    let select = select.map_err(CimError::from)?;
    super::known_namespace(repository, &resource.namespace)?;
    let plan = select.plan(repository, &resource.namespace)?;
    if resource.class != "*" && !select.is_about_classes() {
        let from = repository.class(&resource.namespace, &select.from)?;
        if !repository.is_a(from, &class(request, repository)?.name) {
            let reason =
                format!("the query is about {}, the resource uri about {}", from.name, resource.class);
            return Err(Fault::new(Subcode::CannotProcessFilter, reason));
        }
    }
    Ok(match plan {
        Plan::Instances(what) => Wanted::Instances(what, select.projection),
        Plan::Count(what) => Wanted::Count(what),
        Plan::Classes(list) if select.projection == Projection::Count => {
            let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
            Wanted::ClassCount { namespace: resource.namespace.clone(), count }
        }
        Plan::Classes(list) => classes(request, &resource.namespace, list),
    })
}

fn classes(request: &Request, namespace: &str, list: Vec<&Class>) -> Wanted {
    let names = list.into_iter().map(|class| class.name.clone()).collect();
    Wanted::Classes { namespace: namespace.to_owned(), names, detail: declared::detail(request) }
}

/// A filter by selectors. It takes plain values only, not arrays, times and references (DSP0226 annex E).
fn equalities(class: &Class, pairs: &[(String, String)]) -> Result<Option<Condition>, Fault> {
    for (name, text) in pairs {
        let property = class
            .property(name)
            .filter(|p| !p.array && !matches!(p.ty, Type::Datetime | Type::Reference | Type::Object));
        if property.is_none_or(|p| Value::parse(p.ty, text).is_err()) {
            let reason = format!("{} cannot be filtered by {name} and that value", class.name);
            return Err(Fault::new(Subcode::CannotProcessFilter, reason).code(WmiCode::WBEM_E_INVALID_QUERY));
        }
    }
    Ok(Condition::equalities_of(pairs.iter().map(|(name, text)| (name, text.as_str()))))
}
