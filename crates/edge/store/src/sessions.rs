//! Sessions: SessionIds from a counter, updates guarded by the generation, lists by host and id.

use crate::{changes, error::map, row};
use openrdms_broker::{
    CollectionAlias, DesktopName, Session, SessionUid, State, UserName,
    change::Position,
    ports::{Existing, Page, SessionCursor, SessionFilter, StoreError, store::NewSession},
    session::reconnect::Reconnect,
};
use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteArguments};

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;

/// Binds every column but the key and the generation, in the order in which both statements name them.
fn bind_columns(query: Query, session: &Session) -> Result<Query, StoreError> {
    let flag = |is: bool| is.then_some(1_i64);
    let ended = matches!(session.state, State::Ended { .. });
    Ok(query
        .bind(row::key(session.host.as_str()))
        .bind(i64::from(session.session_id))
        .bind(row::key(session.collection.as_str()))
        .bind(row::key(session.desktop.as_str()))
        .bind(session.user.key())
        .bind(session.state.name().as_str())
        .bind(flag(session.state.is_live()))
        .bind(flag(!ended))
        .bind(row::write(session)?))
}

fn bytes(uid: SessionUid) -> Vec<u8> {
    uid.0.as_bytes().to_vec()
}

/// The place of a session that has its desktop for itself. Where several share one each has its own, which is its
/// `SessionId`: the unique index keeps none of them out, and how many there may be is counted in the transaction.
const ONLY_PLACE: i64 = 0;
pub(crate) const LIVE_IN: &str = "SELECT count(*) FROM session WHERE desktop_key = ?1 AND live = 1";

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    new: NewSession,
) -> Result<(Session, Position), StoreError> {
    let given: i64 = sqlx::query_scalar(
        "INSERT INTO session_counter (host_key, last) VALUES (?1, 1)
         ON CONFLICT (host_key) DO UPDATE SET last = last + 1 RETURNING last",
    )
    .bind(row::key(new.host.as_str()))
    .fetch_one(&mut *connection)
    .await
    .map_err(map)?;
    let session_id = u32::try_from(given)
        .map_err(|_| StoreError::Unavailable("every session id of this host has been given".to_owned()))?;
    let place = match new.places {
        None => ONLY_PLACE,
        Some(places) => {
            let taken = sqlx::query_scalar(LIVE_IN).bind(row::key(new.desktop.as_str()));
            let taken: i64 = taken.fetch_one(&mut *connection).await.map_err(map)?;
            if taken >= i64::from(places) {
                return Err(StoreError::Conflict(Existing::SessionInDesktop));
            }
            given
        }
    };

    let session = Session {
        uid: new.uid,
        generation: 1,
        session_id,
        host: new.host,
        boot_id: new.boot_id,
        desktop: new.desktop,
        collection: new.collection,
        user: new.user,
        created: new.created,
        client: None,
        last_input: None,
        reconnect: Reconnect::Never,
        closed: None,
        state: new.state,
    };
    let query = sqlx::query(
        "INSERT INTO session (uid, generation, place, host_key, session_id, collection_key, desktop_key, user_key,
                              state, live, listed, row)
         VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(bytes(session.uid))
    .bind(place);
    bind_columns(query, &session)?.execute(&mut *connection).await.map_err(map)?;
    let position = changes::append(connection, None, &session).await?;
    Ok((session, position))
}

pub(crate) async fn update(
    connection: &mut SqliteConnection,
    mut session: Session,
) -> Result<(Session, Position), StoreError> {
    let read = generation(session.generation)?;
    let found: Option<(i64, String)> = sqlx::query_as("SELECT generation, row FROM session WHERE uid = ?")
        .bind(bytes(session.uid))
        .fetch_optional(&mut *connection)
        .await
        .map_err(map)?;
    let (there, before) = found.ok_or(StoreError::NotFound("session"))?;
    if there != read {
        return Err(StoreError::Stale);
    }
    session.generation += 1;
    let query = sqlx::query(
        "UPDATE session SET host_key = ?, session_id = ?, collection_key = ?, desktop_key = ?, user_key = ?,
                            state = ?, live = ?, listed = ?, row = ?, generation = generation + 1
         WHERE uid = ? AND generation = ?",
    );
    let query = bind_columns(query, &session)?.bind(bytes(session.uid)).bind(read);
    if query.execute(&mut *connection).await.map_err(map)?.rows_affected() != 1 {
        return Err(StoreError::Stale);
    }
    let position = changes::append(connection, Some(before), &session).await?;
    Ok((session, position))
}

/// A generation as the column holds it. One that no row can have reached is refused as what it is.
fn generation(generation: u64) -> Result<i64, StoreError> {
    i64::try_from(generation).ok().filter(|g| *g < i64::MAX).ok_or(StoreError::Stale)
}

pub(crate) async fn by_uid(readers: &SqlitePool, uid: SessionUid) -> Result<Option<Session>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM session WHERE uid = ?").bind(bytes(uid));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

pub(crate) async fn by_id(readers: &SqlitePool, host: &str, id: u32) -> Result<Option<Session>, StoreError> {
    let found =
        sqlx::query_scalar("SELECT row FROM session WHERE host_key = ? AND session_id = ? AND listed = 1")
            .bind(row::key(host))
            .bind(i64::from(id));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

pub(crate) async fn live(
    readers: &SqlitePool,
    user: &UserName,
    collection: &CollectionAlias,
) -> Result<Option<Session>, StoreError> {
    let found =
        sqlx::query_scalar("SELECT row FROM session WHERE user_key = ? AND collection_key = ? AND live = 1")
            .bind(user.key())
            .bind(row::key(collection.as_str()));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

/// The list of everybody's sessions, and the list of one user's, each along its own index.
pub(crate) const LIST: &str = "SELECT row FROM session
    WHERE listed = 1 AND (host_key, session_id) > (?1, ?2) AND ?3 IS NULL
      AND (?4 IS NULL OR collection_key = ?4) AND (?5 IS NULL OR host_key = ?5)
    ORDER BY host_key, session_id LIMIT ?6";
pub(crate) const LIST_OF_USER: &str = "SELECT row FROM session
    WHERE listed = 1 AND (host_key, session_id) > (?1, ?2) AND user_key = ?3
      AND (?4 IS NULL OR collection_key = ?4) AND (?5 IS NULL OR host_key = ?5)
    ORDER BY host_key, session_id LIMIT ?6";

pub(crate) async fn in_desktop(
    readers: &SqlitePool,
    desktop: &DesktopName,
) -> Result<Option<Session>, StoreError> {
    let found = sqlx::query_scalar("SELECT row FROM session WHERE desktop_key = ? AND live = 1")
        .bind(row::key(desktop.as_str()));
    row::read_optional(found.fetch_optional(readers).await.map_err(map)?)
}

/// What [`LIST`] and [`LIST_OF_USER`] would list.
const COUNT: &str = "SELECT count(*) FROM session WHERE listed = 1 AND ?1 IS NULL
    AND (?2 IS NULL OR collection_key = ?2) AND (?3 IS NULL OR host_key = ?3)";
pub(crate) const COUNT_OF_USER: &str = "SELECT count(*) FROM session WHERE listed = 1 AND user_key = ?1
    AND (?2 IS NULL OR collection_key = ?2) AND (?3 IS NULL OR host_key = ?3)";

pub(crate) async fn count(readers: &SqlitePool, filter: &SessionFilter) -> Result<u32, StoreError> {
    let count: i64 = sqlx::query_scalar(if filter.user.is_some() { COUNT_OF_USER } else { COUNT })
        .bind(filter.user.as_ref().map(UserName::key))
        .bind(filter.collection.as_ref().map(|c| row::key(c.as_str())))
        .bind(filter.host.as_ref().map(|h| row::key(h.as_str())))
        .fetch_one(readers)
        .await
        .map_err(map)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

pub(crate) async fn list(
    readers: &SqlitePool,
    filter: &SessionFilter,
    after: Option<SessionCursor>,
    limit: u32,
) -> Result<Page<Session, SessionCursor>, StoreError> {
    let size = row::page_size(limit);
    // no host has the empty name: the first page begins behind it
    let (host, id) =
        after.map_or((String::new(), 0), |c| (row::key(c.host.as_str()), i64::from(c.session_id)));
    let rows: Vec<String> = sqlx::query_scalar(if filter.user.is_some() { LIST_OF_USER } else { LIST })
        .bind(host)
        .bind(id)
        .bind(filter.user.as_ref().map(UserName::key))
        .bind(filter.collection.as_ref().map(|c| row::key(c.as_str())))
        .bind(filter.host.as_ref().map(|h| row::key(h.as_str())))
        .bind(size as i64 + 1)
        .fetch_all(readers)
        .await
        .map_err(map)?;
    let cursor = |last: &Session| SessionCursor { host: last.host.clone(), session_id: last.session_id };
    Ok(row::page(row::read_all(&rows)?, size, cursor))
}
