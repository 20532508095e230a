//! Instances and values as XML (DSP0230 7, MS-WSMV 3.1.4.1.26), in both directions.

use crate::names::{self, ANONYMOUS};
use crate::xml::Xml;
use crate::{Family, Input, read};
use openrdms_cim::{Class, Instance, ObjectPath, Repository, Type, Value};
use roxmltree::Node;

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// How classes are named.
    pub(crate) family: Family,
    /// Whether null arrays are marked as such.
    pub(crate) precise_arrays: bool,
}

impl Style {
    /// An instance as an element, its properties in the order of the alphabet as Windows has them. What the
    /// class declares and the instance lacks is null.
    pub(crate) fn instance(self, xml: &mut Xml, repository: &Repository, instance: &Instance) {
        let uri = self.family.uri(&instance.namespace, &instance.class);
        let class = repository.class(&instance.namespace, &instance.class).ok();
        let ty = format!("p:{}_Type", instance.class);
        xml.element(&format!("p:{}", instance.class), &[("xmlns:p", &uri), ("xsi:type", &ty)], |xml| {
            self.properties(xml, "p", class, instance);
        });
    }

    /// An endpoint reference of an instance.
    pub(crate) fn endpoint_reference(self, xml: &mut Xml, repository: &Repository, instance: &Instance) {
        let path = match repository.class(&instance.namespace, &instance.class) {
            Ok(class) => instance.path(class),
            Err(_) => ObjectPath::class(&instance.namespace, &instance.class),
        };
        xml.element("a:EndpointReference", &[], |xml| self.reference(xml, &path));
    }

    /// Some properties of an instance, as a query gives them.
    pub(crate) fn projected(self, xml: &mut Xml, instance: &Instance, properties: &[(String, Value)]) {
        let uri = self.family.uri(&instance.namespace, &instance.class);
        let ty = format!("p:{}_Type", instance.class);
        xml.element("w:XmlFragment", &[("xmlns:p", &uri), ("xsi:type", &ty)], |xml| {
            for (name, value) in properties {
                self.value(
                    xml,
                    &format!("p:{}", element_name(name)),
                    value,
                    matches!(value, Value::Array(_)),
                );
            }
        });
    }

    /// A value without an element around it; several are separated by nothing.
    pub(crate) fn text(self, xml: &mut Xml, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.text(xml, item)),
            value => xml.text(&plain(value)),
        }
    }

    /// A named value: a parameter or property.
    pub(crate) fn value(self, xml: &mut Xml, name: &str, value: &Value, array: bool) {
        match value {
            Value::Null if array && self.precise_arrays => {
                xml.empty(name, &[("xsi:nil", "true"), ("xmlns:m", names::WSMV), ("m:IsNullArray", "true")]);
            }
            // One self-closed element: anything longer is an empty string to OMI's client.
            Value::Null => xml.empty(name, &[("xsi:nil", "true")]),
            Value::Array(items) => {
                for item in items.iter().filter(|item| !item.is_null()) {
                    self.value(xml, name, item, false);
                }
            }
            Value::Datetime { .. } => {
                xml.element(name, &[], |xml| xml.leaf("cim:Datetime", &[], &plain(value)))
            }
            Value::Interval(_) => xml.element(name, &[], |xml| xml.leaf("cim:Interval", &[], &plain(value))),
            // XML Schema has no time with unknown digits: DSP0230 then takes the CIM form.
            Value::PartialTime(_) => {
                xml.element(name, &[], |xml| xml.leaf("cim:CIM_DateTime", &[], &plain(value)))
            }
            Value::Reference(path) => xml.element(name, &[], |xml| self.reference(xml, path)),
            Value::Object(instance) => {
                let uri = self.family.uri(&instance.namespace, &instance.class);
                // another prefix than the property's own, which is in the namespace of what holds it
                let prefix = if name.starts_with("q:") { "p" } else { "q" };
                let ty = format!("{prefix}:{}_Type", instance.class);
                let declared = format!("xmlns:{prefix}");
                xml.element(name, &[(&declared, &uri), ("xsi:type", &ty)], |xml| {
                    self.properties(xml, prefix, None, instance);
                });
            }
            _ => xml.leaf(name, &[], &plain(value)),
        }
    }

    fn properties(self, xml: &mut Xml, prefix: &str, class: Option<&Class>, instance: &Instance) {
        let mut names: Vec<(&str, bool)> = match class {
            Some(class) => class.properties.iter().map(|p| (p.name.as_str(), p.array)).collect(),
            None => {
                instance.properties.iter().map(|(n, v)| (n.as_str(), matches!(v, Value::Array(_)))).collect()
            }
        };
        names.sort_by_key(|(name, _)| name.to_ascii_lowercase());
        for (name, array) in names {
            self.value(xml, &format!("{prefix}:{name}"), instance.get(name), array);
        }
    }

    /// What is in an endpoint reference; a property holds it without the wrapper. Keys first, the namespace
    /// last, as Windows has it.
    pub(crate) fn reference(self, xml: &mut Xml, path: &ObjectPath) {
        xml.leaf("a:Address", &[], ANONYMOUS);
        xml.element("a:ReferenceParameters", &[], |xml| {
            xml.leaf("w:ResourceURI", &[], &self.family.uri(&path.namespace, &path.class));
            selector_set(xml, path);
        });
    }
}

/// A `w:SelectorSet` with the keys and the namespace of `path`.
pub(crate) fn selector_set(xml: &mut Xml, path: &ObjectPath) {
    xml.element("w:SelectorSet", &[], |xml| {
        for (name, value) in &path.keys {
            xml.leaf("w:Selector", &[("Name", name)], &plain(value));
        }
        xml.leaf("w:Selector", &[("Name", names::NAMESPACE_SELECTOR)], &path.namespace);
    });
}

/// A name that an element may have, of what a query calls a property: `Tags[0]`, `Owner.Name`.
fn element_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "_.-".contains(c) { c } else { '_' }).collect()
}

fn plain(value: &Value) -> String {
    value.text().unwrap_or_default()
}

/// Reads the element of an instance. Where `class` is known, names and types are those it declares;
/// else a value is a string, and an array where the element comes more than once.
pub(crate) fn read_instance<'a>(node: Node<'a, 'a>, namespace: &str, class: Option<&Class>) -> Instance {
    let known = class.map(|class| {
        class.properties.iter().map(|p| (p.name.clone(), read_value(node, &p.name, p.ty, p.array))).collect()
    });
    let properties = known.unwrap_or_else(|| {
        let mut list: Vec<(String, Value)> = Vec::new();
        for child in read::children(node) {
            let name = child.tag_name().name();
            if !list.iter().any(|(n, _)| n == name) {
                let many = read::children(node).filter(|n| n.tag_name().name() == name).count() > 1;
                list.push((name.to_owned(), read_value(node, name, Type::String, many)));
            }
        }
        list
    });
    let name = class.map_or_else(|| node.tag_name().name().to_owned(), |c| c.name.clone());
    Instance { class: name, namespace: namespace.to_owned(), properties }
}

/// Reads the children of `parent` called `name` as one value. What does not fit its type is kept as text.
pub(crate) fn read_value<'a>(parent: Node<'a, 'a>, name: &str, ty: Type, array: bool) -> Value {
    let mut found =
        read::children(parent).filter(|n| n.tag_name().name().eq_ignore_ascii_case(name)).map(|n| {
            match Input::read(n) {
                Input::Null => Value::Null,
                Input::Text(text) => Value::parse(ty, &text).unwrap_or(Value::String(text)),
                Input::Reference(path) => Value::Reference(Box::new(path)),
                Input::Object => Value::Object(Box::new(read_instance(n, "", None))),
            }
        });
    if !array {
        return found.next().unwrap_or(Value::Null);
    }
    match found.collect::<Vec<_>>().as_slice() {
        [Value::Null] => Value::Null,
        items => Value::Array(items.to_vec()),
    }
}
