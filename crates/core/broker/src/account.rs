//! Local accounts.

use crate::{Timestamp, UserName};
use serde::{Deserialize, Serialize};

/// What an account may do beyond its own sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Own sessions only.
    User,
    /// Everything.
    Admin,
}

/// What proves an account. Neither field is ever logged or shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The password's argon2id hash, as a PHC string.
    pub password_hash: String,
    /// The NT hash sealed under the node key, for NTLM; `None` where policy forbids to keep it.
    pub sealed_nt_hash: Option<Vec<u8>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// What changes of an account. One thing at a time, so that two changes at once do not undo each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountChange {
    /// What it may do.
    Role(Role),
    /// What proves it.
    Credentials(Credentials),
}

/// A local account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Who it is; the domain is the deployment's name.
    pub user: UserName,
    /// What it may do.
    pub role: Role,
    /// What proves it.
    pub credentials: Credentials,
    /// The unprivileged uid that runs this user's local desktops; given once by the store, never reused.
    pub uid: u32,
    /// When the account was made.
    pub created: Timestamp,
}
