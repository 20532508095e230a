//! A store with many sessions: those of a host that is gone, which stay in the list as they are. Their rows are as long
//! as any: each had a client.

use anyhow::{Context, Result};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use openrdms_broker::ports::Store;
use openrdms_broker::ports::store::NewSession;
use openrdms_broker::session::LostReason;
use openrdms_broker::{
    ClientFacts, CollectionAlias, DesktopName, HostName, Session, SessionUid, State, Timestamp, UserName,
};
use openrdms_store::SqliteStore;
use serde_json::{Value, json};
use std::path::Path;
use uuid::Uuid;

/// Writes that wait together share one sync of the disk.
const AT_ONCE: usize = 256;

pub(crate) async fn run(data_dir: &Path, sessions: u32) -> Result<Value> {
    let store = SqliteStore::open(data_dir).await.context("opening the store")?;
    stream::iter(0..sessions)
        .map(|number| insert(&store, number))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(json!({ "sessions": sessions }))
}

async fn insert(store: &SqliteStore, number: u32) -> Result<()> {
    let now = Timestamp(1_790_000_000_000 + i64::from(number));
    let new = NewSession {
        uid: SessionUid(Uuid::from_u128(u128::from(number) + 1)),
        desktop: DesktopName::new(&format!("office-{number:06}"))?,
        places: None,
        host: HostName::new("farm-1")?,
        boot_id: Uuid::nil().to_string(),
        collection: CollectionAlias::new("office")?,
        user: UserName::new("EXAMPLE", &format!("user{number:06}"))?,
        created: now,
        state: State::Lost { since: now, reason: LostReason::default() },
    };
    let session = store.insert_session(new).await?;
    let client = ClientFacts {
        address: format!("10.{}.{}.{}", number >> 16 & 255, number >> 8 & 255, number & 255),
        machine: format!("PC-{number:06}"),
        width: 1920,
        height: 1080,
        keyboard_layout: 0x0409,
        build: 22_631,
        security: "nla".to_owned(),
    };
    store.update_session(&Session { client: Some(client), last_input: Some(now), ..session }).await?;
    Ok(())
}
