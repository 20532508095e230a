//! A client that takes each step as soon as it can. Real ones look at their connection ten times a second only.

use super::fixture;
use super::orders::Order;
use crate::tls::{self, Trust};
use anyhow::{Context, Result, ensure};
use openrdms_rdp::{
    ChannelIds,
    connect::{ConnectStep, Connecting},
    frame_len,
    mcs::{ConnectInitial, send_data_request},
    watch,
    x224::{ConnectionConfirm, ConnectionRequest, Protocols},
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// A leg of some kind.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Where a client goes.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Tcp(SocketAddr),
    /// A desktop's own, without a relay.
    Unix(PathBuf),
}

/// How it speaks there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speech {
    Rdp,
    /// For peers: TLS from the first byte, and then orders.
    Tls,
}

/// Clients of one door.
#[derive(Clone)]
pub(crate) struct Clients {
    door: Door,
    speech: Speech,
    tls: TlsConnector,
    initial: ConnectInitial,
}

/// A client that is served.
pub(crate) struct Client {
    pub(crate) stream: Box<dyn Stream>,
    ids: ChannelIds,
    share_id: u32,
}

impl std::str::FromStr for Door {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Door::Unix(text.into()), Door::Tcp))
    }
}

impl Clients {
    pub(crate) fn new(door: Door, speech: Speech) -> Result<Self> {
        let config: ClientConfig = tls::client(Trust::Anybody, tls::Suites::Same)?;
        let initial = ConnectInitial::parse(&fixture::Client::default().connect_initial())?;
        Ok(Self { door, speech, tls: TlsConnector::from(Arc::new(config)), initial })
    }

    /// Comes, says who it is, and waits for the desktop's Demand Active.
    pub(crate) async fn connect(&self, user: &str, password: &str) -> Result<Client> {
        match &self.door {
            Door::Tcp(address) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                self.begin(tcp, user, password).await
            }
            Door::Unix(path) => self.begin(UnixStream::connect(path).await?, user, password).await,
        }
    }

    async fn begin(&self, mut plain: impl Stream + 'static, user: &str, password: &str) -> Result<Client> {
        let mut confirm = None;
        if self.speech == Speech::Rdp {
            plain.write_all(&ConnectionRequest::encode(user, Protocols::SSL)).await?;
            confirm = Some(ConnectionConfirm::parse(&read_frame(&mut plain).await?)?);
        }
        let name = ServerName::try_from("desktops.example.org")?;
        let mut stream = self.tls.connect(name, plain).await?;
        let (mut ids, mut share_id) = (ChannelIds::ours(0), 0);
        if let Some(confirm) = confirm {
            ids = self.handshake(&mut stream, confirm).await?;
            let who = ["", user, password];
            // INFO_AUTOLOGON, INFO_UNICODE and what others say too
            let info = fixture::client_info_of(ids.user, who, 0x013b, &[]);
            stream.write_all(&info).await?;
            stream.flush().await?;
            share_id = loop {
                let frame = read_frame(&mut stream).await.context("no desktop came")?;
                ensure!(!is_ultimatum(&frame), "the client was sent away");
                if let Some(id) = watch::demand_active(&frame, ids.io) {
                    break id;
                }
                if is_license_request(&frame) {
                    stream.write_all(&send_data_request(ids.user, ids.io, &NEW_LICENSE_REQUEST)?).await?;
                    stream.flush().await?;
                }
            };
        }
        Ok(Client { stream: Box::new(stream), ids, share_id })
    }

    async fn handshake(&self, stream: &mut impl Stream, confirm: ConnectionConfirm) -> Result<ChannelIds> {
        let (mut send, mut state) = Connecting::start(&self.initial, confirm)?;
        loop {
            stream.write_all(&send).await?;
            stream.flush().await?;
            match state.step(&read_frame(stream).await?)? {
                ConnectStep::Next { send: more, state: next } => (send, state) = (more, next),
                ConnectStep::Done(ids) => return Ok(ids),
            }
        }
    }
}

impl Client {
    pub(crate) async fn order(&mut self, order: Order) -> Result<()> {
        self.stream.write_all(&order.frame()).await?;
        Ok(self.stream.flush().await?)
    }

    /// Answers Demand Active, so that a real desktop begins to draw (MS-RDPBCGR 1.3.1.1, finalization).
    pub(crate) async fn activate(&mut self) -> Result<()> {
        let mut frames = self.share(0x13, &confirm_active())?;
        #[rustfmt::skip]
        let data: [(u8, &[u8]); 4] = [
            (0x1f, &[1, 0, 0xea, 0x03]),             // synchronize
            (0x14, &[4, 0, 0, 0, 0, 0, 0, 0]),       // control: cooperate
            (0x14, &[1, 0, 0, 0, 0, 0, 0, 0]),       // control: request
            (0x27, &[0, 0, 0, 0, 3, 0, 0x32, 0]),    // font list
        ];
        for (kind, body) in data {
            let length = (body.len() as u16 + 18).to_le_bytes();
            // share data: padding, stream, length, type, no compression
            let head = [0, 1, length[0], length[1], kind, 0, 0, 0];
            frames.extend_from_slice(&self.share(0x17, &[&head, body].concat())?);
        }
        self.stream.write_all(&frames).await?;
        Ok(self.stream.flush().await?)
    }

    /// A share PDU, with its share id before `content`.
    fn share(&self, kind: u8, content: &[u8]) -> Result<Vec<u8>> {
        let length = (content.len() as u16 + 10).to_le_bytes();
        let [u0, u1] = self.ids.user.to_le_bytes();
        let head = [length[0], length[1], kind, 0, u0, u1];
        let pdu = [&head[..], &self.share_id.to_le_bytes(), content].concat();
        Ok(send_data_request(self.ids.user, self.ids.io, &pdu)?)
    }
}

/// What follows the share id (MS-RDPBCGR 2.2.1.13.2.1), with as few capabilities as a screen can be drawn for.
fn confirm_active() -> Vec<u8> {
    let set = |kind: u16, size: u16, head: &[u8]| {
        let mut set = [&kind.to_le_bytes()[..], &size.to_le_bytes(), head].concat();
        set.resize(usize::from(size), 0);
        set
    };
    #[rustfmt::skip]
    let sets = [
        // general: Windows, version 2.0, fast-path output and long credentials
        set(1, 24, &[1, 0, 3, 0, 0, 2, 0, 0, 0, 0, 5, 4]),
        // bitmap: 32 bit, 1280 x 800, may be resized, compressed
        set(2, 28, &[32, 0, 1, 0, 1, 0, 1, 0, 0, 5, 0x20, 3, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0]),
        // order: none of them
        set(3, 88, &[]),
        // pointer: colour, 25 kept
        set(8, 10, &[1, 0, 25, 0, 25, 0]),
        // input: scan codes, fast path
        set(13, 88, &[0x21, 0, 0, 0]),
    ];
    let (count, sets) = (sets.len() as u16, sets.concat());
    let name = b"MSTSC\0";
    let mut bytes = vec![0xea, 0x03];
    bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&(sets.len() as u16 + 4).to_le_bytes());
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&sets);
    bytes
}

/// Asks for a licence (MS-RDPELE 2.2.2.2) with nothing in it that anybody looks at; xrdp wants to be asked.
#[rustfmt::skip]
const NEW_LICENSE_REQUEST: [u8; 60] = {
    let mut request = [0; 60];
    request[0] = 0x80;  // SEC_LICENSE_PKT
    request[4] = 0x13;  // NEW_LICENSE_REQUEST
    request[5] = 0x03;  // version 3
    request[6] = 56;    // bytes, without the security header
    request[8] = 1;     // key exchange by RSA; then a platform, 32 random bytes, and three empty blobs
    request
};

/// The server's half of licensing (MS-RDPELE 2.2.2.1): bMsgType 1 behind SEC_LICENSE_PKT.
fn is_license_request(frame: &[u8]) -> bool {
    let content = match frame {
        [3, _, _, _, _, _, _, 0x68, _, _, _, _, _, long, _, content @ ..] if long & 0x80 != 0 => content,
        [3, _, _, _, _, _, _, 0x68, _, _, _, _, _, _, content @ ..] => content,
        _ => return false,
    };
    matches!(content, [0x80, _, _, _, 0x01, ..])
}

/// MCS Disconnect Provider Ultimatum.
pub(crate) fn is_ultimatum(frame: &[u8]) -> bool {
    matches!(frame, [3, _, _, _, _, _, _, kind, ..] if kind >> 2 == 8)
}

/// Reads a whole frame and not a byte more.
pub(crate) async fn read_frame(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    // the shortest frame is of three bytes
    stream.read_exact(&mut frame[..3]).await?;
    let length = match frame_len(&frame[..3])? {
        Some(length) => length,
        None => {
            stream.read_exact(&mut frame[3..]).await?;
            frame_len(&frame)?.context("four bytes tell the length")?
        }
    };
    let had = if frame[0] == 3 { 4 } else { 3 };
    frame.resize(length.max(had), 0);
    stream.read_exact(&mut frame[had..]).await?;
    Ok(frame)
}
