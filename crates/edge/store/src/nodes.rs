//! Nodes: written with every word that they give for a host, drained by administrators.

use crate::{error::map, row};
use openrdms_broker::{Intake, KnownNode, Lease, NodeId, Timestamp, ports::StoreError};
use sqlx::{SqliteConnection, SqlitePool};

fn key(id: NodeId) -> Vec<u8> {
    id.0.as_bytes().to_vec()
}

async fn read(connection: &mut SqliteConnection, id: NodeId) -> Result<Option<KnownNode>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM node WHERE id = ?").bind(key(id));
    row::read_optional(found.fetch_optional(connection).await.map_err(map)?)
}

async fn write(connection: &mut SqliteConnection, node: &KnownNode) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO node (id, row) VALUES (?, ?)")
        .bind(key(node.lease.node))
        .bind(row::write(node)?)
        .execute(connection)
        .await
        .map_err(map)?;
    Ok(())
}

/// Remembers the word that a node has just given.
pub(crate) async fn heard(connection: &mut SqliteConnection, lease: Lease) -> Result<(), StoreError> {
    let intake = read(connection, lease.node).await?.map_or(Intake::Open, |known| known.intake);
    write(connection, &KnownNode { lease, intake }).await
}

/// The same of a word that was taken back.
pub(crate) async fn left(
    connection: &mut SqliteConnection,
    id: NodeId,
    now: Timestamp,
) -> Result<(), StoreError> {
    match read(connection, id).await? {
        Some(mut node) if node.is_up(now) => {
            node.lease.until = now;
            write(connection, &node).await
        }
        Some(_) | None => Ok(()),
    }
}

pub(crate) async fn set_intake(
    connection: &mut SqliteConnection,
    id: NodeId,
    intake: Intake,
) -> Result<KnownNode, StoreError> {
    let node = read(connection, id).await?.ok_or(StoreError::NotFound("node"))?;
    let node = KnownNode { intake, ..node };
    write(connection, &node).await?;
    Ok(node)
}

pub(crate) async fn all(readers: &SqlitePool) -> Result<Vec<KnownNode>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM node ORDER BY id");
    row::read_all(&found.fetch_all(readers).await.map_err(map)?)
}

pub(crate) async fn by_id(readers: &SqlitePool, id: NodeId) -> Result<Option<KnownNode>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM node WHERE id = ?").bind(key(id));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}
