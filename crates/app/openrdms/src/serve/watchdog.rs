//! What systemd is told, where it started us: ready, stopping, and alive as often as it wants to hear it.

use sd_notify::NotifyState;
use std::convert::Infallible;

/// Every door is open.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// No new connections from now on.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the service is alive, twice as often as systemd asks for; a service whose runtime hangs falls silent.
pub(crate) async fn run() -> Infallible {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(period / 2);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
