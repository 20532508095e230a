//! Reads MOF, the text form of CIM classes, qualifiers and instances (DSP0004 annex A), in DMTF's and in
//! Microsoft's spelling, and writes it ([`print`]).
//!
//! Reading gives a value and diagnostics: a mistake costs the declaration it is in, not the file. The lexer
//! ([`lexer`]) makes tokens, the parser ([`parser`]) declarations, and [`instances`] gives instances their types and
//! resolves aliases when the whole text is read, because an alias may stand before what it names.
//!
//! It opens no files: whoever calls finds the text of a `#pragma include`. Time and memory are linear in the text.

mod instances;
pub mod lexer;
mod parser;
pub mod print;
mod shapes;
mod standard;

pub use standard::standard;

use crate::{Class, Instance, QualifierType, Repository};
use std::fmt;

/// Longest text that is read, in bytes.
pub const MAX_TEXT: usize = 4 << 20;
/// Longest that a text and all that it includes may be together, in bytes.
pub const MAX_TOTAL: usize = 64 << 20;
/// Most includes inside each other.
pub const MAX_INCLUDES: usize = 16;
/// Most nested brackets and braces.
pub const MAX_DEPTH: usize = 32;
/// Most diagnostics that are kept; reading stops there.
pub const MAX_DIAGNOSTICS: usize = 100;

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The classes that could be read, as declared, in order.
    pub classes: Vec<Class>,
    /// The qualifiers that are declared, in order.
    pub qualifiers: Vec<QualifierType>,
    /// The instances, in order, aliases resolved. Without their class the values have the types that they show.
    pub instances: Vec<Instance>,
    /// What was wrong or passed over.
    pub diagnostics: Vec<Diagnostic>,
}

/// A remark on a place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The included text that the place is in; empty for the text itself, unless the caller named it.
    pub file: String,
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

/// A text that `#pragma include` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// One name for one text, whatever names it goes by: a text is read once.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Finds what `#pragma include` names: the name as it is written, and the name of the text that it stands in.
/// The error is told with the place.
pub type Include<'a> = dyn FnMut(&str, &str) -> Result<Included, String> + 'a;

/// What a text is read with.
#[derive(Default)]
pub struct Context<'a> {
    /// The name of the text, for diagnostics and includes.
    pub name: &'a str,
    /// The namespace until a pragma tells another, in canonical form; empty: whoever takes the reading decides.
    pub namespace: &'a str,
    /// Classes and qualifiers that are there already.
    pub known: Option<&'a Repository>,
    /// Finds included texts; without it an include is an error.
    pub include: Option<&'a mut Include<'a>>,
}

/// Reads a text that stands alone.
pub fn read(text: &str) -> Reading {
    read_with(text, Context::default())
}

/// Reads a text and what it includes.
pub fn read_with(text: &str, context: Context<'_>) -> Reading {
    parser::read(text, context)
}

/// The text of a file: UTF-16 where its byte order mark says so, as Microsoft's files often are, else UTF-8, and
/// Latin-1 where it is not that.
pub fn decode(bytes: &[u8]) -> String {
    let wide = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, bytes @ ..] | bytes => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
        },
    }
}

impl Reading {
    /// What is missing from the reading, in the order of the text.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
