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
    /// The length of an array that has a fixed one.
    pub size: Option<u32>,
    /// The class that a reference points to, or that an embedded object is of.
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
    /// The length of an array that has a fixed one.
    pub size: Option<u32>,
    /// The class that a reference points to, or that an embedded object is of.
    pub reference: Option<String>,
    /// Qualifiers.
    pub qualifiers: Vec<Qualifier>,
}

/// A qualifier: a named remark on a class, property, method or parameter (DSP0004 5.6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Qualifier {
    /// Name, in its declared spelling.
    pub name: String,
    /// Its value; a boolean qualifier without one is `true`, any other is null.
    pub value: Value,
    /// Flavours that stand at this place, in lower case, such as `tosubclass` and `disableoverride`.
    pub flavors: Vec<String>,
    /// Whether it comes from the superclass and is not given anew.
    pub propagated: bool,
}

/// The declaration of a qualifier: its type, where it may stand, and the flavours it has unless others are given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QualifierType {
    /// Namespace in canonical form; empty until it is in a repository.
    pub namespace: String,
    /// Name, in its declared spelling.
    pub name: String,
    /// Type of the value, or of each element of an array.
    pub ty: Type,
    /// Whether it is an array.
    pub array: bool,
    /// The length of an array that has a fixed one.
    pub size: Option<u32>,
    /// The value where the qualifier is not given; `Null` where none is declared.
    pub default: Value,
    /// Where it may stand, in lower case: `class`, `property`, `method`, `any` and so on.
    pub scope: Vec<String>,
    /// Flavours, in lower case.
    pub flavors: Vec<String>,
}

/// What the flavours of a qualifier come to (DSP0004 5.6.1.2, MS-WSMV's WMI flavours).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flavors {
    /// Passes on to subclasses.
    pub to_subclass: bool,
    /// Passes on to instances.
    pub to_instance: bool,
    /// A subclass may give it another value.
    pub overridable: bool,
    /// The text may be translated.
    pub translatable: bool,
}

/// The flavours of a qualifier that says nothing else (DSP0004 5.6.1.2).
impl Default for Flavors {
    fn default() -> Self {
        Self { to_subclass: true, to_instance: false, overridable: true, translatable: false }
    }
}

impl Flavors {
    /// These, changed by what `words` say. Words in lower case; those that are unknown change nothing.
    #[must_use]
    pub fn with(mut self, words: &[String]) -> Self {
        for word in words {
            match word.as_str() {
                "tosubclass" => self.to_subclass = true,
                "restricted" => self.to_subclass = false,
                "toinstance" => self.to_instance = true,
                "enableoverride" => self.overridable = true,
                "disableoverride" => self.overridable = false,
                "translatable" | "amended" => self.translatable = true,
                _ => {}
            }
        }
        self
    }
}

impl Class {
    /// Whether it may have no instances of its own.
    pub fn is_abstract(&self) -> bool {
        is_set(&self.qualifiers, "abstract")
    }

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

    /// Whether it changes nothing, as a qualifier of ours says.
    pub fn only_reads(&self) -> bool {
        is_set(&self.qualifiers, "OpenRDMS_Reads")
    }

    /// Whether it heeds the options by which a caller says whose session is meant, as a qualifier of ours says.
    pub fn expects(&self) -> bool {
        is_set(&self.qualifiers, "OpenRDMS_Expects")
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
