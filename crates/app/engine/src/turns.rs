//! One at a time, by desktop.

use openrdms_broker::DesktopName;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who has a turn keeps it until it is dropped. Whoever takes several takes them in the order of their names.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<DesktopName, Arc<Semaphore>>>);

impl Turns {
    /// Waits for a desktop's turn. Cancel-safe.
    pub(crate) async fn take(&self, desktop: &DesktopName) -> OwnedSemaphorePermit {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // desktops come and go; nobody waits for the turns that only this map holds
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(desktop.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
        };
        turn.acquire_owned().await.expect("nobody closes a turn")
    }
}
