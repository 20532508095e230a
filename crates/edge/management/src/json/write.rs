//! Values and instances as JSON.
//!
//! | CIM | JSON |
//! |---|---|
//! | integers to 32 bits, `char16`, reals | number; reals without one `"NaN"`, `"INF"`, `"-INF"` |
//! | `uint64`, `sint64` | string of digits, whatever the number: many readers have 53 bits |
//! | `datetime` | RFC 3339, a duration of ISO 8601, or the 25 characters of CIM where digits are unknown |
//! | reference | object path |
//! | embedded object | object with `@type` |
//! | arrays, also of `uint8` | array |
//!
//! What begins with `@` is no property, for no name of CIM does.

use super::text;
use openrdms_cim::{Class, Instance, Repository, Value};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The member with the class.
pub(super) const TYPE: &str = "@type";
/// The member with the address.
pub(super) const ID: &str = "@id";

/// Which properties are wanted, by their declared names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fields {
    All,
    These(Vec<String>),
}

/// An instance as it is shown.
pub(super) struct Shown<'a> {
    repository: &'a Repository,
    instance: &'a Instance,
    fields: &'a Fields,
}

/// A value as it is shown.
pub(super) struct ShownValue<'a>(pub(super) &'a Repository, pub(super) &'a Value);

impl<'a> Shown<'a> {
    pub(super) fn new(repository: &'a Repository, instance: &'a Instance, fields: &'a Fields) -> Self {
        Self { repository, instance, fields }
    }

    fn wants(&self, name: &str) -> bool {
        match self.fields {
            Fields::All => true,
            Fields::These(names) => names.iter().any(|n| n == name),
        }
    }

    /// The value of the property that is declared at that place, where instances mostly have it.
    fn value(&self, at: usize, name: &str) -> &'a Value {
        match self.instance.properties.get(at) {
            Some((n, value)) if n == name => value,
            _ => self.instance.get(name),
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let instance = self.instance;
        let class = self.repository.class(&instance.namespace, &instance.class).ok();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(TYPE, &instance.class)?;
        if let Some(id) = class.and_then(|class| address(class, instance)) {
            map.serialize_entry(ID, &id)?;
        }
        match class {
            Some(class) => {
                for (at, property) in class.properties.iter().enumerate() {
                    if self.wants(&property.name) {
                        let value = ShownValue(self.repository, self.value(at, &property.name));
                        map.serialize_entry(&property.name, &value)?;
                    }
                }
            }
            None => {
                for (name, value) in instance.properties.iter().filter(|(name, _)| self.wants(name)) {
                    map.serialize_entry(name, &ShownValue(self.repository, value))?;
                }
            }
        }
        map.end()
    }
}

impl Serialize for ShownValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(repository, value) = self;
        match value {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(flag) => serializer.serialize_bool(*flag),
            Value::Uint8(n) => serializer.serialize_u8(*n),
            Value::Uint16(n) | Value::Char16(n) => serializer.serialize_u16(*n),
            Value::Uint32(n) => serializer.serialize_u32(*n),
            Value::Sint8(n) => serializer.serialize_i8(*n),
            Value::Sint16(n) => serializer.serialize_i16(*n),
            Value::Sint32(n) => serializer.serialize_i32(*n),
            Value::Real32(n) if n.is_finite() => serializer.serialize_f32(*n),
            Value::Real64(n) if n.is_finite() => serializer.serialize_f64(*n),
            Value::String(text) => serializer.serialize_str(text),
            Value::Reference(path) => serializer.collect_str(path),
            Value::Object(instance) => Shown::new(repository, instance, &Fields::All).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(|item| Self(repository, item))),
            Value::Uint64(_)
            | Value::Sint64(_)
            | Value::Real32(_)
            | Value::Real64(_)
            | Value::Datetime { .. }
            | Value::Interval(_)
            | Value::PartialTime(_) => serializer.serialize_str(&value.text().unwrap_or_default()),
        }
    }
}

/// Where an instance is; `None` where it has no name, as embedded objects have none.
fn address(class: &Class, instance: &Instance) -> Option<String> {
    let path = instance.path(class);
    let named = !path.keys.is_empty() && path.keys.iter().all(|(_, value)| !value.is_null());
    named.then(|| text::link(&path))
}
