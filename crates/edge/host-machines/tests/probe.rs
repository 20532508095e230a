//! Asking RDP servers who they are: servers made in Rust, because no real one breaks the protocol.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use openrdms_broker::ports::{HostError, Machines as _};
use openrdms_broker::{Address, Endpoint, HostName, Machine, MachineLogon};
use openrdms_host_machines::RdpMachines;
use openrdms_rdp::x224::{ConnectionConfirm, ConnectionRequest, NegotiationFailure, Protocols, Routing};
use rustls::pki_types::PrivatePkcs8KeyDer;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How a server behaves.
#[derive(Clone, Copy)]
enum Manner {
    Honest,
    /// It answers the negotiation so.
    Says(&'static [u8]),
    Refuses(NegotiationFailure),
    Takes(Protocols),
    /// It takes TLS, and speaks something else then.
    NoTls,
    Closes,
    SaysNothing,
}

/// A server, and the SHA-256 of its certificate.
async fn server(manner: Manner) -> (Address, [u8; 32]) {
    let made = rcgen::generate_simple_self_signed(["machine.test".to_owned()]).unwrap();
    let der = made.cert.der().to_vec();
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der).as_ref().try_into().unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![der.into()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, manner, &acceptor).await;
        }
    });
    (address, sha256)
}

async fn serve(mut stream: TcpStream, manner: Manner, acceptor: &tokio_rustls::TlsAcceptor) {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.unwrap();
    let mut frame = head.to_vec();
    frame.resize(usize::from(u16::from_be_bytes([head[2], head[3]])), 0);
    stream.read_exact(&mut frame[4..]).await.unwrap();
    let request = ConnectionRequest::parse(&frame).unwrap();
    assert_eq!(request.protocols, Some(Protocols::SSL));
    assert_eq!(request.routing, Routing::User("openrdms".to_owned()), "no user is named");
    let confirm = match manner {
        Manner::Honest | Manner::NoTls => ConnectionConfirm::encode(Protocols::SSL),
        Manner::Takes(protocol) => ConnectionConfirm::encode(protocol),
        Manner::Refuses(failure) => ConnectionConfirm::encode_failure(failure),
        Manner::Says(bytes) => bytes.to_vec(),
        Manner::Closes => return,
        Manner::SaysNothing => return std::future::pending().await,
    };
    stream.write_all(&confirm).await.unwrap();
    match manner {
        Manner::Honest => {
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut more = Vec::new();
            let _ = stream.read_to_end(&mut more).await;
            assert!(more.is_empty(), "nothing is said after tls");
        }
        Manner::NoTls => {
            let _ = stream.write_all(b"hello there, this is no tls at all").await;
        }
        _ => {}
    }
}

async fn refused(manner: Manner) -> String {
    let (address, _) = server(manner).await;
    match RdpMachines.certificate_at(&address).await {
        Err(HostError::Invalid(why) | HostError::Unreachable(why)) => {
            assert!(why.starts_with(&address.to_string()), "it says of whom: {why}");
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_certificate_and_vouched_for_by_its_pin() {
    let (address, sha256) = server(Manner::Honest).await;
    assert_eq!(RdpMachines.certificate_at(&address).await.unwrap(), sha256);
    let name = HostName::new("pc1").unwrap();
    let machine =
        Machine { logon: MachineLogon::Forward, ..Machine::new(name, address.clone(), sha256).unwrap() };
    let host = RdpMachines.host(&machine);
    host.answers().await.unwrap();
    let standing = host.standing().unwrap();
    assert_eq!(standing.endpoint, Endpoint::Tcp(address));
    assert_eq!((standing.certificate_sha256, standing.logon), (sha256, MachineLogon::Forward));
    let other = RdpMachines.host(&Machine { certificate_sha256: [0; 32], ..machine });
    let Err(HostError::Failed(why)) = other.answers().await else { panic!("it has another certificate") };
    assert!(why.contains("another certificate"), "{why}");
}

#[tokio::test]
async fn whoever_cannot_be_relayed_to_is_refused_and_it_is_said_why() {
    for (manner, said) in [
        (Manner::Refuses(NegotiationFailure::HybridRequired), "network level authentication"),
        (Manner::Refuses(NegotiationFailure::SslRequired), "does not offer tls"),
        (Manner::Takes(Protocols::RDP), "does not offer tls"),
        (Manner::NoTls, "tls is not acceptable"),
        (Manner::Closes, "closed the connection"),
        (Manner::Says(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n"), "closed the connection: not a frame"),
        (Manner::Says(&[3, 0, 0xff, 0xff]), "closed the connection: not a frame"),
        (Manner::Says(&[3, 0, 0, 7, 2, 0xf0, 0x80]), "does not speak rdp"),
    ] {
        let why = refused(manner).await;
        assert!(why.contains(said), "{said}: {why}");
    }
    let nobody = Address::parse("127.0.0.1:1").unwrap();
    let Err(HostError::Unreachable(why)) = RdpMachines.certificate_at(&nobody).await else {
        panic!("nobody is there")
    };
    assert!(why.contains("nobody answers"), "{why}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    let (address, _) = server(Manner::SaysNothing).await;
    let silent = RdpMachines.certificate_at(&address).await;
    assert!(matches!(silent, Err(HostError::TimedOut { .. })), "{silent:?}");
}
