//! Frames as the relay hands them on: whole, and as long as they say.

use openrdms_rdp::{MAX_HANDSHAKE_FRAME, frame_len};

/// What is before the PDU in a frame behind its TPKT: an X.224 data header. Seeds hold it between PDUs, and no lengths
/// of frames: a fuzzer that changes the length of a PDU would have to guess these.
const DATA: [u8; 3] = [0x02, 0xf0, 0x80];

/// The first byte of a Connect Initial and of a Connect Response.
pub(crate) const CONNECT: u8 = 0x7f;

/// A frame with this in it, cut where the relay reads no further.
pub(crate) fn tpkt(content: &[u8]) -> Vec<u8> {
    let content = &content[..content.len().min(MAX_HANDSHAKE_FRAME - 4)];
    let [high, low] = (content.len() as u16 + 4).to_be_bytes();
    [&[3, 0, high, low], content].concat()
}

/// A frame with this PDU in it.
pub(crate) fn data(pdu: &[u8]) -> Vec<u8> {
    tpkt(&[&DATA, pdu].concat())
}

/// The PDUs of a seed.
pub(crate) fn pdus(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = bytes.windows(DATA.len()).position(|w| w == DATA).unwrap_or(bytes.len());
        let pdu = &bytes[..end];
        bytes = bytes.get(end + DATA.len()..).unwrap_or_default();
        Some(pdu)
    })
}

/// Conference user data: these blocks behind what is always before them, which ends in the key.
pub(crate) fn conference(before_and_key: &[u8], blocks: &[u8]) -> Vec<u8> {
    let long = |length: usize| (length as u16 & 0x3fff | 0x8000).to_be_bytes();
    let inner = [before_and_key, &long(blocks.len()), blocks].concat();
    [b"\x00\x05\x00\x14\x7c\x00\x01", &long(inner.len())[..], &inner].concat()
}

/// A Connect Initial with these blocks.
pub(crate) fn connect_initial(blocks: &[u8]) -> Vec<u8> {
    let user_data = conference(b"\x00\x08\x00\x10\x00\x01\xc0\x00Duca", blocks);
    let long = |length: usize| (length as u16).to_be_bytes();
    // selectors, upward flag, and three times domain parameters, of which nothing is looked at
    let prefix = [4, 1, 1, 4, 1, 1, 1, 1, 0xff, 0x30, 0, 0x30, 0, 0x30, 0];
    let body = [&prefix, &[0x04, 0x82][..], &long(user_data.len()), &user_data].concat();
    data(&[&[CONNECT, 0x65, 0x82], &long(body.len())[..], &body].concat())
}

/// That our own bytes are one whole frame.
#[track_caller]
pub(crate) fn is_frame(frame: &[u8]) {
    assert_eq!(frame_len(frame), Ok(Some(frame.len())), "{frame:02x?}");
    assert_eq!(frame[0], 3, "{frame:02x?}");
}
