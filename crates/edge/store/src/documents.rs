//! What is kept whole and found by its key alone.

use crate::{SqliteStore, error::map, row};
use openrdms_broker::{
    document::Stored,
    ports::{DocumentRow, Documents, Page, StoreError},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

#[async_trait::async_trait]
impl Documents for SqliteStore {
    async fn document_row(
        &self,
        kind: &'static str,
        key: &str,
    ) -> Result<Option<Stored<String>>, StoreError> {
        let found = sqlx::query("SELECT generation, row FROM document WHERE kind = ? AND key = ?")
            .bind(kind)
            .bind(row::key(key));
        found.fetch_optional(&self.readers).await.map_err(map)?.map(stored).transpose()
    }

    async fn document_rows(
        &self,
        kind: &'static str,
        within: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<Stored<String>, String>, StoreError> {
        // A key cannot hold the last character there is, so nothing that begins so is behind this end.
        const PAGE: &str = "SELECT generation, row, key FROM document
            WHERE kind = ?1 AND (?2 IS NULL OR key > ?2) AND key >= ?3 AND key < ?3 || char(1114111)
            ORDER BY key LIMIT ?4";
        let size = row::page_size(limit);
        let found = sqlx::query(PAGE)
            .bind(kind)
            .bind(after.map(|after| row::key(&after)))
            .bind(row::key(within))
            .bind(size as i64 + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(map)?;
        let mut rows = Vec::with_capacity(found.len());
        for found in found {
            let key: String = found.try_get("key").map_err(map)?;
            rows.push((key, stored(found)?));
        }
        let page = row::page(rows, size, |(key, _)| key.clone());
        Ok(Page { rows: page.rows.into_iter().map(|(_, stored)| stored).collect(), next: page.next })
    }

    async fn insert_document_row(&self, row: DocumentRow) -> Result<(), StoreError> {
        self.queue.write(|connection| Box::pin(insert(connection, row))).await
    }

    async fn update_document_row(&self, row: DocumentRow, generation: u64) -> Result<(), StoreError> {
        self.queue.write(move |connection| Box::pin(update(connection, row, generation))).await
    }

    async fn delete_document_row(
        &self,
        kind: &'static str,
        key: &str,
        owned: Option<&'static str>,
    ) -> Result<(), StoreError> {
        let key = row::key(key);
        self.queue.write(move |connection| Box::pin(delete(connection, kind, key, owned))).await
    }
}

fn stored(found: SqliteRow) -> Result<Stored<String>, StoreError> {
    let generation: i64 = found.try_get("generation").map_err(map)?;
    Ok(Stored { generation: generation.unsigned_abs(), document: found.try_get("row").map_err(map)? })
}

async fn insert(connection: &mut SqliteConnection, new: DocumentRow) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO document (kind, key, generation, collection_key, row) VALUES (?, ?, 1, ?, ?)")
        .bind(new.kind)
        .bind(row::key(&new.key))
        .bind(new.collection.map(|alias| row::key(alias.as_str())))
        .bind(new.row)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

async fn update(
    connection: &mut SqliteConnection,
    new: DocumentRow,
    generation: u64,
) -> Result<(), StoreError> {
    let key = row::key(&new.key);
    let found = sqlx::query_scalar("SELECT generation FROM document WHERE kind = ? AND key = ?");
    let found: Option<i64> =
        found.bind(new.kind).bind(&key).fetch_optional(&mut *connection).await.map_err(map)?;
    match found {
        None => return Err(StoreError::NotFound("row")),
        Some(found) if found.unsigned_abs() != generation => return Err(StoreError::Stale),
        Some(_) => {}
    }
    sqlx::query("UPDATE document SET row = ?, generation = generation + 1 WHERE kind = ? AND key = ?")
        .bind(new.row)
        .bind(new.kind)
        .bind(&key)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

async fn delete(
    connection: &mut SqliteConnection,
    kind: &'static str,
    key: String,
    owned: Option<&'static str>,
) -> Result<(), StoreError> {
    let deleted = sqlx::query("DELETE FROM document WHERE kind = ? AND key = ?")
        .bind(kind)
        .bind(&key)
        .execute(&mut *connection)
        .await;
    if deleted.map_err(map)?.rows_affected() == 0 {
        return Err(StoreError::NotFound("row"));
    }
    if let Some(owned) = owned {
        // behind the separator of keys' parts
        sqlx::query("DELETE FROM document WHERE kind = ?1 AND key > ?2 || char(31) AND key < ?2 || char(32)")
            .bind(owned)
            .bind(&key)
            .execute(connection)
            .await
            .map_err(map)?;
    }
    Ok(())
}
