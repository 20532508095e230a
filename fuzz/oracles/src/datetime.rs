//! Times and durations, and the values of all other types as text.

use crate::{bounded, text};
use openrdms_cim::value::time::{self, print_cim};
use openrdms_cim::{Type, Value};

const SIMPLE: [Type; 14] = [
    Type::Boolean,
    Type::Uint8,
    Type::Uint16,
    Type::Uint32,
    Type::Uint64,
    Type::Sint8,
    Type::Sint16,
    Type::Sint32,
    Type::Sint64,
    Type::Real32,
    Type::Real64,
    Type::Char16,
    Type::String,
    Type::Datetime,
];
/// The widest zone that XML Schema has, in minutes.
const WIDEST_ZONE: u16 = 14 * 60;
/// The longest interval that the CIM form has room for, and what is left of it at the edges by a zone.
const LONGEST: u64 = 100_000_000 * 86_400_000_000;

/// A time, a duration or another value prints to one that is the same.
pub fn datetime(bytes: &[u8]) -> bool {
    let text = text(bytes);
    if let Some(micros) = time::parse_duration(&text) {
        let printed = time::print_duration(micros);
        assert_eq!(time::parse_duration(&printed), Some(micros), "{printed}");
    }
    if let Some(value) = time::parse(&text) {
        is_told_in_both_forms(&value);
    }
    let mut read = false;
    for ty in SIMPLE {
        let Ok(value) = Value::parse(ty, &text) else { continue };
        read |= ty != Type::String;
        assert_eq!(value.ty(), Some(ty));
        let printed = value.text().expect("a simple value has a text");
        bounded("the value", &printed, text.len(), 1);
        let Ok(again) = Value::parse(ty, &printed) else { panic!("{ty:?} {printed}") };
        assert_eq!(again.text().as_ref(), Some(&printed));
        let wide = matches!(value, Value::Datetime { offset_minutes, .. } if offset_minutes.unsigned_abs() > WIDEST_ZONE);
        // what is no number equals nothing, and a wide zone is told in UTC
        if printed != "NaN" && !wide {
            assert_eq!(again, value, "{printed}");
            assert!(value.matches_text(ty, &printed), "{printed}");
        }
    }
    read
}

fn is_told_in_both_forms(value: &Value) {
    let cim = print_cim(value).expect("it is a time");
    assert_eq!(cim.len(), 25, "{cim}");
    match value {
        Value::Datetime { micros, offset_minutes } => {
            assert_eq!(time::parse(&cim).as_ref(), Some(value), "{cim}");
            let printed = time::print(*micros, *offset_minutes);
            let again = time::parse(&printed);
            if offset_minutes.unsigned_abs() <= WIDEST_ZONE {
                assert_eq!(again.as_ref(), Some(value), "{printed}");
            } else {
                assert!(again.is_some(), "{printed}");
            }
        }
        Value::Interval(micros) if *micros < LONGEST => {
            assert_eq!(time::parse(&cim).as_ref(), Some(value), "{cim}")
        }
        Value::PartialTime(_) => assert_eq!(time::parse(&cim).as_ref(), Some(value), "{cim}"),
        _ => {}
    }
}
