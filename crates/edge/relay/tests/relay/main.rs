//! The relay from outside: with clients and desktops written in Rust, and with real ones where they are installed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

#[path = "../../../../core/rdp/tests/fixtures/client.rs"]
mod fixture;

mod fakes;
mod hostile;
mod made;
mod real;
mod rust;
