//! Passwords: argon2id at rest, checked in a bounded pool.
//!
//! A check costs 19 MiB and some 25 ms of a processor, by design. So that a flood of logons cannot take the
//! machine, only as many run at once as there are workers, only so many wait, and the rest are turned away
//! before any hashing. A name without an account costs the same as a wrong password.

use crate::{NodeKey, NodeKeyError, NtHash};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use openrdms_broker::{Credentials, UserName};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};
use subtle::ConstantTimeEq;
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

/// What one hash works in, in blocks of 1 KiB.
type Memory = Vec<Block>;

/// Checks and hashes passwords, so many at a time. Clones share the pool.
#[derive(Clone, Debug)]
pub struct PasswordChecker {
    /// One permit for every check that runs or waits.
    places: Arc<Semaphore>,
    /// One permit for every check that runs.
    workers: Arc<Semaphore>,
    /// The working memory of those that do not run: kept, because it comes back on ever other threads, and an
    /// allocator would keep 19 MiB for each of them.
    memories: Arc<Mutex<Vec<Memory>>>,
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
        let mut memory = Memory::new();
        Ok(Self {
            places: Arc::new(Semaphore::new(
                workers.get().saturating_add(waiting).min(Semaphore::MAX_PERMITS),
            )),
            workers: Arc::new(Semaphore::new(workers.get().min(Semaphore::MAX_PERMITS))),
            nobody: hash(&*unknown, &mut memory)?.into(),
            memories: Arc::new(Mutex::new(vec![memory])),
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
        self.run(move |memory| {
            // nobody has such a password; an endless one must not be hashed to find that out
            let length = password.chars().take(MAX_CHARS + 1).count();
            let (fits, password) = if length > MAX_CHARS { (false, "") } else { (true, password.as_str()) };
            Ok(verify(password.as_bytes(), &stored, memory)? & fits)
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
        self.run(move |memory| credentials(&key, &user, &password, keep, memory)).await
    }

    /// The same pool without any place: it turns everybody away.
    #[cfg(test)]
    pub(crate) fn full(&self) -> Self {
        Self { places: Arc::new(Semaphore::new(0)), ..self.clone() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let worker = self.workers.clone().acquire_owned().await.map_err(|_| PasswordError::Busy)?;
        // the permits go with the work, so that callers who give up do not make room for more of it
        let memories = Arc::clone(&self.memories);
        let work = move || {
            let _permits = (place, worker);
            let kept = || memories.lock().unwrap_or_else(PoisonError::into_inner);
            let mut memory = kept().pop().unwrap_or_default();
            let done = work(&mut memory);
            kept().push(memory);
            done
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
    credentials(key, user, password, keep, &mut Memory::new())
}

fn credentials(
    key: &NodeKey,
    user: &UserName,
    password: &str,
    keep: KeepNtHash,
    memory: &mut Memory,
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
    Ok(Credentials { password_hash: hash(password.as_bytes(), memory)?, sealed_nt_hash })
}

fn hash(password: &[u8], memory: &mut Memory) -> Result<String, PasswordError> {
    let hashing = |_| PasswordError::Hashing;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Hashing)?;
    let mut salt = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::Hashing)?;
    let mut out = [0_u8; Params::DEFAULT_OUTPUT_LEN];
    let made = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(hashing)?,
        salt: Some(Salt::new(&salt).map_err(|_| PasswordError::Hashing)?),
        hash: {
            derive(password, &salt, params, memory, &mut out)?;
            Some(Output::new(&out).map_err(|_| PasswordError::Hashing)?)
        },
    };
    Ok(made.to_string())
}

fn verify(password: &[u8], stored: &str, memory: &mut Memory) -> Result<bool, PasswordError> {
    let stored = PasswordHash::new(stored).map_err(|_| PasswordError::StoredHash)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(PasswordError::StoredHash);
    };
    let ours =
        stored.algorithm == Algorithm::Argon2id.ident() && stored.version == Some(Version::V0x13.into());
    let params = Params::try_from(&stored).ok().filter(|_| ours).ok_or(PasswordError::StoredHash)?;
    let mut out = vec![0_u8; expected.len()];
    derive(password, salt.as_ref(), params, memory, &mut out)?;
    Ok(out.ct_eq(expected.as_bytes()).into())
}

fn derive(
    password: &[u8],
    salt: &[u8],
    params: Params,
    memory: &mut Memory,
    out: &mut [u8],
) -> Result<(), PasswordError> {
    memory.resize(params.block_count(), Block::new());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password, salt, out, memory)
        .map_err(|_| PasswordError::Hashing)
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
                let work = move |_: &mut Memory| {
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
    async fn no_more_memory_is_kept_than_there_are_workers() {
        let pool = checker(2, 30);
        let checks = (0..16).map(|_| {
            tokio::spawn({
                let pool = pool.clone();
                async move { pool.check(secret("x"), None).await.unwrap() }
            })
        });
        for check in checks.collect::<Vec<_>>() {
            assert!(!check.await.unwrap());
        }
        let kept = pool.memories.lock().unwrap();
        assert!((1..=2).contains(&kept.len()), "{}", kept.len());
        assert!(kept.iter().all(|memory| memory.len() == 19 * 1024));
    }

    #[tokio::test]
    async fn a_worker_that_panics_gives_its_place_back() {
        let pool = checker(1, 0);
        let failed = pool.run::<()>(|_| panic!("as if by a defect")).await;
        assert!(matches!(failed, Err(PasswordError::Hashing)));
        assert!(!pool.check(secret("x"), None).await.unwrap());
    }
}
