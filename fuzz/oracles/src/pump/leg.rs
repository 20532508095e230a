//! One leg of a connection, which reads and writes as many bytes at a time as it is told.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many turns in a row that come later; then comes one that moves something.
const LATER_MAX: u8 = 3;

/// How much each reading and writing moves, over and over again.
pub(super) struct Turns<'a> {
    plan: &'a [u8],
    next: usize,
    later: u8,
    /// Somebody was told to come later, and would be woken.
    pub(super) wakes: bool,
}

/// A client or a desktop.
pub(super) struct Leg<'a> {
    /// What it has still to send.
    gives: &'a [u8],
    closes: bool,
    /// What it was sent.
    pub(super) taken: Vec<u8>,
    turns: Rc<RefCell<Turns<'a>>>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(plan: &'a [u8]) -> Self {
        Self { plan, next: 0, later: 0, wakes: false }
    }

    /// How many bytes are moved this time.
    fn turn(&mut self) -> Poll<usize> {
        let turn = self.plan.get(self.next).copied().unwrap_or(u8::MAX);
        self.next = if self.next + 1 >= self.plan.len() { 0 } else { self.next + 1 };
        if turn == 0 && self.later < LATER_MAX {
            self.later += 1;
            self.wakes = true;
            return Poll::Pending;
        }
        self.later = 0;
        Poll::Ready(match turn {
            0..=0x7f => usize::from(turn).max(1),
            0x80..=0xfe => usize::from(turn & 0x7f) << 8,
            0xff => usize::MAX,
        })
    }
}

impl<'a> Leg<'a> {
    pub(super) fn new(gives: &'a [u8], closes: bool, turns: &Rc<RefCell<Turns<'a>>>) -> Self {
        Self { gives, closes, taken: Vec::new(), turns: Rc::clone(turns) }
    }
}

impl AsyncRead for Leg<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.gives.is_empty() {
            return if self.closes { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let Poll::Ready(most) = self.turns.borrow_mut().turn() else { return Poll::Pending };
        let (now, later) = self.gives.split_at(most.max(1).min(into.remaining()).min(self.gives.len()));
        into.put_slice(now);
        self.gives = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Leg<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Poll::Ready(most) = self.turns.borrow_mut().turn() else { return Poll::Pending };
        let n = most.max(1).min(bytes.len());
        self.taken.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.turns.borrow_mut().turn().map(|_| Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
