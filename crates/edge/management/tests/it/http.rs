//! HTTP as clients speak it, and as attackers do.

use crate::fake::{Fake, Running};
use crate::raw::{ANNA, ROOT, basic, exchange, post, receive};
use openrdms_cim::Principal;
use openrdms_management::{AuthFailure, Config, PeerPolicy, ServeError, Server, Tls};
use openrdms_wsman::client;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

fn identify() -> Vec<u8> {
    client::identify().into_bytes()
}

#[tokio::test]
async fn a_challenge_executes_nothing_and_keeps_the_connection() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // As curl does: first without, then with the header, on one connection.
    let reply = exchange(&mut stream, &post("/wsman", "", &identify())).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Basic realm=\"WSMAN\"")));
    assert_eq!(reply.header("connection"), None);
    for wrong in ["LAB\\root:wrong", "nobody:secret"] {
        let reply = exchange(&mut stream, &post("/wsman", &basic(wrong), &identify())).await;
        assert_eq!(reply.status, 401);
    }
    let reply = exchange(&mut stream, &post("/wsman", "Authorization: Negotiate YII=\r\n", b"")).await;
    assert_eq!(reply.status, 401);
    let reply = exchange(&mut stream, &post("/wsman/?PSVersion=5.1", &basic(ROOT), &identify())).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/soap+xml;charset=UTF-8"))
    );
    assert!(reply.text().contains("http/basic"));
    let reply = exchange(&mut stream, &post("/wsman", &basic("broken:x"), &identify())).await;
    assert_eq!(reply.status, 503);
}

#[tokio::test]
async fn everybody_may_ask_who_we_are_and_nothing_else() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let header = "WSMANIDENTIFY: unauthenticated\r\n";
    let reply = exchange(&mut stream, &post("/wsman", header, &identify())).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.text().contains("OS: 0.0.0 SP: 0.0 Stack: 3.0") && !reply.text().contains("SecurityProfile")
    );
    for other in [&b"<a/>"[..], b"", crate::wsman::enumerate(1).as_bytes()] {
        assert_eq!(exchange(&mut stream, &post("/wsman", header, other)).await.status, 401);
    }
    let long = [identify(), vec![b' '; 10_000]].concat();
    let mut other = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut other, &post("/wsman", header, &long)).await.status, 413);
    // Whoever gives a password gets it checked.
    let both = format!("{header}{}", basic("LAB\\root:wrong"));
    assert_eq!(exchange(&mut stream, &post("/wsman", &both, &identify())).await.status, 401);
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = Running::plain(1).await;
    for (request, status) in [
        (post("/", "", b""), 404),
        (post("/wsman/x", &basic(ROOT), &identify()), 404),
        (b"GET /wsman HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), 405),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(exchange(&mut stream, &request).await.status, status);
    }
}

#[tokio::test]
async fn long_bodies_are_refused_whether_announced_or_not() {
    let config = Config { max_request: 10_000, ..Config::default() };
    let server = Running::start(Fake::new(1), config, None).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let announced =
        format!("POST /wsman HTTP/1.1\r\nHost: x\r\n{}Content-Length: 10001\r\n\r\n", basic(ROOT));
    assert_eq!(exchange(&mut stream, announced.as_bytes()).await.status, 413);
    assert!(receive(&mut stream).await.is_none(), "the connection cannot go on");
    for who in [basic(ROOT), String::new()] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head =
            format!("POST /wsman HTTP/1.1\r\nHost: x\r\n{who}Transfer-Encoding: chunked\r\n\r\n2711\r\n");
        let chunk = [head.as_bytes(), &[b'x'; 10_001], b"\r\n0\r\n\r\n"].concat();
        assert_eq!(exchange(&mut stream, &chunk).await.status, 413);
    }
}

#[tokio::test]
async fn slow_senders_are_cut_off() {
    let short = Duration::from_millis(100);
    let config = Config { header_timeout: short, body_timeout: short, ..Config::default() };
    let server = Running::start(Fake::new(1), config, None).await;
    for begin in ["", "POST /wsman HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let reply = receive(&mut stream).await;
        assert!(reply.is_none_or(|r| r.status == 408), "no header in time: {begin:?}");
    }
    for who in [basic(ROOT), String::new()] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let begin = format!("POST /wsman HTTP/1.1\r\nHost: x\r\n{who}Content-Length: 100\r\n\r\n<");
        assert_eq!(exchange(&mut stream, begin.as_bytes()).await.status, 408);
        assert!(receive(&mut stream).await.is_none());
    }
}

#[tokio::test]
async fn old_and_careful_clients_are_served() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (who, body) = (basic(ROOT), identify());
    let old = format!("POST /wsman HTTP/1.0\r\n{who}Content-Length: {}\r\n\r\n", body.len());
    assert_eq!(exchange(&mut stream, &[old.as_bytes(), &body].concat()).await.status, 200);
    assert!(receive(&mut stream).await.is_none());

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let careful = format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\n{who}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    assert_eq!(exchange(&mut stream, careful.as_bytes()).await.status, 100);
    assert_eq!(exchange(&mut stream, &body).await.status, 200);
}

#[tokio::test]
async fn a_client_of_http_1_0_may_keep_its_connection() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let body = identify();
    let head = format!(
        "POST /wsman HTTP/1.0\r\n{}Connection: keep-alive\r\nContent-Length: {}\r\n\r\n",
        basic(ROOT),
        body.len()
    );
    for _ in 0..3 {
        let reply = exchange(&mut stream, &[head.as_bytes(), &body].concat()).await;
        assert_eq!((reply.status, reply.header("connection")), (200, Some("keep-alive")));
    }
}

#[tokio::test]
async fn a_body_is_not_asked_for_in_vain() {
    let config = Config { max_request: 10_000, ..Config::default() };
    let server = Running::start(Fake::new(1), config, None).await;
    let wrong = basic("LAB\\root:wrong");
    for (who, expect, length, status) in [
        (basic(ROOT), "100-continue", 10_001, 413),
        (String::new(), "100-continue", 100, 401),
        (wrong, "100-Continue", 100, 401),
        (basic(ROOT), "something", 100, 417),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /wsman HTTP/1.1\r\nHost: x\r\n{who}Expect: {expect}\r\nContent-Length: {length}\r\n\r\n"
        );
        let reply = exchange(&mut stream, head.as_bytes()).await;
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "not 100: {head}");
        assert_eq!(reply.header("www-authenticate").is_some(), status == 401);
        assert!(receive(&mut stream).await.is_none(), "the body was never sent: the connection cannot go on");
    }
}

#[tokio::test]
async fn an_empty_request_of_somebody_proved_is_granted() {
    let server = Running::plain(1).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let reply = exchange(&mut stream, &post("/wsman", &basic(ROOT), b"")).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(exchange(&mut stream, &post("/wsman", "", b"")).await.status, 401);
    assert_eq!(exchange(&mut stream, &post("/wsman", &basic(ROOT), &identify())).await.status, 200);
}

/// Head and body in two writes cost a client that acknowledges late 40 ms. One write arrives in one read.
#[tokio::test]
async fn a_reply_comes_in_one_piece() {
    let known = certificate();
    let tls = Tls::new(server_config(&known));
    let secured = Running::start(Fake::new(20), Config::default(), Some(tls)).await;
    let server = Running::plain(20).await;
    let request = post("/wsman", &basic(ROOT), crate::wsman::enumerate(100).as_bytes());
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    let mut secure = connect(&secured, &known).await.unwrap();
    for _ in 0..200 {
        assert!(piece(&mut plain, &request).await);
        assert!(piece(&mut secure, &request).await);
    }
}

/// Whether the whole reply is in the first read.
async fn piece<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    request: &[u8],
) -> bool {
    use tokio::io::AsyncReadExt;
    stream.write_all(request).await.unwrap();
    let mut bytes = vec![0; 64 * 1024];
    let got = stream.read(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(bytes.get(..got).unwrap()).into_owned();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    text.ends_with("</s:Envelope>")
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_room() {
    let config = Config { max_connections: 1, ..Config::default() };
    let server = Running::start(Fake::new(1), config, None).await;
    let request = post("/wsman", &basic(ROOT), &identify());
    let mut first = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut first, &request).await.status, 200);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(&request).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(100), receive(&mut second)).await;
    assert!(waiting.is_err(), "there is no room yet");
    drop(first);
    assert_eq!(receive(&mut second).await.unwrap().status, 200);
}

/// What a test waits for comes much sooner than this, or not at all.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn whoever_does_not_authenticate_is_closed_whatever_they_send() {
    let config = Config {
        max_connections: 4,
        max_unproved_each: 4,
        unproved_limit: Duration::from_secs(1),
        grace: Duration::from_millis(100),
        ..Config::default()
    };
    let server = Running::start(Fake::new(1), config, None).await;
    let request = post("/wsman", &basic(ROOT), &identify());
    let mut proved = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut proved, &request).await.status, 200);
    // The others take every place that is left.
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut halting = TcpStream::connect(server.address).await.unwrap();
    halting.write_all(b"POST /wsman HTTP/1.1\r\nHo").await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut busy, &post("/wsman", "", b"")).await.status, 401);
    let mut waiting = TcpStream::connect(server.address).await.unwrap();
    waiting.write_all(&request).await.unwrap();
    let refused = async {
        let wrong = post("/wsman", &basic("LAB\\root:wrong"), &identify());
        while busy.write_all(&wrong).await.is_ok() {
            let Some(reply) = receive(&mut busy).await else { break };
            assert_eq!(reply.status, 401);
        }
    };
    timeout(LONG, refused).await.expect("being refused does not keep a connection open");
    for stream in [&mut silent, &mut halting] {
        assert_eq!(timeout(LONG, receive(stream)).await.expect("it is closed"), None);
    }
    let reply = timeout(LONG, receive(&mut waiting)).await.expect("there is room again");
    assert_eq!(reply.unwrap().status, 200);
    assert_eq!(exchange(&mut proved, &request).await.status, 200, "it has authenticated once");
}

#[tokio::test]
async fn a_peer_that_may_not_come_in_does_not_stay() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
    let config = Config { unproved_limit: Duration::from_millis(200), ..Config::default() };
    let server = Server::new(Fake::new(1), Arc::new(crate::fake::People), config);
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let policy: PeerPolicy = Arc::new(|_| Err(AuthFailure::Denied));
    let task = tokio::spawn(async move { server.serve_unix(listener, policy, stop).await });
    let mut stream = UnixStream::connect(directory.path().join("socket")).await.unwrap();
    assert_eq!(timeout(LONG, receive(&mut stream)).await.expect("it is closed"), None);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn one_address_does_not_take_every_place_before_it_authenticates() {
    let config = Config { max_unproved_each: 2, unproved_limit: 2 * LONG, ..Config::default() };
    let server = Running::start(Fake::new(1), config, None).await;
    let request = post("/wsman", &basic(ROOT), &identify());
    let mut proved = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        assert_eq!(exchange(&mut stream, &request).await.status, 200, "who is proved takes no such place");
        proved.push(stream);
    }
    let first = TcpStream::connect(server.address).await.unwrap();
    let _second = TcpStream::connect(server.address).await.unwrap();
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(timeout(LONG, receive(&mut third)).await.expect("one too many"), None);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).unwrap();
    let mut other = socket.connect(server.address).await.unwrap();
    assert_eq!(exchange(&mut other, &request).await.status, 200, "another address has its own places");
    drop(first);
    let again = async {
        loop {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            let sent = stream.write_all(&request).await;
            if sent.is_ok() && receive(&mut stream).await.is_some_and(|reply| reply.status == 200) {
                break;
            }
        }
    };
    timeout(LONG, again).await.expect("there is room again");
}

#[tokio::test]
async fn a_shutdown_lets_the_running_request_end() {
    let mut server = Running::plain(1).await;
    let fake = server.fake.clone();
    let held = fake.gate.acquire_many(1000).await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let idle = TcpStream::connect(server.address).await.unwrap();
    let body = crate::wsman::invoke(1, "Disconnect", &[]);
    stream.write_all(&post("/wsman", &basic(ROOT), body.as_bytes())).await.unwrap();
    server.fake.entered.acquire().await.unwrap().forget();
    server.shutdown.cancel();
    drop(held);
    assert_eq!(receive(&mut stream).await.unwrap().status, 200);
    assert!(receive(&mut stream).await.is_none());
    drop(idle);
    (&mut server.task).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn nobody_makes_a_shutdown_last_by_a_request_that_never_becomes_whole() {
    let certified = certificate();
    let tls = Tls::new(server_config(&certified));
    let whole = post("/wsman", &basic(ROOT), &identify());
    let half = |headers: &str| {
        format!("POST /wsman HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: 100\r\n\r\n<").into_bytes()
    };
    let unfinished = [
        (Some(&tls), vec![0x16, 3, 1]),
        (None, vec![]),
        (None, b"POST /wsman HTTP/1.1\r\nHo".to_vec()),
        (None, half("")),
        (None, half("WSMANIDENTIFY: unauthenticated\r\n")),
        (None, half(&basic(ROOT))),
        (None, [&whole[..], b"POST /wsman HTTP/1.1\r\nHo"].concat()),
        (None, [whole.clone(), half(&basic(ROOT))].concat()),
    ];
    for (tls, bytes) in unfinished {
        let config = Config { grace: 10 * LONG, ..Config::default() };
        let mut server = Running::start(Fake::new(1), config, tls.cloned()).await;
        let mut stranger = TcpStream::connect(server.address).await.unwrap();
        stranger.write_all(&bytes).await.unwrap();
        if bytes.starts_with(&whole) {
            assert_eq!(receive(&mut stranger).await.unwrap().status, 200);
        }
        // who comes later is served later
        let reply = match tls {
            Some(_) => exchange(&mut connect(&server, &certified).await.unwrap(), &whole).await,
            None => exchange(&mut TcpStream::connect(server.address).await.unwrap(), &whole).await,
        };
        assert_eq!(reply.status, 200);
        server.shutdown.cancel();
        let sent = String::from_utf8_lossy(&bytes).into_owned();
        timeout(LONG, &mut server.task).await.unwrap_or_else(|_| panic!("waited for {sent:?}")).unwrap();
    }
}

#[tokio::test]
async fn plain_http_is_for_loopback_only() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let server = Server::new(Fake::new(1), Arc::new(crate::fake::People), Config::default());
    let refused = server.serve_tcp(listener, None, CancellationToken::new()).await;
    assert!(matches!(refused, Err(ServeError::NotLoopback(_))));
}

#[tokio::test]
async fn a_unix_socket_asks_for_no_password_but_for_the_right_peer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let me = rustix::process::getuid().as_raw();
    for welcome in [true, false] {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = Server::new(Fake::new(1), Arc::new(crate::fake::People), Config::default());
        let shutdown = CancellationToken::new();
        let policy: PeerPolicy = Arc::new(move |peer| {
            if !welcome || peer.uid() != me {
                return Err(AuthFailure::Denied);
            }
            Ok(Principal {
                name: format!("uid:{}", peer.uid()),
                admin: true,
                from: "local socket".into(),
                proof: None,
            })
        });
        let (stop, running) = (shutdown.clone(), server.clone());
        let task = tokio::spawn(async move { running.serve_unix(listener, policy, stop).await });
        let mut stream = UnixStream::connect(&path).await.unwrap();
        let body = crate::wsman::enumerate(10);
        let reply = exchange(&mut stream, &post("/wsman", "", body.as_bytes())).await;
        assert_eq!(reply.status, if welcome { 200 } else { 403 });
        shutdown.cancel();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn tls_certificates_are_exchanged_while_it_listens() {
    let (first, second) = (certificate(), certificate());
    let tls = Tls::new(server_config(&first));
    let server = Running::start(Fake::new(1), Config::default(), Some(tls.clone())).await;
    let request = post("/wsman", &basic(ANNA), &identify());
    let mut old = connect(&server, &first).await.unwrap();
    let reply = exchange(&mut old, &request).await;
    assert!(reply.text().contains("https/basic"));
    assert!(connect(&server, &second).await.is_err(), "the second certificate is not in use yet");
    tls.replace(server_config(&second));
    assert_eq!(exchange(&mut connect(&server, &second).await.unwrap(), &request).await.status, 200);
    assert_eq!(exchange(&mut old, &request).await.status, 200, "connections that are open go on");
    // Plain HTTP to the TLS port gets nowhere.
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(&request).await.unwrap();
    assert!(receive(&mut plain).await.is_none());
}

fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

fn server_config(certified: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    Arc::new(config)
}

async fn connect(
    server: &Running,
    trusted: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address).await?;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
