//! What keeps a desktop from sending its client elsewhere.
//!
//! A Server Redirection (MS-RDPBCGR 2.2.13.3) makes a client connect to whatever server it names, with the user's
//! credentials. Brokers of other kinds live on it; a desktop behind this one has no business to send it, and is not
//! trusted. It is a share PDU of its own type on the I/O channel, and a frame may hold several share PDUs one behind the
//! other, so it can stand anywhere in one.
//!
//! Clients differ in what they make of a frame that is not as specified, and what one of them passes over is the start of
//! a PDU to another. So a frame is harmless only if there is one way to read it: the lengths of TPKT, MCS and share PDUs
//! agree to the byte. All that can carry data is looked at, by its head; only a frame with several share PDUs, which few
//! servers send, is looked at as a whole. What is drawn goes by fast path or on virtual channels, and is not looked into.

use crate::{
    FrameError,
    mcs::{SEND_DATA_INDICATION, parse_send_data},
};
use std::cmp::Ordering;

// MS-RDPBCGR 2.2.8.1.1.1.1
const PDUTYPE_DEMANDACTIVEPDU: u8 = 0x01;
const PDUTYPE_SERVER_REDIR_PKT: u8 = 0x0a;

/// What a desktop does that its client must not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DesktopFault {
    /// What it sends is not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It sends its client elsewhere.
    #[error("it sends its client to another server")]
    Redirection,
    /// There is more than one way to read a frame.
    #[error("a frame can be read in more than one way")]
    Ambiguous,
    /// It speaks on another channel, or several PDUs at once, while it gives no licence.
    #[error("it does not give a licence first")]
    Unlicensed,
}

/// What is known of a frame that may go on as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harmless {
    /// All of it is harmless, whatever is still to come.
    Whole,
    /// It can only be told when all of it is there, which is under 17 KiB.
    Unknown,
}

/// Looks at all that a desktop says, in its order, from behind Client Info.
#[derive(Debug)]
pub struct Guard {
    /// The I/O channel as the client knows it.
    io: u16,
    /// The licence has been given: from here on PDUs of the I/O channel have a share header and no security header.
    licensed: bool,
}

impl Guard {
    /// `io` is the I/O channel as the client knows it.
    pub fn new(io: u16) -> Self {
        Self { io, licensed: false }
    }

    /// Whether a frame of `length` bytes, of which at least the head is `here` ([`crate::watch::HEAD`]), is harmless.
    /// It is as the desktop sent it, and `to_client` tells what the client knows a channel by.
    ///
    /// # Errors
    /// When the client must not have any of it.
    pub fn check(
        &mut self,
        here: &[u8],
        length: usize,
        to_client: impl Fn(u16) -> u16,
    ) -> Result<Harmless, DesktopFault> {
        /// T.125: to all at once. Never sent, but a client could take it for the same.
        const UNIFORM_SEND_DATA_INDICATION: u8 = 0x70;
        let [3, _, _, _, tpdu @ ..] = here else { return Ok(Harmless::Whole) };
        // X.224 data, and no part of it is in another frame
        let Some(mcs @ [kind, ..]) = tpdu.strip_prefix(&[0x02, 0xf0, 0x80]) else {
            return Err(DesktopFault::Ambiguous);
        };
        // the low two bits are padding, at which nobody looks
        match *kind {
            SEND_DATA_INDICATION => {}
            other if matches!(other & 0xfc, SEND_DATA_INDICATION | UNIFORM_SEND_DATA_INDICATION) => {
                return Err(DesktopFault::Ambiguous);
            }
            _ => return Ok(Harmless::Whole),
        }
        let (channel, said, content) =
            parse_send_data("send data indication", *kind, mcs).map_err(|_| DesktopFault::Ambiguous)?;
        if to_client(channel) != self.io {
            // clients look for the licence, and for a redirection in its place, on any channel
            return if self.licensed { Ok(Harmless::Whole) } else { Err(DesktopFault::Unlicensed) };
        }
        let size = length - (here.len() - content.len());
        if said != size {
            return Err(DesktopFault::Ambiguous);
        }
        if self.licensed { check_share(content, size) } else { self.check_unlicensed(content, size) }
    }

    /// Before the licence, a PDU may have a security header (MS-RDPBCGR 2.2.8.1.1.2.1). Where it has none, its first two
    /// bytes are a length.
    fn check_unlicensed(&mut self, content: &[u8], size: usize) -> Result<Harmless, DesktopFault> {
        const SEC_LICENSE_PKT: u16 = 0x0080;
        /// Of Standard RDP Security, which nobody speaks inside TLS.
        const SEC_REDIRECTION_PKT: u16 = 0x0400;
        // MS-RDPELE 2.2.2: these end it, whatever they say
        const NEW_LICENSE: u8 = 0x03;
        const UPGRADE_LICENSE: u8 = 0x04;
        const ERROR_ALERT: u8 = 0xff;
        let [low, high, kind, _, message, ..] = *content else { return Err(DesktopFault::Ambiguous) };
        let flags = u16::from_le_bytes([low, high]);
        if flags & SEC_REDIRECTION_PKT != 0 || pdu_type(kind) == PDUTYPE_SERVER_REDIR_PKT {
            return Err(DesktopFault::Redirection);
        }
        let is_share = pdu_length(flags) == Some(size);
        if flags & SEC_LICENSE_PKT == 0 || is_share && pdu_type(kind) == PDUTYPE_DEMANDACTIVEPDU {
            if !is_share {
                return Err(DesktopFault::Unlicensed);
            }
            self.licensed = pdu_type(kind) == PDUTYPE_DEMANDACTIVEPDU;
            return Ok(Harmless::Whole);
        }
        // rdesktop takes it for a licence only without any other flag, and else for share PDUs
        if flags != SEC_LICENSE_PKT && size > usize::from(flags) {
            return Err(DesktopFault::Ambiguous);
        }
        self.licensed = matches!(message, NEW_LICENSE | UPGRADE_LICENSE | ERROR_ALERT);
        Ok(Harmless::Whole)
    }
}

/// The type of a share PDU, by the third byte of its header. Clients do not look at the version beside it.
fn pdu_type(kind: u8) -> u8 {
    kind & 0x0f
}

/// Share PDUs that fill `size` bytes, of which `content` is the beginning.
fn check_share(content: &[u8], size: usize) -> Result<Harmless, DesktopFault> {
    let [low, high, kind, _, ..] = *content else { return Err(DesktopFault::Ambiguous) };
    if pdu_type(kind) == PDUTYPE_SERVER_REDIR_PKT {
        return Err(DesktopFault::Redirection);
    }
    match pdu_length(u16::from_le_bytes([low, high])).map(|first| first.cmp(&size)) {
        Some(Ordering::Equal) => Ok(Harmless::Whole),
        Some(Ordering::Less) if content.len() < size => Ok(Harmless::Unknown),
        Some(Ordering::Less) => check_several(content),
        Some(Ordering::Greater) | None => Err(DesktopFault::Ambiguous),
    }
}

fn check_several(content: &[u8]) -> Result<Harmless, DesktopFault> {
    let mut rest = content;
    while !rest.is_empty() {
        let [low, high, kind, _, ..] = *rest else { return Err(DesktopFault::Ambiguous) };
        if pdu_type(kind) == PDUTYPE_SERVER_REDIR_PKT {
            return Err(DesktopFault::Redirection);
        }
        let length = pdu_length(u16::from_le_bytes([low, high])).ok_or(DesktopFault::Ambiguous)?;
        rest = rest.get(length..).ok_or(DesktopFault::Ambiguous)?;
    }
    // FreeRDP before 2.3 goes on where it has read to, and not where the next PDU begins: wherever that is, no redirection
    // may begin there. It says so a second time behind the header, which has 6 bytes, or 4 or 8 (below), and 2 of padding.
    let begins = |at: usize| {
        let pdu = &content[at..];
        pdu.get(2).is_some_and(|kind| pdu_type(*kind) == PDUTYPE_SERVER_REDIR_PKT)
            && [6, 8, 10].iter().any(|&flags| pdu.get(flags..flags + 2) == Some(&[0x00, 0x04]))
    };
    if (0..content.len()).any(begins) { Err(DesktopFault::Redirection) } else { Ok(Harmless::Whole) }
}

/// How long a share PDU is, by its first two bytes. A flow PDU (T.128) has no length, and Windows XP's Deactivate All has
/// no source.
fn pdu_length(first: u16) -> Option<usize> {
    const FLOW: u16 = 0x8000;
    match first {
        FLOW => Some(8),
        0..4 => None,
        length => Some(length.into()),
    }
}

#[cfg(test)]
mod tests;
