//! Why the engine did not do it.

use openrdms_broker::HostName;
use openrdms_broker::ports::{HostError, StoreError};
use openrdms_broker::session::transition::Denied;

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
    /// The session ended while something else was asked of it.
    #[error("the session ended meanwhile")]
    EndedMeanwhile,
}
