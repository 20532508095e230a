//! Where one frame ends and the next begins.
//!
//! After TLS an RDP connection is a row of frames of two kinds, told apart by the first byte: TPKT (slow path;
//! MS-RDPBCGR 2.2.1.1, RFC 1006) begins with 3 and a 16 bit big-endian length; fast path (2.2.8.1.2, 2.2.9.1.2)
//! has the low two bits clear and a length of one or two bytes. All lengths count the header.

/// The longest header [`frame_len`] needs to see.
pub const MAX_HEADER: usize = 4;

/// Why bytes cannot be the start of a frame. A stream that shows one of these has no boundaries any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first byte belongs neither to a TPKT nor to a fast-path header.
    #[error("a frame begins with neither a tpkt nor a fast-path header")]
    UnknownHeader,
    /// The length is smaller than the header that states it.
    #[error("a frame is shorter than its own header")]
    TooShort,
}

/// The length of the frame that begins with `bytes`; `None` when the header is not complete yet.
///
/// # Errors
/// When no frame can begin like this.
pub fn frame_len(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let (length, least) = match *bytes {
        // TPKT version, reserved, length; the least content is an X.224 data header
        [3, _, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 7),
        [3, ..] => return Ok(None),
        [action, ..] if action & 3 != 0 => return Err(FrameError::UnknownHeader),
        [_, high, low, ..] if high & 0x80 != 0 => (usize::from(u16::from_be_bytes([high & 0x7f, low])), 3),
        [_, short, ..] if short & 0x80 == 0 => (usize::from(short), 2),
        _ => return Ok(None),
    };
    if length < least { Err(FrameError::TooShort) } else { Ok(Some(length)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_told_as_soon_as_the_header_is_whole_and_counts_it() {
        use FrameError::{TooShort, UnknownHeader};
        let cases: [(&[u8], Result<_, _>); 21] = [
            (&[], Ok(None)),
            (&[3], Ok(None)),
            (&[3, 0], Ok(None)),
            (&[3, 0, 0], Ok(None)),
            (&[3, 0, 0, 6], Err(TooShort)),
            (&[3, 0, 0, 7], Ok(Some(7))),
            (&[3, 0, 1, 0], Ok(Some(256))),
            (&[3, 0, 0xff, 0xff], Ok(Some(65535))),
            (&[1], Err(UnknownHeader)),
            (&[2, 2], Err(UnknownHeader)),
            (&[0xff, 2], Err(UnknownHeader)),
            (&[7, 0, 0, 9], Err(UnknownHeader)),
            (&[0], Ok(None)),
            (&[0, 1], Err(TooShort)),
            (&[0, 2], Ok(Some(2))),
            (&[0xfc, 0x7f, 0xff], Ok(Some(127))),
            (&[0, 0x80], Ok(None)),
            (&[0, 0x80, 2], Err(TooShort)),
            (&[0, 0x80, 3], Ok(Some(3))),
            (&[0, 0x81, 2], Ok(Some(258))),
            (&[0, 0xff, 0xff], Ok(Some(0x7fff))),
        ];
        for (bytes, length) in cases {
            assert_eq!(frame_len(bytes), length, "{bytes:02x?}");
        }
    }
}
