//! Buffers that nobody needs at the moment. Most connections are quiet most of the time, and a quiet one has none: it
//! gets one when bytes come, and gives it back when they have all gone on.
//!
//! What is in a buffer that is taken is of no meaning, and may be another connection's: nobody looks at more of it
//! than they have put there.

use std::cell::RefCell;

pub(super) const SIZE: usize = 32 * 1024;
/// What a thread keeps. A task gives a buffer back before another one runs, unless its sink is full, so a few are
/// enough; others are made and freed.
const KEPT: usize = 8;

thread_local! {
    static KEPT_HERE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`SIZE`].
pub(super) fn take() -> Vec<u8> {
    KEPT_HERE.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; SIZE])
}

/// Takes back what [`take`] gave.
pub(super) fn give(buffer: Vec<u8>) {
    KEPT_HERE.with_borrow_mut(|kept| {
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}
