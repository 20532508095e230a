//! Replies, read as strictly as the simplest client would need them.

/// A reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// All that a connection was answered.
#[derive(Debug)]
pub(crate) struct Replies {
    pub(crate) whole: Vec<Reply>,
    /// The last one is not all there.
    pub(crate) cut: bool,
}

/// All replies of a connection. To `HEAD`, where there may have been one, a reply has a length and nothing of it.
pub(super) fn read(mut bytes: &[u8], longest: usize, heads: bool) -> Replies {
    let (mut replies, mut closed, mut cut) = (Vec::new(), false, false);
    while !bytes.is_empty() {
        assert!(!closed, "nothing follows the last reply");
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            let begun = &bytes[..bytes.len().min(9)];
            let known = [b"HTTP/1.1 ", b"HTTP/1.0 "];
            assert!(known.iter().any(|known| known.starts_with(begun)), "a reply begins like one: {bytes:?}");
            cut = true;
            break;
        };
        let head = std::str::from_utf8(&bytes[..end]).expect("a head is ASCII");
        let (status, headers) = split(head);
        let header = |name: &str| {
            let mut all =
                headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
            let first = all.next();
            assert!(all.next().is_none(), "{name} comes once: {head}");
            first
        };
        assert_eq!(header("transfer-encoding"), None, "chunks break clients");
        let length = match (status, header("content-length")) {
            (100, None) => 0,
            // there is never a body (RFC 9110 8.6)
            (204 | 304, None) => 0,
            // to HEAD, where there would have been none
            (200 | 404 | 405, None) => 0,
            (_, length) => length.and_then(|length| length.parse().ok()).expect("a reply tells its length"),
        };
        assert!(end + length <= longest, "a reply of {length} bytes");
        if length > 0 {
            let kind = header("content-type").expect("a body has a type");
            let known = ["application/soap+xml", "application/json", "application/problem+json"];
            assert!(known.iter().any(|known| kind.starts_with(known)), "{kind}");
        }
        let behind = bytes.get(end + 4..).unwrap_or_default();
        let length = if heads && (behind.is_empty() || behind.starts_with(b"HTTP/1.")) { 0 } else { length };
        assert_eq!(status == 401, header("www-authenticate").is_some(), "{head}");
        closed = header("connection") == Some("close");
        let Some((body, rest)) = behind.split_at_checked(length) else {
            cut = true;
            break;
        };
        bytes = rest;
        replies.push(Reply { status, body: body.to_vec() });
    }
    Replies { whole: replies, cut }
}

/// The status and the header lines.
fn split(head: &str) -> (u16, Vec<(&str, &str)>) {
    assert!(!head.contains(|c: char| c.is_control() && c != '\r' && c != '\n'), "{head:?}");
    let mut lines = head.split("\r\n");
    let first = lines.next().expect("a head has a line");
    let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok()).expect("a head begins with a status");
    let headers = lines.map(|line| line.split_once(": ").expect("a header has a name and a value")).collect();
    (status, headers)
}
