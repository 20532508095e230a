//! Local accounts, and the uids given to them.

use crate::{error::map, row};
use openrdms_broker::{
    Account, AccountChange, UserName,
    ports::{Existing, Page, StoreError},
};
use sqlx::{SqliteConnection, SqlitePool};
use std::ops::RangeInclusive;

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    mut account: Account,
    uids: RangeInclusive<u32>,
) -> Result<Account, StoreError> {
    account.uid = give_uid(connection, uids).await?;
    sqlx::query("INSERT INTO account (user_key, uid, row) VALUES (?, ?, ?)")
        .bind(account.user.key())
        .bind(i64::from(account.uid))
        .bind(row::write(&account)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(account)
}

/// The lowest uid of the range that was never given: its first, or one behind a given one.
async fn give_uid(connection: &mut SqliteConnection, uids: RangeInclusive<u32>) -> Result<u32, StoreError> {
    let lowest: Option<i64> = sqlx::query_scalar(
        "SELECT min(candidate) FROM (
             SELECT ?1 AS candidate UNION ALL SELECT uid + 1 FROM uid_given WHERE uid BETWEEN ?1 AND ?2)
         WHERE candidate <= ?2 AND candidate NOT IN (SELECT uid FROM uid_given)",
    )
    .bind(i64::from(*uids.start()))
    .bind(i64::from(*uids.end()))
    .fetch_one(&mut *connection)
    .await
    .map_err(map)?;
    let uid = lowest
        .and_then(|uid| u32::try_from(uid).ok())
        .ok_or_else(|| StoreError::Unavailable("every uid of the range has been given".to_owned()))?;
    sqlx::query("INSERT INTO uid_given (uid) VALUES (?)")
        .bind(i64::from(uid))
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(uid)
}

pub(crate) async fn change(
    connection: &mut SqliteConnection,
    user: UserName,
    change: AccountChange,
) -> Result<(), StoreError> {
    let found: Option<String> = sqlx::query_scalar("SELECT row FROM account WHERE user_key = ?")
        .bind(user.key())
        .fetch_optional(&mut *connection)
        .await
        .map_err(map)?;
    let mut account: Account = row::read_optional(found)?.ok_or(StoreError::NotFound("account"))?;
    match change {
        AccountChange::Role(role) => account.role = role,
        AccountChange::Credentials(credentials) => account.credentials = credentials,
    }
    sqlx::query("UPDATE account SET row = ? WHERE user_key = ?")
        .bind(row::write(&account)?)
        .bind(account.user.key())
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn delete(connection: &mut SqliteConnection, user: UserName) -> Result<(), StoreError> {
    let lives: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM session WHERE user_key = ? AND listed = 1 LIMIT 1")
            .bind(user.key())
            .fetch_optional(&mut *connection)
            .await
            .map_err(map)?;
    if lives.is_some() {
        return Err(StoreError::Conflict(Existing::SessionOfUser));
    }
    sqlx::query("DELETE FROM assignment WHERE user_key = ?")
        .bind(user.key())
        .execute(&mut *connection)
        .await
        .map_err(map)?;
    let deleted =
        sqlx::query("DELETE FROM account WHERE user_key = ?").bind(user.key()).execute(connection).await;
    match deleted.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("account")),
        _ => Ok(()),
    }
}

pub(crate) async fn by_user(readers: &SqlitePool, user: &UserName) -> Result<Option<Account>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM account WHERE user_key = ?").bind(user.key());
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

pub(crate) async fn list(
    readers: &SqlitePool,
    after: Option<String>,
    limit: u32,
) -> Result<Page<Account, String>, StoreError> {
    let size = row::page_size(limit);
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT row FROM account WHERE user_key > ? ORDER BY user_key LIMIT ?")
            .bind(after.unwrap_or_default())
            .bind(size as i64 + 1)
            .fetch_all(readers)
            .await
            .map_err(map)?;
    Ok(row::page(row::read_all(&rows)?, size, |last: &Account| last.user.key()))
}
