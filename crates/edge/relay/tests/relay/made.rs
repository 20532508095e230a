//! A client and a desktop made in Rust: as much of RDP as the relay needs on either side.

use crate::{
    fakes::{Certificate, LONG, Running},
    fixture,
};
use openrdms_broker::Endpoint;
use openrdms_rdp::{
    ChannelIds,
    accept::{AcceptStep, Accepted, Accepting},
    connect::{ConnectStep, Connecting},
    frame_len,
    mcs::ConnectInitial,
    x224::{ConnectionConfirm, ConnectionRequest, Protocols},
};
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use std::sync::Arc;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener, UnixStream},
    time::timeout,
};

pub(crate) type ClientTls = tokio_rustls::client::TlsStream<TcpStream>;
pub(crate) type DesktopTls = tokio_rustls::server::TlsStream<UnixStream>;

/// A desktop on a Unix socket.
pub(crate) struct Desktop {
    listener: UnixListener,
    tls: Arc<rustls::ServerConfig>,
    dir: tempfile::TempDir,
    pub(crate) sha256: [u8; 32],
    /// The protocol that it says it takes, whatever it speaks then.
    pub(crate) selects: Protocols,
}

/// Reads a whole frame.
pub(crate) async fn frame<R: AsyncRead + Unpin>(stream: &mut R) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match frame_len(&bytes).unwrap() {
            Some(length) if length == bytes.len() => return bytes,
            _ => bytes.push(timeout(LONG, stream.read_u8()).await.unwrap().unwrap()),
        }
    }
}

/// Everything until the peer closes; how it closes does not matter.
pub(crate) async fn rest<R: AsyncRead + Unpin>(stream: &mut R) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the peer closes");
    bytes
}

impl Desktop {
    pub(crate) fn new() -> Self {
        Self::speaking(rustls::ALL_VERSIONS)
    }

    /// One that knows only these versions of TLS.
    pub(crate) fn speaking(versions: &[&'static rustls::SupportedProtocolVersion]) -> Self {
        let certificate = Certificate::new("desktop.test");
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("rdp.sock")).unwrap();
        let key = PrivatePkcs8KeyDer::from(certificate.key.clone()).into();
        let tls = rustls::ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der.clone().into()], key)
            .unwrap();
        Self { listener, tls: Arc::new(tls), dir, sha256: certificate.sha256, selects: Protocols::SSL }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        let uid = rustix::process::geteuid().as_raw();
        Endpoint::Unix { path: self.dir.path().join("rdp.sock"), uid }
    }

    /// Accepts a connection without doing anything with it.
    pub(crate) async fn silent(&self) -> UnixStream {
        timeout(LONG, self.listener.accept()).await.unwrap().unwrap().0
    }

    /// The desktop's side of TLS.
    pub(crate) async fn tls(&self, plain: UnixStream) -> std::io::Result<DesktopTls> {
        tokio_rustls::TlsAcceptor::from(self.tls.clone()).accept(plain).await
    }

    /// Serves a connection up to and including Client Info.
    pub(crate) async fn serve(&self) -> (DesktopTls, ConnectionRequest, Accepted) {
        let mut plain = self.silent().await;
        let request = ConnectionRequest::parse(&frame(&mut plain).await).unwrap();
        plain.write_all(&ConnectionConfirm::encode(self.selects)).await.unwrap();
        let mut stream = self.tls(plain).await.unwrap();
        let mut state = Accepting::new(request.protocols.unwrap(), Protocols::SSL);
        loop {
            match state.step(&frame(&mut stream).await).unwrap() {
                AcceptStep::Next { reply, state: next } => {
                    stream.write_all(&reply).await.unwrap();
                    stream.flush().await.unwrap();
                    state = next;
                }
                AcceptStep::Done(accepted) => return (stream, request, *accepted),
            }
        }
    }
}

/// A client that trusts everybody.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connects and asks for `protocols`; `before` goes first.
pub(crate) async fn negotiate(relay: &Running, before: &[u8], protocols: u32) -> (TcpStream, Vec<u8>) {
    let mut tcp = TcpStream::connect(relay.addr).await.unwrap();
    let request = ConnectionRequest::encode("alice", Protocols(protocols));
    tcp.write_all(&[before, &request].concat()).await.unwrap();
    let confirm = frame(&mut tcp).await;
    (tcp, confirm)
}

pub(crate) async fn tls(tcp: TcpStream) -> ClientTls {
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    let name = ServerName::try_from("relay").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// The rest of the handshake, up to the last join, once Connect Initial has been sent.
pub(crate) async fn mcs(stream: &mut ClientTls, client: &fixture::Client) -> ChannelIds {
    let initial = ConnectInitial::parse(&client.connect_initial()).unwrap();
    let mut state = Connecting::Response { channels: initial.blocks.channels.len() };
    loop {
        match state.step(&frame(stream).await).unwrap() {
            ConnectStep::Next { send, state: next } => {
                stream.write_all(&send).await.unwrap();
                stream.flush().await.unwrap();
                state = next;
            }
            ConnectStep::Done(ids) => return ids,
        }
    }
}

/// A whole logon by TLS, up to Client Info.
pub(crate) async fn log_on(
    relay: &Running,
    client: &fixture::Client,
    user: &str,
    password: &str,
) -> ClientTls {
    log_on_with(relay, client, |initiator| fixture::client_info(initiator, "TEST", user, password)).await
}

/// The same with another Client Info, made for the client's user channel.
pub(crate) async fn log_on_with(
    relay: &Running,
    client: &fixture::Client,
    info: impl FnOnce(u16) -> Vec<u8>,
) -> ClientTls {
    let (tcp, confirm) = negotiate(relay, &[], 1).await;
    assert_eq!(ConnectionConfirm::parse(&confirm).unwrap().selected, Protocols::SSL);
    let mut stream = tls(tcp).await;
    stream.write_all(&client.connect_initial()).await.unwrap();
    let ids = mcs(&mut stream, client).await;
    stream.write_all(&info(ids.user)).await.unwrap();
    stream.flush().await.unwrap();
    stream
}
