//! Configuration: one TOML file, every key with a default, every key overridable as `OPENRDMS_SECTION_KEY`. Unknown
//! keys are refused, and all mistakes are reported together. What a key means and which values it takes stands in
//! `keys.rs`, of which `schema/config.md` is made.

mod keys;
mod read;
mod show;
#[cfg(test)]
mod tests;

pub use read::{ConfigError, load, parse};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The domain of local accounts.
    pub deployment_name: String,
    /// Absolute; where everything is kept.
    pub data_dir: PathBuf,
    /// Of this host, in lists.
    pub host_name: String,
    /// The door for RDP clients.
    pub rdp: Rdp,
    /// The doors for management clients.
    pub management: Management,
    /// Local accounts.
    pub accounts: Accounts,
    /// Desktops on this machine.
    pub local: Local,
    /// Machines that speak RDP already.
    pub machines: Machines,
    /// Whom operator events are told to.
    pub events: Events,
    /// How long is remembered what happened to sessions.
    pub changes: Changes,
    /// The log.
    pub log: Log,
}

/// The door for RDP clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rdp {
    /// At least one.
    pub listen: Vec<SocketAddr>,
    /// Users may log on by CredSSP.
    pub nla: bool,
    /// Users may log on by a password inside TLS.
    pub tls: bool,
    /// PEM file with the chain; none: one is made.
    pub certificate: Option<PathBuf>,
    /// PEM file with its key; there where the certificate is.
    pub private_key: Option<PathBuf>,
    /// Connections on their way to a logon.
    pub max_handshakes: usize,
}

/// The doors for management clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Management {
    /// A loopback address.
    pub http: Option<SocketAddr>,
    /// Any address.
    pub https: Option<SocketAddr>,
    /// The Unix socket for this machine.
    pub socket: PathBuf,
    /// As they stand in the file.
    pub push_to: Vec<String>,
}

/// Local accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts {
    /// Without it nobody can log on by NLA.
    pub keep_nt_hash: bool,
    /// Passwords that are checked at once.
    pub password_workers: usize,
}

/// Desktops on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Program and arguments; none: the usual desktop.
    pub session_command: Vec<String>,
    /// Desktops reach the network, and nobody reaches them.
    pub outbound_network: bool,
    /// The first uid of desktops.
    pub uid_first: u32,
    /// How many uids there are.
    pub uid_count: u32,
    /// Desktops that may be starting at once.
    pub max_starting: usize,
    /// How long a desktop may take to start.
    pub start_timeout: Duration,
    /// How long programs may take to end.
    pub logoff_grace: Duration,
}

/// Machines that speak RDP already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machines {
    /// How often each is asked whether it answers.
    pub ask_every: Duration,
    /// How long a session is kept that its machine has closed.
    pub closed_kept: Duration,
}

/// Whom operator events are told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Program and arguments; none: nobody.
    pub hook: Vec<String>,
    /// How long it may take for an event.
    pub hook_timeout: Duration,
}

/// How long the store remembers what happened to sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// No change is kept longer.
    pub keep: Duration,
    /// No more changes are kept.
    pub keep_most: u64,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// For machines, not for people.
    pub json: bool,
    /// A tracing filter.
    pub level: String,
}
