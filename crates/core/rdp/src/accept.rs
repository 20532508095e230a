//! The client's side of the handshake (MS-RDPBCGR 1.3.1.1), in which we are the server: from Connect Initial to Client
//! Info.
//!
//! ```text
//! ConnectInitial ──▶ Attaching ──▶ Joining ──▶ (Client Info) done
//!  Connect Response   user confirm  join confirms
//! ```
//!
//! The desktop is not known yet, so nothing in here can depend on one.

use crate::{
    ChannelIds, RdpError, gcc,
    info::ClientInfo,
    mcs::{self, ConnectInitial},
    x224::Protocols,
};

/// Joins beyond this are no handshake any more: user, I/O, 31 static channels, and as many repeated.
const MAX_JOINS: u8 = 66;

/// Where the handshake stands.
#[derive(Debug)]
pub enum Accepting {
    /// Connect Initial is awaited.
    ConnectInitial {
        /// What the client had offered.
        requested: Protocols,
        /// What was taken.
        selected: Protocols,
    },
    /// Erect Domain and Attach User are awaited.
    Attaching {
        /// The client's settings.
        client: Box<ConnectInitial>,
        /// Erect Domain has come.
        erected: bool,
    },
    /// Channel joins, and at last Client Info, are awaited.
    Joining {
        /// The client's settings.
        client: Box<ConnectInitial>,
        /// The ids given out.
        ids: ChannelIds,
        /// Joins so far.
        joins: u8,
    },
}

/// What a frame leads to.
#[derive(Debug)]
pub enum AcceptStep {
    /// More frames are awaited.
    Next {
        /// What is to be sent; may be empty.
        reply: Vec<u8>,
        /// The new state.
        state: Accepting,
    },
    /// The client has said all that it says before it is served.
    Done(Box<Accepted>),
}

/// A client that has said everything.
#[derive(Debug)]
pub struct Accepted {
    /// Its settings.
    pub client: ConnectInitial,
    /// The ids it was given.
    pub ids: ChannelIds,
    /// Who it says it is.
    pub info: ClientInfo,
}

impl Accepting {
    /// The start, after the security protocol `selected` has been set up.
    pub fn new(requested: Protocols, selected: Protocols) -> Self {
        Accepting::ConnectInitial { requested, selected }
    }

    /// Takes one whole frame. The frame may be Client Info: wipe it afterwards.
    ///
    /// # Errors
    /// When it is not what the state calls for. The handshake is over then.
    pub fn step(self, frame: &[u8]) -> Result<AcceptStep, RdpError> {
        match self {
            Accepting::ConnectInitial { requested, selected } => {
                let client = Box::new(ConnectInitial::parse(frame)?);
                if client.blocks.core.selected_protocol != selected.0 {
                    return Err(RdpError::Downgrade);
                }
                let ids = ChannelIds::ours(client.blocks.channels.len());
                let reply = mcs::connect_response(&gcc::server_user_data(requested, &ids)?)?;
                Ok(AcceptStep::Next { reply, state: Accepting::Attaching { client, erected: false } })
            }
            Accepting::Attaching { client, erected } => {
                if !erected && mcs::is_erect_domain(frame)? {
                    return Ok(AcceptStep::Next {
                        reply: Vec::new(),
                        state: Accepting::Attaching { client, erected: true },
                    });
                }
                if !mcs::is_attach_user(frame)? {
                    return Err(RdpError::Unexpected("attach user request"));
                }
                let ids = ChannelIds::ours(client.blocks.channels.len());
                let reply = mcs::attach_user_confirm(ids.user);
                Ok(AcceptStep::Next { reply, state: Accepting::Joining { client, ids, joins: 0 } })
            }
            Accepting::Joining { client, ids, joins } => match mcs::parse_channel_join(frame)? {
                Some(channel) if joins < MAX_JOINS && ids.all().any(|id| id == channel) => {
                    let reply = mcs::channel_join_confirm(ids.user, channel);
                    Ok(AcceptStep::Next {
                        reply,
                        state: Accepting::Joining { client, ids, joins: joins + 1 },
                    })
                }
                Some(_) => Err(RdpError::Unexpected("a channel join for a channel that was offered")),
                None => {
                    let info = ClientInfo::parse(frame, ids.io)?;
                    Ok(AcceptStep::Done(Box::new(Accepted { client: *client, ids, info })))
                }
            },
        }
    }
}
