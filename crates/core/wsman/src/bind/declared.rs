//! Requests for the declarations of classes (MS-WSMV 3.1.4.1.38, 3.1.4.2).

use super::unexpected;
use crate::{Fault, Input, Request, Resource, Subcode, names};
use openrdms_cim::cim_xml::Options;
use openrdms_cim::{Class, Repository};

/// How much of a declaration is told: all of it, but for what an option says no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The declaration.
    Whole(Options),
    /// The class's name and its superclass's.
    Names,
}

/// The class whose declaration Get asks for.
///
/// # Errors
/// A fault where the message names no class, or one that there is not.
pub fn declaration<'r>(request: &Request, repository: &'r Repository) -> Result<&'r Class, Fault> {
    let resource = resource(request)?;
    let name = class_name(request)?.or_else(|| (resource.class != "*").then(|| resource.class.clone()));
    let name = name.ok_or_else(|| {
        Fault::new(Subcode::InvalidSelectors, "selector ClassName is missing").detail("InsufficientSelectors")
    })?;
    Ok(repository.class(&resource.namespace, &name)?)
}

/// How much the request wants to know.
pub fn detail(request: &Request) -> Detail {
    let wants = |name: &str| request.flag(name).unwrap_or(true);
    if request.flag("ExcludeClassSpecification") == Some(true) {
        return Detail::Names;
    }
    Detail::Whole(Options {
        include_qualifiers: wants("IncludeQualifiers"),
        include_class_origin: wants("IncludeClassOrigin"),
        include_inherited_elements: wants("IncludeInheritedElements"),
        include_inheritance_hierarchy: wants("IncludeInheritanceHierarchy"),
    })
}

/// The classes that Enumerate lists, by name. Without a class all there are, unless subclasses are told to stay out;
/// with one its direct subclasses, and theirs if that is said.
pub(super) fn list<'r>(request: &Request, repository: &'r Repository) -> Result<Vec<&'r Class>, Fault> {
    let resource = resource(request)?;
    let namespace = &resource.namespace;
    let deep = request.flag("IncludeSubClasses");
    let Some(base) = class_name(request)? else {
        super::known_namespace(repository, namespace)?;
        let all = repository.classes(namespace);
        return Ok(all.filter(|class| deep != Some(false) || class.superclass.is_none()).collect());
    };
    let base = repository.class(namespace, &base)?;
    let is_below = |class: &&Class| {
        let direct = class.superclass.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&base.name));
        direct || deep == Some(true) && class.name != base.name && repository.is_a(class, &base.name)
    };
    Ok(repository.classes(namespace).filter(is_below).collect())
}

/// The selector `ClassName`, `None` where it is empty or missing.
fn class_name(request: &Request) -> Result<Option<String>, Fault> {
    let mut found = None;
    for (name, input) in &request.selectors {
        match input {
            Input::Text(text) if name.eq_ignore_ascii_case(names::CLASS_SELECTOR) => {
                found = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            }
            Input::Null if name.eq_ignore_ascii_case(names::CLASS_SELECTOR) => {}
            Input::Null | Input::Text(_) | Input::Reference(_) | Input::Object => {
                return Err(unexpected(name));
            }
        }
    }
    Ok(found)
}

fn resource(request: &Request) -> Result<&Resource, Fault> {
    request.resource.as_ref().ok_or_else(super::no_resource)
}
