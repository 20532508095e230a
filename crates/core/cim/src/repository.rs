//! The classes, qualifiers and instances of namespaces, with inheritance resolved.

mod inherit;

use crate::mof::{self, Context, Diagnostic, Reading};
use crate::path::canonical_namespace;
use crate::{CimError, Class, Flavors, Instance, ObjectPath, Qualifier, QualifierType, Type, Value, WmiCode};
use std::collections::BTreeMap;

/// Longest derivation of a class.
pub const MAX_DERIVATION: usize = 64;
/// Most properties and methods of all classes together, inherited ones counted in each class.
pub const MAX_FEATURES: usize = 1 << 20;

/// Namespaces and what is in them. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// By canonical name.
    namespaces: BTreeMap<String, Namespace>,
    /// Properties and methods of all classes.
    features: usize,
}

#[derive(Clone, Debug, Default)]
struct Namespace {
    /// By name in lower case.
    classes: BTreeMap<String, Class>,
    /// By name in lower case.
    qualifiers: BTreeMap<String, QualifierType>,
    /// By class in lower case, and by path in lower case.
    instances: BTreeMap<(String, String), Instance>,
}

/// Why something could not be taken in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RepositoryError {
    /// The text has errors: the first of them.
    #[error("{0}")]
    Mof(Diagnostic),
    /// A class of that name is there already.
    #[error("class {0} is declared twice")]
    Twice(String),
    /// A qualifier of that name is there already, declared otherwise.
    #[error("qualifier {0} is declared twice")]
    QualifierTwice(String),
    /// The superclass is not in the namespace, or declared only later.
    #[error("class {class} derives from {superclass}, which is not known")]
    Superclass {
        /// The class.
        class: String,
        /// What it derives from.
        superclass: String,
    },
    /// An inherited property or method comes back with another type.
    #[error("{class}.{member} differs in type from what it overrides")]
    Override {
        /// The class.
        class: String,
        /// The property or method.
        member: String,
    },
    /// A qualifier that must stay as it is comes back with another value.
    #[error("{member} changes the qualifier {qualifier}, which the superclass does not let it")]
    Fixed {
        /// The class, or the class and its property, method or parameter.
        member: String,
        /// The qualifier.
        qualifier: String,
    },
    /// More than a repository takes.
    #[error("class {0} has too many superclasses, or there are too many properties")]
    TooLarge(String),
    /// The instance does not fit its class, or is there already.
    #[error("instance of {class}: {message}")]
    Instance {
        /// The class.
        class: String,
        /// What is wrong.
        message: String,
    },
}

impl Repository {
    /// Reads a MOF text that stands alone into `namespace`, or where its pragmas say. Warnings are passed back; any
    /// error refuses the whole text.
    ///
    /// # Errors
    /// The first error in the text, or of taking it in; nothing of it is there then.
    pub fn load(&mut self, namespace: &str, text: &str) -> Result<Vec<Diagnostic>, RepositoryError> {
        let namespace = canonical_namespace(namespace);
        let context = Context { namespace: &namespace, known: Some(self), ..Context::default() };
        let reading = mof::read_with(text, context);
        self.take(&namespace, reading)
    }

    /// Takes in what was read, into `namespace` where it names none. Warnings are passed back; any error refuses it
    /// whole.
    ///
    /// # Errors
    /// The first error; nothing of it is there then.
    pub fn take(&mut self, namespace: &str, reading: Reading) -> Result<Vec<Diagnostic>, RepositoryError> {
        if let Some(error) = reading.errors().next() {
            return Err(RepositoryError::Mof(error.clone()));
        }
        let before = self.clone();
        let Reading { classes, qualifiers, instances, diagnostics } = reading;
        let into = |own: &str| if own.is_empty() { namespace.to_owned() } else { own.to_owned() };
        let taken = qualifiers.into_iter().try_for_each(|q| self.add_qualifier(&into(&q.namespace), q));
        let taken =
            taken.and_then(|()| classes.into_iter().try_for_each(|c| self.add(&into(&c.namespace), c)));
        let taken = taken
            .and_then(|()| instances.into_iter().try_for_each(|i| self.add_instance(&into(&i.namespace), i)));
        if taken.is_err() {
            *self = before;
        }
        taken.map(|()| diagnostics)
    }

    /// Takes in one class as declared; its superclass has to be there before it.
    ///
    /// # Errors
    /// Where it is there already, its superclass is not, it does not fit that, or the repository is full.
    pub fn add(&mut self, namespace: &str, mut class: Class) -> Result<(), RepositoryError> {
        let namespace = canonical_namespace(namespace);
        if self.class(&namespace, &class.name).is_ok() {
            return Err(RepositoryError::Twice(class.name));
        }
        class.namespace.clone_from(&namespace);
        if let Some(superclass) = &class.superclass {
            let base = self.class(&namespace, superclass).map_err(|_| RepositoryError::Superclass {
                class: class.name.clone(),
                superclass: superclass.clone(),
            })?;
            if self.derivation(base).count() + 2 > MAX_DERIVATION {
                return Err(RepositoryError::TooLarge(class.name));
            }
            inherit::inherit(self, &mut class, base)?;
        }
        self.features += class.properties.len() + class.methods.len();
        if self.features > MAX_FEATURES {
            return Err(RepositoryError::TooLarge(class.name));
        }
        self.namespaces.entry(namespace).or_default().classes.insert(class.name.to_ascii_lowercase(), class);
        Ok(())
    }

    /// Takes in the declaration of a qualifier. The same again changes nothing.
    ///
    /// # Errors
    /// [`RepositoryError::QualifierTwice`] where it is there with another declaration.
    pub fn add_qualifier(
        &mut self,
        namespace: &str,
        mut declared: QualifierType,
    ) -> Result<(), RepositoryError> {
        declared.namespace = canonical_namespace(namespace);
        let known = &mut self.namespaces.entry(declared.namespace.clone()).or_default().qualifiers;
        let name = declared.name.to_ascii_lowercase();
        if known.get(&name).is_some_and(|old| *old != declared) {
            return Err(RepositoryError::QualifierTwice(declared.name));
        }
        known.insert(name, declared);
        Ok(())
    }

    /// Takes in an instance of a class that is there already.
    ///
    /// # Errors
    /// [`RepositoryError::Instance`] where it does not fit its class, a key has no value, or it is there already.
    pub fn add_instance(&mut self, namespace: &str, mut instance: Instance) -> Result<(), RepositoryError> {
        instance.namespace = canonical_namespace(namespace);
        let wrong = |message: &str| RepositoryError::Instance {
            class: instance.class.clone(),
            message: message.to_owned(),
        };
        let class = self.class(&instance.namespace, &instance.class).map_err(|e| wrong(&e.message))?;
        if class.is_abstract() {
            return Err(wrong("the class is abstract"));
        }
        for (name, value) in &instance.properties {
            let property = class.property(name).ok_or_else(|| wrong(&format!("{name} is not declared")))?;
            if !fits(value, property.ty, property.array) {
                return Err(wrong(&format!("{name} is not of its type")));
            }
        }
        let path = instance.path(class);
        if let Some((name, _)) = path.keys.iter().find(|(_, value)| value.is_null()) {
            return Err(wrong(&format!("key {name} has no value")));
        }
        let place = (class.name.to_ascii_lowercase(), path.relative().to_lowercase());
        instance.class.clone_from(&class.name);
        let instances = &mut self.namespaces.entry(instance.namespace.clone()).or_default().instances;
        if instances.contains_key(&place) {
            let message = format!("{path} is there already");
            return Err(RepositoryError::Instance { class: instance.class, message });
        }
        instances.insert(place, instance);
        Ok(())
    }

    /// A class, or the error that a caller gets.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_NAMESPACE` or `WBEM_E_INVALID_CLASS`.
    pub fn class(&self, namespace: &str, name: &str) -> Result<&Class, CimError> {
        let found = self.namespaces.get(&canonical_namespace(namespace)).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_INVALID_NAMESPACE, format!("namespace {namespace} is unknown"))
        })?;
        found.classes.get(&name.to_ascii_lowercase()).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_INVALID_CLASS, format!("class {name} is unknown in {namespace}"))
        })
    }

    /// The declaration of a qualifier that was taken into the namespace.
    pub fn declared_qualifier(&self, namespace: &str, name: &str) -> Option<&QualifierType> {
        self.namespaces.get(&canonical_namespace(namespace))?.qualifiers.get(&name.to_ascii_lowercase())
    }

    /// The declaration of a qualifier: that of the namespace, else the standard's.
    pub fn qualifier_type(&self, namespace: &str, name: &str) -> Option<&QualifierType> {
        self.declared_qualifier(namespace, name).or_else(|| mof::standard(name))
    }

    /// What the flavours of a qualifier come to: those of its declaration, changed by those at its place.
    pub fn flavors(&self, namespace: &str, qualifier: &Qualifier) -> Flavors {
        let declared = self.qualifier_type(namespace, &qualifier.name);
        let flavors = declared.map_or_else(Flavors::default, |q| Flavors::default().with(&q.flavors));
        flavors.with(&qualifier.flavors)
    }

    /// The type of a qualifier's value, or of each element: as the value shows, else as it is declared.
    pub fn qualifier_value_type(&self, namespace: &str, qualifier: &Qualifier) -> Type {
        let declared = || self.qualifier_type(namespace, &qualifier.name).map(|q| q.ty);
        qualifier.value.ty().or_else(declared).unwrap_or(Type::String)
    }

    /// The namespaces, in canonical form.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(String::as_str)
    }

    /// The classes of a namespace, by name; none where it is unknown.
    pub fn classes(&self, namespace: &str) -> impl Iterator<Item = &Class> {
        self.namespaces.get(&canonical_namespace(namespace)).into_iter().flat_map(|n| n.classes.values())
    }

    /// The qualifiers that are declared in a namespace, by name.
    pub fn qualifiers(&self, namespace: &str) -> impl Iterator<Item = &QualifierType> {
        self.namespaces.get(&canonical_namespace(namespace)).into_iter().flat_map(|n| n.qualifiers.values())
    }

    /// The instances of a class itself, without those of its subclasses.
    pub fn instances(&self, class: &Class) -> impl Iterator<Item = &Instance> {
        let name = class.name.to_ascii_lowercase();
        let from = (name.clone(), String::new());
        let here = self.namespaces.get(&canonical_namespace(&class.namespace)).into_iter();
        here.flat_map(move |n| n.instances.range(from.clone()..))
            .take_while(move |((class, _), _)| *class == name)
            .map(|(_, instance)| instance)
    }

    /// The instance that a path with keys names, in whatever order and types they come.
    pub fn instance(&self, path: &ObjectPath) -> Option<&Instance> {
        let class = self.class(&path.namespace, &path.class).ok()?;
        let typed = path.typed(class).ok()?;
        let place = (class.name.to_ascii_lowercase(), typed.relative().to_lowercase());
        self.namespaces.get(&class.namespace)?.instances.get(&place)
    }

    /// Whether `class` is `base` or derives from it.
    pub fn is_a(&self, class: &Class, base: &str) -> bool {
        class.name.eq_ignore_ascii_case(base)
            || self.derivation(class).any(|class| class.name.eq_ignore_ascii_case(base))
    }

    /// The classes that `class` derives from, nearest first.
    pub fn derivation<'a>(&'a self, class: &'a Class) -> impl Iterator<Item = &'a Class> {
        let above = |class: &'a Class| {
            class.superclass.as_ref().and_then(|name| self.class(&class.namespace, name).ok())
        };
        std::iter::successors(above(class), move |class| above(class))
    }
}

/// Whether a value may stand in a property of that type.
fn fits(value: &Value, ty: Type, array: bool) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => array && items.iter().all(|item| item.ty().is_none_or(|t| t == ty)),
        value => !array && value.ty() == Some(ty),
    }
}

#[cfg(test)]
mod tests;
