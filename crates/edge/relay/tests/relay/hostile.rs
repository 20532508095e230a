//! A desktop's RDP server that means harm: it harms its own user's connection and nothing else.

use crate::{
    fakes::{Running, Seen},
    fixture::Client,
    made::{Desktop, frame, log_on, rest},
};
use openrdms_broker::{
    Endpoint,
    ports::{Told, front::ConnectionEnd},
    session::DetachReason,
};
use openrdms_rdp::{
    mcs::send_data_indication,
    server::{ErrorInfo, disconnect_ultimatum, license_valid_client, set_error_info},
    x224::{ConnectionConfirm, Protocols},
};
use openrdms_relay::RelayConfig;
use std::{
    pin::Pin,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// How long a desktop has in these tests.
const BIND: Duration = Duration::from_secs(2);
/// How long a good desktop may take beside a hostile one.
const PROMPT: Duration = Duration::from_secs(5);

type Act = fn(UnixStream, &Desktop) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

/// Goes on with it until the relay hangs up.
async fn endlessly<W: AsyncWriteExt + Unpin>(mut stream: W, part: &[u8]) {
    while stream.write_all(part).await.is_ok() {
        if stream.flush().await.is_err() {
            return;
        }
    }
}

async fn drip(mut stream: UnixStream, head: &[u8]) {
    let _ = stream.write_all(head).await;
    while stream.write_all(&[0]).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await; // the drip itself
    }
}

/// Answers the Connection Request, does TLS, and answers Connect Initial with this.
async fn connect_response(mut plain: UnixStream, desktop: &Desktop, response: Vec<u8>) {
    frame(&mut plain).await;
    plain.write_all(&ConnectionConfirm::encode(Protocols::SSL)).await.unwrap();
    let Ok(mut stream) = desktop.tls(plain).await else { return };
    frame(&mut stream).await;
    endlessly(&mut stream, &response).await;
}

/// A frame of 65,535 bytes that begins like a Connect Response and goes on with these lengths.
fn huge(begins: &[u8]) -> Vec<u8> {
    let mut bytes = [&[3, 0, 0xff, 0xff, 2, 0xf0, 0x80][..], begins].concat();
    bytes.resize(0xffff, 0xff);
    bytes
}

/// What a hostile desktop does, up to the end of the handshake.
const ACTS: [(&str, Act); 11] = [
    ("hangs up", |stream, _| Box::pin(async move { drop(stream) })),
    ("endless zeros", |stream, _| Box::pin(endlessly(stream, &[0; 4096]))),
    ("endless text", |stream, _| Box::pin(endlessly(stream, &[b'x'; 4096]))),
    ("frames without a length", |stream, _| Box::pin(endlessly(stream, &[3, 0, 0, 0]))),
    ("frames shorter than their head", |stream, _| Box::pin(endlessly(stream, &[3, 0, 0, 3]))),
    ("a frame that never ends", |stream, _| Box::pin(drip(stream, &[3, 0, 0xff, 0xff]))),
    ("one byte after another", |stream, _| Box::pin(drip(stream, &[3]))),
    ("a confirm and then rubbish for tls", |mut stream, _| {
        Box::pin(async move {
            frame(&mut stream).await;
            let _ = stream.write_all(&ConnectionConfirm::encode(Protocols::SSL)).await;
            endlessly(stream, &[0x16, 3, 1, 0xff, 0xff, 7, 7, 7]).await;
        })
    }),
    ("a huge connect response", |stream, desktop| {
        Box::pin(connect_response(stream, desktop, huge(&[0x7f, 0x66, 0x82, 0xff, 0xf3])))
    }),
    ("a connect response of four gigabytes", |stream, desktop| {
        Box::pin(connect_response(stream, desktop, huge(&[0x7f, 0x66, 0x84, 0xff, 0xff, 0xff, 0xff])))
    }),
    ("a connect response of one byte", |stream, desktop| {
        Box::pin(connect_response(stream, desktop, vec![3, 0, 0, 8, 2, 0xf0, 0x80, 0x7f]))
    }),
];

async fn relay_to(desktop: &Desktop) -> Running {
    let mut config = RelayConfig::default();
    config.limits.bind = BIND;
    Running::start(config, Ok((desktop.endpoint(), desktop.sha256))).await
}

/// A user of another desktop is connected, and promptly.
async fn others_are_served(relay: &mut Running) {
    let good = Desktop::new();
    *relay.broker.desktop.lock().unwrap() = Ok((good.endpoint(), good.sha256));
    let begun = Instant::now();
    let settings = Client::default();
    let (client, served) = tokio::join!(log_on(relay, &settings, "alice", "secret"), good.serve());
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    drop((client, served));
}

fn refused() -> Vec<u8> {
    [license_valid_client(), set_error_info(0, ErrorInfo::DesktopFailed), disconnect_ultimatum()].concat()
}

#[tokio::test]
async fn whatever_a_desktop_does_in_the_handshake_its_user_is_told_in_time_and_others_are_served() {
    for (act, acts) in ACTS {
        let desktop = Desktop::new();
        let mut relay = relay_to(&desktop).await;
        let begun = Instant::now();
        let hostile = async {
            let stream = desktop.silent().await;
            acts(stream, &desktop).await;
        };
        let user = async {
            let mut client = log_on(&relay, &Client::default(), "alice", "secret").await;
            let said = rest(&mut client).await;
            assert_eq!(said, refused(), "{act}");
        };
        tokio::join!(hostile, user);
        assert!(begun.elapsed() < BIND + PROMPT, "{act}: {:?}", begun.elapsed());
        relay.attached().await;
        assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed, "{act}");
        others_are_served(&mut relay).await;
    }
}

/// A share PDU of this type and length.
fn share(kind: u8, length: u16) -> Vec<u8> {
    let mut pdu = [&length.to_le_bytes()[..], &[kind, 0x00, 0xea, 0x03]].concat();
    pdu.resize(length.into(), 0);
    pdu
}

/// A Server Redirection to 10.0.0.1, as a broker of another kind would send it.
fn redirection() -> Vec<u8> {
    let address: Vec<u8> = "10.0.0.1\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let size = address.len() as u8;
    #[rustfmt::skip]
    let head = [
        24 + size, 0, 0x1a, 0, 0xea, 0x03, 0, 0, // share control: PDUTYPE_SERVER_REDIR_PKT; padding
        0x00, 0x04, 16 + size, 0, 0, 0, 0, 0,    // SEC_REDIRECTION_PKT, session 0
        0x01, 0, 0, 0, size, 0, 0, 0,            // LB_TARGET_NET_ADDRESS
    ];
    [&head[..], &address].concat()
}

/// What a desktop says, and what its client sees of it.
struct Elsewhere {
    what: &'static str,
    active: bool,
    says: Vec<u8>,
    seen: Vec<u8>,
}

#[tokio::test]
async fn a_desktop_cannot_send_its_user_elsewhere_however_it_hides_it() {
    let indication = |pdus: &[Vec<u8>]| send_data_indication(&pdus.concat()).unwrap();
    let data = indication(&[share(0x17, 300)]);
    let mut on_another_channel = indication(&[redirection()]);
    on_another_channel[11] += 1;
    let mut behind_its_frame = indication(&[share(0x17, 20), redirection()]);
    behind_its_frame[13] = 20; // which MCS says, and clients do not look at
    let cases = [
        Elsewhere { what: "first", active: false, says: indication(&[redirection()]), seen: vec![] },
        Elsewhere {
            what: "instead of the licence, where clients look for it on any channel",
            active: false,
            says: on_another_channel,
            seen: vec![],
        },
        Elsewhere {
            what: "instead of Demand Active",
            active: false,
            says: [license_valid_client(), indication(&[redirection()])].concat(),
            seen: license_valid_client(),
        },
        Elsewhere {
            what: "at any time",
            active: true,
            says: [&data[..], &data, &indication(&[redirection()]), &data].concat(),
            seen: [&data[..], &data].concat(),
        },
        Elsewhere {
            what: "behind other PDUs",
            active: true,
            says: indication(&[share(0x17, 9_000), share(0x16, 6), redirection()]),
            seen: vec![],
        },
        Elsewhere { what: "behind its frame", active: true, says: behind_its_frame, seen: vec![] },
    ];
    for Elsewhere { what, active, says, seen } in cases {
        for piece in [usize::MAX, 1] {
            let desktop = Desktop::new();
            let mut relay = relay_to(&desktop).await;
            let settings = Client::default();
            let (mut client, (mut far, _, _)) =
                tokio::join!(log_on(&relay, &settings, "alice", "secret"), desktop.serve());
            relay.attached().await;
            let begins = [license_valid_client(), indication(&[share(0x11, 300)])].concat();
            if active {
                far.write_all(&begins).await.unwrap();
                far.flush().await.unwrap();
                client.read_exact(&mut vec![0; begins.len()]).await.unwrap();
                relay.activated().await;
            }
            let talk = async {
                for part in says.chunks(piece.min(says.len())) {
                    if far.write_all(part).await.is_err() || far.flush().await.is_err() {
                        break;
                    }
                }
            };
            let (told, ()) = tokio::join!(rest(&mut client), talk);
            let last = [set_error_info(0, ErrorInfo::DesktopFailed), disconnect_ultimatum()].concat();
            let told = told.strip_suffix(&last[..]).unwrap_or_else(|| panic!("{what}: {told:02x?}"));
            let licence = if active || !seen.is_empty() { vec![] } else { license_valid_client() };
            // what is still under way when it is noticed does not follow
            assert!([licence, seen.clone()].concat().starts_with(told), "{what}: {told:02x?}");
            drop(client);
            assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed, "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_left_of_a_frame_when_an_order_comes_sends_nobody_elsewhere() {
    let desktop = Desktop::new();
    let mut relay = relay_to(&desktop).await;
    let settings = Client::default();
    let (mut client, (mut far, _, _)) =
        tokio::join!(log_on(&relay, &settings, "alice", "secret"), desktop.serve());
    let (_, kill) = relay.attached().await;
    let active = send_data_indication(&share(0x11, 300)).unwrap();
    let begins = [license_valid_client(), active].concat();
    // a frame of which the client gets nothing before all of it is there
    let hidden = send_data_indication(&[share(0x17, 5_000), redirection()].concat()).unwrap();
    let (now, later) = hidden.split_at(5_020);
    far.write_all(&[&begins, now].concat()).await.unwrap();
    far.flush().await.unwrap();
    client.read_exact(&mut vec![0; begins.len()]).await.unwrap();
    relay.activated().await;
    kill.throw(DetachReason::Administrator);
    let _ = far.write_all(later).await;
    let _ = far.flush().await;
    let last = [set_error_info(0, ErrorInfo::Disconnected), disconnect_ultimatum()].concat();
    assert_eq!(rest(&mut client).await, last);
    drop(client);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
}

#[tokio::test]
async fn while_one_desktop_is_silent_the_users_of_others_do_not_wait() {
    let desktop = Desktop::new();
    let mut relay = relay_to(&desktop).await;
    let settings = Client::default();
    let (mut client, _silent) = tokio::join!(log_on(&relay, &settings, "alice", "secret"), desktop.silent());
    others_are_served(&mut relay).await;
    assert_eq!(rest(&mut client).await, refused());
}

#[tokio::test]
async fn what_is_put_in_the_place_of_a_desktops_socket_is_not_opened() {
    let other = Desktop::new();
    let Endpoint::Unix { path: real, uid } = other.endpoint() else { panic!("no socket") };
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(&real, path("link")).unwrap();
    std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
    std::fs::write(path("file"), "x").unwrap();
    std::fs::create_dir(path("directory")).unwrap();
    let (cwd, mode) = (rustix::fs::CWD, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(cwd, path("fifo"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    drop(std::os::unix::net::UnixListener::bind(path("dead")).unwrap());
    let mut relay = relay_to(&other).await;
    let places =
        ["link", "loop", "file", "directory", "fifo", "dead", "absent"].map(|name| (path(name), uid));
    // and a real one, of somebody else
    for (path, uid) in places.into_iter().chain([(real, uid + 1)]) {
        let place = path.display().to_string();
        *relay.broker.desktop.lock().unwrap() = Ok((Endpoint::Unix { path, uid }, other.sha256));
        let begun = Instant::now();
        let mut client = log_on(&relay, &Client::default(), "alice", "secret").await;
        assert_eq!(rest(&mut client).await, refused(), "{place}");
        drop(client);
        relay.attached().await;
        assert_eq!(relay.closed().await, ConnectionEnd::DesktopFailed, "{place}");
        assert!(begun.elapsed() < BIND + PROMPT, "{place}: {:?}", begun.elapsed());
    }
    others_are_served(&mut relay).await;
}

#[tokio::test]
async fn a_desktop_that_floods_a_client_that_reads_nothing_does_not_fill_our_memory() {
    let desktop = Desktop::new();
    let mut relay = relay_to(&desktop).await;
    let settings = Client::default();
    let (client, (mut far, _, _)) =
        tokio::join!(log_on(&relay, &settings, "alice", "secret"), desktop.serve());
    relay.attached().await;
    // frames of all sizes, until nothing is taken any more
    let huge = [&[3, 0, 0xff, 0xff, 2, 0xf0, 0x80][..], &[7; 0xfff8]].concat();
    let frames = [&huge[..], &[0, 2], &disconnect_ultimatum()].concat();
    let quiet = Duration::from_secs(1);
    let (mut at, mut taken) = (0, 0);
    while let Ok(written) = tokio::time::timeout(quiet, far.write(&frames[at..])).await {
        let written = written.unwrap();
        (at, taken) = ((at + written) % frames.len(), taken + written);
        assert!(taken < 64 << 20, "the kernel's buffers and ours are smaller than this");
    }
    others_are_served(&mut relay).await;
    drop(client);
    let mut sink = [0; 4096];
    while matches!(far.read(&mut sink).await, Ok(n) if n > 0) {}
    drop(far);
    // the other user's connection is somewhere in between
    loop {
        match relay.next().await {
            Seen::Closed(ConnectionEnd::ClientGone) => break,
            Seen::Attach(..)
            | Seen::Activated(_)
            | Seen::Input
            | Seen::Dismissed(_)
            | Seen::Closed(_)
            | Seen::Dropped => {}
        }
    }
}
