//! An order to end a connection is never lost.

use openrdms_broker::ports::KillSwitch;
use openrdms_broker::session::DetachReason;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

struct Count(AtomicUsize);
impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_order_given_before_anybody_waits_is_seen() {
    let switch = KillSwitch::new();
    switch.throw(DetachReason::Administrator);
    switch.throw(DetachReason::TakenOver);
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(pin!(switch.wait()).poll(&mut cx), Poll::Ready(DetachReason::Administrator));
}

#[test]
fn an_order_wakes_every_waiter() {
    let switch = KillSwitch::new();
    let counts = [Arc::new(Count(AtomicUsize::new(0))), Arc::new(Count(AtomicUsize::new(0)))];
    let (mut a, mut b) = (pin!(switch.wait()), pin!(switch.wait()));
    let wakers = counts.clone().map(Waker::from);
    assert!(a.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
    assert!(b.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
    switch.throw(DetachReason::Logoff);
    assert!(counts.iter().all(|c| c.0.load(Ordering::SeqCst) == 1));
    assert!(a.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_ready());
}
