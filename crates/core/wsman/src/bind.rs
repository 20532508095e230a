//! From names to classes: the second step of reading a request, with the repository at hand. How selectors, bodies and
//! parameters stand for keys, properties and parameters of CIM is DSP0227's.

mod change;
mod declared;
mod listing;

pub use change::{fragment, properties, whole_property};
pub use declared::{Detail, declaration, detail};
pub use listing::{Wanted, listing};

use crate::{Fault, Input, Request, Subcode};
use openrdms_cim::{CimError, Class, Method, ObjectPath, Params, Repository, Type, Value, WmiCode};

/// The class that a request is about.
///
/// # Errors
/// A fault where it names none, all of them, or one that there is not.
pub fn class<'r>(request: &Request, repository: &'r Repository) -> Result<&'r Class, Fault> {
    let resource = request.resource.as_ref().ok_or_else(no_resource)?;
    if resource.class == "*" {
        let reason = "a listing of all classes needs a query";
        return Err(Fault::new(Subcode::DestinationUnreachable, reason)
            .detail("InvalidResourceURI")
            .code(WmiCode::WBEM_E_INVALID_QUERY));
    }
    Ok(repository.class(&resource.namespace, &resource.class)?)
}

/// The instance that a request names: all keys of the class, and nothing else.
///
/// # Errors
/// A fault (`w:InvalidSelectors`) where a key is missing or not of its type, or a selector is no key.
pub fn instance(request: &Request, class: &Class) -> Result<ObjectPath, Fault> {
    if let Some((name, _)) =
        request.selectors.iter().find(|(n, _)| class.property(n).is_none_or(|p| !p.is_key()))
    {
        return Err(unexpected(name));
    }
    let mut path = path_of(class);
    for key in class.keys() {
        let given = request.selectors.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name));
        let Some((_, input)) = given else {
            return Err(Fault::new(Subcode::InvalidSelectors, format!("selector {} is missing", key.name))
                .detail("InsufficientSelectors"));
        };
        let value = scalar(key.ty, input).filter(|value| !value.is_null()).ok_or_else(|| {
            Fault::new(Subcode::InvalidSelectors, format!("selector {} is not a {}", key.name, key.ty.name()))
                .detail("InvalidValue")
        })?;
        path.keys.push((key.name.clone(), value));
    }
    Ok(path)
}

/// The class that an instance is to be made of: no instance is named.
///
/// # Errors
/// A fault (`w:InvalidSelectors`) where an instance is named.
pub fn class_path(request: &Request, class: &Class) -> Result<ObjectPath, Fault> {
    match request.selectors.first() {
        Some((name, _)) => Err(unexpected(name)),
        None => Ok(path_of(class)),
    }
}

/// The method that a request calls, what it is called on, and with what: the class itself for a static
/// method, else an instance.
///
/// # Errors
/// A fault where there is no such method, an instance is not named, or the parameters are not those that it declares.
pub fn invocation<'c>(
    request: &Request,
    class: &'c Class,
    method: &str,
    input: &[(String, Input)],
) -> Result<(&'c Method, ObjectPath, Params), Fault> {
    let method = class.method(method).ok_or_else(|| {
        let reason = format!("class {} has no method {method}", class.name);
        Fault::from(CimError::new(WmiCode::WBEM_E_INVALID_METHOD, reason))
    })?;
    // A static method may be called on an instance too: which one makes no difference.
    let path = if method.is_static() { path_of(class) } else { instance(request, class)? };
    Ok((method, path, params(method, input)?))
}

/// Parameters with the types that the method declares. What is not given is null.
fn params(method: &Method, input: &[(String, Input)]) -> Result<Params, Fault> {
    let invalid = |name: &str, what: &str| {
        Fault::new(Subcode::InvalidParameter, format!("parameter {name} {what}")).detail("InvalidValues")
    };
    for (name, _) in input {
        if !method.parameter(name).is_some_and(openrdms_cim::Parameter::is_in) {
            return Err(invalid(name, &format!("is unknown to {}", method.name)));
        }
    }
    let mut params = Params::default();
    for parameter in method.parameters.iter().filter(|p| p.is_in()) {
        let given: Vec<&Input> = input
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(&parameter.name))
            .map(|(_, input)| input)
            .collect();
        let value = match given.as_slice() {
            [] | [Input::Null] => Some(Value::Null),
            many if parameter.array => {
                many.iter().map(|one| scalar(parameter.ty, one)).collect::<Option<_>>().map(Value::Array)
            }
            [one] => scalar(parameter.ty, one),
            _ => return Err(invalid(&parameter.name, "comes twice")),
        };
        let value =
            value.ok_or_else(|| invalid(&parameter.name, &format!("is not a {}", parameter.ty.name())))?;
        params.0.push((parameter.name.clone(), value));
    }
    Ok(params)
}

fn scalar(ty: Type, input: &Input) -> Option<Value> {
    match (ty, input) {
        (_, Input::Null) => Some(Value::Null),
        (Type::Reference, Input::Reference(path)) => Some(Value::Reference(Box::new(path.clone()))),
        (_, Input::Text(text)) => Value::parse(ty, text).ok(),
        (_, Input::Reference(_) | Input::Object) => None,
    }
}

fn path_of(class: &Class) -> ObjectPath {
    ObjectPath { namespace: class.namespace.clone(), class: class.name.clone(), keys: Vec::new() }
}

fn known_namespace(repository: &Repository, namespace: &str) -> Result<(), Fault> {
    if repository.namespaces().any(|known| known == namespace) {
        return Ok(());
    }
    let reason = format!("namespace {namespace} is unknown");
    Err(CimError::new(WmiCode::WBEM_E_INVALID_NAMESPACE, reason).into())
}

fn no_resource() -> Fault {
    Fault::new(Subcode::DestinationUnreachable, "no resource is named").detail("InvalidResourceURI")
}

fn unexpected(name: &str) -> Fault {
    Fault::new(Subcode::InvalidSelectors, format!("selector {name} is not expected"))
        .detail("UnexpectedSelectors")
}
