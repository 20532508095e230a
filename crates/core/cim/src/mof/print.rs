//! Writes MOF that [`super::read`] reads back to the same, wrapped for people.
//!
//! A class is written with what it declares itself; what it inherits stands in its superclass. Names that no MOF can
//! hold are bent until they are names, so that nothing that a server sends can be taken for something else.

mod values;

use super::Reading;
use crate::class::qualifier;
use crate::{Class, Instance, Method, Parameter, Property, Qualifier, QualifierType, Type, Value};

/// Where lines end, if they can.
const WIDTH: usize = 100;
const STEP: usize = 4;

/// All that a reading holds: qualifier declarations, classes, instances, each under its namespace. What comes from a
/// text in this order and without a warning reads back to the same. Of any other text it settles after one round: a
/// declaration may have moved before its use, and a reference that nobody declares become a text.
pub fn reading(reading: &Reading) -> String {
    let mut printer = Printer::default();
    let mut namespace = "";
    for declared in &reading.qualifiers {
        printer.enter(&mut namespace, &declared.namespace);
        printer.qualifier_type(declared);
    }
    for class in &reading.classes {
        printer.enter(&mut namespace, &class.namespace);
        printer.class(class);
        printer.out.push('\n');
    }
    for instance in &reading.instances {
        printer.enter(&mut namespace, &instance.namespace);
        printer.instance(instance, 0);
        printer.out.push_str(";\n\n");
    }
    printer.out
}

/// A class, with a line break at its end.
pub fn class(class: &Class) -> String {
    let mut printer = Printer::default();
    printer.class(class);
    printer.out
}

/// An instance, with a line break at its end.
pub fn instance(instance: &Instance) -> String {
    let mut printer = Printer::default();
    printer.instance(instance, 0);
    printer.out + ";\n"
}

/// The declaration of a qualifier, with a line break at its end.
pub fn qualifier_type(declared: &QualifierType) -> String {
    let mut printer = Printer::default();
    printer.qualifier_type(declared);
    printer.out
}

#[derive(Default)]
struct Printer {
    out: String,
}

impl Printer {
    /// Tells the namespace of what follows, where it is another than before.
    fn enter<'a>(&mut self, now: &mut &'a str, next: &'a str) {
        if *now != next {
            *now = next;
            let path = format!(r"\\.\{}", next.replace('/', r"\"));
            self.out.push_str("#pragma namespace(");
            self.string(if next.is_empty() { next } else { &path });
            self.out.push_str(")\n\n");
        }
    }

    fn class(&mut self, class: &Class) {
        let own = |origin: &str| origin.is_empty() || origin.eq_ignore_ascii_case(&class.name);
        if self.qualifiers(&class.qualifiers, 0) {
            self.line(0);
        }
        self.out.push_str("class ");
        self.name(&class.name);
        if let Some(superclass) = &class.superclass {
            self.out.push_str(" : ");
            self.name(superclass);
        }
        self.out.push_str("\n{");
        for property in class.properties.iter().filter(|p| own(&p.origin)) {
            self.line(STEP);
            self.property(property);
        }
        for method in class.methods.iter().filter(|m| own(&m.origin)) {
            self.line(STEP);
            self.method(method);
        }
        self.out.push_str("\n};\n");
    }

    fn property(&mut self, property: &Property) {
        let Property { name, ty, array, size, reference, default, qualifiers, .. } = property;
        if self.qualifiers(qualifiers, STEP) {
            self.line(STEP);
        }
        self.typed(name, *ty, reference.as_deref(), qualifiers);
        self.array(*array, *size);
        if !default.is_null() {
            self.out.push_str(" = ");
            self.value(default, STEP);
        }
        self.out.push(';');
    }

    fn method(&mut self, method: &Method) {
        if self.qualifiers(&method.qualifiers, STEP) {
            self.line(STEP);
        }
        self.out.push_str(match method.returns {
            None => "void",
            // of which class is not kept
            Some(Type::Reference) => "object ref",
            Some(ty) => ty.name(),
        });
        self.out.push(' ');
        self.name(&method.name);
        self.out.push('(');
        for (i, parameter) in method.parameters.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.line(2 * STEP);
            self.parameter(parameter);
        }
        self.out.push_str(");");
    }

    fn parameter(&mut self, parameter: &Parameter) {
        let Parameter { name, ty, array, size, reference, qualifiers } = parameter;
        if self.qualifiers(qualifiers, 2 * STEP) {
            // Short ones stand on the line of their parameter.
            match self.column() + name.len() + STEP * STEP > WIDTH {
                true => self.line(2 * STEP),
                false => self.out.push(' '),
            }
        }
        self.typed(name, *ty, reference.as_deref(), qualifiers);
        self.array(*array, *size);
    }

    fn qualifier_type(&mut self, declared: &QualifierType) {
        let QualifierType { name, ty, array, size, default, scope, flavors, .. } = declared;
        self.out.push_str("Qualifier ");
        self.name(name);
        self.out.push_str(" : ");
        self.out.push_str(ty.name());
        self.array(*array, *size);
        if !default.is_null() {
            self.out.push_str(" = ");
            self.value(default, STEP);
        }
        if !scope.is_empty() {
            let scope = scope.iter().map(|word| plain(word)).collect::<Vec<_>>().join(", ");
            self.out.push_str(&format!(",\n    Scope({scope})"));
        }
        if !flavors.is_empty() {
            let flavors = flavors.iter().map(|word| flavor(word)).collect::<Vec<_>>().join(", ");
            self.out.push_str(&format!(",\n    Flavor({flavors})"));
        }
        self.out.push_str(";\n\n");
    }

    /// Without the semicolon.
    fn instance(&mut self, instance: &Instance, indent: usize) {
        self.out.push_str("instance of ");
        self.name(&instance.class);
        self.line(indent);
        self.out.push('{');
        for (name, value) in &instance.properties {
            self.line(indent + STEP);
            self.name(name);
            self.out.push_str(" = ");
            self.value(value, indent + STEP);
            self.out.push(';');
        }
        self.line(indent);
        self.out.push('}');
    }

    /// `[A, B(1) : Flavor]`; on one line where they fit, else one a line. `false` where there are none to write.
    fn qualifiers(&mut self, list: &[Qualifier], indent: usize) -> bool {
        let own: Vec<&Qualifier> = list.iter().filter(|q| !q.propagated).collect();
        if own.is_empty() {
            return false;
        }
        let before = self.out.len();
        let column = self.column();
        self.listed(&own, None);
        if self.out.get(before..).is_some_and(|text| text.contains('\n') || column + text.len() > WIDTH) {
            self.out.truncate(before);
            self.listed(&own, Some(indent + 1));
        }
        true
    }

    /// One qualifier after the other, each on a line of its own where `indent` says so.
    fn listed(&mut self, list: &[&Qualifier], indent: Option<usize>) {
        self.out.push('[');
        for (i, qualifier) in list.iter().enumerate() {
            match (i, indent) {
                (0, _) => {}
                (_, None) => self.out.push_str(", "),
                (_, Some(indent)) => {
                    self.out.push(',');
                    self.line(indent);
                }
            }
            self.qualifier(qualifier, indent.unwrap_or(STEP));
            // It will not do; to go on would make one line of a text that may be long.
            if indent.is_none() && self.column() > WIDTH {
                return;
            }
        }
        self.out.push(']');
    }

    fn qualifier(&mut self, qualifier: &Qualifier, indent: usize) {
        self.name(&qualifier.name);
        match &qualifier.value {
            Value::Boolean(true) => {}
            value @ Value::Array(_) => self.value(value, indent + STEP),
            value => {
                self.out.push('(');
                self.value(value, indent + STEP);
                self.out.push(')');
            }
        }
        for (i, word) in qualifier.flavors.iter().enumerate() {
            self.out.push_str(if i == 0 { " : " } else { " " });
            self.out.push_str(&flavor(word));
        }
    }

    /// The type and the name.
    fn typed(&mut self, name: &str, ty: Type, reference: Option<&str>, qualifiers: &[Qualifier]) {
        let described =
            ["embeddedinstance", "embeddedobject"].iter().any(|q| qualifier(qualifiers, q).is_some());
        match (ty, reference) {
            (Type::Reference, class) => {
                self.name(class.unwrap_or("object"));
                self.out.push_str(" ref");
            }
            (Type::Object, _) if described => self.out.push_str(Type::String.name()),
            (Type::Object, Some(class)) => self.name(class),
            (ty, _) => self.out.push_str(ty.name()),
        }
        self.out.push(' ');
        self.name(name);
    }

    fn array(&mut self, array: bool, size: Option<u32>) {
        match (array, size) {
            (true, Some(size)) => self.out.push_str(&format!("[{size}]")),
            (true, None) => self.out.push_str("[]"),
            (false, _) => {}
        }
    }

    fn name(&mut self, name: &str) {
        let name = plain(name);
        self.out.push_str(&name);
    }

    fn line(&mut self, indent: usize) {
        self.out.push('\n');
        self.out.push_str(&" ".repeat(indent));
    }

    /// How many bytes the last line has: near enough to its characters.
    fn column(&self) -> usize {
        self.out.len() - self.out.rfind('\n').map_or(0, |at| at + 1)
    }
}

/// The flavour in its usual spelling.
fn flavor(word: &str) -> String {
    let usual = [
        "EnableOverride",
        "DisableOverride",
        "Restricted",
        "ToSubclass",
        "ToInstance",
        "Translatable",
        "Amended",
    ];
    usual
        .iter()
        .find(|name| name.eq_ignore_ascii_case(word))
        .map_or_else(|| plain(word), |name| (*name).to_owned())
}

fn plain(name: &str) -> String {
    let bent: String = name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if bent.starts_with(|c: char| c.is_alphabetic() || c == '_') { bent } else { format!("_{bent}") }
}
