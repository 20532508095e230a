//! The log of what happened to sessions, in the order in which it was committed. Whoever wants to be told reads
//! it from a position of their own: nobody is kept waiting for, and nobody misses a change without hearing so.

use crate::{Session, State, Timestamp};

/// A place in the log. Positions only grow, through every restart, and are never given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One committed change of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place.
    pub position: Position,
    /// When it was committed.
    pub at: Timestamp,
    /// The session before; `None` where it began.
    pub before: Option<Session>,
    /// The session after.
    pub after: Session,
}

/// What a change is to whoever lists sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind<'a> {
    /// The session came into the list.
    Begun(&'a Session),
    /// It is still in the list.
    Changed {
        /// What it was.
        before: &'a Session,
        /// What it is.
        after: &'a Session,
    },
    /// It left the list: what it was, and as it is kept in history.
    Ended {
        /// What it was.
        before: &'a Session,
        /// How it ended.
        after: &'a Session,
    },
    /// It was in no list, before or after.
    Unlisted,
}

/// How far the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Changes up to this one are forgotten.
    pub forgotten: Position,
    /// The last change.
    pub last: Position,
}

/// Part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The changes that were asked for, in order.
    pub rows: Vec<Change>,
    /// Where to go on: what was asked for up to here is in `rows`.
    pub read_to: Position,
    /// How far the log went.
    pub span: Span,
}

impl Change {
    /// What it is to whoever lists sessions. Ended sessions are in no list.
    pub fn kind(&self) -> ChangeKind<'_> {
        let listed = |session: &Session| !matches!(session.state, State::Ended { .. });
        match &self.before {
            Some(before) if listed(before) && listed(&self.after) => {
                ChangeKind::Changed { before, after: &self.after }
            }
            Some(before) if listed(before) => ChangeKind::Ended { before, after: &self.after },
            _ if listed(&self.after) => ChangeKind::Begun(&self.after),
            _ => ChangeKind::Unlisted,
        }
    }
}

impl Span {
    /// Whether everything after a position is still there. A position that the log has not come to yet is of some
    /// other log.
    pub fn reaches(&self, after: Position) -> bool {
        (self.forgotten..=self.last).contains(&after)
    }
}
