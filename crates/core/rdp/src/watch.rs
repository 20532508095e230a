//! What the broker notices in passing: that the desktop is there, that its client may be spoken to, and that somebody
//! is using it.
//!
//! All look only at the head of a frame (its first [`HEAD`] bytes, or all of it if it is shorter), never wait for
//! more, and take everything they do not understand as nothing special.

use crate::{
    cursor::Cursor,
    mcs::{SEND_DATA_INDICATION, SEND_DATA_REQUEST, parse_send_data},
};

/// How much of each frame these functions look at.
pub const HEAD: usize = 64;

/// The share id, if the frame from a desktop is a Demand Active (MS-RDPBCGR 2.2.1.13.1) on channel `io`. It comes at
/// the start and again at each reactivation.
pub fn demand_active(head: &[u8], io: u16) -> Option<u32> {
    const PDUTYPE_DEMANDACTIVEPDU: u16 = 1;
    let mut c = Cursor::new("demand active", share_pdu(head, SEND_DATA_INDICATION, io)?);
    c.u16_le().ok()?;
    let kind = c.u16_le().ok()?;
    c.u16_le().ok()?; // source
    // MS-RDPBCGR 2.2.8.1.1.1.1: the type is in the low four bits; clients do not look at the version in the others
    if kind & 0x000f == PDUTYPE_DEMANDACTIVEPDU { c.u32_le().ok() } else { None }
}

/// Whether the frame from a desktop is a Font Map (MS-RDPBCGR 2.2.1.22) on channel `io`: the last of the connection
/// sequence, and again of each reactivation.
pub fn font_map(head: &[u8], io: u16) -> bool {
    const PDUTYPE_DATA: u16 = 0x0007;
    const PDUTYPE2_FONTMAP: u8 = 0x28;
    let Some([_, _, t0, t1, _, _, _, _, _, _, _, _, _, _, kind2, ..]) =
        share_pdu(head, SEND_DATA_INDICATION, io)
    else {
        return false;
    };
    u16::from_le_bytes([*t0, *t1]) & 0x000f == PDUTYPE_DATA && *kind2 == PDUTYPE2_FONTMAP
}

/// Whether the frame from a desktop is a Set Error Info (MS-RDPBCGR 2.2.5.1) on channel `io` that says that the user has
/// logged off, or was logged off. Whoever says so closes the connection next.
pub fn logged_off(head: &[u8], io: u16) -> bool {
    const PDUTYPE_DATA: u16 = 0x0007;
    const PDUTYPE2_SET_ERROR_INFO: u8 = 0x2f;
    const RPC_INITIATED_LOGOFF: u32 = 0x02;
    const LOGOFF_BY_USER: u32 = 0x0c;
    let Some([_, _, t0, t1, _, _, _, _, _, _, _, _, _, _, kind2, _, _, _, e0, e1, e2, e3, ..]) =
        share_pdu(head, SEND_DATA_INDICATION, io)
    else {
        return false;
    };
    let said = u32::from_le_bytes([*e0, *e1, *e2, *e3]);
    u16::from_le_bytes([*t0, *t1]) & 0x000f == PDUTYPE_DATA
        && *kind2 == PDUTYPE2_SET_ERROR_INFO
        && matches!(said, RPC_INITIATED_LOGOFF | LOGOFF_BY_USER)
}

/// Whether the frame is an MCS Disconnect Provider Ultimatum (T.125; MS-RDPBCGR 2.2.2.3), whatever its reason: who says so
/// closes the connection next.
pub fn ultimatum(head: &[u8]) -> bool {
    matches!(head, [3, _, _, _, _, 0xf0, _, choice, ..] if choice & 0xfc == 0x20)
}

/// Whether a frame from a client holds input by a person: keys or the mouse. Not input: synchronising the lock
/// keys, which clients send by themselves when they get the focus, and time stamps for measuring.
pub fn carries_input(head: &[u8], io: u16) -> bool {
    match head.first() {
        Some(3) => slow_path_input(head, io),
        Some(_) => fast_path_input(head).unwrap_or(false),
        None => false,
    }
}

/// MS-RDPBCGR 2.2.8.1.2: the events and their sizes.
fn fast_path_input(head: &[u8]) -> Option<bool> {
    let mut c = Cursor::new("fast-path input", head);
    let header = c.u8().ok()?;
    if header & 0x03 != 0 {
        return None;
    }
    if c.u8().ok()? & 0x80 != 0 {
        c.u8().ok()?;
    }
    let mut count = header >> 2 & 0x0f;
    if count == 0 {
        count = c.u8().ok()?;
    }
    for _ in 0..count {
        match c.u8().ok()? >> 5 {
            3 => {}                                 // FASTPATH_INPUT_EVENT_SYNC
            6 => drop(c.array::<4>().ok()?),        // FASTPATH_INPUT_EVENT_QOE_TIMESTAMP
            0 | 1 | 2 | 4 | 5 => return Some(true), // scancode, mouse, extended mouse, unicode, relative mouse
            _ => return Some(false),
        }
    }
    Some(false)
}

/// MS-RDPBCGR 2.2.8.1.1.3: 12 bytes an event, of which the message type tells.
fn slow_path_input(head: &[u8], io: u16) -> bool {
    const PDUTYPE_DATA: u16 = 0x0017;
    const PDUTYPE2_INPUT: u8 = 0x1c;
    const INPUT_EVENT_SYNC: u16 = 0;
    let Some([_, _, t0, t1, _, _, _, _, _, _, _, _, _, _, kind2, _, _, _, count, _, _, _, events @ ..]) =
        share_pdu(head, SEND_DATA_REQUEST, io)
    else {
        return false;
    };
    let events = events.as_chunks::<12>().0.iter().take(usize::from(*count));
    u16::from_le_bytes([*t0, *t1]) == PDUTYPE_DATA
        && *kind2 == PDUTYPE2_INPUT
        && events.map(|e| u16::from_le_bytes([e[4], e[5]])).any(|kind| kind != INPUT_EVENT_SYNC)
}

/// The share PDU at the head of a Send Data frame on channel `io`.
fn share_pdu(head: &[u8], kind: u8, io: u16) -> Option<&[u8]> {
    // only the head of the frame is here, so its length cannot be compared
    let mcs = head.strip_prefix(&[3])?.get(6..)?;
    let (channel, length, rest) = parse_send_data("share pdu", kind, mcs).ok()?;
    (channel == io).then_some(&rest[..length.min(rest.len())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcs::{send_data_indication, send_data_request};

    #[test]
    fn fast_path_keys_and_mouse_are_input_and_sync_and_timestamps_are_not() {
        #[rustfmt::skip]
        let cases: [(&[u8], bool); 13] = [
            (&[0x04, 0x04, 0x00, 0x1e], true),                                // one event: key A down
            (&[0x04, 0x09, 0x20, 0x00, 0x08, 1, 0, 1, 0], true),              // one event: mouse moved
            (&[0x04, 0x03, 0x61], false),                                     // SYNC
            (&[0x04, 0x80, 0x04, 0x61], false),                               // the same with a long length
            (&[0x04, 0x07, 0xc0, 1, 2, 3, 4], false),                         // QoE time stamp
            (&[0x08, 0x09, 0xc0, 1, 2, 3, 4, 0x00, 0x1e], true),              // time stamp, then a key
            (&[0x00, 0x05, 0x02, 0x61, 0x60], false),                         // count in its own byte
            (&[0x08, 0x05, 0x61, 0x00, 0x1e], true),                          // SYNC, then a key
            (&[0x00, 0x06, 0x02, 0x61, 0x00, 0x1e], true),                    // the same, count in its own byte
            (&[0x04, 0x05, 0x61, 0x00, 0x1e], false),                         // one event: what is behind it is none
            (&[0x04, 0x80, 0x05, 0x80, 0x41], true),                          // a unicode key, with a long length
            (&[0x08, 0x06, 0x61, 0xe0, 0x00, 0x1e], false),                   // nothing behind an unknown event counts
            (&[0x04, 0x03, 0xe0], false),                                     // an event that does not exist
        ];
        for (frame, input) in cases {
            assert_eq!(carries_input(frame, 1003), input, "{frame:02x?}");
            assert_eq!(crate::frame_len(frame), Ok(Some(frame.len())));
        }
    }

    #[test]
    fn nothing_and_what_is_no_frame_hold_no_input() {
        for bytes in [&[][..], &[0x04], &[0x05, 0x04, 0x00, 0x1e], &[0x06, 0x04, 0x00, 0x1e], &[3, 0, 0, 7]] {
            assert!(!carries_input(bytes, 1003), "{bytes:02x?}");
        }
    }

    #[rustfmt::skip]
    fn slow_path(kind: u8, kind2: u8, message: u8, channel: u16) -> Vec<u8> {
        send_data_request(1006, channel, &[
            0x22, 0x00, kind, 0x00, 0xee, 0x03,                  // share control: 34 bytes, data PDU, source
            0xea, 0x03, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, kind2, 0x00, 0x00, 0x00, // share data
            0x01, 0x00, 0x00, 0x00,                              // one event, padding
            0x00, 0x00, 0x00, 0x00, message, 0x00, 0, 0, 0x1e, 0, 0, 0, // time, message type, key
        ]).unwrap()
    }

    #[test]
    fn slow_path_input_is_noticed_and_sync_is_not() {
        assert!(carries_input(&slow_path(0x17, 0x1c, 4, 1003), 1003));
        assert!(!carries_input(&slow_path(0x17, 0x1c, 0, 1003), 1003), "sync");
        assert!(!carries_input(&slow_path(0x17, 0x1f, 4, 1003), 1003), "another data pdu");
        assert!(!carries_input(&slow_path(0x13, 0x1c, 4, 1003), 1003), "confirm active");
        assert!(!carries_input(&slow_path(0x17, 0x1c, 4, 1004), 1003), "a virtual channel");
        let mut none = slow_path(0x17, 0x1c, 4, 1003);
        let count = none.len() - 12 - 4;
        assert_eq!(std::mem::take(&mut none[count]), 1);
        assert!(!carries_input(&none, 1003), "what is behind the last event is none");
    }

    #[test]
    fn a_font_map_is_noticed_and_nothing_else_is_taken_for_one() {
        let frame = |kind, kind2, channel: u16| {
            let mut frame = slow_path(kind, kind2, 4, channel);
            frame[7] = SEND_DATA_INDICATION;
            frame
        };
        assert!(font_map(&frame(0x17, 0x28, 1003), 1003));
        assert!(!font_map(&frame(0x17, 0x26, 1003), 1003), "another data pdu");
        assert!(!font_map(&frame(0x11, 0x28, 1003), 1003), "no data pdu");
        assert!(!font_map(&frame(0x17, 0x28, 1004), 1003), "a virtual channel");
        assert!(!font_map(&slow_path(0x17, 0x28, 4, 1003), 1003), "from a client");
        assert!(!font_map(&crate::server::license_valid_client(), 1003));
    }

    #[test]
    fn a_logoff_is_noticed_and_no_other_word_of_error_info_is_taken_for_one() {
        for (said, is_one) in
            [(0x02, true), (0x0c, true), (0, false), (0x01, false), (0x0b, false), (0x0200, false)]
        {
            let mut frame = slow_path(0x17, 0x2f, 4, 1003);
            frame[7] = SEND_DATA_INDICATION;
            let at = frame.len() - 16;
            frame[at..at + 4].copy_from_slice(&u32::to_le_bytes(said));
            assert_eq!(logged_off(&frame, 1003), is_one, "{said:#x}");
            assert!(!logged_off(&frame, 1004), "a virtual channel");
        }
        assert!(!logged_off(&slow_path(0x17, 0x2f, 4, 1003), 1003), "from a client");
        assert!(!logged_off(&crate::server::license_valid_client(), 1003));
    }

    #[test]
    fn an_ultimatum_is_noticed_whatever_its_reason() {
        let ours = crate::server::disconnect_ultimatum();
        assert!(ultimatum(&ours));
        let [.., choice, reason] = &ours[..] else { panic!("it has a reason") };
        assert!(ultimatum(&[&ours[..7], &[choice | 1, *reason]].concat()), "the user asked for it");
        assert!(
            !ultimatum(&crate::server::license_valid_client()) && !ultimatum(&ours[..7]) && !ultimatum(&[])
        );
    }

    #[test]
    fn demand_active_gives_its_share_id_and_nothing_else_does() {
        let content = [0x40, 0x01, 0x11, 0x00, 0xf0, 0x03, 0xea, 0x03, 0x01, 0x00, 0x04, 0x00];
        let frame = send_data_indication(&content).unwrap();
        assert_eq!(demand_active(&frame, 1003), Some(0x0001_03ea));
        assert_eq!(demand_active(&frame, 1004), None);
        let of_kind = |low, high| {
            let mut content = content;
            (content[2], content[3]) = (low, high);
            demand_active(&send_data_indication(&content).unwrap(), 1003)
        };
        for (low, high) in [(0x01, 0x00), (0x21, 0x00), (0x11, 0x01), (0xf1, 0xff)] {
            assert_eq!(
                of_kind(low, high),
                Some(0x0001_03ea),
                "whatever version it claims: {low:02x} {high:02x}"
            );
        }
        for low in [0x10, 0x13, 0x16, 0x17, 0x1a] {
            assert_eq!(of_kind(low, 0x00), None, "another type: {low:02x}");
        }
        assert_eq!(demand_active(&crate::server::license_valid_client(), 1003), None);
        assert_eq!(demand_active(&crate::server::disconnect_ultimatum(), 1003), None);
    }
}
