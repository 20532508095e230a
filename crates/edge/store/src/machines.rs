//! Which machines take another session. What a machine is, is a document.

use crate::{error::map, row};
use openrdms_broker::{
    CollectionAlias, Timestamp, UserName,
    ports::{Roomy, StoreError},
};
use sqlx::SqlitePool;

/// By name, so that every node sees the same order. How many sessions a machine has decides `sessions::insert`, which
/// counts them in the same way.
pub(crate) const ROOMY: &str = "SELECT desktop.row, machine.row,
           (SELECT count(*) FROM session WHERE session.desktop_key = desktop.name_key AND session.live = 1) AS taken
    FROM desktop JOIN document machine ON machine.kind = 'machine' AND machine.key = desktop.host_key
    WHERE desktop.collection_key = ?1
      AND (SELECT user_key FROM assignment WHERE assignment.desktop_key = desktop.name_key) IS ?2
      AND EXISTS (SELECT 1 FROM host WHERE name_key = desktop.host_key AND lease_until > ?3 AND open = 1)
      AND taken < machine.row ->> '$.session_limit'
    ORDER BY desktop.name_key";

pub(crate) async fn roomy(
    readers: &SqlitePool,
    collection: &CollectionAlias,
    owner: Option<&UserName>,
    now: Timestamp,
) -> Result<Vec<Roomy>, StoreError> {
    let found: Vec<(String, String, i64)> = sqlx::query_as(ROOMY)
        .bind(row::key(collection.as_str()))
        .bind(owner.map(UserName::key))
        .bind(now.0)
        .fetch_all(readers)
        .await
        .map_err(map)?;
    let roomy = |(desktop, machine, sessions): (String, String, i64)| {
        Ok(Roomy {
            desktop: row::read(&desktop)?,
            machine: row::read(&machine)?,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        })
    };
    found.into_iter().map(roomy).collect()
}
