//! From SQLite's errors to the port's.

use openrdms_broker::ports::{Existing, StoreError};
use std::path::PathBuf;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be made, or its mode cannot be set.
    #[error("cannot create {path}")]
    File {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not a database, or cannot be opened.
    #[error("cannot open {path}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: sqlx::Error,
    },
    /// A newer OpenRDMS has written it.
    #[error(
        "{path} has schema {found}, which is newer than this OpenRDMS knows ({known}): use the newer version"
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The schema that it has.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A migration failed, or one that was applied is no longer what it was.
    #[error("cannot bring {path} up to date")]
    Migration {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// The log of changes cannot be read.
    #[error("cannot read the log of changes in {path}")]
    Log {
        /// The database file.
        path: PathBuf,
        /// The cause.
        source: StoreError,
    },
}

/// What each unique index stands for, found by the columns that SQLite names in its message.
const CONFLICTS: [(&str, Existing); 12] = [
    ("session.user_key", Existing::SessionOfUser),
    ("session.desktop_key", Existing::SessionInDesktop),
    ("session.host_key", Existing::SessionId),
    ("session.uid", Existing::Session),
    ("collection.", Existing::Collection),
    ("desktop.", Existing::Desktop),
    ("account.uid", Existing::Uid),
    ("account.", Existing::Account),
    ("uid_given.", Existing::Uid),
    ("assignment.desktop_key", Existing::AssignmentOfDesktop),
    ("assignment.user_key", Existing::AssignmentOfUser),
    ("document.", Existing::Document),
];

/// `SQLITE_CORRUPT` and `SQLITE_NOTADB`, in the low byte of the extended code.
const BROKEN_FILE: [u32; 2] = [11, 26];

/// The port's error for one of SQLite's. Whatever is not about the data is about the store being usable now.
pub(crate) fn map(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => conflict(cause.message()),
        sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => {
            StoreError::NotFound("collection")
        }
        sqlx::Error::Database(cause) if is_broken(cause.code().as_deref()) => {
            StoreError::Corrupt(error.to_string())
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

fn is_broken(code: Option<&str>) -> bool {
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| BROKEN_FILE.contains(&(code & 0xff)))
}

fn conflict(message: &str) -> StoreError {
    let columns = message.rsplit(": ").next().unwrap_or(message);
    let found = CONFLICTS.iter().find(|(column, _)| columns.starts_with(column));
    StoreError::Conflict(found.map_or(Existing::Row, |(_, existing)| *existing))
}
