//! Updates of a collection: from a time on nobody stays in a desktop that was started before it.
//!
//! Desktops are made anew of their host's software at each logon, so a session that began after the start has the new
//! software, and is left alone. Those that began before are let run until a deadline; their users are told ahead of it.

use super::JobId;
use crate::document::Document;
use crate::{CollectionAlias, HostName, Session, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A session is in the store this soon after the time that it says it began at: nobody is overlooked by a look later
/// than that.
const SETTLED_AFTER: i64 = 10_000;

/// What is asked of an update besides its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchOrder {
    /// How long before the deadline users are told, in seconds; 0: not at all.
    pub warning: u32,
}

/// The one update of a collection that is scheduled, or was last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Its identifier.
    pub id: JobId,
    /// The collection, and so its key.
    pub collection: CollectionAlias,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub created: Timestamp,
    /// Sessions that began before are to end.
    pub start: Timestamp,
    /// When those that have not are logged off.
    pub deadline: Timestamp,
    /// How long before the deadline users are told, in seconds.
    pub warning: u32,
    /// When the users of a host were first told.
    pub warned: BTreeMap<String, Timestamp>,
    /// Where it stands.
    pub state: PatchState,
}

/// Where an update stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum PatchState {
    /// It waits for its start, or for sessions to end.
    Open,
    /// No session of before its start is left.
    Completed {
        /// Since when.
        at: Timestamp,
    },
    /// It was called off.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

/// The same for people and programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Standing {
    /// Before its start.
    Scheduled = 0,
    /// Sessions of before its start are left.
    Running = 1,
    /// See [`PatchState::Completed`].
    Completed = 2,
    /// See [`PatchState::Cancelled`].
    Cancelled = 3,
}

/// What an update asks of a host now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchDue {
    /// Nothing before this time; `None`: nothing at all.
    Nothing(Option<Timestamp>),
    /// Its users are to be told, which is to be written down first.
    Note,
    /// Users who were not told yet are to be told that they are logged off then.
    Warn(Timestamp),
    /// Sessions of before the start are to be logged off.
    LogOff,
}

impl Patch {
    /// What is due on a host now.
    pub fn due(&self, host: &HostName, now: Timestamp) -> PatchDue {
        match self.state {
            PatchState::Open => {}
            PatchState::Completed { .. } | PatchState::Cancelled { .. } => return PatchDue::Nothing(None),
        }
        // never longer than there is from the order to the deadline, or the warning would move the deadline
        let ahead =
            (i64::from(self.warning) * 1000).min(self.deadline.0.saturating_sub(self.created.0).max(0));
        let from = Timestamp(self.deadline.0.saturating_sub(ahead));
        if now < from {
            return PatchDue::Nothing(Some(if now < self.start { from.min(self.start) } else { from }));
        }
        let at = match self.warned.get(&key(host)) {
            _ if ahead == 0 => self.deadline,
            None => return PatchDue::Note,
            // who was told late, because the service did not run, has the same time all the same
            Some(told) => self.deadline.max(Timestamp(told.0.saturating_add(ahead))),
        };
        if now >= at { PatchDue::LogOff } else { PatchDue::Warn(at) }
    }

    /// Notes that the users of a host are told.
    pub fn warned_on(&mut self, host: &HostName, now: Timestamp) {
        self.warned.entry(key(host)).or_insert(now);
    }

    /// Whether a session is one that has to end.
    pub fn concerns(&self, session: &Session) -> bool {
        session.created < self.start
    }

    /// From when on a look at the sessions can tell that none is left.
    pub fn settles_at(&self) -> Timestamp {
        Timestamp(self.start.0.saturating_add(SETTLED_AFTER))
    }

    /// Where it stands.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.state {
            PatchState::Open if now < self.start => Standing::Scheduled,
            PatchState::Open => Standing::Running,
            PatchState::Completed { .. } => Standing::Completed,
            PatchState::Cancelled { .. } => Standing::Cancelled,
        }
    }

    /// Whether it waits for something.
    pub fn is_open(&self) -> bool {
        match self.state {
            PatchState::Open => true,
            PatchState::Completed { .. } | PatchState::Cancelled { .. } => false,
        }
    }
}

/// Names of hosts compare without case.
fn key(host: &HostName) -> String {
    host.as_str().to_ascii_lowercase()
}

impl Document for Patch {
    const KIND: &'static str = "patch";

    fn key(&self) -> String {
        self.collection.to_string()
    }

    fn collection(&self) -> Option<&CollectionAlias> {
        Some(&self.collection)
    }
}
