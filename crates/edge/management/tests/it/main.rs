//! The server against real sockets: a fake service behind it, hand-written and real clients before it.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of what clippy takes for one")]

mod events;
mod fake;
mod http;
mod json;
mod json_events;
mod notes;
mod operations;
mod pypsrp;
mod raw;
mod wsman;
