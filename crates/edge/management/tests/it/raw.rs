//! A client that writes exactly the bytes it is told to.

use base64::Engine;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A reply.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Header lines as they came, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub(crate) const ROOT: &str = "LAB\\root:secret";
pub(crate) const ANNA: &str = "anna:geheim:ä";

pub(crate) fn basic(who: &str) -> String {
    format!("Authorization: Basic {}\r\n", base64::engine::general_purpose::STANDARD.encode(who))
}

/// A POST of `body` to `path`, with further header lines.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A request to `path` without a body, with further header lines.
pub(crate) fn ask(verb: &str, path: &str, headers: &str) -> Vec<u8> {
    format!("{verb} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n").into_bytes()
}

/// A request to `path` with JSON.
pub(crate) fn send(verb: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("Content-Type: application/json\r\n{headers}Content-Length: {length}\r\n");
    [ask(verb, path, &head), body.as_bytes().to_vec()].concat()
}

/// Reads one reply; `None` where the connection is closed instead.
pub(crate) async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .map(|l| l.split_once(':').unwrap())
        .map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let mut reply = Reply { status, headers, body: Vec::new() };
    assert_eq!(reply.header("transfer-encoding"), None, "chunks break clients");
    if !matches!(status, 100 | 204 | 304) {
        let length = reply.header("content-length").expect("every reply carries its length").parse().unwrap();
        reply.body.resize(length, 0);
        stream.read_exact(&mut reply.body).await.ok()?;
    }
    Some(reply)
}

/// Sends and reads the reply.
pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Reply {
    stream.write_all(bytes).await.unwrap();
    receive(stream).await.expect("the server answers")
}
