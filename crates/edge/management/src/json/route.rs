//! From verb and address to what is asked for.
//!
//! ```text
//! /api/v1                          the classes
//! /api/v1/openapi.json             the OpenAPI document
//! /api/v1/events                   a stream of events
//! /api/v1/{Class}                  GET: list            POST: create
//! /api/v1/{Class}/{key}...         GET, PATCH, DELETE: the instance, by its keys in the class's order
//! /api/v1/{Class}/{key}.../{Method}   POST: call it on the instance
//! /api/v1/{Class}/{Method}         POST: call a static method
//! ```
//!
//! Names compare without case. A class is known by its name alone, which no two namespaces share; the classes of events,
//! which all of them have, are not listed.

use super::ROOT;
use super::body::IsPatch;
use super::problem::Problem;
use super::text;
use http::Method as Verb;
use openrdms_cim::class::is_set;
use openrdms_cim::{CimError, Class, Method, ObjectPath, Repository, Value, WmiCode};

/// The address of the OpenAPI document, behind [`ROOT`].
pub(super) const OPENAPI: &str = "openapi.json";
/// The address of the stream of events.
pub(super) const EVENTS: &str = "events";

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Operation<'r> {
    Index,
    OpenApi,
    Events,
    List(&'r Class),
    Create(&'r Class),
    Get(ObjectPath, &'r Class),
    Patch(ObjectPath, &'r Class),
    Delete(ObjectPath, &'r Class),
    Invoke(ObjectPath, &'r Class, &'r Method),
}

/// What is told instead where the service refuses.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Instead {
    /// The verbs that the schema declares, where this is none of them.
    undeclared: Option<String>,
    /// Whether the address that names nothing is that of a static method.
    is_method: bool,
}

/// The classes that are served, by namespace and name.
pub(super) fn classes(repository: &Repository) -> impl Iterator<Item = &Class> {
    let all = repository.namespaces().flat_map(|namespace| repository.classes(namespace));
    all.filter(|class| !class.name.starts_with("__"))
}

/// A class by its name.
pub(super) fn class<'r>(repository: &'r Repository, name: &str) -> Result<&'r Class, Problem> {
    let found = classes(repository).find(|class| class.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let detail = format!("there is no class '{}'", super::query::short(name));
        CimError::new(WmiCode::WBEM_E_INVALID_CLASS, detail).into()
    })
}

/// What is asked for.
pub(super) fn route<'r>(
    repository: &'r Repository,
    verb: &Verb,
    path: &str,
) -> Result<Operation<'r>, Problem> {
    let rest = path.strip_prefix(ROOT).unwrap_or(path).trim_start_matches('/');
    let read = *verb == Verb::GET || *verb == Verb::HEAD;
    let fixed = |operation| {
        if read { Ok(operation) } else { Err(Problem::verb("GET, HEAD", "this can only be read")) }
    };
    match rest {
        "" => return fixed(Operation::Index),
        OPENAPI => return fixed(Operation::OpenApi),
        // a stream has no length that HEAD could tell
        EVENTS if *verb == Verb::GET => return Ok(Operation::Events),
        EVENTS => return Err(Problem::verb("GET", "events can only be read")),
        _ => {}
    }
    let mut parts = rest.split('/');
    let class = class(repository, &text::decode(parts.next().unwrap_or_default())?)?;
    let parts = parts.map(text::decode).collect::<Result<Vec<_>, _>>()?;
    match parts.as_slice() {
        [] if read => Ok(Operation::List(class)),
        [] if *verb == Verb::POST => Ok(Operation::Create(class)),
        [] => Err(Problem::verb(&verbs_of_class(class), "a class is listed, and some make instances")),
        parts if *verb == Verb::POST => call(class, parts),
        parts => instance(class, parts, verb, read),
    }
}

fn instance<'r>(
    class: &'r Class,
    parts: &[String],
    verb: &Verb,
    read: bool,
) -> Result<Operation<'r>, Problem> {
    let keys = class.keys().count();
    let method = match parts.split_last() {
        Some((name, before)) if before.len() == keys => class.method(name),
        Some((name, [])) => class.method(name).filter(|method| method.is_static()),
        Some(_) | None => None,
    };
    let for_instances = read || *verb == Verb::PATCH || *verb == Verb::DELETE;
    // where the address may be that of an instance too, the service is asked
    if method.is_some() && !(for_instances && parts.len() == keys) {
        return Err(Problem::verb("POST", "a method is called by POST"));
    }
    let path = named(class, parts)?;
    match *verb {
        _ if read => Ok(Operation::Get(path, class)),
        Verb::PATCH => Ok(Operation::Patch(path, class)),
        Verb::DELETE => Ok(Operation::Delete(path, class)),
        _ => Err(Problem::verb(&verbs_of_instance(class), "an instance is read, changed or removed")),
    }
}

fn call<'r>(class: &'r Class, parts: &[String]) -> Result<Operation<'r>, Problem> {
    let keys = class.keys().count();
    let Some((name, before)) = parts.split_last() else { return Ok(Operation::Create(class)) };
    match class.method(name) {
        Some(method) if method.is_static() && before.is_empty() => {
            Ok(Operation::Invoke(named(class, &[])?, class, method))
        }
        Some(method) if !method.is_static() && before.len() == keys => {
            Ok(Operation::Invoke(named(class, before)?, class, method))
        }
        _ if parts.len() == keys => Err(Problem::verb(
            &verbs_of_instance(class),
            format!("{} has no static method of that name", class.name),
        )),
        Some(method) => {
            let on = if method.is_static() { "the class" } else { "an instance, by all its keys" };
            Err(not_a_path(format!("{}.{} is called on {on}", class.name, method.name)))
        }
        None => {
            let detail = format!("{} has no method '{}'", class.name, super::query::short(name));
            Err(CimError::new(WmiCode::WBEM_E_INVALID_METHOD, detail).into())
        }
    }
}

/// The instance with these keys; without any, the class.
fn named(class: &Class, parts: &[String]) -> Result<ObjectPath, Problem> {
    let names: Vec<_> = class.keys().map(|key| key.name.clone()).collect();
    if !parts.is_empty() && parts.len() != names.len() {
        return Err(not_a_path(match names.as_slice() {
            [] => format!("{} has no keys", class.name),
            names => format!("an instance of {} is named by {}", class.name, names.join("/")),
        }));
    }
    let texts = parts.iter().map(|part| Value::from(part.as_str()));
    let path = ObjectPath {
        namespace: class.namespace.clone(),
        class: class.name.clone(),
        keys: names.into_iter().zip(texts).collect(),
    };
    Ok(path.typed(class)?)
}

impl Operation<'_> {
    pub(super) fn takes_body(&self) -> bool {
        matches!(self, Operation::Create(_) | Operation::Patch(..) | Operation::Invoke(..))
    }

    pub(super) fn is_patch(&self) -> IsPatch {
        if matches!(self, Operation::Patch(..)) { IsPatch::Yes } else { IsPatch::No }
    }

    /// What is told instead of some refusals.
    pub(super) fn instead(&self) -> Instead {
        let (undeclared, is_method) = match self {
            Operation::Create(class) => ((!makes(class)).then(|| verbs_of_class(class)), false),
            Operation::Patch(path, class) => {
                ((!changes(class)).then(|| verbs_of_instance(class)), is_static_method(class, path))
            }
            Operation::Delete(path, class) => {
                ((!removes(class)).then(|| verbs_of_instance(class)), is_static_method(class, path))
            }
            Operation::Get(path, class) => (None, is_static_method(class, path)),
            Operation::Index
            | Operation::OpenApi
            | Operation::Events
            | Operation::List(_)
            | Operation::Invoke(..) => (None, false),
        };
        Instead { undeclared, is_method }
    }
}

impl Instead {
    /// A verb that the schema does not declare and the service refuses is one that is not offered: the service has the
    /// last word. And an address that names no instance may be that of a static method.
    pub(super) fn of(self, problem: Problem) -> Problem {
        match self.undeclared {
            _ if self.is_method && problem.is_not_found() => problem.not_allowed("POST".to_owned()),
            Some(verbs) if problem.is_the_callers() => problem.not_allowed(verbs),
            Some(_) | None => problem,
        }
    }
}

/// Whether the only key of an instance is the name of a static method: the address is that of both.
fn is_static_method(class: &Class, path: &ObjectPath) -> bool {
    match path.keys.as_slice() {
        [(_, Value::String(name))] => class.method(name).is_some_and(Method::is_static),
        _ => false,
    }
}

/// Whether instances can be made, as WMI's qualifier says. What a provider does in the end is its own affair.
pub(super) fn makes(class: &Class) -> bool {
    is_set(&class.qualifiers, "SupportsCreate")
}

/// Whether instances can be removed.
pub(super) fn removes(class: &Class) -> bool {
    is_set(&class.qualifiers, "SupportsDelete")
}

/// Whether something of an instance can be changed.
pub(super) fn changes(class: &Class) -> bool {
    class.properties.iter().any(|property| is_set(&property.qualifiers, "write") && !property.is_key())
}

fn verbs_of_class(class: &Class) -> String {
    ["GET, HEAD", if makes(class) { ", POST" } else { "" }].concat()
}

fn verbs_of_instance(class: &Class) -> String {
    let (patch, delete) = (changes(class), removes(class));
    ["GET, HEAD", if patch { ", PATCH" } else { "" }, if delete { ", DELETE" } else { "" }].concat()
}

fn not_a_path(detail: String) -> Problem {
    CimError::new(WmiCode::WBEM_E_INVALID_OBJECT_PATH, detail).into()
}

#[cfg(test)]
mod tests;
