//! HTTP/1.1 over one kept-alive TLS connection, with as little of its own in the figures as can be.

use crate::tls;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longer answers are a mistake.
const MAX_ANSWER: usize = 64 << 20;

/// One connection.
pub(crate) struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
    path: String,
    headers: String,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(url: &str, certificate: &Path, credentials: Option<&[u8]>) -> Result<Self> {
        let rest = url.strip_prefix("https://").context("the url has to begin with https://")?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address: SocketAddr = authority.parse().context("the url has to name an address and a port")?;
        let config = tls::client(tls::Trust::Only(certificate), tls::Suites::All)?;
        let name = ServerName::from(address.ip());
        let tcp = TcpStream::connect(address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
        let authorization = match credentials {
            Some(text) => format!("Authorization: Basic {}\r\n", STANDARD.encode(text.trim_ascii())),
            None => String::new(),
        };
        Ok(Self {
            stream: StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, tcp),
            path: format!("/{path}"),
            headers: format!("Host: {authority}\r\n{authorization}"),
            answer: Vec::new(),
        })
    }

    /// Posts a body, or gets without one. The answer's body.
    pub(crate) fn request(&mut self, body: Option<&[u8]>) -> Result<&[u8]> {
        let mut message = match body {
            Some(body) => format!(
                "POST {} HTTP/1.1\r\n{}Content-Type: application/soap+xml;charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
                self.path,
                self.headers,
                body.len()
            ),
            None => format!("GET {} HTTP/1.1\r\n{}\r\n", self.path, self.headers),
        }
        .into_bytes();
        message.extend_from_slice(body.unwrap_or_default());
        self.stream.write_all(&message)?;
        self.stream.flush()?;

        self.answer.clear();
        let start = loop {
            self.read_some()?;
            if let Some(end) = self.answer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
        };
        let head = std::str::from_utf8(&self.answer[..start])?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "{}", head.lines().next().unwrap_or_default());
        let length: usize = head
            .lines()
            .find_map(|line| {
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            })
            .and_then(|(_, value)| value.trim().parse().ok())
            .context("the answer has no length")?;
        ensure!(length <= MAX_ANSWER, "the answer is too long");
        while self.answer.len() < start + length {
            self.read_some()?;
        }
        Ok(&self.answer[start..start + length])
    }

    fn read_some(&mut self) -> Result<()> {
        let at = self.answer.len();
        self.answer.resize(at + (64 << 10), 0);
        let read = self.stream.read(&mut self.answer[at..])?;
        self.answer.truncate(at + read);
        if read == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }
}
