//! WS-Management messages to typed requests and back (DSP0226, DSP0227, MS-WSMV), for both sides: the server
//! reads a [`Request`], binds it to the classes it serves with [`bind`] and answers with [`reply`] or a
//! [`Fault`]; the command line writes requests with [`client`] and reads the answers.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no randomness (message ids are
//! arguments). Whatever comes from outside is limited in size, depth and number before it is looked at.
//! Names are bound by namespace, never by prefix.

pub mod bind;
pub mod charset;
pub mod client;
pub mod eventing;
pub mod fault;
pub mod names;
pub mod reply;
pub mod request;
pub mod resource;

mod guard;
mod instance;
mod read;
mod xml;

pub use charset::Charset;
pub use eventing::Eventing;
pub use fault::{Code, Fault, Subcode};
pub use request::{Expiry, Filter, Fragment, Input, Limits, Mode, Operation, Rejected, Request};
pub use resource::{Family, Resource};
