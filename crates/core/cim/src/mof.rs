//! Reads MOF, the text form of CIM classes (DSP0004 annex A).
//!
//! Reading gives a value and diagnostics: a mistake costs the declaration it is in, not the file. Class
//! declarations are read; `#pragma`, instances, aliases and qualifier declarations are passed over with a
//! warning. The lexer ([`lexer`]) knows the whole language, the parser ([`parser`]) one declaration at a
//! time, so that the rest can be added beside `class`.
//!
//! It opens no files: `#pragma include` is never followed.

pub mod lexer;
pub mod parser;

use crate::Class;
use std::fmt;

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 4 << 20;
/// Most nested brackets and braces.
pub const MAX_DEPTH: usize = 32;
/// Most diagnostics that are kept; reading stops there.
pub const MAX_DIAGNOSTICS: usize = 100;

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The classes that could be read, as declared, in order.
    pub classes: Vec<Class>,
    /// What was wrong or passed over, in order.
    pub diagnostics: Vec<Diagnostic>,
}

/// A remark on a place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub message: String,
}

/// How bad a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Passed over; the rest means what it says.
    Warning,
    /// Something is missing from the reading.
    Error,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// Reads a text.
pub fn read(text: &str) -> Reading {
    parser::read(text)
}

#[cfg(test)]
mod tests;
