//! The Host port: a machine that runs desktops.

use crate::{
    CollectionAlias, DesktopHandle, DesktopName, Endpoint, HostName, Machine, MachineLogon, UserName,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Why a host could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// Too much is going on already; the same call may succeed later.
    #[error("the host has no room: {0}")]
    Busy(String),
    /// The desktop is not running.
    #[error("the desktop is not running")]
    NotRunning,
    /// This kind of host cannot do it at all.
    #[error("this kind of host cannot {0}")]
    NotSupported(&'static str),
    /// What was asked for is not acceptable.
    #[error("{0}")]
    Invalid(String),
    /// It took longer than allowed.
    #[error("the host did not {what} within {limit:?}")]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
    /// Nobody answers where it should be.
    #[error("{0}")]
    Unreachable(String),
    /// It was tried and failed.
    #[error("{0}")]
    Failed(String),
}

/// A desktop that is named, admitted and has its certificate, and waits for its first logon.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// SHA-256 of the DER of the desktop's certificate.
    pub certificate_sha256: [u8; 32],
}

/// What starting a desktop takes.
#[derive(Clone, Debug)]
pub struct StartDesktop {
    /// The desktop.
    pub desktop: DesktopName,
    /// Its collection: a home belongs to a user and a collection.
    pub collection: CollectionAlias,
    /// The user who is logging on.
    pub user: UserName,
    /// The unprivileged uid (and gid) that everything in the desktop runs as.
    pub uid: u32,
    /// The size the first client asked for, in pixels.
    pub size: (u16, u16),
    /// What becomes of what the user writes into the home.
    pub home: Home,
}

/// The home that a logon begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Home {
    /// The user's own in this collection: what is written there is there at the next logon, in whichever desktop.
    #[default]
    Kept,
    /// An empty one: what is written there is thrown away when the logon has ended, at the latest before the next
    /// start of the desktop. The kept home of the same user is not touched.
    Fresh,
}

/// How a logon ended, as the host knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogonEnd {
    /// The session command ended: the user logged off.
    LoggedOff,
    /// It was logged off by `Host::logoff`.
    Asked,
    /// A part of the desktop failed; the text is for operators.
    Failed(String),
    /// The desktop is gone and left no word.
    Vanished,
}

/// Desktops that run whether or not somebody is logged on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where their RDP server is reached.
    pub endpoint: Endpoint,
    /// SHA-256 of the DER of the certificate that it must show.
    pub certificate_sha256: [u8; 32],
    /// What it is told of who connects.
    pub logon: MachineLogon,
}

/// A machine that runs desktops. All calls are safe to repeat; dropping a future cancels the waiting,
/// never half of the work.
#[async_trait::async_trait]
pub trait Host: Send + Sync + 'static {
    /// The host's name (`VMHostName`).
    fn name(&self) -> &HostName;

    /// What kind of host it is, in one lower-case word.
    fn kind(&self) -> &'static str;

    /// The current boot of that machine.
    fn boot_id(&self) -> &str;

    /// Whether the host can be vouched for now, which is asked each time before its lease is given anew. Nobody is asked
    /// where this process runs on that very machine.
    async fn answers(&self) -> Result<(), HostError> {
        Ok(())
    }

    /// Says that its desktops run whether or not somebody is logged on. Such a desktop is never started and has no
    /// handle, its system is somebody else's, and this host does not know when a logon has ended.
    fn standing(&self) -> Option<Standing> {
        None
    }

    /// Names a desktop and makes its certificate; keeps what is there already.
    async fn prepare(&self, desktop: &DesktopName) -> Result<Prepared, HostError>;

    /// The desktops that it has files of.
    async fn prepared(&self) -> Result<Vec<DesktopName>, HostError> {
        Ok(Vec::new())
    }

    /// Starts a desktop for a user. Returns when its RDP server accepts connections. If it is running
    /// already for the same uid, returns that one's handle.
    async fn start(&self, start: StartDesktop) -> Result<DesktopHandle, HostError>;

    /// Resolves when the desktop of this handle is no longer running; at once if it is not. The handle
    /// may be of an earlier process of ours: it is adopted.
    async fn ended(&self, desktop: &DesktopName, handle: &DesktopHandle) -> LogonEnd;

    /// The handle of a desktop that is running for this user: for a start whose answer nobody wrote down, because
    /// the service was killed meanwhile.
    async fn found(&self, _desktop: &DesktopName, _user: &UserName) -> Option<DesktopHandle> {
        None
    }

    /// Whether the desktop of this handle is running.
    async fn running(&self, handle: &DesktopHandle) -> bool;

    /// Asks the session's programs to end, kills them after `grace`, and returns when all have ended.
    /// A desktop that is not running counts as ended.
    async fn logoff(
        &self,
        desktop: &DesktopName,
        handle: &DesktopHandle,
        grace: Duration,
    ) -> Result<(), HostError>;

    /// Shows a message on the desktop's screen; returns when the window is mapped and drawn.
    async fn message(
        &self,
        desktop: &DesktopName,
        handle: &DesktopHandle,
        title: &str,
        text: &str,
    ) -> Result<(), HostError>;

    /// Freezes a running desktop: returns when no process of it runs any more. It stays so until [`Host::resume`] or
    /// [`Host::logoff`], also when the service is restarted. A frozen one stays as it is. After an error nothing is
    /// frozen, but for [`HostError::TimedOut`], after which nobody knows.
    async fn pause(&self, _desktop: &DesktopName, _handle: &DesktopHandle) -> Result<(), HostError> {
        Err(HostError::NotSupported("pause a desktop"))
    }

    /// Lets a frozen desktop run on. One that runs is no error.
    async fn resume(&self, _desktop: &DesktopName, _handle: &DesktopHandle) -> Result<(), HostError> {
        Err(HostError::NotSupported("pause a desktop"))
    }

    /// Forgets a desktop that is not running. Kept homes stay.
    async fn remove(&self, desktop: &DesktopName) -> Result<(), HostError>;
}

/// Makes hosts of machines.
#[async_trait::async_trait]
pub trait Machines: Send + Sync + 'static {
    /// The host that a machine is.
    fn host(&self, machine: &Machine) -> Arc<dyn Host>;

    /// Asks whoever answers at an address for its certificate: SHA-256 of its DER. It has proved to have the key, and it
    /// can be relayed to.
    async fn certificate_at(&self, address: &crate::Address) -> Result<[u8; 32], HostError>;
}
