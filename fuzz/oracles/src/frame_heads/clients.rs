//! How clients read a frame, each as it does, as far as it takes to be sent elsewhere.

/// MS-RDPBCGR 2.2.8.1.1.1.1.
const REDIRECTION: u8 = 10;

/// Whether any of the clients that are known takes a redirection out of this frame.
pub(super) fn are_sent_elsewhere(frame: &[u8], licensed: bool, io: u16) -> bool {
    let Some((channel, content)) = send_data(frame) else { return false };
    // what MCS says of the length is looked at by none of them
    let flags =
        u16::from_le_bytes([content.first().copied().unwrap_or(0), content.get(1).copied().unwrap_or(0)]);
    if !licensed {
        let freerdp = flags & 0x0080 == 0 && is_redirection(content);
        let rdesktop = channel == io && flags != 0x0080 && rdesktop(content);
        return freerdp || rdesktop;
    }
    channel == io && (rdesktop(content) || freerdp(content) || careless(content))
}

/// They look at the code of the X.224 TPDU alone, and at the upper six bits of that of MCS.
fn send_data(frame: &[u8]) -> Option<(u16, &[u8])> {
    let [3, _, _, _, _, 0xf0, _, kind, _, _, c0, c1, _, length, rest @ ..] = frame else { return None };
    if kind >> 2 != 0x68 >> 2 {
        return None;
    }
    let content = if length & 0x80 != 0 { rest.get(1..)? } else { rest };
    Some((u16::from_be_bytes([*c0, *c1]), content))
}

fn length(pdu: &[u8]) -> Option<usize> {
    pdu.first_chunk().map(|first| u16::from_le_bytes(*first).into())
}

fn is_redirection(pdu: &[u8]) -> bool {
    pdu.get(2).is_some_and(|kind| kind & 0x0f == REDIRECTION)
}

/// From one length to the next, for as long as there is anything.
fn rdesktop(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let next = match length(rest) {
            Some(0x8000) => 8,
            // it looks at the same PDU for ever, or past the end
            None | Some(0) => return true,
            Some(_) if is_redirection(rest) => return true,
            Some(length) => length,
        };
        rest = rest.get(next..).unwrap_or_default();
    }
    false
}

/// FreeRDP: what is too short for a header is left; what a flow PDU says is its type, too.
fn freerdp(mut rest: &[u8]) -> bool {
    while rest.len() > 3 {
        if is_redirection(rest) {
            return true;
        }
        let next = match length(rest) {
            Some(0x8000) => 8,
            Some(length) if length >= 4 => length,
            _ => return false,
        };
        let Some(behind) = rest.get(next..) else { return false };
        rest = behind;
    }
    false
}

/// FreeRDP before 2.3 gets to any place behind the first PDU, but believes only a redirection that says so twice.
fn careless(content: &[u8]) -> bool {
    let Some(first) = length(content) else { return false };
    let behind = content.get(if first == 0x8000 { 8 } else { first }..).unwrap_or_default();
    (0..behind.len()).any(|at| {
        let pdu = &behind[at..];
        let header = match length(pdu) {
            Some(0x8000) => 8,
            Some(4 | 5) => 4,
            _ => 6,
        };
        is_redirection(pdu) && pdu.get(header + 2..header + 4) == Some(&[0x00, 0x04])
    })
}
