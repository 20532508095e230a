//! The one way by which outside bytes are read: every read is checked, none can panic.

use crate::error::{RdpError, malformed};

/// Reads a byte slice from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Reads `bytes`; `what` names the structure in errors.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], RdpError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(RdpError::Truncated(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RdpError> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(RdpError::Truncated(self.what))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RdpError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16_le(&mut self) -> Result<u16, RdpError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u16_be(&mut self) -> Result<u16, RdpError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Result<u32, RdpError> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads bytes that must be exactly these.
    pub(crate) fn expect(&mut self, bytes: &[u8], rule: &'static str) -> Result<(), RdpError> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(malformed(self.what, rule)) }
    }

    /// An aligned PER length determinant (X.691 10.9): one byte below 128, else two bytes of 14 bits.
    /// Fragmented lengths (16 Ki and more) do not occur in a handshake and are refused.
    pub(crate) fn per_length(&mut self) -> Result<usize, RdpError> {
        match self.u8()? {
            short @ 0..=0x7f => Ok(usize::from(short)),
            high @ 0x80..=0xbf => Ok(usize::from(u16::from_be_bytes([high & 0x3f, self.u8()?]))),
            _ => Err(malformed(self.what, "a per length is below 16384")),
        }
    }

    /// A BER element with this tag (one or two bytes): its content.
    pub(crate) fn ber(&mut self, tag: &[u8]) -> Result<&'a [u8], RdpError> {
        self.expect(tag, "an expected ber tag is missing")?;
        let length = match self.u8()? {
            short @ 0..=0x7f => usize::from(short),
            0x81 => usize::from(self.u8()?),
            0x82 => usize::from(self.u16_be()?),
            _ => return Err(malformed(self.what, "a ber length is below 65536")),
        };
        self.take(length)
    }
}

/// Appends a BER element. Its length always takes three bytes when it is over 127.
pub(crate) fn put_ber(out: &mut Vec<u8>, tag: &[u8], content: &[u8]) -> Result<(), RdpError> {
    out.extend_from_slice(tag);
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let long = u16::try_from(content.len()).map_err(|_| malformed("ber element", "under 64 KiB"))?;
            out.push(0x82);
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    Ok(())
}

/// Appends a PER length, one byte where it fits. Only the shortest form will do: rdesktop and xrdp expect what is
/// behind it at fixed places.
pub(crate) fn put_per_length(out: &mut Vec<u8>, length: usize) -> Result<(), RdpError> {
    match u16::try_from(length) {
        Ok(short @ 0..0x80) => out.push(short as u8),
        Ok(long @ 0x80..0x4000) => out.extend_from_slice(&(0x8000 + long).to_be_bytes()),
        _ => return Err(malformed("per length", "under 16 KiB")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_per_length_is_written_in_its_shortest_form_and_read_in_both() {
        for (length, bytes) in [
            (0, &[0x00][..]),
            (0x7f, &[0x7f]),
            (0x80, &[0x80, 0x80]),
            (0x1234, &[0x92, 0x34]),
            (0x3fff, &[0xbf, 0xff]),
        ] {
            let mut written = Vec::new();
            put_per_length(&mut written, length).unwrap();
            assert_eq!(written, bytes);
            assert_eq!(Cursor::new("test", bytes).per_length(), Ok(length));
        }
        assert_eq!(Cursor::new("test", &[0x80, 0x05]).per_length(), Ok(5), "longer than it need be");
        assert!(Cursor::new("test", &[0xc0, 0x05]).per_length().is_err(), "a fragment");
        for too_long in [0x4000, 0x8005, 0x1_0005] {
            assert!(put_per_length(&mut Vec::new(), too_long).is_err(), "{too_long:#x}");
        }
    }

    #[test]
    fn a_ber_length_is_written_in_one_or_three_bytes_and_read_in_two_also() {
        for (length, head) in [
            (0, &[0x04, 0x00][..]),
            (0x7f, &[0x04, 0x7f]),
            (0x80, &[0x04, 0x82, 0x00, 0x80]),
            (0x0102, &[0x04, 0x82, 0x01, 0x02]),
            (0xffff, &[0x04, 0x82, 0xff, 0xff]),
        ] {
            let (content, mut written) = (vec![7; length], Vec::new());
            put_ber(&mut written, &[0x04], &content).unwrap();
            assert_eq!(written, [head, &content].concat());
            assert_eq!(Cursor::new("test", &written).ber(&[0x04]), Ok(&content[..]));
        }
        assert!(put_ber(&mut Vec::new(), &[0x04], &vec![7; 0x1_0000]).is_err());
        assert_eq!(Cursor::new("test", &[0x04, 0x81, 2, 7, 7]).ber(&[0x04]), Ok(&[7, 7][..]));
        for bad in [&[0x04, 0x80][..], &[0x04, 0x83, 0, 0, 1, 7], &[0x04, 3, 7, 7], &[0x02, 1, 7]] {
            assert!(Cursor::new("test", bad).ber(&[0x04]).is_err(), "{bad:02x?}");
        }
    }
}
