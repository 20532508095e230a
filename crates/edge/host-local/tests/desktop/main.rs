//! Real desktops in real sandboxes. Needs root, bubblewrap, Xorg with xorgxrdp, and xrdp.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod freeze;
mod homes;
mod isolation;
mod life;
mod many;
mod screen;
mod support;
