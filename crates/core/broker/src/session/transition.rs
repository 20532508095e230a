//! The transition function: total, pure, without a catch-all. Its table is printed to
//! `schema/session-states.md` by `tests/session_states.rs`.

use super::{Cause, DetachReason, EndReason, LostReason, State, StateName};
use crate::{ConnectionId, Timestamp};

/// What can happen to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its user connects: this connection is to be attached, whoever is attached now.
    Attach(ConnectionId),
    /// The desktop's Demand Active has arrived on this connection.
    Attached(ConnectionId),
    /// A connection is closed on both legs.
    Closed(ConnectionId, DetachReason),
    /// `Disconnect` was called, or a limit has been reached.
    Disconnect(Cause),
    /// `Logoff` was called, or a limit has been reached.
    Logoff(Cause),
    /// The host knows that the logon has ended, or that the desktop could not be started.
    LogonEnded(EndReason),
    /// The host's lease ran out.
    HostLost,
    /// The host is back and the desktop runs; this client never left, where the node only could not be heard.
    HostReturned(Option<ConnectionId>),
    /// The same, but the user has another live session in the collection by now.
    Superseded(Option<ConnectionId>),
    /// The node that held the connection was started anew: its connections are gone, the desktop runs.
    NodeRestarted,
    /// An administrator declares that a lost session will never return.
    Forget,
}

/// What is to be done once the new state is committed. Each is safe to do twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell this client why, and close both legs.
    Detach(ConnectionId, DetachReason),
    /// Ask the session's programs to end, kill them after the grace period, then report `LogonEnded`.
    EndLogon,
}

/// Why an event is not possible now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The operation makes no sense in this state.
    #[error("not possible while the session is {}", .0.as_str())]
    State(StateName),
    /// The session's host is lost; nobody can tell what it does.
    #[error("the session's host does not answer")]
    HostLost,
    /// The session has ended.
    #[error("the session has ended")]
    Ended,
    /// Another connection has taken this one's place, or the attach was cancelled.
    #[error("the connection is no longer wanted")]
    Superseded,
    /// A client that came back by itself may not: its cookie is void, and why.
    #[error("the client may not come back by itself: {}", .0.as_str())]
    Automatic(DetachReason),
}

type Outcome = Result<(State, Vec<Effect>), Denied>;

/// Moves a session: the next state and what to do, or why not. An unchanged state means: nothing to save.
///
/// # Errors
/// The reason why the event is not possible in this state.
pub fn apply(state: &State, event: &Event, now: Timestamp) -> Outcome {
    match event {
        Event::Attach(connection) => attach(state, *connection, now),
        Event::Attached(connection) => attached(state, *connection, now),
        Event::Closed(connection, reason) => Ok(closed(state, *connection, *reason, now)),
        Event::Disconnect(cause) => disconnect(state, *cause, now),
        Event::Logoff(cause) => logoff(state, *cause, now),
        Event::LogonEnded(reason) => Ok(logon_ended(state, reason, now)),
        Event::HostLost => Ok(host_lost(state, now)),
        Event::HostReturned(connection) => Ok(host_returned(state, *connection, now)),
        Event::Superseded(connection) => Ok(superseded(state, *connection)),
        Event::NodeRestarted => Ok(node_restarted(state, now)),
        Event::Forget => forget(state, now),
    }
}

fn unchanged(state: &State) -> (State, Vec<Effect>) {
    (state.clone(), Vec::new())
}

fn attach(state: &State, new: ConnectionId, now: Timestamp) -> Outcome {
    match state {
        State::Starting { since, attach } => {
            Ok((State::Starting { since: *since, attach: new }, replaced(Some(*attach), new)))
        }
        State::Active { connection, .. } => Ok((
            State::Disconnected { since: now, reason: DetachReason::TakenOver, attach: Some(new) },
            replaced(Some(*connection), new),
        )),
        State::Disconnected { since, reason, attach } => Ok((
            State::Disconnected { since: *since, reason: *reason, attach: Some(new) },
            replaced(*attach, new),
        )),
        State::LoggingOff { .. } => Err(Denied::State(StateName::LoggingOff)),
        State::Lost { .. } => Err(Denied::HostLost),
        State::Ended { .. } => Err(Denied::Ended),
    }
}

/// The one that was there is told that it was taken over, unless it is the same one asking again.
fn replaced(old: Option<ConnectionId>, new: ConnectionId) -> Vec<Effect> {
    old.filter(|old| *old != new)
        .map(|old| Effect::Detach(old, DetachReason::TakenOver))
        .into_iter()
        .collect()
}

fn attached(state: &State, connection: ConnectionId, now: Timestamp) -> Outcome {
    match state {
        State::Starting { attach, .. } | State::Disconnected { attach: Some(attach), .. }
            if *attach == connection =>
        {
            Ok((State::Active { since: now, connection }, Vec::new()))
        }
        State::Active { connection: attached, .. } if *attached == connection => Ok(unchanged(state)),
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. }
        | State::Lost { .. }
        | State::Ended { .. } => Err(Denied::Superseded),
    }
}

fn closed(state: &State, gone: ConnectionId, reason: DetachReason, now: Timestamp) -> (State, Vec<Effect>) {
    match state {
        // The client gave up before it saw its desktop: the desktop goes on starting, for its return.
        State::Starting { attach, .. } if *attach == gone => {
            (State::Disconnected { since: now, reason, attach: None }, Vec::new())
        }
        State::Active { connection, .. } if *connection == gone => {
            (State::Disconnected { since: now, reason, attach: None }, Vec::new())
        }
        State::Disconnected { since, reason: first, attach: Some(attach) } if *attach == gone => {
            (State::Disconnected { since: *since, reason: *first, attach: None }, Vec::new())
        }
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. }
        | State::Lost { .. }
        | State::Ended { .. } => unchanged(state),
    }
}

fn disconnect(state: &State, cause: Cause, now: Timestamp) -> Outcome {
    let reason = DetachReason::from(cause);
    match state {
        State::Starting { .. } => Err(Denied::State(StateName::Starting)),
        State::Active { connection, .. } => Ok((
            State::Disconnected { since: now, reason, attach: None },
            vec![Effect::Detach(*connection, reason)],
        )),
        State::Disconnected { since, reason: first, attach: Some(attach) } => Ok((
            State::Disconnected { since: *since, reason: *first, attach: None },
            vec![Effect::Detach(*attach, reason)],
        )),
        State::Disconnected { attach: None, .. } => Ok(unchanged(state)),
        State::LoggingOff { .. } => Err(Denied::State(StateName::LoggingOff)),
        State::Lost { .. } => Err(Denied::HostLost),
        State::Ended { .. } => Err(Denied::Ended),
    }
}

fn logoff(state: &State, cause: Cause, now: Timestamp) -> Outcome {
    let told = match cause {
        Cause::Administrator => DetachReason::Logoff,
        Cause::Limit(limit) => DetachReason::Limit(limit),
    };
    let mut effects: Vec<Effect> = state.connection().map(|c| Effect::Detach(c, told)).into_iter().collect();
    match state {
        State::Starting { .. } | State::Active { .. } | State::Disconnected { .. } => {
            effects.push(Effect::EndLogon);
            Ok((State::LoggingOff { since: now, cause }, effects))
        }
        // what was kept has no place to be LoggingOff in: it stays Lost until its programs have ended
        State::LoggingOff { .. } | State::Lost { reason: LostReason::Superseded, .. } => {
            Ok((state.clone(), vec![Effect::EndLogon]))
        }
        State::Lost { reason: LostReason::HostSilent, .. } => Err(Denied::HostLost),
        State::Ended { .. } => Err(Denied::Ended),
    }
}

fn logon_ended(state: &State, reason: &EndReason, now: Timestamp) -> (State, Vec<Effect>) {
    match state {
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. }
        | State::Lost { .. } => {
            let told = match reason {
                EndReason::LoggedOff
                | EndReason::Administrator
                | EndReason::Forgotten
                | EndReason::Presumed => DetachReason::Logoff,
                EndReason::Limit(limit) => DetachReason::Limit(*limit),
                EndReason::StartFailed(_) | EndReason::Failed(_) | EndReason::HostRestarted => {
                    DetachReason::DesktopClosed
                }
            };
            let effects = state.connection().map(|c| Effect::Detach(c, told)).into_iter().collect();
            // the host knows that we asked for it, and the state who did
            let reason = match (state, reason) {
                (State::LoggingOff { cause: Cause::Limit(limit), .. }, EndReason::Administrator) => {
                    EndReason::Limit(*limit)
                }
                (_, reason) => reason.clone(),
            };
            (State::Ended { at: now, reason }, effects)
        }
        State::Ended { .. } => unchanged(state),
    }
}

fn host_lost(state: &State, now: Timestamp) -> (State, Vec<Effect>) {
    match state {
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. } => (
            State::Lost { since: now, reason: LostReason::HostSilent },
            state.connection().map(|c| Effect::Detach(c, DetachReason::Service)).into_iter().collect(),
        ),
        // it was known to run, and is not any more
        State::Lost { since, reason: LostReason::Superseded } => {
            (State::Lost { since: *since, reason: LostReason::HostSilent }, Vec::new())
        }
        State::Lost { reason: LostReason::HostSilent, .. } | State::Ended { .. } => unchanged(state),
    }
}

fn host_returned(state: &State, attached: Option<ConnectionId>, now: Timestamp) -> (State, Vec<Effect>) {
    match state {
        State::Lost { .. } => {
            let next = match attached {
                Some(connection) => State::Active { since: now, connection },
                None => State::Disconnected { since: now, reason: DetachReason::Service, attach: None },
            };
            (next, Vec::new())
        }
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. }
        | State::Ended { .. } => unchanged(state),
    }
}

/// Where the user is now is the other session: a client that never left this one is told so.
fn superseded(state: &State, attached: Option<ConnectionId>) -> (State, Vec<Effect>) {
    match state {
        State::Lost { since, .. } => (
            State::Lost { since: *since, reason: LostReason::Superseded },
            attached.map(|c| Effect::Detach(c, DetachReason::TakenOver)).into_iter().collect(),
        ),
        State::Starting { .. }
        | State::Active { .. }
        | State::Disconnected { .. }
        | State::LoggingOff { .. }
        | State::Ended { .. } => unchanged(state),
    }
}

fn node_restarted(state: &State, now: Timestamp) -> (State, Vec<Effect>) {
    match state {
        State::Starting { .. } | State::Active { .. } => {
            (State::Disconnected { since: now, reason: DetachReason::Service, attach: None }, Vec::new())
        }
        State::Disconnected { since, reason, attach: Some(_) } => {
            (State::Disconnected { since: *since, reason: *reason, attach: None }, Vec::new())
        }
        State::LoggingOff { .. } => (state.clone(), vec![Effect::EndLogon]),
        State::Disconnected { attach: None, .. } | State::Lost { .. } | State::Ended { .. } => {
            unchanged(state)
        }
    }
}

fn forget(state: &State, now: Timestamp) -> Outcome {
    match state {
        State::Lost { reason: LostReason::HostSilent, .. } => {
            Ok((State::Ended { at: now, reason: EndReason::Forgotten }, Vec::new()))
        }
        // its host is back: what runs there is ended, and then so is the session
        State::Lost { reason: LostReason::Superseded, .. } => Ok((state.clone(), vec![Effect::EndLogon])),
        State::Starting { .. } => Err(Denied::State(StateName::Starting)),
        State::Active { .. } => Err(Denied::State(StateName::Active)),
        State::Disconnected { .. } => Err(Denied::State(StateName::Disconnected)),
        State::LoggingOff { .. } => Err(Denied::State(StateName::LoggingOff)),
        State::Ended { .. } => Err(Denied::Ended),
    }
}
