//! Values as text: the lexical forms of XML Schema (DSP0230 7), which are also what selectors, filters
//! and the command line use.

use super::{Type, Value, time};

/// Why a text is not a value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It does not have the form of that type.
    #[error("not a {0}")]
    Form(&'static str),
    /// It has the form, but not the range.
    #[error("out of range for {0}")]
    Range(&'static str),
}

impl Value {
    /// Reads `text` as one value of `ty`. Space around anything but strings is ignored.
    ///
    /// # Errors
    /// [`ValueError`] where it has not the form of the type, or is out of its range.
    pub fn parse(ty: Type, text: &str) -> Result<Value, ValueError> {
        let trimmed = text.trim();
        Ok(match ty {
            Type::String => Value::String(text.to_owned()),
            Type::Boolean => match trimmed {
                "1" => Value::Boolean(true),
                "0" => Value::Boolean(false),
                t if t.eq_ignore_ascii_case("true") => Value::Boolean(true),
                t if t.eq_ignore_ascii_case("false") => Value::Boolean(false),
                _ => return Err(ValueError::Form(ty.name())),
            },
            Type::Real32 => Value::Real32(real(trimmed, ty, f32::is_infinite)?),
            Type::Real64 => Value::Real64(real(trimmed, ty, f64::is_infinite)?),
            Type::Datetime => time::parse(trimmed).ok_or(ValueError::Form(ty.name()))?,
            Type::Reference | Type::Object => return Err(ValueError::Form(ty.name())),
            _ => Value::integer(ty, integer(trimmed, ty)?).ok_or(ValueError::Range(ty.name()))?,
        })
    }

    /// The number as an integer of type `ty`; `None` where it does not fit or `ty` is no integer type.
    pub fn integer(ty: Type, n: i128) -> Option<Value> {
        Some(match ty {
            Type::Uint8 => Value::Uint8(n.try_into().ok()?),
            Type::Uint16 => Value::Uint16(n.try_into().ok()?),
            Type::Uint32 => Value::Uint32(n.try_into().ok()?),
            Type::Uint64 => Value::Uint64(n.try_into().ok()?),
            Type::Sint8 => Value::Sint8(n.try_into().ok()?),
            Type::Sint16 => Value::Sint16(n.try_into().ok()?),
            Type::Sint32 => Value::Sint32(n.try_into().ok()?),
            Type::Sint64 => Value::Sint64(n.try_into().ok()?),
            Type::Char16 => Value::Char16(n.try_into().ok()?),
            _ => return None,
        })
    }

    /// The number in the first of sint32, sint64 and uint64 that it fits: what an integer is where no type is declared.
    pub fn of_integer(n: i128) -> Option<Value> {
        [Type::Sint32, Type::Sint64, Type::Uint64].into_iter().find_map(|ty| Value::integer(ty, n))
    }

    /// The text of a simple value; `None` for null, arrays, references and objects.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Value::Null | Value::Reference(_) | Value::Object(_) | Value::Array(_) => return None,
            Value::Boolean(flag) => flag.to_string(),
            Value::Real32(n) => float(f64::from(*n), format!("{n:?}")),
            Value::Real64(n) => float(*n, format!("{n:?}")),
            Value::String(text) => text.clone(),
            Value::Datetime { micros, offset_minutes } => time::print(*micros, *offset_minutes),
            Value::Interval(micros) => time::print_duration(*micros),
            Value::PartialTime(time) => time.to_string(),
            Value::Uint8(_)
            | Value::Uint16(_)
            | Value::Uint32(_)
            | Value::Uint64(_)
            | Value::Sint8(_)
            | Value::Sint16(_)
            | Value::Sint32(_)
            | Value::Sint64(_)
            | Value::Char16(_) => self.as_int()?.to_string(),
        })
    }
}

fn integer(text: &str, ty: Type) -> Result<i128, ValueError> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ValueError::Form(ty.name()));
    }
    text.parse().map_err(|_| ValueError::Range(ty.name()))
}

fn real<T: std::str::FromStr + Copy>(
    text: &str,
    ty: Type,
    infinite: impl Fn(T) -> bool,
) -> Result<T, ValueError> {
    let (digits, finite) = match text {
        "INF" => ("inf", false),
        "-INF" => ("-inf", false),
        "NaN" => ("nan", false),
        // Rust also reads `inf` and `infinity`, which XML Schema does not know.
        t if t.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) => (t, true),
        _ => return Err(ValueError::Form(ty.name())),
    };
    match digits.parse() {
        Ok(n) if finite && infinite(n) => Err(ValueError::Range(ty.name())),
        Ok(n) => Ok(n),
        Err(_) => Err(ValueError::Form(ty.name())),
    }
}

/// The shortest digits that read back as the same number, as Rust prints them, with XML Schema's words for the rest.
fn float(n: f64, text: String) -> String {
    if n.is_nan() {
        "NaN".into()
    } else if n.is_infinite() {
        if n > 0.0 { "INF".into() } else { "-INF".into() }
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_is_not_of_the_type() {
        for (ty, text) in [
            (Type::Uint32, ""),
            (Type::Uint32, "x"),
            (Type::Uint32, "1.0"),
            (Type::Uint32, "-1"),
            (Type::Uint32, "4294967296"),
            (Type::Uint8, "+-1"),
            (Type::Sint64, "99999999999999999999999999999999999999999999"),
            (Type::Boolean, "yes"),
            (Type::Real64, "infinity"),
            (Type::Real64, "1e999"),
            (Type::Real32, "-1e39"),
            (Type::Datetime, "yesterday"),
            (Type::Reference, "a"),
        ] {
            assert!(Value::parse(ty, text).is_err(), "{ty:?} {text}");
        }
    }

    #[test]
    fn accepts_the_forms_that_clients_use() {
        assert_eq!(Value::parse(Type::Boolean, " TRUE "), Ok(Value::Boolean(true)));
        assert_eq!(Value::parse(Type::Uint32, " +7\n"), Ok(Value::Uint32(7)));
        assert_eq!(Value::parse(Type::String, " a "), Ok(Value::from(" a ")));
        assert_eq!(Value::parse(Type::Real32, "-INF"), Ok(Value::Real32(f32::NEG_INFINITY)));
        assert_eq!(Value::parse(Type::Real64, "1.5E+3"), Ok(Value::Real64(1500.0)));
        let partial = Value::parse(Type::Datetime, "2024**********.******+***").unwrap();
        assert_eq!(partial.text().as_deref(), Some("2024**********.******+***"));
    }

    proptest! {
        #[test]
        fn numbers_read_back(n: u64, s: i64, f: f64, g in any::<u32>().prop_map(f32::from_bits), b: bool) {
            prop_assert_eq!(Value::parse(Type::Uint64, &Value::Uint64(n).text().unwrap()), Ok(Value::Uint64(n)));
            prop_assert_eq!(Value::parse(Type::Sint64, &Value::Sint64(s).text().unwrap()), Ok(Value::Sint64(s)));
            prop_assert_eq!(Value::parse(Type::Boolean, &Value::Boolean(b).text().unwrap()), Ok(Value::Boolean(b)));
            prop_assert_eq!(Value::parse(Type::Real64, &Value::Real64(f).text().unwrap()), Ok(Value::Real64(f)));
            if !g.is_nan() {
                prop_assert_eq!(Value::parse(Type::Real32, &Value::Real32(g).text().unwrap()), Ok(Value::Real32(g)));
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            for ty in [Type::Boolean, Type::Uint8, Type::Real32, Type::Datetime, Type::Char16, Type::Object] {
                let _ = Value::parse(ty, &text);
            }
        }
    }
}
