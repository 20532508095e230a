//! Why the engine did not do it.

use openrdms_broker::ports::{HostError, StoreError};
use openrdms_broker::session::transition::Denied;
use openrdms_broker::{CollectionAlias, HostName};

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No such session, collection, desktop or account.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The transition function says no.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The session is not the one the caller meant; nothing was done.
    #[error("the session is {0}")]
    NotAsExpected(String),
    /// What was asked for is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host did not do it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Another node serves this host, so only it can do that.
    #[error("host {0} is served by another node")]
    OtherNode(HostName),
    /// It took too long; what was begun goes on.
    #[error("{0} took too long")]
    TimedOut(&'static str),
    /// Desktops of this collection are anybody's.
    #[error("collection {0} is pooled: its desktops have no owners")]
    NotPersonal(CollectionAlias),
    /// There is nobody to start the desktop for.
    #[error("the desktop is nobody's: it starts when a user connects")]
    NobodysDesktop,
    /// What was asked for needs a desktop that runs.
    #[error("the desktop is paused: turn it on first")]
    Paused,
    /// The job has nothing left to cancel.
    #[error("the job has ended already")]
    JobEnded,
    /// There are as many as there may be.
    #[error("there are too many {0}")]
    TooMany(&'static str),
    /// The session ended while something else was asked of it.
    #[error("the session ended meanwhile")]
    EndedMeanwhile,
}
