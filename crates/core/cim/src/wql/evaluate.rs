//! Whether a condition holds.

use super::subject::{Subject, THIS};
use super::{Condition, Operand, Property, Truth, compare};
use crate::{Class, Instance, Repository, Value};

impl Condition {
    /// Whether it holds for an instance: an event's too, whose `TargetInstance` is an embedded object. What the
    /// instance does not have is null.
    pub fn holds(&self, instance: &Instance, repository: &Repository) -> Truth {
        self.judge(Subject::Instance(instance), repository)
    }

    /// Whether it holds for a class, in a query about `meta_class`.
    pub fn holds_for_class(&self, class: &Class, repository: &Repository) -> Truth {
        self.judge(Subject::Class(class), repository)
    }

    fn judge(&self, subject: Subject<'_>, repository: &Repository) -> Truth {
        match self {
            Condition::And(all) => Truth::all(all.iter().map(|one| one.judge(subject, repository))),
            Condition::Or(all) => Truth::any(all.iter().map(|one| one.judge(subject, repository))),
            Condition::Not(inner) => !inner.judge(subject, repository),
            Condition::Compare { property, comparison, operand } => {
                let left = subject.value(property, repository);
                match operand {
                    Operand::Constant(constant) => compare::with_constant(&left, *comparison, constant),
                    Operand::Property(right) => {
                        compare::with_value(&left, *comparison, &subject.value(right, repository))
                    }
                }
            }
            Condition::Like { property, pattern } => match subject.value(property, repository).as_str() {
                Some(text) => pattern.matches(text).into(),
                None => Truth::Unknown,
            },
            Condition::IsNull(property) => subject.value(property, repository).is_null().into(),
            Condition::IsNotNull(property) => (!subject.value(property, repository).is_null()).into(),
            Condition::IsA { property, class } => is_a(subject, property, class, repository),
        }
    }
}

fn is_a(subject: Subject<'_>, property: &Property, class: &str, repository: &Repository) -> Truth {
    if property.name().is_some_and(|name| name.eq_ignore_ascii_case(THIS)) {
        return subject.is_a(class, repository).into();
    }
    match &*subject.value(property, repository) {
        Value::Object(instance) => Subject::Instance(instance).is_a(class, repository).into(),
        Value::Reference(path) => {
            let found = repository.class(&path.namespace, &path.class);
            found.map_or(path.class.eq_ignore_ascii_case(class), |found| repository.is_a(found, class)).into()
        }
        Value::Null => Truth::Unknown,
        _ => Truth::False,
    }
}
