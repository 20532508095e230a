//! The rules of the relay, with a client and a desktop made in Rust.

use crate::{
    fakes::{LONG, Running, SESSION_ID, Seen},
    fixture::{self, Client},
    made::{self, ClientTls, Desktop, DesktopTls, frame, log_on, log_on_with, rest},
};
use openrdms_broker::{
    Address, Arrival, CookieProof, Endpoint, Limit, Route,
    ports::{
        Refusal, Told,
        front::{ConnectionEnd, DesktopLogon},
    },
    session::DetachReason,
};
use openrdms_rdp::{
    mcs::send_data_indication,
    server::{ErrorInfo, auto_reconnect_cookie, disconnect_ultimatum, license_valid_client, set_error_info},
    x224::{ConnectionConfirm, ConnectionRequest, Protocols, Routing},
};
use openrdms_relay::{RelayConfig, SecurityPolicy};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

const SHARE: u32 = 0x0001_03ea;

fn demand_active() -> Vec<u8> {
    let mut content = vec![0x40, 0x01, 0x11, 0x00, 0xea, 0x03];
    content.extend_from_slice(&SHARE.to_le_bytes());
    content.resize(0x140, 0);
    send_data_indication(&content).unwrap()
}

async fn relay(desktop: &Desktop) -> Running {
    Running::start(RelayConfig::default(), Ok((desktop.endpoint(), desktop.sha256))).await
}

async fn alice(relay: &Running) -> ClientTls {
    log_on(relay, &Client::default(), "alice", "secret").await
}

/// A client that sees its desktop: both ends, the share id known.
async fn active(relay: &mut Running, desktop: &Desktop, client: &Client) -> (ClientTls, DesktopTls) {
    let (mut client, (mut far, _, _)) =
        tokio::join!(log_on(relay, client, "alice", "secret"), desktop.serve());
    far.write_all(&[license_valid_client(), demand_active()].concat()).await.unwrap();
    far.flush().await.unwrap();
    assert_eq!(frame(&mut client).await, license_valid_client());
    assert_eq!(frame(&mut client).await, demand_active());
    (client, far)
}

fn font_map() -> Vec<u8> {
    let mut content = vec![0x1a, 0x00, 0x17, 0x00, 0xea, 0x03];
    content.extend_from_slice(&SHARE.to_le_bytes());
    content.extend_from_slice(&[0x00, 0x01, 0x0c, 0x00, 0x28, 0x00, 0x00, 0x00]);
    content.resize(26, 0);
    send_data_indication(&content).unwrap()
}

/// A data PDU of so many bytes.
fn share_data(length: u16) -> Vec<u8> {
    let mut content = [&length.to_le_bytes()[..], &[0x17, 0x00, 0xea, 0x03]].concat();
    content.resize(length.into(), 7);
    send_data_indication(&content).unwrap()
}

fn refusal(info: ErrorInfo) -> Vec<u8> {
    [license_valid_client(), set_error_info(0, info), disconnect_ultimatum()].concat()
}

#[tokio::test]
async fn a_proved_user_gets_the_desktop_and_the_desktop_gets_no_password() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, (mut far, request, accepted)) = tokio::join!(alice(&relay), desktop.serve());
    match relay.next().await {
        Seen::Attach(request, _) => {
            assert_eq!(request.user.to_string(), "TEST\\alice");
            assert_eq!(request.route, Route::Default);
            let facts = request.client;
            assert_eq!((facts.machine.as_str(), facts.width, facts.height), ("HEIDI-PC", 1280, 800));
            assert_eq!((facts.address.as_str(), facts.security.as_str()), ("127.0.0.1", "tls"));
            assert_eq!((facts.keyboard_layout, facts.build), (0x407, 2600));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(request.routing, Routing::User("desk".to_owned()));
    assert_eq!(request.protocols, Some(Protocols::SSL), "never the client's own mask");
    assert_eq!((accepted.info.user.as_str(), accepted.info.domain.as_str()), ("desk", ""));
    assert_ne!(accepted.info.password.as_str(), "secret");
    assert_eq!(accepted.info.flags & 8, 8, "INFO_AUTOLOGON");

    // Activated is reported before the client can see the desktop, and only once
    far.write_all(&[demand_active(), demand_active()].concat()).await.unwrap();
    far.flush().await.unwrap();
    relay.activated().await;
    assert_eq!(frame(&mut client).await, demand_active());
    assert_eq!(frame(&mut client).await, demand_active());
    client.write_all(&[0x04, 0x04, 0x00, 0x1e]).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(frame(&mut far).await, [0x04, 0x04, 0x00, 0x1e]);
    assert!(matches!(relay.seen.recv().await, Some(Seen::Input)));

    drop(client);
    assert_eq!(rest(&mut far).await, b"");
    drop(far);
    assert_eq!(relay.closed().await, ConnectionEnd::ClientGone);
}

/// `INFO_LOGONNOTIFY` and what the others have.
const ASKS: u32 = 0x0000_0173;
const ALICE: [&str; 3] = ["TEST", "alice", "secret"];

#[tokio::test]
async fn a_client_that_asks_gets_a_cookie_behind_the_connection_sequence_and_another_one_the_next_time() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (asks, mut given) = (Client::default(), Vec::new());
    for _ in 0..2 {
        let info = |user_channel| fixture::client_info_of(user_channel, ALICE, ASKS, &[]);
        let (mut client, (mut far, _, _)) = tokio::join!(log_on_with(&relay, &asks, info), desktop.serve());
        far.write_all(&[demand_active(), font_map(), demand_active(), font_map()].concat()).await.unwrap();
        far.flush().await.unwrap();
        relay.attached().await;
        let cookie = relay.activated().await;
        assert_eq!(frame(&mut client).await, demand_active());
        assert_eq!(frame(&mut client).await, font_map());
        assert_eq!(frame(&mut client).await, *auto_reconnect_cookie(SHARE, SESSION_ID, cookie.bytes()));
        assert_eq!(frame(&mut client).await, demand_active());
        assert_eq!(frame(&mut client).await, font_map());
        given.push(cookie);
        drop(client);
        relay.closed().await;
    }
    assert_ne!(given[0], given[1]);
}

#[tokio::test]
async fn a_client_that_does_not_ask_gets_none() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    far.write_all(&[font_map(), demand_active()].concat()).await.unwrap();
    far.flush().await.unwrap();
    assert_eq!(frame(&mut client).await, font_map());
    assert_eq!(frame(&mut client).await, demand_active());
}

#[tokio::test]
async fn the_broker_hears_who_comes_back_by_itself_and_the_desktop_does_not() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let proof = CookieProof { session_id: 77, verifier: [5; 16] };
    let info =
        |user_channel| fixture::client_info_of(user_channel, ALICE, ASKS, &fixture::cookie(77, [5; 16]));
    let client = Client::default();
    let (_client, (_far, _, accepted)) = tokio::join!(log_on_with(&relay, &client, info), desktop.serve());
    match relay.next().await {
        Seen::Attach(request, _) => assert_eq!(request.arrival, Arrival::Automatic(proof)),
        other => panic!("{other:?}"),
    }
    assert_eq!(accepted.info.reconnect, None);
}

#[tokio::test]
async fn a_cookie_stands_for_no_password() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let info = |user_channel| {
        fixture::client_info_of(user_channel, ["TEST", "alice", ""], ASKS, &fixture::cookie(77, [5; 16]))
    };
    let mut client = log_on_with(&relay, &Client::default(), info).await;
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::FreshCredentials));
    assert!(relay.seen.try_recv().is_err());
}

#[tokio::test]
async fn an_order_is_told_with_its_reason_and_closes_both_legs() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let reasons = [
        (DetachReason::Administrator, Some(ErrorInfo::Disconnected)),
        (DetachReason::TakenOver, Some(ErrorInfo::TakenOver)),
        (DetachReason::Logoff, Some(ErrorInfo::LoggedOff)),
        (DetachReason::Service, Some(ErrorInfo::Disconnected)),
        (DetachReason::Limit(Limit::Idle), Some(ErrorInfo::IdleTimeout)),
        (DetachReason::Limit(Limit::Active), Some(ErrorInfo::LogonTimeout)),
        (DetachReason::DesktopClosed, None),
    ];
    for (reason, info) in reasons {
        let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
        let (_, kill) = relay.attached().await;
        relay.activated().await;
        kill.throw(reason);
        let told = info.map(|info| set_error_info(SHARE, info)).unwrap_or_default();
        assert_eq!(rest(&mut client).await, [told, disconnect_ultimatum()].concat(), "{reason:?}");
        drop(client);
        rest(&mut far).await;
        drop(far);
        assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
    }
}

#[tokio::test]
async fn a_client_that_does_not_know_error_info_gets_the_ultimatum_alone() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let old = Client { early_flags: 0, ..Client::default() };
    let (mut client, _far) = active(&mut relay, &desktop, &old).await;
    relay.attached().await.1.throw(DetachReason::Administrator);
    assert_eq!(rest(&mut client).await, disconnect_ultimatum());
}

#[tokio::test]
async fn an_order_in_the_middle_of_a_frame_waits_for_its_end_and_no_longer() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    let long = share_data(16_000);
    far.write_all(&long[..5000]).await.unwrap();
    far.flush().await.unwrap();
    let mut half = vec![0; 5000];
    client.read_exact(&mut half).await.unwrap();
    kill.throw(DetachReason::Administrator);
    // what follows the frame is not passed on any more
    far.write_all(&[&long[5000..], &long].concat()).await.unwrap();
    far.flush().await.unwrap();
    let last = [set_error_info(SHARE, ErrorInfo::Disconnected), disconnect_ultimatum()].concat();
    assert_eq!(rest(&mut client).await, [&long[5000..], &last].concat());
    drop(client);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
}

#[tokio::test]
async fn a_desktop_that_stops_in_the_middle_of_a_frame_does_not_hold_up_an_order() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    far.write_all(&share_data(16_000)[..104]).await.unwrap();
    far.flush().await.unwrap();
    client.read_exact(&mut [0; 104]).await.unwrap();
    let begun = Instant::now();
    kill.throw(DetachReason::Administrator);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::NotTold));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    rest(&mut client).await;
}

#[tokio::test]
async fn a_desktop_that_is_slow_to_close_does_not_hold_up_the_word_that_the_client_is_gone() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    kill.throw(DetachReason::Administrator);
    rest(&mut client).await;
    drop(client);
    assert_eq!(relay.dismissed().await, Told::Told);
    assert!(relay.seen.is_empty(), "the desktop's leg is open");
    rest(&mut far).await;
    drop(far);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
}

#[tokio::test]
async fn a_client_that_reads_nothing_does_not_hold_up_an_order() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (client, far) = active(&mut relay, &desktop, &Client::default()).await;
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    // until nothing more can be written: the client's window and all buffers are full
    let (_far_read, mut far_write) = tokio::io::split(far);
    let full = share_data(16_000);
    let mut at = 0;
    let quiet = Duration::from_millis(500);
    while let Ok(written) = tokio::time::timeout(quiet, far_write.write(&full[at..])).await {
        at = (at + written.unwrap()) % full.len();
    }
    let begun = Instant::now();
    kill.throw(DetachReason::Administrator);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::NotTold));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(client);
}

#[tokio::test]
async fn a_client_that_reads_but_does_not_close_has_been_sent_the_reason() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (client, _far) = active(&mut relay, &desktop, &Client::default()).await;
    relay.attached().await.1.throw(DetachReason::Administrator);
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Sent));
    drop(client);
}

#[tokio::test]
async fn an_order_before_the_desktop_answers_is_told_as_well() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, _silent) = tokio::join!(alice(&relay), desktop.silent());
    relay.attached().await.1.throw(DetachReason::Administrator);
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::Disconnected));
    drop(client);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_told_and_the_broker_is_not_asked() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let cases = [
        ("alice", "wrong", ErrorInfo::FreshCredentials),
        ("alice", "", ErrorInfo::FreshCredentials),
        ("", "secret", ErrorInfo::FreshCredentials),
        ("busy", "secret", ErrorInfo::Denied),
    ];
    for (user, password, info) in cases {
        let mut client = log_on(&relay, &Client::default(), user, password).await;
        assert_eq!(rest(&mut client).await, refusal(info), "{user} {password}");
    }
    assert!(relay.seen.try_recv().is_err());
}

#[tokio::test]
async fn each_refusal_of_the_broker_has_its_code() {
    let cases = [
        (Refusal::NotAllowed, ErrorInfo::NotAllowed),
        (Refusal::NotFound, ErrorInfo::NotFound),
        (Refusal::NoneFree, ErrorInfo::PoolNotFree),
        (Refusal::Unavailable, ErrorInfo::Denied),
        (Refusal::Ordered(DetachReason::TakenOver), ErrorInfo::TakenOver),
        (Refusal::Ordered(DetachReason::DesktopClosed), ErrorInfo::PoolNotFree),
        (Refusal::Automatic(DetachReason::Administrator), ErrorInfo::Disconnected),
        (Refusal::Automatic(DetachReason::TakenOver), ErrorInfo::TakenOver),
        (Refusal::Automatic(DetachReason::Limit(Limit::Idle)), ErrorInfo::IdleTimeout),
        (Refusal::Automatic(DetachReason::Limit(Limit::Active)), ErrorInfo::LogonTimeout),
    ];
    for (refused, info) in cases {
        let relay = Running::start(RelayConfig::default(), Err(refused)).await;
        let mut client = alice(&relay).await;
        assert_eq!(rest(&mut client).await, refusal(info), "{refused:?}");
    }
}

#[tokio::test]
async fn an_activation_that_the_broker_does_not_want_ends_the_connection() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    *relay.broker.activation.lock().unwrap() = Err(Refusal::NotAllowed);
    let (mut client, (mut far, _, _)) = tokio::join!(alice(&relay), desktop.serve());
    far.write_all(&demand_active()).await.unwrap();
    far.flush().await.unwrap();
    relay.attached().await;
    relay.activated().await;
    // the desktop is not shown, and its share id is none that the client would know
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::NotAllowed));
}

#[tokio::test]
async fn a_desktop_with_another_certificate_is_not_served() {
    let (desktop, other) = (Desktop::new(), Desktop::new());
    let mut relay = Running::start(RelayConfig::default(), Ok((desktop.endpoint(), other.sha256))).await;
    let impostor = tokio::spawn(async move { desktop.serve().await });
    let mut client = alice(&relay).await;
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed));
    drop(client);
    relay.attached().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);
    assert!(impostor.await.is_err(), "it got no further than tls");
}

#[tokio::test]
async fn a_desktop_is_known_by_its_certificate_in_each_version_of_tls() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let desktop = Desktop::speaking(&[version]);
        let mut relay = relay(&desktop).await;
        let (_client, (far, _, _)) = tokio::join!(alice(&relay), desktop.serve());
        assert_eq!(far.get_ref().1.protocol_version(), Some(version.version));
        relay.attached().await;
        *relay.broker.desktop.lock().unwrap() = Ok((desktop.endpoint(), [7; 32]));
        let impostor = tokio::spawn(async move { desktop.serve().await });
        let mut client = alice(&relay).await;
        assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed));
        assert!(impostor.await.is_err(), "it got no further than tls");
    }
}

#[tokio::test]
async fn a_desktop_that_takes_another_protocol_than_it_was_asked_for_is_not_served() {
    for selects in [Protocols::RDP, Protocols::HYBRID, Protocols(3)] {
        let mut desktop = Desktop::new();
        desktop.selects = selects;
        let mut relay = relay(&desktop).await;
        let desktop = tokio::spawn(async move { desktop.serve().await });
        let mut client = alice(&relay).await;
        assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed), "{selects:?}");
        drop(client);
        relay.attached().await;
        assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed, "{selects:?}");
        assert!(desktop.await.is_err(), "{selects:?}");
    }
}

#[tokio::test]
async fn a_desktop_that_does_not_answer_in_time_or_at_all_is_given_up() {
    let desktop = Desktop::new();
    let mut config = RelayConfig::default();
    config.limits.bind = Duration::from_millis(300);
    let mut relay = Running::start(config, Ok((desktop.endpoint(), desktop.sha256))).await;
    let (mut client, _silent) = tokio::join!(alice(&relay), desktop.silent());
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed));
    drop(client);
    relay.attached().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);
    drop(desktop);
    let mut client = alice(&relay).await;
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed));
}

#[tokio::test]
async fn a_desktop_that_does_not_become_active_in_time_is_given_up_however_much_it_says() {
    let desktop = Desktop::new();
    let mut config = RelayConfig::default();
    config.limits.activate = Duration::from_millis(300);
    let mut relay = Running::start(config, Ok((desktop.endpoint(), desktop.sha256))).await;
    let (mut client, (mut far, _, _)) = tokio::join!(alice(&relay), desktop.serve());
    far.write_all(&license_valid_client()).await.unwrap();
    let data = share_data(20);
    let talk = async { while far.write_all(&data).await.is_ok() {} };
    let (said, ()) = tokio::join!(rest(&mut client), talk);
    let last = [set_error_info(0, ErrorInfo::DesktopFailed), disconnect_ultimatum()].concat();
    assert!(said.ends_with(&last));
    drop((client, far));
    relay.attached().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);

    // and a silent one, of which the client has had nothing
    let (mut client, _far) = tokio::join!(alice(&relay), desktop.serve());
    assert_eq!(rest(&mut client).await, refusal(ErrorInfo::DesktopFailed));
    drop(client);
    relay.attached().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);
}

#[tokio::test]
async fn the_limit_for_becoming_active_does_not_end_an_active_desktop() {
    let desktop = Desktop::new();
    let mut config = RelayConfig::default();
    config.limits.activate = Duration::from_secs(2);
    let within = config.limits.activate;
    let mut relay = Running::start(config, Ok((desktop.endpoint(), desktop.sha256))).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    let quiet = tokio::time::timeout(within + Duration::from_millis(500), frame(&mut client)).await;
    assert!(quiet.is_err(), "nothing is said to the client");
    far.write_all(&demand_active()).await.unwrap();
    far.flush().await.unwrap();
    assert_eq!(frame(&mut client).await, demand_active());
}

#[tokio::test]
async fn a_desktop_that_breaks_the_protocol_or_leaves_is_reported() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    far.write_all(b"\x01rubbish").await.unwrap();
    far.flush().await.unwrap();
    let last = [set_error_info(SHARE, ErrorInfo::DesktopFailed), disconnect_ultimatum()].concat();
    assert_eq!(rest(&mut client).await, last);
    drop(client);
    relay.attached().await;
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);

    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    far.write_all(&disconnect_ultimatum()).await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, disconnect_ultimatum(), "its last words arrive");
    drop(client);
    relay.attached().await;
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopGone);
}

#[tokio::test]
async fn a_desktop_that_says_that_its_user_is_logged_off_is_taken_at_its_word() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    let mut said = set_error_info(SHARE, ErrorInfo::TakenOver);
    let code = said.len() - 4;
    said[code] = 0x0c;
    far.write_all(&[said.clone(), disconnect_ultimatum()].concat()).await.unwrap();
    far.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, [said.clone(), disconnect_ultimatum()].concat());
    drop(client);
    relay.attached().await;
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::LoggedOff);

    // a client that leaves as soon as it has read that has not left by itself
    for (words, end) in [
        (said.clone(), ConnectionEnd::LoggedOff),
        (disconnect_ultimatum(), ConnectionEnd::DesktopGone),
        (font_map(), ConnectionEnd::ClientGone),
    ] {
        let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
        far.write_all(&words).await.unwrap();
        far.flush().await.unwrap();
        assert_eq!(frame(&mut client).await, words);
        drop(client);
        assert!(rest(&mut far).await.is_empty());
        relay.attached().await;
        relay.activated().await;
        assert_eq!(relay.closed().await, end);
    }
}

#[tokio::test]
async fn a_machine_is_reached_over_the_network_and_told_what_it_is_trusted_with() {
    let desktop = Desktop::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let machine = Endpoint::Tcp(Address::parse(&listener.local_addr().unwrap().to_string()).unwrap());
    // what comes over the network goes to the desktop's socket
    let Endpoint::Unix { path, .. } = desktop.endpoint() else { panic!("it has a socket") };
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::UnixStream::connect(&path).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    for (logon, password) in
        [(DesktopLogon::Nothing, "none"), (DesktopLogon::Ask, ""), (DesktopLogon::Password, "secret")]
    {
        let mut relay = Running::start(RelayConfig::default(), Ok((machine.clone(), desktop.sha256))).await;
        *relay.broker.logon.lock().unwrap() = logon;
        let client = fixture::Client::default();
        let (client, (mut far, _, accepted)) =
            tokio::join!(log_on(&relay, &client, "alice", "secret"), desktop.serve());
        relay.attached().await;
        assert_eq!(accepted.info.user, "desk");
        assert_eq!(accepted.info.password.as_str(), password, "{logon:?}");
        drop(client);
        assert!(rest(&mut far).await.is_empty());
        assert_eq!(relay.closed().await, ConnectionEnd::ClientGone);
    }
    // whoever else answers there is told nothing of the user's
    let mut relay = Running::start(RelayConfig::default(), Ok((machine, [0; 32]))).await;
    *relay.broker.logon.lock().unwrap() = DesktopLogon::Password;
    let client = fixture::Client::default();
    let served = async {
        let mut plain = desktop.silent().await;
        frame(&mut plain).await;
        plain.write_all(&ConnectionConfirm::encode(Protocols::SSL)).await.unwrap();
        assert!(desktop.tls(plain).await.is_err(), "the pin is looked at within the handshake");
    };
    let (client, ()) = tokio::join!(log_on(&relay, &client, "alice", "secret"), served);
    relay.attached().await;
    drop(client);
    assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed);
}

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_gone() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, mut far) = active(&mut relay, &desktop, &Client::default()).await;
    client.write_all(&[&[0x04, 0x04, 0x00, 0x1e][..], b"\x01rubbish"].concat()).await.unwrap();
    client.flush().await.unwrap();
    // and nothing of it reaches the desktop
    assert_eq!(rest(&mut far).await, [0x04, 0x04, 0x00, 0x1e]);
    drop((client, far));
    relay.attached().await;
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::ClientGone);
}

#[tokio::test]
async fn the_broker_hears_where_the_client_asked_to_go() {
    let mut relay = Running::start(RelayConfig::default(), Err(Refusal::NotFound)).await;
    let cases = [
        ("tsv://MS Terminal Services Plugin.1.Pool1", Route::Collection("Pool1".to_owned())),
        ("Cookie: msts=tsv://VMResource.1.Pool1", Route::Desktop("Pool1".to_owned())),
        ("Cookie: msts=3640205228.15629.0000", Route::Default),
    ];
    for (token, route) in cases {
        let variable = [token.as_bytes(), b"\r\n\x01\x00\x08\x00\x01\x00\x00\x00"].concat();
        let length = variable.len() as u8 + 11;
        let request = [&[3, 0, 0, length, length - 5, 0xe0, 0, 0, 0, 0, 0], &variable[..]].concat();
        let mut tcp = TcpStream::connect(relay.addr).await.unwrap();
        tcp.write_all(&request).await.unwrap();
        frame(&mut tcp).await;
        let (mut client, settings) = (made::tls(tcp).await, Client::default());
        client.write_all(&settings.connect_initial()).await.unwrap();
        let ids = made::mcs(&mut client, &settings).await;
        client.write_all(&fixture::client_info(ids.user, "TEST", "alice", "secret")).await.unwrap();
        client.flush().await.unwrap();
        match relay.next().await {
            Seen::Attach(request, _) => assert_eq!(request.route, route, "{token}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn stopping_the_service_tells_every_client() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    let (mut client, far) = active(&mut relay, &desktop, &Client::default()).await;
    let waiting = TcpStream::connect(relay.addr).await.unwrap();
    relay.shutdown.cancel();
    let last = [set_error_info(SHARE, ErrorInfo::Disconnected), disconnect_ultimatum()].concat();
    assert_eq!(rest(&mut client).await, last);
    drop((client, far, waiting));
    relay.attached().await;
    relay.activated().await;
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
    relay.task.await.unwrap();
}

#[tokio::test]
async fn network_level_authentication_proves_the_user_and_reads_exactly() {
    let desktop = Desktop::new();
    let mut relay = relay(&desktop).await;
    for (protocols, selected) in [(0x03, 2), (0x0b, 8)] {
        let (tcp, confirm) = made::negotiate(&relay, &[], protocols).await;
        assert_eq!(ConnectionConfirm::parse(&confirm).unwrap().selected, Protocols(selected));
        let mut client = made::tls(tcp).await;
        client.write_all(&[0x30, 1, 1]).await.unwrap();
        let mut reply = [0; 3];
        client.read_exact(&mut reply).await.unwrap();
        assert_eq!(reply, [0x30, 1, 0x81]);
        let settings = Client { selected_protocol: selected, ..Client::default() };
        // clients send Connect Initial right behind the last TSRequest; with HYBRID_EX they would wait
        client.write_all(&[&[0x30, 1, 2], &settings.connect_initial()[..]].concat()).await.unwrap();
        if selected == 8 {
            let mut result = [9; 4];
            client.read_exact(&mut result).await.unwrap();
            assert_eq!(result, [0; 4], "early user authorization");
        }
        let ids = made::mcs(&mut client, &settings).await;
        // who Client Info says it is does not matter
        client.write_all(&fixture::client_info(ids.user, "X", "mallory", "")).await.unwrap();
        client.flush().await.unwrap();
        let (far, _, accepted) = desktop.serve().await;
        assert_eq!(accepted.client.blocks.core.selected_protocol, 1, "the desktop leg's own");
        match relay.next().await {
            Seen::Attach(request, _) => {
                assert_eq!(request.user.name(), "alice");
                assert_eq!(request.client.security, "nla");
            }
            other => panic!("{other:?}"),
        }
        drop((client, far));
        relay.closed().await;
    }
}

#[tokio::test]
async fn a_failed_network_level_authentication_is_answered_with_its_code() {
    let relay = Running::start(RelayConfig::default(), Err(Refusal::NotFound)).await;
    let (tcp, _) = made::negotiate(&relay, &[], 0x03).await;
    let mut client = made::tls(tcp).await;
    client.write_all(&[0x30, 1, 0xff]).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(rest(&mut client).await, [0x30, 1, 0xee]);
}

#[tokio::test]
async fn a_client_without_an_allowed_protocol_is_told_which_one_it_needs() {
    for (policy, offered, code) in
        [(SecurityPolicy { nla: false, tls: true }, 0, 1), (SecurityPolicy { nla: true, tls: false }, 1, 5)]
    {
        let config = RelayConfig { security: policy, ..RelayConfig::default() };
        let relay = Running::start(config, Err(Refusal::NotFound)).await;
        let (mut tcp, confirm) = made::negotiate(&relay, &[], offered).await;
        assert_eq!(
            confirm,
            ConnectionConfirm::encode_failure(match code {
                1 => openrdms_rdp::x224::NegotiationFailure::SslRequired,
                _ => openrdms_rdp::x224::NegotiationFailure::HybridRequired,
            })
        );
        assert_eq!(rest(&mut tcp).await, b"");
    }
}

#[tokio::test]
async fn a_preconnection_blob_is_set_aside_and_rubbish_is_not_answered() {
    let relay = Running::start(RelayConfig::default(), Err(Refusal::NotFound)).await;
    let blob = [0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0];
    let (_, confirm) = made::negotiate(&relay, &blob, 1).await;
    assert!(ConnectionConfirm::parse(&confirm).is_ok());
    let mut tcp = TcpStream::connect(relay.addr).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut tcp).await, b"");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_shed_and_the_slow_are_closed() {
    let mut config = RelayConfig::default();
    config.limits.unauthenticated = 2;
    config.limits.negotiate = Duration::from_millis(1500);
    let relay = Running::start(config, Err(Refusal::NotFound)).await;
    let mut slow = TcpStream::connect(relay.addr).await.unwrap();
    // once it is answered it has been counted
    let (mut half, _) = made::negotiate(&relay, &[], 1).await;
    let mut shed = TcpStream::connect(relay.addr).await.unwrap();
    let begun = Instant::now();
    assert_eq!(rest(&mut shed).await, b"");
    assert!(begun.elapsed() < Duration::from_millis(1400), "shed at once: {:?}", begun.elapsed());
    assert_eq!(rest(&mut slow).await, b"");
    assert_eq!(rest(&mut half).await, b"");
    let (_, confirm) = made::negotiate(&relay, &[], 1).await;
    assert!(ConnectionConfirm::parse(&confirm).is_ok(), "there is room again");
}

/// A connection from another address of this machine that has been answered, or none if it was shed.
async fn answered_from(relay: &Running, address: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    let mut tcp = socket.connect(relay.addr).await.unwrap();
    // a connection that is shed may be gone before the request is
    let _ = tcp.write_all(&ConnectionRequest::encode("alice", Protocols::SSL)).await;
    let answered = timeout(LONG, tcp.read_u8()).await.expect("answered or shed at once");
    answered.ok().map(|_| tcp)
}

#[tokio::test]
async fn one_address_does_not_take_every_place_and_a_proved_user_takes_none() {
    let desktop = Desktop::new();
    let mut config = RelayConfig::default();
    config.limits.unauthenticated_per_address = 2;
    // what is shed is shed for its number, not for its slowness
    config.limits.negotiate = 2 * LONG;
    let mut relay = Running::start(config, Ok((desktop.endpoint(), desktop.sha256))).await;
    let _proved = active(&mut relay, &desktop, &Client::default()).await;
    let first = answered_from(&relay, "127.0.0.1").await.expect("there is room");
    let _second = answered_from(&relay, "127.0.0.1").await.expect("the proved user takes no place");
    assert!(answered_from(&relay, "127.0.0.1").await.is_none(), "one too many");
    assert!(answered_from(&relay, "127.0.0.2").await.is_some(), "another address has its own places");
    drop(first);
    let again = async { while answered_from(&relay, "127.0.0.1").await.is_none() {} };
    timeout(LONG, again).await.expect("there is room again");
}
