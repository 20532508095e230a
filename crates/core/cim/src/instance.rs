//! Instances, and the named values that go into and come out of methods.

use crate::{CimError, Class, ObjectPath, Value, WmiCode};
use std::fmt;

/// An instance of a class: property values by declared name, in declared order.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Class name in its declared spelling.
    pub class: String,
    /// Namespace in canonical form (`root/cimv2/rdms`).
    pub namespace: String,
    /// Values; a declared property that is absent counts as null.
    pub properties: Vec<(String, Value)>,
}

/// Method parameters by name; compared without case. May hold a password: values are not shown.
#[derive(Clone, Default, PartialEq)]
pub struct Params(pub Vec<(String, Value)>);

impl Instance {
    /// An instance of `class` without any values.
    pub fn of(class: &Class) -> Self {
        let properties = Vec::with_capacity(class.properties.len());
        Self { class: class.name.clone(), namespace: class.namespace.clone(), properties }
    }

    /// The same with one more value; `None` becomes null.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a property, compared without case; null where it is absent.
    pub fn get(&self, name: &str) -> &Value {
        find(&self.properties, name)
    }

    /// Whether both are of one class and have the same values, null and absent being one.
    pub fn same(&self, other: &Self) -> bool {
        let holds = |a: &Self, b: &Self| a.properties.iter().all(|(name, value)| value.same(b.get(name)));
        self.class.eq_ignore_ascii_case(&other.class) && holds(self, other) && holds(other, self)
    }

    /// Its path: the values of the keys of `class`.
    pub fn path(&self, class: &Class) -> ObjectPath {
        ObjectPath {
            namespace: self.namespace.clone(),
            class: self.class.clone(),
            keys: class.keys().map(|key| (key.name.clone(), self.get(&key.name).clone())).collect(),
        }
    }
}

impl Params {
    /// The same with one more value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// The value of a parameter; null where it is absent.
    pub fn get(&self, name: &str) -> &Value {
        find(&self.0, name)
    }

    /// A string, `None` where it is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else.
    pub fn string(&self, name: &str) -> Result<Option<&str>, CimError> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(mismatch(name, "a string")),
        }
    }

    /// A string that must be there.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else, `WBEM_E_MISSING_PARAMETER_ID` where it is null.
    pub fn required_string(&self, name: &str) -> Result<&str, CimError> {
        self.string(name)?.ok_or_else(|| missing(name))
    }

    /// Strings, `None` where the array is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else. One string is an array of one.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<&str>>, CimError> {
        match self.get(name) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(vec![text])),
            Value::Array(items) => items
                .iter()
                .map(Value::as_str)
                .collect::<Option<_>>()
                .map(Some)
                .ok_or_else(|| mismatch(name, "strings")),
            _ => Err(mismatch(name, "strings")),
        }
    }

    /// A truth value, `None` where it is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, CimError> {
        match self.get(name) {
            Value::Null => Ok(None),
            value => value.as_bool().map(Some).ok_or_else(|| mismatch(name, "a boolean")),
        }
    }

    /// Bytes, `None` where the array is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else.
    pub fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, CimError> {
        let byte = |value: &Value| value.as_int().and_then(|n| u8::try_from(n).ok());
        let bytes = match self.get(name) {
            Value::Null => return Ok(None),
            Value::Array(items) => items.iter().map(byte).collect(),
            value => byte(value).map(|byte| vec![byte]),
        };
        bytes.map(Some).ok_or_else(|| mismatch(name, "bytes"))
    }

    /// A signed number that fits 32 bits, `None` where it is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else, and out of range.
    pub fn sint32(&self, name: &str) -> Result<Option<i32>, CimError> {
        match self.get(name) {
            Value::Null => Ok(None),
            value => value
                .as_int()
                .and_then(|n| i32::try_from(n).ok())
                .map(Some)
                .ok_or_else(|| mismatch(name, "a sint32")),
        }
    }

    /// A signed number that must be there.
    ///
    /// # Errors
    /// As [`Params::sint32`], and `WBEM_E_MISSING_PARAMETER_ID` where it is null.
    pub fn required_sint32(&self, name: &str) -> Result<i32, CimError> {
        self.sint32(name)?.ok_or_else(|| missing(name))
    }

    /// A number that must be there.
    ///
    /// # Errors
    /// As [`Params::uint32`], and `WBEM_E_MISSING_PARAMETER_ID` where it is null.
    pub fn required_uint32(&self, name: &str) -> Result<u32, CimError> {
        self.uint32(name)?.ok_or_else(|| missing(name))
    }

    /// A number that fits 32 bits, `None` where it is null.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_METHOD_PARAMETERS` for anything else, and out of range.
    pub fn uint32(&self, name: &str) -> Result<Option<u32>, CimError> {
        match self.get(name) {
            Value::Null => Ok(None),
            value => value
                .as_int()
                .and_then(|n| u32::try_from(n).ok())
                .map(Some)
                .ok_or_else(|| mismatch(name, "a uint32")),
        }
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn find<'a>(list: &'a [(String, Value)], name: &str) -> &'a Value {
    list.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or(&Value::Null, |(_, value)| value)
}

fn missing(name: &str) -> CimError {
    CimError::new(WmiCode::WBEM_E_MISSING_PARAMETER_ID, format!("parameter {name} is missing"))
}

fn mismatch(name: &str, what: &str) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS, format!("parameter {name} is not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_without_case_and_checked() {
        let params = Params::default()
            .with("Title", "t")
            .with("Users", vec!["a", "b"])
            .with("Size", 5u64)
            .with("Hard", true)
            .with("Nothing", None::<u32>);
        assert_eq!(params.string("TITLE"), Ok(Some("t")));
        assert_eq!(params.strings("users"), Ok(Some(vec!["a", "b"])));
        assert_eq!(params.strings("Title"), Ok(Some(vec!["t"])));
        assert_eq!(params.uint32("size"), Ok(Some(5)));
        assert_eq!((params.string("Nothing"), params.uint32("Absent")), (Ok(None), Ok(None)));
        assert_eq!(params.required_string("Absent").unwrap_err().code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
        let wrong = WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS;
        assert_eq!(params.string("Size").unwrap_err().code, wrong);
        assert_eq!(params.strings("Hard").unwrap_err().code, wrong);
        assert_eq!(params.uint32("Title").unwrap_err().code, wrong);
        assert_eq!(params.clone().with("Big", u64::MAX).uint32("Big").unwrap_err().code, wrong);
    }

    #[test]
    fn values_of_parameters_are_not_shown() {
        let params = Params::default().with("Password", "hunter2");
        assert_eq!(format!("{params:?}"), r#"{"Password"}"#);
    }

    #[test]
    fn the_path_of_an_instance_has_its_keys() {
        let mut repository = crate::Repository::default();
        repository.load("root/a", "class C { [Key] string Name; uint32 N; };").unwrap();
        let class = repository.class("root/a", "C").unwrap();
        let instance = Instance::of(class).with("name", "x").with("N", 1u32);
        assert!(instance.path(class).same(&ObjectPath::class("root/a", "C").with_key("Name", "x")));
        assert_eq!((instance.get("n"), instance.get("Other")), (&Value::Uint32(1), &Value::Null));
    }
}
