//! Classes: what a MOF file declares and what an instance has to look like.

use crate::{Type, Value};

/// A class. From [`crate::mof::read`] it holds what is declared; from a [`crate::Repository`] also what it inherits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// Namespace in canonical form; empty until the class is in a repository.
    pub namespace: String,
    /// Name, in its declared spelling.
    pub name: String,
    /// The class it derives from.
    pub superclass: Option<String>,
    /// Qualifiers of the class itself.
    pub qualifiers: Vec<Qualifier>,
    /// Properties, inherited ones first.
    pub properties: Vec<Property>,
    /// Methods, inherited ones first.
    pub methods: Vec<Method>,
}

/// A property.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// Name, in its declared spelling.
    pub name: String,
    /// Type of the value, or of each element of an array.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The class that a reference points to.
    pub reference: Option<String>,
    /// The default, `Null` where none is declared.
    pub default: Value,
    /// Qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// The class that declared it.
    pub origin: String,
}

/// A method.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    /// Name, in its declared spelling.
    pub name: String,
    /// Type of `ReturnValue`; `None` for `void`.
    pub returns: Option<Type>,
    /// Parameters, in order.
    pub parameters: Vec<Parameter>,
    /// Qualifiers.
    pub qualifiers: Vec<Qualifier>,
    /// The class that declared it.
    pub origin: String,
}

/// A parameter of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Name, in its declared spelling.
    pub name: String,
    /// Type of the value, or of each element of an array.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The class that a reference points to.
    pub reference: Option<String>,
    /// Qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// A qualifier: a named remark on a class, property, method or parameter (DSP0004 5.6).
#[derive(Clone, Debug, PartialEq)]
pub struct Qualifier {
    /// Name, in its declared spelling.
    pub name: String,
    /// Its value; a qualifier without one is `true`.
    pub value: Value,
    /// Flavours in lower case, such as `tosubclass` and `disableoverride`.
    pub flavors: Vec<String>,
}

impl Class {
    /// The property of that name, compared without case.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// The method of that name, compared without case.
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.iter().find(|m| m.name.eq_ignore_ascii_case(name))
    }

    /// The properties that name an instance, in declared order.
    pub fn keys(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|p| p.is_key())
    }
}

impl Property {
    /// Whether it is part of the instance's name.
    pub fn is_key(&self) -> bool {
        is_set(&self.qualifiers, "key")
    }
}

impl Method {
    /// The parameter of that name, compared without case.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }

    /// Whether it is called on the class rather than on an instance.
    pub fn is_static(&self) -> bool {
        is_set(&self.qualifiers, "static")
    }
}

impl Parameter {
    /// Whether the caller gives it. Without a qualifier that says otherwise, it does (DSP0004 5.6.3.21).
    pub fn is_in(&self) -> bool {
        match qualifier(&self.qualifiers, "in") {
            Some(q) => q.value == Value::Boolean(true),
            None => !self.is_out(),
        }
    }

    /// Whether the method gives it back.
    pub fn is_out(&self) -> bool {
        is_set(&self.qualifiers, "out")
    }
}

/// The qualifier of that name, compared without case.
pub fn qualifier<'a>(list: &'a [Qualifier], name: &str) -> Option<&'a Qualifier> {
    list.iter().find(|q| q.name.eq_ignore_ascii_case(name))
}

/// Whether the qualifier of that name is there and true.
pub fn is_set(list: &[Qualifier], name: &str) -> bool {
    qualifier(list, name).is_some_and(|q| q.value == Value::Boolean(true))
}
