//! The Store port on SQLite: one file, `openrdms.sqlite`, in the data directory.
//!
//! ```text
//!  writes ──▶ bounded queue ──▶ one writer task ──▶ BEGIN IMMEDIATE … COMMIT ──▶ answers
//!  reads  ──▶ small read-only pool
//! ```
//!
//! A write is answered only when it is on the disk (WAL, `synchronous = FULL`); what is queued together is
//! committed together. Rows hold the domain object as JSON beside the columns that SQL needs.
//!
//! This crate must never decide anything that the broker decides: it holds the unique indexes and the
//! generation guard, nothing else. SQL text is constant; values are always bound.

mod accounts;
mod assignments;
#[cfg(test)]
mod battery;
mod catalogue;
mod changes;
mod documents;
mod error;
mod hosts;
mod machines;
mod nodes;
mod port;
mod row;
mod sessions;
mod settings;
mod sqlite;
#[cfg(test)]
mod tests;
mod trail;
mod writer;

pub use error::OpenError;
pub use sqlite::SqliteStore;
