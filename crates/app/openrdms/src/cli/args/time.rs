//! Times as people type them.

use openrdms_cim::Value;
use openrdms_cim::value::time;

/// A beginning: so many seconds ago, or a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    SecondsAgo(u32),
    /// Microseconds since 1970.
    At(i64),
}

impl Since {
    /// The point in time in microseconds since 1970, where `now` is.
    pub(crate) fn micros(self, now: i64) -> i64 {
        match self {
            Since::SecondsAgo(seconds) => now.saturating_sub(i64::from(seconds) * 1_000_000),
            Since::At(micros) => micros,
        }
    }
}

/// A time to come: so many seconds ahead, or a point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    In(u32),
    /// Microseconds since 1970.
    At(i64),
}

impl When {
    /// The point in time in microseconds since 1970, where `now` is.
    pub(crate) fn micros(self, now: i64) -> i64 {
        match self {
            When::In(seconds) => now.saturating_add(i64::from(seconds) * 1_000_000),
            When::At(micros) => micros,
        }
    }
}

/// `2h` or `2026-05-01T08:00:00Z`.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Ok(seconds) = span(text) {
        return Ok(When::In(seconds));
    }
    match time::parse(text) {
        Some(Value::Datetime { micros, .. }) => Ok(When::At(micros)),
        _ => Err("neither how far ahead, such as 2h or 7d, nor a time such as 2026-05-01T08:00:00Z".into()),
    }
}

/// `2h` or `2026-05-01T08:00:00Z`.
pub(crate) fn since(text: &str) -> Result<Since, String> {
    if let Ok(seconds) = span(text) {
        return Ok(Since::SecondsAgo(seconds));
    }
    match time::parse(text) {
        Some(Value::Datetime { micros, .. }) => Ok(Since::At(micros)),
        _ => Err("neither how long ago, such as 2h or 7d, nor a time such as 2026-05-01T08:00:00Z".into()),
    }
}

/// A limit in seconds; `never` is 0.
pub(crate) fn limit(text: &str) -> Result<u32, String> {
    if text == "never" {
        return Ok(0);
    }
    span(text).map_err(|why| match why {
        Wrong::Form => "a time is a number and a unit, such as 30s, 15m, 8h or 2d, or 'never'".into(),
        Wrong::Range => why.to_string(),
    })
}

/// How long, in seconds.
pub(crate) fn span(text: &str) -> Result<u32, Wrong> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        Some(_) | None => return Err(Wrong::Form),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Wrong::Form);
    }
    digits.parse::<u32>().ok().and_then(|n| n.checked_mul(unit)).ok_or(Wrong::Range)
}

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("a time is a number and a unit, such as 30s, 15m, 8h or 2d")]
    Form,
    #[error("that is too long: up to 49710d")]
    Range,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit_or_never() {
        let read: Vec<_> = ["never", "30s", "15m", "8h", "2d"].map(limit).into_iter().flatten().collect();
        assert_eq!(read, [0, 30, 900, 28_800, 172_800]);
        for wrong in ["", "s", "30", "-5m", "+5m", "1.5h", "1h30m", "5 m", "9999999999s", "49711d", "5µ"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
        assert!(span("never").is_err());
    }

    #[test]
    fn a_beginning_is_a_span_back_or_a_time() {
        assert_eq!(since("2h").map(|s| s.micros(10_000_000_000)), Ok(2_800_000_000));
        assert_eq!(since("1970-01-01T00:00:05Z"), Ok(Since::At(5_000_000)));
        for wrong in ["", "yesterday", "never", "2", "PT5M"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
