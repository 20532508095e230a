//! The audit trail: appended, never changed.

use crate::{error::map, row};
use openrdms_broker::ports::{AuditCursor, AuditEntry, Page, StoreError};
use openrdms_broker::{AuditRecord, Timestamp};
use sqlx::{SqliteConnection, SqlitePool};

pub(crate) async fn append(connection: &mut SqliteConnection, record: AuditRecord) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO audit (at, row) VALUES (?, ?)")
        .bind(record.at.0)
        .bind(row::write(&record)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn page(
    readers: &SqlitePool,
    before: Option<AuditCursor>,
    limit: u32,
) -> Result<Page<AuditEntry, AuditCursor>, StoreError> {
    let size = row::page_size(limit);
    let before = before.unwrap_or(AuditCursor { at: Timestamp(i64::MAX), number: u64::MAX });
    let found: Vec<(i64, i64, String)> = sqlx::query_as(
        "SELECT id, at, row FROM audit WHERE (at, id) < (?, ?) ORDER BY at DESC, id DESC LIMIT ?",
    )
    .bind(before.at.0)
    .bind(i64::try_from(before.number).unwrap_or(i64::MAX))
    .bind(i64::try_from(size).unwrap_or(i64::MAX).saturating_add(1))
    .fetch_all(readers)
    .await
    .map_err(map)?;
    let page =
        row::page(found, size, |(id, at, _)| AuditCursor { at: Timestamp(*at), number: id.cast_unsigned() });
    let rows = page.rows.into_iter().map(|(id, _, row)| read(id, &row)).collect::<Result<_, _>>()?;
    Ok(Page { rows, next: page.next })
}

pub(crate) async fn entry(readers: &SqlitePool, number: u64) -> Result<Option<AuditEntry>, StoreError> {
    let Ok(id) = i64::try_from(number) else { return Ok(None) };
    let found = sqlx::query_scalar("SELECT row FROM audit WHERE id = ?").bind(id);
    let found: Option<String> = found.fetch_optional(readers).await.map_err(map)?;
    found.map(|row| read(id, &row)).transpose()
}

fn read(id: i64, row: &str) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry { number: id.cast_unsigned(), record: row::read(row)? })
}
