//! The audit trail, also while the store is away.

use crate::Engine;
use openrdms_broker::AuditRecord;
use openrdms_broker::ports::StoreError;
use std::sync::Arc;

/// Records that wait for the store at most; more are in the log only.
pub(crate) const WAITING: usize = 1024;

impl Engine {
    /// Appends to the audit trail. Returns when the record is durable, or when the store is away: then the record is
    /// written once it is back. A record that cannot wait either is in the log, at `error`.
    pub async fn audit(&self, record: AuditRecord) {
        let error = match self.inner.store.append_audit(&record).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let waiting = match &error {
            StoreError::Unavailable(_) => Arc::clone(&self.inner.audits_waiting).try_acquire_owned().ok(),
            StoreError::Conflict(_)
            | StoreError::Stale
            | StoreError::NotFound(_)
            | StoreError::Corrupt(_) => None,
        };
        let Some(waiting) = waiting else {
            tracing::error!(%error, ?record, "an audit record is here and not in the trail");
            return;
        };
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            let append = || async { Ok(engine.inner.store.append_audit(&record).await?) };
            if engine.until_stored("an audit record", append).await.is_err() {
                tracing::error!(?record, "an audit record is here and not in the trail");
            }
            drop(waiting);
        });
    }
}
