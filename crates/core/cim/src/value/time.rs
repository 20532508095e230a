//! Points in time and durations as text: XML Schema `dateTime` and `duration` (XML Schema 2, 3.2.6 and 3.2.7),
//! and the 25-character CIM form (DSP0004 5.2.4).

use super::Value;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Reads any of the three forms; a `dateTime` without a zone is UTC.
pub fn parse(text: &str) -> Option<Value> {
    if text.starts_with('P') {
        return parse_duration(text).map(Value::Interval);
    }
    if text.len() == 25 && text.as_bytes().get(14) == Some(&b'.') {
        return parse_cim(text);
    }
    let (civil, offset_minutes) = match text.strip_suffix('Z') {
        Some(civil) => (civil, 0),
        None => match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
            Some((civil, zone)) if zone.starts_with(['+', '-']) => (civil, parse_zone(zone)?),
            _ => (text, 0),
        },
    };
    // jiff also reads week dates, zones in brackets and more: only the schema's alphabet may pass.
    if !civil.contains('T') || !civil.bytes().all(|b| b.is_ascii_digit() || b"-:.T".contains(&b)) {
        return None;
    }
    point(civil.parse().ok()?, offset_minutes)
}

/// The `dateTime` of a point in time, the fraction only where there is one.
pub fn print(micros: i64, offset_minutes: i16) -> String {
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).unwrap_or(Offset::UTC);
    let edge = if micros < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let at = jiff::Timestamp::from_microsecond(micros)
        .unwrap_or(edge)
        .to_zoned(TimeZone::fixed(offset))
        .datetime();
    let minutes = offset.seconds() / 60;
    match minutes {
        0 => format!("{at}Z"),
        _ => {
            let sign = if minutes < 0 { '-' } else { '+' };
            format!("{at}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
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

/// `20240501102030.123456+120`, or as an interval `00000001020304.000000:000`; unknown digits (`*`) count as 0.
fn parse_cim(text: &str) -> Option<Value> {
    let text = text.replace('*', "0");
    let number = |from: usize, to: usize| -> Option<u64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let fraction = number(15, 21)?;
    let clock = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if text.get(21..) == Some(":000") {
        let seconds = number(0, 8)? * 86_400 + clock.0 * 3600 + clock.1 * 60 + clock.2;
        return Some(Value::Interval(seconds * SECOND + fraction));
    }
    let sign = match text.get(21..22)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let civil = DateTime::new(
        number(0, 4)?.try_into().ok()?,
        number(4, 6)?.try_into().ok()?,
        number(6, 8)?.try_into().ok()?,
        clock.0.try_into().ok()?,
        clock.1.try_into().ok()?,
        clock.2.try_into().ok()?,
        i32::try_from(fraction * 1000).ok()?,
    );
    point(civil.ok()?, sign * i16::try_from(number(22, 25)?).ok()?)
}

fn point(civil: DateTime, offset_minutes: i16) -> Option<Value> {
    let offset = Offset::from_seconds(i32::from(offset_minutes) * 60).ok()?;
    let micros = offset.to_timestamp(civil).ok()?.as_microsecond();
    Some(Value::Datetime { micros, offset_minutes })
}

fn parse_zone(zone: &str) -> Option<i16> {
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two =
        |t: &str| (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i16>().ok())?;
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    if hours > 14 || minutes > 59 {
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
        assert_eq!(parse("00000001020304.000000:000"), Some(Value::Interval(93_784 * SECOND)));
        assert_eq!(print_duration(93_784 * SECOND + 500_000), "P1DT2H3M4.5S");
    }

    proptest! {
        #[test]
        fn moments_read_back(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000, offset in -840i16..=840) {
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
