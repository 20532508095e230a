//! Desktops in which a logon has just failed before anybody saw them: for a while others are chosen before them.
//!
//! A broken desktop is always free, and a broken machine never laden: without this every new user would be led there.
//! Nothing is lost with what this node has noticed: it would notice again.

use openrdms_broker::DesktopName;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long others are chosen first.
const SHUNNED_FOR: Duration = Duration::from_secs(60);

/// When a logon failed, by desktop.
#[derive(Default)]
pub(crate) struct Failing(Mutex<HashMap<DesktopName, Instant>>);

impl Failing {
    fn with<T>(&self, f: impl FnOnce(&mut HashMap<DesktopName, Instant>) -> T) -> T {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failing.retain(|_, at| at.elapsed() < SHUNNED_FOR);
        f(&mut failing)
    }

    /// A logon there has failed.
    pub(crate) fn failed(&self, desktop: &DesktopName) {
        self.with(|failing| failing.insert(desktop.clone(), Instant::now()));
    }

    /// Somebody has seen it.
    pub(crate) fn works(&self, desktop: &DesktopName) {
        self.with(|failing| failing.remove(desktop));
    }

    /// Whether a logon there has just failed.
    pub(crate) fn contains(&self, desktop: &DesktopName) -> bool {
        self.with(|failing| failing.contains_key(desktop))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.with(|failing| failing.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_desktop_is_shunned_for_a_minute_or_until_somebody_has_seen_it() {
        let failing = Failing::default();
        let [a, b] = ["a", "b"].map(|name| DesktopName::new(name).unwrap());
        failing.failed(&a);
        failing.failed(&b);
        failing.works(&b);
        assert!(failing.contains(&a) && !failing.contains(&b));
        tokio::time::advance(SHUNNED_FOR).await;
        assert!(!failing.contains(&a));
    }
}
