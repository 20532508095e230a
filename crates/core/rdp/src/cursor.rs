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
            high @ 0x80..=0xbf => Ok(usize::from(high & 0x3f) << 8 | usize::from(self.u8()?)),
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
        Ok(long @ 0x80..0x4000) => out.extend_from_slice(&(long | 0x8000).to_be_bytes()),
        _ => return Err(malformed("per length", "under 16 KiB")),
    }
    Ok(())
}
