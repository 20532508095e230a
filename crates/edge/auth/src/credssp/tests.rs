//! The acceptor against the NTLM library's own client, and against a client of our own that lies.

use super::*;
use proptest::prelude::*;
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation,
    Ntlm, SecurityBuffer, Sspi, SspiImpl, Username,
    credssp::{ClientMode, ClientState, CredSspClient, CredSspMode, write_ts_credentials},
    negotiate::NegotiateConfig,
    ntlm::NtlmConfig,
};
use std::collections::HashMap;

const KEY: &[u8] = b"the bits of the server's public key";
const ALICE: &str = "Correct Horse";

/// Accounts of the domain `Farm`, found without case.
struct Accounts(HashMap<&'static str, (&'static str, &'static str)>);

#[async_trait::async_trait]
impl AccountLookup for Accounts {
    async fn account(&self, domain: &str, user: &str) -> Result<Option<(UserName, NtHash)>, LookupError> {
        assert_eq!(domain, "Farm");
        if user == "nobody-knows" {
            return Err(LookupError("the store is away".to_owned()));
        }
        let found = self.0.get(user.to_lowercase().as_str());
        Ok(found.map(|(name, password)| (UserName::new(domain, name).unwrap(), NtHash::of(password))))
    }
}

fn acceptor() -> Acceptor {
    let accounts = Accounts(HashMap::from([("alice", ("Alice", ALICE)), ("bob", ("bob", "bob's password"))]));
    let realm = Realm { deployment: "Farm".to_owned(), computer: "host1".to_owned() };
    Acceptor::new(KEY.to_vec(), Arc::new(accounts), realm)
}

#[derive(Clone, Copy, Debug)]
enum Package {
    Ntlm,
    Spnego,
}

fn client(package: Package, name: &str, password: &str, version: u32, mode: CredSspMode) -> CredSspClient {
    let identity =
        AuthIdentity { username: Username::parse(name).unwrap(), password: password.to_owned().into() };
    let ntlm = NtlmConfig::new("client".to_owned());
    let package = match package {
        Package::Ntlm => ClientMode::Ntlm(ntlm),
        Package::Spnego => ClientMode::Negotiate(NegotiateConfig::new(
            Box::new(ntlm),
            Some("ntlm,!kerberos,!pku2u".to_owned()),
            "client".to_owned(),
        )),
    };
    let target = "TERMSRV/host1".to_owned();
    CredSspClient::new_with_version(KEY.to_vec(), identity.into(), mode, version, package, target).unwrap()
}

/// Runs a handshake to its end. A client that gives up by itself is a test that has gone wrong.
async fn handshake(acceptor: &mut Acceptor, mut client: CredSspClient) -> Result<Step, Failure> {
    let mut request = TsRequest::default();
    loop {
        let state = client.process(std::mem::take(&mut request)).resolve_to_result().unwrap();
        let (ClientState::ReplyNeeded(sent) | ClientState::FinalMessage(sent)) = state;
        match acceptor.step(&bytes(&sent)).await? {
            Step::Reply(reply) => request = TsRequest::from_buffer(&reply).unwrap(),
            done => return Ok(done),
        }
    }
}

fn bytes(request: &TsRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode_ts_request(&mut bytes).unwrap();
    assert_eq!(request_length(&bytes), Ok(Some(bytes.len())));
    bytes
}

fn error_code(failure: &Failure) -> Option<u32> {
    let reply = failure.reply.as_ref()?;
    Some(TsRequest::from_buffer(reply).unwrap().error_code.unwrap().0)
}

#[tokio::test]
async fn the_right_password_proves_the_account_however_it_is_spelled() {
    for package in [Package::Ntlm, Package::Spnego] {
        for name in ["alice", "ALICE", "farm\\Alice", "HOST1\\alice", "alice@farm"] {
            for version in [5, 6] {
                let client = client(package, name, ALICE, version, CredSspMode::WithCredentials);
                let done = handshake(&mut acceptor(), client).await;
                let Ok(Step::Done { user, reply: None, .. }) = done else {
                    panic!("{package:?} {name} {version}: {done:?}")
                };
                assert_eq!(user.to_string(), "Farm\\Alice");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_account_fail_alike() {
    for package in [Package::Ntlm, Package::Spnego] {
        let mut failures = Vec::new();
        for (name, password) in
            [("alice", "wrong"), ("mallory", ALICE), ("CORP\\alice", ALICE), ("bob", ALICE)]
        {
            let client = client(package, name, password, 6, CredSspMode::WithCredentials);
            let mut failure = handshake(&mut acceptor(), client).await.unwrap_err();
            assert_eq!(failure.claimed.take().unwrap(), name);
            assert_eq!(error_code(&failure), Some(STATUS_LOGON_FAILURE));
            assert_eq!(failure.kind, FailureKind::Denied);
            failures.push(failure);
        }
        assert!(failures.windows(2).all(|pair| pair[0] == pair[1]), "{failures:?}");
    }
}

#[tokio::test]
async fn an_error_code_is_sent_to_versions_that_know_it() {
    for (version, known) in [(2, false), (3, true), (4, true), (5, false), (6, true)] {
        let client = client(Package::Ntlm, "alice", "wrong", version, CredSspMode::WithCredentials);
        let failure = handshake(&mut acceptor(), client).await.unwrap_err();
        assert_eq!(failure.reply.is_some(), known, "version {version}");
    }
}

#[tokio::test]
async fn a_lookup_that_fails_is_not_a_wrong_password() {
    let client = client(Package::Ntlm, "nobody-knows", "x", 6, CredSspMode::WithCredentials);
    let failure = handshake(&mut acceptor(), client).await.unwrap_err();
    assert_eq!(
        (failure.kind, error_code(&failure)),
        (FailureKind::Unavailable, Some(STATUS_NO_LOGON_SERVERS))
    );
}

#[tokio::test]
async fn another_public_key_means_somebody_in_the_middle() {
    for version in [2, 4, 5, 6] {
        let mut acceptor = acceptor();
        acceptor.public_key.push(0);
        let mut liar = Liar { version, ..Liar::new("alice", ALICE) };
        let failure = liar.bind(&mut acceptor).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.message.contains("in the middle"), "{}", failure.message);
    }
}

#[tokio::test]
async fn restricted_admin_mode_is_refused() {
    for package in [Package::Ntlm, Package::Spnego] {
        let client = client(package, "alice", ALICE, 6, CredSspMode::CredentialLess);
        let failure = handshake(&mut acceptor(), client).await.unwrap_err();
        assert_eq!((failure.kind, failure.reply), (FailureKind::Invalid, None));
        assert!(failure.message.contains("restricted admin"), "{}", failure.message);
    }
}

/// A client whose every part can lie: it knows only the hash that `secret` stands for (a password, or the hash in
/// the library's notation), and delegates whatever it likes.
struct Liar {
    ntlm: Ntlm,
    credentials: Option<AuthIdentityBuffers>,
    spnego: Option<Vec<u8>>,
    version: u32,
}

impl Liar {
    fn new(name: &str, secret: &str) -> Self {
        let identity =
            AuthIdentity { username: Username::parse(name).unwrap(), password: secret.to_owned().into() };
        let mut ntlm = Ntlm::with_config(NtlmConfig::new("client".to_owned()));
        let credentials = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&identity)
            .execute(&mut ntlm)
            .unwrap()
            .credentials_handle;
        Self { ntlm, credentials, spnego: None, version: 6 }
    }

    fn token(&mut self, challenge: &[u8]) -> Vec<u8> {
        let mut input = [SecurityBuffer::new(challenge.to_vec(), BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = self
            .ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut self.credentials)
            .with_context_requirements(ClientRequestFlags::INTEGRITY | ClientRequestFlags::CONFIDENTIALITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name("TERMSRV/host1")
            .with_input(&mut input)
            .with_output(&mut output);
        self.ntlm.initialize_security_context_impl(&mut builder).unwrap().resolve_to_result().unwrap();
        let [output] = output;
        output.buffer
    }

    async fn ask(&self, acceptor: &mut Acceptor, request: TsRequest) -> Result<TsRequest, Failure> {
        ask(acceptor, TsRequest { version: self.version, ..request }).await
    }

    /// What the client seals, or expects sealed: since version 5 a hash, before that the key, and the key plus one.
    fn binding(&self, magic: &[u8]) -> Vec<u8> {
        if self.version >= 5 {
            return digest::digest(&digest::SHA256, &[magic, &NONCE, KEY].concat()).as_ref().to_vec();
        }
        let mut key = KEY.to_vec();
        key[0] += u8::from(magic == SERVER_BINDING);
        key
    }

    /// Goes as far as Bound, with NTLM in the open, or in SPNEGO behind another mechanism where a list is set.
    async fn bind(&mut self, acceptor: &mut Acceptor) -> Result<Seal, Failure> {
        let mut negotiate = self.token(&[]);
        if let Some(mech_list) = self.spnego.clone() {
            let reply = self.ask(acceptor, request(Some(spnego_init(&mech_list)), None)).await?;
            assert_eq!(
                reply.nego_tokens.unwrap()[..9],
                [0xa1, 0x15, 0x30, 0x13, 0xa0, 3, 10, 1, 3],
                "request-mic"
            );
            negotiate = spnego::write_response(NegState::Incomplete, Mech::Unsaid, Some(&negotiate), None);
        }
        let reply = self.ask(acceptor, request(Some(negotiate), None)).await?.nego_tokens.unwrap();
        let challenge = if self.spnego.is_some() {
            spnego::read_response(&reply).unwrap().token.unwrap()
        } else {
            &reply
        };
        let mut authenticate = self.token(challenge);
        let mut seal = Seal::client(self.ntlm.query_context_session_key().unwrap().session_key.as_ref());
        if let Some(mech_list) = &self.spnego {
            let mic = seal.mic(mech_list);
            authenticate =
                spnego::write_response(NegState::Incomplete, Mech::Unsaid, Some(&authenticate), Some(&mic));
            let reply = self.ask(acceptor, request(Some(authenticate), None)).await?.nego_tokens.unwrap();
            seal.check_mic(mech_list, spnego::read_response(&reply).unwrap().mic.unwrap()).unwrap();
            let reply =
                self.ask(acceptor, request(None, Some(seal.seal(&self.binding(CLIENT_BINDING))))).await?;
            assert_eq!(*seal.open(&reply.pub_key_auth.unwrap()).unwrap(), self.binding(SERVER_BINDING));
        } else {
            let reply = self
                .ask(acceptor, request(Some(authenticate), Some(seal.seal(&self.binding(CLIENT_BINDING)))))
                .await?;
            assert_eq!(*seal.open(&reply.pub_key_auth.unwrap()).unwrap(), self.binding(SERVER_BINDING));
        }
        Ok(seal)
    }

    /// Proves one account and delegates these credentials.
    async fn delegate(&mut self, acceptor: &mut Acceptor, info: &[u8]) -> Result<Step, Failure> {
        let mut seal = self.bind(acceptor).await?;
        let auth_info = Some(seal.seal(info));
        acceptor.step(&bytes(&TsRequest { auth_info, version: self.version, ..request(None, None) })).await
    }
}

const NONCE: [u8; 32] = [9; 32];

fn request(nego_tokens: Option<Vec<u8>>, pub_key_auth: Option<Vec<u8>>) -> TsRequest {
    TsRequest { nego_tokens, pub_key_auth, client_nonce: Some(NONCE), ..TsRequest::default() }
}

async fn ask(acceptor: &mut Acceptor, request: TsRequest) -> Result<TsRequest, Failure> {
    match acceptor.step(&bytes(&request)).await? {
        Step::Reply(reply) => Ok(TsRequest::from_buffer(&reply).unwrap()),
        done => panic!("{done:?}"),
    }
}

fn spnego_init(mech_list: &[u8]) -> Vec<u8> {
    let ticket = der::write(0xa2, &der::write(4, b"a ticket for Kerberos"));
    let body = [der::write(0xa0, mech_list), ticket].concat();
    let body = der::write(0xa0, &der::write(0x30, &body));
    der::write(0x60, &[&[6, 6, 0x2b, 6, 1, 5, 5, 2], &body[..]].concat())
}

fn credentials(domain: &str, user: &str, password: &str) -> Vec<u8> {
    let identity = CredentialsBuffers::AuthIdentity(AuthIdentityBuffers::from_utf8(user, domain, password));
    write_ts_credentials(&identity, CredSspMode::WithCredentials).unwrap()
}

#[tokio::test]
async fn nobody_is_who_they_claim_but_who_they_proved() {
    let bob = "bob's password";
    let honest = Liar::new("bob", bob).delegate(&mut acceptor(), &credentials("", "BOB", bob)).await.unwrap();
    let (user, password) = (UserName::new("farm", "bob").unwrap(), Password::new(bob.to_owned().into()));
    assert_eq!(honest, Step::Done { reply: None, user, password });
    assert!(!format!("{honest:?}").contains(bob), "it is shown by nothing");
    for (domain, user, password) in [
        ("", "alice", ALICE),
        ("", "alice", bob),
        ("CORP", "bob", bob),
        ("", "bob", "guess"),
        ("", "a/b", bob),
    ] {
        let lie = credentials(domain, user, password);
        let failure = Liar::new("bob", bob).delegate(&mut acceptor(), &lie).await.unwrap_err();
        assert_eq!((failure.kind, failure.reply), (FailureKind::Denied, None), "{domain}\\{user}");
        assert_eq!(failure.claimed.as_deref(), Some("bob"));
    }
}

#[tokio::test]
async fn clients_from_before_the_nonce_are_served() {
    for version in [2, 3, 4] {
        let mut liar = Liar { version, ..Liar::new("alice", ALICE) };
        let done = liar.delegate(&mut acceptor(), &credentials("", "alice", ALICE)).await.unwrap();
        assert!(matches!(done, Step::Done { .. }));
    }
    let mut liar = Liar { version: 1, ..Liar::new("alice", ALICE) };
    assert_eq!(liar.bind(&mut acceptor()).await.unwrap_err().kind, FailureKind::Invalid);
}

#[tokio::test]
async fn a_stolen_hash_alone_is_not_enough() {
    let hex: String = NtHash::of(ALICE).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
    let stolen = format!("{}{hex}", sspi::NTLM_HASH_PREFIX);
    for delegated in ["", "guess", &stolen] {
        let info = credentials("", "alice", delegated);
        Liar::new("alice", &stolen).bind(&mut acceptor()).await.expect("NTLM itself takes a hash");
        Liar::new("alice", &stolen).delegate(&mut acceptor(), &info).await.unwrap_err();
    }
}

#[tokio::test]
async fn smart_cards_credential_guard_and_rubbish_are_refused_without_panic() {
    let of_type = |kind: u8| {
        let kind = der::write(0xa0, &der::write(2, &[kind]));
        der::write(0x30, &[kind, der::write(0xa1, &der::write(4, b"\x30\x00"))].concat())
    };
    for info in [of_type(1), of_type(2), of_type(6), Vec::new(), b"rubbish".to_vec()] {
        let failure = Liar::new("alice", ALICE).delegate(&mut acceptor(), &info).await.unwrap_err();
        assert_eq!((failure.kind, failure.reply), (FailureKind::Invalid, None), "{info:02x?}");
    }
}

#[tokio::test]
async fn a_client_that_would_rather_have_kerberos_is_led_to_ntlm() {
    let oids: [&[u8]; 2] = [
        &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 0x01, 0x02, 0x02],
        &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
    ];
    let mech_list = der::write(0x30, &oids.map(|oid| der::write(6, oid)).concat());
    let liar = || Liar { spnego: Some(mech_list.clone()), ..Liar::new("alice", ALICE) };
    let done = liar().delegate(&mut acceptor(), &credentials("farm", "alice", ALICE)).await.unwrap();
    assert!(matches!(done, Step::Done { .. }));

    // the list was changed on its way: the MIC is over another one, or was cut off
    for mic_over in [Some(&b"another list"[..]), None] {
        let mut liar = liar();
        let mut acceptor = acceptor();
        let negotiate = liar.token(&[]);
        ask(&mut acceptor, request(Some(spnego_init(&mech_list)), None)).await.unwrap();
        let negotiate = spnego::write_response(NegState::Incomplete, Mech::Unsaid, Some(&negotiate), None);
        let reply = ask(&mut acceptor, request(Some(negotiate), None)).await.unwrap().nego_tokens.unwrap();
        let authenticate = liar.token(spnego::read_response(&reply).unwrap().token.unwrap());
        let mut seal = Seal::client(liar.ntlm.query_context_session_key().unwrap().session_key.as_ref());
        let mic = mic_over.map(|list| seal.mic(list));
        let mic = mic.as_ref().map(<[u8; 16]>::as_slice);
        let answer = spnego::write_response(NegState::Incomplete, Mech::Unsaid, Some(&authenticate), mic);
        let failure = ask(&mut acceptor, request(Some(answer), None)).await.unwrap_err();
        assert!(failure.message.contains("mechListMIC"), "{}", failure.message);
    }
}

#[tokio::test]
async fn weak_ntlm_is_refused() {
    for bit in [4, 5, 19, 29, 30] {
        let mut liar = Liar::new("alice", ALICE);
        let mut acceptor = acceptor();
        let negotiate = liar.token(&[]);
        let challenge =
            ask(&mut acceptor, request(Some(negotiate), None)).await.unwrap().nego_tokens.unwrap();
        let mut authenticate = liar.token(&challenge);
        assert_eq!(
            authenticate[60 + bit / 8] & (1 << (bit % 8)),
            1 << (bit % 8),
            "the client has flag {bit}"
        );
        authenticate[60 + bit / 8] &= !(1 << (bit % 8));
        let failure = ask(&mut acceptor, request(Some(authenticate), Some(vec![0; 48]))).await.unwrap_err();
        assert!(failure.message.contains("weak"), "{}", failure.message);
    }
}

#[tokio::test]
async fn nothing_follows_a_failed_or_a_dropped_step() {
    let mut acceptor = acceptor();
    acceptor.step(b"rubbish").await.unwrap_err();
    let negotiate = Liar::new("alice", ALICE).token(&[]);
    let over = acceptor.step(&bytes(&request(Some(negotiate.clone()), None))).await.unwrap_err();
    assert_eq!(
        (over.kind, over.reply, over.message.as_str()),
        (FailureKind::Invalid, None, "the handshake is over")
    );
}

#[tokio::test]
async fn a_client_may_not_change_its_version() {
    let mut acceptor = acceptor();
    let mut liar = Liar::new("alice", ALICE);
    let challenge =
        ask(&mut acceptor, request(Some(liar.token(&[])), None)).await.unwrap().nego_tokens.unwrap();
    let older = TsRequest { version: 2, ..request(Some(liar.token(&challenge)), Some(vec![0; 48])) };
    let failure = acceptor.step(&bytes(&older)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Invalid);
}

/// Everything that is traced while it is the default.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_library_writes_nothing_into_our_logs() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let dispatch = tracing::Dispatch::new(subscriber);
    for package in [Package::Ntlm, Package::Spnego] {
        for (mut acceptor, request) in recorded(package) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            tracing::dispatcher::with_default(&dispatch, || {
                // what was passed first while nobody listened is remembered as not listened to
                tracing::callsite::rebuild_interest_cache();
                runtime.block_on(acceptor.step(&request)).unwrap();
            });
        }
    }
    let printed = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(!printed.contains("sspi") && !printed.contains(ALICE), "{printed}");
    tracing::dispatcher::with_default(&dispatch, || tracing::trace!("heard"));
    assert!(String::from_utf8_lossy(&log.0.lock().unwrap()).contains("heard"));
}

/// The requests of an honest client, each with the acceptor as it is before that request.
fn recorded(package: Package) -> Vec<(Acceptor, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut recorded = Vec::new();
    for stop in 0..4 {
        let (mut acceptor, mut request) = (acceptor(), TsRequest::default());
        let mut client = client(package, "alice", ALICE, 6, CredSspMode::WithCredentials);
        for step in 0.. {
            let Ok(ClientState::ReplyNeeded(sent) | ClientState::FinalMessage(sent)) =
                client.process(std::mem::take(&mut request)).resolve_to_result()
            else {
                break;
            };
            if step == stop {
                recorded.push((acceptor, bytes(&sent)));
                break;
            }
            match runtime.block_on(acceptor.step(&bytes(&sent))).unwrap() {
                Step::Reply(reply) => request = TsRequest::from_buffer(&reply).unwrap(),
                Step::Done { .. } => break,
            }
        }
    }
    assert!(recorded.len() >= 3, "{package:?}: {}", recorded.len());
    recorded
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is damaged, wherever: no panic gets out, and nobody gets in.
    #[test]
    fn damaged_requests_neither_panic_nor_prove_anything(
        spnego in any::<bool>(),
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut recorded = recorded(if spnego { Package::Spnego } else { Package::Ntlm });
        let which = which.index(recorded.len());
        let (mut acceptor, mut bytes) = recorded.swap_remove(which);
        for (at, xor) in edits {
            let at = at.index(bytes.len());
            bytes[at] ^= xor;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let before = matches!(acceptor.state, State::Bound { .. });
        if let Ok(Step::Done { user, .. }) = runtime.block_on(acceptor.step(&bytes)) {
            // edits that undo each other, or hit what nobody reads (the nonce of the last request)
            prop_assert!(before && user.name() == "Alice");
        }
    }

    #[test]
    fn random_tokens_do_not_panic(token in prop::collection::vec(any::<u8>(), 0..300), ntlm in any::<bool>()) {
        let token = if ntlm { [b"NTLMSSP\0\x01\0\0\0", &token[..]].concat() } else { token };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut acceptor = acceptor();
        let _ = runtime.block_on(acceptor.step(&bytes(&request(Some(token), None))));
    }
}

#[test]
fn a_handshake_may_run_in_a_spawned_task() {
    fn is_send(_: impl Send) {}
    let mut acceptor = acceptor();
    is_send(acceptor.step(&[]));
    is_send(acceptor);
}
