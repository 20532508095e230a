//! The accounts of the store, for both ways of logging on: NTLM's hash, and the password itself.

use crate::{
    AccountLookup, LookupError, NodeKey, NtHash, PasswordChecker, PasswordError, Realm, RecentProofs,
    Zeroizing,
};
use openrdms_broker::{
    Account, UserName,
    ports::{Store, StoreError},
};
use std::sync::Arc;
use std::time::Instant;

/// Local accounts. Clones share everything.
#[derive(Clone)]
pub struct LocalAccounts {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// What their NT hashes are sealed under.
    pub key: Arc<NodeKey>,
    /// Where passwords are checked.
    pub checker: PasswordChecker,
    /// The names under which they are known.
    pub realm: Realm,
    /// Passwords proved a moment ago.
    pub recent: Arc<RecentProofs>,
}

/// Why nobody can tell whether a password is right.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The account cannot be read.
    #[error("the account cannot be read")]
    Store(#[source] StoreError),
    /// The pool is busy, or the stored hash is damaged.
    #[error("the password cannot be checked")]
    Password(#[source] PasswordError),
}

impl LocalAccounts {
    /// The account with this name and password. `None` for a wrong password, another domain and an unknown name,
    /// which take the same time. Cancel-safe.
    ///
    /// # Errors
    /// When nobody can tell now: not a wrong password.
    pub async fn check(
        &self,
        domain: &str,
        name: &str,
        password: Zeroizing<String>,
    ) -> Result<Option<Account>, CheckError> {
        let account = self.read(domain, name).await?;
        matching(&self.checker, account, password).await.map_err(CheckError::Password)
    }

    /// The same for a client that sends its password again and again: one that was right within the last minute,
    /// for the account as it is stored now, is not hashed anew. Cancel-safe.
    ///
    /// # Errors
    /// When nobody can tell now: not a wrong password.
    pub async fn check_again(
        &self,
        domain: &str,
        name: &str,
        password: Zeroizing<String>,
    ) -> Result<Option<Account>, CheckError> {
        let account = self.read(domain, name).await?;
        again(&self.checker, &self.recent, account, password).await.map_err(CheckError::Password)
    }

    async fn read(&self, domain: &str, name: &str) -> Result<Option<Account>, CheckError> {
        match self.realm.resolve(domain, name) {
            Some(user) => self.store.account(&user).await.map_err(CheckError::Store),
            None => Ok(None),
        }
    }
}

#[async_trait::async_trait]
impl AccountLookup for LocalAccounts {
    async fn account(&self, domain: &str, user: &str) -> Result<Option<(UserName, NtHash)>, LookupError> {
        let Some(user) = self.realm.resolve(domain, user) else { return Ok(None) };
        let found = self.store.account(&user).await.map_err(|e| LookupError(e.to_string()))?;
        found.map_or(Ok(None), |account| proof(&self.key, account))
    }
}

/// The account, if this is its password.
async fn matching(
    checker: &PasswordChecker,
    account: Option<Account>,
    password: Zeroizing<String>,
) -> Result<Option<Account>, PasswordError> {
    let stored = account.as_ref().map(|account| account.credentials.password_hash.as_str());
    let right = checker.check(password, stored).await?;
    Ok(account.filter(|_| right))
}

/// The account, if this is its password, or was a moment ago.
async fn again(
    checker: &PasswordChecker,
    recent: &RecentProofs,
    account: Option<Account>,
    password: Zeroizing<String>,
) -> Result<Option<Account>, PasswordError> {
    let digest = account.as_ref().map(|account| recent.digest(account, &password));
    if digest.is_some_and(|digest| recent.holds(digest, Instant::now())) {
        return Ok(account);
    }
    let right = matching(checker, account, password).await?;
    if let (Some(_), Some(digest)) = (&right, digest) {
        recent.remember(digest, Instant::now());
    }
    Ok(right)
}

/// What NTLM needs of an account, if it may use NTLM.
fn proof(key: &NodeKey, account: Account) -> Result<Option<(UserName, NtHash)>, LookupError> {
    let Account { user, credentials, .. } = account;
    let Some(sealed) = credentials.sealed_nt_hash else { return Ok(None) };
    let hash = key.open(&user, &sealed).map_err(|e| LookupError(e.to_string()))?;
    Ok(Some((user, hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeepNtHash, passwords::make_credentials};
    use openrdms_broker::{Role, Timestamp};
    use std::num::NonZeroUsize;

    fn alice(key: &NodeKey, keep: KeepNtHash) -> Account {
        let user = UserName::new("Farm", "Alice").unwrap();
        let credentials = make_credentials(key, &user, "right", keep).unwrap();
        Account { user, role: Role::User, credentials, uid: 100, created: Timestamp(0) }
    }

    #[tokio::test]
    async fn an_account_is_found_by_its_password_alone() {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&directory.path().join("key")).unwrap();
        let checker = PasswordChecker::new(NonZeroUsize::MIN, 1).unwrap();
        let account = alice(&key, KeepNtHash::Never);
        let check = |account, password: &str| {
            let (checker, password) = (checker.clone(), Zeroizing::new(password.to_owned()));
            async move { matching(&checker, account, password).await.unwrap() }
        };
        assert_eq!(check(Some(account.clone()), "right").await, Some(account.clone()));
        assert_eq!(check(Some(account), "wrong").await, None);
        assert_eq!(check(None, "right").await, None);
    }

    #[tokio::test]
    async fn a_password_proved_a_moment_ago_needs_no_worker_and_every_other_does() {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&directory.path().join("key")).unwrap();
        let account = alice(&key, KeepNtHash::Never);
        let recent = RecentProofs::new().unwrap();
        let secret = |text: &str| Zeroizing::new(text.to_owned());
        let free = PasswordChecker::new(NonZeroUsize::MIN, 1).unwrap();
        assert_eq!(again(&free, &recent, Some(account.clone()), secret("wrong")).await.unwrap(), None);
        assert_eq!(
            again(&free, &recent, Some(account.clone()), secret("right")).await.unwrap(),
            Some(account.clone())
        );

        // a pool that turns everybody away shows who needs it
        let full = free.full();
        let check = |account: Option<Account>, password: &str| {
            let (full, recent, password) = (&full, &recent, secret(password));
            async move { again(full, recent, account, password).await }
        };
        assert_eq!(check(Some(account.clone()), "right").await.unwrap(), Some(account.clone()));
        let promoted = Account { role: Role::Admin, ..account.clone() };
        assert_eq!(
            check(Some(promoted.clone()), "right").await.unwrap(),
            Some(promoted),
            "a role counts at once"
        );
        // a wrong password, tried before, is not remembered
        assert!(matches!(check(Some(account.clone()), "wrong").await, Err(PasswordError::Busy)));
        // nor is the old one good once the account has another, be it the same text
        let anew = Account { credentials: alice(&key, KeepNtHash::Never).credentials, ..account };
        assert!(matches!(check(Some(anew), "right").await, Err(PasswordError::Busy)));
        assert!(matches!(check(None, "right").await, Err(PasswordError::Busy)), "a deleted account");
    }

    #[test]
    fn only_an_account_with_a_sealed_hash_of_its_own_may_use_ntlm() {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&directory.path().join("key")).unwrap();
        assert!(proof(&key, alice(&key, KeepNtHash::Never)).unwrap().is_none());
        let mut account = alice(&key, KeepNtHash::Sealed);
        let (user, hash) = proof(&key, account.clone()).unwrap().unwrap();
        assert_eq!((user.to_string().as_str(), hash), ("Farm\\Alice", NtHash::of("right")));
        account.user = UserName::new("Farm", "bob").unwrap();
        proof(&key, account).unwrap_err();
    }
}
