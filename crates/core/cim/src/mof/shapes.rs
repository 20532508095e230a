//! What the reader has to know of classes: the types of their properties and which of them are keys.

use crate::path::MAX_KEYS;
use crate::repository::MAX_DERIVATION;
use crate::{Class, Property, Repository, Type};
use std::collections::HashMap;
use std::rc::Rc;

/// The declared side of a property.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) ty: Type,
    pub(super) array: bool,
    key: bool,
}

/// What is known of a property.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Found {
    Declared(Declared),
    /// The class is known with all that it derives from, and has none of that name.
    Missing,
    /// The class or one of its superclasses is not known.
    Unknown,
}

/// One class: its own properties by name in lower case, and where to go on.
#[derive(Debug, Default)]
struct Shape {
    superclass: Option<String>,
    own: HashMap<String, Declared>,
    /// Names of `own` in order.
    order: Vec<String>,
    /// The keys with those of the superclasses, once somebody has asked.
    keys: Option<Rc<[Declared]>>,
}

/// The classes of a text, and those of a repository that it asks for.
#[derive(Debug, Default)]
pub(super) struct Shapes<'a> {
    /// By namespace and name in lower case; `None` for what is not known.
    shapes: HashMap<String, Option<Shape>>,
    known: Option<&'a Repository>,
}

impl<'a> Shapes<'a> {
    pub(super) fn new(known: Option<&'a Repository>) -> Self {
        Self { shapes: HashMap::new(), known }
    }

    /// A class that has just been read.
    pub(super) fn add(&mut self, class: &Class) {
        self.shapes.insert(place(&class.namespace, &class.name), Some(Shape::of(class)));
    }

    /// Whether there is a class of that name.
    pub(super) fn has(&mut self, namespace: &str, class: &str) -> bool {
        self.shape(namespace, class).is_some()
    }

    /// The property of that class or of what it derives from.
    pub(super) fn property(&mut self, namespace: &str, class: &str, name: &str) -> Found {
        let (mut class, name) = (class.to_owned(), name.to_ascii_lowercase());
        for _ in 0..MAX_DERIVATION {
            let Some(shape) = self.shape(namespace, &class) else { return Found::Unknown };
            if let Some(found) = shape.own.get(&name) {
                return Found::Declared(found.clone());
            }
            let Some(superclass) = shape.superclass.clone() else { return Found::Missing };
            class = superclass;
        }
        Found::Unknown
    }

    /// The keys, those of the superclasses first; at most as many as a path may have.
    pub(super) fn keys(&mut self, namespace: &str, class: &str) -> Rc<[Declared]> {
        // Up to a class whose keys are known, and down again: no recursion, and each class once.
        let (mut above, mut at, mut found) = (Vec::new(), Some(class.to_owned()), Rc::from(Vec::new()));
        while let Some(name) = at.take().filter(|_| above.len() < MAX_DERIVATION) {
            let Some(shape) = self.shape(namespace, &name) else { break };
            if let Some(keys) = &shape.keys {
                found = Rc::clone(keys);
                break;
            }
            at.clone_from(&shape.superclass);
            above.push(name);
        }
        for name in above.into_iter().rev() {
            let Some(shape) = self.shape(namespace, &name) else { break };
            let mut keys = found.to_vec();
            for own in shape.order.iter().filter_map(|name| shape.own.get(name)).filter(|own| own.key) {
                if keys.len() < MAX_KEYS && !keys.iter().any(|key| key.name.eq_ignore_ascii_case(&own.name)) {
                    keys.push(own.clone());
                }
            }
            found = Rc::from(keys);
            shape.keys = Some(Rc::clone(&found));
        }
        found
    }

    fn shape(&mut self, namespace: &str, class: &str) -> Option<&mut Shape> {
        let known = self.known;
        let from_repository = || known?.class(namespace, class).ok().map(Shape::of);
        self.shapes.entry(place(namespace, class)).or_insert_with(from_repository).as_mut()
    }
}

impl Shape {
    fn of(class: &Class) -> Self {
        let mut shape = Self { superclass: class.superclass.clone(), ..Self::default() };
        for property in &class.properties {
            let Property { name, ty, array, .. } = property;
            let declared = Declared { name: name.clone(), ty: *ty, array: *array, key: property.is_key() };
            shape.order.push(name.to_ascii_lowercase());
            shape.own.insert(name.to_ascii_lowercase(), declared);
        }
        shape
    }
}

fn place(namespace: &str, class: &str) -> String {
    format!("{namespace}:{class}").to_ascii_lowercase()
}
