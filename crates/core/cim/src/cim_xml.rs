//! Classes as CIM-XML (DSP0201), the form in which WS-Management clients fetch a schema (MS-WSMV 3.1.4.1.38).
//!
//! One class is one `CLASS` element in no namespace and without white space between elements. Beside what
//! DSP0201 asks for it carries what Windows sends and its clients read: `DERIVATION`, and on each parameter of
//! a method the qualifiers `ID` (its place, from 0) and `IN` or `OUT`.

use crate::class::{is_set, qualifier};
use crate::value::time;
use crate::{Class, Flavors, Method, ObjectPath, Parameter, Property, Qualifier, Repository, Type, Value};

/// What to tell of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The qualifiers, those that tell keys and directions of parameters too.
    pub include_qualifiers: bool,
    /// Which class declared a property or method.
    pub include_class_origin: bool,
    /// Also what the class has from its superclass.
    pub include_inherited_elements: bool,
    /// The names of all classes that it derives from.
    pub include_inheritance_hierarchy: bool,
}

/// Everything, as the CIM cmdlets of PowerShell ask for it.
impl Default for Options {
    fn default() -> Self {
        Self {
            include_qualifiers: true,
            include_class_origin: true,
            include_inherited_elements: true,
            include_inheritance_hierarchy: true,
        }
    }
}

/// The `CLASS` element of a class of `repository`.
pub fn class(repository: &Repository, class: &Class, options: Options) -> String {
    let mut writer = Writer { repository, class, options, out: String::new() };
    writer.class();
    writer.out
}

struct Writer<'a> {
    repository: &'a Repository,
    class: &'a Class,
    options: Options,
    out: String,
}

type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Writer<'_> {
    fn class(&mut self) {
        let class = self.class;
        let derivation: Vec<&str> = self.repository.derivation(class).map(|c| c.name.as_str()).collect();
        let derivation = derivation.join(",");
        let mut attributes = vec![("NAME", class.name.as_str())];
        attributes.extend(class.superclass.as_deref().map(|name| ("SUPERCLASS", name)));
        if self.options.include_inheritance_hierarchy && !derivation.is_empty() {
            attributes.push(("DERIVATION", &derivation));
        }
        self.element("CLASS", &attributes, |w| {
            w.qualifiers(&class.qualifiers);
            for property in &class.properties {
                if w.tells(&property.origin) {
                    w.property(property);
                }
            }
            for method in &class.methods {
                if w.tells(&method.origin) {
                    w.method(method);
                }
            }
        });
    }

    fn property(&mut self, property: &Property) {
        let (size, origin) = (property.size.map(|n| n.to_string()), self.origin(&property.origin));
        let mut attributes = vec![("NAME", property.name.as_str())];
        let element = match (property.ty, property.array) {
            (Type::Reference, false) => "PROPERTY.REFERENCE",
            (ty, array) => {
                attributes.push(("TYPE", type_name(ty)));
                attributes.extend(embedded(ty, &property.qualifiers));
                if array { "PROPERTY.ARRAY" } else { "PROPERTY" }
            }
        };
        if property.ty == Type::Reference {
            attributes.extend(property.reference.as_deref().map(|class| ("REFERENCECLASS", class)));
        }
        attributes.extend(size.as_deref().map(|size| ("ARRAYSIZE", size)));
        attributes.extend(origin);
        attributes.push(("PROPAGATED", self.propagated(&property.origin)));
        self.element(element, &attributes, |w| {
            w.qualifiers(&property.qualifiers);
            w.value(&property.default);
        });
    }

    fn method(&mut self, method: &Method) {
        let mut attributes = vec![("NAME", method.name.as_str())];
        attributes.extend(method.returns.map(|ty| ("TYPE", type_name(ty))));
        attributes.extend(self.origin(&method.origin));
        attributes.push(("PROPAGATED", self.propagated(&method.origin)));
        self.element("METHOD", &attributes, |w| {
            w.qualifiers(&method.qualifiers);
            for (place, parameter) in method.parameters.iter().enumerate() {
                w.parameter(place, parameter);
            }
        });
    }

    fn parameter(&mut self, place: usize, parameter: &Parameter) {
        let size = parameter.size.map(|n| n.to_string());
        let mut attributes = vec![("NAME", parameter.name.as_str())];
        if parameter.ty == Type::Reference {
            attributes.extend(parameter.reference.as_deref().map(|class| ("REFERENCECLASS", class)));
        } else {
            attributes.push(("TYPE", type_name(parameter.ty)));
            attributes.extend(embedded(parameter.ty, &parameter.qualifiers));
        }
        attributes.extend(size.as_deref().map(|size| ("ARRAYSIZE", size)));
        let element = match (parameter.ty, parameter.array) {
            (Type::Reference, false) => "PARAMETER.REFERENCE",
            (Type::Reference, true) => "PARAMETER.REFARRAY",
            (_, true) => "PARAMETER.ARRAY",
            (_, false) => "PARAMETER",
        };
        let mut qualifiers = parameter.qualifiers.clone();
        let mut add = |name: &str, value: Value| {
            if qualifier(&qualifiers, name).is_none() {
                let flavors = vec!["disableoverride".to_owned(), "toinstance".to_owned()];
                qualifiers.push(Qualifier { name: name.to_owned(), value, flavors, propagated: false });
            }
        };
        add("ID", Value::Sint32(i32::try_from(place).unwrap_or(i32::MAX)));
        if parameter.is_in() {
            add("IN", true.into());
        }
        if parameter.is_out() {
            add("OUT", true.into());
        }
        self.element(element, &attributes, |w| w.qualifiers(&qualifiers));
    }

    fn qualifiers(&mut self, list: &[Qualifier]) {
        if !self.options.include_qualifiers {
            return;
        }
        let local = !self.options.include_inherited_elements;
        for qualifier in list.iter().filter(|q| !(local && q.propagated)) {
            let flavors = self.repository.flavors(&self.class.namespace, qualifier);
            let Flavors { to_subclass, to_instance, overridable, translatable } = flavors;
            let mut attributes = vec![
                ("NAME", qualifier.name.as_str()),
                ("TYPE", type_name(self.repository.qualifier_value_type(&self.class.namespace, qualifier))),
                ("PROPAGATED", truth(qualifier.propagated)),
                ("OVERRIDABLE", truth(overridable)),
                ("TOSUBCLASS", truth(to_subclass)),
                ("TOINSTANCE", truth(to_instance)),
            ];
            if translatable {
                attributes.push(("TRANSLATABLE", "true"));
            }
            self.element("QUALIFIER", &attributes, |w| w.value(&qualifier.value));
        }
    }

    /// Null is the absence of a value. An embedded object as a default has no form here and is left out.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Object(_) => {}
            Value::Reference(path) => self.element("VALUE.REFERENCE", &[], |w| w.path(path)),
            Value::Array(items) => self.element("VALUE.ARRAY", &[], |w| {
                for item in items {
                    match item {
                        Value::Null => w.element("VALUE.NULL", &[], |_| {}),
                        item => w.value(item),
                    }
                }
            }),
            simple => {
                let text = text(simple);
                self.element("VALUE", &[], |w| escape(&mut w.out, &text));
            }
        }
    }

    fn path(&mut self, path: &ObjectPath) {
        if path.keys.is_empty() {
            return self.element("CLASSNAME", &[("NAME", &path.class)], |_| {});
        }
        self.element("INSTANCENAME", &[("CLASSNAME", &path.class)], |w| {
            for (name, value) in &path.keys {
                w.element("KEYBINDING", &[("NAME", name)], |w| match value {
                    Value::Reference(_) => w.value(value),
                    value => {
                        let kind = match value {
                            Value::Boolean(_) => "boolean",
                            value if value.as_int().is_some() => "numeric",
                            _ => "string",
                        };
                        w.element("KEYVALUE", &[("VALUETYPE", kind)], |w| escape(&mut w.out, &text(value)));
                    }
                });
            }
        });
    }

    /// Whether a property or method that `origin` declared is told of.
    fn tells(&self, origin: &str) -> bool {
        self.options.include_inherited_elements || origin.eq_ignore_ascii_case(&self.class.name)
    }

    fn origin<'o>(&self, origin: &'o str) -> Option<(&'static str, &'o str)> {
        self.options.include_class_origin.then_some(("CLASSORIGIN", origin))
    }

    fn propagated(&self, origin: &str) -> &'static str {
        truth(!origin.eq_ignore_ascii_case(&self.class.name))
    }

    fn element(&mut self, name: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Self)) {
        self.out.push('<');
        self.out.push_str(name);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(&mut self.out, value);
            self.out.push('"');
        }
        self.out.push('>');
        let before = self.out.len();
        inside(self);
        if self.out.len() == before && name != "VALUE" {
            self.out.pop();
            self.out.push_str("/>");
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }
}

fn truth(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}

/// An embedded object travels as a string (DSP0201 5.2.7).
fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Object => Type::String.name(),
        Type::Reference => "reference",
        simple => simple.name(),
    }
}

fn embedded(ty: Type, qualifiers: &[Qualifier]) -> Option<(&'static str, &'static str)> {
    let kind = if is_set(qualifiers, "embeddedobject") { "object" } else { "instance" };
    (ty == Type::Object).then_some(("EmbeddedObject", kind))
}

/// The forms of DSP0201 5.2.6.1: truth values in capitals, characters as themselves, times in 25 characters.
fn text(value: &Value) -> String {
    match value {
        Value::Boolean(flag) => truth(*flag).to_ascii_uppercase(),
        Value::Char16(unit) => char::from_u32((*unit).into()).unwrap_or('?').to_string(),
        Value::Datetime { .. } | Value::Interval(_) => time::print_cim(value).unwrap_or_default(),
        simple => simple.text().unwrap_or_default(),
    }
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As they stand they would become spaces in an attribute, and a line feed in text.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            // XML has no way to write these (MS-WSMV 3.1.4.1.25 puts a question mark too).
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
