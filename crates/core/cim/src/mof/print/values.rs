//! Values as MOF constants.

use super::{Printer, WIDTH};
use crate::Value;
use crate::value::time;

/// A piece of a string has at least so much room, however deep it stands.
const LEAST_ROOM: usize = 40;

impl Printer {
    /// A constant. Text that is too long for its line is written as several strings, which are one to a reader.
    pub(super) fn value(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Boolean(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Char16(unit) => self.character(*unit),
            Value::String(text) => self.string(text),
            Value::Datetime { .. } | Value::Interval(_) | Value::PartialTime(_) => {
                self.string(&time::print_cim(value).unwrap_or_default());
            }
            Value::Reference(path) => self.string(&path.to_string()),
            Value::Object(instance) => self.instance(instance, indent),
            Value::Array(items) => self.list(items, indent),
            // MOF has no word for what is no number.
            Value::Real32(n) if !n.is_finite() => self.out.push_str("NULL"),
            Value::Real64(n) if !n.is_finite() => self.out.push_str("NULL"),
            Value::Null => self.out.push_str("NULL"),
            number => self.out.push_str(&number.text().unwrap_or_default()),
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        self.out.push('{');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
                let room = WIDTH.saturating_sub(self.column());
                let long = matches!(item, Value::Object(_))
                    || matches!(item, Value::String(text) if text.len() + 3 > room)
                    || room < 30;
                if long { self.line(indent) } else { self.out.push(' ') }
            }
            self.value(item, indent);
        }
        self.out.push('}');
    }

    pub(super) fn string(&mut self, text: &str) {
        let start = self.column();
        let most = WIDTH.saturating_sub(start + 2).max(LEAST_ROOM);
        self.out.push('"');
        let (mut used, mut word) = (0, String::new());
        for c in text.chars() {
            escape(&mut word, c, '"');
            // A piece ends behind a space, or inside a word that is longer than a line.
            if c == ' ' || word.len() >= most {
                self.piece(&mut used, &mut word, most, start);
            }
        }
        self.piece(&mut used, &mut word, most, start);
        self.out.push('"');
    }

    fn piece(&mut self, used: &mut usize, word: &mut String, most: usize, start: usize) {
        if *used > 0 && *used + word.len() > most {
            self.out.push('"');
            self.line(start);
            self.out.push('"');
            *used = 0;
        }
        *used += word.len();
        self.out.push_str(word);
        word.clear();
    }

    fn character(&mut self, unit: u16) {
        self.out.push('\'');
        match char::from_u32(unit.into()) {
            Some(c) => escape(&mut self.out, c, '\''),
            None => self.out.push_str(&format!("\\x{unit:04X}")),
        }
        self.out.push('\'');
    }
}

/// One character; by its number what a line or a terminal would not show as itself. Always four digits: a reader takes
/// as many as there are.
fn escape(out: &mut String, c: char, quote: char) {
    match c {
        c if c == quote || c == '\\' => {
            out.push('\\');
            out.push(c);
        }
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
            out.push_str(&format!("\\x{:04X}", u32::from(c)));
        }
        c => out.push(c),
    }
}
