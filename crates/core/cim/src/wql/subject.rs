//! What a condition is judged on, an instance or a class, and what its properties are, the system properties
//! among them.
//!
//! `__SERVER` is `.`, as in `\\.\root\cimv2`: which name clients know this machine by is not known here.

use super::{Property, Step};
use crate::{Class, Instance, ObjectPath, Repository, Value};
use std::borrow::Cow;

/// The system properties that every instance and class has.
pub(super) const SYSTEM: [&str; 10] = [
    "__GENUS",
    "__CLASS",
    "__SUPERCLASS",
    "__DYNASTY",
    "__RELPATH",
    "__PROPERTY_COUNT",
    "__DERIVATION",
    "__SERVER",
    "__NAMESPACE",
    "__PATH",
];
/// The instance or class itself, on the left of ISA.
pub(super) const THIS: &str = "__this";

#[derive(Clone, Copy)]
pub(super) enum Subject<'a> {
    Instance(&'a Instance),
    Class(&'a Class),
}

/// The class of a subject and its name, which is known even where the class is not.
impl<'a> Subject<'a> {
    fn class(self, repository: &'a Repository) -> Option<&'a Class> {
        match self {
            Subject::Instance(instance) => repository.class(&instance.namespace, &instance.class).ok(),
            Subject::Class(class) => Some(class),
        }
    }

    fn class_name(self) -> &'a str {
        match self {
            Subject::Instance(instance) => &instance.class,
            Subject::Class(class) => &class.name,
        }
    }

    /// Whether its class is `base` or derives from it.
    pub(super) fn is_a(self, base: &str, repository: &Repository) -> bool {
        match self.class(repository) {
            Some(class) => repository.is_a(class, base),
            None => self.class_name().eq_ignore_ascii_case(base),
        }
    }

    /// The value of a property; null where there is none.
    pub(super) fn value(self, property: &Property, repository: &'a Repository) -> Cow<'a, Value> {
        let steps = match property.steps.as_slice() {
            // `Class.Property`
            [first, rest @ ..]
                if !rest.is_empty()
                    && first.index.is_none()
                    && !self.has(&first.name, repository)
                    && self.is_a(&first.name, repository) =>
            {
                rest
            }
            steps => steps,
        };
        let Some((last, path)) = steps.split_last() else { return Cow::Owned(Value::Null) };
        let mut at = self;
        for step in path {
            match at.step(step, repository) {
                Cow::Borrowed(Value::Object(instance)) => at = Subject::Instance(instance),
                _ => return Cow::Owned(Value::Null),
            }
        }
        at.step(last, repository)
    }

    fn has(self, name: &str, repository: &Repository) -> bool {
        let declared = self.class(repository).is_some_and(|class| class.property(name).is_some());
        let given = match self {
            Subject::Instance(instance) => !instance.get(name).is_null(),
            Subject::Class(_) => false,
        };
        declared || given
    }

    fn step(self, step: &Step, repository: &Repository) -> Cow<'a, Value> {
        let value = match (self, self.system(&step.name, repository)) {
            (_, Some(value)) => Cow::Owned(value),
            (Subject::Instance(instance), None) => Cow::Borrowed(instance.get(&step.name)),
            (Subject::Class(_), None) => Cow::Owned(Value::Null),
        };
        let Some(index) = step.index else { return value };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match value {
            Cow::Borrowed(Value::Array(items)) => {
                items.get(index).map_or(Cow::Owned(Value::Null), Cow::Borrowed)
            }
            Cow::Owned(Value::Array(mut items)) if index < items.len() => {
                Cow::Owned(items.swap_remove(index))
            }
            _ => Cow::Owned(Value::Null),
        }
    }

    /// A system property; `None` where the name is none.
    fn system(self, name: &str, repository: &Repository) -> Option<Value> {
        if !name.starts_with("__") {
            return None;
        }
        let known = SYSTEM.iter().find(|known| known.eq_ignore_ascii_case(name))?;
        let class = self.class(repository);
        let superclass = class.and_then(|class| class.superclass.as_deref());
        Some(match *known {
            "__GENUS" => Value::Sint32(match self {
                Subject::Class(_) => 1,
                Subject::Instance(_) => 2,
            }),
            "__CLASS" => Value::from(self.class_name()),
            "__SUPERCLASS" => Value::from(superclass),
            "__DYNASTY" => {
                let top = class.and_then(|class| repository.derivation(class).last());
                Value::from(top.map_or(self.class_name(), |top| &top.name))
            }
            "__RELPATH" => Value::from(self.path(class).relative()),
            "__PROPERTY_COUNT" => {
                let count = match (class, self) {
                    (Some(class), _) | (None, Subject::Class(class)) => class.properties.len(),
                    (None, Subject::Instance(instance)) => instance.properties.len(),
                };
                Value::Sint32(i32::try_from(count).unwrap_or(i32::MAX))
            }
            "__DERIVATION" => Value::Array(
                class
                    .into_iter()
                    .flat_map(|class| repository.derivation(class))
                    .map(|base| Value::from(base.name.as_str()))
                    .collect(),
            ),
            "__SERVER" => Value::from("."),
            "__NAMESPACE" => Value::from(self.path(None).namespace.replace('/', "\\")),
            "__PATH" => Value::from(self.path(class).wmi(".")),
            _ => return None,
        })
    }

    fn path(self, class: Option<&Class>) -> ObjectPath {
        match (self, class) {
            (Subject::Instance(instance), Some(class)) => instance.path(class),
            (Subject::Instance(Instance { namespace, .. }), None) => {
                ObjectPath::class(namespace, self.class_name())
            }
            (Subject::Class(class), _) => ObjectPath::class(&class.namespace, &class.name),
        }
    }
}
