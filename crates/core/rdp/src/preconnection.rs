//! The preconnection blob that may come before everything else (MS-RDPEPS 2.2.1).
//!
//! It names a virtual machine or a source id to a multiplexing listener. OpenRDMS routes by the X.224 token, so
//! the blob is read, checked and set aside.

use crate::{
    cursor::Cursor,
    error::{RdpError, malformed},
};

/// The longest blob accepted: the fixed part and a short string.
pub const MAX_BLOB: usize = 2048;

/// A preconnection blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreconnectionBlob {
    /// The source id.
    pub id: u32,
    /// Version 2 only: the string, without its terminator.
    pub payload: Option<String>,
}

/// If a connection begins with these four bytes: the whole length of the blob, or `None` for anything else
/// (a TPKT begins with 3, and the length of a blob is even: it is made of fields of 16 and 32 bits).
///
/// # Errors
/// When it can be neither.
pub fn blob_len(first: [u8; 4]) -> Result<Option<usize>, RdpError> {
    if first[0] == 3 {
        return Ok(None);
    }
    match usize::try_from(u32::from_le_bytes(first)) {
        Ok(length @ 16..=MAX_BLOB) => Ok(Some(length)),
        _ => Err(malformed("first bytes", "a connection begins with a tpkt or a preconnection blob")),
    }
}

impl PreconnectionBlob {
    /// Reads a whole blob, size field included (MS-RDPEPS 2.2.1.1, 2.2.1.2).
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(bytes: &[u8]) -> Result<Self, RdpError> {
        const WHAT: &str = "preconnection blob";
        let mut c = Cursor::new(WHAT, bytes);
        let _size = c.u32_le()?;
        let _flags = c.u32_le()?;
        let version = c.u32_le()?;
        let id = c.u32_le()?;
        let payload = match version {
            1 => None,
            2 => {
                let units = usize::from(c.u16_le()?);
                let text = c.take(units * 2)?;
                let units = text.as_chunks::<2>().0.iter().map(|u| u16::from_le_bytes(*u));
                let text: String = char::decode_utf16(units)
                    .collect::<Result<_, _>>()
                    .map_err(|_| malformed(WHAT, "its text is utf-16"))?;
                Some(text.trim_end_matches('\0').to_owned())
            }
            _ => return Err(malformed(WHAT, "its version is 1 or 2")),
        };
        Ok(Self { id, payload })
    }
}
