//! Values as people read them.

use openrdms_cim::Value;

/// A value as people read it: `-` for null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Reference(path) => path.to_string(),
        Value::Object(instance) => {
            let inside = instance.properties.iter().filter(|(_, value)| !value.is_null());
            let inside: Vec<_> = inside.map(|(name, value)| format!("{name}={}", text(value))).collect();
            format!("{}{{{}}}", instance.class, inside.join(", "))
        }
        other => other.text().unwrap_or_else(|| "-".to_owned()),
    }
}

/// A time to the second: its fraction is for programs.
pub(crate) fn second(time: &Value) -> String {
    let time = text(time);
    time.split_once('.').map_or_else(|| time.clone(), |(seconds, _)| format!("{seconds}Z"))
}

/// The text without anything that a terminal would obey.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if is_hostile(c) { '?' } else { c }).collect()
}

/// Control characters, and those that turn the direction of writing or break lines.
pub(super) fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `75` as `1m15s`: at most two units, the way people say it.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes, rest) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m{rest:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        (_, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let said: Vec<String> = [0, 59, 75, 3661, 90_000].into_iter().map(duration).collect();
        assert_eq!(said, ["0s", "59s", "1m15s", "1h01m", "1d01h"]);
    }
}
