//! The order to end, in a form that costs nothing while it is not given.

use openrdms_broker::{ports::KillSwitch, session::DetachReason};
use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// Waits on a [`KillSwitch`] inside a poll loop. Waiting on the switch itself takes its lock at each turn; this does
/// so once for each waker, and otherwise only looks.
pub(crate) struct Order {
    switch: KillSwitch,
    wait: Pin<Box<dyn Future<Output = DetachReason> + Send>>,
    waker: Option<Waker>,
}

impl Order {
    pub(crate) fn new(switch: KillSwitch) -> Self {
        let waiting = switch.clone();
        Self { switch, wait: Box::pin(async move { waiting.wait().await }), waker: None }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<DetachReason> {
        if let Some(reason) = self.switch.thrown() {
            return Poll::Ready(reason);
        }
        if self.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        self.waker = Some(cx.waker().clone());
        self.wait.as_mut().poll(cx)
    }

    /// Waits for the order. Cancel-safe.
    pub(crate) async fn given(&mut self) -> DetachReason {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}
