//! How values compare: strings without case, numbers whatever their width, times as points in time. A constant
//! is taken for a value of the property's type, so `"7"` equals the number 7 and `7` the string "7".

use super::lexer::{self, Token};
use super::{Comparison, Constant, Truth};
use crate::value::time;
use crate::{ObjectPath, Type, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// A value that can be compared.
#[derive(Clone, Debug)]
enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i128),
    Real(f64),
    Boolean(bool),
    Char(u16),
    /// A point in time, in microseconds.
    Time(i64),
    Interval(u64),
    Path(Cow<'a, ObjectPath>),
}

/// How two values stand to each other.
enum Relation {
    Ordered(Ordering),
    /// Whether they are equal: neither is less.
    Equal(bool),
}

/// Whether a value compares so with a constant.
pub(super) fn with_constant(value: &Value, comparison: Comparison, constant: &Constant) -> Truth {
    let relation = scalar(value).and_then(|left| {
        let right = alike(constant, &left)?;
        relation(&left, &right)
    });
    judge(relation, comparison)
}

/// Whether a value compares so with another.
pub(super) fn with_value(left: &Value, comparison: Comparison, right: &Value) -> Truth {
    let relation = scalar(left).zip(scalar(right)).and_then(|(left, right)| relation(&left, &right));
    judge(relation, comparison)
}

/// Whether values of a type can be compared so with a constant.
pub(super) fn comparable(ty: Type, comparison: Comparison, constant: &Constant) -> bool {
    let by_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    let sample = match ty {
        Type::Boolean if by_order => return false,
        Type::Reference => {
            let Constant::Text(text) = constant else { return false };
            return !by_order && ObjectPath::parse(text).is_ok();
        }
        Type::Object => return false,
        Type::Datetime => {
            let Constant::Text(text) = constant else { return false };
            return matches!(time::parse(text.trim()), Some(Value::Datetime { .. } | Value::Interval(_)));
        }
        Type::Boolean => Scalar::Boolean(true),
        Type::String => Scalar::Text("".into()),
        Type::Char16 => Scalar::Char(0),
        Type::Real32 | Type::Real64 => Scalar::Real(0.0),
        Type::Uint8
        | Type::Uint16
        | Type::Uint32
        | Type::Uint64
        | Type::Sint8
        | Type::Sint16
        | Type::Sint32
        | Type::Sint64 => Scalar::Integer(0),
    };
    alike(constant, &sample).is_some()
}

fn judge(relation: Option<Relation>, comparison: Comparison) -> Truth {
    match (relation, comparison) {
        (None, _) => Truth::Unknown,
        (Some(Relation::Ordered(ordering)), comparison) => comparison.admits(ordering).into(),
        (Some(Relation::Equal(equal)), Comparison::Equal) => equal.into(),
        (Some(Relation::Equal(equal)), Comparison::NotEqual) => (!equal).into(),
        (
            Some(Relation::Equal(_)),
            Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual,
        ) => Truth::Unknown,
    }
}

/// `None` for null, arrays and embedded objects.
fn scalar(value: &Value) -> Option<Scalar<'_>> {
    Some(match value {
        Value::String(text) => Scalar::Text(text.as_str().into()),
        Value::Boolean(flag) => Scalar::Boolean(*flag),
        Value::Real32(n) => Scalar::Real((*n).into()),
        Value::Real64(n) => Scalar::Real(*n),
        Value::Char16(unit) => Scalar::Char(*unit),
        Value::Datetime { micros, .. } => Scalar::Time(*micros),
        Value::Interval(micros) => Scalar::Interval(*micros),
        Value::Reference(path) => Scalar::Path(Cow::Borrowed(path)),
        other => Scalar::Integer(other.as_int()?),
    })
}

/// A constant as what it is compared with; `None` where it cannot be that.
fn alike<'a>(constant: &'a Constant, other: &Scalar<'_>) -> Option<Scalar<'a>> {
    match constant {
        Constant::Text(text) => text_alike(text, other),
        Constant::Integer(n) => match other {
            Scalar::Integer(_) | Scalar::Real(_) => Some(Scalar::Integer(*n)),
            Scalar::Text(_) => Some(Scalar::Text(n.to_string().into())),
            Scalar::Char(_) => u16::try_from(*n).ok().map(Scalar::Char),
            // -1 is what VARIANT_TRUE looks like
            Scalar::Boolean(_) => match n {
                0 => Some(Scalar::Boolean(false)),
                1 | -1 => Some(Scalar::Boolean(true)),
                _ => None,
            },
            Scalar::Time(_) | Scalar::Interval(_) | Scalar::Path(_) => None,
        },
        Constant::Real(n) => match other {
            Scalar::Integer(_) | Scalar::Real(_) => Some(Scalar::Real(*n)),
            Scalar::Text(_) => Some(Scalar::Text(n.to_string().into())),
            Scalar::Boolean(_)
            | Scalar::Char(_)
            | Scalar::Time(_)
            | Scalar::Interval(_)
            | Scalar::Path(_) => None,
        },
        Constant::Boolean(flag) => match other {
            Scalar::Boolean(_) => Some(Scalar::Boolean(*flag)),
            Scalar::Text(_) => Some(Scalar::Text(flag.to_string().into())),
            Scalar::Integer(_)
            | Scalar::Real(_)
            | Scalar::Char(_)
            | Scalar::Time(_)
            | Scalar::Interval(_)
            | Scalar::Path(_) => None,
        },
    }
}

fn text_alike<'a>(text: &'a str, other: &Scalar<'_>) -> Option<Scalar<'a>> {
    match other {
        Scalar::Text(_) => Some(Scalar::Text(text.into())),
        Scalar::Integer(_) | Scalar::Real(_) => match lexer::number(text.trim())? {
            Token::Integer(n) => Some(Scalar::Integer(n)),
            Token::Real(n) => Some(Scalar::Real(n)),
            Token::Word(_) | Token::Text(_) | Token::Mark(_) | Token::End => None,
        },
        Scalar::Boolean(_) => {
            Value::parse(Type::Boolean, text).ok().and_then(|v| v.as_bool()).map(Scalar::Boolean)
        }
        Scalar::Char(_) => {
            let mut units = text.encode_utf16();
            units.next().filter(|_| units.next().is_none()).map(Scalar::Char)
        }
        Scalar::Time(_) | Scalar::Interval(_) => match time::parse(text.trim())? {
            Value::Datetime { micros, .. } => Some(Scalar::Time(micros)),
            Value::Interval(micros) => Some(Scalar::Interval(micros)),
            _ => None,
        },
        Scalar::Path(_) => Some(Scalar::Path(Cow::Owned(ObjectPath::parse(text).ok()?))),
    }
}

fn relation(left: &Scalar<'_>, right: &Scalar<'_>) -> Option<Relation> {
    Some(Relation::Ordered(match (left, right) {
        (Scalar::Text(a), Scalar::Text(b)) => fold(a).cmp(fold(b)),
        (Scalar::Integer(a), Scalar::Integer(b)) => a.cmp(b),
        (Scalar::Char(a), Scalar::Char(b)) => a.cmp(b),
        (Scalar::Integer(a), Scalar::Char(b)) => a.cmp(&i128::from(*b)),
        (Scalar::Char(a), Scalar::Integer(b)) => i128::from(*a).cmp(b),
        (Scalar::Real(a), Scalar::Real(b)) => a.partial_cmp(b)?,
        (Scalar::Integer(a), Scalar::Real(b)) => mixed(*a, *b)?,
        (Scalar::Real(a), Scalar::Integer(b)) => mixed(*b, *a)?.reverse(),
        (Scalar::Time(a), Scalar::Time(b)) => a.cmp(b),
        (Scalar::Interval(a), Scalar::Interval(b)) => a.cmp(b),
        (Scalar::Boolean(a), Scalar::Boolean(b)) => return Some(Relation::Equal(a == b)),
        (Scalar::Path(a), Scalar::Path(b)) => return Some(Relation::Equal(same_path(a, b))),
        // Two properties of different types: a text may stand for what the other is.
        (Scalar::Text(text), other) => return relation(&text_alike(text, other)?, other),
        (other, Scalar::Text(text)) => return relation(other, &text_alike(text, other)?),
        _ => return None,
    }))
}

/// An integer and a real, exactly; `None` for NaN.
fn mixed(integer: i128, real: f64) -> Option<Ordering> {
    const EDGE: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0; // 2^127
    if real.is_nan() {
        return None;
    }
    if real >= EDGE {
        return Some(Ordering::Less);
    }
    if real < -EDGE {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the whole part is in range, see above")]
    let whole = real.trunc() as i128;
    Some(integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&real.fract()).unwrap_or(Ordering::Equal)))
}

/// Whether two paths name the same. One out of a text may leave the namespace out, and the name of the only key, and
/// does not tell the types of its keys.
fn same_path(a: &ObjectPath, b: &ObjectPath) -> bool {
    let same_value = |a: &Value, b: &Value| {
        a.same(b) || a.text().zip(b.text()).is_some_and(|(a, b)| fold(&a).eq(fold(&b)))
    };
    let same_keys = match (a.keys.as_slice(), b.keys.as_slice()) {
        ([(first, a)], [(second, b)]) if first.is_empty() || second.is_empty() => same_value(a, b),
        (keys, _) => {
            keys.len() == b.keys.len()
                && keys.iter().all(|(name, value)| b.key(name).is_some_and(|other| same_value(value, other)))
        }
    };
    let anywhere = a.namespace.is_empty() || b.namespace.is_empty();
    (anywhere || a.namespace == b.namespace) && a.class.eq_ignore_ascii_case(&b.class) && same_keys
}

fn fold(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(char::to_lowercase)
}
