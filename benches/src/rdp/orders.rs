//! What a measuring client asks of a measuring desktop, as frames that a relay passes on: fast-path input of 16 bytes
//! that says nothing but that a lock key is as it was, with the order behind it.

use std::time::Duration;

pub(crate) const LENGTH: usize = 16;

/// One order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    /// Answer with [`PONG`].
    Ping,
    /// So many [`pattern`]s.
    Patterns(u64),
    /// As much as goes through in this time.
    Stream(Duration),
}

/// The shortest frame there is, of output.
pub(crate) const PONG: [u8; 3] = [0x00, 0x80, 0x03];

impl Order {
    pub(crate) fn frame(self) -> [u8; LENGTH] {
        let (kind, number) = match self {
            Order::Ping => (0, 0),
            Order::Patterns(count) => (1, count),
            Order::Stream(time) => (2, time.as_millis() as u64),
        };
        let mut frame = [0; LENGTH];
        frame[..4].copy_from_slice(&[0x04, LENGTH as u8, 0x60, kind]);
        frame[4..12].copy_from_slice(&number.to_le_bytes());
        frame
    }

    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let [0x04, 0x10, 0x60, kind, rest @ ..] = frame else { return None };
        let number = u64::from_le_bytes(*rest.first_chunk()?);
        Some(match kind {
            0 => Order::Ping,
            1 => Order::Patterns(number),
            2 => Order::Stream(Duration::from_millis(number)),
            _ => return None,
        })
    }
}

/// Output of a busy screen: a tile, and small ones beside it.
pub(crate) fn pattern() -> Vec<u8> {
    let mut bytes = Vec::new();
    for length in [16_000_u16, 90, 60] {
        let start = bytes.len();
        bytes.push(0x00);
        bytes.extend_from_slice(&(length | 0x8000).to_be_bytes());
        // as hard to compress as it would be anyway: nothing on the way looks at it
        bytes.extend((0..length - 3).map(|n| (n.wrapping_mul(31) >> 3) as u8));
        assert_eq!(bytes.len() - start, usize::from(length));
    }
    bytes
}
