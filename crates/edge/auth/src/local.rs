//! The accounts of the store, for both ways of logging on: NTLM's hash, and the password itself.

use crate::{AccountLookup, LookupError, NodeKey, NtHash, PasswordChecker, PasswordError, Realm, Zeroizing};
use openrdms_broker::{
    Account, UserName,
    ports::{Store, StoreError},
};
use std::sync::Arc;

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
        let account = match self.realm.resolve(domain, name) {
            Some(user) => self.store.account(&user).await.map_err(CheckError::Store)?,
            None => None,
        };
        matching(&self.checker, account, password).await.map_err(CheckError::Password)
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
