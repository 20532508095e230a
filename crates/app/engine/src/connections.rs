//! The connections of this node: who can be told to go, and when they have gone.

use openrdms_broker::ports::KillSwitch;
use openrdms_broker::ports::front::{ConnectionEnd, Told};
use openrdms_broker::session::DetachReason;
use openrdms_broker::{ConnectionId, SessionUid};
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::sync::watch;

/// All connections between admission and the end of both legs.
#[derive(Default)]
pub(crate) struct Connections {
    live: Mutex<HashMap<ConnectionId, Entry>>,
}

struct Entry {
    session: Option<SessionUid>,
    /// The desktop is on its screen.
    active: bool,
    kill: KillSwitch,
    gone: watch::Sender<Gone>,
}

/// How far a connection has gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gone {
    Not,
    /// The client's leg is closed by order, the desktop's is closing.
    Client(Told),
    Both(ConnectionEnd),
}

/// Lets one wait until a connection's legs are closed.
pub(crate) struct Leaving(watch::Receiver<Gone>);

impl Leaving {
    /// Resolves when both legs are closed. Cancel-safe.
    pub(crate) async fn gone(mut self) {
        // an error means that the entry was dropped, which is as gone as can be
        let _ = self.0.wait_for(|gone| matches!(gone, Gone::Both(_))).await;
    }

    /// Resolves when the client's leg is closed; how far telling it got, where it left by order. Cancel-safe.
    pub(crate) async fn client_gone(mut self) -> Option<Told> {
        match *self.0.wait_for(|gone| *gone != Gone::Not).await.ok()? {
            Gone::Client(told) | Gone::Both(ConnectionEnd::Ordered(told)) => Some(told),
            Gone::Not | Gone::Both(_) => None,
        }
    }
}

impl Connections {
    pub(crate) fn enter(&self, connection: ConnectionId, kill: KillSwitch) {
        let entry = Entry { session: None, active: false, kill, gone: watch::Sender::new(Gone::Not) };
        self.with(|live| live.insert(connection, entry));
    }

    pub(crate) fn bind(&self, connection: ConnectionId, session: SessionUid) {
        self.with(|live| {
            if let Some(entry) = live.get_mut(&connection) {
                entry.session = Some(session);
            }
        });
    }

    /// Says that the session's desktop is on the connection's screen.
    pub(crate) fn activated(&self, connection: ConnectionId) {
        self.with(|live| {
            if let Some(entry) = live.get_mut(&connection) {
                entry.active = true;
            }
        });
    }

    /// The connection that has the session's desktop on its screen and was not told to go.
    pub(crate) fn attached(&self, session: SessionUid) -> Option<ConnectionId> {
        let stays =
            |entry: &Entry| entry.session == Some(session) && entry.active && entry.kill.thrown().is_none();
        self.with(|live| live.iter().find(|(_, entry)| stays(entry)).map(|(id, _)| *id))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.with(|live| live.len())).unwrap_or(u32::MAX)
    }

    /// Whether a connection has not left yet.
    pub(crate) fn knows(&self, connection: ConnectionId) -> bool {
        self.with(|live| live.contains_key(&connection))
    }

    pub(crate) fn order(&self, connection: ConnectionId, reason: DetachReason) {
        self.with(|live| {
            if let Some(entry) = live.get(&connection) {
                entry.kill.throw(reason);
            }
        });
    }

    /// The connections of a session, other than `except`, that were told to go and have not gone.
    pub(crate) fn leaving(&self, session: SessionUid, except: Option<ConnectionId>) -> Vec<Leaving> {
        let leaves = |id: &ConnectionId, entry: &Entry| {
            entry.session == Some(session) && Some(*id) != except && entry.kill.thrown().is_some()
        };
        self.with(|live| {
            live.iter()
                .filter(|(id, entry)| leaves(id, entry))
                .map(|(_, entry)| Leaving(entry.gone.subscribe()))
                .collect()
        })
    }

    /// Says that the client has left by order. The connection has not: the desktop's leg is closing.
    pub(crate) fn dismissed(&self, connection: ConnectionId, told: Told) {
        self.with(|live| {
            if let Some(entry) = live.get(&connection) {
                entry.gone.send_replace(Gone::Client(told));
            }
        });
    }

    pub(crate) fn leave(&self, connection: ConnectionId, end: ConnectionEnd) {
        if let Some(entry) = self.with(|live| live.remove(&connection)) {
            entry.gone.send_replace(Gone::Both(end));
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<ConnectionId, Entry>) -> T) -> T {
        f(&mut self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
