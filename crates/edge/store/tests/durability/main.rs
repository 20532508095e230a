//! What was acknowledged is there, whenever the writing process is killed, and whatever had reached the disk when the
//! power went.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(
    clippy::print_stdout,
    reason = "the writer acknowledges on standard output, and tests say what they did"
)]

mod kill;
mod power_loss;
mod writer;

use openrdms_broker::ports::Store;
use openrdms_store::SqliteStore;
use sqlx::{Connection as _, SqliteConnection};
use std::{collections::BTreeSet, path::Path};

/// Looks at a directory with the real code: everything of `acknowledged` is there, the file is sound, what was
/// written together is there together, and it can be written again.
async fn look(directory: &Path, acknowledged: &BTreeSet<i64>) -> Result<(), String> {
    let store = SqliteStore::open(directory).await.map_err(|e| format!("it does not open: {e:?}"))?;
    let records = store.audit(1_000_000).await.map_err(|e| e.to_string())?;
    let mut found: BTreeSet<i64> = records.iter().map(|r| r.at.0).collect();
    store.append_audit(&writer::record(0)).await.map_err(|e| e.to_string())?;
    let url = format!("sqlite://{}", directory.join("openrdms.sqlite").display());
    let mut raw = SqliteConnection::connect(&url).await.map_err(|e| e.to_string())?;
    let mut ask = async |question| {
        sqlx::query_scalar::<_, String>(question).fetch_all(&mut raw).await.map_err(|e| e.to_string())
    };
    let ended = ask("SELECT CAST(row ->> '$.created' AS TEXT) FROM session WHERE state = 'Ended'").await?;
    found.extend(ended.iter().map(|number| number.parse::<i64>().unwrap()));
    let sound = ask("PRAGMA integrity_check").await?;
    let without_counter = ask("SELECT host_key FROM session WHERE session_id >
        coalesce((SELECT last FROM session_counter c WHERE c.host_key = session.host_key), 0)")
    .await?;
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    match () {
        () if sound != ["ok"] => Err(format!("it is not sound: {sound:?}")),
        () if !without_counter.is_empty() => Err("a session is there without its number".to_owned()),
        () if !lost.is_empty() => Err(format!("acknowledged and lost: {lost:?}")),
        () => Ok(()),
    }
}
