//! One request to the JSON API: verb, address and body, through the real server.
//!
//! The first byte of an input chooses the verb, a line feed ends the address, and the rest is the body.

use crate::http::stub::PROOF;
use crate::http::{Reply, exchange};
use serde_json::Value;

const VERBS: [&str; 6] = ["GET", "POST", "PATCH", "DELETE", "HEAD", "PUT"];

/// The answer is one, and JSON; a problem says its own status and a code; nothing that came is a mistake of ours or makes
/// an answer long; and the address that an instance is shown with is that of the same instance.
pub fn json(bytes: &[u8]) -> bool {
    let Some((verb, rest)) = bytes.split_first() else { return false };
    let verb = VERBS[usize::from(*verb) % VERBS.len()];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (address, body) = rest.split_at(end);
    let body = body.strip_prefix(b"\n").unwrap_or(body);

    let reply = ask(verb, &format!("/api/v1/{}", spelt(address)), body);
    // hyper itself refuses addresses that are none, without a word
    if reply.body.is_empty() {
        return matches!(reply.status, 200 | 204);
    }
    let told: Value = serde_json::from_slice(&reply.body).expect("an answer is JSON");
    if reply.status >= 400 {
        assert_ne!(reply.status, 500, "{told}");
        assert_eq!(told["status"], reply.status);
        assert!(told["wmiName"].as_str().is_some_and(|name| name.starts_with("WBEM_E_")), "{told}");
        assert!(reply.body.len() < 4096, "what came is not sent back at any length");
        return false;
    }
    if verb != "POST"
        && let Some(id) = told["@id"].as_str()
    {
        let again = ask("GET", id, b"");
        let again: Value = serde_json::from_slice(&again.body).expect("an answer is JSON");
        assert_eq!(again["@id"], told["@id"]);
    }
    true
}

/// Bytes as they may stand in a request line.
fn spelt(address: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'#' => "%23".to_owned(),
        byte if byte.is_ascii_graphic() => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    address.iter().map(one).collect()
}

fn ask(verb: &str, address: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "{verb} {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {PROOF}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let request = [head.as_bytes(), body].concat();
    let (mut replies, _) = exchange(&request, request.len(), 1 << 20);
    assert!(!replies.cut && replies.whole.len() == 1, "one answer to one request: {replies:?}");
    replies.whole.remove(0)
}
