//! What the relay needs of whoever knows the accounts.

use openrdms_broker::{Password, UserName};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Proves users.
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Checks a password that came in Client Info, where TLS alone protects the logon. `domain` and `user` are
    /// as the user typed them. Must be cancel-safe: the client's time may run out.
    async fn password(
        &self,
        domain: &str,
        user: &str,
        password: Zeroizing<String>,
        peer: IpAddr,
    ) -> Result<UserName, LogonFailure>;

    /// Begins network level authentication with one client. `public_key` is the SubjectPublicKey bit string of
    /// the certificate that the client saw.
    fn credssp(&self, public_key: &[u8], peer: IpAddr) -> Box<dyn Credssp>;
}

/// One client's CredSSP exchange (MS-CSSP 3.1.5), from our side.
#[async_trait::async_trait]
pub trait Credssp: Send {
    /// Takes one whole TSRequest.
    async fn step(&mut self, ts_request: &[u8]) -> Result<CredsspStep, CredsspFailure>;
}

/// What a TSRequest leads to.
pub enum CredsspStep {
    /// This TSRequest is to be sent, and another is awaited.
    Reply(Vec<u8>),
    /// The user is proved.
    Done {
        /// A last TSRequest to send.
        reply: Option<Vec<u8>>,
        /// Who was proved: never merely who the client claims to be.
        user: UserName,
        /// The password that the client has delegated, and by which the user was proved.
        password: Password,
    },
}

/// Why the exchange has failed. Not [`Debug`]-printed to the client.
#[derive(Debug)]
pub struct CredsspFailure {
    /// A TSRequest with an error code, for the client.
    pub reply: Option<Vec<u8>>,
    /// For the log; must not hold a secret.
    pub message: String,
}

/// Why a password was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogonFailure {
    /// No such account, wrong password, or the account is locked: the client is not told which.
    #[error("the credentials were not accepted")]
    Denied,
    /// Too many checks are under way.
    #[error("too many logons are being checked")]
    Busy,
    /// Whoever knows the accounts cannot be asked.
    #[error("accounts cannot be checked at the moment")]
    Unavailable,
}
