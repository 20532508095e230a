//! Object paths as text.

use super::ObjectPath;
use crate::Value;
use crate::value::time;
use std::fmt::Write as _;

/// How deep references stand in keys of references. A level doubles the backslashes of those inside it, so there has
/// to be an end; what is deeper becomes `NULL`.
pub(crate) const MAX_NESTING: usize = 6;

pub(super) fn path(path: &ObjectPath) -> String {
    nested(path, 0)
}

pub(super) fn relative(path: &ObjectPath) -> String {
    let mut out = String::new();
    without_namespace(&mut out, path, 0);
    out
}

fn nested(path: &ObjectPath, depth: usize) -> String {
    let mut out = path.namespace.clone();
    if !out.is_empty() {
        out.push(':');
    }
    without_namespace(&mut out, path, depth);
    out
}

fn without_namespace(out: &mut String, path: &ObjectPath, depth: usize) {
    out.push_str(&path.class);
    for (i, (name, value)) in path.keys.iter().enumerate() {
        match (i, name.as_str()) {
            (0, "") => {}
            (0, _) => out.push('.'),
            _ => out.push(','),
        }
        out.push_str(name);
        out.push('=');
        match value {
            Value::Null if name.is_empty() => out.push('@'),
            value => key(out, value, depth),
        }
    }
}

fn key(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Boolean(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Char16(unit) => character(out, *unit),
        Value::Datetime { .. } | Value::Interval(_) | Value::PartialTime(_) => {
            quoted(out, &time::print_cim(value).unwrap_or_default());
        }
        Value::String(text) => quoted(out, text),
        Value::Reference(path) if depth < MAX_NESTING => quoted(out, &nested(path, depth + 1)),
        // Neither arrays nor objects can be keys (DSP0004 5.6.3.23).
        Value::Null | Value::Reference(_) | Value::Object(_) | Value::Array(_) => out.push_str("NULL"),
        Value::Real32(n) if !n.is_finite() => out.push_str("NULL"),
        Value::Real64(n) if !n.is_finite() => out.push_str("NULL"),
        number => out.push_str(&number.text().unwrap_or_default()),
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// A code unit in single quotes; half of a surrogate pair and what a line cannot hold by its number.
fn character(out: &mut String, unit: u16) {
    match char::from_u32(unit.into()) {
        Some(c @ ('\'' | '\\')) => {
            out.push_str("'\\");
            out.push(c);
            out.push('\'');
        }
        Some(c) if !c.is_control() => {
            out.push('\'');
            out.push(c);
            out.push('\'');
        }
        _ => {
            // Writing to a string cannot fail.
            let _ = write!(out, "'\\x{unit:04X}'");
        }
    }
}
