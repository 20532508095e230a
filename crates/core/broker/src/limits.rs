//! How long sessions of a collection may be idle, active or disconnected, and what is due when.
//!
//! [`due`] is a function of what is known now: whoever calls it again later, or after a change of the limits, gets what
//! is true then. Nobody is put out without the warning that the limits promise, however late it is when they are
//! looked at.

use crate::{Session, State, Timestamp};
use serde::{Deserialize, Serialize};

/// The limits of a collection, in seconds; 0 is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// How long a client may be attached without any input.
    pub idle: u32,
    /// How long a client may be attached without a break.
    pub active: u32,
    /// How long a session may be without a client; it is logged off after that.
    pub disconnected: u32,
    /// What the idle and the active limit do.
    pub action: LimitAction,
    /// How long before the idle or active limit the user is told on the screen, but never longer than half of the
    /// limit. 0: not at all.
    pub warning: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { idle: 0, active: 0, disconnected: 0, action: LimitAction::Disconnect, warning: 60 }
    }
}

/// What the idle and the active limit do to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitAction {
    /// Take the client away; the desktop runs on.
    Disconnect,
    /// End the session and its programs.
    Logoff,
}

impl LimitAction {
    /// As written in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitAction::Disconnect => "Disconnect",
            LimitAction::Logoff => "Logoff",
        }
    }
}

/// A change of limits: what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// New [`Limits::idle`].
    pub idle: Option<u32>,
    /// New [`Limits::active`].
    pub active: Option<u32>,
    /// New [`Limits::disconnected`].
    pub disconnected: Option<u32>,
    /// New [`Limits::action`].
    pub action: Option<LimitAction>,
    /// New [`Limits::warning`].
    pub warning: Option<u32>,
}

impl LimitsChange {
    /// The limits after the change.
    pub fn of(self, limits: Limits) -> Limits {
        Limits {
            idle: self.idle.unwrap_or(limits.idle),
            active: self.active.unwrap_or(limits.active),
            disconnected: self.disconnected.unwrap_or(limits.disconnected),
            action: self.action.unwrap_or(limits.action),
            warning: self.warning.unwrap_or(limits.warning),
        }
    }
}

/// A limit that a session has reached, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// See [`Limits::idle`].
    Idle,
    /// See [`Limits::active`].
    Active,
    /// See [`Limits::disconnected`].
    Disconnected,
}

impl Limit {
    /// As written in lists and logs, for what it has ended.
    pub fn as_str(self) -> &'static str {
        match self {
            Limit::Idle => "idle limit reached",
            Limit::Active => "active limit reached",
            Limit::Disconnected => "disconnected limit reached",
        }
    }
}

/// What the user was told: kept by whoever asks [`due`], for as long as it answers the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The limit that comes.
    pub limit: Limit,
    /// When the limit is reached.
    pub reached: Timestamp,
    /// When something will be done: then, or later where it was too late to warn in time.
    pub at: Timestamp,
    /// What will be done.
    pub action: LimitAction,
}

/// What a session's limits ask for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time; `None`: nothing at all, until the session or its limits change.
    Nothing(Option<Timestamp>),
    /// The user is to be told, once, and asked about again when it says so.
    Warn(Warning),
    /// This is to be done now.
    Act(Limit, LimitAction),
}

/// What is due for a session. `last_input` is the user's last key or pointer input, as far as it is known: without any,
/// idleness counts from the client's coming. `warned` is what the last call answered as [`Due::Warn`], if it did.
pub fn due(
    session: &Session,
    limits: &Limits,
    last_input: Option<Timestamp>,
    warned: Option<&Warning>,
    now: Timestamp,
) -> Due {
    match &session.state {
        State::Active { since, .. } => {
            let idle = reached(Limit::Idle, (*since).max(last_input.unwrap_or(*since)), limits.idle);
            let active = reached(Limit::Active, *since, limits.active);
            match idle.into_iter().chain(active).min_by_key(|next| next.at) {
                Some(next) => with_warning(next, limits, warned, now),
                None => Due::Nothing(None),
            }
        }
        // a client that is on its way in is the end of being disconnected
        State::Disconnected { since, attach: None, .. } => {
            match reached(Limit::Disconnected, *since, limits.disconnected) {
                Some(next) if next.at <= now => Due::Act(Limit::Disconnected, LimitAction::Logoff),
                Some(next) => Due::Nothing(Some(next.at)),
                None => Due::Nothing(None),
            }
        }
        State::Disconnected { attach: Some(_), .. }
        | State::Starting { .. }
        | State::LoggingOff { .. }
        | State::Lost { .. }
        | State::Ended { .. } => Due::Nothing(None),
    }
}

struct Reached {
    limit: Limit,
    seconds: u32,
    at: Timestamp,
}

fn reached(limit: Limit, from: Timestamp, seconds: u32) -> Option<Reached> {
    (seconds > 0).then(|| Reached { limit, seconds, at: after(from, i64::from(seconds) * 1000) })
}

fn after(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp(at.0.saturating_add(millis))
}

fn with_warning(next: Reached, limits: &Limits, warned: Option<&Warning>, now: Timestamp) -> Due {
    let ahead = (i64::from(limits.warning) * 1000).min(i64::from(next.seconds) * 500);
    let same =
        |told: &&Warning| (told.limit, told.reached, told.action) == (next.limit, next.at, limits.action);
    let from = after(next.at, -ahead);
    match warned.filter(same) {
        _ if now < from => Due::Nothing(Some(from)),
        _ if ahead == 0 => Due::Act(next.limit, limits.action),
        Some(told) if told.at <= now => Due::Act(next.limit, limits.action),
        Some(told) => Due::Warn(*told),
        None => Due::Warn(Warning {
            limit: next.limit,
            reached: next.at,
            at: next.at.max(after(now, ahead)),
            action: limits.action,
        }),
    }
}
