//! The audit trail: appended, never changed.

use crate::{error::map, row};
use openrdms_broker::{AuditRecord, ports::StoreError};
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

pub(crate) async fn newest(readers: &SqlitePool, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM audit ORDER BY id DESC LIMIT ?").bind(i64::from(limit));
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}
