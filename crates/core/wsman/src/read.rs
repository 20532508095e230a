//! Finding one's way in a parsed message.

use crate::names::{XSD, XSI};
use crate::resource::Resource;
use crate::{Family, names};
use openrdms_cim::ObjectPath;
use roxmltree::Node;

/// The child elements.
pub(crate) fn children<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(Node::is_element)
}

/// The first child element of that name.
pub(crate) fn child<'a>(node: Node<'a, 'a>, namespace: &str, name: &str) -> Option<Node<'a, 'a>> {
    children(node).find(|n| n.has_tag_name((namespace, name)))
}

/// All text directly inside, as it stands.
pub(crate) fn text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|n| n.text()).collect()
}

/// The text of a child without the space around it; `None` where there is no such child.
pub(crate) fn child_text<'a>(node: Node<'a, 'a>, namespace: &str, name: &str) -> Option<String> {
    child(node, namespace, name).map(|n| text(n).trim().to_owned())
}

/// Whether a boolean attribute is set.
pub(crate) fn flag(value: Option<&str>) -> bool {
    matches!(value.map(str::trim), Some("true" | "1"))
}

/// Whether the element stands for null.
pub(crate) fn is_nil(node: Node<'_, '_>) -> bool {
    flag(node.attribute((XSI, "nil"))) || flag(node.attribute((XSD, "nil")))
}

/// The `w:Selector`s in a `w:SelectorSet`: name and element.
pub(crate) fn selectors<'a>(set: Node<'a, 'a>) -> impl Iterator<Item = (String, Node<'a, 'a>)> {
    children(set)
        .filter(|n| n.has_tag_name((names::WSMAN, "Selector")))
        .map(|n| (n.attribute("Name").unwrap_or_default().trim().to_owned(), n))
}

/// The object that an endpoint reference names, its keys as strings. `node` is the reference, or holds its
/// parts without a wrapper as properties do.
pub(crate) fn reference<'a>(node: Node<'a, 'a>) -> Option<ObjectPath> {
    let node = child(node, names::ADDRESSING, "EndpointReference").unwrap_or(node);
    let parameters = child(node, names::ADDRESSING, "ReferenceParameters")?;
    let uri = child_text(parameters, names::WSMAN, "ResourceURI")?;
    let (mut namespace, mut keys) = (None, Vec::new());
    for (name, node) in child(parameters, names::WSMAN, "SelectorSet").into_iter().flat_map(selectors) {
        if name.eq_ignore_ascii_case(names::NAMESPACE_SELECTOR) {
            namespace = Some(text(node));
        } else {
            keys.push((name, text(node).into()));
        }
    }
    let resource = Resource::parse(&uri, namespace.as_deref()).ok()?;
    if resource.family == Family::Declarations {
        return None;
    }
    Some(ObjectPath { keys, ..ObjectPath::class(&resource.namespace, &resource.class) })
}
