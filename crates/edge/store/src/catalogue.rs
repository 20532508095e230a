//! Collections and their desktops.

use crate::{error::map, row};
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, Desktop, DesktopHandle, DesktopName, HostName, Timestamp,
    UserName,
    ports::{Existing, Page, StoreError},
};
use sqlx::{SqliteConnection, SqlitePool};

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    collection: Collection,
    desktops: Vec<Desktop>,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO collection (alias_key, row) VALUES (?, ?)")
        .bind(row::key(collection.alias.as_str()))
        .bind(row::write(&collection)?)
        .execute(&mut *connection)
        .await
        .map_err(map)?;
    for desktop in desktops {
        insert_row(connection, &desktop).await?;
    }
    Ok(())
}

async fn insert_row(connection: &mut SqliteConnection, desktop: &Desktop) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO desktop (name_key, collection_key, row) VALUES (?, ?, ?)")
        .bind(row::key(desktop.name.as_str()))
        .bind(row::key(desktop.collection.as_str()))
        .bind(row::write(desktop)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn insert_desktop(
    connection: &mut SqliteConnection,
    desktop: Desktop,
) -> Result<(), StoreError> {
    insert_row(connection, &desktop).await?;
    count(connection, &row::key(desktop.collection.as_str())).await
}

pub(crate) async fn delete_desktop(
    connection: &mut SqliteConnection,
    name: DesktopName,
) -> Result<(), StoreError> {
    let desktop = writable(connection, &name).await?;
    let key = row::key(name.as_str());
    let lives: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM session WHERE desktop_key = ? AND listed = 1 LIMIT 1")
            .bind(&key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(map)?;
    if lives.is_some() {
        return Err(StoreError::Conflict(Existing::SessionInDesktop));
    }
    sqlx::query("DELETE FROM desktop WHERE name_key = ?")
        .bind(&key)
        .execute(&mut *connection)
        .await
        .map_err(map)?;
    count(connection, &row::key(desktop.collection.as_str())).await
}

/// Writes down how many desktops a collection has.
async fn count(connection: &mut SqliteConnection, key: &str) -> Result<(), StoreError> {
    let count = sqlx::query_scalar("SELECT count(*) FROM desktop WHERE collection_key = ?").bind(key);
    let count: i64 = count.fetch_one(&mut *connection).await.map_err(map)?;
    let mut collection = writable_collection(connection, key).await?;
    collection.size = u32::try_from(count).unwrap_or(u32::MAX);
    write_collection(connection, key, &collection).await
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    key: String,
    change: CollectionChange,
) -> Result<(), StoreError> {
    let collection = change.of(writable_collection(connection, &key).await?);
    write_collection(connection, &key, &collection).await
}

async fn writable_collection(connection: &mut SqliteConnection, key: &str) -> Result<Collection, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM collection WHERE alias_key = ?").bind(key);
    let found = found.fetch_optional(connection).await.map_err(map)?;
    row::read_optional(found)?.ok_or(StoreError::NotFound("collection"))
}

async fn write_collection(
    connection: &mut SqliteConnection,
    key: &str,
    collection: &Collection,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE collection SET row = ? WHERE alias_key = ?")
        .bind(row::write(collection)?)
        .bind(key)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    alias: CollectionAlias,
) -> Result<(), StoreError> {
    let key = row::key(alias.as_str());
    let lives: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM session WHERE collection_key = ? AND listed = 1 LIMIT 1")
            .bind(&key)
            .fetch_optional(&mut *connection)
            .await
            .map_err(map)?;
    if lives.is_some() {
        return Err(StoreError::Conflict(Existing::SessionInCollection));
    }
    // its desktops go with it
    let deleted =
        sqlx::query("DELETE FROM collection WHERE alias_key = ?").bind(&key).execute(connection).await;
    match deleted.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("collection")),
        _ => Ok(()),
    }
}

pub(crate) async fn pin(
    connection: &mut SqliteConnection,
    name: DesktopName,
    certificate_sha256: [u8; 32],
) -> Result<(), StoreError> {
    let mut desktop = writable(connection, &name).await?;
    desktop.certificate_sha256 = certificate_sha256;
    write_desktop(connection, &desktop).await
}

pub(crate) async fn set_handle(
    connection: &mut SqliteConnection,
    name: DesktopName,
    handle: Option<DesktopHandle>,
) -> Result<(), StoreError> {
    let mut desktop = writable(connection, &name).await?;
    (desktop.handle, desktop.paused) = (handle, false);
    write_desktop(connection, &desktop).await
}

pub(crate) async fn clear_handle(
    connection: &mut SqliteConnection,
    name: DesktopName,
    handle: DesktopHandle,
) -> Result<(), StoreError> {
    let mut desktop = writable(connection, &name).await?;
    if desktop.handle.as_ref() == Some(&handle) {
        (desktop.handle, desktop.paused) = (None, false);
        write_desktop(connection, &desktop).await?;
    }
    Ok(())
}

pub(crate) async fn set_paused(
    connection: &mut SqliteConnection,
    name: DesktopName,
    handle: DesktopHandle,
    paused: bool,
) -> Result<(), StoreError> {
    let mut desktop = writable(connection, &name).await?;
    if desktop.handle.as_ref() != Some(&handle) {
        return Err(StoreError::Stale);
    }
    desktop.paused = paused;
    write_desktop(connection, &desktop).await
}

async fn writable(connection: &mut SqliteConnection, name: &DesktopName) -> Result<Desktop, StoreError> {
    let found: Option<String> = sqlx::query_scalar("SELECT row FROM desktop WHERE name_key = ?")
        .bind(row::key(name.as_str()))
        .fetch_optional(connection)
        .await
        .map_err(map)?;
    row::read_optional(found)?.ok_or(StoreError::NotFound("desktop"))
}

async fn write_desktop(connection: &mut SqliteConnection, desktop: &Desktop) -> Result<(), StoreError> {
    sqlx::query("UPDATE desktop SET row = ? WHERE name_key = ?")
        .bind(row::write(desktop)?)
        .bind(row::key(desktop.name.as_str()))
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn collection(readers: &SqlitePool, alias: &str) -> Result<Option<Collection>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM collection WHERE alias_key = ?").bind(row::key(alias));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

pub(crate) async fn collections(readers: &SqlitePool) -> Result<Vec<Collection>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM collection ORDER BY alias_key");
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) async fn desktop(readers: &SqlitePool, name: &DesktopName) -> Result<Option<Desktop>, StoreError> {
    let found =
        sqlx::query_scalar("SELECT row FROM desktop WHERE name_key = ?").bind(row::key(name.as_str()));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

pub(crate) async fn desktops(
    readers: &SqlitePool,
    collection: Option<&CollectionAlias>,
    after: Option<DesktopName>,
    limit: u32,
) -> Result<Page<Desktop, DesktopName>, StoreError> {
    const ALL: &str = "SELECT row FROM desktop WHERE name_key > ?1 AND ?2 IS NULL ORDER BY name_key LIMIT ?3";
    const OF_COLLECTION: &str =
        "SELECT row FROM desktop WHERE name_key > ?1 AND collection_key = ?2 ORDER BY name_key LIMIT ?3";
    let size = row::page_size(limit);
    let rows: Vec<String> = sqlx::query_scalar(if collection.is_some() { OF_COLLECTION } else { ALL })
        .bind(after.map_or_else(String::new, |name| row::key(name.as_str())))
        .bind(collection.map(|alias| row::key(alias.as_str())))
        .bind(size as i64 + 1)
        .fetch_all(readers)
        .await
        .map_err(map)?;
    Ok(row::page(row::read_all(&rows)?, size, |last: &Desktop| last.name.clone()))
}

/// Desktops in the order of their names, so that every node tries the same one first.
pub(crate) const FREE: &str = "SELECT row FROM desktop WHERE collection_key = ?1 AND host_key = ?2
    AND NOT has_handle
    AND (SELECT user_key FROM assignment WHERE assignment.desktop_key = desktop.name_key) IS ?5
    AND EXISTS (SELECT 1 FROM host WHERE name_key = ?2 AND lease_until > ?3 AND open = 1)
    AND NOT EXISTS (SELECT 1 FROM session
                    WHERE session.desktop_key = desktop.name_key AND session.listed = 1)
    ORDER BY name_key LIMIT ?4";

pub(crate) async fn free(
    readers: &SqlitePool,
    collection: &CollectionAlias,
    host: &HostName,
    owner: Option<&UserName>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Desktop>, StoreError> {
    let found = sqlx::query_scalar(FREE)
        .bind(row::key(collection.as_str()))
        .bind(row::key(host.as_str()))
        .bind(now.0)
        .bind(i64::from(limit))
        .bind(owner.map(UserName::key));
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}
