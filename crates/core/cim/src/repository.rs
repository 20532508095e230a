//! The classes that are served, by namespace, with inheritance resolved.

use crate::mof::{self, Diagnostic, Severity};
use crate::path::canonical_namespace;
use crate::{CimError, Class, WmiCode};
use std::collections::BTreeMap;

/// Namespaces and their classes. Names compare without case.
#[derive(Clone, Debug, Default)]
pub struct Repository {
    /// By canonical namespace, then by class name in lower case.
    namespaces: BTreeMap<String, BTreeMap<String, Class>>,
}

/// Why classes could not be taken in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RepositoryError {
    /// The text has errors: the first of them.
    #[error("{0}")]
    Mof(Diagnostic),
    /// A class of that name is there already.
    #[error("class {0} is declared twice")]
    Twice(String),
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
}

impl Repository {
    /// Reads a MOF text into `namespace`. Warnings are passed back; any error refuses the whole text.
    pub fn load(&mut self, namespace: &str, text: &str) -> Result<Vec<Diagnostic>, RepositoryError> {
        let reading = mof::read(text);
        if let Some(error) = reading.diagnostics.iter().find(|d| d.severity == Severity::Error) {
            return Err(RepositoryError::Mof(error.clone()));
        }
        let before = self.clone();
        for class in reading.classes {
            if let Err(error) = self.add(namespace, class) {
                *self = before;
                return Err(error);
            }
        }
        Ok(reading.diagnostics)
    }

    /// Takes in one class as declared; its superclass has to be there before it.
    pub fn add(&mut self, namespace: &str, mut class: Class) -> Result<(), RepositoryError> {
        let namespace = canonical_namespace(namespace);
        let classes = self.namespaces.entry(namespace.clone()).or_default();
        let name = class.name.to_ascii_lowercase();
        if classes.contains_key(&name) {
            return Err(RepositoryError::Twice(class.name));
        }
        if let Some(superclass) = &class.superclass {
            let Some(base) = classes.get(&superclass.to_ascii_lowercase()) else {
                return Err(RepositoryError::Superclass {
                    class: class.name.clone(),
                    superclass: superclass.clone(),
                });
            };
            inherit(&mut class, base)?;
        }
        class.namespace = namespace;
        classes.insert(name, class);
        Ok(())
    }

    /// A class, or the error that a caller gets.
    pub fn class(&self, namespace: &str, name: &str) -> Result<&Class, CimError> {
        let classes = self.namespaces.get(&canonical_namespace(namespace)).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_INVALID_NAMESPACE, format!("namespace {namespace} is unknown"))
        })?;
        classes.get(&name.to_ascii_lowercase()).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_INVALID_CLASS, format!("class {name} is unknown in {namespace}"))
        })
    }

    /// The namespaces, in canonical form.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.namespaces.keys().map(String::as_str)
    }

    /// The classes of a namespace, by name; none where it is unknown.
    pub fn classes(&self, namespace: &str) -> impl Iterator<Item = &Class> {
        self.namespaces.get(&canonical_namespace(namespace)).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether `class` is `base` or derives from it.
    pub fn is_a(&self, class: &Class, base: &str) -> bool {
        let mut at = Some(class);
        while let Some(class) = at {
            if class.name.eq_ignore_ascii_case(base) {
                return true;
            }
            at = class.superclass.as_ref().and_then(|name| self.class(&class.namespace, name).ok());
        }
        false
    }
}

/// Puts what `base` has before what `class` declares; what is declared again stays in the base's place.
fn inherit(class: &mut Class, base: &Class) -> Result<(), RepositoryError> {
    let differs =
        |member: &str| RepositoryError::Override { class: class.name.clone(), member: member.to_owned() };
    let mut properties = base.properties.clone();
    for mut own in class.properties.drain(..) {
        match properties.iter_mut().find(|p| p.name.eq_ignore_ascii_case(&own.name)) {
            Some(old) if old.ty != own.ty || old.array != own.array => return Err(differs(&own.name)),
            Some(old) => {
                // A key stays a key: nobody repeats the qualifier on an override.
                own.qualifiers.extend(missing(&old.qualifiers, &own.qualifiers));
                *old = own;
            }
            None => properties.push(own),
        }
    }
    let mut methods = base.methods.clone();
    for mut own in class.methods.drain(..) {
        match methods.iter_mut().find(|m| m.name.eq_ignore_ascii_case(&own.name)) {
            Some(old) if old.returns != own.returns => return Err(differs(&own.name)),
            Some(old) => {
                own.qualifiers.extend(missing(&old.qualifiers, &own.qualifiers));
                *old = own;
            }
            None => methods.push(own),
        }
    }
    class.properties = properties;
    class.methods = methods;
    Ok(())
}

/// The qualifiers of `base` that pass on and are not given anew.
fn missing(base: &[crate::Qualifier], own: &[crate::Qualifier]) -> Vec<crate::Qualifier> {
    base.iter()
        .filter(|q| !q.flavors.iter().any(|f| f == "restricted"))
        .filter(|q| !own.iter().any(|o| o.name.eq_ignore_ascii_case(&q.name)))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        class A { [Key, Description("first")] string Id; uint32 N = 3; uint32 Do([in] string X); };
        class B : a { [Description("second")] string ID; boolean More; uint32 do(); };
    "#;

    fn loaded() -> Repository {
        let mut repository = Repository::default();
        assert_eq!(repository.load(r"Root\Test", TEXT), Ok(vec![]));
        repository
    }

    #[test]
    fn classes_are_found_without_case() {
        let repository = loaded();
        assert_eq!(repository.class("ROOT/test", "b").unwrap().name, "B");
        assert_eq!(repository.class("root/test", "C").unwrap_err().code, WmiCode::WBEM_E_INVALID_CLASS);
        assert_eq!(repository.class("root/x", "A").unwrap_err().code, WmiCode::WBEM_E_INVALID_NAMESPACE);
        assert_eq!(repository.namespaces().collect::<Vec<_>>(), ["root/test"]);
        assert_eq!(repository.classes("root/test").count(), 2);
    }

    #[test]
    fn a_subclass_has_what_its_base_has() {
        let repository = loaded();
        let b = repository.class("root/test", "B").unwrap();
        assert_eq!(b.properties.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["ID", "N", "More"]);
        assert!(b.property("id").unwrap().is_key());
        assert_eq!(b.property("id").unwrap().origin, "B");
        assert_eq!(b.property("n").unwrap().origin, "A");
        assert!(b.method("DO").unwrap().parameters.is_empty());
        assert!(repository.is_a(b, "A") && repository.is_a(b, "b"));
        assert!(!repository.is_a(repository.class("root/test", "A").unwrap(), "B"));
    }

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut repository = loaded();
        let refused = [
            "class C {}; class A {};",
            "class C {}; class D : Nobody {};",
            "class C {}; class D : A { string N; };",
            "class C {}; class D {",
        ];
        for text in refused {
            assert!(repository.load("root/test", text).is_err(), "{text}");
            assert!(repository.class("root/test", "C").is_err(), "{text}");
        }
    }
}
