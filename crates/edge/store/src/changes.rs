//! The log of what happened to sessions: appended in the transaction of the change, read by position, forgotten
//! from its beginning on.

use crate::{error::map, row};
use openrdms_broker::{
    Session, Timestamp, UserName,
    change::{Change, Changes, Position, Span},
    ports::StoreError,
};
use sqlx::{SqliteConnection, SqlitePool};
use std::time::{SystemTime, UNIX_EPOCH};

/// Changes that one write forgets: a bound on how long others wait for it.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Appends a change and answers its position. `before` is the row as it was. Cookies are not kept in history.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    before: Option<String>,
    after: &Session,
) -> Result<Position, StoreError> {
    let position: i64 = sqlx::query_scalar(
        "INSERT INTO change (at, user_key, before, after)
         VALUES (?, ?, json_remove(?, '$.reconnect'), json_remove(?, '$.reconnect')) RETURNING position",
    )
    .bind(now().0)
    .bind(after.user.key())
    .bind(before)
    .bind(row::write(after)?)
    .fetch_one(connection)
    .await
    .map_err(map)?;
    position_of(position)
}

/// Everybody's changes and one user's, each along its own index.
pub(crate) const READ: &str = "SELECT position, at, before, after FROM change
    WHERE position > ?1 AND ?2 IS NULL ORDER BY position LIMIT ?3";
pub(crate) const READ_OF_USER: &str = "SELECT position, at, before, after FROM change
    WHERE user_key = ?2 AND position > ?1 ORDER BY position LIMIT ?3";

pub(crate) async fn read(
    readers: &SqlitePool,
    user: Option<&UserName>,
    after: Position,
    limit: u32,
) -> Result<Changes, StoreError> {
    let size = row::page_size(limit);
    // one look: what is read and how far it goes are of the same moment
    let mut look = readers.begin().await.map_err(map)?;
    let span = span_at(&mut look).await?;
    let found: Vec<(i64, i64, Option<String>, String)> =
        sqlx::query_as(if user.is_some() { READ_OF_USER } else { READ })
            .bind(i64::try_from(after.0).unwrap_or(i64::MAX))
            .bind(user.map(UserName::key))
            .bind(size as i64)
            .fetch_all(&mut *look)
            .await
            .map_err(map)?;
    look.commit().await.map_err(map)?;
    let rows = found
        .into_iter()
        .map(|(position, at, before, after)| {
            Ok(Change {
                position: position_of(position)?,
                at: Timestamp(at),
                before: row::read_optional(before)?,
                after: row::read(&after)?,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let read_to = match rows.last() {
        Some(last) if rows.len() == size => last.position,
        _ => span.last.max(after),
    };
    Ok(Changes { rows, read_to, span })
}

pub(crate) async fn span(readers: &SqlitePool) -> Result<Span, StoreError> {
    let mut connection = readers.acquire().await.map_err(map)?;
    span_at(&mut connection).await
}

async fn span_at(connection: &mut SqliteConnection) -> Result<Span, StoreError> {
    // the counter of AUTOINCREMENT outlives the rows
    let (last, first): (i64, Option<i64>) = sqlx::query_as(
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change'), 0),
                (SELECT min(position) FROM change)",
    )
    .fetch_one(connection)
    .await
    .map_err(map)?;
    let last = position_of(last)?;
    let forgotten = match first {
        Some(first) => Position(position_of(first)?.0.saturating_sub(1)),
        None => last,
    };
    Ok(Span { forgotten, last })
}

/// Forgets some of the changes that are older than a time, or before the last `keep`. Answers whether there
/// may be more.
pub(crate) async fn forget(
    connection: &mut SqliteConnection,
    before: Timestamp,
    keep: u64,
) -> Result<(u64, bool), StoreError> {
    let kept_from = span_at(connection).await?.last.0.saturating_sub(keep);
    let first: Vec<(i64, i64)> = sqlx::query_as("SELECT position, at FROM change ORDER BY position LIMIT ?")
        .bind(FORGOTTEN_AT_ONCE as i64)
        .fetch_all(&mut *connection)
        .await
        .map_err(map)?;
    let goes = |(position, at): &&(i64, i64)| {
        *at < before.0 || u64::try_from(*position).is_ok_and(|p| p <= kept_from)
    };
    // only from the beginning on: a gap would be a change that nobody hears was lost
    let Some((last, _)) = first.iter().take_while(goes).last() else { return Ok((0, false)) };
    let deleted = sqlx::query("DELETE FROM change WHERE position <= ?").bind(last).execute(connection).await;
    let count = deleted.map_err(map)?.rows_affected();
    Ok((count, count == FORGOTTEN_AT_ONCE as u64))
}

fn position_of(number: i64) -> Result<Position, StoreError> {
    u64::try_from(number)
        .map(Position)
        .map_err(|_| StoreError::Corrupt("a negative position in the log of changes".to_owned()))
}

/// The store's own clock, one for everybody who changes something.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
