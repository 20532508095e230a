//! Domain objects as JSON, and keys as columns.

use openrdms_broker::ports::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// Asked for more rows than this, a list answers this many and where to go on.
const MAX_PAGE: u32 = 10_000;

/// A name in the form in which equal names are equal.
pub(crate) fn key(name: &str) -> String {
    name.to_lowercase()
}

/// How many rows a page holds, from what was asked for.
pub(crate) fn page_size(limit: u32) -> usize {
    limit.clamp(1, MAX_PAGE) as usize
}

/// The object as the `row` column holds it.
pub(crate) fn write<T: Serialize>(object: &T) -> Result<String, StoreError> {
    serde_json::to_string(object).map_err(|e| StoreError::Corrupt(e.to_string()))
}

/// The object that a `row` column holds.
pub(crate) fn read<T: DeserializeOwned>(row: &str) -> Result<T, StoreError> {
    // the error says where it went wrong and not what stands there: rows of accounts hold hashes
    serde_json::from_str(row).map_err(|e| {
        let what = std::any::type_name::<T>().rsplit("::").next().unwrap_or("row");
        StoreError::Corrupt(format!("{what}: {:?} error at column {}", e.classify(), e.column()))
    })
}

/// The object that a `row` column holds, if there is one.
pub(crate) fn read_optional<T: DeserializeOwned>(row: Option<String>) -> Result<Option<T>, StoreError> {
    row.as_deref().map(read).transpose()
}

/// The objects that `row` columns hold.
pub(crate) fn read_all<T: DeserializeOwned>(rows: &[String]) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(row)).collect()
}

/// Cuts a list that was read one row too far into a page, and says where the next one begins.
pub(crate) fn page<T, C>(
    mut rows: Vec<T>,
    size: usize,
    cursor: impl FnOnce(&T) -> C,
) -> openrdms_broker::ports::Page<T, C> {
    let more = rows.len() > size;
    rows.truncate(size);
    let next = if more { rows.last().map(cursor) } else { None };
    openrdms_broker::ports::Page { rows, next }
}
