//! RDP: a client that does not wait between two steps, a desktop that is nothing but output, and the relay between them
//! as the service runs it.

pub(crate) mod client;
pub(crate) mod desktop;
pub(crate) mod load;
mod orders;
pub(crate) mod service;

/// The client of the tests.
#[path = "../../crates/core/rdp/tests/fixtures/client.rs"]
#[expect(dead_code, reason = "the tests of handshakes need more of it")]
#[expect(clippy::unwrap_used, reason = "what it makes fits into a frame")]
mod fixture;
