//! Who owns which desktop.

use crate::{SqliteStore, error::map, row};
use openrdms_broker::{
    Assignment, CollectionAlias, DesktopName, UserName,
    ports::{Assignments, Page, StoreError},
};
use sqlx::SqliteConnection;

#[async_trait::async_trait]
impl Assignments for SqliteStore {
    async fn insert_assignment(&self, assignment: &Assignment) -> Result<(), StoreError> {
        let assignment = assignment.clone();
        self.queue.write(|connection| Box::pin(insert(connection, assignment))).await
    }

    async fn delete_assignment(&self, desktop: &DesktopName) -> Result<(), StoreError> {
        let desktop = desktop.clone();
        self.queue.write(|connection| Box::pin(delete(connection, desktop))).await
    }

    async fn assignment(&self, desktop: &DesktopName) -> Result<Option<Assignment>, StoreError> {
        let found = sqlx::query_scalar("SELECT row FROM assignment WHERE desktop_key = ?")
            .bind(row::key(desktop.as_str()));
        row::read_optional(found.fetch_optional(&self.readers).await.map_err(map)?)
    }

    async fn assignment_of_user(
        &self,
        collection: &CollectionAlias,
        user: &UserName,
    ) -> Result<Option<Assignment>, StoreError> {
        let found =
            sqlx::query_scalar("SELECT row FROM assignment WHERE user_key = ? AND collection_key = ?")
                .bind(user.key())
                .bind(row::key(collection.as_str()));
        row::read_optional(found.fetch_optional(&self.readers).await.map_err(map)?)
    }

    async fn assignments(
        &self,
        collection: Option<&CollectionAlias>,
        after: Option<DesktopName>,
        limit: u32,
    ) -> Result<Page<Assignment, DesktopName>, StoreError> {
        const ALL: &str =
            "SELECT row FROM assignment WHERE desktop_key > ?1 AND ?2 IS NULL ORDER BY desktop_key LIMIT ?3";
        const OF_COLLECTION: &str =
            "SELECT row FROM assignment WHERE desktop_key > ?1 AND collection_key = ?2
            ORDER BY desktop_key LIMIT ?3";
        let size = row::page_size(limit);
        let rows: Vec<String> = sqlx::query_scalar(if collection.is_some() { OF_COLLECTION } else { ALL })
            .bind(after.map_or_else(String::new, |name| row::key(name.as_str())))
            .bind(collection.map(|alias| row::key(alias.as_str())))
            .bind(size as i64 + 1)
            .fetch_all(&self.readers)
            .await
            .map_err(map)?;
        Ok(row::page(row::read_all(&rows)?, size, |last: &Assignment| last.desktop.clone()))
    }
}

async fn insert(connection: &mut SqliteConnection, assignment: Assignment) -> Result<(), StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO assignment (desktop_key, collection_key, user_key, row)
         SELECT name_key, collection_key, ?3, ?4 FROM desktop WHERE name_key = ?1 AND collection_key = ?2",
    )
    .bind(row::key(assignment.desktop.as_str()))
    .bind(row::key(assignment.collection.as_str()))
    .bind(assignment.user.key())
    .bind(row::write(&assignment)?)
    .execute(connection)
    .await;
    match inserted.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("desktop in this collection")),
        _ => Ok(()),
    }
}

async fn delete(connection: &mut SqliteConnection, desktop: DesktopName) -> Result<(), StoreError> {
    let deleted = sqlx::query("DELETE FROM assignment WHERE desktop_key = ?")
        .bind(row::key(desktop.as_str()))
        .execute(connection)
        .await;
    match deleted.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("assignment")),
        _ => Ok(()),
    }
}
