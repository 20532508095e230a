//! Passwords: argon2id at rest, checked in a bounded pool.
//!
//! A check costs 19 MiB and some 25 ms of a processor, by design. So that a flood of logons cannot take the
//! machine, only as many run at once as there are workers, only so many wait, and the rest are turned away
//! before any hashing. A name without an account costs the same as a wrong password.

use crate::{NodeKey, NodeKeyError, NtHash};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use openrdms_broker::{Credentials, UserName};
use std::{num::NonZeroUsize, sync::Arc};
use tokio::{sync::Semaphore, task::spawn_blocking};
use zeroize::Zeroizing;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A longer password is refused, and never hashed.
const MAX_CHARS: usize = 256;

/// Why a password was not checked, or not taken.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many checks are waiting: try again later. Says nothing about the password.
    #[error("too many password checks are waiting")]
    Busy,
    /// A new password is empty.
    #[error("the password is empty")]
    Empty,
    /// A new password is too long.
    #[error("the password is longer than {MAX_CHARS} characters")]
    TooLong,
    /// The account's hash is not one that this program wrote.
    #[error("the stored password hash cannot be read")]
    StoredHash,
    /// The hash could not be computed, or its worker failed.
    #[error("the password could not be hashed")]
    Hashing,
    /// The NT hash could not be sealed.
    #[error("the NT hash could not be sealed")]
    Seal(#[source] NodeKeyError),
}

/// Whether an account keeps the NT hash that NTLM, and so Network Level Authentication, needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepNtHash {
    /// Sealed under the node key.
    Sealed,
    /// Not at all: the account logs on with its password over TLS only.
    Never,
}

/// Checks and hashes passwords, so many at a time. Clones share the pool.
#[derive(Clone, Debug)]
pub struct PasswordChecker {
    /// One permit for every check that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for every check that runs.
    workers: Arc<Semaphore>,
    /// A hash that nobody's password has, for names without an account.
    nobody: Arc<str>,
}

impl PasswordChecker {
    /// A pool that runs `workers` checks at once and lets `waiting` more wait. Computes one hash itself.
    ///
    /// # Errors
    /// [`PasswordError::Hashing`] when the system gives no random bytes.
    pub fn new(workers: NonZeroUsize, waiting: usize) -> Result<Self, PasswordError> {
        let mut unknown = Zeroizing::new([0_u8; 32]);
        aws_lc_rs::rand::fill(&mut *unknown).map_err(|_| PasswordError::Hashing)?;
        Ok(Self {
            places: Arc::new(Semaphore::new(
                workers.get().saturating_add(waiting).min(Semaphore::MAX_PERMITS),
            )),
            workers: Arc::new(Semaphore::new(workers.get().min(Semaphore::MAX_PERMITS))),
            nobody: hash(&*unknown)?.into(),
        })
    }

    /// Whether the password is the one of this hash; `None`, for a name without an account, is never, and takes
    /// as long. Cancel-safe: a check that has begun runs to its end and keeps its worker until then.
    ///
    /// # Errors
    /// [`PasswordError::Busy`] at once when too many wait.
    pub async fn check(
        &self,
        password: Zeroizing<String>,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let stored = stored.map_or_else(|| self.nobody.clone(), Arc::from);
        self.run(move || {
            // nobody has such a password; an endless one must not be hashed to find that out
            let length = password.chars().take(MAX_CHARS + 1).count();
            let (fits, password) = if length > MAX_CHARS { (false, "") } else { (true, password.as_str()) };
            Ok(verify(password.as_bytes(), &stored)? & fits)
        })
        .await
    }

    /// What an account keeps of a new password. Takes a place in the pool like a check, and is as cancel-safe.
    ///
    /// # Errors
    /// When the password is not acceptable, or the pool is busy.
    pub async fn make_credentials(
        &self,
        key: Arc<NodeKey>,
        user: UserName,
        password: Zeroizing<String>,
        keep: KeepNtHash,
    ) -> Result<Credentials, PasswordError> {
        self.run(move || make_credentials(&key, &user, &password, keep)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        // the permits go with the work, so that callers who give up do not make room for more of it
        let work = move || {
            let _permits = (place, worker);
            work()
        };
        spawn_blocking(work).await.map_err(|_| PasswordError::Hashing)?
    }
}

/// What an account keeps of a new password. Blocks for one hash; a server uses
/// [`PasswordChecker::make_credentials`].
///
/// # Errors
/// When the password is empty or too long.
pub fn make_credentials(
    key: &NodeKey,
    user: &UserName,
    password: &str,
    keep: KeepNtHash,
) -> Result<Credentials, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty);
    }
    if password.chars().count() > MAX_CHARS {
        return Err(PasswordError::TooLong);
    }
    let sealed_nt_hash = match keep {
        KeepNtHash::Sealed => Some(key.seal(user, &NtHash::of(password)).map_err(PasswordError::Seal)?),
        KeepNtHash::Never => None,
    };
    Ok(Credentials { password_hash: hash(password.as_bytes())?, sealed_nt_hash })
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Hashing)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    Ok(argon2()?.hash_password(password).map_err(|_| PasswordError::Hashing)?.to_string())
}

fn verify(password: &[u8], stored: &str) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|_| PasswordError::StoredHash)?;
    match argon2()?.verify_password(password, &stored) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(_) => Err(PasswordError::StoredHash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    fn checker(workers: usize, waiting: usize) -> PasswordChecker {
        PasswordChecker::new(NonZeroUsize::new(workers).unwrap(), waiting).unwrap()
    }

    fn key() -> (tempfile::TempDir, Arc<NodeKey>) {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&directory.path().join("key")).unwrap();
        (directory, Arc::new(key))
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_unknown_accounts_never_match() {
        let (_directory, key) = key();
        let (pool, user) = (checker(2, 2), UserName::new("farm", "alice").unwrap());
        let made =
            pool.make_credentials(key.clone(), user.clone(), secret("pässword"), KeepNtHash::Sealed).await;
        let made = made.unwrap();
        assert!(made.password_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", made.password_hash);
        assert!(pool.check(secret("pässword"), Some(&made.password_hash)).await.unwrap());
        for wrong in ["Pässword", "", "pässword ", &"x".repeat(MAX_CHARS + 1)] {
            assert!(!pool.check(secret(wrong), Some(&made.password_hash)).await.unwrap(), "{wrong:?}");
        }
        assert!(!pool.check(secret("pässword"), None).await.unwrap());
        assert_eq!(key.open(&user, &made.sealed_nt_hash.unwrap()).unwrap(), NtHash::of("pässword"));
        let without = make_credentials(&key, &user, "x", KeepNtHash::Never).unwrap();
        assert_eq!(without.sealed_nt_hash, None);
    }

    #[test]
    fn empty_and_endless_passwords_are_not_taken() {
        let (_directory, key) = key();
        let user = UserName::new("farm", "alice").unwrap();
        let make = |password: &str| make_credentials(&key, &user, password, KeepNtHash::Never);
        assert!(matches!(make(""), Err(PasswordError::Empty)));
        assert!(matches!(make(&"ä".repeat(MAX_CHARS + 1)), Err(PasswordError::TooLong)));
        make(&"ä".repeat(MAX_CHARS)).unwrap();
    }

    #[tokio::test]
    async fn a_damaged_hash_is_an_error_and_not_a_wrong_password() {
        let pool = checker(1, 1);
        for stored in
            ["", "x", "$argon2id$v=19$m=19456,t=2,p=1$", "$scrypt$ln=1,r=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"]
        {
            let checked = pool.check(secret("x"), Some(stored)).await;
            assert!(matches!(checked, Err(PasswordError::StoredHash)), "{stored}: {checked:?}");
        }
    }

    #[tokio::test]
    async fn a_full_pool_turns_away_before_hashing_and_recovers() {
        let pool = checker(1, 1);
        // both places are held by work that ends when it is told to
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
        let running = tokio::spawn({
            let (pool, workers) = (pool.clone(), pool.workers.clone());
            async move {
                let work = move || {
                    begun.blocking_send(workers.available_permits()).unwrap();
                    Ok(ended.recv().is_err())
                };
                pool.run(work).await
            }
        });
        assert_eq!(has_begun.recv().await, Some(0), "work holds its worker");
        let waiting = tokio::spawn({
            let pool = pool.clone();
            async move { pool.check(secret("x"), None).await }
        });
        while pool.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(pool.check(secret("x"), None).await, Err(PasswordError::Busy)));

        // a caller who gives up leaves the worker busy until the work is done
        running.abort();
        assert!(running.await.is_err());
        assert_eq!(pool.workers.available_permits(), 0);
        drop(end);
        assert!(!waiting.await.unwrap().unwrap());
        while pool.places.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(!pool.check(secret("x"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_worker_that_panics_gives_its_place_back() {
        let pool = checker(1, 0);
        let failed = pool.run::<()>(|| panic!("as if by a defect")).await;
        assert!(matches!(failed, Err(PasswordError::Hashing)));
        assert!(!pool.check(secret("x"), None).await.unwrap());
    }
}
