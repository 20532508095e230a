//! Passwords that were proved a moment ago, so that a client which sends its password with every request does not
//! cost a hash each time.
//!
//! Only a success is remembered, and of it nothing but a keyed digest: over the account's name, its stored hash and
//! the password, under a key that this process drew and never shows. The account itself is read from the
//! store for every check. So a changed password is another digest, a deleted account has none to compare with, and
//! a role counts as it is now. The remaining power of whoever reads this process's memory is what it is without:
//! the password itself comes by with every request.

use aws_lc_rs::hmac;
use openrdms_broker::Account;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a proof counts.
const LASTS: Duration = Duration::from_secs(60);
/// How many are kept; the oldest make room.
const MOST: usize = 1024;

/// The proofs of the last minute.
pub struct RecentProofs {
    key: hmac::Key,
    until: Mutex<HashMap<Digest, Instant>>,
}

/// Stands for an account with its present credentials and a password. Only ever made with [`RecentProofs::digest`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes can be had")]
pub struct NoRandomness;

impl RecentProofs {
    /// With a key of its own.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new() -> Result<Self, NoRandomness> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).map_err(|_| NoRandomness)?;
        Ok(Self { key, until: Mutex::default() })
    }

    /// The digest of an account, as it is stored now, and a password.
    pub(crate) fn digest(&self, account: &Account, password: &str) -> Digest {
        let mut digest = hmac::Context::with_key(&self.key);
        let user = account.user.to_string().to_lowercase();
        // each with its length before it, so that no two triples are the same bytes
        for part in [&user, &account.credentials.password_hash, password] {
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.sign().as_ref());
        Digest(bytes)
    }

    /// Whether it was proved within the last minute.
    pub(crate) fn holds(&self, digest: Digest, now: Instant) -> bool {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until.get(&digest) {
            Some(end) if *end > now => true,
            Some(_) => {
                until.remove(&digest);
                false
            }
            None => false,
        }
    }

    /// Remembers a proof. One that is used does not last longer for it.
    pub(crate) fn remember(&self, digest: Digest, now: Instant) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if until.len() >= MOST {
            until.retain(|_, end| *end > now);
        }
        if until.len() >= MOST
            && let Some(oldest) = until.iter().min_by_key(|(_, end)| **end).map(|(digest, _)| *digest)
        {
            until.remove(&oldest);
        }
        until.insert(digest, now + LASTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_broker::{Credentials, Role, Timestamp, UserName};

    fn account(name: &str, hash: &str) -> Account {
        Account {
            user: UserName::new("farm", name).unwrap(),
            role: Role::User,
            credentials: Credentials { password_hash: hash.to_owned(), sealed_nt_hash: None },
            uid: 1,
            created: Timestamp(0),
        }
    }

    #[test]
    fn a_proof_is_of_one_account_one_stored_hash_and_one_password() {
        let recent = RecentProofs::new().unwrap();
        let now = Instant::now();
        let proof = |name: &str, hash: &str, password: &str| recent.digest(&account(name, hash), password);
        recent.remember(proof("alice", "h1", "right"), now);
        assert!(recent.holds(proof("Alice", "h1", "right"), now), "names compare without case");
        for (name, hash, password) in [
            ("alice", "h1", "wrong"),
            ("alice", "h1", "Right"),
            ("alice", "h2", "right"),
            ("bob", "h1", "right"),
            ("alice", "h1r", "ight"),
        ] {
            assert!(!recent.holds(proof(name, hash, password), now), "{name} {hash} {password}");
        }
        let other = RecentProofs::new().unwrap();
        assert!(
            other.digest(&account("alice", "h1"), "right") != proof("alice", "h1", "right"),
            "each process has its own key"
        );
    }

    #[test]
    fn a_proof_lasts_a_minute_however_often_it_is_used() {
        let recent = RecentProofs::new().unwrap();
        let (begin, digest) = (Instant::now(), recent.digest(&account("alice", "h"), "right"));
        recent.remember(digest, begin);
        for second in [0, 30, 59] {
            assert!(recent.holds(digest, begin + Duration::from_secs(second)));
        }
        assert!(!recent.holds(digest, begin + Duration::from_secs(60)));
        assert!(recent.until.lock().unwrap().is_empty(), "what is over is forgotten");
    }

    #[test]
    fn the_oldest_makes_room() {
        let recent = RecentProofs::new().unwrap();
        let begin = Instant::now();
        let digests: Vec<Digest> =
            (0..=MOST).map(|n| recent.digest(&account("alice", "h"), &n.to_string())).collect();
        for (age, digest) in digests.iter().enumerate() {
            recent.remember(*digest, begin + Duration::from_millis(u64::try_from(age).unwrap()));
        }
        let now = begin + Duration::from_secs(2);
        assert_eq!(recent.until.lock().unwrap().len(), MOST);
        assert!(!recent.holds(digests[0], now));
        assert!(digests[1..].iter().all(|digest| recent.holds(*digest, now)));
    }
}
