//! Stand-ins for the broker and the accounts, and a relay on a port of its own.

use openrdms_broker::{
    ConnectionId, Cookie, Endpoint, Password, SessionUid, UserName,
    ports::{
        Admission, AttachRequest, Attached, Attachment, Front, KillSwitch, Refusal, Told,
        front::{ConnectionEnd, DesktopLogon},
    },
};
use openrdms_relay::{
    Authenticator, Credssp, CredsspFailure, CredsspStep, LogonFailure, Relay, RelayConfig, SharedIdentity,
    TlsIdentity,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub(crate) const LONG: Duration = Duration::from_secs(20);
/// The `SessionId` of every session.
pub(crate) const SESSION_ID: u32 = 77;

/// What the relay did, in the order in which it did it.
#[derive(Debug)]
pub(crate) enum Seen {
    Attach(Box<AttachRequest>, KillSwitch),
    Activated(Cookie),
    Input,
    Dismissed(Told),
    Closed(ConnectionEnd),
    /// The attachment was dropped without `closed`.
    Dropped,
}

/// The broker: admits everybody to one desktop, or refuses.
pub(crate) struct Broker {
    pub(crate) desktop: Mutex<Result<(Endpoint, [u8; 32]), Refusal>>,
    pub(crate) activation: Mutex<Result<(), Refusal>>,
    pub(crate) logon: Mutex<DesktopLogon>,
    seen: mpsc::Sender<Seen>,
}

struct Probe {
    seen: mpsc::Sender<Seen>,
    activation: Result<(), Refusal>,
    closed: bool,
}

/// The accounts: `alice` with `secret`, and a CredSSP of two rounds.
struct Accounts;

struct TwoRounds(u8);

pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: mpsc::Receiver<Seen>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

/// A certificate with its key, as DER and as PEM.
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) pem: (String, String),
    pub(crate) sha256: [u8; 32],
}

#[async_trait::async_trait]
impl Front for Broker {
    async fn attach(&self, request: AttachRequest) -> Result<Admission, Refusal> {
        let kill = KillSwitch::new();
        self.seen.try_send(Seen::Attach(Box::new(request), kill.clone())).unwrap();
        let (endpoint, certificate_sha256) = self.desktop.lock().unwrap().clone()?;
        let probe =
            Probe { seen: self.seen.clone(), activation: *self.activation.lock().unwrap(), closed: false };
        Ok(Admission {
            session: SessionUid(uuid::Uuid::new_v4()),
            endpoint,
            certificate_sha256,
            desktop_user: "desk".to_owned(),
            logon: *self.logon.lock().unwrap(),
            kill,
            attachment: Box::new(probe),
        })
    }
}

#[async_trait::async_trait]
impl Attachment for Probe {
    async fn activated(&mut self, cookie: &Cookie) -> Result<Attached, Refusal> {
        self.seen.try_send(Seen::Activated(cookie.clone())).unwrap();
        self.activation.map(|()| Attached { session_id: SESSION_ID })
    }

    fn input(&mut self, _ago: Duration) {
        self.seen.try_send(Seen::Input).unwrap();
    }

    fn dismissed(&mut self, told: Told) {
        self.seen.try_send(Seen::Dismissed(told)).unwrap();
    }

    async fn closed(mut self: Box<Self>, end: ConnectionEnd) {
        self.closed = true;
        self.seen.try_send(Seen::Closed(end)).unwrap();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.closed {
            let _ = self.seen.try_send(Seen::Dropped);
        }
    }
}

#[async_trait::async_trait]
impl Authenticator for Accounts {
    async fn password(
        &self,
        _domain: &str,
        user: &str,
        password: Zeroizing<String>,
        _peer: IpAddr,
    ) -> Result<UserName, LogonFailure> {
        match (user, password.as_str()) {
            ("alice", "secret") => Ok(UserName::new("TEST", user).unwrap()),
            ("busy", _) => Err(LogonFailure::Busy),
            _ => Err(LogonFailure::Denied),
        }
    }

    fn credssp(&self, public_key: &[u8], _peer: IpAddr) -> Box<dyn Credssp> {
        assert!(!public_key.is_empty());
        Box::new(TwoRounds(0))
    }
}

#[async_trait::async_trait]
impl Credssp for TwoRounds {
    async fn step(&mut self, ts_request: &[u8]) -> Result<CredsspStep, CredsspFailure> {
        self.0 += 1;
        match (self.0, ts_request) {
            (_, [0x30, 1, 0xff]) => {
                Err(CredsspFailure { reply: Some(vec![0x30, 1, 0xee]), message: "said no".to_owned() })
            }
            (1, [0x30, 1, 1]) => Ok(CredsspStep::Reply(vec![0x30, 1, 0x81])),
            (2, [0x30, 1, 2]) => {
                let password = Password::new("delegated".to_owned().into());
                Ok(CredsspStep::Done { reply: None, user: UserName::new("TEST", "alice").unwrap(), password })
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

impl Certificate {
    pub(crate) fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let der = made.cert.der().to_vec();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        Self {
            sha256: digest.as_ref().try_into().unwrap(),
            key: made.signing_key.serialize_der(),
            pem: (made.cert.pem(), made.signing_key.serialize_pem()),
            der,
        }
    }

    pub(crate) fn identity(&self) -> TlsIdentity {
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        TlsIdentity::new(vec![self.der.clone().into()], key).unwrap()
    }
}

impl Running {
    /// Starts a relay whose only desktop is this one.
    pub(crate) async fn start(config: RelayConfig, desktop: Result<(Endpoint, [u8; 32]), Refusal>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, seen) = mpsc::channel(256);
        let broker = Arc::new(Broker {
            desktop: Mutex::new(desktop),
            activation: Mutex::new(Ok(())),
            logon: Mutex::new(DesktopLogon::Nothing),
            seen: sender,
        });
        let identity = SharedIdentity::new(Certificate::new("relay.test").identity());
        let shutdown = CancellationToken::new();
        let relay = Relay::new(config, identity, broker.clone(), Arc::new(Accounts));
        let task = tokio::spawn(relay.serve(listener, shutdown.clone()));
        Self { addr, seen, broker, shutdown, task }
    }

    /// The next thing the relay does, input apart.
    pub(crate) async fn next(&mut self) -> Seen {
        loop {
            match timeout(LONG, self.seen.recv()).await.expect("the relay does something").unwrap() {
                Seen::Input => {}
                other => return other,
            }
        }
    }

    /// Waits for a connection that has been given a desktop.
    pub(crate) async fn attached(&mut self) -> (ConnectionId, KillSwitch) {
        match self.next().await {
            Seen::Attach(request, kill) => (request.connection, kill),
            other => panic!("not an attach: {other:?}"),
        }
    }

    /// Waits for the desktop's first Demand Active; the cookie that the client shall have.
    pub(crate) async fn activated(&mut self) -> Cookie {
        match self.next().await {
            Seen::Activated(cookie) => cookie,
            other => panic!("not active: {other:?}"),
        }
    }

    /// Waits for the end of a client that was made to go.
    pub(crate) async fn dismissed(&mut self) -> Told {
        match self.next().await {
            Seen::Dismissed(told) => told,
            other => panic!("not dismissed: {other:?}"),
        }
    }

    /// Waits for the end of a connection.
    pub(crate) async fn closed(&mut self) -> ConnectionEnd {
        loop {
            match self.next().await {
                Seen::Dismissed(_) => {}
                Seen::Closed(end) => return end,
                other => panic!("not an end: {other:?}"),
            }
        }
    }
}
