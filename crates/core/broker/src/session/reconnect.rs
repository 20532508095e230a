//! Who may come back without a person: the auto-reconnect cookie of a session (MS-RDPBCGR 1.3.1.5, 5.5).
//!
//! Each client that is attached gets a cookie of its own. A client whose network failed comes back by itself and
//! shows that it knows the cookie; a person's client shows none. So a client that was sent away and could not be told
//! is kept from coming back by itself, and its user is not. A cookie replaces no proof of who the user is: it is only
//! looked at in the user's own session.
//!
//! ```text
//!          attached                     Disconnect, limit, Logoff
//! Never ────────────▶ By(cookie) ──────────────────────────────▶ Void(why)
//!                      ▲ │  ▲   a person comes: Void(taken over)   │
//!                      └─┘  └──────────────────────────────────────┘
//!         comes back by itself, attached     attached
//! ```
//!
//! A client that came back by itself may do so again by the cookie that it came by, until the new one is used: the
//! network may fail once more before the new one has arrived.

use super::{DetachReason, State, transition::Denied, transition::Event};
use crate::{ClientFacts, ConnectionId, Session};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What only the service and one client know. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(transparent)]
pub struct Cookie([u8; 16]);

/// What a client that comes back by itself says: whose cookie it has, and the proof that it has it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieProof {
    /// `SessionId` of the session that the cookie was given for.
    pub session_id: u32,
    /// The keyed hash that only the cookie's owner can make. Whoever has heard it can say it again: not shown.
    pub verifier: [u8; 16],
}

/// How a client comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Somebody has started it.
    Person,
    /// Its network failed, and it tries again by itself.
    Automatic(CookieProof),
}

/// By which cookie a session's client may come back by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Reconnect {
    /// No client of this session has had one.
    #[default]
    Never,
    /// By the present one.
    By {
        /// The cookie of the client that was attached last.
        cookie: Cookie,
        /// The one by which that client had come back, good until the present one is used.
        before: Option<Cookie>,
    },
    /// By none: the client is not to come back without a person.
    Void {
        /// Why.
        reason: DetachReason,
    },
}

/// What an event brings along that no state holds.
#[derive(Clone, Copy, Debug)]
pub enum With<'a> {
    /// Nothing.
    Nothing,
    /// With `Attach`: the client, which becomes the session's client.
    Client(&'a ClientFacts, Arrival),
    /// With `Attached`: a fresh cookie for the client.
    Cookie(&'a Cookie),
}

impl Cookie {
    /// A cookie of these random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// The bytes for the client, and for nobody else.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether a client knows this cookie. Takes the same time for every proof.
    pub fn proved_by(&self, proof: &CookieProof) -> bool {
        self.keyed_hash().verify(&proof.verifier.into()).is_ok()
    }

    /// What a client that knows this cookie says: HMAC-MD5 over the client's random number (MS-RDPBCGR 5.5), which is
    /// 32 zero bytes where TLS protects the connection, and nothing else does here.
    pub fn verifier(&self) -> [u8; 16] {
        self.keyed_hash().finalize().into_bytes().into()
    }

    fn keyed_hash(&self) -> Hmac<Md5> {
        let keyed = Hmac::<Md5>::new_from_slice(&self.0);
        let mut hash = keyed.expect("hmac takes keys of any length");
        hash.update(&[0; 32]);
        hash
    }
}

impl std::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookie")
    }
}

impl std::fmt::Debug for CookieProof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieProof").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

/// What becomes of a session's cookie when an event moves the session to `next`.
///
/// # Errors
/// [`Denied::Automatic`] where a client comes back by itself that may not.
pub fn after(session: &Session, next: &State, event: &Event, with: With<'_>) -> Result<Reconnect, Denied> {
    let now = &session.reconnect;
    if matches!(next, State::Ended { .. }) {
        return Ok(Reconnect::Never);
    }
    match (event, with) {
        (Event::Attach(connection), With::Client(_, arrival)) => arrives(session, *connection, arrival),
        (Event::Attached(_), With::Cookie(fresh)) => Ok(given(now, fresh)),
        (Event::Disconnect(cause), _) => Ok(Reconnect::Void { reason: DetachReason::from(*cause) }),
        (Event::Logoff(_), _) => Ok(Reconnect::Void { reason: DetachReason::Logoff }),
        (
            Event::Attach(_)
            | Event::Attached(_)
            | Event::Closed(..)
            | Event::LogonEnded(_)
            | Event::HostLost
            | Event::HostReturned(_)
            | Event::Superseded(_)
            | Event::NodeRestarted
            | Event::Forget,
            With::Nothing | With::Client(..) | With::Cookie(_),
        ) => Ok(now.clone()),
    }
}

fn arrives(session: &Session, connection: ConnectionId, arrival: Arrival) -> Result<Reconnect, Denied> {
    let refused = |reason| Err(Denied::Automatic(reason));
    match (&session.reconnect, arrival) {
        (Reconnect::Never, Arrival::Person) => Ok(Reconnect::Never),
        (Reconnect::By { .. } | Reconnect::Void { .. }, Arrival::Person) => {
            Ok(Reconnect::Void { reason: DetachReason::TakenOver })
        }
        // It was given for another session, which is over. Nobody has been in this one, so nobody is driven out
        // of it; who is just coming into it must not be.
        (Reconnect::Never, Arrival::Automatic(_)) => match session.state.connection() {
            Some(other) if other != connection => refused(DetachReason::TakenOver),
            Some(_) | None => Ok(Reconnect::Never),
        },
        (Reconnect::By { cookie, before }, Arrival::Automatic(proof)) => {
            let known = [Some(cookie), before.as_ref()].into_iter().flatten();
            let mut of_session = known.filter(|_| proof.session_id == session.session_id);
            match of_session.find(|cookie| cookie.proved_by(&proof)) {
                Some(shown) => Ok(Reconnect::By { cookie: shown.clone(), before: None }),
                // only another client's arrival makes an older cookie void and a newer one present
                None => refused(DetachReason::TakenOver),
            }
        }
        (Reconnect::Void { reason }, Arrival::Automatic(_)) => refused(*reason),
    }
}

/// The attached client gets `fresh`.
fn given(now: &Reconnect, fresh: &Cookie) -> Reconnect {
    let before = match now {
        // said a second time
        Reconnect::By { cookie, .. } if cookie == fresh => return now.clone(),
        Reconnect::By { cookie, .. } => Some(cookie.clone()),
        Reconnect::Never | Reconnect::Void { .. } => None,
    };
    Reconnect::By { cookie: fresh.clone(), before }
}
