//! What a user sees: with a real client on the desktop's own RDP server, on a screen in memory.

use crate::support::*;
use openrdms_broker::ports::{Host as _, HostError, LogonEnd};
use openrdms_broker::{DesktopHandle, Endpoint};
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

const SIZE: (usize, usize) = (1280, 800);
/// The message window's bar and button, as drawn.
const ACCENT: [u8; 3] = [0x3d, 0x7a, 0xb8];

/// Takes any certificate and keeps the hash of what it saw.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<[u8; 32]>>);

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        *self.0.lock().unwrap() = Some(sum.as_ref().try_into().unwrap());
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
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A client on a screen of its own, ended with the value.
struct Client {
    screen: Child,
    client: Child,
    display: String,
}

impl Client {
    async fn connect(handle: &DesktopHandle, home: &Path) -> Self {
        let Endpoint::Unix { path, .. } = &handle.endpoint else { panic!("{handle:?}") };
        let mut screen = Command::new("Xvfb")
            .args(["-displayfd", "1", "-noreset", "-nolisten", "tcp"])
            .args(["-screen", "0", &format!("{}x{}x24", SIZE.0, SIZE.1)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = Vec::new();
        let mut said = screen.stdout.take().unwrap();
        while number.last() != Some(&b'\n') {
            let mut byte = [0];
            said.read_exact(&mut byte).unwrap();
            number.push(byte[0]);
        }
        let display = format!(":{}", String::from_utf8(number).unwrap().trim());
        let client = Command::new("xfreerdp")
            .args([&format!("/v:{}", path.display()), &format!("/size:{}x{}", SIZE.0, SIZE.1)])
            .args(["/cert:ignore", "/u:na", "/p:na", "/f", "/log-level:ERROR"])
            .env("DISPLAY", &display)
            .env("HOME", home)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { screen, client, display }
    }

    /// The screen's pixels, three bytes each.
    fn picture(&self) -> Vec<u8> {
        let arguments = ["-display", &self.display, "-window", "root", "-depth", "8", "rgb:-"];
        Command::new("import").args(arguments).output().unwrap().stdout
    }

    /// Keeps a picture for people to look at, if they want one.
    fn keep(&self, name: &str) {
        let Some(dir) = std::env::var_os("OPENRDMS_TEST_PICTURES") else { return };
        let path = Path::new(&dir).join(format!("{name}.png"));
        let status =
            Command::new("import").args(["-display", &self.display, "-window", "root"]).arg(path).status();
        assert!(status.unwrap().success());
    }

    fn input(&self, words: &[&str]) {
        let status = Command::new("xdotool").args(words).env("DISPLAY", &self.display).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for child in [&mut self.client, &mut self.screen] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn count(picture: &[u8], colour: [u8; 3]) -> usize {
    picture.chunks_exact(3).filter(|p| *p == colour).count()
}

fn clients_are_here() -> bool {
    let found = |p: &&str| !Path::new("/usr/bin").join(p).exists();
    let missing: Vec<_> = ["xfreerdp", "Xvfb", "import", "xdotool"].into_iter().filter(found).collect();
    missing.is_empty() || skipped(&format!("not installed: {missing:?}"))
}

#[tokio::test]
async fn the_rdp_server_shows_the_pinned_certificate() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let pin = bench.host.prepare(&name("d1")).await.unwrap().certificate_sha256;
    let handle = bench.start("d1", "alice", 20_001).await;
    let Endpoint::Unix { path, .. } = handle.endpoint else { panic!("no socket") };
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    // X.224 Connection Request with RDP_NEG_REQ asking for TLS (MS-RDPBCGR 2.2.1.1), and its confirm.
    stream.write_all(&[3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 1, 0, 0, 0]).await.unwrap();
    let mut confirm = [0; 19];
    stream.read_exact(&mut confirm).await.unwrap();
    assert_eq!(confirm[11..], [2, 1, 8, 0, 1, 0, 0, 0], "TLS was not chosen");
    let seen = Arc::new(Seen::default());
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&seen) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from("d1").unwrap(), stream).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), Some(pin));
}

#[tokio::test]
async fn a_message_is_on_the_screen_when_the_call_returns() {
    if !possible() || !clients_are_here() {
        return;
    }
    let bench = Bench::with(|_| {});
    let handle = bench.start("d1", "alice", 20_001).await;
    let client = Client::connect(&handle, bench.dir.path()).await;
    eventually("terminal and panel are drawn", || {
        let picture = client.picture();
        count(&picture, [0xfb, 0xfb, 0xf8]) > 20_000 && count(&picture, ACCENT) < 3000
    })
    .await;
    client.keep("desktop");
    let before = count(&client.picture(), ACCENT);
    let text = "The file server is restarted at 18:00.\nPlease save your work – Grüße aus dem Rechenzentrum. \
                Dies ist eine längere Zeile, die umgebrochen werden muss, damit man sie lesen kann. Ω ≠ Я ✓";
    bench.host.message(&name("d1"), &handle, "Maintenance tonight", text).await.unwrap();
    // Drawn in the desktop; now it only has to come through the client's connection.
    eventually("the message reaches the client", || count(&client.picture(), ACCENT) > before + 3000).await;
    client.keep("message");
    // Keys do not count right after the window has come up, so that nobody closes it while typing.
    eventually("Enter closes it", || {
        client.input(&["key", "Return"]);
        count(&client.picture(), ACCENT) < before + 3000
    })
    .await;
}

#[tokio::test]
async fn the_panel_has_a_way_out() {
    if !possible() || !clients_are_here() {
        return;
    }
    let bench = Bench::with(|_| {});
    let handle = bench.start("d1", "alice", 20_001).await;
    let client = Client::connect(&handle, bench.dir.path()).await;
    let end = tokio::spawn({
        let (host, handle) = (bench.host.clone(), handle.clone());
        async move { host.ended(&name("d1"), &handle).await }
    });
    eventually("a click on the panel's last button ends the session", || {
        client.input(&["mousemove", "1243", "782", "click", "1"]);
        end.is_finished()
    })
    .await;
    assert_eq!(end.await.unwrap(), LogonEnd::LoggedOff);
}

#[tokio::test]
async fn a_message_to_a_disconnected_session_waits_for_its_user() {
    if !possible() || !clients_are_here() {
        return;
    }
    let bench = Bench::new("xsetroot -solid '#204060'; exec openbox");
    let handle = bench.start("d1", "alice", 20_001).await;
    eventually("the session is up", || find(&handle, "openbox").is_some()).await;
    let long = "A rather long line of text that says the same again. ".repeat(80)[..4096].trim().to_owned();
    bench.host.message(&name("d1"), &handle, &"Long title ".repeat(20), &long).await.unwrap();
    let client = Client::connect(&handle, bench.dir.path()).await;
    eventually("it is seen on return", || count(&client.picture(), ACCENT) > 3000).await;
    client.keep("long");
}

#[tokio::test]
async fn messages_have_limits() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let desktop = name("d1");
    let long = bench.host.message(&desktop, &handle, "t", &"x".repeat(4097)).await;
    assert!(matches!(long, Err(HostError::Invalid(_))), "{long:?}");
    // Without a window manager, at the limit of the protocol, and with characters that have no glyph.
    let odd: String = "\u{7}\u{202e}\u{10ffff}日本語\r\n\t".chars().cycle().take(4096).collect();
    bench.host.message(&desktop, &handle, "\u{0}\n", &odd).await.unwrap();
    for _ in 1..16 {
        bench.host.message(&desktop, &handle, "one more", "").await.unwrap();
    }
    let many = bench.host.message(&desktop, &handle, "too many", "").await;
    assert!(matches!(many, Err(HostError::Failed(_))), "{many:?}");
    bench.host.logoff(&desktop, &handle, GRACE).await.unwrap();
    let gone = bench.host.message(&desktop, &handle, "t", "x").await;
    assert!(matches!(gone, Err(HostError::NotRunning)), "{gone:?}");
}
