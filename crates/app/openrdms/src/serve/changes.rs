//! Forgets what happened to sessions long ago.

use openrdms_broker::Timestamp;
use openrdms_broker::ports::Store;
use openrdms_config::Changes;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(60);

/// Forgets until `stop`, beginning at once. That the store is away is no reason to end: the next time will do.
pub(super) async fn run(store: Arc<dyn Store>, keep: Changes, stop: CancellationToken) {
    let mut looks = tokio::time::interval(EVERY);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        let oldest = SystemTime::now().checked_sub(keep.keep).and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let oldest = oldest.and_then(|t| i64::try_from(t.as_millis()).ok()).unwrap_or(0);
        let forget = tokio::select! {
            () = stop.cancelled() => return,
            forget = store.forget_changes(Timestamp(oldest), keep.keep_most) => forget,
        };
        match forget {
            Ok(0) => {}
            Ok(count) => tracing::debug!(count, "changes of sessions were forgotten"),
            Err(error) => tracing::debug!(%error, "changes of sessions cannot be forgotten now"),
        }
    }
}
