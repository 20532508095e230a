//! What is wrong with a query, and where.

use crate::{CimError, WmiCode};
use std::fmt;

/// How many characters of the query are shown before and behind the place.
const NEAR: usize = 16;

/// A query that cannot be understood, or is not offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct QueryError {
    /// The number of the character, from 1.
    pub position: usize,
    /// What is wrong there.
    pub problem: Problem,
    /// The query around that place; empty where the query is short enough to be looked through.
    pub near: String,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Something else has to stand there.
    Expected {
        /// What may stand there.
        what: String,
        /// What stands there, cut to a few words.
        found: String,
    },
    /// It has the right form, but cannot be: a number too large, a limit passed.
    Wrong(String),
    /// It can be understood, but is not offered.
    NotOffered(String),
}

impl QueryError {
    /// That something is wrong at a character (from 1) of `query`.
    pub(super) fn new(query: &str, position: usize, problem: Problem) -> Self {
        let first = position.saturating_sub(NEAR + 1);
        let mut rest = query.chars().skip(first);
        let near: String =
            rest.by_ref().take(2 * NEAR).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let more = rest.next().is_some();
        let near = match (first > 0, more) {
            (false, false) => String::new(),
            _ if near.trim().is_empty() => String::new(),
            (begun, more) => {
                format!("{}{}{}", if begun { "…" } else { "" }, near.trim(), if more { "…" } else { "" })
            }
        };
        Self { position, problem, near }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: ", self.position)?;
        match &self.problem {
            Problem::Expected { what, found } => write!(f, "expected {what} but found {found}")?,
            Problem::Wrong(text) | Problem::NotOffered(text) => f.write_str(text)?,
        }
        if self.near.is_empty() { Ok(()) } else { write!(f, " (near `{}`)", self.near) }
    }
}

impl From<QueryError> for CimError {
    fn from(error: QueryError) -> Self {
        let code = match error.problem {
            Problem::Expected { .. } | Problem::Wrong(_) => WmiCode::WBEM_E_INVALID_QUERY,
            Problem::NotOffered(_) => WmiCode::WBEM_E_NOT_SUPPORTED,
        };
        CimError::new(code, format!("the query cannot be used: {error}"))
    }
}
