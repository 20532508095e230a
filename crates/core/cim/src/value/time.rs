//! Points in time and durations as text: XML Schema `dateTime` and `duration` (XML Schema 2, 3.2.6 and 3.2.7),
//! and the 25-character CIM form (DSP0004 5.2.4, [`cim`]).
//!
//! Points in time are those of the years 0 to 9999 on the clock of their own zone.

pub mod cim;

pub use cim::{PartialTime, print_cim};

use super::Value;
use jiff::civil::DateTime;

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;
const MINUTE: i64 = 60_000_000;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
const FIRST: DateTime = DateTime::constant(0, 1, 1, 0, 0, 0, 0);
const LAST: DateTime = DateTime::constant(9999, 12, 31, 23, 59, 59, 999_999_000);
/// The widest zone that XML Schema has, in minutes.
const WIDEST_ZONE: u16 = 14 * 60;

/// Reads any of the three forms; a `dateTime` without a zone is UTC.
pub fn parse(text: &str) -> Option<Value> {
    if text.starts_with('P') {
        return parse_duration(text).map(Value::Interval);
    }
    if text.len() == 25 && text.as_bytes().get(14) == Some(&b'.') {
        return cim::parse(text);
    }
    let (civil, offset_minutes) = match text.strip_suffix('Z') {
        Some(civil) => (civil, 0),
        None => match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
            Some((civil, zone)) if zone.starts_with(['+', '-']) => (civil, parse_zone(zone)?),
            _ => (text, 0),
        },
    };
    // jiff also reads signed years, week dates, zones in brackets and more: only the schema's alphabet may pass.
    let alphabet = civil.bytes().all(|b| b.is_ascii_digit() || b"-:.T".contains(&b));
    if !civil.starts_with(|c: char| c.is_ascii_digit()) || !civil.contains('T') || !alphabet {
        return None;
    }
    point(civil.parse().ok()?, offset_minutes)
}

/// The `dateTime` of a point in time, the fraction only where there is one. In UTC where its zone is wider than
/// XML Schema knows; outside the years 0 to 9999 the nearest that is inside.
pub fn print(micros: i64, offset_minutes: i16) -> String {
    let offset = if offset_minutes.unsigned_abs() > WIDEST_ZONE { 0 } else { offset_minutes };
    let at = local(micros, offset);
    match offset {
        0 => format!("{at}Z"),
        _ => {
            let sign = if offset < 0 { '-' } else { '+' };
            format!("{at}{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
        }
    }
}

/// Microseconds of a `duration`: `P1DT2H`, `PT30.0S`. A year counts 365 days and a month 30. `None` where
/// it is none, negative, or longer than 64 bits hold.
pub fn parse_duration(text: &str) -> Option<u64> {
    let rest = text.trim().strip_prefix('P')?;
    let (date, clock) = match rest.split_once('T') {
        Some((date, clock)) if !clock.is_empty() => (date, clock),
        Some(_) => return None,
        None => (rest, ""),
    };
    if date.is_empty() && clock.is_empty() {
        return None;
    }
    let days = units(date, &[('Y', 365 * DAY), ('M', 30 * DAY), ('D', DAY)])?;
    days.checked_add(units(clock, &[('H', 3600 * SECOND), ('M', 60 * SECOND), ('S', SECOND)])?)
}

/// The `duration` of so many microseconds, in days, hours, minutes and seconds.
pub fn print_duration(micros: u64) -> String {
    let (seconds, fraction) = (micros / SECOND, micros % SECOND);
    let mut text =
        format!("P{}DT{}H{}M{}", seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        text += format!(".{fraction:06}").trim_end_matches('0');
    }
    text + "S"
}

/// The point in time at which a clock with that offset shows `civil`.
fn point(civil: DateTime, offset_minutes: i16) -> Option<Value> {
    let micros = i64::try_from(civil.duration_since(EPOCH).as_micros()).ok()?;
    Some(Value::Datetime { micros: micros - i64::from(offset_minutes) * MINUTE, offset_minutes })
}

/// What a clock with that offset shows then.
fn local(micros: i64, offset_minutes: i16) -> DateTime {
    let shown = micros.saturating_add(i64::from(offset_minutes) * MINUTE);
    let edge = if micros < 0 { FIRST } else { LAST };
    let at = EPOCH.checked_add(jiff::SignedDuration::from_micros(shown)).unwrap_or(edge);
    at.clamp(FIRST, LAST)
}

fn parse_zone(zone: &str) -> Option<i16> {
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i16>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if minutes > 59 || (hours * 60 + minutes).unsigned_abs() > WIDEST_ZONE {
        return None;
    }
    Some(if zone.starts_with('-') { -(hours * 60 + minutes) } else { hours * 60 + minutes })
}

/// `1D` or `2H3M4.5S`: each unit at most once and in this order; a fraction only before `S`.
fn units(mut text: &str, known: &[(char, u64)]) -> Option<u64> {
    let (mut total, mut known) = (0u64, known.iter());
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = (text.get(..end)?, text.get(end..)?.chars().next()?);
        let (_, size) = known.find(|(name, _)| *name == unit)?;
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if unit == 'S' && !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (number, ""),
        };
        total = total.checked_add(whole.parse::<u64>().ok()?.checked_mul(*size)?)?;
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
        total = total.checked_add(micros.parse().ok()?)?;
        text = text.get(end + 1..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) const YEAR_0: i64 = -62_167_219_200_000_000;
    pub(super) const YEAR_10000: i64 = 253_402_300_800_000_000;

    #[test]
    fn the_durations_that_clients_send() {
        for (text, seconds) in [
            ("PT30.0S", 30.0),
            ("PT1M30S", 90.0),
            ("PT60.000S", 60.0),
            ("PT20S", 20.0),
            ("P0DT0H1M0S", 60.0),
            ("P1Y2M3DT4H5M6.5S", 365.0 * 86400.0 + 63.0 * 86400.0 + 4.0 * 3600.0 + 306.5),
            (" PT1S ", 1.0),
        ] {
            assert_eq!(parse_duration(text), Some((seconds * 1e6) as u64), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "",
            "P",
            "PT",
            "1S",
            "P1S",
            "PT1D",
            "PT1S1M",
            "PT1S1S",
            "PT1.S",
            "PT.5H",
            "-PT1S",
            "PT99999999999999999999S",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn one_moment_in_three_forms() {
        let moment = Value::Datetime { micros: 1_714_551_630_123_456, offset_minutes: 120 };
        assert_eq!(parse("2024-05-01T10:20:30.123456+02:00"), Some(moment.clone()));
        assert_eq!(parse("20240501102030.123456+120"), Some(moment.clone()));
        assert_eq!(moment.text().as_deref(), Some("2024-05-01T10:20:30.123456+02:00"));
        assert_eq!(print(1_714_551_630_000_000, 0), "2024-05-01T08:20:30Z");
        assert_eq!(print_duration(93_784 * SECOND + 500_000), "P1DT2H3M4.5S");
    }

    #[test]
    fn the_years_0_to_9999_and_no_others() {
        for text in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "0000-01-01T00:00:00+14:00"] {
            assert_eq!(parse(text).unwrap().text().as_deref(), Some(text));
        }
        for text in ["-000001-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-05-01"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("2024-05-01T00:00:00+14:01"), None);
        assert_eq!(print(i64::MIN, 0), "0000-01-01T00:00:00Z");
        assert_eq!(print(i64::MAX, i16::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(print(0, 900), "1970-01-01T00:00:00Z");
        assert_eq!(print(0, i16::MIN), "1970-01-01T00:00:00Z");
    }

    proptest! {
        #[test]
        fn moments_read_back(micros in YEAR_0..YEAR_10000, offset in -840i16..=840) {
            let micros = micros - i64::from(offset) * MINUTE;
            prop_assert_eq!(parse(&print(micros, offset)), Some(Value::Datetime { micros, offset_minutes: offset }));
        }

        #[test]
        fn durations_read_back(micros: u64) {
            prop_assert_eq!(parse_duration(&print_duration(micros)), Some(micros));
        }

        #[test]
        fn no_text_panics(text in "[-P0-9TYMDHS:.+*Z]{0,30}", any in "\\PC{0,26}") {
            let _ = parse(&text);
            let _ = parse(&any);
        }
    }
}
