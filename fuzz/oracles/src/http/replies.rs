//! Replies, read as strictly as the simplest client would need them.

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
}

/// All replies of a connection, which have to be whole.
pub(super) fn read(mut bytes: &[u8], longest: usize) -> Vec<Reply> {
    let mut replies = Vec::new();
    let mut closed = false;
    while !bytes.is_empty() {
        assert!(!closed, "nothing follows the last reply");
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else {
            // to what is no request, said by hyper as it hangs up: as much of it as goes into the pipe
            const LAST: &[u8] = b"HTTP/1.1 400 ";
            assert!(bytes.starts_with(&LAST[..LAST.len().min(bytes.len())]), "a head has an end: {bytes:?}");
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
            // to HEAD, which nothing here takes
            (404 | 405, None) => 0,
            (_, length) => length.and_then(|length| length.parse().ok()).expect("a reply tells its length"),
        };
        assert!(end + length <= longest, "a reply of {length} bytes");
        if length > 0 {
            let kind = header("content-type").expect("a body has a type");
            assert!(kind.starts_with("application/soap+xml"), "{kind}");
        }
        assert_eq!(status == 401, header("www-authenticate").is_some(), "{head}");
        closed = header("connection") == Some("close");
        bytes = bytes.get(end + 4 + length..).expect("a body is all there");
        replies.push(Reply { status });
    }
    replies
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
