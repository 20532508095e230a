//! The acceptor against a real client: X.224, TLS and CredSSP as far as the client's next message, no more.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "only tests and their helpers")]

use openrdms_auth::{
    Acceptor, AccountLookup, Failure, FailureKind, LookupError, NtHash, Realm, Step, request_length,
};
use openrdms_broker::UserName;
use rcgen::PublicKeyData;
use std::{process::Stdio, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

const PASSWORD: &str = "Pässword-1";

struct OneAccount;

#[async_trait::async_trait]
impl AccountLookup for OneAccount {
    async fn account(&self, domain: &str, user: &str) -> Result<Option<(UserName, NtHash)>, LookupError> {
        let alice = user.eq_ignore_ascii_case("alice");
        Ok(alice.then(|| (UserName::new(domain, "Alice").unwrap(), NtHash::of(PASSWORD))))
    }
}

struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    public_key: Vec<u8>,
}

impl Server {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let public_key = made.signing_key.der_bytes().to_vec();
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, tls: TlsAcceptor::from(Arc::new(config)), public_key }
    }

    /// Serves connections until one has come to CredSSP, and answers how that ended.
    async fn serve(&self, program: &mut Child) -> Result<UserName, Failure> {
        loop {
            let (mut client, _) = tokio::select! {
                accepted = self.listener.accept() => accepted.unwrap(),
                status = program.wait() => panic!("xfreerdp has ended without CredSSP: {status:?}"),
            };
            // X.224 Connection Request, and Confirm with RDP_NEG_RSP: PROTOCOL_HYBRID (MS-RDPBCGR 2.2.1.1, 2.2.1.2)
            let mut header = [0; 4];
            client.read_exact(&mut header).await.unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - 4];
            client.read_exact(&mut rest).await.unwrap();
            let confirm = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 3, 8, 0, 2, 0, 0, 0];
            client.write_all(&confirm).await.unwrap();
            // a client that asks about the certificate first may come again
            if let Ok(tls) = self.tls.accept(client).await {
                return self.authenticate(tls).await;
            }
        }
    }

    async fn authenticate(&self, mut client: TlsStream<TcpStream>) -> Result<UserName, Failure> {
        let realm = Realm { deployment: "Farm".to_owned(), computer: "host1".to_owned() };
        let mut acceptor = Acceptor::new(self.public_key.clone(), Arc::new(OneAccount), realm);
        loop {
            let mut request = Vec::new();
            let length = loop {
                request.push(client.read_u8().await.unwrap());
                if let Some(length) = request_length(&request).unwrap() {
                    break length;
                }
            };
            let head = request.len();
            request.resize(length, 0);
            client.read_exact(&mut request[head..]).await.unwrap();
            let step = acceptor.step(&request).await;
            if let Ok(Step::Reply(reply) | Step::Done { reply: Some(reply), .. })
            | Err(Failure { reply: Some(reply), .. }) = &step
            {
                client.write_all(reply).await.unwrap();
                client.flush().await.unwrap();
            }
            match step {
                Ok(Step::Reply(_)) => {}
                Ok(Step::Done { user, .. }) => {
                    // it goes on: the TPKT header of MCS Connect Initial
                    assert_eq!(client.read_u8().await.unwrap(), 3);
                    return Ok(user);
                }
                Err(failure) => {
                    let _ = client.read_u8().await;
                    return Err(failure);
                }
            }
        }
    }
}

/// A display of our own: this client wants one before it connects.
struct Display {
    name: String,
    _server: Child,
}

impl Display {
    async fn start() -> Option<Self> {
        for number in 90..190 {
            let name = format!(":{number}");
            let mut command = Command::new("Xvfb");
            command.args([&name, "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", "800x600x24"]);
            let mut server = spawn(&mut command)?;
            let mut ready = [0];
            // it says its number when it is ready, and nothing when the number is taken
            if server.stdout.as_mut().unwrap().read(&mut ready).await.unwrap() == 1 {
                return Some(Self { name, _server: server });
            }
        }
        panic!("no display is free");
    }
}

/// Starts a program; `None`, and a note, where it is not installed and this is not CI.
fn spawn(command: &mut Command) -> Option<Child> {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
    match child {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            println!("SKIPPED: {:?} is not installed", command.as_std().get_program());
            None
        }
        child => Some(child.unwrap()),
    }
}

/// Runs the client against the server; answers how the server saw it, and what the client printed.
async fn connect(display: &Display, arguments: &[&str]) -> Option<(Result<UserName, Failure>, String)> {
    let server = Server::start().await;
    let address = server.listener.local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("xfreerdp");
    command.args([&format!("/v:{address}"), "/cert:ignore", "/sec:nla", "/log-level:INFO"]);
    command.args(arguments).env("HOME", home.path()).env("DISPLAY", &display.name);
    let mut client = spawn(&mut command)?;
    let ended = server.serve(&mut client).await;
    // the client may try again: it shall find nobody
    drop(server);
    let output = client.wait_with_output().await.unwrap();
    Some((ended, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()))
}

#[tokio::test]
async fn xfreerdp_gets_in_with_the_right_password() {
    let Some(display) = Display::start().await else { return };
    for user in ["/u:aLICE", "/u:Farm\\alice", "/u:alice@farm"] {
        let Some((ended, printed)) = connect(&display, &[user, &format!("/p:{PASSWORD}")]).await else {
            return;
        };
        let proved = ended.unwrap_or_else(|failure| panic!("{user}: {failure}\n{printed}"));
        assert_eq!(proved.to_string(), "Farm\\Alice");
        assert!(!printed.contains("LOGON_FAILURE"), "{printed}");
    }
}

#[tokio::test]
async fn xfreerdp_is_told_of_a_wrong_password() {
    let Some(display) = Display::start().await else { return };
    for arguments in [["/u:alice", "/p:wrong"], ["/u:mallory", "/p:x"], ["/u:CORP\\alice", "/p:Pässword-1"]]
    {
        let Some((ended, printed)) = connect(&display, &arguments).await else { return };
        assert_eq!(ended.unwrap_err().kind, FailureKind::Denied);
        assert!(printed.contains("ERRCONNECT_LOGON_FAILURE"), "{printed}");
    }
}
