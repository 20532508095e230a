//! What a hostile desktop may try, and what real ones send.

use super::*;
use crate::{
    mcs::{send_data_indication, send_data_request, small},
    server::{ErrorInfo, auto_reconnect_cookie, disconnect_ultimatum, license_valid_client, set_error_info},
    watch::HEAD,
};
use DesktopFault::{Ambiguous, Redirection, Unlicensed};
use proptest::prelude::*;

const IO: u16 = 1003;

/// A share PDU of this type: its header, and this much behind it.
fn share(kind: u8, behind: usize) -> Vec<u8> {
    let length = (6 + behind) as u16;
    [&length.to_le_bytes()[..], &[kind, 0x00, 0xea, 0x03], &vec![0; behind]].concat()
}

/// The beginning of a redirection to 10.0.0.1, as rdesktop and FreeRDP obey it.
fn redirection() -> Vec<u8> {
    let address: Vec<u8> = "10.0.0.1\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let target = [&(address.len() as u32).to_le_bytes()[..], &address].concat();
    let packet = [
        &[0x00, 0x04][..], // SEC_REDIRECTION_PKT
        &(12 + target.len() as u16).to_le_bytes(),
        &[0, 0, 0, 0, 0x01, 0, 0, 0], // session 0, LB_TARGET_NET_ADDRESS
        &target,
    ]
    .concat();
    let mut pdu = share(0x1a, 2 + packet.len());
    pdu[8..].copy_from_slice(&packet);
    pdu
}

fn frame(content: &[u8]) -> Vec<u8> {
    send_data_indication(content).unwrap()
}

/// With a security header.
fn licence(flags: u16, flags_high: u16, message: u8, size: usize) -> Vec<u8> {
    let mut content = [flags.to_le_bytes(), flags_high.to_le_bytes()].concat();
    content.extend_from_slice(&[message, 0x03, 0x10, 0x00]);
    content.resize(size, 0);
    frame(&content)
}

fn check(guard: &mut Guard, frame: &[u8]) -> Result<Harmless, DesktopFault> {
    let whole = guard.check(frame, frame.len(), |id| id);
    assert_ne!(whole, Ok(Harmless::Unknown), "all of it is there");
    whole
}

/// What becomes of a frame once the licence has been given.
fn then(frame: &[u8]) -> Result<Harmless, DesktopFault> {
    let mut guard = Guard::new(IO);
    assert_eq!(check(&mut guard, &license_valid_client()), Ok(Harmless::Whole));
    check(&mut guard, frame)
}

/// What becomes of it as the first.
fn first(frame: &[u8]) -> Result<Harmless, DesktopFault> {
    check(&mut Guard::new(IO), frame)
}

#[test]
fn a_redirection_is_kept_back_at_any_time_whatever_version_it_claims() {
    for version in 0..16u8 {
        let mut pdu = redirection();
        pdu[2] = version << 4 | 0x0a;
        assert_eq!(then(&frame(&pdu)), Err(Redirection));
        assert_eq!(first(&frame(&pdu)), Err(Redirection));
    }
    // or cut short, or with no more than its type
    assert_eq!(then(&frame(&[4, 0, 0x1a, 0])), Err(Redirection));
    assert_eq!(then(&frame(&redirection()[..8])), Err(Redirection));
}

#[test]
fn what_servers_say_goes_on() {
    let flow = [0x00, 0x80, 0x42, 0x00, 0x00, 0x00, 0xea, 0x03];
    let short_deactivate_all = [0x04, 0x00, 0x16, 0x00];
    let good = [
        frame(&share(0x11, 300)),
        frame(&share(0x17, 12)),
        frame(&share(0x17, 16_377)),
        frame(&share(0x16, 0)),
        frame(&flow),
        frame(&short_deactivate_all),
        frame(&[share(0x17, 20), share(0x17, 500), share(0x16, 0)].concat()),
        frame(&[&flow[..], &share(0x17, 20), &short_deactivate_all, &flow].concat()),
        set_error_info(7, ErrorInfo::TakenOver),
        auto_reconnect_cookie(7, 1, &[9; 16]).to_vec(),
        disconnect_ultimatum(),
        small(&[0x21, 0x80]),
        vec![0x00, 0x03, 0x1a],
        vec![0x00, 0x80, 0x03],
    ];
    for frame in &good {
        assert_eq!(then(frame), Ok(Harmless::Whole), "{frame:02x?}");
    }
}

#[test]
fn a_length_in_more_bytes_than_it_needs_is_as_good() {
    // as xrdp writes it
    let content = share(0x17, 12);
    let mut long = frame(&content);
    long.splice(13..14, [0x80, content.len() as u8]);
    long[3] += 1;
    assert_eq!(then(&long), Ok(Harmless::Whole));
}

#[test]
fn a_redirection_behind_other_pdus_is_kept_back() {
    let flow = [0x00, 0x80, 0x42, 0x00, 0x00, 0x00, 0xea, 0x03];
    let data = share(0x17, 20);
    for before in [&data[..], &flow, &share(0x16, 0), &[4, 0, 0x16, 0], &[5, 0, 0x16, 0, 0], &data.repeat(40)]
    {
        for behind in [&[][..], &data] {
            assert_eq!(then(&frame(&[before, &redirection(), behind].concat())), Err(Redirection));
        }
        // where a client takes all that a flow PDU says for a type
        assert_eq!(then(&frame(&[before, &[0x00, 0x80, 0x0a, 0, 0, 0, 0, 0]].concat())), Err(Redirection));
    }
}

#[test]
fn no_redirection_hides_where_only_a_careless_client_would_go_on() {
    for header in [
        &[0x20, 0x00, 0x1a, 0x00, 0xea, 0x03][..],
        &[0x04, 0x00, 0x1a, 0x00],
        &[0x00, 0x80, 0x0a, 0, 0, 0, 0, 0],
    ] {
        let hidden = [header, &[0, 0, 0x00, 0x04, 0x40, 0x00]].concat();
        for at in 0..8 {
            let mut data = share(0x17, 100);
            data[20 + at..][..hidden.len()].copy_from_slice(&hidden);
            assert_eq!(then(&frame(&data)), Ok(Harmless::Whole), "one PDU is as long as its frame");
            assert_eq!(then(&frame(&[share(0x17, 20), data].concat())), Err(Redirection), "at {at}");
        }
    }
}

#[test]
fn a_frame_that_clients_could_read_differently_is_kept_back() {
    let data = share(0x17, 20);
    let with = |at: usize, byte: u8| {
        let mut frame = frame(&data);
        frame[at] = byte;
        frame
    };
    assert_eq!(then(&with(13, 26)), Ok(Harmless::Whole));
    let bad = [
        ("a longer tpdu header", with(4, 3)),
        ("another tpdu", with(5, 0xf1)),
        ("not the last of its tpdus", with(6, 0x00)),
        ("padding in the choice", with(7, 0x69)),
        ("padding in the choice", with(7, 0x6b)),
        ("a uniform send data indication", with(7, 0x70)),
        ("mcs says less than tpkt", with(13, 25)),
        ("mcs says more than tpkt", with(13, 27)),
        ("a fragment", with(13, 0xc1)),
        ("less than a share header says", with(14, 27)),
        ("a piece behind", with(14, 25)),
        ("a piece behind", with(14, 23)),
        ("no length", with(14, 0)),
        ("a length within itself", with(14, 3)),
        ("nothing inside", small(&[])),
        ("no channel", small(&[0x68, 0, 1, 3])),
        ("no content", frame(&[])),
        ("less than a header", frame(&[0x03, 0x00, 0x17])),
        ("half a flow pdu", frame(&[0x00, 0x80, 0x42, 0x00, 0x00, 0x00, 0xea])),
        ("a second pdu that is longer", frame(&[&data[..], &share(0x17, 3)[..8]].concat())),
        ("a second pdu without a length", frame(&[&data[..], &[0, 0, 0x17, 0]].concat())),
    ];
    for (what, frame) in bad {
        assert_eq!(then(&frame), Err(Ambiguous), "{what}: {frame:02x?}");
    }
}

#[test]
fn a_head_that_is_wrong_is_not_waited_for() {
    let mut guard = Guard::new(IO);
    assert_eq!(check(&mut guard, &license_valid_client()), Ok(Harmless::Whole));
    let mut frame = frame(&share(0x17, 300));
    let mut of_length = |low| {
        frame[15] = low;
        guard.check(&frame[..HEAD], frame.len(), |id| id)
    };
    assert_eq!(of_length(0x31), Ok(Harmless::Unknown), "another one may follow");
    assert_eq!(of_length(0x32), Ok(Harmless::Whole));
    assert_eq!(of_length(0x33), Err(Ambiguous));
}

#[test]
fn other_channels_carry_what_they_want_once_there_is_a_licence() {
    let mut frame = frame(&redirection());
    frame[11] += 1; // channel 1004
    assert_eq!(then(&frame), Ok(Harmless::Whole));
    assert_eq!(first(&frame), Err(Unlicensed));
    frame[13] += 1; // and be wrong about its length
    assert_eq!(then(&frame), Ok(Harmless::Whole));
    // as the client knows them
    let mut guard = Guard::new(IO);
    assert_eq!(check(&mut guard, &license_valid_client()), Ok(Harmless::Whole));
    let swapped = |id| if id == 1004 { IO } else { 1004 };
    frame[13] -= 1;
    assert_eq!(guard.check(&frame, frame.len(), swapped), Err(Redirection));
    frame[11] -= 1;
    assert_eq!(guard.check(&frame, frame.len(), swapped), Ok(Harmless::Whole));
    // and from a client it is nothing
    let mut request = send_data_request(1006, IO, &redirection()).unwrap();
    assert_eq!(then(&request), Ok(Harmless::Whole));
    request[7] = SEND_DATA_INDICATION;
    assert_eq!(then(&request), Err(Redirection));
}

#[test]
fn licensing_goes_on_until_it_ends_and_not_once_more() {
    const LICENSE_REQUEST: u8 = 0x01;
    const PLATFORM_CHALLENGE: u8 = 0x02;
    for last in [0x03, 0x04, 0xff] {
        let mut guard = Guard::new(IO);
        for message in [LICENSE_REQUEST, PLATFORM_CHALLENGE, last] {
            let frame = licence(0x0080, 0, message, 2_000);
            assert_eq!(check(&mut guard, &frame), Ok(Harmless::Whole), "{message:#x}");
        }
        assert_eq!(check(&mut guard, &licence(0x0080, 0, last, 2_000)), Err(Ambiguous));
    }
    // also where its length or what nobody looks at makes it look like a share PDU
    let several = frame(&[share(0x17, 12), share(0x17, 12)].concat());
    for last in [licence(0x0080, 0, 0xff, 0x80), licence(0x0280, 0x0011, 0xff, 20)] {
        let mut guard = Guard::new(IO);
        assert_eq!(check(&mut guard, &last), Ok(Harmless::Whole));
        assert_eq!(check(&mut guard, &several), Ok(Harmless::Whole), "it was the last");
    }
    // with other flags, and whatever stands in the field that nobody looks at
    assert_eq!(first(&licence(0x0280, 0x2c08, 0xff, 20)), Ok(Harmless::Whole));
    assert_eq!(first(&licence(0x0280, 0, LICENSE_REQUEST, 0x280)), Ok(Harmless::Whole));
}

#[test]
fn nothing_hides_in_a_licence() {
    let mut hidden = licence(0x0280, 0, 0x01, 0x280 + redirection().len());
    let at = hidden.len() - redirection().len();
    hidden[at..].copy_from_slice(&redirection());
    assert_eq!(first(&hidden), Err(Ambiguous), "to whom it is none it is longer than a PDU");
    assert_eq!(first(&licence(0x0480, 0, 0xff, 40)), Err(Redirection), "that of Standard RDP Security");
    assert_eq!(first(&licence(0x0400, 0, 0x00, 40)), Err(Redirection));
    assert_eq!(first(&licence(0x0080, 0x000a, 0xff, 20)), Err(Redirection), "or the other, if it is none");
    assert_eq!(first(&licence(0x0000, 0, 0xff, 20)), Err(Unlicensed));
    assert_eq!(first(&frame(&[0x80, 0, 0, 0])), Err(Ambiguous));
    // behind the licence it is a share PDU, and must be one
    assert_eq!(then(&licence(0x0080, 0x0017, 0xff, 0x80)), Ok(Harmless::Whole));
    assert_eq!(then(&licence(0x0080, 0x0017, 0xff, 0x81)), Err(Ambiguous));
}

#[test]
fn without_a_licence_there_is_one_pdu_in_a_frame_and_a_demand_active_stands_for_one() {
    assert_eq!(first(&frame(&share(0x17, 12))), Ok(Harmless::Whole), "the reason why there is none");
    assert_eq!(first(&frame(&[share(0x17, 12), share(0x17, 12)].concat())), Err(Unlicensed));
    // also where its length looks like the flags of a licence
    for behind in [0x40 - 6, 0x80 - 6, 0x180 - 6] {
        let mut guard = Guard::new(IO);
        let several = frame(&[share(0x17, 0x80 - 6), share(0x17, 12)].concat());
        assert_eq!(check(&mut guard, &frame(&share(0x11, behind))), Ok(Harmless::Whole));
        assert_eq!(check(&mut guard, &several), Ok(Harmless::Whole));
        assert_eq!(
            check(&mut guard, &frame(&[share(0x17, 0x80 - 6), redirection()].concat())),
            Err(Redirection)
        );
    }
}

proptest! {
    #[test]
    fn a_head_tells_what_all_of_it_tells_unless_it_cannot(
        mut frame in prop_oneof![
            (any::<u8>(), 0usize..200).prop_map(|(kind, behind)| frame(&share(kind, behind))),
            (any::<u8>(), 0usize..200, any::<u8>(), 0usize..200)
                .prop_map(|(k, n, l, m)| frame(&[share(k, n), share(l, m)].concat())),
            (any::<u16>(), any::<u16>(), any::<u8>(), 8usize..200)
                .prop_map(|(flags, high, message, size)| licence(flags, high, message, size)),
        ],
        change in proptest::option::of((4usize..24, any::<u8>())),
        licensed in any::<bool>(),
        cut in 0usize..400,
    ) {
        if let Some((at, byte)) = change && at < frame.len() {
            frame[at] = byte;
        }
        let guard = || {
            let mut guard = Guard::new(IO);
            if licensed {
                check(&mut guard, &license_valid_client()).unwrap();
            }
            guard
        };
        let whole = check(&mut guard(), &frame);
        let here = cut.clamp(HEAD.min(frame.len()), frame.len());
        let part = guard().check(&frame[..here], frame.len(), |id| id);
        prop_assert!(part == whole || part == Ok(Harmless::Unknown), "{part:?} of {here}, then {whole:?}");
    }
}
