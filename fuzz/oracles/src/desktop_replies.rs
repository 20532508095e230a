//! The desktop's half of the handshake, in which we are the client.

use crate::frame_heads::is_mapped;
use crate::wire::{self, CONNECT};
use openrdms_rdp::connect::{ConnectStep, Connecting};
use openrdms_rdp::gcc;
use openrdms_rdp::mcs::{self, ConnectInitial};
use openrdms_rdp::x224::{ConnectionConfirm, Protocols};
use openrdms_rdp::{ChannelIds, ChannelMap};

/// Every channel that the desktop gave an id is joined once and in order, none is asked for before the one before it is
/// confirmed, and the ids that come out are those that stand in the replies.
///
/// The first PDU may be the Connect Initial of a client; otherwise the client has as many channels as the desktop gives
/// ids. A first PDU of the desktop that is no Connect Response is taken for the blocks of one.
pub fn desktop_replies(bytes: &[u8]) -> bool {
    let mut pdus = wire::pdus(bytes).peekable();
    let said = pdus.next_if(|pdu| pdu.starts_with(&[CONNECT, 0x65]));
    let said = said.and_then(|pdu| ConnectInitial::parse(&wire::data(pdu)).ok());
    let response = match pdus.next() {
        Some(pdu) if pdu.first() == Some(&CONNECT) => wire::data(pdu),
        Some(blocks) => {
            let user_data = wire::conference(b"\x14\x76\x0a\x01\x01\x00\x01\xc0\x00McDn", blocks);
            let Ok(response) = mcs::connect_response(&user_data) else { return false };
            response
        }
        None => return false,
    };
    let Ok(user_data) = mcs::parse_connect_response(&response) else { return false };
    let given: Vec<_> = (0..=31).filter_map(|n| gcc::parse_server(user_data, n).ok()).collect();
    assert!(given.len() <= 1, "there cannot be {given:?} at once");
    let Some((io, statics)) = given.first() else { return false };
    let client = said.unwrap_or_else(|| client(statics.len()));

    let confirm = ConnectionConfirm { selected: Protocols::SSL, extended_client_data: true };
    let Ok((send, state)) = Connecting::start(&client, confirm) else { return false };
    assert_eq!(client.for_desktop(true, Protocols::SSL), Ok(send));
    let step = state.step(&response);
    if statics.len() != client.blocks.channels.len() {
        assert!(step.is_err(), "not every channel has an id");
        return true;
    }
    let Ok(ConnectStep::Next { send, mut state }) = step else { panic!("it was read before") };
    assert_eq!(send, mcs::erect_and_attach());

    let mut asked = Vec::new();
    for frame in pdus.map(wire::data) {
        match state.step(&frame) {
            Err(_) => return true,
            Ok(ConnectStep::Next { send, state: next }) => {
                confirms(&frame, asked.last());
                let Connecting::Joining { ids, current, left } = &next else { panic!("{next:?}") };
                assert_eq!((ids.io, &ids.statics), (*io, statics));
                assert_eq!(send, mcs::channel_join_request(ids.user, *current));
                assert_eq!(mcs::parse_channel_join(&send), Ok(Some(*current)));
                asked.push(*current);
                assert!(asked.len() + left.len() <= statics.len() + 2);
                state = next;
            }
            Ok(ConnectStep::Done(ids)) => {
                confirms(&frame, asked.last());
                let expected: Vec<_> = ids.all().filter(|id| *id != 0).collect();
                assert_eq!(asked, expected);
                assert_eq!((ids.io, &ids.statics), (*io, statics));
                is_usable(&ids);
                return true;
            }
        }
    }
    true
}

/// That the frame is the answer to what was asked last: a join, or before the first of them the user.
fn confirms(frame: &[u8], asked: Option<&u16>) {
    match asked {
        Some(channel) => assert_eq!(mcs::parse_channel_join_confirm(frame).as_ref(), Ok(channel)),
        None => assert!(mcs::parse_attach_user_confirm(frame).is_ok_and(|user| user >= 1001)),
    }
}

/// A client with so many channels.
fn client(channels: usize) -> ConnectInitial {
    let mut blocks = [&[0x01, 0xc0, 0xd8, 0x00][..], &[0; 212]].concat();
    let length = 8 + 12 * channels as u16;
    blocks.extend_from_slice(&[0x03, 0xc0]);
    blocks.extend_from_slice(&length.to_le_bytes());
    blocks.extend_from_slice(&[channels as u8, 0, 0, 0]);
    blocks.resize(blocks.len() + 12 * channels, b'c');
    ConnectInitial::parse(&wire::connect_initial(&blocks)).expect("it is in order")
}

fn is_usable(desktop: &ChannelIds) {
    let client = ChannelIds::ours(desktop.statics.len());
    match ChannelMap::new(&client, desktop) {
        Some(map) => is_mapped(&map, &client, desktop),
        None => assert_eq!(&client, desktop),
    }
    // said to a client, they would be the same
    let user_data = gcc::server_user_data(Protocols::SSL, desktop).expect("there are at most 31");
    let response = mcs::connect_response(&user_data).expect("it is short");
    wire::is_frame(&response);
    let read = mcs::parse_connect_response(&response).expect("it reads back");
    assert_eq!(gcc::parse_server(read, desktop.statics.len()), Ok((desktop.io, desktop.statics.clone())));
    let confirm = mcs::attach_user_confirm(desktop.user);
    assert_eq!(mcs::parse_attach_user_confirm(&confirm), Ok(desktop.user));
}
