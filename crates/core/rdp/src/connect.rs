//! The desktop's side of the handshake (MS-RDPBCGR 1.3.1.1), in which we are the client: from Connect Initial to the
//! last join.
//!
//! ```text
//! (Connect Initial sent) Response ──▶ Attaching ──▶ Joining ──▶ done: Client Info may be sent
//!                                      erect, attach  join requests
//! ```
//!
//! Everything that comes in here comes from a desktop, which is not trusted.

use crate::{
    ChannelIds, RdpError, gcc,
    mcs::{self, ConnectInitial},
    x224::{ConnectionConfirm, Protocols},
};

/// Where the handshake stands.
#[derive(Debug)]
pub enum Connecting {
    /// Connect Response is awaited.
    Response {
        /// How many static channels were asked for.
        channels: usize,
    },
    /// Attach User Confirm is awaited.
    Attaching {
        /// The I/O channel.
        io: u16,
        /// The static channels.
        statics: Vec<u16>,
    },
    /// The confirm of one channel join is awaited.
    Joining {
        /// The desktop's ids.
        ids: ChannelIds,
        /// The channel just asked for.
        current: u16,
        /// Those still to be joined, the next one last.
        left: Vec<u16>,
    },
}

/// What a frame leads to.
#[derive(Debug)]
pub enum ConnectStep {
    /// More frames are awaited.
    Next {
        /// What is to be sent.
        send: Vec<u8>,
        /// The new state.
        state: Connecting,
    },
    /// All channels are joined.
    Done(ChannelIds),
}

impl Connecting {
    /// The start: the Connect Initial to send, which is the client's with the changes of
    /// [`gcc::ClientBlocks::for_desktop`].
    ///
    /// # Errors
    /// When the client's settings do not fit into a frame.
    pub fn start(client: &ConnectInitial, confirm: ConnectionConfirm) -> Result<(Vec<u8>, Self), RdpError> {
        let initial = client.for_desktop(confirm.extended_client_data, confirm.selected)?;
        Ok((initial, Connecting::Response { channels: client.blocks.channels.len() }))
    }

    /// Takes one whole frame.
    ///
    /// # Errors
    /// When it is not what the state calls for. The handshake is over then.
    pub fn step(self, frame: &[u8]) -> Result<ConnectStep, RdpError> {
        match self {
            Connecting::Response { channels } => {
                let (io, statics) = gcc::parse_server(mcs::parse_connect_response(frame)?, channels)?;
                let state = Connecting::Attaching { io, statics };
                Ok(ConnectStep::Next { send: mcs::erect_and_attach(), state })
            }
            Connecting::Attaching { io, statics } => {
                let user = mcs::parse_attach_user_confirm(frame)?;
                let ids = ChannelIds { io, user, statics };
                // a desktop may give a channel no id (0): there is nothing to join then
                let mut left: Vec<u16> = ids.all().filter(|id| *id != 0).collect();
                left.reverse();
                Ok(join_next(ids, left))
            }
            Connecting::Joining { ids, current, left } => {
                if mcs::parse_channel_join_confirm(frame)? != current {
                    return Err(RdpError::Unexpected("the confirm of the channel asked for"));
                }
                Ok(join_next(ids, left))
            }
        }
    }

    /// The only protocol that is asked of a desktop. Never the client's own mask: that may hold protocols that
    /// this broker cannot speak, and xrdp refuses masks with bits it does not know.
    pub const PROTOCOLS: Protocols = Protocols::SSL;
}

fn join_next(ids: ChannelIds, mut left: Vec<u16>) -> ConnectStep {
    match left.pop() {
        Some(current) => {
            let send = mcs::channel_join_request(ids.user, current);
            ConnectStep::Next { send, state: Connecting::Joining { ids, current, left } }
        }
        None => ConnectStep::Done(ids),
    }
}
