//! CIM types and values (DSP0004 5.2).

pub mod text;
pub mod time;

use crate::Instance;

/// The intrinsic CIM data types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are DSP0004's own")]
pub enum Type {
    Boolean,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Sint8,
    Sint16,
    Sint32,
    Sint64,
    Real32,
    Real64,
    Char16,
    #[default]
    String,
    Datetime,
    Reference,
    Object,
}

/// A value. Integers carry their width, so that what was declared is what is sent.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the names are DSP0004's own")]
pub enum Value {
    #[default]
    Null,
    Boolean(bool),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Sint8(i8),
    Sint16(i16),
    Sint32(i32),
    Sint64(i64),
    Real32(f32),
    Real64(f64),
    Char16(u16),
    String(String),
    /// Microseconds since 1970-01-01T00:00:00Z, and the offset from UTC in minutes.
    Datetime {
        micros: i64,
        offset_minutes: i16,
    },
    /// An interval, in microseconds.
    Interval(u64),
    /// A time or interval of which not all digits are known.
    PartialTime(time::PartialTime),
    Reference(Box<crate::ObjectPath>),
    Object(Box<Instance>),
    Array(Vec<Value>),
}

impl Type {
    /// The types that values of properties and parameters are declared with, and their names in MOF (DSP0004 5.2); a
    /// reference or an object is declared with the name of its class.
    pub const NAMES: [(Type, &'static str); 14] = [
        (Type::Boolean, "boolean"),
        (Type::Uint8, "uint8"),
        (Type::Uint16, "uint16"),
        (Type::Uint32, "uint32"),
        (Type::Uint64, "uint64"),
        (Type::Sint8, "sint8"),
        (Type::Sint16, "sint16"),
        (Type::Sint32, "sint32"),
        (Type::Sint64, "sint64"),
        (Type::Real32, "real32"),
        (Type::Real64, "real64"),
        (Type::Char16, "char16"),
        (Type::String, "string"),
        (Type::Datetime, "datetime"),
    ];

    /// The name that MOF gives it; `ref` and `object` for the two that have no word of their own.
    pub fn name(self) -> &'static str {
        match self {
            Type::Reference => "ref",
            Type::Object => "object",
            _ => Self::NAMES.iter().find(|(ty, _)| *ty == self).map_or("object", |(_, name)| name),
        }
    }

    /// The simple type of that MOF name, compared without case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(ty, _)| *ty)
    }
}

impl Value {
    /// A time in UTC, from microseconds since 1970.
    pub fn utc(micros: i64) -> Self {
        Value::Datetime { micros, offset_minutes: 0 }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Its type, of an array that of its first element that is not null; `None` where there is none to see.
    pub fn ty(&self) -> Option<Type> {
        Some(match self {
            Value::Null => return None,
            Value::Boolean(_) => Type::Boolean,
            Value::Uint8(_) => Type::Uint8,
            Value::Uint16(_) => Type::Uint16,
            Value::Uint32(_) => Type::Uint32,
            Value::Uint64(_) => Type::Uint64,
            Value::Sint8(_) => Type::Sint8,
            Value::Sint16(_) => Type::Sint16,
            Value::Sint32(_) => Type::Sint32,
            Value::Sint64(_) => Type::Sint64,
            Value::Real32(_) => Type::Real32,
            Value::Real64(_) => Type::Real64,
            Value::Char16(_) => Type::Char16,
            Value::String(_) => Type::String,
            Value::Datetime { .. } | Value::Interval(_) | Value::PartialTime(_) => Type::Datetime,
            Value::Reference(_) => Type::Reference,
            Value::Object(_) => Type::Object,
            Value::Array(items) => items.iter().find_map(Value::ty)?,
        })
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(flag) => Some(*flag),
            _ => None,
        }
    }

    /// The number in an integer of any width.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Value::Uint8(n) => Some((*n).into()),
            Value::Uint16(n) | Value::Char16(n) => Some((*n).into()),
            Value::Uint32(n) => Some((*n).into()),
            Value::Uint64(n) => Some((*n).into()),
            Value::Sint8(n) => Some((*n).into()),
            Value::Sint16(n) => Some((*n).into()),
            Value::Sint32(n) => Some((*n).into()),
            Value::Sint64(n) => Some((*n).into()),
            _ => None,
        }
    }

    /// Whether two values are equal as keys are: strings without case, numbers whatever their width,
    /// times as points in time, objects by their properties. Null equals null.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::String(a), Value::String(b)) => fold(a).eq(fold(b)),
            (Value::Datetime { micros: a, .. }, Value::Datetime { micros: b, .. }) => a == b,
            (Value::Real32(a), Value::Real64(b)) | (Value::Real64(b), Value::Real32(a)) => {
                f64::from(*a) == *b
            }
            (Value::Reference(a), Value::Reference(b)) => a.same(b),
            (Value::Object(a), Value::Object(b)) => a.same(b),
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (a, b) => match (a.as_int(), b.as_int()) {
                (Some(a), Some(b)) => a == b,
                _ => a == b,
            },
        }
    }

    /// Whether `text`, as a caller wrote it in a filter or selector, means this value.
    pub fn matches_text(&self, ty: Type, text: &str) -> bool {
        Value::parse(ty, text).is_ok_and(|other| self.same(&other))
    }
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}

macro_rules! from {
    ($($variant:ident($ty:ty)),* $(,)?) => {$(
        impl From<$ty> for Value {
            fn from(value: $ty) -> Self {
                Value::$variant(value)
            }
        }
    )*};
}

from!(
    Boolean(bool),
    Uint8(u8),
    Uint16(u16),
    Uint32(u32),
    Uint64(u64),
    Sint8(i8),
    Sint16(i16),
    Sint32(i32),
    Sint64(i64),
    String(String),
);

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::String(value.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(value: Vec<T>) -> Self {
        Value::Array(value.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_without_case_and_width() {
        assert!(Value::from("ÄNNA").same(&Value::from("änna")));
        assert!(Value::Uint32(7).same(&Value::Sint64(7)));
        assert!(!Value::Uint32(7).same(&Value::Sint64(8)));
        assert!(!Value::from("7").same(&Value::Uint32(7)));
        assert!(
            Value::from("ÄNNA").matches_text(Type::String, "änna")
                && Value::Uint32(7).matches_text(Type::Uint32, " 7")
        );
        assert!(
            !Value::Null.matches_text(Type::Uint32, "7") && !Value::Uint32(7).matches_text(Type::Uint32, "x")
        );
        assert!(Value::utc(5).same(&Value::Datetime { micros: 5, offset_minutes: 60 }));
    }

    #[test]
    fn what_holds_other_values_is_the_same_when_they_are() {
        use crate::{Instance, ObjectPath};
        assert!(Value::Real32(0.5).same(&Value::Real64(0.5)) && Value::Real64(0.5).same(&Value::Real32(0.5)));
        assert!(!Value::Real32(0.1).same(&Value::Real64(0.1)), "0.1 is not the same number in both");
        let list = |texts: &[&str]| Value::from(texts.to_vec());
        assert!(list(&["a", "B"]).same(&list(&["A", "b"])));
        assert!(!list(&["a"]).same(&list(&["a", "b"])) && !list(&["a", "b"]).same(&list(&["b", "a"])));
        let path =
            |name: &str| Value::Reference(Box::new(ObjectPath::class("root/a", "C").with_key("N", name)));
        assert!(path("a").same(&path("A")) && !path("a").same(&path("b")));
        let of =
            |class: &str| Instance { class: class.into(), namespace: "root/a".into(), properties: vec![] };
        let object = |instance| Value::Object(Box::new(instance));
        let one = || of("C").with("N", "a").with("Absent", Value::Null);
        assert!(object(one()).same(&object(of("c").with("n", "A"))), "null and absent are one");
        assert!(!object(one()).same(&object(of("D").with("N", "a"))));
        for other in [one().with("More", 1u32), of("C")] {
            assert!(!object(one()).same(&object(other.clone())) && !object(other).same(&object(one())));
        }
    }

    #[test]
    fn type_names_are_found_again() {
        for (ty, name) in Type::NAMES {
            assert_eq!(Type::from_name(&name.to_uppercase()), Some(ty));
            assert_eq!(ty.name(), name);
        }
        assert_eq!(Type::from_name("ref"), None);
    }
}
