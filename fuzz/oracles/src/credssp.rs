//! CredSSP, the server's side, and the reading of its messages off the connection.
//!
//! The first byte of an input chooses who sends the rest: somebody who says just that; somebody who puts it into
//! otherwise good messages; an honest client of which one message is damaged; or one that proves its account honestly
//! and then delegates this.

mod client;

use crate::run;
use client::{Client, Liar, Package};
use openrdms_auth::{Acceptor, AccountLookup, FailureKind, LookupError, NtHash, Realm, Step, request_length};
use openrdms_broker::UserName;
use openrdms_relay::framed::read_ts_request;
use sspi::credssp::TsRequest;
use std::sync::{Arc, LazyLock};

const KEY: &[u8] = b"the bits of the server's public key";
const DOMAIN: &str = "Farm";
const NAME: &str = "alice";
const PASSWORD: &str = "Correct Horse";
static HASH: LazyLock<NtHash> = LazyLock::new(|| NtHash::of(PASSWORD));
static ACCOUNTS: LazyLock<Arc<Accounts>> = LazyLock::new(|| Arc::new(Accounts));

/// No answer of ours is longer, in bytes: neither what a client sends nor how it names itself comes back to it.
const ANSWER_MAX: usize = 1024;
/// More messages than any handshake has.
const ROUNDS: usize = 8;

/// Alice, and nobody else.
struct Accounts;

#[async_trait::async_trait]
impl AccountLookup for Accounts {
    async fn account(&self, domain: &str, user: &str) -> Result<Option<(UserName, NtHash)>, LookupError> {
        assert_eq!(domain, DOMAIN, "only the deployment's own accounts are looked up");
        if !user.eq_ignore_ascii_case(NAME) {
            return Ok(None);
        }
        Ok(Some((UserName::new(DOMAIN, NAME).expect("it is a name"), HASH.clone())))
    }
}

/// One handshake, as far as it goes.
struct Handshake {
    acceptor: Acceptor,
    ended: bool,
}

impl Handshake {
    fn new() -> Self {
        let realm = Realm { deployment: DOMAIN.to_owned(), computer: "host1".to_owned() };
        Self { acceptor: Acceptor::new(KEY.to_vec(), ACCOUNTS.clone(), realm), ended: false }
    }

    /// Takes a message: the answer while the handshake goes on, and who was proved, if somebody was.
    fn step(&mut self, message: &[u8]) -> (Option<TsRequest>, Option<UserName>) {
        let over = std::mem::replace(&mut self.ended, true);
        match run(self.acceptor.step(message)) {
            Ok(Step::Reply(answer)) => {
                assert!(!over, "nothing follows the end");
                self.ended = false;
                (Some(answered(&answer)), None)
            }
            Ok(Step::Done { reply, user, .. }) => {
                assert!(!over, "nothing follows the end");
                reply.iter().for_each(|answer| drop(answered(answer)));
                (None, Some(user))
            }
            Err(failure) => {
                assert_ne!(failure.kind, FailureKind::Bug, "{}", failure.message);
                assert!(!over || failure.reply.is_none(), "who is done with waits for nothing");
                assert!(failure.message.len() < 200, "{}", failure.message);
                assert!(failure.claimed.is_none_or(|name| name.chars().count() <= 128));
                if let Some(answer) = failure.reply {
                    assert!(answered(&answer).error_code.is_some());
                }
                (None, None)
            }
        }
    }
}

/// That an answer is a message that a client can read, and a short one.
#[track_caller]
fn answered(answer: &[u8]) -> TsRequest {
    assert!(answer.len() <= ANSWER_MAX, "an answer of {} bytes", answer.len());
    assert_eq!(request_length(answer), Ok(Some(answer.len())));
    TsRequest::from_buffer(answer).expect("what we send can be read")
}

/// Nobody is proved but who knows the password, whatever is sent; answers are short and can be read; messages are taken
/// off a connection exactly.
pub fn credssp(bytes: &[u8]) -> bool {
    let Some(([who, how], rest)) = bytes.split_first_chunk() else { return false };
    match who & 3 {
        0 => stranger(messages(rest)),
        1 => stranger(wrapped(u32::from(*how), rest)),
        2 => damaged(if how & 4 == 0 { Package::Ntlm } else { Package::Spnego }, how & 3, rest),
        _ => delegated(rest),
    }
}

/// The messages on a connection, as the relay reads them.
fn messages(mut stream: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    loop {
        let before = stream;
        let told = request_length(before);
        let Ok(message) = run(read_ts_request(&mut stream)) else { return messages };
        assert_eq!(
            [&message[..], stream].concat(),
            before,
            "exactly what is there is read, and no byte more"
        );
        assert!(message.len() <= 0x10005);
        // the acceptor counts the header too
        assert!(told == Ok(Some(message.len())) || message.len() > 0x10000, "both take it for as long");
        messages.push(message.to_vec());
        if messages.len() == ROUNDS {
            return messages;
        }
    }
}

/// Tokens, each behind its length, in messages of this version.
fn wrapped(version: u32, mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(([low, high], more)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(more.len());
        let (token, more) = more.split_at(length);
        let request = TsRequest { version, nego_tokens: Some(token.to_vec()), ..TsRequest::default() };
        messages.push(client::bytes(&request));
        if messages.len() == ROUNDS {
            break;
        }
        rest = more;
    }
    messages
}

/// Somebody who knows no challenge when speaking, and so cannot answer it.
fn stranger(messages: Vec<Vec<u8>>) -> bool {
    let mut handshake = Handshake::new();
    let mut answers = 0;
    for message in messages {
        let (answer, user) = handshake.step(&message);
        assert!(user.is_none(), "a stranger is taken for {user:?}");
        answers += usize::from(answer.is_some());
    }
    answers > 0
}

/// An honest client of which one message is damaged: bytes are changed (position, what is flipped), and a cut at the end.
fn damaged(package: Package, which: u8, damage: &[u8]) -> bool {
    let mut handshake = Handshake::new();
    let mut client = Client::new(package);
    let mut answer = TsRequest::default();
    for round in 0..ROUNDS {
        // the client may well have noticed
        let Some(mut message) = client.next(answer) else { return round > 0 };
        if round == usize::from(which) {
            damage_message(&mut message, damage);
        }
        match handshake.step(&message) {
            (Some(next), _) => answer = next,
            (None, Some(user)) => {
                assert_eq!(user.name(), NAME);
                return true;
            }
            (None, None) => {
                assert!(!damage.is_empty(), "an honest client is let in");
                handshake.step(&message);
                return round > 0;
            }
        }
    }
    unreachable!("a handshake ends")
}

fn damage_message(message: &mut Vec<u8>, damage: &[u8]) {
    let (changes, rest) = damage.as_chunks::<3>();
    for [low, high, flip] in changes {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % message.len();
        message[at] ^= flip;
    }
    if let [cut] = rest {
        message.truncate(message.len().saturating_sub(usize::from(*cut)).max(1));
    }
}

/// Somebody who is alice, and delegates this: it is looked at, and the password has to be in it.
fn delegated(info: &[u8]) -> bool {
    let mut handshake = Handshake::new();
    let mut liar = Liar::new();
    let mut message = liar.begin();
    for _ in 0..ROUNDS {
        match handshake.step(&message).0 {
            Some(answer) if answer.pub_key_auth.is_none() => message = liar.authenticate(&answer),
            Some(_) => break,
            None => panic!("who knows the password proves the account"),
        }
    }
    let user = handshake.step(&liar.delegate(info)).1;
    let password: Vec<u8> = PASSWORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    if let Some(user) = &user {
        assert_eq!(user.name(), NAME);
        assert!(
            info.windows(password.len()).any(|part| part == password),
            "who has the hash alone is refused"
        );
    }
    handshake.step(&message);
    user.is_some()
}
