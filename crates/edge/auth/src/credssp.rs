//! Network Level Authentication: the server's side of CredSSP (MS-CSSP 3.1.5) with NTLM, for one connection.
//!
//! ```text
//!             NEGOTIATE                AUTHENTICATE            pubKeyAuth            authInfo
//!  Opening ──────────────▶ Challenged ──────────────▶ Keyed ──────────────▶ Bound ──────────────▶ done
//!   │  ▲                       (a client may send AUTHENTICATE and pubKeyAuth in one request)
//!   └──┘ SPNEGO whose first mechanism is another: NTLM is chosen, and begins
//! ```
//!
//! Whoever gets to Bound has sealed our own TLS key under a key that needs the account's NT hash: it is proved, and
//! to nobody in the middle. The account is the one that NTLM has proved. What the client then says of itself in
//! its delegated credentials is only compared with it, and so is the password: who has nothing but a
//! stolen NT hash is refused.
//!
//! The NTLM library's own CredSSP server is not used: under SPNEGO it wants the hashes of all accounts before it
//! knows the name, and it answers with whom the client claims to be.
//!
//! Must never answer differently, in words or in time, for a wrong password and for a name without an account.

mod der;
mod ntlm;
mod quiet;
mod request;
mod seal;
mod spnego;
#[cfg(test)]
mod tests;

pub use request::{NotARequest, request_length};

use crate::{NtHash, realm::Realm};
use aws_lc_rs::digest;
use ntlm::{Challenge, Claim};
use openrdms_broker::{Password, UserName};
use quiet::quiet;
use seal::Seal;
use spnego::{Mech, NegState};
use sspi::{
    CredentialsBuffers,
    credssp::{TsRequest, read_ts_credentials},
};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// STATUS_LOGON_FAILURE: wrong password or no such account, which are not told apart.
const STATUS_LOGON_FAILURE: u32 = 0xc000_006d;
/// STATUS_NO_LOGON_SERVERS: nobody can tell now.
const STATUS_NO_LOGON_SERVERS: u32 = 0xc000_005e;

/// What is hashed with the nonce and the public key (MS-CSSP 3.1.5), with the final zeros.
const CLIENT_BINDING: &[u8] = b"CredSSP Client-To-Server Binding Hash\0";
const SERVER_BINDING: &[u8] = b"CredSSP Server-To-Client Binding Hash\0";

/// Finds accounts.
#[async_trait::async_trait]
pub trait AccountLookup: Send + Sync + 'static {
    /// An account by its domain, which is always the deployment's, and name, compared without case; `None`
    /// where there is none, or none that may use NTLM.
    ///
    /// # Errors
    /// Only where nobody can tell now.
    async fn account(&self, domain: &str, user: &str) -> Result<Option<(UserName, NtHash)>, LookupError>;
}

/// Accounts cannot be looked up now.
#[derive(Debug, thiserror::Error)]
#[error("accounts cannot be looked up: {0}")]
pub struct LookupError(pub String);

/// One connection's handshake.
pub struct Acceptor {
    public_key: Vec<u8>,
    lookup: Arc<dyn AccountLookup>,
    realm: Realm,
    peer_version: Option<u32>,
    claimed: Option<String>,
    state: State,
}

/// What to do after a request was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, and read the next request.
    Reply(Vec<u8>),
    /// The handshake is complete. With `HYBRID_EX` the client now waits for the early user authorization result.
    Done {
        /// To be sent first, if anything.
        reply: Option<Vec<u8>>,
        /// The account that was proved, spelled as it was found.
        user: UserName,
        /// Its password, which the client has delegated.
        password: Password,
    },
}

/// Why a handshake failed, for the relay to act on and to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The password is wrong, or there is no such account, or the client is not who it says it is.
    Denied,
    /// The client broke the protocol, or asks for what is not offered.
    Invalid,
    /// Accounts cannot be looked up.
    Unavailable,
    /// A defect of ours or of the NTLM library.
    Bug,
}

/// The handshake has failed: send the reply, if there is one, and close.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// A TSRequest with an error code, where the client's version knows it and still waits for one. Where there
    /// is none and the client asked for `HYBRID_EX`, it may be waiting for the early user authorization result.
    pub reply: Option<Vec<u8>>,
    /// Whose fault it is.
    pub kind: FailureKind,
    /// The name that the client gave, in its own spelling, cut to 128 characters: for the audit trail, not to be
    /// trusted.
    pub claimed: Option<String>,
    /// For operators. Never names a secret.
    pub message: String,
}

/// Why a step was refused.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("malformed or unsupported: {0}")]
    Malformed(&'static str),
    #[error("{0}")]
    LogonFailure(&'static str),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("the handshake is over")]
    Over,
    #[error("the NTLM library failed")]
    Defect,
}

/// How far the handshake is.
enum State {
    Opening(Opening),
    Challenged { challenge: Challenge, envelope: Envelope },
    Keyed { seal: Seal, account: Candidate },
    Bound { seal: Seal, account: Candidate },
    Over,
}

/// What may come first.
enum Opening {
    /// NTLM or SPNEGO.
    Anything,
    /// NTLM in SPNEGO, which was chosen though it was not the client's favourite.
    Chosen(Envelope),
}

/// What the NTLM messages come in.
enum Envelope {
    /// Nothing.
    Bare,
    /// SPNEGO.
    Spnego {
        /// What the MICs are computed over.
        mech_list: Vec<u8>,
        /// Whether the client's favourite was passed over: then it must show that nobody else did it.
        mic_required: bool,
    },
}

/// The account that is meant, or nobody with a hash that nobody has.
struct Candidate {
    user: Option<UserName>,
    hash: NtHash,
}

impl Acceptor {
    /// A handshake on a TLS connection whose certificate has this public key: the bits of its
    /// subjectPublicKey, without the algorithm (MS-CSSP 3.1.5).
    pub fn new(public_key: Vec<u8>, lookup: Arc<dyn AccountLookup>, realm: Realm) -> Self {
        let state = State::Opening(Opening::Anything);
        Self { public_key, lookup, realm, peer_version: None, claimed: None, state }
    }

    /// Takes one TSRequest, exactly (see [`request_length`]), of at most 64 KiB. Dropping the future abandons the
    /// handshake: every later step fails, and the connection must be closed.
    ///
    /// # Errors
    /// [`Failure`]: the handshake is over.
    pub async fn step(&mut self, ts_request: &[u8]) -> Result<Step, Failure> {
        // a client that has sent its credentials waits for no more TSRequests
        let waits = !matches!(self.state, State::Bound { .. } | State::Over);
        self.advance(ts_request).await.map_err(|refusal| {
            let (kind, code) = match refusal {
                Refusal::LogonFailure(_) => (FailureKind::Denied, STATUS_LOGON_FAILURE),
                Refusal::Malformed(_) | Refusal::Over => (FailureKind::Invalid, STATUS_LOGON_FAILURE),
                Refusal::Lookup(_) => (FailureKind::Unavailable, STATUS_NO_LOGON_SERVERS),
                Refusal::Defect => (FailureKind::Bug, STATUS_LOGON_FAILURE),
            };
            let version = self.peer_version.filter(|_| waits);
            let reply = version.and_then(|version| request::write_error(code, version));
            Failure { reply, kind, claimed: self.claimed.take(), message: refusal.to_string() }
        })
    }

    async fn advance(&mut self, bytes: &[u8]) -> Result<Step, Refusal> {
        // Over until this step has succeeded: neither a failed nor a dropped step can be followed by another
        let state = std::mem::replace(&mut self.state, State::Over);
        if matches!(state, State::Over) {
            return Err(Refusal::Over);
        }
        let mut request = request::read(bytes)?;
        if *self.peer_version.get_or_insert(request.version) != request.version || request.version < 2 {
            return Err(Refusal::Malformed("CredSSP version"));
        }
        let token = request.nego_tokens.take().filter(|token| !token.is_empty());
        let token = |what| token.ok_or(Refusal::Malformed(what));
        match state {
            State::Opening(opening) => self.open(opening, &token("no NEGOTIATE")?),
            State::Challenged { challenge, envelope } => {
                self.authenticate(challenge, envelope, &token("no AUTHENTICATE")?, &request).await
            }
            State::Keyed { seal, account } => self.bind(seal, account, &request, None),
            State::Bound { seal, account } => self.finish(seal, account, &request),
            State::Over => Err(Refusal::Over),
        }
    }

    fn open(&mut self, opening: Opening, token: &[u8]) -> Result<Step, Refusal> {
        let malformed = |_| Refusal::Malformed("SPNEGO");
        let (envelope, negotiate, mech) = match opening {
            Opening::Anything if !spnego::is_spnego(token) => (Envelope::Bare, token, Mech::Unsaid),
            Opening::Anything => {
                let init = spnego::read_init(token).map_err(malformed)?;
                let mech_list = init.mech_list.to_vec();
                let envelope = Envelope::Spnego { mech_list, mic_required: !init.ntlm_first };
                match init.token.filter(|_| init.ntlm_first) {
                    Some(negotiate) => (envelope, negotiate, Mech::Ntlm),
                    None => {
                        let state = if init.ntlm_first { NegState::Incomplete } else { NegState::RequestMic };
                        let answer = spnego::write_response(state, Mech::Ntlm, None, None);
                        self.state = State::Opening(Opening::Chosen(envelope));
                        return reply(Some(answer), None);
                    }
                }
            }
            Opening::Chosen(envelope) => {
                let response = spnego::read_response(token).map_err(malformed)?;
                (envelope, response.token.ok_or(Refusal::Malformed("no NEGOTIATE"))?, Mech::Unsaid)
            }
        };
        let (challenge, message) = ntlm::challenge(negotiate)?;
        let message = match envelope {
            Envelope::Bare => message,
            Envelope::Spnego { .. } => {
                spnego::write_response(NegState::Incomplete, mech, Some(&message), None)
            }
        };
        self.state = State::Challenged { challenge, envelope };
        reply(Some(message), None)
    }

    async fn authenticate(
        &mut self,
        challenge: Challenge,
        envelope: Envelope,
        token: &[u8],
        request: &TsRequest,
    ) -> Result<Step, Refusal> {
        let (message, mic) = match &envelope {
            Envelope::Bare => (token, None),
            Envelope::Spnego { .. } => {
                let response = spnego::read_response(token).map_err(|_| Refusal::Malformed("SPNEGO"))?;
                (response.token.ok_or(Refusal::Malformed("no AUTHENTICATE"))?, response.mic)
            }
        };
        let claim = challenge.answered(message)?;
        let account = self.candidate(&claim).await?;
        let mut seal = Seal::server(&claim.session_key(&account.hash)?);

        let Envelope::Spnego { mech_list, mic_required } = envelope else {
            return self.bind(seal, account, request, None);
        };
        let mic = match mic {
            Some(mic) => {
                seal.check_mic(&mech_list, mic).map_err(|_| Refusal::LogonFailure("wrong mechListMIC"))?;
                Some(seal.mic(&mech_list))
            }
            None if mic_required => return Err(Refusal::Malformed("no mechListMIC")),
            None => None,
        };
        let answer = spnego::write_response(
            NegState::Completed,
            Mech::Unsaid,
            None,
            mic.as_ref().map(<[u8; 16]>::as_slice),
        );
        if request.pub_key_auth.is_some() {
            return self.bind(seal, account, request, Some(answer));
        }
        self.state = State::Keyed { seal, account };
        reply(Some(answer), None)
    }

    /// The account that is meant; for a name without one, nobody and a hash drawn by lot, so that the rest is done
    /// all the same.
    async fn candidate(&mut self, claim: &Claim) -> Result<Candidate, Refusal> {
        self.claimed = Some(claim.name().chars().take(128).collect());
        let found = match self.realm.resolve("", claim.name()) {
            Some(user) => self.lookup.account(user.domain(), user.name()).await?,
            None => None,
        };
        let mut lot = Zeroizing::new([0; 16]);
        aws_lc_rs::rand::fill(&mut *lot).map_err(|_| Refusal::Defect)?;
        Ok(match found {
            Some((user, hash)) => Candidate { user: Some(user), hash },
            None => Candidate { user: None, hash: NtHash::from_bytes(*lot) },
        })
    }

    /// Checks that the client saw our public key, and shows that we know its session key.
    fn bind(
        &mut self,
        mut seal: Seal,
        account: Candidate,
        request: &TsRequest,
        token: Option<Vec<u8>>,
    ) -> Result<Step, Refusal> {
        let sealed = request.pub_key_auth.as_ref().ok_or(Refusal::Malformed("no pubKeyAuth"))?;
        let (theirs, ours) = self.bindings(request)?;
        let shown =
            seal.open(sealed).map_err(|_| Refusal::LogonFailure("wrong password or unknown account"))?;
        if !bool::from(shown.ct_eq(&theirs)) {
            return Err(Refusal::LogonFailure(
                "the client saw another public key: somebody is in the middle",
            ));
        }
        let ours = seal.seal(&ours);
        self.state = State::Bound { seal, account };
        reply(token, Some(ours))
    }

    /// What the client must have sealed, and what we seal.
    fn bindings(&self, request: &TsRequest) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        if request.version >= 5 {
            let nonce = request.client_nonce.ok_or(Refusal::Malformed("no clientNonce"))?;
            let hash = |magic: &[u8]| {
                let mut context = digest::Context::new(&digest::SHA256);
                [magic, &nonce, &self.public_key].into_iter().for_each(|part| context.update(part));
                context.finish().as_ref().to_vec()
            };
            return Ok((hash(CLIENT_BINDING), hash(SERVER_BINDING)));
        }
        // versions 2 to 4: the key itself, and the key as a little-endian number plus one
        let mut ours = self.public_key.clone();
        for byte in &mut ours {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
        Ok((self.public_key.clone(), ours))
    }

    /// Opens the delegated credentials and compares them with what was proved.
    fn finish(&mut self, mut seal: Seal, account: Candidate, request: &TsRequest) -> Result<Step, Refusal> {
        let sealed = request.auth_info.as_ref().ok_or(Refusal::Malformed("no authInfo"))?;
        let info = seal.open(sealed).map_err(|_| Refusal::LogonFailure("authInfo was altered"))?;
        // anything but a password: smart card, or remote credential guard
        let unsupported = Refusal::Malformed("delegated credentials: only a password is supported");
        let Some(CredentialsBuffers::AuthIdentity(said)) =
            quiet(|| read_ts_credentials(info.as_slice()))?.ok()
        else {
            return Err(unsupported);
        };
        let password = Zeroizing::new(said.password.as_ref().as_ref().to_string());
        if said.is_empty() || password.is_empty() {
            return Err(Refusal::Malformed("delegated credentials: restricted admin mode is not supported"));
        }
        let claimed = self.realm.resolve(&said.domain.to_string(), &said.user.to_string());
        match account.user {
            Some(user) if claimed.as_ref() == Some(&user) && NtHash::of(&password) == account.hash => {
                Ok(Step::Done { reply: None, user, password: Password::new(password) })
            }
            _ => Err(Refusal::LogonFailure("the delegated credentials are not those that were proved")),
        }
    }
}

fn reply(nego_tokens: Option<Vec<u8>>, pub_key_auth: Option<Vec<u8>>) -> Result<Step, Refusal> {
    request::write(TsRequest { nego_tokens, pub_key_auth, ..TsRequest::default() }).map(Step::Reply)
}
