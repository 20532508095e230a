//! What an operator can set.

use std::time::Duration;

/// Settings of a relay.
#[derive(Clone, Debug, Default)]
pub struct RelayConfig {
    /// How users may prove who they are.
    pub security: SecurityPolicy,
    /// Times and counts.
    pub limits: Limits,
}

/// Which security protocols are offered to clients. RDP's own encryption never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// Network level authentication: the password never leaves the client in the clear. Preferred.
    pub nla: bool,
    /// TLS with the password in Client Info.
    pub tls: bool,
}

/// Times and counts. A client that exceeds one is closed.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the connection to the end of the TLS handshake.
    pub negotiate: Duration,
    /// From the connection until the user is proved. Clients may show a certificate warning meanwhile.
    pub authenticate: Duration,
    /// From Client Info until the desktop is bound, the 4.5 s of the broker included. Many clients give up after 9 s.
    pub bind: Duration,
    /// From the binding until the desktop is active. A desktop that takes longer is given up: its session would
    /// be starting for ever.
    pub activate: Duration,
    /// To tell a client why it is being closed.
    pub tell: Duration,
    /// For a client to close its side after it has been told.
    pub drain: Duration,
    /// Connections of users not yet proved; more are closed at once.
    pub unauthenticated: usize,
    /// As many of these may come from one address (of IPv6, one /64); more are closed at once. Many users may share
    /// an address, but one address must not keep everybody else out.
    pub unauthenticated_per_address: usize,
    /// Connections altogether; more are closed at once.
    pub connections: usize,
}

impl Default for SecurityPolicy {
    fn default() -> Self {
        Self { nla: true, tls: true }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            negotiate: Duration::from_secs(10),
            authenticate: Duration::from_secs(60),
            bind: Duration::from_millis(8500),
            activate: Duration::from_secs(30),
            tell: Duration::from_secs(1),
            drain: Duration::from_secs(2),
            unauthenticated: 256,
            unauthenticated_per_address: 64,
            connections: 10_000,
        }
    }
}
