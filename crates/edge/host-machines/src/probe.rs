//! Asking an RDP server who it is: the negotiation of MS-RDPBCGR 1.3.1.1 up to TLS, and then goodbye. No more of the
//! protocol is spoken, so the other side begins no session.

use openrdms_broker::Address;
use openrdms_rdp::connect::Connecting;
use openrdms_rdp::x224::{ConnectionConfirm, ConnectionRequest};
use openrdms_rdp::{MAX_HANDSHAKE_FRAME, RdpError, frame_len};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

/// What we call ourselves in the server's log.
const COOKIE: &str = "openrdms";
/// `HYBRID_REQUIRED_BY_SERVER` and `HYBRID_EX`'s like (MS-RDPBCGR 2.2.1.2.2).
const HYBRID_REQUIRED: u32 = 5;

/// Why an address is no machine that clients could be led to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("nobody answers")]
    Unreachable(#[source] io::Error),
    #[error("whoever answers closed the connection")]
    Closed(#[source] io::Error),
    #[error("whoever answers does not speak rdp")]
    Protocol(#[from] RdpError),
    #[error(
        "its rdp server insists on network level authentication, which is not spoken to machines yet: let it allow tls alone"
    )]
    WantsNla,
    #[error("its rdp server does not offer tls")]
    NoTls,
    #[error("its tls is not acceptable")]
    Tls(#[source] io::Error),
}

/// SHA-256 of the DER of the certificate that an RDP server shows, and has the key of.
pub(crate) async fn certificate(address: &Address) -> Result<[u8; 32], ProbeError> {
    let places = resolve(address).await.map_err(ProbeError::Unreachable)?;
    let mut plain = TcpStream::connect(&places[..]).await.map_err(ProbeError::Unreachable)?;
    let request = ConnectionRequest::encode(COOKIE, Connecting::PROTOCOLS);
    plain.write_all(&request).await.map_err(ProbeError::Closed)?;
    let confirm = read_frame(&mut plain).await.map_err(ProbeError::Closed)?;
    match ConnectionConfirm::parse(&confirm) {
        Ok(confirm) if confirm.selected == Connecting::PROTOCOLS => {}
        Ok(_) => return Err(ProbeError::NoTls),
        Err(RdpError::Refused { code: HYBRID_REQUIRED, .. }) => return Err(ProbeError::WantsNla),
        Err(RdpError::Refused { .. }) => return Err(ProbeError::NoTls),
        Err(error) => return Err(error.into()),
    }
    let tls = |error: Error| ProbeError::Tls(io::Error::other(error));
    // never sent nor compared
    let name = ServerName::try_from("machine").map_err(|error| ProbeError::Tls(io::Error::other(error)))?;
    let connector = TlsConnector::from(Arc::new(config().map_err(tls)?));
    let mut stream = connector.connect(name, plain).await.map_err(ProbeError::Tls)?;
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let shown = shown.ok_or_else(|| tls(Error::NoCertificatesPresented))?;
    let digest = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, shown);
    let sha256 = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
    // whoever is gone by now has answered all the same
    let _ = stream.shutdown().await;
    Ok(sha256)
}

/// The addresses of a name. The system's look-ups cannot be called off, and each takes a thread: so there are a few at once,
/// and one that nobody waits for any more counts until it has ended.
async fn resolve(address: &Address) -> io::Result<Vec<SocketAddr>> {
    static LOOK_UPS: Semaphore = Semaphore::const_new(16);
    if let Ok(ip) = address.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let place = (address.host().to_owned(), address.port());
    let permit = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let looked_up = tokio::spawn(async move {
        let _permit = permit;
        tokio::net::lookup_host(place).await.map(Vec::from_iter)
    });
    looked_up.await?
}

async fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).await?;
    let length = match frame_len(&frame) {
        Ok(Some(length)) if frame[0] == 3 && length <= MAX_HANDSHAKE_FRAME => length,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of a handshake")),
    };
    frame.resize(length, 0);
    stream.read_exact(&mut frame[4..]).await?;
    Ok(frame)
}

fn config() -> Result<ClientConfig, Error> {
    // one for all: its lists are long
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(PROVIDER.clone())))
        .with_no_client_auth();
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Takes any certificate, because it is the answer and not a condition; that its key is there is looked at all the same.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
