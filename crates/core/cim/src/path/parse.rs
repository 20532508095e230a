//! Object paths out of text: one pass, no recursion; a reference in a key stays a string.

use super::{ObjectPath, canonical_namespace};
use crate::{Type, Value};

/// Longest text that is read, in bytes.
pub const MAX_PATH: usize = 64 << 10;
/// Most keys that a path may have.
pub const MAX_KEYS: usize = 64;

/// Why a text is no object path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}")]
pub struct PathError {
    /// Where, in characters from 1.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
}

type Parsed<T> = Result<T, PathError>;

pub(super) fn path(text: &str) -> Parsed<(Option<String>, ObjectPath)> {
    let mut reader = Reader { text, at: 0 };
    if text.len() > MAX_PATH {
        return Err(PathError { position: 1, expected: "a path of 64 KiB at most" });
    }
    reader.space();
    let server = reader.server()?;
    let namespace = reader.namespace(server.is_some())?;
    let class = reader.name("a class name")?.to_owned();
    let keys = reader.keys()?;
    reader.space();
    if !reader.rest().is_empty() {
        let expected = if keys.is_empty() { "'.', '=' or the end" } else { "',' or the end" };
        return Err(reader.expected(expected));
    }
    Ok((server.filter(|name| name != "."), ObjectPath { namespace, class, keys }))
}

struct Reader<'a> {
    text: &'a str,
    /// In bytes, always between two characters.
    at: usize,
}

impl<'a> Reader<'a> {
    /// `\\\\server` or `//server` with its port, if there; a scheme before it says nothing that matters here.
    fn server(&mut self) -> Parsed<Option<String>> {
        let rest = self.rest();
        let scheme = rest.split_once("://").map_or(0, |(scheme, _)| {
            let letters = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            if letters && !scheme.is_empty() { scheme.len() + 1 } else { 0 }
        });
        let rest = rest.get(scheme..).unwrap_or_default();
        let Some(name) = rest.strip_prefix(r"\\").or_else(|| rest.strip_prefix("//")) else {
            return Ok(None);
        };
        let end = name.find(['\\', '/']).unwrap_or(name.len());
        self.at += scheme + 2;
        // DSP0207 also has no server at all: `///root:C`.
        self.at += end;
        if self.rest().is_empty() {
            return Err(self.expected("a namespace"));
        }
        Ok(name.get(..end).map(|name| if name.is_empty() { ".".to_owned() } else { name.to_owned() }))
    }

    /// The namespace and its colon; empty where the path has none.
    fn namespace(&mut self, required: bool) -> Parsed<String> {
        let rest = self.rest();
        let end = rest.find(|c| !in_namespace(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if rest.get(end..).is_some_and(|rest| rest.starts_with(':')) {
            self.at += end + 1;
            self.space();
            return Ok(canonical_namespace(name));
        }
        // A namespace alone is no path, and its slashes are no part of a class name.
        match name.find(['/', '\\']) {
            Some(_) => {
                self.at += end;
                Err(self.expected("':' and a class name"))
            }
            None if required => Err(self.expected("a namespace and ':'")),
            None => Ok(String::new()),
        }
    }

    fn keys(&mut self) -> Parsed<Vec<(String, Value)>> {
        self.space();
        if self.take('=') {
            self.space();
            let value = if self.take('@') { Value::Null } else { self.value()? };
            return Ok(vec![(String::new(), value)]);
        }
        let mut keys: Vec<(String, Value)> = Vec::new();
        if !self.take('.') {
            return Ok(keys);
        }
        loop {
            self.space();
            let before = self.at;
            let name = self.name("the name of a key")?;
            if keys.len() == MAX_KEYS || keys.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                self.at = before;
                return Err(self.expected("another key, 64 at most"));
            }
            self.space();
            if !self.take('=') {
                return Err(self.expected("'='"));
            }
            self.space();
            let value = self.value()?;
            keys.push((name.to_owned(), value));
            self.space();
            if !self.take(',') {
                return Ok(keys);
            }
        }
    }

    fn value(&mut self) -> Parsed<Value> {
        match self.rest().chars().next() {
            Some('"') => self.quoted('"').map(Value::String),
            // WMI takes either quotes for strings, CIM single ones for characters.
            Some('\'') => {
                let before = self.at;
                if let Some(unit) = self.numbered_character() {
                    return Ok(Value::Char16(unit));
                }
                self.at = before;
                let text = self.quoted('\'')?;
                let mut units = text.encode_utf16();
                match (units.next(), units.next()) {
                    (Some(unit), None) => Ok(Value::Char16(unit)),
                    _ => Ok(Value::String(text)),
                }
            }
            _ => self.bare(),
        }
    }

    /// `'\x0041'`.
    fn numbered_character(&mut self) -> Option<u16> {
        let digits = self.rest().strip_prefix("'\\x").or_else(|| self.rest().strip_prefix("'\\X"))?;
        let (digits, _) = digits.split_once('\'')?;
        let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let unit = plain.then(|| u16::from_str_radix(digits, 16).ok())??;
        self.at += digits.len() + 4;
        Some(unit)
    }

    fn quoted(&mut self, quote: char) -> Parsed<String> {
        self.take(quote);
        let mut out = String::new();
        loop {
            match self.next() {
                Some(c) if c == quote => return Ok(out),
                Some('\\') => match self.rest().chars().next() {
                    Some(c @ ('"' | '\'' | '\\')) => {
                        out.push(c);
                        self.at += 1;
                    }
                    // To guess would make another key of `"C:\new"` than was meant.
                    _ => {
                        return Err(self.expected(
                            "'\\' or a quote behind '\\': a backslash in a string is written twice",
                        ));
                    }
                },
                Some(c) => out.push(c),
                None => return Err(self.expected("the quote that ends the string")),
            }
        }
    }

    /// A number, a truth value or null.
    fn bare(&mut self) -> Parsed<Value> {
        let rest = self.rest();
        let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let value = match word.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Boolean(true)),
            "false" => Some(Value::Boolean(false)),
            "null" => Some(Value::Null),
            number => self::number(number),
        };
        let value =
            value.ok_or_else(|| self.expected("a value: a number, a truth value or a text in quotes"))?;
        self.at += end;
        Ok(value)
    }

    fn name(&mut self, expected: &'static str) -> Parsed<&'a str> {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.expected(expected));
        }
        self.at += end;
        Ok(name)
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, mark: char) -> bool {
        let there = self.rest().starts_with(mark);
        if there {
            self.at += mark.len_utf8();
        }
        there
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> PathError {
        let before = self.text.get(..self.at).unwrap_or_default();
        PathError { position: before.chars().count() + 1, expected }
    }
}

fn number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let integer = match digits.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => i128::from_str_radix(hex, 16).ok(),
        _ if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse::<i128>().ok(),
        _ => {
            return Value::parse(Type::Real64, text)
                .ok()
                .filter(|_| text.contains(|c: char| c.is_ascii_digit()));
        }
    };
    integer.and_then(|n| Value::of_integer(if negative { -n } else { n }))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether a path's namespace may hold this character.
pub(crate) fn in_namespace(c: char) -> bool {
    is_word(c) || "/\\-. ".contains(c)
}

#[cfg(test)]
mod tests;
