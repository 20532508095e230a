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
/// `INFO_LOGONNOTIFY`: the client asks to be told of the logon by Save Session Info.
const INFO_LOGONNOTIFY: u32 = 0x0000_0040;
/// `INFO_PASSWORD_IS_SC_PIN`: the password is a smart card's PIN.
const INFO_PASSWORD_IS_SC_PIN: u32 = 0x0004_0000;
/// Each string is at most 512 bytes (2.2.1.11.1.1); some clients count the terminator.
const MAX_STRING: usize = 520;
/// What follows the strings (2.2.1.11.1.1.1) is about 300 bytes, plus the dynamic time zone's names.
const MAX_EXTRA: usize = 2048;

/// What is before the cookie in the extended part (2.2.1.11.1.1.1): the time zone, and behind it the client's session
/// id and its performance flags.
const TIME_ZONE: usize = 172;
const IDS_AND_FLAGS: usize = 8;

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
    /// The auto-reconnect cookie, where the client comes back by itself.
    pub reconnect: Option<AutoReconnect>,
    code_page: u32,
    /// Alternate shell and working directory in the client's encoding, without terminators.
    program: [Vec<u8>; 2],
    /// Everything behind the strings but the auto-reconnect cookie: address, time zone, performance flags.
    extra: Vec<u8>,
}

/// What a client says that comes back by itself (`ARC_CS_PRIVATE_PACKET`, MS-RDPBCGR 2.2.4.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AutoReconnect {
    /// The session that its cookie is for, as [`crate::server::auto_reconnect_cookie`] named it.
    pub logon_id: u32,
    /// `SecurityVerifier`: the proof that the client has the cookie.
    pub verifier: [u8; 16],
}

impl std::fmt::Debug for AutoReconnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AutoReconnect").field("logon_id", &self.logon_id).finish_non_exhaustive()
    }
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
        let (reconnect, extra) = split_cookie(c.rest());
        Ok(Self {
            domain: std::mem::take(&mut *decode(domain, unicode)?),
            user: std::mem::take(&mut *decode(user, unicode)?),
            password: decode(password, unicode)?,
            flags,
            reconnect,
            code_page,
            program: [shell.to_vec(), directory.to_vec()],
            extra,
        })
    }

    /// Whether the client has asked for Save Session Info.
    pub fn asks_for_session_info(&self) -> bool {
        self.flags & INFO_LOGONNOTIFY != 0
    }

    /// Writes the frame for the desktop: the client's own settings, with another user, no domain, and this password with
    /// the order to log on by it; without one the desktop asks the user itself. A desktop that is not trusted with the
    /// user's password must be given another, and none is given the cookie, which is not for it.
    ///
    /// # Errors
    /// When a string is over its limit.
    pub fn for_desktop(
        &self,
        initiator: u16,
        io: u16,
        user: &str,
        password: Option<&str>,
    ) -> Result<Zeroizing<Vec<u8>>, RdpError> {
        let unicode = self.flags & INFO_UNICODE != 0;
        let autologon = if password.is_some() { INFO_AUTOLOGON } else { 0 };
        let flags = self.flags & !(INFO_AUTOLOGON | INFO_PASSWORD_IS_SC_PIN) | autologon;
        let (user, password) = (encode(user, unicode), encode(password.unwrap_or_default(), unicode));
        let strings: [&[u8]; 5] = [&[], &user, &password, &self.program[0], &self.program[1]];
        // as long as it gets: a buffer that grows leaves what was in it behind
        let length = 18 + strings.iter().map(|string| string.len() + 2).sum::<usize>() + self.extra.len();
        let mut content = Zeroizing::new(Vec::with_capacity(length));
        content.extend_from_slice(&SEC_INFO_PKT.to_le_bytes());
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
        Ok(Zeroizing::new(send_data_request(initiator, io, &content)?))
    }
}

/// The cookie, and the extended part without it. An old client's extended part may end anywhere. What is not a cookie
/// (another length, another version) counts as none: the worst that it can be is a client of which we know nothing.
fn split_cookie(extra: &[u8]) -> (Option<AutoReconnect>, Vec<u8>) {
    let mut c = Cursor::new(WHAT, extra);
    let Some(length) = seek_cookie(&mut c) else { return (None, extra.to_vec()) };
    let before = extra.len() - c.rest().len() - 2;
    let (cookie, behind) = match c.take(length) {
        Ok(cookie) => (parse_cookie(cookie), c.rest()),
        // said to be longer than all that is there, which may hold one all the same
        Err(_) => (None, &[][..]),
    };
    (cookie, [&extra[..before], &[0, 0], behind].concat())
}

/// Goes to the cookie; answers its length.
fn seek_cookie(c: &mut Cursor<'_>) -> Option<usize> {
    c.u16_le().ok()?; // address family
    for _ in 0..2 {
        let length = c.u16_le().ok()?;
        c.take(usize::from(length)).ok()?; // address, directory
    }
    c.take(TIME_ZONE + IDS_AND_FLAGS).ok()?;
    c.u16_le().ok().map(usize::from)
}

fn parse_cookie(cookie: &[u8]) -> Option<AutoReconnect> {
    let mut c = Cursor::new(WHAT, cookie);
    let (length, version) = (c.u32_le().ok()?, c.u32_le().ok()?);
    let (logon_id, verifier) = (c.u32_le().ok()?, c.array().ok()?);
    (length == 28 && version == 1 && c.is_empty()).then_some(AutoReconnect { logon_id, verifier })
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

fn encode(text: &str, unicode: bool) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * text.len()));
    if unicode {
        bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    } else {
        bytes.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')));
    }
    bytes
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
        let rebuilt = info.for_desktop(1009, 1003, "desk", Some("none")).unwrap();
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
        let read =
            ClientInfo::parse(&info.for_desktop(1004, 1003, "\u{e9}", Some("x")).unwrap(), 1003).unwrap();
        assert_eq!((read.user.as_str(), read.flags), ("\u{e9}", 0x03 | INFO_AUTOLOGON));
    }

    /// A whole extended part with this in the place of the cookie, of which it is said to be `length` bytes.
    fn extended(length: u16, cookie: &[u8]) -> Vec<u8> {
        let mut extra = vec![0x02, 0, 4, 0, b'1', 0, 0, 0, 2, 0, 0, 0]; // AF_INET, "1", ""
        extra.extend_from_slice(&[7; TIME_ZONE + IDS_AND_FLAGS]);
        extra.extend_from_slice(&length.to_le_bytes());
        extra.extend_from_slice(cookie);
        extra.extend_from_slice(&[0, 0, 0, 0]); // reserved
        extra
    }

    #[rustfmt::skip]
    const COOKIE: [u8; 28] = [
        28, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, // ARC_CS_PRIVATE_PACKET: 28 bytes, version 1, logon id 9
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    ];

    fn with_extra(extra: &[u8]) -> ClientInfo {
        let mut frame = unicode();
        frame.truncate(frame.len() - 4);
        let (_, content) = parse_send_data_request(&frame_of(frame)).map(|(c, d)| (c, d.to_vec())).unwrap();
        let frame = send_data_request(1006, 1003, &[&content, extra].concat()).unwrap();
        ClientInfo::parse(&frame, 1003).unwrap()
    }

    /// The same content with the lengths of a frame that ends here.
    fn frame_of(cut: Vec<u8>) -> Vec<u8> {
        // TPKT 4, X.224 3, MCS 6 and a length of one byte
        send_data_request(1006, 1003, &cut[14..]).unwrap()
    }

    #[test]
    fn the_cookie_is_read_and_kept_from_the_desktop() {
        let info = with_extra(&extended(28, &COOKIE));
        let verifier = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(info.reconnect, Some(AutoReconnect { logon_id: 9, verifier }));
        let rebuilt = info.for_desktop(1006, 1003, "desk", Some("none")).unwrap();
        assert!(rebuilt.ends_with(&extended(0, &[])), "everything else is as it was");
        assert_eq!(ClientInfo::parse(&rebuilt, 1003).unwrap().reconnect, None);
        let shown = format!("{info:?} {:?}", info.reconnect);
        assert!(shown.contains("AutoReconnect { logon_id: 9") && !shown.contains("verifier"), "{shown}");
    }

    #[test]
    fn what_is_not_a_cookie_counts_as_none_and_is_kept_from_the_desktop_too() {
        let mut other_version = COOKIE;
        other_version[4] = 2;
        let mut other_length = COOKIE;
        other_length[0] = 27;
        let long = [&COOKIE[..], &[0]].concat();
        for cookie in [&other_version[..], &other_length, &COOKIE[..27], &long, &[]] {
            let info = with_extra(&extended(cookie.len() as u16, cookie));
            assert_eq!(info.reconnect, None, "{cookie:?}");
            assert_eq!(info.extra, extended(0, &[]), "{cookie:?}");
        }
        // said to be longer than all that is there, with and without something behind it
        let whole = extended(0xffff, &COOKIE);
        for longer in [&whole[..], &whole[..whole.len() - 4]] {
            let info = with_extra(longer);
            assert_eq!(info.reconnect, None);
            assert_eq!(info.extra[..], extended(0, &[])[..info.extra.len()]);
        }
    }

    #[test]
    fn an_extended_part_may_end_anywhere() {
        let whole = extended(28, &COOKIE);
        let at = whole.len() - 4 - 28; // behind the cookie's length
        for n in 0..whole.len() {
            let info = with_extra(&whole[..n]);
            assert_eq!(info.reconnect.is_some(), n >= at + 28, "{n}");
            assert_eq!(info.extra[..n.min(at - 2)], whole[..n.min(at - 2)], "{n}");
        }
    }

    /// Client Info of these flags, with strings of these lengths, which hold nothing but 'a', and this behind them.
    fn of_lengths(flags: u32, lengths: [usize; 5], extra: usize) -> Result<ClientInfo, RdpError> {
        let unicode = flags & INFO_UNICODE != 0;
        let mut content = vec![0x40, 0, 0, 0, 0, 0, 0, 0];
        content.extend_from_slice(&flags.to_le_bytes());
        lengths.iter().for_each(|n| content.extend_from_slice(&(*n as u16).to_le_bytes()));
        for n in lengths {
            let string = if unicode { b"a\0".repeat(n.div_ceil(2)) } else { b"a".repeat(n) };
            content.extend_from_slice(&string[..n]);
            content.extend_from_slice(if unicode { &[0, 0] } else { &[0] });
        }
        content.resize(content.len() + extra, 0);
        ClientInfo::parse(&send_data_request(1006, 1003, &content).unwrap(), 1003)
    }

    #[test]
    fn a_string_is_at_most_520_bytes_and_whole_characters() {
        for which in 0..5 {
            let with = |flags, length| {
                let mut lengths = [4; 5];
                lengths[which] = length;
                of_lengths(flags, lengths, 0)
            };
            assert!(with(INFO_UNICODE, 520).is_ok() && with(0, 520).is_ok() && with(0, 3).is_ok());
            let bad = Err(malformed(WHAT, "a string is at most 520 bytes, and whole characters"));
            for (flags, length) in [(INFO_UNICODE, 522), (0, 521), (INFO_UNICODE, 3), (INFO_UNICODE, 1)] {
                assert_eq!(with(flags, length), bad, "string {which}, {length} bytes");
            }
        }
    }

    #[test]
    fn the_extended_part_is_at_most_2_kib() {
        assert!(of_lengths(INFO_UNICODE, [2; 5], 2048).is_ok());
        let bad = Err(malformed(WHAT, "its extended part is at most 2 KiB"));
        assert_eq!(of_lengths(INFO_UNICODE, [2; 5], 2049), bad);
    }

    #[test]
    fn what_a_desktop_is_told_fits_into_the_limit_too() {
        for (flags, longest) in [(INFO_UNICODE, 260), (0, 520)] {
            let info = of_lengths(flags, [2; 5], 0).unwrap();
            let (fits, over) = ("x".repeat(longest), "x".repeat(longest + 1));
            let rebuilt = info.for_desktop(1006, 1003, &fits, Some(&fits)).unwrap();
            assert_eq!(ClientInfo::parse(&rebuilt, 1003).unwrap().user, fits);
            assert!(info.for_desktop(1006, 1003, &over, Some("")).is_err());
            assert!(info.for_desktop(1006, 1003, "", Some(&over)).is_err());
        }
    }

    #[test]
    fn the_desktop_logs_on_with_what_it_is_given_whatever_the_client_had_wished() {
        for flags in [INFO_UNICODE, INFO_UNICODE | INFO_AUTOLOGON | INFO_PASSWORD_IS_SC_PIN] {
            let info = of_lengths(flags, [2; 5], 0).unwrap();
            let rebuilt = info.for_desktop(1006, 1003, "desk", Some("none")).unwrap();
            assert_eq!(ClientInfo::parse(&rebuilt, 1003).unwrap().flags, INFO_UNICODE | INFO_AUTOLOGON);
            let asks = ClientInfo::parse(&info.for_desktop(1006, 1003, "desk", None).unwrap(), 1003).unwrap();
            assert_eq!((asks.flags, asks.user.as_str(), asks.password.as_str()), (INFO_UNICODE, "desk", ""));
        }
    }

    #[test]
    fn a_client_that_wants_to_hear_of_its_logon_says_so() {
        assert!(of_lengths(INFO_LOGONNOTIFY, [1; 5], 0).unwrap().asks_for_session_info());
        assert!(!of_lengths(!INFO_LOGONNOTIFY, [2; 5], 0).unwrap().asks_for_session_info());
    }

    #[test]
    fn a_password_is_never_moved_while_it_is_decoded() {
        // text that grew would have left a copy where it was
        assert_eq!(decode(&[0xe9; 3], false).unwrap().capacity(), 6);
        assert_eq!(decode(b"\x20\xac\x20\xac\x20\xac", true).unwrap().capacity(), 12);
    }

    #[test]
    fn a_string_ends_where_its_terminator_is_also_if_that_was_counted() {
        assert_eq!(decode(b"a\0\0\0b\0", true).unwrap().as_str(), "a");
        assert_eq!(decode(b"a\0b", false).unwrap().as_str(), "a");
        assert!(decode(b"\x3d\xd8", true).is_err(), "half of a surrogate pair");
    }

    #[test]
    fn what_ansi_cannot_say_becomes_a_question_mark() {
        assert_eq!(*encode("a\u{e9}\u{20ac}", false), b"a\xe9?");
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
