//! Object paths: namespace, class, keys.

use crate::Value;
use std::fmt;

/// Names a class, or with keys an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectPath {
    /// Namespace in canonical form: lower case, `/` between parts (`root/cimv2/rdms`).
    pub namespace: String,
    /// Class name; compared without case.
    pub class: String,
    /// Key values by name; empty for a class.
    pub keys: Vec<(String, Value)>,
}

impl Eq for ObjectPath {}

impl ObjectPath {
    /// The path of a class; the namespace in any form.
    pub fn class(namespace: &str, class: &str) -> Self {
        Self { namespace: canonical_namespace(namespace), class: class.to_owned(), keys: Vec::new() }
    }

    /// The same with one more key.
    #[must_use]
    pub fn with_key(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.keys.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a key, compared without case.
    pub fn key(&self, name: &str) -> Option<&Value> {
        self.keys.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether both name the same thing: names and strings without case, keys in any order.
    pub fn same(&self, other: &Self) -> bool {
        self.namespace.eq_ignore_ascii_case(&other.namespace)
            && self.class.eq_ignore_ascii_case(&other.class)
            && self.keys.len() == other.keys.len()
            && self.keys.iter().all(|(name, value)| other.key(name).is_some_and(|v| v.same(value)))
    }
}

impl fmt::Display for ObjectPath {
    /// `root/cimv2/rdms:Class.Name="text",Id=7` (DSP0004 8.2.5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.namespace, self.class)?;
        for (i, (name, value)) in self.keys.iter().enumerate() {
            f.write_str(if i == 0 { "." } else { "," })?;
            match value {
                Value::Boolean(_) => write!(f, "{name}={}", value.text().unwrap_or_default())?,
                _ if value.as_int().is_some() => write!(f, "{name}={}", value.text().unwrap_or_default())?,
                _ => {
                    let text = value.text().unwrap_or_default().replace('\\', "\\\\").replace('"', "\\\"");
                    write!(f, "{name}=\"{text}\"")?;
                }
            }
        }
        Ok(())
    }
}

/// `Root\CIMv2\rdms` -> `root/cimv2/rdms`.
pub fn canonical_namespace(text: &str) -> String {
    text.trim().replace('\\', "/").trim_matches('/').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_one_form() {
        assert_eq!(canonical_namespace(r"\Root\CIMv2\RDMS\"), "root/cimv2/rdms");
        assert_eq!(ObjectPath::class(r"root\openrdms", "C").namespace, "root/openrdms");
    }

    #[test]
    fn paths_compare_without_case_and_order() {
        let a = ObjectPath::class("root/a", "C").with_key("Name", "Anna").with_key("Id", 7u32);
        let b = ObjectPath::class("root/a", "c").with_key("ID", 7u64).with_key("name", "ANNA");
        assert!(a.same(&b));
        assert!(!a.same(&b.clone().with_key("X", 1u32)));
        assert!(!a.same(&ObjectPath::class("root/a", "C").with_key("Name", "Anna").with_key("Id", 8u32)));
    }

    #[test]
    fn a_path_prints_as_wmi_does() {
        let path = ObjectPath::class("root/a", "C").with_key("Name", "a\\b\"c").with_key("Id", 7u32);
        assert_eq!(path.to_string(), r#"root/a:C.Name="a\\b\"c",Id=7"#);
    }
}
