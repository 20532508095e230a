//! A query against the classes: whether class and properties are there, and whether what is compared can be.

use super::compare::comparable;
use super::subject::{SYSTEM, THIS};
use super::{Condition, Constant, Operand, Projection, Property, Select};
use crate::{CimError, Class, Repository, Type, WmiCode};

/// The class of classes.
pub(super) const META_CLASS: &str = "meta_class";

/// What is known of a property.
enum Known {
    /// One value of that type.
    Scalar(Type),
    /// An array.
    Array(Type),
    /// Nothing, before the instance is there.
    Nothing,
}

/// Where a query is checked.
struct Scope<'a> {
    /// `None`: the query is about classes.
    class: Option<&'a Class>,
    repository: &'a Repository,
    /// What embedded objects have to be, by `TargetInstance ISA "Class"`.
    kinds: Vec<(&'a Property, &'a str)>,
}

impl Select {
    /// Whether it is about classes rather than instances: `SELECT * FROM meta_class`.
    pub fn is_about_classes(&self) -> bool {
        self.from.eq_ignore_ascii_case(META_CLASS)
    }

    /// Checks it against the classes of a namespace.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_CLASS` for an unknown class, `WBEM_E_INVALID_QUERY` for all else.
    pub fn check(&self, repository: &Repository, namespace: &str) -> Result<(), CimError> {
        let class = if self.is_about_classes() {
            // so that an unknown namespace is told
            match repository.class(namespace, &self.from) {
                Err(error) if error.code == WmiCode::WBEM_E_INVALID_NAMESPACE => return Err(error),
                Ok(_) | Err(_) => None,
            }
        } else {
            Some(repository.class(namespace, &self.from)?)
        };
        let scope = Scope::new(class, repository, self.condition.as_ref());
        if let Some(condition) = &self.condition {
            scope.condition(condition)?;
        }
        if let Projection::Properties(all) = &self.projection {
            for property in all {
                scope.property(property)?;
            }
        }
        for property in self.group.iter().flat_map(|group| &group.by) {
            scope.property(property)?;
        }
        Ok(())
    }
}

impl Condition {
    /// Checks it against the class whose instances it chooses from.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_QUERY`, or `WBEM_E_INVALID_CLASS` for an unknown class behind ISA.
    pub fn check(&self, class: &Class, repository: &Repository) -> Result<(), CimError> {
        Scope::new(Some(class), repository, Some(self)).condition(self)
    }
}

impl<'a> Scope<'a> {
    fn new(class: Option<&'a Class>, repository: &'a Repository, condition: Option<&'a Condition>) -> Self {
        let mut kinds = Vec::new();
        if let Some(condition) = condition {
            collect_kinds(condition, &mut kinds);
        }
        Self { class, repository, kinds }
    }

    fn condition(&self, condition: &Condition) -> Result<(), CimError> {
        match condition {
            Condition::And(all) | Condition::Or(all) => all.iter().try_for_each(|one| self.condition(one)),
            Condition::Not(inner) => self.condition(inner),
            Condition::Compare { property, comparison, operand } => {
                let left = self.one_value(property)?;
                match operand {
                    Operand::Property(right) => self.one_value(right).map(|_| ()),
                    Operand::Constant(constant) => match left {
                        Some(ty) if !comparable(ty, *comparison, constant) => {
                            let what = match constant {
                                Constant::Text(text) => format!("'{}'", short(text)),
                                Constant::Integer(_) | Constant::Real(_) | Constant::Boolean(_) => {
                                    constant.to_string()
                                }
                            };
                            Err(wrong(
                                property,
                                &format!(
                                    "{property} is a {} and cannot be compared with {what} by {comparison}",
                                    ty.name()
                                ),
                            ))
                        }
                        Some(_) | None => Ok(()),
                    },
                }
            }
            Condition::Like { property, .. } => match self.one_value(property)? {
                None | Some(Type::String) => Ok(()),
                Some(ty) => {
                    Err(wrong(property, &format!("{property} is a {}, and LIKE is for strings", ty.name())))
                }
            },
            Condition::IsNull(property) | Condition::IsNotNull(property) => {
                self.property(property).map(|_| ())
            }
            Condition::IsA { property, class } => {
                if property.name().is_none_or(|name| !name.eq_ignore_ascii_case(THIS)) {
                    match self.property(property)? {
                        Known::Nothing | Known::Scalar(Type::Object | Type::Reference | Type::String) => {}
                        Known::Scalar(_) | Known::Array(_) => {
                            return Err(wrong(property, &format!("{property} is not an object")));
                        }
                    }
                }
                match self.class {
                    Some(from) => self.repository.class(&from.namespace, class).map(|_| ()),
                    None => Ok(()),
                }
            }
        }
    }

    /// The type of a property that is one value; `None` where nothing is known.
    fn one_value(&self, property: &Property) -> Result<Option<Type>, CimError> {
        match self.property(property)? {
            Known::Nothing => Ok(None),
            Known::Scalar(ty) => Ok(Some(ty)),
            Known::Array(_) => {
                Err(wrong(property, &format!("{property} is an array: compare an element, {property}[0]")))
            }
        }
    }

    fn property(&self, property: &Property) -> Result<Known, CimError> {
        let mut class = self.class;
        let mut steps = property.steps.iter().enumerate().peekable();
        if let Some((from, first)) = class.zip(property.steps.first())
            && property.steps.len() > 1
            && from.property(&first.name).is_none()
            && self.repository.is_a(from, &first.name)
        {
            steps.next();
        }
        while let Some((i, step)) = steps.next() {
            let known = match (system(&step.name), class) {
                (Some(known), _) => known,
                (None, Some(of)) => match self.declared(of, &step.name) {
                    Some(known) => known,
                    None => {
                        return Err(wrong(property, &format!("{} has no property '{}'", of.name, step.name)));
                    }
                },
                (None, None) if self.class.is_none() && i == 0 => {
                    let text = format!("a class has no property '{}' that can be asked for", step.name);
                    return Err(wrong(property, &text));
                }
                (None, None) => Known::Nothing,
            };
            let known = match (known, step.index) {
                (known, None) | (known @ Known::Nothing, Some(_)) => known,
                (Known::Array(ty), Some(_)) => Known::Scalar(ty),
                (Known::Scalar(_), Some(_)) => {
                    return Err(wrong(property, &format!("{} is not an array", step.name)));
                }
            };
            if steps.peek().is_none() {
                return Ok(known);
            }
            match known {
                // a string may hold an embedded instance
                Known::Nothing | Known::Scalar(Type::Object | Type::String) => {}
                Known::Scalar(_) | Known::Array(_) => {
                    return Err(wrong(property, &format!("{} has no properties of its own", step.name)));
                }
            }
            class = self.kind(&property.steps[..=i]).and_then(|kind| {
                let namespace = &self.class?.namespace;
                self.repository.class(namespace, kind).ok()
            });
        }
        Ok(Known::Nothing)
    }

    /// A property of a class, or of a class that derives from it.
    fn declared(&self, class: &Class, name: &str) -> Option<Known> {
        let found = class.property(name).or_else(|| {
            let mut derived = self
                .repository
                .classes(&class.namespace)
                .filter(|other| other.superclass.is_some() && self.repository.is_a(other, &class.name));
            derived.find_map(|other| other.property(name))
        })?;
        Some(if found.array { Known::Array(found.ty) } else { Known::Scalar(found.ty) })
    }

    /// The class that the condition demands of an embedded object.
    fn kind(&self, steps: &[super::Step]) -> Option<&'a str> {
        let same =
            |a: &super::Step, b: &super::Step| a.name.eq_ignore_ascii_case(&b.name) && a.index == b.index;
        self.kinds
            .iter()
            .find(|(property, _)| {
                property.steps.len() == steps.len()
                    && property.steps.iter().zip(steps).all(|(a, b)| same(a, b))
            })
            .map(|(_, class)| *class)
    }
}

/// What must be of which class for the condition to hold.
fn collect_kinds<'a>(condition: &'a Condition, kinds: &mut Vec<(&'a Property, &'a str)>) {
    match condition {
        Condition::And(all) => all.iter().for_each(|one| collect_kinds(one, kinds)),
        Condition::IsA { property, class } => kinds.push((property, class)),
        Condition::Or(_)
        | Condition::Not(_)
        | Condition::Compare { .. }
        | Condition::Like { .. }
        | Condition::IsNull(_)
        | Condition::IsNotNull(_) => {}
    }
}

fn system(name: &str) -> Option<Known> {
    let known = SYSTEM.iter().find(|known| known.eq_ignore_ascii_case(name))?;
    Some(match *known {
        "__GENUS" | "__PROPERTY_COUNT" => Known::Scalar(Type::Sint32),
        "__DERIVATION" => Known::Array(Type::String),
        _ => Known::Scalar(Type::String),
    })
}

fn wrong(property: &Property, text: &str) -> CimError {
    let place = match property.at.0 {
        0 => String::new(),
        at => format!("at character {at}: "),
    };
    CimError::new(WmiCode::WBEM_E_INVALID_QUERY, format!("the query cannot be used: {place}{text}"))
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
