//! Heads of frames in passing: how long a frame is, what it is, and the channel ids in it.

mod clients;

use openrdms_rdp::frame::MAX_HEADER;
use openrdms_rdp::mcs::{SEND_DATA_INDICATION, SEND_DATA_REQUEST};
use openrdms_rdp::server::{ErrorInfo, auto_reconnect_cookie, set_error_info};
use openrdms_rdp::{ChannelIds, ChannelMap, DesktopFault, Guard, Harmless, frame_len, watch};
use std::collections::BTreeSet;

/// A length never changes once it is known; what is noticed does not hang on bytes behind the head; ids are rewritten in
/// their place alone, there and back they are the same, and what is noticed is the same before and behind.
///
/// Before the head stand the number of channels and the desktop's ids: I/O, user, static channels.
pub fn frame_heads(bytes: &[u8]) -> bool {
    let Some((count, rest)) = bytes.split_first() else { return false };
    let count = usize::from(count % 32);
    let Some((ids, frame)) = rest.split_at_checked(4 + 2 * count) else { return false };
    let mut ids = ids.as_chunks::<2>().0.iter().map(|id| u16::from_be_bytes(*id));
    let (Some(io), Some(user)) = (ids.next(), ids.next()) else { return false };
    let (client, desktop) = (ChannelIds::ours(count), ChannelIds { io, user, statics: ids.collect() });

    let length = is_length(frame);
    is_noticed(frame, client.io);
    is_guarded(frame, client.io);
    if let Some(map) = ChannelMap::new(&client, &desktop) {
        is_mapped(&map, &client, &desktop);
        is_rewritten(frame, &map, &client, &desktop);
    }
    length
}

fn is_length(bytes: &[u8]) -> bool {
    let whole = frame_len(bytes);
    for n in 0..bytes.len().min(MAX_HEADER + 1) {
        let now = frame_len(&bytes[..n]);
        assert!(now == whole || now == Ok(None), "{now:?} of {n} bytes, then {whole:?}");
        assert!(n < MAX_HEADER || now == whole);
    }
    assert!(!matches!(whole, Ok(Some(0 | 1))), "it is in two bytes");
    matches!(whole, Ok(Some(_)))
}

fn is_noticed(frame: &[u8], io: u16) {
    let head = &frame[..frame.len().min(watch::HEAD)];
    let (share, font_map) = (watch::demand_active(head, io), watch::font_map(head, io));
    let input = watch::carries_input(head, io);
    assert_eq!(watch::demand_active(frame, io), share);
    assert_eq!(watch::font_map(frame, io), font_map);
    assert_eq!(watch::logged_off(frame, io), watch::logged_off(head, io));
    assert!(!input || watch::carries_input(frame, io), "more does not take input away");
    let slow = [share.is_some(), font_map, input && head[0] == 3];
    assert!(slow.iter().filter(|it| **it).count() <= 1, "{head:02x?} is {slow:?}");
    if slow.contains(&true) {
        assert_eq!(head[10..12], io.to_be_bytes(), "another channel's");
        assert_eq!(head[7], if slow[2] { SEND_DATA_REQUEST } else { SEND_DATA_INDICATION });
    }
    let Some(share) = share else { return };
    // what we would say to that client
    let cookie = auto_reconnect_cookie(share, 1, &[7; 16]);
    for ours in [&set_error_info(share, ErrorInfo::TakenOver)[..], &cookie] {
        assert_eq!(frame_len(ours), Ok(Some(ours.len())));
        assert!(watch::demand_active(ours, io).is_none() && !watch::font_map(ours, io));
    }
}

/// That a head tells what all of the frame does, where it tells anything, and that no client is sent elsewhere by what
/// goes on.
fn is_guarded(bytes: &[u8], io: u16) {
    let Ok(Some(length)) = frame_len(bytes) else { return };
    let Some(frame) = bytes.get(..length) else { return };
    let licence = openrdms_rdp::server::license_valid_client();
    for licensed in [false, true] {
        let guard = || {
            let mut guard = Guard::new(io);
            if licensed {
                assert_eq!(guard.check(&licence, licence.len(), |id| id), Ok(Harmless::Whole));
            }
            guard
        };
        let whole = guard().check(frame, length, |id| id);
        let head = guard().check(&frame[..length.min(watch::HEAD)], length, |id| id);
        assert!(head == whole || head == Ok(Harmless::Unknown), "{head:?}, then {whole:?}");
        assert!(head != Ok(Harmless::Unknown) || length < 17 * 1024, "it fits into a buffer");
        match whole {
            Ok(Harmless::Whole) => assert!(!clients::are_sent_elsewhere(frame, licensed, io), "{frame:02x?}"),
            Ok(Harmless::Unknown) => panic!("all of it is there"),
            Err(DesktopFault::Frame(_)) => panic!("it is a frame"),
            Err(DesktopFault::Redirection | DesktopFault::Ambiguous) => {}
            Err(DesktopFault::Unlicensed) => assert!(!licensed),
        }
    }
}

/// That every id of one leg becomes that of the other, where each channel has its own.
pub(crate) fn is_mapped(map: &ChannelMap, client: &ChannelIds, desktop: &ChannelIds) {
    let unique: BTreeSet<u16> = desktop.all().collect();
    if unique.len() != desktop.all().count() {
        return;
    }
    for (ours, theirs) in client.all().zip(desktop.all()) {
        let mut frame = send_data(SEND_DATA_REQUEST, ours);
        map.to_desktop(&mut frame);
        assert_eq!(frame, send_data(SEND_DATA_REQUEST, theirs), "{ours} to {theirs}");
        let mut frame = send_data(SEND_DATA_INDICATION, theirs);
        map.to_client(&mut frame);
        assert_eq!(frame, send_data(SEND_DATA_INDICATION, ours), "{theirs} to {ours}");
    }
}

/// The head of a frame from an id to the same.
fn send_data(kind: u8, id: u16) -> [u8; 14] {
    let ([i0, i1], [c0, c1]) = (id.wrapping_sub(1001).to_be_bytes(), id.to_be_bytes());
    [3, 0, 0, 14, 2, 0xf0, 0x80, kind, i0, i1, c0, c1, 0x70, 0]
}

fn is_rewritten(frame: &[u8], map: &ChannelMap, client: &ChannelIds, desktop: &ChannelIds) {
    let (mut up, mut down) = (frame.to_vec(), frame.to_vec());
    map.to_desktop(&mut up);
    map.to_client(&mut down);
    let channel = |frame: &[u8]| frame.get(10..12).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    for (kind, rewritten) in [(SEND_DATA_REQUEST, &up), (SEND_DATA_INDICATION, &down)] {
        let is_data = frame.first() == Some(&3) && frame.get(7) == Some(&kind);
        for (at, (now, then)) in rewritten.iter().zip(frame).enumerate() {
            assert!(now == then || is_data && (8..12).contains(&at), "byte {at} of {frame:02x?}");
        }
        assert_eq!(frame_len(rewritten), frame_len(frame));
    }
    let unique: BTreeSet<u16> = desktop.all().collect();
    if unique.len() != desktop.all().count() {
        return;
    }
    // an id that nobody has given out goes through as it is, and may be another's on the other side
    if client.all().any(|id| id == channel(frame)) {
        assert_eq!(watch::carries_input(frame, client.io), watch::carries_input(&up, desktop.io));
    }
    if unique.contains(&channel(frame)) {
        assert_eq!(watch::demand_active(frame, desktop.io), watch::demand_active(&down, client.io));
        assert_eq!(watch::font_map(frame, desktop.io), watch::font_map(&down, client.io));
        assert_eq!(watch::logged_off(frame, desktop.io), watch::logged_off(&down, client.io));
    }
}
