//! Named values.

use crate::{SqliteStore, error::map, row};
use openrdms_broker::{
    Compared, Setting, SettingOwner, SettingValue,
    ports::{Settings, StoreError},
};
use sqlx::SqliteConnection;

const ONE: &str = "SELECT row FROM setting WHERE owner = ? AND name_key = ?";

#[async_trait::async_trait]
impl Settings for SqliteStore {
    async fn setting(&self, owner: &SettingOwner, name: &str) -> Result<Option<SettingValue>, StoreError> {
        let found = sqlx::query_scalar(ONE).bind(key(owner)).bind(row::key(name));
        let found: Option<Setting> =
            row::read_optional(found.fetch_optional(&self.readers).await.map_err(map)?)?;
        Ok(found.map(|setting| setting.value))
    }

    async fn settings(&self, owner: &SettingOwner) -> Result<Vec<Setting>, StoreError> {
        let found = sqlx::query_scalar("SELECT row FROM setting WHERE owner = ? ORDER BY name_key");
        row::read_all(&found.bind(key(owner)).fetch_all(&self.readers).await.map_err(map)?)
    }

    async fn count_settings(&self, owner: &SettingOwner) -> Result<u32, StoreError> {
        let count = sqlx::query_scalar("SELECT count(*) FROM setting WHERE owner = ?").bind(key(owner));
        let count: i64 = count.fetch_one(&self.readers).await.map_err(map)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn set_setting(&self, owner: &SettingOwner, setting: &Setting) -> Result<(), StoreError> {
        let (owner, setting) = (owner.clone(), setting.clone());
        self.queue.write(|connection| Box::pin(set(connection, owner, setting))).await
    }

    async fn remove_setting(&self, owner: &SettingOwner, name: &str) -> Result<(), StoreError> {
        let (owner, name) = (owner.clone(), name.to_owned());
        self.queue.write(|connection| Box::pin(remove(connection, owner, name))).await
    }

    async fn compare_and_set(
        &self,
        owner: &SettingOwner,
        name: &str,
        expected: Option<&str>,
        new: &str,
    ) -> Result<Compared, StoreError> {
        let (owner, expected) = (owner.clone(), expected.map(str::to_owned));
        let new = Setting { name: name.to_owned(), value: SettingValue::Text(new.to_owned()) };
        self.queue.write(|connection| Box::pin(compare_and_set(connection, owner, expected, new))).await
    }
}

fn key(owner: &SettingOwner) -> String {
    row::key(&owner.to_string())
}

async fn set(
    connection: &mut SqliteConnection,
    owner: SettingOwner,
    setting: Setting,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO setting (owner, name_key, collection_key, row) VALUES (?, ?, ?, ?)")
        .bind(key(&owner))
        .bind(row::key(&setting.name))
        .bind(owner.collection().map(|alias| row::key(alias.as_str())))
        .bind(row::write(&setting)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

async fn remove(
    connection: &mut SqliteConnection,
    owner: SettingOwner,
    name: String,
) -> Result<(), StoreError> {
    let removed = sqlx::query("DELETE FROM setting WHERE owner = ? AND name_key = ?")
        .bind(key(&owner))
        .bind(row::key(&name))
        .execute(connection)
        .await;
    match removed.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("setting")),
        _ => Ok(()),
    }
}

async fn compare_and_set(
    connection: &mut SqliteConnection,
    owner: SettingOwner,
    expected: Option<String>,
    new: Setting,
) -> Result<Compared, StoreError> {
    let found = sqlx::query_scalar(ONE).bind(key(&owner)).bind(row::key(&new.name));
    let found: Option<Setting> =
        row::read_optional(found.fetch_optional(&mut *connection).await.map_err(map)?)?;
    let before = match found.map(|setting| setting.value) {
        None => None,
        Some(SettingValue::Text(before)) => Some(before),
        Some(SettingValue::Int(_) | SettingValue::List(_)) => return Err(StoreError::NotFound("text")),
    };
    let fits = before.is_none() || before == expected;
    if fits {
        set(connection, owner, new).await?;
    }
    Ok(Compared { before, set: fits })
}
