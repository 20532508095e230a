//! The two handshakes, against the byte-by-byte client and against each other.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "fixtures/client.rs"]
mod fixture;

use fixture::Client;
use openrdms_rdp::{
    ChannelIds, RdpError,
    accept::{AcceptStep, Accepted, Accepting},
    connect::{ConnectStep, Connecting},
    gcc,
    mcs::{self, ConnectInitial},
    x224::{ConnectionConfirm, Protocols},
};

const CONFIRM: ConnectionConfirm = ConnectionConfirm { selected: Protocols::SSL, extended_client_data: true };

fn next(step: Result<AcceptStep, RdpError>) -> (Vec<u8>, Accepting) {
    match step.unwrap() {
        AcceptStep::Next { reply, state } => (reply, state),
        AcceptStep::Done(_) => panic!("the handshake is not over"),
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let Some(length) = openrdms_rdp::frame_len(rest).unwrap() {
        frames.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    frames
}

/// Runs a connector against an acceptor, as a desktop leg against a desktop.
fn meet(client: &ConnectInitial, info: &[u8]) -> (ChannelIds, Accepted) {
    let (mut send, mut connecting) = Connecting::start(client, CONFIRM).unwrap();
    let mut accepting = Accepting::new(Protocols::SSL, Protocols::SSL);
    loop {
        let mut answer = Vec::new();
        for frame in split(&send) {
            let (reply, state) = next(accepting.step(&frame));
            answer.extend_from_slice(&reply);
            accepting = state;
        }
        match connecting.step(&answer).unwrap() {
            ConnectStep::Next { send: more, state } => (send, connecting) = (more, state),
            ConnectStep::Done(ids) => match accepting.step(info).unwrap() {
                AcceptStep::Done(accepted) => return (ids, *accepted),
                AcceptStep::Next { .. } => panic!("client info ends the handshake"),
            },
        }
    }
}

#[test]
fn a_client_is_understood() {
    let initial = ConnectInitial::parse(&Client::default().connect_initial()).unwrap();
    let core = &initial.blocks.core;
    assert_eq!((core.width, core.height, core.keyboard_layout, core.build), (1280, 800, 0x407, 2600));
    assert_eq!((core.name.as_str(), core.early_flags, core.selected_protocol), ("HEIDI-PC", 0x0ded, 1));
    assert_eq!(initial.blocks.channels.len(), 4);
    assert_eq!(&initial.blocks.channels[3], b"drdynvc\0");
}

#[test]
fn connector_and_acceptor_come_to_the_same_ids() {
    let client = ConnectInitial::parse(&Client::default().connect_initial()).unwrap();
    let info = fixture::client_info_of(1008, ["D", "desk", "none"], 0x0133, &fixture::cookie(9, [7; 16]));
    let (ids, accepted) = meet(&client, &info);
    assert_eq!(accepted.info.reconnect.map(|said| said.logon_id), Some(9));
    assert_eq!(ids, ChannelIds { io: 1003, user: 1008, statics: vec![1004, 1005, 1006, 1007] });
    assert_eq!(accepted.ids, ids);
    assert_eq!(accepted.info.user, "desk");
}

#[test]
fn an_odd_number_of_channels_and_none_are_fine() {
    for channels in [vec![], vec![*b"cliprdr\0"], vec![*b"chan\0\0\0\0"; 31]] {
        let client = Client { channels: channels.clone(), ..Client::default() };
        let client = ConnectInitial::parse(&client.connect_initial()).unwrap();
        let (ids, accepted) = meet(&client, &fixture::client_info(1010, "", "a", "b"));
        assert_eq!((ids.statics.len(), accepted.client.blocks.channels), (channels.len(), channels));
    }
    let many = Client { channels: vec![*b"chan\0\0\0\0"; 32], ..Client::default() };
    assert!(ConnectInitial::parse(&many.connect_initial()).is_err(), "the protocol's limit is 31");
}

#[test]
fn the_desktop_gets_the_clients_own_settings_with_the_brokers_changes() {
    let original = Client::default().blocks();
    let client = ConnectInitial::parse(&Client::default().connect_initial()).unwrap();
    let find = |haystack: &[u8], block: &[u8]| haystack.windows(block.len()).position(|w| w == block);
    for extended in [true, false] {
        let replayed = client.for_desktop(extended, Protocols::SSL).unwrap();
        assert_eq!(openrdms_rdp::frame_len(&replayed), Ok(Some(replayed.len())));
        let read = ConnectInitial::parse(&replayed).unwrap();
        // skip channel join (0x0800), heartbeat (0x0400) and auto-detection (0x0080) are gone, the rest is there
        assert_eq!(read.blocks.core.early_flags, 0x0ded & !0x0c80);
        let at = find(&replayed, &original[..144]).expect("the core block, up to the flags, as it came");
        assert_eq!(replayed[at + 146..at + 216], original[146..216], "and behind them");
        let cluster = [0x04, 0xc0, 0x0c, 0, 0x1c, 0, 0, 0, 0, 0, 0, 0];
        assert!(find(&replayed, &cluster).is_some(), "no redirection, no redirected session");
        assert!(find(&replayed, &[0x06, 0xc0, 0x08, 0]).is_none(), "no message channel");
        assert!(find(&replayed, &[0x0a, 0xc0, 0x08, 0]).is_none(), "no udp");
        assert_eq!(find(&replayed, &[0x05, 0xc0, 0x20, 0]).is_some(), extended, "monitors");
    }
    let other = ConnectInitial::parse(&client.for_desktop(true, Protocols::HYBRID).unwrap()).unwrap();
    assert_eq!(other.blocks.core.selected_protocol, 2);
}

#[test]
fn a_tampered_negotiation_is_noticed() {
    let frame = Client { selected_protocol: 1, ..Client::default() }.connect_initial();
    let step = Accepting::new(Protocols(3), Protocols::HYBRID).step(&frame);
    assert!(matches!(step, Err(RdpError::Downgrade)));
}

#[test]
fn the_response_echoes_the_clients_own_mask() {
    let frame = Client { selected_protocol: 8, ..Client::default() }.connect_initial();
    let (reply, _) = next(Accepting::new(Protocols(0x1b), Protocols::HYBRID_EX).step(&frame));
    let core = [0x01, 0x0c, 0x10, 0x00, 0x04, 0x00, 0x08, 0x00, 0x1b, 0, 0, 0, 0, 0, 0, 0];
    assert!(reply.windows(core.len()).any(|w| w == core), "{reply:02x?}");
    assert_eq!(gcc::parse_server(mcs::parse_connect_response(&reply).unwrap(), 4).unwrap().0, 1003);
}

#[test]
fn the_responses_blocks_are_where_clients_expect_them_without_looking() {
    // rdesktop skips 21 bytes of the user data, and then reads a length
    for channels in [0, 1, 31] {
        let user_data = gcc::server_user_data(Protocols::SSL, &ChannelIds::ours(channels)).unwrap();
        assert_eq!(&user_data[17..21], b"McDn");
        assert_eq!(usize::from(user_data[21]), user_data.len() - 22);
    }
}

#[test]
fn only_channels_that_were_given_out_can_be_joined_and_not_for_ever() {
    let joining = || {
        let frame = Client::default().connect_initial();
        let (_, state) = next(Accepting::new(Protocols::SSL, Protocols::SSL).step(&frame));
        let attach = split(&mcs::erect_and_attach());
        let (reply, state) = next(state.step(&attach[0]));
        assert!(reply.is_empty());
        let (reply, state) = next(state.step(&attach[1]));
        assert_eq!(mcs::parse_attach_user_confirm(&reply), Ok(1008));
        state
    };
    assert!(joining().step(&mcs::channel_join_request(1008, 1009)).is_err());
    let (mut state, mut joins) = (joining(), 0);
    while let Ok(AcceptStep::Next { reply, state: next }) = state.step(&mcs::channel_join_request(1008, 1003))
    {
        assert_eq!(mcs::parse_channel_join_confirm(&reply), Ok(1003));
        (state, joins) = (next, joins + 1);
        assert!(joins <= 66);
    }
    assert_eq!(joins, 66, "user, i/o and 31 channels, and as many repeated");
}

#[test]
fn a_domain_is_erected_once_or_not_at_all() {
    let attaching = || {
        let frame = Client::default().connect_initial();
        next(Accepting::new(Protocols::SSL, Protocols::SSL).step(&frame)).1
    };
    let requests = split(&mcs::erect_and_attach());
    assert!(attaching().step(&requests[1]).is_ok());
    let (_, state) = next(attaching().step(&requests[0]));
    assert!(matches!(state.step(&requests[0]), Err(RdpError::Unexpected("attach user request"))));
}

#[test]
fn data_that_would_end_behind_its_frame_is_none() {
    let frame = mcs::send_data_request(1008, 1003, b"seven..").unwrap();
    assert_eq!(mcs::parse_send_data_request(&frame), Ok((1003, &b"seven.."[..])));
    let with = |length| {
        let mut frame = frame.clone();
        frame[13] = length;
        mcs::parse_send_data_request(&frame).map(|(_, content)| content.len())
    };
    assert_eq!((with(6), with(0)), (Ok(6), Ok(0)));
    assert_eq!(with(8), Err(RdpError::Truncated("send data request")));
}

#[test]
fn a_desktop_that_refuses_or_lies_is_an_error() {
    let start = || {
        let client = ConnectInitial::parse(&Client::default().connect_initial()).unwrap();
        Connecting::start(&client, CONFIRM).unwrap().1
    };
    let response = |channels| {
        let ids = ChannelIds::ours(channels);
        mcs::connect_response(&gcc::server_user_data(Protocols::SSL, &ids).unwrap()).unwrap()
    };
    assert!(start().step(&response(3)).is_err(), "too few channels");
    let mut refused = response(4);
    let result = refused.windows(3).position(|w| w == [0x0a, 1, 0]).unwrap();
    refused[result + 2] = 0x0e;
    assert!(matches!(start().step(&refused), Err(RdpError::Refused { code: 0x0e, .. })));
    let mut encrypted = response(4);
    let security = encrypted.windows(4).position(|w| w == [0x02, 0x0c, 0x0c, 0]).unwrap();
    encrypted[security + 4] = 2;
    let long = [3, 0, 0, 14, 0x02, 0xf0, 0x80, 0x7f, 0x66, 4, 0x0a, 2, 0, 0]; // a result of two bytes
    let malformed = mcs::parse_connect_response(&long);
    assert!(
        matches!(malformed, Err(RdpError::Malformed { rule: "its result is one byte", .. })),
        "{malformed:?}"
    );
    assert!(start().step(&encrypted).is_err(), "rdp's own encryption within tls");
    let attaching = || match start().step(&response(4)) {
        Ok(ConnectStep::Next { state, .. }) => state,
        other => panic!("{other:?}"),
    };
    let mut refused = mcs::attach_user_confirm(1008);
    refused[8] = 0x0f;
    assert!(matches!(attaching().step(&refused), Err(RdpError::Refused { code: 0x0f, .. })));
    let other = attaching().step(&mcs::channel_join_confirm(1008, 1004));
    assert!(matches!(other, Err(RdpError::Unexpected(_))), "the confirm of something else");
    let state = attaching();
    let Ok(ConnectStep::Next { state, .. }) = state.step(&mcs::attach_user_confirm(1008)) else { panic!() };
    assert!(
        state.step(&mcs::channel_join_confirm(1008, 1004)).is_err(),
        "another channel than the one asked for"
    );
}

#[test]
fn a_channel_that_a_desktop_gives_no_id_is_not_joined() {
    let ids = ChannelIds { io: 1003, user: 1010, statics: vec![1004, 0] };
    let response = mcs::connect_response(&gcc::server_user_data(Protocols::SSL, &ids).unwrap()).unwrap();
    let mut step = Connecting::Response { channels: 2 }.step(&response);
    let mut joined = Vec::new();
    let done = loop {
        match step.unwrap() {
            ConnectStep::Next { send, state } => {
                let last = split(&send).pop().unwrap();
                let answer = match mcs::parse_channel_join(&last).unwrap() {
                    Some(channel) => {
                        joined.push(channel);
                        mcs::channel_join_confirm(ids.user, channel)
                    }
                    None => mcs::attach_user_confirm(ids.user),
                };
                step = state.step(&answer);
            }
            ConnectStep::Done(done) => break done,
        }
    };
    assert_eq!((joined, done), (vec![1010, 1003, 1004], ids));
}

#[test]
fn a_confirm_may_leave_out_that_its_optional_fields_are_there() {
    // the low two bits of the kind; what follows is read as if they were set
    let (mut attach, mut join) = (mcs::attach_user_confirm(1008), mcs::channel_join_confirm(1008, 1004));
    (attach[7], join[7]) = (attach[7] & 0xfc, join[7] & 0xfc);
    assert_eq!(mcs::parse_attach_user_confirm(&attach), Ok(1008));
    assert_eq!(mcs::parse_channel_join_confirm(&join), Ok(1004));
}

#[test]
fn a_user_id_beyond_the_last_is_refused() {
    let mut confirm = mcs::attach_user_confirm(65535);
    assert_eq!(mcs::parse_attach_user_confirm(&confirm), Ok(65535));
    confirm[9..].fill(0xff);
    assert!(mcs::parse_attach_user_confirm(&confirm).is_err());
}

#[test]
fn a_client_attaches_before_it_joins() {
    let frame = Client::default().connect_initial();
    let (_, state) = next(Accepting::new(Protocols::SSL, Protocols::SSL).step(&frame));
    let early = state.step(&mcs::channel_join_request(1008, 1003));
    assert!(matches!(early, Err(RdpError::Unexpected("attach user request"))), "{early:?}");
}
