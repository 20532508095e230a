//! Instances and values as XML (DSP0230 7, MS-WSMV 3.1.4.1.26), in both directions.

use crate::names::{self, ANONYMOUS};
use crate::xml::Xml;
use crate::{Family, Input, read};
use openrdms_cim::{Class, Instance, ObjectPath, Repository, Type, Value};
use roxmltree::Node;
use std::borrow::Cow;
use std::collections::HashMap;

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// How classes are named.
    pub(crate) family: Family,
    /// Whether null arrays are marked as such.
    pub(crate) precise_arrays: bool,
}

/// How the instances of one class are written: worked out once for all of a listing.
pub(crate) struct Layout<'a> {
    style: Style,
    /// `None`: the repository does not have it, and each instance says by itself what there is.
    class: Option<&'a Class>,
    element: String,
    uri: String,
    ty: String,
    /// In the order of the alphabet.
    properties: Vec<Slot>,
}

/// The place of a property: its name, that of its element, and whether it is an array.
struct Slot {
    name: String,
    element: String,
    array: bool,
}

impl<'a> Layout<'a> {
    /// For instances of the class that `instance` is of.
    pub(crate) fn of(style: Style, repository: &'a Repository, instance: &Instance) -> Self {
        let class = repository.class(&instance.namespace, &instance.class).ok();
        Self {
            style,
            class,
            element: format!("p:{}", instance.class),
            uri: style.family.uri(&instance.namespace, &instance.class),
            ty: format!("p:{}_Type", instance.class),
            properties: slots("p", class, instance),
        }
    }

    /// Whether it is also for this instance.
    pub(crate) fn fits(&self, instance: &Instance) -> bool {
        self.class.is_some_and(|c| c.name == instance.class && c.namespace == instance.namespace)
    }

    /// An instance as an element, its properties in the order of the alphabet as Windows has them. What the
    /// class declares and the instance lacks is null.
    pub(crate) fn write(&self, xml: &mut Xml, instance: &Instance) {
        xml.element(&self.element, &[("xmlns:p", &self.uri), ("xsi:type", &self.ty)], |xml| {
            self.style.properties(xml, &self.properties, instance);
        });
    }
}

/// For the properties of a class, or where it is unknown those that the instance has.
fn slots(prefix: &str, class: Option<&Class>, instance: &Instance) -> Vec<Slot> {
    let slot = |name: &str, array| Slot { name: name.to_owned(), element: format!("{prefix}:{name}"), array };
    let mut slots: Vec<_> = match class {
        Some(class) => class.properties.iter().map(|p| slot(&p.name, p.array)).collect(),
        None => {
            instance.properties.iter().map(|(name, v)| slot(name, matches!(v, Value::Array(_)))).collect()
        }
    };
    slots.sort_by_key(|slot| slot.name.to_ascii_lowercase());
    slots
}

impl Style {
    /// One instance; see [`Layout::write`].
    pub(crate) fn instance(self, xml: &mut Xml, repository: &Repository, instance: &Instance) {
        Layout::of(self, repository, instance).write(xml, instance);
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
                    self.properties(xml, &slots(prefix, None, instance), instance);
                });
            }
            _ => xml.leaf(name, &[], &plain(value)),
        }
    }

    fn properties(self, xml: &mut Xml, slots: &[Slot], instance: &Instance) {
        for slot in slots {
            self.value(xml, &slot.element, instance.get(&slot.name), slot.array);
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

fn plain(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        value => Cow::Owned(value.text().unwrap_or_default()),
    }
}

/// Reads the element of an instance. Where `class` is known, names and types are those it declares;
/// else a value is a string, and an array where the element comes more than once.
pub(crate) fn read_instance<'a>(node: Node<'a, 'a>, namespace: &str, class: Option<&Class>) -> Instance {
    let members = Members::of(node);
    let properties = match class {
        Some(class) => {
            class.properties.iter().map(|p| (p.name.clone(), members.value(&p.name, p.ty, p.array))).collect()
        }
        None => members.all().map(|(name, nodes)| (name.to_owned(), read_loose(nodes))).collect(),
    };
    let name = class.map_or_else(|| node.tag_name().name().to_owned(), |c| c.name.clone());
    Instance { class: name, namespace: namespace.to_owned(), properties }
}

/// The child elements of a node by their names, which are compared without case. They are put in order in one pass: a
/// server may send any number of them, in as many spellings and as deep as it likes, and each is read once.
pub(crate) struct Members<'a> {
    /// Names as they are first spelt, in the order of the message.
    list: Vec<(&'a str, Vec<Node<'a, 'a>>)>,
    places: HashMap<String, usize>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(node: Node<'a, 'a>) -> Self {
        let (mut list, mut places) = (Vec::<(&str, Vec<_>)>::new(), HashMap::new());
        for child in read::children(node) {
            let name = child.tag_name().name();
            let at = *places.entry(name.to_ascii_lowercase()).or_insert(list.len());
            match list.get_mut(at) {
                Some((_, nodes)) => nodes.push(child),
                None => list.push((name, vec![child])),
            }
        }
        Self { list, places }
    }

    /// The elements of that name.
    pub(crate) fn named(&self, name: &str) -> &[Node<'a, 'a>] {
        let at = self.places.get(&name.to_ascii_lowercase());
        at.and_then(|at| self.list.get(*at)).map_or(&[], |(_, nodes)| nodes)
    }

    /// The elements of that name as one value of that type. What does not fit its type is kept as text.
    pub(crate) fn value(&self, name: &str, ty: Type, array: bool) -> Value {
        let nodes = self.named(name);
        if !array {
            return nodes.first().map_or(Value::Null, |node| read_one(*node, ty));
        }
        match nodes.iter().map(|node| read_one(*node, ty)).collect::<Vec<_>>() {
            items if matches!(items.as_slice(), [Value::Null]) => Value::Null,
            items => Value::Array(items),
        }
    }

    fn all(&self) -> impl Iterator<Item = (&'a str, &[Node<'a, 'a>])> {
        self.list.iter().map(|(name, nodes)| (*name, nodes.as_slice()))
    }
}

/// Elements of one name whose type nobody knows.
fn read_loose<'a>(nodes: &[Node<'a, 'a>]) -> Value {
    match nodes {
        [node] => read_one(*node, Type::String),
        many => Value::Array(many.iter().map(|node| read_one(*node, Type::String)).collect()),
    }
}

fn read_one<'a>(node: Node<'a, 'a>, ty: Type) -> Value {
    match Input::read(node) {
        Input::Null => Value::Null,
        Input::Text(text) => Value::parse(ty, &text).unwrap_or(Value::String(text)),
        Input::Reference(path) => Value::Reference(Box::new(path)),
        Input::Object => Value::Object(Box::new(read_instance(node, "", None))),
    }
}
