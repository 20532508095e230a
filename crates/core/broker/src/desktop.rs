//! Desktops, and how a running one is found again and reached.

use crate::{Address, CollectionAlias, DesktopName, HostName, Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One virtual desktop of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desktop {
    /// Its key (`VMName`).
    pub name: DesktopName,
    /// The collection that it belongs to.
    pub collection: CollectionAlias,
    /// The host that runs it.
    pub host: HostName,
    /// SHA-256 of the DER of the certificate that its RDP server must show: the relay's pin. Of a machine's desktop it is
    /// the one of when it came into the collection, and the machine's own counts.
    pub certificate_sha256: [u8; 32],
    /// Where it runs now, or ran last.
    pub handle: Option<DesktopHandle>,
    /// Its processes are frozen, or are about to be; of no meaning without a handle.
    #[serde(default)]
    pub paused: bool,
}

/// A desktop of a personal collection that is reserved for a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The desktop: it has one owner.
    pub desktop: DesktopName,
    /// Its collection, in which a user owns one desktop.
    pub collection: CollectionAlias,
    /// The owner.
    pub user: UserName,
    /// When it was assigned.
    pub since: Timestamp,
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
    /// Another machine, to which the network leads: only its certificate says that it is the right one.
    Tcp(Address),
}
