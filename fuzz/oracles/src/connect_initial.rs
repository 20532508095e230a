//! The client's half of the handshake, up to Client Info.

use crate::wire::{self, CONNECT};
use openrdms_rdp::accept::{AcceptStep, Accepting};
use openrdms_rdp::gcc::{self, ClientCore};
use openrdms_rdp::info::ClientInfo;
use openrdms_rdp::mcs::{self, ConnectInitial};
use openrdms_rdp::x224::Protocols;
use openrdms_rdp::{ChannelIds, RdpError};

const CORE: u16 = 0xc001;
const CLUSTER: u16 = 0xc004;
const MONITORS: [u16; 2] = [0xc005, 0xc008];
/// Message channel and multitransport: never for a desktop.
const LEFT_OUT: [u16; 2] = [0xc006, 0xc00a];
/// Auto-detection, heartbeat, skipped channel joins.
const EARLY_CLEARED: u16 = 0x0c80;
/// As many as are joined at most, each twice.
const MAX_JOINS: usize = 66;

/// The kind of a block, and the whole of it.
type Block<'a> = (u16, &'a [u8]);

/// What goes to a desktop is what the client sent, but for the changes that are told, and nothing of what is left out;
/// a second time changes nothing. Every answer is for what was asked.
///
/// A first PDU that is no Connect Initial is taken for the blocks of one.
pub fn connect_initial(bytes: &[u8]) -> bool {
    let mut pdus = wire::pdus(bytes);
    let first = match pdus.next() {
        Some(pdu) if pdu.first() == Some(&CONNECT) => wire::data(pdu),
        Some(blocks) => wire::connect_initial(blocks),
        None => return false,
    };
    let Ok(client) = ConnectInitial::parse(&first) else { return false };
    assert!(client.blocks.channels.len() <= 31);
    let name = &client.blocks.core.name;
    assert!(name.chars().count() <= 15 && !name.contains(char::is_control), "{name:?}");
    for selected in [Protocols::SSL, Protocols::HYBRID_EX] {
        is_for_desktop(&first, &client, true, selected);
        is_for_desktop(&first, &client, false, selected);
    }
    is_accepted(&first, &client, pdus.map(wire::data));
    true
}

fn is_for_desktop(first: &[u8], client: &ConnectInitial, extended: bool, selected: Protocols) {
    let Ok(replay) = client.for_desktop(extended, selected) else {
        assert!(first.len() > 16_000, "it fits");
        return;
    };
    wire::is_frame(&replay);
    assert!(replay.len() <= first.len() + 64, "{} of {}", replay.len(), first.len());
    let again = ConnectInitial::parse(&replay).expect("it reads back");
    assert_eq!(again.for_desktop(extended, selected).as_ref(), Ok(&replay), "the second time");

    let (prefix, blocks) = parts(first).expect("it was read");
    let (prefix_there, blocks_there) = parts(&replay).expect("it was read");
    assert_eq!(prefix_there, prefix);
    let kept = |(kind, _): &&Block<'_>| !LEFT_OUT.contains(kind) && (extended || !MONITORS.contains(kind));
    let kept: Vec<_> = blocks.iter().filter(kept).collect();
    assert_eq!(blocks_there.len(), kept.len());
    for ((kind, there), (kind_before, before)) in blocks_there.iter().zip(kept) {
        assert_eq!((kind, there.len()), (kind_before, before.len()));
        is_block(*kind, there, before);
    }

    let (_, last) = blocks.iter().rfind(|(kind, _)| *kind == CORE).expect("there is a core block");
    let core = &client.blocks.core;
    let expected = ClientCore {
        early_flags: core.early_flags & !EARLY_CLEARED,
        selected_protocol: if last.len() >= 216 { selected.0 } else { 0 },
        ..core.clone()
    };
    assert_eq!(again.blocks.core, expected);
    assert_eq!(again.blocks.channels, client.blocks.channels);
}

/// That only what may change has changed.
fn is_block(kind: u16, there: &[u8], before: &[u8]) {
    let may_change = |at: usize| match kind {
        CORE => matches!(at, 144 | 145 | 212..216),
        CLUSTER => matches!(at, 4 | 8..12),
        _ => false,
    };
    for (at, (now, then)) in there.iter().zip(before).enumerate() {
        assert!(now == then || may_change(at), "byte {at} of {kind:#x}");
    }
    if kind == CLUSTER {
        let flags = there.get(4).copied().unwrap_or_default();
        assert_eq!(flags & 3, 0, "redirection, or a session that is redirected");
        assert!(there.iter().skip(8).take(4).all(|byte| *byte == 0), "the redirected session");
    }
}

/// The elements before the user data, and the blocks in it, as another reader takes them.
fn parts(frame: &[u8]) -> Option<(&[u8], Vec<Block<'_>>)> {
    let (body, _) = element(frame.get(7 + 2..)?)?;
    let mut rest = body;
    for _ in 0..6 {
        (_, rest) = element(&rest[1..])?;
    }
    let prefix = &body[..body.len() - rest.len()];
    let (user_data, _) = element(&rest[1..])?;
    let at = user_data.windows(4).position(|w| w == b"Duca")?;
    let mut rest = match user_data[at + 4..] {
        [high, low, ref rest @ ..] if high & 0x80 != 0 => {
            rest.get(..usize::from(u16::from_be_bytes([high & 0x3f, low])))?
        }
        [short, ref rest @ ..] => rest.get(..usize::from(short))?,
        [] => return None,
    };
    let mut blocks = Vec::new();
    while let [k0, k1, l0, l1, ..] = *rest {
        let (block, behind) = rest.split_at_checked(u16::from_le_bytes([l0, l1]).into())?;
        assert!(block.len() >= 4, "a block is no shorter than its head");
        blocks.push((u16::from_le_bytes([k0, k1]), block));
        rest = behind;
    }
    assert!(rest.is_empty(), "half a block");
    Some((prefix, blocks))
}

/// The content of a BER element, from its length on, and what is behind.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match *bytes {
        [0x82, high, low, ref rest @ ..] => {
            rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))
        }
        [0x81, length, ref rest @ ..] | [length, ref rest @ ..] => rest.split_at_checked(length.into()),
        [] => None,
    }
}

fn is_accepted(first: &[u8], client: &ConnectInitial, frames: impl Iterator<Item = Vec<u8>>) {
    let (requested, selected) = (Protocols(0x1b), Protocols(client.blocks.core.selected_protocol));
    let tampered = Accepting::new(requested, Protocols(!selected.0)).step(first);
    assert!(matches!(tampered, Err(RdpError::Downgrade)));
    let ids = ChannelIds::ours(client.blocks.channels.len());
    let Ok(AcceptStep::Next { reply, mut state }) = Accepting::new(requested, selected).step(first) else {
        panic!("it can be read");
    };
    wire::is_frame(&reply);
    let user_data = mcs::parse_connect_response(&reply).expect("it reads back");
    let given = gcc::parse_server(user_data, ids.statics.len());
    assert_eq!(given, Ok((ids.io, ids.statics.clone())));

    let (mut erected, mut joins) = (false, 0);
    for frame in frames {
        let attaching = matches!(state, Accepting::Attaching { .. });
        match state.step(&frame) {
            Err(_) => return,
            Ok(AcceptStep::Done(accepted)) => {
                assert!(!attaching);
                assert_eq!((&accepted.client, &accepted.ids), (client, &ids));
                assert_eq!(ClientInfo::parse(&frame, ids.io), Ok(accepted.info));
                return;
            }
            Ok(AcceptStep::Next { reply, state: next }) => {
                if !attaching {
                    let asked = mcs::parse_channel_join(&frame).expect("it was read");
                    assert!(ids.all().any(|id| Some(id) == asked), "{asked:?} was not given out");
                    assert_eq!(mcs::parse_channel_join_confirm(&reply).ok(), asked);
                    joins += 1;
                    assert!(joins <= MAX_JOINS);
                } else if matches!(next, Accepting::Joining { .. }) {
                    assert_eq!(mcs::is_attach_user(&frame), Ok(true));
                    assert_eq!(mcs::parse_attach_user_confirm(&reply), Ok(ids.user));
                } else {
                    assert_eq!(mcs::is_erect_domain(&frame), Ok(true));
                    assert!(reply.is_empty() && !erected, "it is not answered, and comes once");
                    erected = true;
                }
                state = next;
            }
        }
    }
}
