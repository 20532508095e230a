//! Local accounts, as each door asks for them: the relay (TLS and NLA), the management interface (Basic, the
//! Unix socket) and the provider that sets passwords.

use openrdms_auth::{Acceptor, CheckError, KeepNtHash, LocalAccounts, NodeKey, PasswordError, Step};
use openrdms_broker::ports::{Store, StoreError};
use openrdms_broker::{Account, Credentials, Role, UserName};
use openrdms_cim::Principal;
use openrdms_management::{AuthFailure, Authenticate};
use openrdms_relay::{Authenticator, Credssp, CredsspFailure, CredsspStep, LogonFailure};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::unix::UCred;
use zeroize::Zeroizing;

/// How many accounts are looked at together.
const PAGE: u32 = 500;

/// Proves users against the store.
pub(crate) struct Accounts {
    pub(crate) local: LocalAccounts,
    pub(crate) keep: KeepNtHash,
}

/// The account, if the password was found to be its own.
fn proved(checked: Result<Option<Account>, CheckError>) -> Result<Account, LogonFailure> {
    match checked {
        Ok(Some(account)) => Ok(account),
        Ok(None) => Err(LogonFailure::Denied),
        Err(CheckError::Password(PasswordError::Busy)) => Err(LogonFailure::Busy),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "a logon cannot be checked");
            Err(LogonFailure::Unavailable)
        }
    }
}

#[async_trait::async_trait]
impl Authenticator for Accounts {
    async fn password(
        &self,
        domain: &str,
        user: &str,
        password: Zeroizing<String>,
        peer: IpAddr,
    ) -> Result<UserName, LogonFailure> {
        let proved = proved(self.local.check(domain, user, password).await);
        if let Err(failure) = &proved {
            tracing::warn!(%peer, user = short(user), %failure, "logon refused");
        }
        proved.map(|account| account.user)
    }

    fn credssp(&self, public_key: &[u8], peer: IpAddr) -> Box<dyn Credssp> {
        let lookup = Arc::new(self.local.clone());
        let acceptor = Acceptor::new(public_key.to_vec(), lookup, self.local.realm.clone());
        Box::new(Nla { acceptor, peer })
    }
}

struct Nla {
    acceptor: Acceptor,
    peer: IpAddr,
}

#[async_trait::async_trait]
impl Credssp for Nla {
    async fn step(&mut self, ts_request: &[u8]) -> Result<CredsspStep, CredsspFailure> {
        match self.acceptor.step(ts_request).await {
            Ok(Step::Reply(reply)) => Ok(CredsspStep::Reply(reply)),
            Ok(Step::Done { reply, user, password }) => Ok(CredsspStep::Done { reply, user, password }),
            Err(failure) => {
                tracing::warn!(peer = %self.peer, user = failure.claimed, kind = ?failure.kind, %failure,
                    "logon refused");
                Err(CredsspFailure { reply: failure.reply, message: failure.message })
            }
        }
    }
}

#[async_trait::async_trait]
impl Authenticate for Accounts {
    async fn basic(
        &self,
        user: &str,
        password: Zeroizing<String>,
        from: &str,
    ) -> Result<Principal, AuthFailure> {
        // a client sends its password with every request
        match proved(self.local.check_again("", user, password).await) {
            Ok(account) => {
                let admin = match account.role {
                    Role::Admin => true,
                    Role::User => false,
                };
                let proof = Some(account.credentials.mark());
                Ok(Principal { name: account.user.to_string(), admin, from: from.to_owned(), proof })
            }
            Err(LogonFailure::Denied) => {
                tracing::warn!(from, user = short(user), "management logon refused");
                Err(AuthFailure::Denied)
            }
            Err(LogonFailure::Busy | LogonFailure::Unavailable) => Err(AuthFailure::Unavailable),
        }
    }
}

/// Tells the operator of accounts whose sealed hashes the node key does not open, which a store and a key that do not
/// belong together have. Refusing to start would keep out those users too who log on by a password inside TLS.
pub(crate) async fn look_at_seals(store: &dyn Store, key: &NodeKey, file: &Path) -> Result<(), StoreError> {
    let (mut closed, mut one, mut after) = (0_usize, None, None);
    loop {
        let page = store.accounts(after, PAGE).await?;
        for Account { user, credentials, .. } in page.rows {
            if credentials.sealed_nt_hash.is_some_and(|sealed| key.open(&user, &sealed).is_err()) {
                closed += 1;
                one.get_or_insert(user);
            }
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if let Some(one) = one {
        tracing::error!(file = %file.display(), accounts = closed, %one,
            "the node key is not the one that the passwords of accounts are sealed under: they cannot log on by NLA, only \
             by TLS; put the node.key that belongs to this store back and start again, or give each account its password \
             anew: openrdms user passwd USER");
    }
    Ok(())
}

/// As much of a claimed name as belongs into a log.
fn short(user: &str) -> &str {
    user.char_indices().nth(128).map_or(user, |(end, _)| &user[..end])
}

/// Who may use the Unix socket: root and the service's own account. A desktop's uid is neither.
pub(crate) fn socket_peer(peer: &UCred) -> Result<Principal, AuthFailure> {
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() == 0 || peer.uid() == own {
        let name = format!("uid:{}", peer.uid());
        return Ok(Principal { name, admin: true, from: "local socket".to_owned(), proof: None });
    }
    tracing::warn!(uid = peer.uid(), "the local socket was refused");
    Err(AuthFailure::Denied)
}

/// The provider's way to a new password.
#[async_trait::async_trait]
impl openrdms_rdms::Passwords for Accounts {
    async fn credentials(&self, user: &UserName, password: Zeroizing<String>) -> Result<Credentials, String> {
        self.local
            .checker
            .make_credentials(self.local.key.clone(), user.clone(), password, self.keep)
            .await
            .map_err(|error| error.to_string())
    }
}
