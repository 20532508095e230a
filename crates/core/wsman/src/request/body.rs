//! The body of a request: which operation, by the action, and what it says.

use super::{Filter, Input, Mode, Operation};
use crate::names::{ENUMERATION, WSMAN};
use crate::{Fault, Resource, Subcode, names, read};
use openrdms_cim::WmiCode;
use roxmltree::Node;

/// Reads the body of a message with that action.
pub(super) fn read<'a>(action: &str, body: Node<'a, 'a>) -> Result<Operation, Fault> {
    match action {
        names::GET => Ok(Operation::Get),
        names::ENUMERATE => enumerate(element(body, "Enumerate")?),
        names::PULL => {
            let pull = element(body, "Pull")?;
            Ok(Operation::Pull { context: context(pull)?, max_elements: max_elements(pull, ENUMERATION)? })
        }
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

/// Refuses an action that is a method of something else than the resource.
pub(super) fn check_method_action(action: &str, resource: &Resource) -> Result<(), Fault> {
    let class = action.rsplit_once('/').and_then(|(uri, _)| uri.rsplit_once('/')).map(|(_, class)| class);
    if class.is_some_and(|class| class.eq_ignore_ascii_case(&resource.class)) {
        return Ok(());
    }
    Err(unsupported(action))
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
    let filter = read::child(node, WSMAN, "Filter").or_else(|| read::child(node, ENUMERATION, "Filter"));
    Ok(Operation::Enumerate {
        optimize: read::child(node, WSMAN, "OptimizeEnumeration").is_some(),
        max_elements: max_elements(node, WSMAN)?,
        mode,
        filter: filter.map(read_filter).transpose()?,
    })
}

fn read_filter<'a>(node: Node<'a, 'a>) -> Result<Filter, Fault> {
    let dialect = node.attribute("Dialect").unwrap_or_default().trim();
    if !dialect.eq_ignore_ascii_case(names::SELECTOR_FILTER) {
        let reason = "filter dialect is not offered; offered is SelectorFilter";
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
        .collect()
}

fn max_elements<'a>(node: Node<'a, 'a>, namespace: &str) -> Result<Option<usize>, Fault> {
    let Some(text) = read::child_text(node, namespace, "MaxElements") else { return Ok(None) };
    match text.parse::<u64>() {
        Ok(n) if n > 0 => Ok(Some(usize::try_from(n).unwrap_or(usize::MAX))),
        _ => Err(Fault::new(Subcode::SchemaValidationError, "MaxElements is not a positive number")),
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

fn unsupported(action: &str) -> Fault {
    let shown: String = action.chars().take(200).collect();
    Fault::new(Subcode::ActionNotSupported, format!("action {shown} is not offered"))
        .code(WmiCode::WBEM_E_NOT_SUPPORTED)
}
