//! Local accounts.

use crate::{Timestamp, UserName};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

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

impl Credentials {
    /// Another number for another password, and for the same one set anew. It is for comparing within a process: it
    /// proves nothing, and is neither stored nor shown.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.password_hash.hash(&mut hasher);
        hasher.finish()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_that_of_the_password_and_of_nothing_else() {
        let of = |hash: &str, sealed: Option<Vec<u8>>| {
            Credentials { password_hash: hash.to_owned(), sealed_nt_hash: sealed }.mark()
        };
        assert_eq!(
            of("$argon2id$a", None),
            of("$argon2id$a", Some(vec![1])),
            "sealed anew under another key"
        );
        assert_ne!(of("$argon2id$a", None), of("$argon2id$b", None));
    }
}
