//! What a deployment knows of a host: who serves it, until when that is certain, and whether it takes new
//! sessions. Times are of the nodes' clocks, which a farm has to keep within a fraction of a lease.

use crate::{HostName, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

/// A node's word that it serves a host: nobody else does before `until`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The host.
    pub host: HostName,
    /// Its kind, such as `local`.
    pub kind: String,
    /// The host's current boot.
    pub boot_id: String,
    /// The node that serves it.
    pub node: NodeId,
    /// The version of OpenRDMS that the node runs.
    pub version: String,
    /// When the word ends unless it is given again; in the past once it was taken back.
    pub until: Timestamp,
}

/// Whether a host takes new sessions, or a node begins any. Those that are there stay either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intake {
    /// New sessions begin.
    Open,
    /// No new ones: users of sessions that are there still come back to them.
    Drained,
}

/// A host that some node serves, or once served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHost {
    /// The last word about it.
    pub lease: Lease,
    /// Whether it takes new sessions.
    pub intake: Intake,
}

impl KnownHost {
    /// Whether some node vouches for the host now.
    pub fn is_up(&self, now: Timestamp) -> bool {
        self.lease.until > now
    }
}

/// A node that serves a host, or once served one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNode {
    /// Its last word.
    pub lease: Lease,
    /// Whether it begins new sessions for clients that connect to it, on whatever host.
    pub intake: Intake,
}

impl KnownNode {
    /// Whether it was heard lately enough.
    pub fn is_up(&self, now: Timestamp) -> bool {
        self.lease.until > now
    }
}
