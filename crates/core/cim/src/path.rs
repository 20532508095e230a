//! Object paths: namespace, class, keys; and their text forms ([`parse`], [`print`]).

pub mod parse;
mod print;
pub(crate) mod typed;

pub use parse::{MAX_KEYS, MAX_PATH, PathError};
pub(crate) use print::MAX_NESTING;

use crate::{CimError, Value, WmiCode};
use std::fmt;
use std::str::FromStr;

/// Names a class, or with keys an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectPath {
    /// Namespace in canonical form: lower case, `/` between parts (`root/cimv2/rdms`).
    pub namespace: String,
    /// Class name; compared without case.
    pub class: String,
    /// Key values by name; empty for a class. A path out of a text may have one key without a name: the value of
    /// the only key of its class (`Class="x"`), or null for the only instance there is (`Class=@`).
    /// [`ObjectPath::typed`] names it.
    pub keys: Vec<(String, Value)>,
}

impl Eq for ObjectPath {}

impl ObjectPath {
    /// The path of a class; the namespace in any form.
    pub fn class(namespace: &str, class: &str) -> Self {
        Self { namespace: canonical_namespace(namespace), class: class.to_owned(), keys: Vec::new() }
    }

    /// Reads any of the forms of WMI (`\\server\root\cimv2:Class.Name="x",Id=5`, `Class="x"`, `Class=@`), DSP0004 and
    /// DSP0207 (`//host/root/cimv2:Class.Name="x"`). The server is left out; see [`ObjectPath::parse_with_server`].
    ///
    /// A text does not tell the types of its keys: integers come in the smallest of sint32, sint64 and uint64, times
    /// and references as strings. [`ObjectPath::typed`] makes them what the class declares.
    ///
    /// # Errors
    /// [`PathError`] where it has none of these forms, and past [`MAX_PATH`] or [`MAX_KEYS`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        parse::path(text).map(|(_, path)| path)
    }

    /// The same and the server that it names; `None` where it names none or `.`, this one.
    ///
    /// # Errors
    /// As [`ObjectPath::parse`].
    pub fn parse_with_server(text: &str) -> Result<(Option<String>, Self), PathError> {
        parse::path(text)
    }

    /// Without the namespace: `Class.Name="text",Id=7`, as in `__RELPATH`.
    pub fn relative(&self) -> String {
        print::relative(self)
    }

    /// As WMI prints it in `__PATH`: `\\server\root\cimv2:Class.Name="text"`; the server `.` is this one.
    pub fn wmi(&self, server: &str) -> String {
        format!(r"\\{server}\{}:{}", self.namespace.replace('/', r"\"), self.relative())
    }

    /// As an untyped WBEM URI without a scheme (DSP0207): `//host/root/cimv2:Class.Name="text"`.
    pub fn wbem_uri(&self, host: &str) -> String {
        format!("//{host}/{self}")
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

/// `root/cimv2/rdms:Class.Name="text",Id=7` (DSP0004 8.2.5), what [`ObjectPath::parse`] reads.
impl fmt::Display for ObjectPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&print::path(self))
    }
}

impl FromStr for ObjectPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl From<PathError> for CimError {
    fn from(error: PathError) -> Self {
        CimError::new(WmiCode::WBEM_E_INVALID_OBJECT_PATH, format!("object path: {error}"))
    }
}

/// `Root\CIMv2\rdms` -> `root/cimv2/rdms`.
pub fn canonical_namespace(text: &str) -> String {
    // in one go: what is canonical stays as it is
    text.replace('\\', "/").trim_matches(|c: char| c == '/' || c.is_whitespace()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_one_form() {
        assert_eq!(canonical_namespace(r"\Root\CIMv2\RDMS\"), "root/cimv2/rdms");
        for text in [" root/a ", "/ root/a", r"\ / root\A / \ "] {
            assert_eq!(canonical_namespace(text), "root/a", "{text}");
        }
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
    fn a_path_prints_in_three_forms() {
        let path = ObjectPath::class("root/a", "C").with_key("Name", "a\\b\"c").with_key("Id", 7u32);
        assert_eq!(path.to_string(), r#"root/a:C.Name="a\\b\"c",Id=7"#);
        assert_eq!(path.relative(), r#"C.Name="a\\b\"c",Id=7"#);
        assert_eq!(path.wmi("."), r#"\\.\root\a:C.Name="a\\b\"c",Id=7"#);
        assert_eq!(path.wbem_uri("[::1]:5989"), r#"//[::1]:5989/root/a:C.Name="a\\b\"c",Id=7"#);
    }
}
