//! A service that is away while it is being watched: what people hear of that, and when it is asked again.

use crate::cli::Failure;
use crate::cli::output::remark;
use std::time::Duration;

/// How long to wait before a service that is away is asked again: the first time, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// One time of being away; there need not be any. Whoever has had an answer begins with a new one.
pub(in crate::cli) struct Absence {
    wait: Duration,
    /// Whether people know of it.
    told: bool,
}

impl Default for Absence {
    fn default() -> Self {
        Self { wait: AGAIN.0, told: false }
    }
}

impl Absence {
    /// Nobody answers: says so, once.
    pub(in crate::cli) fn tell(&mut self, why: &Failure) -> Result<(), Failure> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(());
        }
        remark(&format!("openrdms: {}; waiting for it", why.message))
    }

    /// The service answers: says so where it was said that it does not.
    pub(in crate::cli) fn is_over(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.told) { remark("openrdms: the service is back") } else { Ok(()) }
    }

    /// Waits before the service is asked again, longer each time. Cancelled, it has not waited.
    pub(in crate::cli) async fn pause(&mut self) {
        tokio::time::sleep(self.wait).await;
        self.wait = (2 * self.wait).min(AGAIN.1);
    }
}
