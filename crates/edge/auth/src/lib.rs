//! Local accounts: how a password is kept, and how an RDP client proves that it knows it.
//!
//! - [`passwords`]: argon2id hashes, checked in a bounded pool.
//! - [`node_key`]: the key under which NT hashes are sealed at rest.
//! - [`local`]: the accounts of the store, for both.
//! - [`recent`]: passwords that were proved a moment ago.
//! - [`credssp`]: Network Level Authentication, the server's side, for one connection.
//!
//! This crate must never log, print or return a password or a hash of one, and must never tell a caller
//! whether an account exists.

pub mod credssp;
pub mod local;
pub mod node_key;
pub mod nt_hash;
pub mod passwords;
pub mod realm;
pub mod recent;

pub use credssp::{Acceptor, AccountLookup, Failure, FailureKind, LookupError, Step, request_length};
pub use local::{CheckError, LocalAccounts};
pub use node_key::{NodeKey, NodeKeyError};
pub use nt_hash::NtHash;
pub use passwords::{KeepNtHash, PasswordChecker, PasswordError};
pub use realm::Realm;
pub use recent::{NoRandomness, RecentProofs};
pub use zeroize::Zeroizing;
