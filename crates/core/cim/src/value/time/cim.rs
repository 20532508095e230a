//! The 25 characters of the CIM form (DSP0004 5.2.4): `20240501102030.123456+120` for a point in time with its
//! offset in minutes, `00000001020304.000000:000` for an interval. Asterisks stand for what is not known.

use super::{DAY, SECOND, Value, local, point};
use jiff::civil::DateTime;
use std::fmt;

/// The most days that an interval has room for.
const MOST_DAYS: u64 = 99_999_999;
/// The widest zone that there is room for, in minutes.
const WIDEST_ZONE: u16 = 999;

/// A time or interval of which some fields are asterisks, as its 25 characters. It is equal to itself only.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartialTime([u8; 25]);

/// Reads the 25 characters. A field is digits or asterisks throughout; of the microseconds the last ones may be
/// asterisks.
pub(super) fn parse(text: &str) -> Option<Value> {
    if text.contains('*') {
        return PartialTime::parse(text).map(Value::PartialTime);
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let fraction = number(15, 21)?;
    let (hours, minutes, seconds) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    if text.get(21..) == Some(":000") {
        if hours > 23 || minutes > 59 || seconds > 59 {
            return None;
        }
        let clock = hours * 3600 + minutes * 60 + seconds;
        return Some(Value::Interval(number(0, 8)? * DAY + clock * SECOND + fraction));
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
        hours.try_into().ok()?,
        minutes.try_into().ok()?,
        seconds.try_into().ok()?,
        i32::try_from(fraction * 1000).ok()?,
    );
    point(civil.ok()?, sign * i16::try_from(number(22, 25)?).ok()?)
}

/// The 25 characters of a point in time or an interval; `None` for any other value. What is outside the range
/// of the form becomes the nearest that is inside, and a wider zone than it has room for UTC.
pub fn print_cim(value: &Value) -> Option<String> {
    Some(match value {
        Value::Datetime { micros, offset_minutes } => {
            let offset = if offset_minutes.unsigned_abs() > WIDEST_ZONE { 0 } else { *offset_minutes };
            let at = local(*micros, offset);
            let sign = if offset < 0 { '-' } else { '+' };
            let (date, clock) = (at.date(), at.time());
            format!(
                "{:04}{:02}{:02}{:02}{:02}{:02}.{:06}{sign}{:03}",
                date.year(),
                date.month(),
                date.day(),
                clock.hour(),
                clock.minute(),
                clock.second(),
                clock.subsec_nanosecond() / 1000,
                offset.abs()
            )
        }
        Value::Interval(micros) => {
            let micros = (*micros).min((MOST_DAYS + 1) * DAY - 1);
            let seconds = micros / SECOND;
            format!(
                "{:08}{:02}{:02}{:02}.{:06}:000",
                seconds / 86_400,
                seconds / 3600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                micros % SECOND
            )
        }
        Value::PartialTime(time) => time.to_string(),
        _ => return None,
    })
}

impl PartialTime {
    /// From 25 characters of which one at least is an asterisk.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 25] = text.as_bytes().try_into().ok()?;
        let field = |from: usize, to: usize, least: u32, most: u32| -> Option<()> {
            let part = text.get(from..to)?;
            if part.bytes().all(|b| b == b'*') {
                return Some(());
            }
            let number: u32 = part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())??;
            (least..=most).contains(&number).then_some(())
        };
        field(8, 10, 0, 23)?;
        field(10, 12, 0, 59)?;
        field(12, 14, 0, 59)?;
        let fraction = text.get(15..21)?.trim_end_matches('*');
        let whole = fraction.bytes().all(|b| b.is_ascii_digit());
        if !text.contains('*') || text.get(14..15)? != "." || !whole {
            return None;
        }
        match text.get(21..22)? {
            ":" => {
                field(0, 8, 0, 99_999_999)?;
                (text.get(22..)? == "000").then_some(Self(bytes))
            }
            "+" | "-" => {
                field(0, 4, 0, 9999)?;
                field(4, 6, 1, 12)?;
                field(6, 8, 1, 31)?;
                field(22, 25, 0, 999)?;
                Some(Self(bytes))
            }
            _ => None,
        }
    }
}

impl fmt::Display for PartialTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", char::from(*b)))
    }
}

impl fmt::Debug for PartialTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MINUTE, tests::YEAR_0, tests::YEAR_10000};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_of_the_form() {
        for text in [
            "00000101000000.000000+999",
            "99991231235959.999999-999",
            "19691231235959.999999-060",
            "00000000000000.000000:000",
            "99999999235959.999999:000",
            "00000001020304.000000:000",
            "2024**********.******+***",
            "********143000.000000-420",
            "20240501102030.12****+120",
            "**************.******+000",
            "00000001******.******:000",
        ] {
            let Some(value) = parse(text) else { panic!("{text} was refused") };
            assert_eq!(print_cim(&value).as_deref(), Some(text));
        }
        assert_eq!(parse("19700101000000.000000+000"), Some(Value::utc(0)));
        assert_eq!(parse("00000001020304.000000:000"), Some(Value::Interval(93_784 * SECOND)));
    }

    #[test]
    fn what_is_none() {
        for text in [
            "20240230000000.000000+000",
            "20240501246060.000000+000",
            "00000001240000.000000:000",
            "00000001000000.000000:001",
            "2024050110203a.000000+000",
            "2024050110203*.000000+000",
            "20241*01000000.000000+000",
            "20241301******.******+000",
            "20240501102030.1*3456+120",
            "20240501102030.123456*120",
            "00000001******.******:***",
            "20240501102030,123456+12*",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_no_room_becomes_the_nearest() {
        assert_eq!(print_cim(&Value::Interval(u64::MAX)).as_deref(), Some("99999999235959.999999:000"));
        assert_eq!(print_cim(&Value::utc(i64::MIN)).as_deref(), Some("00000101000000.000000+000"));
        let zone = Value::Datetime { micros: 0, offset_minutes: i16::MIN };
        assert_eq!(print_cim(&zone).as_deref(), Some("19700101000000.000000+000"));
        assert_eq!(print_cim(&Value::from("x")), None);
    }

    proptest! {
        #[test]
        fn times_read_back(micros in YEAR_0..YEAR_10000, offset_minutes in -999i16..=999) {
            let micros = micros - i64::from(offset_minutes) * MINUTE;
            let value = Value::Datetime { micros, offset_minutes };
            prop_assert_eq!(parse(&print_cim(&value).unwrap()), Some(value));
        }

        #[test]
        fn intervals_read_back(micros in 0..(MOST_DAYS + 1) * DAY) {
            prop_assert_eq!(parse(&print_cim(&Value::Interval(micros)).unwrap()), Some(Value::Interval(micros)));
        }

        #[test]
        fn whatever_is_read_prints_the_same(text in "[0-2*]{8}[01*]{6}\\.[0-9*]{6}[+:-][0*]{3}") {
            if let Some(value) = parse(&text) {
                // A zone of -000 is one of +000.
                prop_assert_eq!(print_cim(&value).unwrap(), if text.ends_with("-000") && !text.contains('*') { text.replace("-000", "+000") } else { text });
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{25}", bytes in "[0-9*+.:éß-]{20,25}") {
            let _ = parse(&text);
            let _ = parse(&bytes);
        }
    }
}
