//! The pump between two pipes: nothing is changed or lost, and it can always be stopped at a frame boundary.

use super::*;
use openrdms_rdp::{ChannelIds, mcs};
use proptest::{collection::vec, prelude::*};
use tokio::io::{DuplexStream, duplex};

type Pipes = Pump<DuplexStream, DuplexStream>;

/// A pump, the client's end and the desktop's end; the pipes hold `size` bytes.
fn pump(size: usize, map: Option<ChannelMap>) -> (Pipes, DuplexStream, DuplexStream) {
    let ((client, client_end), (desktop, desktop_end)) = (duplex(size), duplex(size));
    (Pump::new(client, desktop, map, ChannelIds::IO), client_end, desktop_end)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limit = Duration::from_secs(20);
    runtime.block_on(async { tokio::time::timeout(limit, test).await.expect("nothing hangs") })
}

async fn event(pump: &mut Pipes) -> Event {
    poll_fn(|cx| pump.poll(cx)).await
}

/// Runs the pump, whatever it notices, until it ends.
async fn until_end(pump: &mut Pipes) -> Event {
    loop {
        match event(pump).await {
            Event::Activated | Event::Ready | Event::Input => {}
            end => return end,
        }
    }
}

fn demand_active(share_id: u32) -> Vec<u8> {
    let mut content = vec![0x2c, 0x01, 0x11, 0x00, 0xf0, 0x03];
    content.extend_from_slice(&share_id.to_le_bytes());
    content.resize(300, 7);
    mcs::send_data_indication(&content).unwrap()
}

/// A share PDU of this type, in so many bytes.
fn share(kind: u8, length: u16) -> Vec<u8> {
    let mut pdu = [&length.to_le_bytes()[..], &[kind, 0x00, 0xea, 0x03]].concat();
    pdu.resize(length.into(), 7);
    pdu
}

/// Several share PDUs in one frame.
fn several(lengths: &[u16]) -> Vec<u8> {
    let pdus: Vec<_> = lengths.iter().map(|length| share(0x17, *length)).collect();
    mcs::send_data_indication(&pdus.concat()).unwrap()
}

/// A frame with a redirection, behind PDUs of these lengths.
fn redirection(behind: &[u16]) -> Vec<u8> {
    let mut pdus: Vec<_> = behind.iter().map(|length| share(0x17, *length)).collect();
    pdus.push(share(0x1a, 200));
    mcs::send_data_indication(&pdus.concat()).unwrap()
}

fn font_map() -> Vec<u8> {
    let mut content = vec![0x1a, 0x00, 0x17, 0x00, 0xea, 0x03];
    content.extend_from_slice(&[0xea, 0x03, 0x01, 0x00, 0x00, 0x01, 0x1a, 0x00, 0x28, 0x00, 0x00, 0x00]);
    content.resize(26, 0);
    mcs::send_data_indication(&content).unwrap()
}

/// What is said to the client, as the only frame of its kind.
fn aside() -> Vec<u8> {
    [&[0x3c, 0x81, 0x2c][..], &[0xaa; 297]].concat()
}

/// Runs the pump, and says something behind the first Font Map.
async fn until_end_with_aside(pump: &mut Pipes) -> Event {
    loop {
        match event(pump).await {
            Event::Ready => pump.say_to_client(Zeroizing::new(aside())),
            Event::Activated | Event::Input => {}
            end => return end,
        }
    }
}

/// Some frame that is not a Send Data Indication.
fn tpkt(length: u16) -> Vec<u8> {
    let mut frame = [&[3, 0][..], &length.to_be_bytes(), &[2, 0xf0, 0x80, 0x3c]].concat();
    frame.resize(length.into(), length as u8);
    frame
}

/// Frames of both kinds, some longer than any buffer, behind the licence.
fn frames(most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let tpkt = (8..most as u16).prop_map(tpkt);
    let several = vec(6u16..most.min(5_000) as u16, 1..4).prop_map(|lengths| several(&lengths));
    let fast = (0..most.min(30_000)).prop_map(|n| {
        let length = (n + 3) as u16 | 0x8000;
        [&[4][..], &length.to_be_bytes(), &vec![n as u8; n]].concat()
    });
    let demand = any::<u32>().prop_map(demand_active);
    vec(prop_oneof![2 => tpkt, 2 => fast, 1 => several, 1 => demand], 1..20).prop_map(|mut frames| {
        frames.insert(0, openrdms_rdp::server::license_valid_client());
        frames
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn everything_arrives_unchanged_both_ways(
        down in frames(60_000),
        up in frames(3_000),
        size in 1usize..5_000,
        chunk in 1usize..9_000,
    ) {
        let (down, up) = (down.concat(), up.concat());
        let (got_down, got_up) = run(async {
            let (mut pump, client, desktop) = pump(size, None);
            let ((mut cr, mut cw), (mut dr, mut dw)) = (tokio::io::split(client), tokio::io::split(desktop));
            let feed = async |w: &mut tokio::io::WriteHalf<DuplexStream>, bytes: &[u8]| {
                for part in bytes.chunks(chunk) {
                    w.write_all(part).await.unwrap();
                }
            };
            let (mut got_down, mut got_up) = (vec![0; down.len()], vec![0; up.len()]);
            let work = async {
                tokio::join!(
                    feed(&mut dw, &down),
                    feed(&mut cw, &up),
                    async { cr.read_exact(&mut got_down).await.unwrap() },
                    async { dr.read_exact(&mut got_up).await.unwrap() },
                )
            };
            tokio::select! {
                _ = work => {}
                end = until_end(&mut pump) => panic!("{end:?}"),
            }
            (got_down, got_up)
        });
        prop_assert!(got_down == down && got_up == up);
    }

    #[test]
    fn what_is_said_to_the_client_is_behind_the_first_font_map_and_nothing_else_changes(
        before in frames(5_000),
        behind in frames(5_000),
        again in any::<bool>(),
        size in 1usize..3_000,
        chunk in 1usize..9_000,
    ) {
        let before = [before.concat(), demand_active(5), font_map()].concat();
        let behind = [behind[1..].concat(), if again { font_map() } else { vec![] }].concat();
        let expected = [&before[..], &aside(), &behind].concat();
        let got = run(async {
            let (mut pump, mut client, mut desktop) = pump(size, None);
            let sent = [before, behind].concat();
            let feed = async {
                for part in sent.chunks(chunk) {
                    desktop.write_all(part).await.unwrap();
                }
            };
            let mut got = vec![0; expected.len()];
            tokio::select! {
                _ = async { tokio::join!(feed, client.read_exact(&mut got)) } => {}
                end = until_end_with_aside(&mut pump) => panic!("{end:?}"),
            }
            got
        });
        prop_assert!(got == expected);
    }

    #[test]
    fn what_was_begun_to_be_said_is_said_to_its_end(size in 1usize..900, seen in 0usize..600) {
        let whole = [demand_active(5), font_map(), aside(), demand_active(6)].concat();
        let got = run(async {
            let (mut pump, mut client, mut desktop) = pump(size, None);
            let sent = [demand_active(5), font_map(), demand_active(6)].concat();
            let feed = tokio::spawn(async move { let _ = desktop.write_all(&sent).await; desktop });
            let mut got = vec![0; seen];
            tokio::select! {
                read = client.read_exact(&mut got) => { read.unwrap(); }
                end = until_end_with_aside(&mut pump) => panic!("{end:?}"),
            }
            let reading = tokio::spawn(async move {
                client.read_to_end(&mut got).await.unwrap();
                got
            });
            pump.finish_client_frame().await.unwrap();
            drop(pump);
            feed.await.unwrap();
            reading.await.unwrap()
        });
        let ends = [demand_active(5).len(), font_map().len(), aside().len(), demand_active(6).len()];
        let boundaries = ends.iter().scan(0, |at, n| { *at += n; Some(*at) });
        prop_assert!(whole.starts_with(&got) && got.len() >= seen);
        prop_assert!(got.is_empty() || boundaries.into_iter().any(|at| at == got.len()), "{}", got.len());
    }

    #[test]
    fn the_client_can_be_brought_to_a_frame_boundary_at_any_moment(
        frames in frames(5_000),
        size in 1usize..3_000,
        seen in 0usize..20_000,
    ) {
        let bytes = frames.concat();
        let seen = seen.min(bytes.len() - 1);
        let got = run(async {
            let (mut pump, mut client, mut desktop) = pump(size, None);
            let feeding = bytes.clone();
            // the desktop goes on for as long as anybody listens
            let feed = tokio::spawn(async move { let _ = desktop.write_all(&feeding).await; desktop });
            let mut got = vec![0; seen];
            tokio::select! {
                read = client.read_exact(&mut got) => { read.unwrap(); }
                end = until_end(&mut pump) => panic!("{end:?}"),
            }
            let reading = tokio::spawn(async move {
                client.read_to_end(&mut got).await.unwrap();
                got
            });
            pump.finish_client_frame().await.unwrap();
            pump.client.write_all(b"last").await.unwrap();
            drop(pump);
            feed.await.unwrap();
            reading.await.unwrap()
        });
        let got = got.strip_suffix(b"last").unwrap();
        prop_assert!(bytes.starts_with(got) && got.len() >= seen);
        let mut at = 0;
        let boundary = frames.iter().any(|f| { let here = at == got.len(); at += f.len(); here }) || at == got.len();
        prop_assert!(boundary, "{} is no boundary", got.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_of_a_frame_with_a_redirection_reaches_the_client(
        before in frames(5_000),
        hides_behind in vec(6u16..5_000, 0..3),
        behind in frames(5_000),
        size in 1usize..3_000,
        chunk in 1usize..9_000,
    ) {
        let sent = [before.concat(), redirection(&hides_behind), behind[1..].concat()].concat();
        let (end, got) = run(async {
            let (mut pump, mut client, mut desktop) = pump(size, None);
            let feed = tokio::spawn(async move {
                for part in sent.chunks(chunk) {
                    if desktop.write_all(part).await.is_err() {
                        break;
                    }
                }
            });
            let reading = tokio::spawn(async move {
                let mut got = Vec::new();
                client.read_to_end(&mut got).await.unwrap();
                got
            });
            let end = until_end(&mut pump).await;
            pump.finish_client_frame().await.unwrap();
            drop(pump);
            feed.await.unwrap();
            (end, reading.await.unwrap())
        });
        prop_assert_eq!(end, Event::DesktopBroke(DesktopFault::Redirection));
        prop_assert!(before.concat().starts_with(&got));
        prop_assert!((0..=before.len()).any(|n| before[..n].concat().len() == got.len()), "{}", got.len());
    }
}

#[test]
fn a_redirection_in_what_is_left_of_a_frame_does_not_follow_an_order() {
    run(async {
        let (mut pump, mut client, mut desktop) = pump(64 * 1024, None);
        let license = openrdms_rdp::server::license_valid_client();
        let one = several(&[9_000]);
        // what the client has had a part of is one PDU to its end
        desktop.write_all(&[&license[..], &one[..5_000]].concat()).await.unwrap();
        let mut got = vec![0; license.len() + 5_000];
        tokio::select! {
            read = client.read_exact(&mut got) => { read.unwrap(); }
            event = event(&mut pump) => panic!("{event:?}"),
        }
        desktop.write_all(&[&one[5_000..], &redirection(&[])].concat()).await.unwrap();
        pump.finish_client_frame().await.unwrap();
        drop(pump);
        client.read_to_end(&mut got).await.unwrap();
        assert!(got == [license, one].concat());
    });
    run(async {
        let (mut pump, mut client, mut desktop) = pump(64 * 1024, None);
        let license = openrdms_rdp::server::license_valid_client();
        let hidden = redirection(&[9_000]);
        // of several PDUs it gets nothing before they are all there
        desktop.write_all(&[&license[..], &hidden[..9_020]].concat()).await.unwrap();
        let mut got = vec![0; license.len()];
        tokio::select! {
            read = client.read_exact(&mut got) => { read.unwrap(); }
            event = event(&mut pump) => panic!("{event:?}"),
        }
        desktop.write_all(&hidden[9_020..]).await.unwrap();
        pump.finish_client_frame().await.unwrap();
        drop(pump);
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, license);
    });
}

#[test]
fn it_is_the_clients_own_io_channel_on_which_a_desktop_may_send_nobody_elsewhere() {
    // the desktop's I/O channel is what the client knows as its user channel, and the other way round
    let desktop_ids = ChannelIds { io: 1004, user: 1003, statics: vec![] };
    let on = |channel: u16| {
        let mut frame = redirection(&[]);
        frame[10..12].copy_from_slice(&channel.to_be_bytes());
        frame
    };
    let mut licence = openrdms_rdp::server::license_valid_client();
    licence[10..12].copy_from_slice(&1004u16.to_be_bytes());
    run(async {
        let map = ChannelMap::new(&ChannelIds::ours(0), &desktop_ids);
        assert!(map.is_some());
        let (mut pump, mut client, mut desktop) = pump(4096, map);
        desktop.write_all(&[licence, on(1003), on(1004)].concat()).await.unwrap();
        assert_eq!(until_end(&mut pump).await, Event::DesktopBroke(DesktopFault::Redirection));
        pump.finish_client_frame().await.unwrap();
        drop(pump);
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        let passed = [openrdms_rdp::server::license_valid_client(), on(1004)].concat();
        assert!(passed.starts_with(&got), "{got:02x?}");
    });
}

#[test]
fn the_first_demand_active_waits_until_the_pump_goes_on_and_the_last_share_id_counts() {
    run(async {
        let (mut pump, mut client, mut desktop) = pump(4096, None);
        let license = openrdms_rdp::server::license_valid_client();
        desktop.write_all(&[license.clone(), demand_active(5), demand_active(6)].concat()).await.unwrap();
        assert_eq!(event(&mut pump).await, Event::Activated);
        assert_eq!(pump.share_id(), Some(5));
        assert!(!pump.client_had_any());
        let mut got = vec![0; license.len() + 2 * demand_active(5).len()];
        tokio::select! {
            read = client.read_exact(&mut got) => { read.unwrap(); }
            event = event(&mut pump) => panic!("{event:?} a second time"),
        }
        assert_eq!(pump.share_id(), Some(6));
        assert!(pump.client_had_any());
    });
}

#[test]
fn input_is_reported_at_once_and_then_not_for_a_while() {
    run(async {
        let (mut pump, mut client, mut desktop) = pump(4096, None);
        let (sync, key) = ([0x04, 0x03, 0x61], [0x04, 0x04, 0x00, 0x1e]);
        client.write_all(&[&sync[..], &key, &key, &sync, &key].concat()).await.unwrap();
        assert_eq!(event(&mut pump).await, Event::Input);
        let mut got = [0; 18];
        tokio::select! {
            read = desktop.read_exact(&mut got) => { read.unwrap(); }
            event = event(&mut pump) => panic!("{event:?} a second time"),
        }
    });
}

#[test]
fn ids_are_rewritten_where_the_legs_differ_even_byte_by_byte() {
    run(async {
        let desktop_ids = ChannelIds { io: 1003, user: 1010, statics: vec![1020] };
        let map = ChannelMap::new(&ChannelIds::ours(1), &desktop_ids);
        let (mut pump, mut client, mut desktop) = pump(1, map);
        let (sent, expected) = (
            mcs::send_data_request(1005, 1004, &[9; 200]).unwrap(),
            mcs::send_data_request(1010, 1020, &[9; 200]).unwrap(),
        );
        let mut got = vec![0; expected.len()];
        tokio::select! {
            end = until_end(&mut pump) => panic!("{end:?}"),
            _ = async { tokio::join!(client.write_all(&sent), desktop.read_exact(&mut got)) } => {}
        }
        assert_eq!(got, expected);
    });
}

#[test]
fn each_end_is_told_apart() {
    run(async {
        let (mut p, client, _desktop) = pump(64, None);
        drop(client);
        assert_eq!(until_end(&mut p).await, Event::ClientGone);
        let (mut p, _client, desktop) = pump(64, None);
        drop(desktop);
        assert_eq!(until_end(&mut p).await, Event::DesktopGone);
        let (mut p, mut client, _desktop) = pump(64, None);
        client.write_all(&[1, 2, 3, 4]).await.unwrap();
        assert_eq!(until_end(&mut p).await, Event::ClientBroke(FrameError::UnknownHeader));
        let (mut p, _client, mut desktop) = pump(64, None);
        desktop.write_all(&[3, 0, 0, 4]).await.unwrap();
        assert_eq!(until_end(&mut p).await, Event::DesktopBroke(FrameError::TooShort.into()));
    });
}

#[test]
fn a_lane_has_a_buffer_only_while_something_is_in_it() {
    run(async {
        let (mut pump, mut client, mut desktop) = pump(64 * 1024, None);
        let large = tpkt(0xffff);
        let mut got = vec![0; large.len()];
        tokio::select! {
            end = until_end(&mut pump) => panic!("{end:?}"),
            _ = async { tokio::join!(desktop.write_all(&large), client.read_exact(&mut got)) } => {}
        }
        assert_eq!((pump.down.buffer.capacity(), pump.up.buffer.capacity()), (0, 0), "all has gone on");
        desktop.write_all(&[3]).await.unwrap();
        tokio::select! {
            end = until_end(&mut pump) => panic!("{end:?}"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(pump.down.buffer.len(), spare::SIZE, "a piece of a head waits for its rest");
    });
}
