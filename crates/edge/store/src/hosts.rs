//! Hosts and their leases, and what is to be looked after when a lease ends or begins again.

use crate::{error::map, nodes, row};
use openrdms_broker::{
    Desktop, HostName, Intake, KnownHost, Lease, NodeId, Session, Timestamp, machine,
    ports::{Existing, StoreError},
};
use sqlx::{SqliteConnection, SqlitePool};

async fn read(connection: &mut SqliteConnection, key: &str) -> Result<Option<KnownHost>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM host WHERE name_key = ?").bind(key.to_owned());
    row::read_optional(found.fetch_optional(connection).await.map_err(map)?)
}

async fn write(connection: &mut SqliteConnection, host: &KnownHost) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO host (name_key, lease_until, open, row) VALUES (?, ?, ?, ?)")
        .bind(row::key(host.lease.host.as_str()))
        .bind(host.lease.until.0)
        .bind((host.intake == Intake::Open).then_some(1_i64))
        .bind(row::write(host)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

pub(crate) async fn renew(
    connection: &mut SqliteConnection,
    lease: Lease,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = read(connection, &row::key(lease.host.as_str())).await?;
    if known.as_ref().is_some_and(|known| known.is_up(now) && known.lease.node != lease.node) {
        return Err(StoreError::Conflict(Existing::LeaseOfHost));
    }
    let intake = known.map_or(Intake::Open, |known| known.intake);
    // a node's own word is the one for its own host
    if lease.kind != machine::KIND {
        nodes::heard(connection, lease.clone()).await?;
    }
    write(connection, &KnownHost { lease, intake }).await
}

pub(crate) async fn release(
    connection: &mut SqliteConnection,
    host: HostName,
    node: NodeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    match read(connection, &row::key(host.as_str())).await? {
        Some(mut known) if known.lease.node == node && known.is_up(now) => {
            known.lease.until = now;
            nodes::left(connection, node, now).await?;
            write(connection, &known).await
        }
        Some(_) | None => Ok(()),
    }
}

pub(crate) async fn delete(connection: &mut SqliteConnection, name: HostName) -> Result<(), StoreError> {
    let deleted = sqlx::query("DELETE FROM host WHERE name_key = ?").bind(row::key(name.as_str()));
    match deleted.execute(connection).await.map_err(map)?.rows_affected() {
        0 => Err(StoreError::NotFound("host")),
        _ => Ok(()),
    }
}

pub(crate) async fn set_intake(
    connection: &mut SqliteConnection,
    name: String,
    intake: Intake,
) -> Result<KnownHost, StoreError> {
    let known = read(connection, &row::key(&name)).await?.ok_or(StoreError::NotFound("host"))?;
    let known = KnownHost { intake, ..known };
    write(connection, &known).await?;
    Ok(known)
}

pub(crate) async fn turn_intake(
    connection: &mut SqliteConnection,
    name: String,
    intake: Intake,
    now: Timestamp,
) -> Result<KnownHost, StoreError> {
    let before = read(connection, &row::key(&name)).await?.ok_or(StoreError::NotFound("host"))?;
    if before.is_up(now) && before.intake != intake {
        write(connection, &KnownHost { intake, ..before.clone() }).await?;
    }
    Ok(before)
}

pub(crate) async fn all(readers: &SqlitePool) -> Result<Vec<KnownHost>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM host ORDER BY name_key");
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) async fn by_name(readers: &SqlitePool, name: &str) -> Result<Option<KnownHost>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM host WHERE name_key = ?").bind(row::key(name));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

/// A host that nobody ever named here is as silent as one whose lease is over. Walks the index of live sessions,
/// and reads a row only where there is something to do.
const OF_SILENT: &str = "SELECT row FROM session WHERE live = 1
    AND host_key NOT IN (SELECT name_key FROM host WHERE lease_until > ?2) AND host_key <> ?1 LIMIT ?3";

pub(crate) async fn sessions_of_silent(
    readers: &SqlitePool,
    own: &HostName,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Session>, StoreError> {
    let own = row::key(own.as_str());
    let found = sqlx::query_scalar(OF_SILENT).bind(own).bind(now.0).bind(i64::from(limit));
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) const LOST: &str = "SELECT row FROM session WHERE state = 'Lost' AND host_key = ?1";

pub(crate) async fn lost_sessions(readers: &SqlitePool, host: &HostName) -> Result<Vec<Session>, StoreError> {
    let found = sqlx::query_scalar(LOST).bind(row::key(host.as_str()));
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) const ORPHANS: &str = "SELECT row FROM desktop WHERE host_key = ?1 AND has_handle
    AND NOT EXISTS (SELECT 1 FROM session
                    WHERE session.desktop_key = desktop.name_key AND session.listed = 1)";

pub(crate) async fn orphans(readers: &SqlitePool, host: &HostName) -> Result<Vec<Desktop>, StoreError> {
    let found = sqlx::query_scalar(ORPHANS).bind(row::key(host.as_str()));
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) const COUNT_DESKTOPS: &str = "SELECT count(*) FROM desktop WHERE host_key = ?1";

pub(crate) async fn count_desktops(readers: &SqlitePool, host: &HostName) -> Result<u32, StoreError> {
    let count: i64 = sqlx::query_scalar(COUNT_DESKTOPS)
        .bind(row::key(host.as_str()))
        .fetch_one(readers)
        .await
        .map_err(map)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
