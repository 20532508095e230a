//! Client Info, which brings the password, and what a desktop gets of it.

use crate::wire;
use openrdms_rdp::info::ClientInfo;
use openrdms_rdp::mcs::{parse_send_data_request, send_data_request};
use zeroize::Zeroizing;

const AUTOLOGON: u32 = 0x0008;
const UNICODE: u32 = 0x0010;
const SMART_CARD_PIN: u32 = 0x0004_0000;
const SEND_DATA_REQUEST: u8 = 0x64;
const IO: u16 = 1003;

/// A desktop gets the client's settings with another user, no domain, another password and no cookie: it reads back to
/// just that, and no byte of it hangs on what the password or the cookie was.
///
/// Bytes that are no Send Data Request are taken for the content of one.
pub fn client_info(bytes: &[u8]) -> bool {
    let content = bytes.get(..bytes.len().min(16_000)).unwrap_or_default();
    let frame = match bytes.first() {
        Some(&SEND_DATA_REQUEST) => wire::data(bytes),
        _ => send_data_request(1007, IO, content).expect("it is under 16 KiB"),
    };
    let Ok(info) = ClientInfo::parse(&frame, IO) else { return false };
    assert!(ClientInfo::parse(&frame, IO + 1).is_err(), "it is on the i/o channel alone");
    for text in [&info.domain, &info.user, &*info.password] {
        assert!(!text.contains('\0') && text.len() <= 2 * 520, "{text:?}");
    }
    for (user, password) in [("desk-7", Some("none")), ("\u{e9}\u{20ac}\u{1f600}", Some("")), ("alice", None)]
    {
        is_for_desktop(&frame, &info, user, password);
    }
    assert!(info.for_desktop(1009, IO, &"u".repeat(521), Some("none")).is_err(), "there is no room for it");
    true
}

fn is_for_desktop(frame: &[u8], info: &ClientInfo, user: &str, password: Option<&str>) {
    let written = info.for_desktop(1009, 1011, user, password).expect("it has the size that it had");
    wire::is_frame(&written);
    assert!(written.len() <= frame.len() + 64, "{} of {}", written.len(), frame.len());
    assert_eq!(written[8..12], [0, 8, 0x03, 0xf3], "from 1009 to 1011");

    let ansi = |text: &str| text.chars().map(|c| if c > '\u{ff}' { '?' } else { c }).collect();
    let text = |text: &str| if info.flags & UNICODE != 0 { text.to_owned() } else { ansi(text) };
    let mut expected = info.clone();
    expected.domain.clear();
    expected.user = text(user);
    expected.password = Zeroizing::new(text(password.unwrap_or_default()));
    let autologon = if password.is_some() { AUTOLOGON } else { 0 };
    expected.flags = info.flags & !(AUTOLOGON | SMART_CARD_PIN) | autologon;
    expected.reconnect = None;
    let read = ClientInfo::parse(&written, 1011).expect("it reads back");
    // the comparison is of more than is shown
    assert!(read == expected, "{read:?} is not {expected:?}");
    assert_eq!(read.for_desktop(1009, 1011, user, password).as_ref(), Ok(&written), "the second time");

    let secrets = secrets(frame);
    assert_eq!(secrets.cookie.is_some(), info.reconnect.is_some());
    for at in [Some(secrets.password), secrets.cookie].into_iter().flatten() {
        let mut other = frame.to_vec();
        // no surrogate, no end of a text, and every bit of it another
        other[at].iter_mut().for_each(|byte| *byte = if *byte == 0x55 { 0x2a } else { 0x55 });
        let other = ClientInfo::parse(&other, IO).expect("it is as long");
        assert!(
            other.for_desktop(1009, 1011, user, password).as_ref() == Ok(&written),
            "a secret is passed on"
        );
        // shown: the code of a session is no secret
        let mut other_shown = other.clone();
        other_shown.reconnect = info.reconnect;
        assert_eq!(format!("{other_shown:?}"), format!("{info:?}"), "a secret is shown");
    }
}

/// Where the secrets are in a frame.
struct Secrets {
    password: std::ops::Range<usize>,
    /// The proof that the client has the cookie.
    cookie: Option<std::ops::Range<usize>>,
}

/// As another reader finds them.
fn secrets(frame: &[u8]) -> Secrets {
    let (_, content) = parse_send_data_request(frame).expect("it was read");
    // behind it there may be more in the frame
    let start = (7 + 6..frame.len()).find(|at| frame[*at..].starts_with(content)).expect("it is in there");
    let number = |at: usize| content.get(at..at + 2).map(|b| usize::from(b[0]) | usize::from(b[1]) << 8);
    let long = |at: usize| content.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let terminator = if content[8] & UNICODE as u8 != 0 { 2 } else { 1 };
    let (mut at, mut strings) = (22, [0..0, 0..0, 0..0, 0..0, 0..0]);
    for (i, string) in strings.iter_mut().enumerate() {
        let length = number(12 + 2 * i).expect("it was read");
        *string = start + at..start + at + length;
        at += length + terminator;
    }
    let cookie = || {
        at += 2; // address family
        at += 2 + number(at)?; // address
        at += 2 + number(at)?; // directory
        at += 172 + 8; // time zone, session id, performance flags
        let is_one = number(at)? == 28 && long(at + 2)? == 28 && long(at + 6)? == 1;
        let proof = at + 14..at + 30;
        (is_one && proof.end <= content.len()).then_some(start + proof.start..start + proof.end)
    };
    let [_, _, password, _, _] = strings;
    Secrets { password, cookie: { cookie }() }
}
