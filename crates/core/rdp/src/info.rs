//! Client Info: who the client says it is (MS-RDPBCGR 2.2.1.11).
//!
//! The one PDU that carries a password. It is decoded into zeroised memory and never shown; the caller must
//! also wipe the frame it was read from.

use crate::{
    RdpError,
    cursor::Cursor,
    error::malformed,
    mcs::{parse_send_data_request, send_data_request},
};
use zeroize::Zeroizing;

/// `SEC_INFO_PKT` of the security header (2.2.8.1.1.2.1).
const SEC_INFO_PKT: u16 = 0x0040;
/// `INFO_AUTOLOGON`: do not ask, use the credentials in here.
const INFO_AUTOLOGON: u32 = 0x0000_0008;
/// `INFO_UNICODE`: strings are UTF-16.
const INFO_UNICODE: u32 = 0x0000_0010;
/// `INFO_PASSWORD_IS_SC_PIN`: the password is a smart card's PIN.
const INFO_PASSWORD_IS_SC_PIN: u32 = 0x0004_0000;
/// Each string is at most 512 bytes (2.2.1.11.1.1); some clients count the terminator.
const MAX_STRING: usize = 520;
/// What follows the strings (2.2.1.11.1.1.1) is about 300 bytes, plus the dynamic time zone's names.
const MAX_EXTRA: usize = 2048;

const WHAT: &str = "client info";

/// A Client Info PDU.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// Domain, as the user typed it.
    pub domain: String,
    /// User, as the user typed it.
    pub user: String,
    /// Password; empty when the client has none to send.
    pub password: Zeroizing<String>,
    /// `flags` (INFO_…).
    pub flags: u32,
    code_page: u32,
    /// Alternate shell and working directory in the client's encoding, without terminators.
    program: [Vec<u8>; 2],
    /// Everything behind the strings: address, time zone, performance flags, auto-reconnect cookie.
    extra: Vec<u8>,
}

impl std::fmt::Debug for ClientInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientInfo")
            .field("domain", &self.domain)
            .field("user", &self.user)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}

impl ClientInfo {
    /// Reads a whole frame, which must have been sent to channel `io`.
    ///
    /// # Errors
    /// When it is not a Client Info PDU.
    pub fn parse(frame: &[u8], io: u16) -> Result<Self, RdpError> {
        let (channel, content) = parse_send_data_request(frame)?;
        let mut c = Cursor::new(WHAT, content);
        if channel != io || c.u16_le()? & SEC_INFO_PKT == 0 {
            return Err(RdpError::Unexpected(WHAT));
        }
        c.u16_le()?; // high flags
        let (code_page, flags) = (c.u32_le()?, c.u32_le()?);
        let unicode = flags & INFO_UNICODE != 0;
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = usize::from(c.u16_le()?);
        }
        if lengths.iter().any(|l| *l > MAX_STRING || (unicode && l % 2 == 1)) {
            return Err(malformed(WHAT, "a string is at most 520 bytes, and whole characters"));
        }
        let mut strings = [&[][..]; 5];
        for (string, length) in strings.iter_mut().zip(lengths) {
            *string = c.take(length)?;
            c.take(if unicode { 2 } else { 1 })?; // the terminator is not counted
        }
        if c.rest().len() > MAX_EXTRA {
            return Err(malformed(WHAT, "its extended part is at most 2 KiB"));
        }
        let [domain, user, password, shell, directory] = strings;
        Ok(Self {
            domain: std::mem::take(&mut *decode(domain, unicode)?),
            user: std::mem::take(&mut *decode(user, unicode)?),
            password: decode(password, unicode)?,
            flags,
            code_page,
            program: [shell.to_vec(), directory.to_vec()],
            extra: c.rest().to_vec(),
        })
    }

    /// Writes the frame for the desktop: the client's own settings, with another user, no domain, this password,
    /// and the order to log on with them. `password` must not be the user's: a desktop is not trusted with it.
    ///
    /// # Errors
    /// When a string is over its limit.
    pub fn for_desktop(
        &self,
        initiator: u16,
        io: u16,
        user: &str,
        password: &str,
    ) -> Result<Vec<u8>, RdpError> {
        let unicode = self.flags & INFO_UNICODE != 0;
        let (user, password) = (encode(user, unicode), encode(password, unicode));
        let flags = (self.flags | INFO_AUTOLOGON) & !INFO_PASSWORD_IS_SC_PIN;
        let strings: [&[u8]; 5] = [&[], &user, &password, &self.program[0], &self.program[1]];
        let mut content = SEC_INFO_PKT.to_le_bytes().to_vec();
        content.extend_from_slice(&[0, 0]);
        content.extend_from_slice(&self.code_page.to_le_bytes());
        content.extend_from_slice(&flags.to_le_bytes());
        for string in strings {
            let length = u16::try_from(string.len()).ok().filter(|l| usize::from(*l) <= MAX_STRING);
            let length = length.ok_or(malformed(WHAT, "a string is at most 520 bytes"))?;
            content.extend_from_slice(&length.to_le_bytes());
        }
        for string in strings {
            content.extend_from_slice(string);
            content.extend_from_slice(if unicode { &[0, 0] } else { &[0] });
        }
        content.extend_from_slice(&self.extra);
        send_data_request(initiator, io, &content)
    }
}

/// Decodes without leaving copies behind: the text is never reallocated. ANSI bytes are taken as Latin-1, the
/// common part of the Western code pages; the clients that still send ANSI are that old.
fn decode(bytes: &[u8], unicode: bool) -> Result<Zeroizing<String>, RdpError> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    if unicode {
        let units = bytes.as_chunks::<2>().0.iter().map(|u| u16::from_le_bytes(*u));
        for c in char::decode_utf16(units) {
            text.push(c.map_err(|_| malformed(WHAT, "its strings are utf-16"))?);
        }
    } else {
        text.extend(bytes.iter().map(|b| char::from(*b)));
    }
    // some clients count the terminator
    let end = text.find('\0').unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

fn encode(text: &str, unicode: bool) -> Vec<u8> {
    if unicode {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    } else {
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    fn unicode() -> Vec<u8> {
        let content = [
            0x40, 0x00, 0x00, 0x00,             // SEC_INFO_PKT, high flags
            0x09, 0x04, 0x09, 0x04,             // code page: keyboard layout with INFO_UNICODE
            0x33, 0x01, 0x04, 0x00,             // MOUSE DISABLECTRLALTDEL UNICODE MAXIMIZESHELL ENABLEWINDOWSKEY, SC_PIN
            0x02, 0x00, 0x04, 0x00, 0x06, 0x00, // domain 2, user 4, password 6 bytes
            0x02, 0x00, 0x00, 0x00,             // shell 2, directory 0
            b'D', 0, 0, 0,
            b'a', 0, 0xe9, 0x00, 0, 0,          // a, e acute
            b'p', 0, 0x3d, 0xd8, 0x00, 0xde, 0, 0, // p, a surrogate pair
            b's', 0, 0, 0,
            0, 0,
            0x02, 0x00, 0x06, 0x00,             // extended part: AF_INET, ... (passed through)
        ];
        send_data_request(1006, 1003, &content).unwrap()
    }

    #[test]
    fn unicode_info_is_read_and_rebuilt_with_other_credentials() {
        let info = ClientInfo::parse(&unicode(), 1003).unwrap();
        assert_eq!((info.domain.as_str(), info.user.as_str()), ("D", "a\u{e9}"));
        assert_eq!(info.password.as_str(), "p\u{1f600}");
        let rebuilt = info.for_desktop(1009, 1003, "desk", "none").unwrap();
        let read = ClientInfo::parse(&rebuilt, 1003).unwrap();
        assert_eq!((read.domain.as_str(), read.user.as_str(), read.password.as_str()), ("", "desk", "none"));
        assert_eq!(read.flags, 0x0133 | INFO_AUTOLOGON);
        assert_eq!((&read.program, &read.extra), (&info.program, &info.extra));
        assert_eq!(rebuilt[8..10], [0, 8], "initiator 1009");
    }

    #[test]
    fn ansi_info_is_read_and_rebuilt_as_ansi() {
        #[rustfmt::skip]
        let content = [
            0x40, 0, 0, 0, 0, 0, 0, 0, 0x03, 0, 0, 0,       // header, code page, flags without UNICODE
            1, 0, 2, 0, 2, 0, 0, 0, 0, 0,                   // lengths
            b'D', 0, b'a', 0xe9, 0, b'p', b'w', 0, 0, 0,    // strings and terminators
        ];
        let info = ClientInfo::parse(&send_data_request(1004, 1003, &content).unwrap(), 1003).unwrap();
        assert_eq!((info.user.as_str(), info.password.as_str()), ("a\u{e9}", "pw"));
        let read = ClientInfo::parse(&info.for_desktop(1004, 1003, "\u{e9}", "x").unwrap(), 1003).unwrap();
        assert_eq!((read.user.as_str(), read.flags), ("\u{e9}", 0x03 | INFO_AUTOLOGON));
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", ClientInfo::parse(&unicode(), 1003).unwrap());
        assert!(
            shown.contains("user") && !shown.contains('\u{1f600}') && !shown.contains("password"),
            "{shown}"
        );
    }

    #[test]
    fn only_an_info_packet_on_the_io_channel_will_do() {
        assert_eq!(ClientInfo::parse(&unicode(), 1004), Err(RdpError::Unexpected(WHAT)));
        let mut other = unicode();
        other[14] = 0x80; // SEC_LICENSE_PKT instead
        assert_eq!(ClientInfo::parse(&other, 1003), Err(RdpError::Unexpected(WHAT)));
    }

    #[test]
    fn every_cut_is_an_error_and_no_panic() {
        let whole = unicode();
        let extended = 4;
        for n in 0..whole.len() - extended {
            let mut cut = whole[..n].to_vec();
            if n >= 4 {
                cut[3] = n as u8;
            }
            assert!(ClientInfo::parse(&cut, 1003).is_err(), "{n}");
        }
    }
}
