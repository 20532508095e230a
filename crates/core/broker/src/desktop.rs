//! Collections, desktops, and how a running desktop is found again and reached.

use crate::limits::LimitsChange;
use crate::{CollectionAlias, DesktopName, HostName, Limits, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A set of desktops offered under one alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// Its key.
    pub alias: CollectionAlias,
    /// What people call it.
    pub display_name: String,
    /// How many desktops it holds.
    pub size: u32,
    /// Who may log on; `None`: every account.
    pub users: Option<Vec<UserName>>,
    /// How long its sessions may be idle, active or disconnected.
    #[serde(default)]
    pub limits: Limits,
    /// When it was made.
    pub created: Timestamp,
}

/// A change of a collection: what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionChange {
    /// New [`Collection::display_name`].
    pub display_name: Option<String>,
    /// New [`Collection::limits`].
    pub limits: LimitsChange,
}

impl CollectionChange {
    /// The collection after the change.
    pub fn of(self, collection: Collection) -> Collection {
        let Self { display_name, limits } = self;
        Collection {
            display_name: display_name.unwrap_or(collection.display_name),
            limits: limits.of(collection.limits),
            ..collection
        }
    }
}

impl From<LimitsChange> for CollectionChange {
    fn from(limits: LimitsChange) -> Self {
        Self { display_name: None, limits }
    }
}

/// One virtual desktop of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desktop {
    /// Its key (`VMName`).
    pub name: DesktopName,
    /// The collection that it belongs to.
    pub collection: CollectionAlias,
    /// The host that runs it.
    pub host: HostName,
    /// SHA-256 of the DER of the certificate that its RDP server must show: the relay's pin.
    pub certificate_sha256: [u8; 32],
    /// Where it runs now, or ran last.
    pub handle: Option<DesktopHandle>,
}

/// Enough to find a running desktop again after this process has been restarted, and never to mistake
/// another process for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesktopHandle {
    /// Host process id of the process whose end is the end of the desktop.
    pub pid: i32,
    /// That process's start time in clock ticks after boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
    /// The boot in which it was started (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Where its RDP server listens.
    pub endpoint: Endpoint,
}

/// Where a desktop's RDP server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// A Unix socket in a directory that the desktop's user can write: opened without following links,
    /// and only if a process of `uid` answers.
    Unix {
        /// The socket.
        path: PathBuf,
        /// The uid that must own the answering process.
        uid: u32,
    },
}
