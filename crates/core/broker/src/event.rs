//! Operator events: what happened to users, numbered, so that logs can be searched and hooks written for them.
//! A number never changes its meaning and is never used again.

use crate::session::Cause;
use crate::{ClientFacts, Session, State, Timestamp, UserName};
use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "&'static str")]
pub enum EventKind {
    /// A session began: its desktop is being started.
    SessionStarted,
    /// A client is attached: the user sees their desktop.
    SessionConnected,
    /// The client is gone and the desktop runs on.
    SessionDisconnected,
    /// The session's programs are being ended.
    SessionLoggingOff,
    /// The session has ended.
    SessionEnded,
    /// The session's host does not answer.
    SessionLost,
    /// A proved user got no desktop.
    ConnectionRefused,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 7] = [
        EventKind::SessionStarted,
        EventKind::SessionConnected,
        EventKind::SessionDisconnected,
        EventKind::SessionLoggingOff,
        EventKind::SessionEnded,
        EventKind::SessionLost,
        EventKind::ConnectionRefused,
    ];

    /// Its number.
    pub fn id(self) -> u16 {
        match self {
            EventKind::SessionStarted => 1000,
            EventKind::SessionConnected => 1001,
            EventKind::SessionDisconnected => 1002,
            EventKind::SessionLoggingOff => 1003,
            EventKind::SessionEnded => 1004,
            EventKind::SessionLost => 1005,
            EventKind::ConnectionRefused => 1100,
        }
    }

    /// Its name, as hooks get it.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::SessionStarted => "session-started",
            EventKind::SessionConnected => "session-connected",
            EventKind::SessionDisconnected => "session-disconnected",
            EventKind::SessionLoggingOff => "session-logging-off",
            EventKind::SessionEnded => "session-ended",
            EventKind::SessionLost => "session-lost",
            EventKind::ConnectionRefused => "connection-refused",
        }
    }
}

impl From<EventKind> for &'static str {
    fn from(kind: EventKind) -> Self {
        kind.name()
    }
}

/// One thing that happened, with what an operator asks next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorEvent {
    /// The number, [`EventKind::id`].
    pub id: u16,
    /// What happened.
    pub event: EventKind,
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub user: UserName,
    /// The session's key, where there is a session.
    pub session: Option<String>,
    /// `SessionId`.
    pub session_id: Option<u32>,
    /// The session's host.
    pub host: Option<String>,
    /// The session's desktop.
    pub desktop: Option<String>,
    /// The session's collection.
    pub collection: Option<String>,
    /// The client's address.
    pub client: Option<String>,
    /// Why, where there is a why.
    pub reason: Option<String>,
}

impl OperatorEvent {
    /// What the step from `before` to `after` is to an operator; nothing where only details changed.
    pub fn of_step(before: &State, after: &Session, now: Timestamp) -> Option<Self> {
        if before.name() == after.state.name() {
            return None;
        }
        let (event, reason) = match &after.state {
            State::Starting { .. } => (EventKind::SessionStarted, None),
            State::Active { .. } => (EventKind::SessionConnected, None),
            State::Disconnected { reason, .. } => {
                (EventKind::SessionDisconnected, Some(reason.as_str().to_owned()))
            }
            State::LoggingOff { cause, .. } => {
                let reason = match cause {
                    Cause::Administrator => None,
                    Cause::Limit(limit) => Some(limit.as_str().to_owned()),
                };
                (EventKind::SessionLoggingOff, reason)
            }
            State::Lost { .. } => (EventKind::SessionLost, None),
            State::Ended { reason, .. } => (EventKind::SessionEnded, Some(reason.to_string())),
        };
        Some(Self { reason, ..Self::of_session(event, after, now) })
    }

    /// A session has begun.
    pub fn started(session: &Session, now: Timestamp) -> Self {
        Self::of_session(EventKind::SessionStarted, session, now)
    }

    /// A proved user got no desktop.
    pub fn refused(user: &UserName, client: &ClientFacts, reason: String, now: Timestamp) -> Self {
        let event = EventKind::ConnectionRefused;
        Self {
            id: event.id(),
            event,
            at: now,
            user: user.clone(),
            session: None,
            session_id: None,
            host: None,
            desktop: None,
            collection: None,
            client: Some(client.address.clone()),
            reason: Some(reason),
        }
    }

    fn of_session(event: EventKind, session: &Session, now: Timestamp) -> Self {
        Self {
            id: event.id(),
            event,
            at: now,
            user: session.user.clone(),
            session: Some(session.uid.to_string()),
            session_id: Some(session.session_id),
            host: Some(session.host.to_string()),
            desktop: Some(session.desktop.to_string()),
            collection: Some(session.collection.to_string()),
            client: session.client.as_ref().map(|c| c.address.clone()),
            reason: None,
        }
    }
}
