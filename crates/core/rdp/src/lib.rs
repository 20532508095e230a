//! RDP wire formats a broker needs: X.224, GCC, MCS, Client Info, server-sent PDUs.
//!
//! A broker that passes desktops through needs little of RDP: the connection sequence up to Client Info (to be
//! the client's server, and afterwards the desktop's client), the boundaries of frames, and a handful of PDUs
//! that it says or notices itself. That is all there is here. It never looks at graphics.
//!
//! Everything is a pure function of bytes: no I/O, no clock, no runtime, no TLS. Whatever comes from outside is
//! read through one bounds-checked cursor and is limited in size and count; no input may panic. The two
//! handshakes, [`accept::Accepting`] and [`connect::Connecting`], are sequences: a frame in, a frame out.

pub mod accept;
pub mod channels;
pub mod connect;
mod cursor;
pub mod error;
pub mod frame;
pub mod gcc;
pub mod guard;
pub mod info;
pub mod mcs;
pub mod preconnection;
pub mod server;
pub mod watch;
pub mod x224;

pub use channels::{ChannelIds, ChannelMap};
pub use error::RdpError;
pub use frame::{FrameError, frame_len};
pub use guard::{DesktopFault, Guard, Harmless};

/// No frame of the connection sequence may be longer. Real ones stay under 2 KiB; the longest legal Client
/// Info is about 6 KiB.
pub const MAX_HANDSHAKE_FRAME: usize = 16_384;
