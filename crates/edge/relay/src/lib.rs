//! RDP in, RDP out: the relay between a user's client and the desktop that the broker chose for them.
//!
//! ```text
//!  negotiate ─▶ TLS ─▶ (CredSSP) ─▶ MCS ─▶ Client Info ─▶ broker ─▶ desktop leg ─▶ pump ─▶ end
//!  └───────── the client's own server; no desktop is touched ────┘
//! ```
//!
//! It binds late: until the user is proved it is the client's RDP server itself, and only then does it ask the
//! broker (the [`Front`](openrdms_broker::ports::Front) port) and open the desktop leg, replaying the client's own
//! settings. From the first PDU after Client Info everything is passed through; the relay keeps track of frame
//! boundaries only, so that it can speak to the client itself when it must: an order to disconnect, a refusal.
//!
//! It must never: touch a desktop before the user is proved; send the user's password to a desktop; trust what a
//! desktop sends; follow a link to a desktop's socket; drop a client without a word where words are possible.
//!
//! No message channel is offered to clients. With it the ids of xrdp's channels would differ from ours, and every
//! frame would have to be rewritten; what it carries (auto-detection, heartbeat, UDP transport) is optional.

mod client_leg;
pub mod config;
mod connection;
mod credssp;
mod desktop_leg;
mod ending;
pub mod framed;
mod order;
pub mod pin;
pub mod ports;
pub mod pump;
pub mod server;
mod shares;
mod socket;
pub mod tls;

pub use config::{Limits, RelayConfig, SecurityPolicy};
pub use ports::{Authenticator, Credssp, CredsspFailure, CredsspStep, LogonFailure};
pub use server::Relay;
pub use tls::{SharedIdentity, TlsError, TlsIdentity};
