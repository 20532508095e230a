//! A session: one user's logon in one desktop, and the states it moves through.
//!
//! ```text
//!            attached                client gone / Disconnect
//! Starting ───────────▶ Active ◀──────────────────────────▶ Disconnected
//!    │                    │   attached (reconnect, take-over)   │
//!    │ Logoff, failure    │ Logoff                              │ Logoff
//!    ▼                    ▼                                     ▼
//!  Ended ◀──────────── LoggingOff ◀─────────────────────────────┘
//!    ▲    logon ended
//!    └──── Lost: the host's lease ran out. When the host is back it comes back as Disconnected (Active
//!          where its client never left), or ends, or is kept while its user has another session
//! ```
//!
//! [`transition::apply`] is the only function that moves a session, and the engine its only caller.

pub mod reconnect;
pub mod transition;

use crate::{
    ClientFacts, CollectionAlias, ConnectionId, DesktopName, HostName, Limit, SessionUid, Timestamp, UserName,
};
use reconnect::Reconnect;
use serde::{Deserialize, Serialize};

/// One user's logon in one desktop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its own key.
    pub uid: SessionUid,
    /// Counts the row's changes; an effect of an older generation is void.
    pub generation: u64,
    /// `SessionId`: unique per host, never used again.
    pub session_id: u32,
    /// The host that runs the desktop.
    pub host: HostName,
    /// That host's boot when the session began.
    pub boot_id: String,
    /// The desktop.
    pub desktop: DesktopName,
    /// The collection.
    pub collection: CollectionAlias,
    /// The user.
    pub user: UserName,
    /// When the session began.
    pub created: Timestamp,
    /// The connection that is, or last was, attached.
    pub client: Option<ClientFacts>,
    /// Last input by the user, as far as it is known.
    pub last_input: Option<Timestamp>,
    /// By which cookie its client may come back by itself.
    #[serde(default)]
    pub reconnect: Reconnect,
    /// When its desktop's RDP server closed the connection by itself, or was lost before a client had seen it; none once
    /// a client has been attached since. Where nobody knows when a logon ends, it has most likely ended then.
    #[serde(default)]
    pub closed: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
}

impl Session {
    /// What [`Session::closed`] is after a step to `next`.
    pub fn closed_after(&self, next: &State, now: Timestamp) -> Option<Timestamp> {
        match (&self.state, next) {
            (_, State::Active { .. }) => None,
            (State::Active { .. }, State::Disconnected { reason: DetachReason::DesktopClosed, .. })
            | (State::Starting { .. }, State::Disconnected { .. } | State::Lost { .. }) => Some(now),
            (
                State::Starting { .. }
                | State::Active { .. }
                | State::Disconnected { .. }
                | State::LoggingOff { .. }
                | State::Lost { .. }
                | State::Ended { .. },
                State::Starting { .. }
                | State::Disconnected { .. }
                | State::LoggingOff { .. }
                | State::Lost { .. }
                | State::Ended { .. },
            ) => self.closed,
        }
    }
}

/// Where a session stands. Data lives in the variant that needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum State {
    /// The desktop is being started or logged on, for this connection.
    Starting {
        /// Since when.
        since: Timestamp,
        /// The client that waits for it.
        attach: ConnectionId,
    },
    /// A client is attached.
    Active {
        /// Since when.
        since: Timestamp,
        /// That client.
        connection: ConnectionId,
    },
    /// No client; the desktop runs on.
    Disconnected {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: DetachReason,
        /// A client being attached again, which a Disconnect cancels.
        attach: Option<ConnectionId>,
    },
    /// The session's programs are being ended.
    LoggingOff {
        /// Since when.
        since: Timestamp,
        /// Who asked for it.
        #[serde(default)]
        cause: Cause,
    },
    /// It cannot be come back to.
    Lost {
        /// Since when.
        since: Timestamp,
        /// Why.
        #[serde(default)]
        reason: LostReason,
    },
    /// Kept in history only.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        reason: EndReason,
    },
}

/// The name of a state, for tables, filters and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateName {
    /// See [`State::Starting`].
    Starting,
    /// See [`State::Active`].
    Active,
    /// See [`State::Disconnected`].
    Disconnected,
    /// See [`State::LoggingOff`].
    LoggingOff,
    /// See [`State::Lost`].
    Lost,
    /// See [`State::Ended`].
    Ended,
}

impl StateName {
    /// All names, in the order of life.
    pub const ALL: [StateName; 6] = [
        StateName::Starting,
        StateName::Active,
        StateName::Disconnected,
        StateName::LoggingOff,
        StateName::Lost,
        StateName::Ended,
    ];

    /// As written in lists, columns and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Starting => "Starting",
            StateName::Active => "Active",
            StateName::Disconnected => "Disconnected",
            StateName::LoggingOff => "LoggingOff",
            StateName::Lost => "Lost",
            StateName::Ended => "Ended",
        }
    }
}

impl State {
    /// Its name.
    pub fn name(&self) -> StateName {
        match self {
            State::Starting { .. } => StateName::Starting,
            State::Active { .. } => StateName::Active,
            State::Disconnected { .. } => StateName::Disconnected,
            State::LoggingOff { .. } => StateName::LoggingOff,
            State::Lost { .. } => StateName::Lost,
            State::Ended { .. } => StateName::Ended,
        }
    }

    /// `ConnectState`, in the numbers of `WTS_CONNECTSTATE_CLASS`; `None` once ended, which is not listed.
    pub fn connect_state(&self) -> Option<u32> {
        match self {
            State::Active { .. } => Some(0),
            State::Disconnected { .. } => Some(4),
            State::LoggingOff { .. } => Some(7),
            State::Lost { .. } => Some(8),
            State::Starting { .. } => Some(9),
            State::Ended { .. } => None,
        }
    }

    /// Whether it holds its user's place in the collection, and its desktop.
    pub fn is_live(&self) -> bool {
        match self {
            State::Starting { .. }
            | State::Active { .. }
            | State::Disconnected { .. }
            | State::LoggingOff { .. } => true,
            State::Lost { .. } | State::Ended { .. } => false,
        }
    }

    /// Since when it has stood there.
    pub fn since(&self) -> Timestamp {
        match self {
            State::Starting { since, .. }
            | State::Active { since, .. }
            | State::Disconnected { since, .. }
            | State::LoggingOff { since, .. }
            | State::Lost { since, .. } => *since,
            State::Ended { at, .. } => *at,
        }
    }

    /// The connection that is attached or being attached.
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            State::Starting { attach, .. } => Some(*attach),
            State::Active { connection, .. } => Some(*connection),
            State::Disconnected { attach, .. } => *attach,
            State::LoggingOff { .. } | State::Lost { .. } | State::Ended { .. } => None,
        }
    }
}

/// Who asked for a session to be disconnected or logged off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody, by the method.
    #[default]
    Administrator,
    /// The collection's limits.
    Limit(Limit),
}

impl From<Cause> for DetachReason {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Administrator => DetachReason::Administrator,
            Cause::Limit(limit) => DetachReason::Limit(limit),
        }
    }
}

/// Why a client is no longer attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetachReason {
    /// The client closed, reset or fell silent.
    ClientGone,
    /// `Disconnect` was called.
    Administrator,
    /// The same user connected from elsewhere.
    TakenOver,
    /// The session is being logged off.
    Logoff,
    /// The desktop's RDP server closed, while the desktop runs on.
    DesktopClosed,
    /// The service is stopping, or was stopped and found the session without its client.
    Service,
    /// The session has reached a limit of its collection.
    Limit(Limit),
}

impl DetachReason {
    /// As written in lists and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            DetachReason::ClientGone => "client gone",
            DetachReason::Administrator => "disconnected by an administrator",
            DetachReason::TakenOver => "taken over by another connection",
            DetachReason::Logoff => "logged off",
            DetachReason::DesktopClosed => "closed by the desktop",
            DetachReason::Service => "service stopped",
            DetachReason::Limit(limit) => limit.as_str(),
        }
    }
}

/// Why a session cannot be come back to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostReason {
    /// The host's lease ran out: nobody knows whether the desktop runs.
    #[default]
    HostSilent,
    /// The host is back and the desktop runs, but its user has another session in the collection: kept for
    /// an administrator to end, or until the other session has ended.
    Superseded,
}

impl LostReason {
    /// As written in lists and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            LostReason::HostSilent => "its host does not answer",
            LostReason::Superseded => "its host is back; the user has another session in the collection",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "detail", rename_all = "snake_case")]
pub enum EndReason {
    /// The user logged off inside the desktop.
    LoggedOff,
    /// `Logoff` was called.
    Administrator,
    /// The desktop could not be started.
    StartFailed(String),
    /// The desktop failed.
    Failed(String),
    /// The desktop's host was started anew.
    HostRestarted,
    /// An administrator declared that it will never return.
    Forgotten,
    /// Its machine had closed the connection, and its user did not come back: it has most likely ended. Nobody knows.
    Presumed,
    /// It has reached a limit of its collection.
    Limit(Limit),
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndReason::LoggedOff => f.write_str("logged off by the user"),
            EndReason::Administrator => f.write_str("logged off by an administrator"),
            EndReason::StartFailed(why) => write!(f, "the desktop did not start: {why}"),
            EndReason::Failed(why) => write!(f, "the desktop failed: {why}"),
            EndReason::HostRestarted => f.write_str("the host was started anew"),
            EndReason::Forgotten => f.write_str("forgotten by an administrator"),
            EndReason::Presumed => {
                f.write_str("presumed to have ended: its machine closed the connection, and nobody came back")
            }
            EndReason::Limit(limit) => f.write_str(limit.as_str()),
        }
    }
}
