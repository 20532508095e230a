//! Configuration: one TOML file, every key with a default, every key overridable as
//! `OPENRDMS_SECTION_KEY`. Unknown keys are refused, and all mistakes are reported together.

mod keys;
mod read;
mod show;
#[cfg(test)]
mod tests;

pub(crate) use read::load;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) deployment_name: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) host_name: String,
    pub(crate) rdp: Rdp,
    pub(crate) management: Management,
    pub(crate) accounts: Accounts,
    pub(crate) local: Local,
    pub(crate) events: Events,
    pub(crate) changes: Changes,
    pub(crate) log: Log,
}

/// The door for RDP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rdp {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) nla: bool,
    pub(crate) tls: bool,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) private_key: Option<PathBuf>,
    pub(crate) max_handshakes: usize,
}

/// The doors for management clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Management {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) https: Option<SocketAddr>,
    pub(crate) socket: PathBuf,
    /// As they stand in the file.
    pub(crate) push_to: Vec<String>,
}

/// Local accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accounts {
    pub(crate) keep_nt_hash: bool,
    pub(crate) password_workers: usize,
}

/// Desktops on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    pub(crate) session_command: Vec<String>,
    pub(crate) outbound_network: bool,
    pub(crate) uid_first: u32,
    pub(crate) uid_count: u32,
    pub(crate) max_starting: usize,
    pub(crate) start_timeout: Duration,
    pub(crate) logoff_grace: Duration,
}

/// Whom operator events are told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Events {
    pub(crate) hook: Vec<String>,
    pub(crate) hook_timeout: Duration,
}

/// How long the store remembers what happened to sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) keep: Duration,
    pub(crate) keep_most: u64,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) json: bool,
    pub(crate) level: String,
}
