//! A path out of a text, made what its class declares.

use super::ObjectPath;
use crate::{CimError, Class, Type, Value, WmiCode};

impl ObjectPath {
    /// The same with the keys of `class`: in its spelling, order and types, the key without a name named. Without
    /// keys it stays the path of the class.
    ///
    /// # Errors
    /// `WBEM_E_INVALID_OBJECT_PATH` where a key is missing, is no key of the class, or is not of its type.
    pub fn typed(&self, class: &Class) -> Result<ObjectPath, CimError> {
        let namespace =
            if self.namespace.is_empty() { class.namespace.clone() } else { self.namespace.clone() };
        let mut path = ObjectPath { namespace, class: class.name.clone(), keys: Vec::new() };
        let declared: Vec<_> = class.keys().collect();
        let given = match self.keys.as_slice() {
            [] => return Ok(path),
            [(name, Value::Null)] if name.is_empty() && declared.is_empty() => return Ok(path),
            [(name, value)] if name.is_empty() => match declared.as_slice() {
                [key] => vec![(key.name.as_str(), value)],
                _ => return Err(refused(format!("{} has {} keys: name them", class.name, declared.len()))),
            },
            keys => keys.iter().map(|(name, value)| (name.as_str(), value)).collect(),
        };
        if let Some((name, _)) =
            given.iter().find(|(n, _)| !declared.iter().any(|k| k.name.eq_ignore_ascii_case(n)))
        {
            return Err(refused(format!("{name} is not a key of {}", class.name)));
        }
        for key in declared {
            let value = given.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name));
            let (_, value) =
                value.ok_or_else(|| refused(format!("key {} of {} is missing", key.name, class.name)))?;
            let value = typed(value, key.ty)
                .ok_or_else(|| refused(format!("key {} is not of type {}", key.name, key.ty.name())))?;
            path.keys.push((key.name.clone(), value));
        }
        Ok(path)
    }
}

/// The value in that type. A text is read as one; a number stays a number.
pub(crate) fn typed(value: &Value, ty: Type) -> Option<Value> {
    match (ty, value) {
        (Type::Reference, Value::String(text)) => {
            ObjectPath::parse(text).ok().map(|p| Value::Reference(Box::new(p)))
        }
        (Type::Char16, Value::String(text)) => {
            let mut units = text.encode_utf16();
            let unit = units.next()?;
            units.next().is_none().then_some(Value::Char16(unit))
        }
        (Type::String, Value::Char16(unit)) => {
            char::from_u32((*unit).into()).map(|c| Value::String(c.into()))
        }
        (ty, Value::String(text)) => Value::parse(ty, text).ok(),
        (Type::Real32 | Type::Real64, Value::Null) => None,
        (Type::Real32 | Type::Real64, number) => Value::parse(ty, &number.text()?).ok(),
        (ty, value) if value.ty() == Some(ty) => Some(value.clone()),
        (ty, Value::Boolean(_) | Value::Char16(_)) if ty != Type::Char16 => None,
        (ty, value) => value.as_int().and_then(|n| Value::integer(ty, n)),
    }
}

fn refused(message: String) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_OBJECT_PATH, message)
}
