//! Class declarations in CIM-XML, read (DSP0201). Elements are in no namespace; Windows sends them so too.

use crate::read::{children, text};
use openrdms_cim::{Class, Method, Parameter, Property, Qualifier, Type, Value};
use roxmltree::Node;

/// Reads a `CLASS`; `None` where the node is none.
pub(super) fn read<'a>(node: Node<'a, 'a>, namespace: &str) -> Option<Class> {
    if node.tag_name().name() != "CLASS" || node.tag_name().namespace().is_some() {
        return None;
    }
    let name = name(node);
    let mut class = Class {
        namespace: namespace.to_owned(),
        superclass: node.attribute("SUPERCLASS").filter(|s| !s.is_empty()).map(str::to_owned),
        qualifiers: qualifiers(node),
        ..Class::default()
    };
    for member in children(node) {
        match member.tag_name().name() {
            "PROPERTY" | "PROPERTY.ARRAY" | "PROPERTY.REFERENCE" => {
                class.properties.push(property(member, &name));
            }
            "METHOD" => class.methods.push(method(member, &name)),
            _ => {}
        }
    }
    Some(Class { name, ..class })
}

fn property<'a>(node: Node<'a, 'a>, class: &str) -> Property {
    let (ty, array) = shape(node);
    Property {
        name: name(node),
        ty,
        array,
        size: size(node),
        reference: reference(node),
        default: value(node, ty),
        qualifiers: qualifiers(node),
        origin: node.attribute("CLASSORIGIN").unwrap_or(class).to_owned(),
    }
}

fn method<'a>(node: Node<'a, 'a>, class: &str) -> Method {
    let mut parameters: Vec<(i128, Parameter)> = children(node)
        .filter(|n| n.tag_name().name().starts_with("PARAMETER"))
        .enumerate()
        .map(|(at, node)| {
            let (ty, array) = shape(node);
            let mut qualifiers = qualifiers(node);
            // Its place is told by a qualifier, which is not the class's own.
            let place = qualifiers.iter().position(|q| q.name.eq_ignore_ascii_case("ID"));
            let place = place.and_then(|at| qualifiers.remove(at).value.as_int());
            let place = place.unwrap_or_else(|| i128::try_from(at).unwrap_or(i128::MAX));
            let (name, size, reference) = (name(node), size(node), reference(node));
            (place, Parameter { name, ty, array, size, reference, qualifiers })
        })
        .collect();
    parameters.sort_by_key(|(place, _)| *place);
    Method {
        name: name(node),
        returns: node.attribute("TYPE").and_then(Type::from_name),
        parameters: parameters.into_iter().map(|(_, parameter)| parameter).collect(),
        qualifiers: qualifiers(node),
        origin: node.attribute("CLASSORIGIN").unwrap_or(class).to_owned(),
    }
}

fn qualifiers<'a>(node: Node<'a, 'a>) -> Vec<Qualifier> {
    let found = children(node).filter(|n| n.has_tag_name("QUALIFIER"));
    found
        .map(|node| Qualifier {
            name: name(node),
            value: value(node, ty(node)),
            flavors: flavors(node),
            propagated: flag(node, "PROPAGATED").unwrap_or(false),
        })
        .collect()
}

/// What differs from the flavours that every qualifier has.
fn flavors(node: Node<'_, '_>) -> Vec<String> {
    let words = [
        ("OVERRIDABLE", false, "disableoverride"),
        ("TOSUBCLASS", false, "restricted"),
        ("TOINSTANCE", true, "toinstance"),
        ("TRANSLATABLE", true, "translatable"),
    ];
    let told = words.into_iter().filter(|(name, told, _)| flag(node, name) == Some(*told));
    told.map(|(_, _, word)| word.to_owned()).collect()
}

/// The value inside: of one element, or of an array; null where there is none.
fn value<'a>(node: Node<'a, 'a>, ty: Type) -> Value {
    let one = |node: Node<'a, 'a>| match (node.tag_name().name(), ty) {
        ("VALUE", Type::Char16) => {
            let text = text(node);
            text.encode_utf16().next().map_or(Value::Null, Value::Char16)
        }
        ("VALUE", ty) => {
            let text = text(node);
            Value::parse(ty, &text).unwrap_or(Value::String(text))
        }
        _ => Value::Null,
    };
    if let Some(array) = children(node).find(|n| n.tag_name().name() == "VALUE.ARRAY") {
        return Value::Array(children(array).map(one).collect());
    }
    children(node).find(|n| n.has_tag_name("VALUE")).map_or(Value::Null, one)
}

/// The type, and whether it is an array.
fn shape(node: Node<'_, '_>) -> (Type, bool) {
    match node.tag_name().name() {
        "PROPERTY.REFERENCE" | "PARAMETER.REFERENCE" => (Type::Reference, false),
        "PARAMETER.REFARRAY" => (Type::Reference, true),
        "PROPERTY.ARRAY" | "PARAMETER.ARRAY" => (ty(node), true),
        _ => (ty(node), false),
    }
}

fn ty(node: Node<'_, '_>) -> Type {
    if node.attribute("EmbeddedObject").is_some() {
        return Type::Object;
    }
    match node.attribute("TYPE") {
        Some("reference") => Type::Reference,
        name => name.and_then(Type::from_name).unwrap_or(Type::String),
    }
}

fn name(node: Node<'_, '_>) -> String {
    node.attribute("NAME").unwrap_or_default().to_owned()
}

fn size(node: Node<'_, '_>) -> Option<u32> {
    node.attribute("ARRAYSIZE")?.parse().ok()
}

fn reference(node: Node<'_, '_>) -> Option<String> {
    node.attribute("REFERENCECLASS").map(str::to_owned)
}

fn flag(node: Node<'_, '_>, name: &str) -> Option<bool> {
    let text = node.attribute(name)?;
    Some(text.eq_ignore_ascii_case("true"))
}
