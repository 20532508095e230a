//! The body of a request: which operation, by the action, and what it says.

use super::{Expiry, Filter, Fragment, Input, Mode, Operation};
use crate::names::{ENUMERATION, WSMAN};
use crate::{Family, Fault, Resource, Subcode, names, read};
use openrdms_cim::value::time;
use openrdms_cim::{Value, WmiCode};
use roxmltree::Node;
use std::time::Duration;

/// Reads the body of a message with that action.
pub(super) fn read<'a>(
    action: &str,
    fragment: Option<&Fragment>,
    body: Node<'a, 'a>,
) -> Result<Operation, Fault> {
    match action {
        names::GET => Ok(Operation::Get),
        names::PUT => Ok(Operation::Put { properties: representation(body, fragment)? }),
        names::CREATE => Ok(Operation::Create { properties: representation(body, fragment)? }),
        names::DELETE => Ok(Operation::Delete),
        _ if fragment.is_some() => Err(no_fragments()),
        names::ENUMERATE => enumerate(element(body, "Enumerate")?),
        names::PULL => {
            let pull = element(body, "Pull")?;
            Ok(Operation::Pull {
                context: context(pull)?,
                max_elements: count(pull, ENUMERATION, "MaxElements")?,
                max_characters: count(pull, ENUMERATION, "MaxCharacters")?,
                max_time: duration(pull, ENUMERATION, "MaxTime")?,
            })
        }
        names::RENEW => {
            let renew = element(body, "Renew")?;
            Ok(Operation::Renew {
                context: context(renew)?,
                expires: expires(renew, ENUMERATION, Subcode::InvalidExpirationTime)?,
            })
        }
        names::GET_STATUS => Ok(Operation::Status { context: context(element(body, "GetStatus")?)? }),
        names::RELEASE => Ok(Operation::Release { context: context(element(body, "Release")?)? }),
        _ => {
            let under =
                |prefix: &str| action.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
            // Everything else is a method, if it is the action of one.
            if !under(names::WMI_CLASS) && !under(names::CIM_CLASS) {
                return Err(unsupported(action));
            }
            let (_, method) = action.rsplit_once('/').ok_or_else(|| unsupported(action))?;
            // The element is `<Method>_INPUT`, in a namespace that not all clients get right, or missing
            // where there are no parameters.
            let input = read::children(body).next().into_iter().flat_map(read::children);
            let input = input.map(|n| (n.tag_name().name().to_owned(), Input::read(n))).collect();
            Ok(Operation::Invoke { method: method.to_owned(), input })
        }
    }
}

/// Refuses an action that is a method of something else than the resource, and changes of declarations.
pub(super) fn check_resource(action: &str, operation: &Operation, resource: &Resource) -> Result<(), Fault> {
    match operation {
        Operation::Invoke { .. } => {
            let class =
                action.rsplit_once('/').and_then(|(uri, _)| uri.rsplit_once('/')).map(|(_, class)| class);
            if !class.is_some_and(|class| class.eq_ignore_ascii_case(&resource.class)) {
                return Err(unsupported(action));
            }
        }
        Operation::Put { .. } | Operation::Create { .. } | Operation::Delete
            if resource.family == Family::Declarations =>
        {
            return Err(unsupported(action));
        }
        Operation::Identify
        | Operation::Enumerate { .. }
        | Operation::Pull { .. }
        | Operation::Status { .. }
        | Operation::Renew { .. }
        | Operation::Release { .. }
        | Operation::Get
        | Operation::Put { .. }
        | Operation::Create { .. }
        | Operation::Delete
        | Operation::Eventing(_)
        | Operation::End => {}
    }
    Ok(())
}

/// Refuses an instance of another class than the resource's.
pub(super) fn check_class<'a>(body: Node<'a, 'a>, resource: &Resource) -> Result<(), Fault> {
    let class = read::children(body).next().map(|n| n.tag_name().name());
    if class.is_some_and(|class| class.eq_ignore_ascii_case(&resource.class)) {
        return Ok(());
    }
    let reason = format!("body holds no instance of {}", resource.class);
    Err(Fault::new(Subcode::InvalidRepresentation, reason).detail("InvalidNamespace"))
}

/// The properties of an instance that was sent, or of the fragment that was.
fn representation<'a>(
    body: Node<'a, 'a>,
    fragment: Option<&Fragment>,
) -> Result<Vec<(String, Input)>, Fault> {
    let missing = |what: &str| {
        Fault::new(Subcode::InvalidRepresentation, format!("body has no {what}")).detail("MissingValues")
    };
    let Some(fragment) = fragment else {
        let instance = read::children(body).next().ok_or_else(|| missing("instance"))?;
        return Ok(properties(instance));
    };
    let node = read::child(body, WSMAN, "XmlFragment").ok_or_else(|| missing("XmlFragment"))?;
    if read::children(node).next().is_none() {
        // the value alone, as `text()` asks for it
        let value = if read::is_nil(node) { Input::Null } else { Input::Text(read::text(node)) };
        return Ok(vec![(fragment.property.clone(), value)]);
    }
    let given = properties(node);
    if given.iter().any(|(name, _)| !name.eq_ignore_ascii_case(&fragment.property)) {
        let reason = format!("fragment holds something else than {}", fragment.property);
        return Err(Fault::new(Subcode::InvalidRepresentation, reason).detail("InvalidFragment"));
    }
    Ok(given)
}

fn properties<'a>(node: Node<'a, 'a>) -> Vec<(String, Input)> {
    read::children(node).map(|n| (n.tag_name().name().to_owned(), Input::read_edited(n))).collect()
}

fn enumerate<'a>(node: Node<'a, 'a>) -> Result<Operation, Fault> {
    let mode = match read::child_text(node, WSMAN, "EnumerationMode").as_deref() {
        None => Mode::Object,
        Some("EnumerateEPR") => Mode::Epr,
        Some("EnumerateObjectAndEPR") => Mode::ObjectAndEpr,
        Some(_) => {
            return Err(Fault::new(Subcode::UnsupportedFeature, "enumeration mode is not offered")
                .detail("EnumerationMode"));
        }
    };
    // A client that is told nothing would wait for an EnumerationEnd that never comes.
    if read::child(node, ENUMERATION, "EndTo").is_some() {
        return Err(Fault::new(Subcode::UnsupportedFeature, "the end of a listing is told to nobody")
            .detail("AddressingMode"));
    }
    let filter = match (read::child(node, WSMAN, "Filter"), read::child(node, ENUMERATION, "Filter")) {
        (Some(_), Some(_)) => {
            return Err(Fault::new(Subcode::CannotProcessFilter, "there are two filters"));
        }
        (one, other) => one.or(other),
    };
    Ok(Operation::Enumerate {
        optimize: read::child(node, WSMAN, "OptimizeEnumeration").is_some(),
        max_elements: count(node, WSMAN, "MaxElements")?,
        mode,
        filter: filter.map(read_filter).transpose()?,
        expires: expires(node, ENUMERATION, Subcode::InvalidExpirationTime)?,
    })
}

pub(crate) fn read_filter<'a>(node: Node<'a, 'a>) -> Result<Filter, Fault> {
    let dialect = node.attribute("Dialect").unwrap_or_default().trim();
    if dialect.eq_ignore_ascii_case(names::WQL) {
        return Ok(Filter::Wql(read::text(node)));
    }
    if dialect.eq_ignore_ascii_case(names::CQL) {
        return Ok(Filter::Cql(read::text(node)));
    }
    if !dialect.eq_ignore_ascii_case(names::SELECTOR_FILTER) {
        let reason = "filter dialect is not offered; offered are WQL, CQL and SelectorFilter";
        return Err(Fault::new(Subcode::FilterDialectRequestedUnavailable, reason));
    }
    let set = read::child(node, WSMAN, "SelectorSet")
        .ok_or_else(|| Fault::new(Subcode::CannotProcessFilter, "filter has no SelectorSet"))?;
    read::selectors(set)
        .map(|(name, node)| match Input::read(node) {
            Input::Text(text) => Ok((name, text)),
            Input::Null | Input::Reference(_) | Input::Object => {
                Err(Fault::new(Subcode::CannotProcessFilter, format!("filter on {name} has no plain value")))
            }
        })
        .collect::<Result<_, _>>()
        .map(Filter::Selectors)
}

fn count<'a>(node: Node<'a, 'a>, namespace: &str, name: &str) -> Result<Option<usize>, Fault> {
    let Some(text) = read::child_text(node, namespace, name) else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(n) if n > 0 => Ok(Some(usize::try_from(n).unwrap_or(usize::MAX))),
        _ => Err(Fault::new(Subcode::SchemaValidationError, format!("{name} is not a positive number"))),
    }
}

pub(crate) fn duration<'a>(
    node: Node<'a, 'a>,
    namespace: &str,
    name: &str,
) -> Result<Option<Duration>, Fault> {
    let Some(text) = read::child_text(node, namespace, name) else { return Ok(None) };
    match time::parse_duration(&text) {
        Some(micros) => Ok(Some(Duration::from_micros(micros))),
        None => Err(Fault::new(Subcode::SchemaValidationError, format!("{name} is not a duration"))),
    }
}

/// `Expires`: a duration or a point in time.
pub(crate) fn expires<'a>(
    node: Node<'a, 'a>,
    namespace: &str,
    invalid: Subcode,
) -> Result<Option<Expiry>, Fault> {
    let Some(text) = read::child_text(node, namespace, "Expires") else { return Ok(None) };
    let invalid = || Fault::new(invalid, "Expires is neither a duration nor a time to come");
    match time::parse_duration(&text) {
        Some(0) => Err(invalid()),
        Some(micros) => Ok(Some(Expiry::In(Duration::from_micros(micros)))),
        None => match time::parse(&text) {
            Some(Value::Datetime { micros, .. }) => Ok(Some(Expiry::At(micros))),
            _ => Err(invalid()),
        },
    }
}

fn context<'a>(node: Node<'a, 'a>) -> Result<String, Fault> {
    read::child_text(node, ENUMERATION, "EnumerationContext")
        .filter(|context| !context.is_empty())
        .ok_or_else(|| Fault::new(Subcode::InvalidEnumerationContext, "enumeration context is missing"))
}

fn element<'a>(body: Node<'a, 'a>, name: &str) -> Result<Node<'a, 'a>, Fault> {
    read::child(body, ENUMERATION, name)
        .ok_or_else(|| Fault::new(Subcode::SchemaValidationError, format!("body has no {name}")))
}

pub(super) fn no_fragments() -> Fault {
    Fault::new(Subcode::UnsupportedFeature, "this has no fragments").detail("FragmentLevelAccess")
}

fn unsupported(action: &str) -> Fault {
    let shown: String = action.chars().take(200).collect();
    Fault::new(Subcode::ActionNotSupported, format!("action {shown} is not offered"))
        .code(WmiCode::WBEM_E_NOT_SUPPORTED)
}
