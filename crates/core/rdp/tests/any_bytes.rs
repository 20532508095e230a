//! Whatever comes in, nothing panics; and however bytes are split, the frames are the same.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "fixtures/client.rs"]
mod fixture;

use openrdms_rdp::{
    ChannelIds, ChannelMap,
    accept::Accepting,
    connect::Connecting,
    frame_len, gcc,
    info::ClientInfo,
    mcs::{self, ConnectInitial},
    preconnection::{PreconnectionBlob, blob_len},
    watch,
    x224::{ConnectionConfirm, ConnectionRequest, Protocols},
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Feeds bytes to everything that reads bytes.
fn read_everything(bytes: &[u8]) {
    let _ = frame_len(bytes);
    let _ = ConnectionRequest::parse(bytes);
    let _ = ConnectionConfirm::parse(bytes);
    let _ = PreconnectionBlob::parse(bytes);
    if let Some(first) = bytes.first_chunk() {
        let _ = blob_len(*first);
    }
    let _ = ConnectInitial::parse(bytes).map(|c| c.for_desktop(false, Protocols::SSL));
    let _ = gcc::ClientBlocks::parse(bytes);
    let _ = gcc::parse_server(bytes, 4);
    let _ = mcs::parse_connect_response(bytes);
    let _ = ClientInfo::parse(bytes, 1003).map(|i| i.for_desktop(1, 1, "u", Some("p")));
    let _ = watch::demand_active(bytes, 1003);
    let _ = watch::font_map(bytes, 1003);
    let _ = watch::carries_input(bytes, 1003);
    let (ours, theirs) = (ChannelIds::ours(2), ChannelIds { io: 0, user: 1, statics: vec![65535, 7] });
    if let Some(map) = ChannelMap::new(&ours, &theirs) {
        map.to_client(&mut bytes.to_vec());
        map.to_desktop(&mut bytes.to_vec());
    }
    let _ = Accepting::new(Protocols::SSL, Protocols::SSL).step(bytes);
    let client = ConnectInitial::parse(&fixture::Client::default().connect_initial()).unwrap();
    let joining = Accepting::Joining { client: Box::new(client), ids: ours, joins: 0 };
    let _ = joining.step(bytes);
    let _ = Connecting::Response { channels: 4 }.step(bytes);
    let _ = Connecting::Attaching { io: 1003, statics: vec![] }.step(bytes);
}

/// Frames of both kinds, with lengths in all forms.
fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let tpkt = vec(any::<u8>(), 3..600).prop_map(|content| {
        let length = (content.len() + 4) as u16;
        [&[3, 0][..], &length.to_be_bytes(), &content].concat()
    });
    let short = (vec(any::<u8>(), 0..125), 0u8..64)
        .prop_map(|(content, header)| [&[header << 2, content.len() as u8 + 2][..], &content].concat());
    let long = (vec(any::<u8>(), 0..600), 0u8..64).prop_map(|(content, header)| {
        let length = (content.len() + 3) as u16 | 0x8000;
        [&[header << 2][..], &length.to_be_bytes(), &content].concat()
    });
    vec(prop_oneof![tpkt, short, long], 0..12)
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn good_frames_with_a_few_bytes_changed_or_missing_are_read_without_a_panic(
        which in 0..6usize,
        changes in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
        fix_length in any::<bool>(),
    ) {
        let ids = ChannelIds::ours(4);
        let mut frame = match which {
            0 => fixture::Client::default().connect_initial(),
            1 => fixture::client_info(1008, "D", "alice", "secret"),
            2 => ConnectionRequest::encode("alice", Protocols(11)),
            3 => fixture::client_info_of(1008, ["D", "alice", "secret"], 0x133, &fixture::cookie(1, [7; 16])),
            4 => mcs::connect_response(&gcc::server_user_data(Protocols::SSL, &ids).unwrap()).unwrap(),
            _ => mcs::channel_join_request(1008, 1003),
        };
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame.truncate(cut.index(frame.len() * 2).max(1));
        if fix_length && frame.len() >= 4 {
            let length = frame.len() as u16;
            frame[2..4].copy_from_slice(&length.to_be_bytes());
        }
        read_everything(&frame);
    }

    #[test]
    fn any_split_of_the_same_bytes_gives_the_same_frames(
        frames in frames(),
        cuts in vec(1usize..200, 1..40),
    ) {
        let bytes = frames.concat();
        let (mut pending, mut found, mut at) = (Vec::new(), Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            if at == bytes.len() {
                break;
            }
            let until = bytes.len().min(at + cut);
            pending.extend_from_slice(&bytes[at..until]);
            at = until;
            while let Some(length) = frame_len(&pending).unwrap().filter(|l| *l <= pending.len()) {
                found.push(pending.drain(..length).collect::<Vec<u8>>());
            }
        }
        prop_assert!(pending.is_empty());
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn a_length_never_changes_once_it_is_known(bytes in vec(any::<u8>(), 0..12)) {
        let mut known = None;
        for n in 0..=bytes.len() {
            let now = frame_len(&bytes[..n]);
            if let Some(known) = known {
                prop_assert_eq!(now, known);
            } else if now != Ok(None) {
                known = Some(now);
            }
        }
        prop_assert!(bytes.len() < openrdms_rdp::frame::MAX_HEADER || known.is_some());
    }

    #[test]
    fn a_name_survives_client_info(domain in "[a-zA-Z.]{0,20}", user in "\\PC{1,60}", password in "\\PC{0,60}") {
        let frame = fixture::client_info(1004, &domain, &user, &password);
        let info = ClientInfo::parse(&frame, 1003).unwrap();
        prop_assert_eq!((&info.domain, &info.user, info.password.as_str()), (&domain, &user, password.as_str()));
        let rebuilt = info.for_desktop(1004, 1003, &user, Some("x")).unwrap();
        prop_assert_eq!(ClientInfo::parse(&rebuilt, 1003).unwrap().user, user);
    }
}

#[test]
fn preconnection_blobs_are_read_and_anything_else_is_told_apart() {
    #[rustfmt::skip]
    let v2 = [
        0x18, 0, 0, 0,  0, 0, 0, 0,  2, 0, 0, 0,  7, 0, 0, 0, // 24 bytes, flags, version 2, id 7
        0x03, 0, b'v', 0, b'm', 0, 0, 0,                      // 3 characters, with the terminator
    ];
    assert_eq!(blob_len([0x18, 0, 0, 0]), Ok(Some(24)));
    let blob = PreconnectionBlob::parse(&v2).unwrap();
    assert_eq!((blob.id, blob.payload.as_deref()), (7, Some("vm")));
    let long = [&[0; 8][..], &[2, 0, 0, 0, 7, 0, 0, 0, 5, 0], b"a\0b\0c\0d\0e\0", b"f\0"].concat();
    let blob = PreconnectionBlob::parse(&long).unwrap();
    assert_eq!(blob.payload.as_deref(), Some("abcde"), "as many characters as it says");
    let mut version = long;
    version[8] = 3;
    assert!(PreconnectionBlob::parse(&version).is_err());
    let v1 = [0x10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0];
    assert_eq!(PreconnectionBlob::parse(&v1).unwrap(), PreconnectionBlob { id: 9, payload: None });
    assert_eq!(blob_len([3, 0, 0, 43]), Ok(None), "a tpkt");
    assert!(blob_len(*b"GET ").is_err());
    assert!(blob_len([15, 0, 0, 0]).is_err(), "too short");
    assert_eq!(blob_len([0, 0x08, 0, 0]), Ok(Some(2048)));
    assert!(blob_len([1, 0x08, 0, 0]).is_err(), "too long");
}
