//! The desktop leg: finding the desktop's RDP server, making sure that it is the right one, and connecting to it as
//! the client would have.
//!
//! A local desktop's socket lies in a directory that the desktop's user can write. So it is opened without following a
//! link, must be a socket, is connected to through the open descriptor (not by name again), and a process of the right uid
//! must answer. A machine is reached over the network. Either must show the pinned certificate, before it is told
//! anything of the user. After that it is still not trusted.

use crate::{framed::read_frame, pin, socket};
use openrdms_broker::{Endpoint, Password, ports::front::DesktopLogon};
use openrdms_rdp::{
    ChannelIds, RdpError,
    connect::{ConnectStep, Connecting},
    info::ClientInfo,
    mcs::ConnectInitial,
    x224::{ConnectionConfirm, ConnectionRequest},
};
use rustix::fs::{FileType, Mode, OFlags};
use rustls::pki_types::ServerName;
use std::{io, os::fd::AsRawFd, path::Path, sync::Arc, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixStream},
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::either::Either;

/// Sent as the password. A local desktop checks none, and must never see the user's.
const NO_PASSWORD: &str = "none";
/// A desktop starts its RDP server again when that dies, within some tens of milliseconds.
const BACK_WITHIN: Duration = Duration::from_secs(2);
/// A socket that appears in a hostile directory gives no event to wait for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The way to a desktop: a socket of this machine, or the network.
pub(crate) type Plain = Either<UnixStream, TcpStream>;

/// A desktop that has been connected to up to and including Client Info.
pub(crate) struct DesktopLeg {
    /// Large, and handed on.
    pub(crate) stream: Box<TlsStream<Plain>>,
    pub(crate) ids: ChannelIds,
}

/// Why a desktop could not be connected to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DesktopError {
    #[error("the desktop cannot be reached")]
    Unreachable(#[source] io::Error),
    #[error("the desktop's socket is not a socket")]
    NotASocket,
    #[error("a process of uid {found} answers at the desktop's socket")]
    WrongOwner { found: u32 },
    #[error("the desktop closed during the handshake")]
    Closed(#[source] io::Error),
    #[error("the desktop's tls is not acceptable")]
    Tls(#[source] io::Error),
    #[error("the desktop broke the protocol")]
    Protocol(#[from] RdpError),
    #[error("the desktop did not answer in time")]
    TimedOut,
}

/// Which desktop, and as whom.
pub(crate) struct Target<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) certificate_sha256: [u8; 32],
    pub(crate) user: &'a str,
    /// What we call ourselves towards a machine.
    pub(crate) us: &'a str,
    pub(crate) logon: DesktopLogon,
    /// The user's, for a desktop that is to have it.
    pub(crate) password: &'a Password,
}

/// Connects to the desktop, replaying the client's settings. Dropping the future closes what was opened.
pub(crate) async fn open(
    target: Target<'_>,
    client: &ConnectInitial,
    info: &ClientInfo,
) -> Result<DesktopLeg, DesktopError> {
    let mut plain = match target.endpoint {
        Endpoint::Unix { path, uid } => Either::Left(reach(path, *uid).await?),
        Endpoint::Tcp(address) => {
            let tcp = TcpStream::connect((address.host(), address.port())).await;
            let tcp = tcp.map_err(DesktopError::Unreachable)?;
            socket::tune(&tcp).map_err(DesktopError::Unreachable)?;
            Either::Right(tcp)
        }
    };
    // in clear, so a machine hears the user's name behind TLS only
    let cookie = match target.endpoint {
        Endpoint::Unix { .. } => target.user,
        Endpoint::Tcp(_) => target.us,
    };
    plain
        .write_all(&ConnectionRequest::encode(cookie, Connecting::PROTOCOLS))
        .await
        .map_err(DesktopError::Closed)?;
    let confirm = ConnectionConfirm::parse(&read_frame(&mut plain).await.map_err(DesktopError::Closed)?)?;
    if confirm.selected != Connecting::PROTOCOLS {
        return Err(RdpError::Unexpected("a confirm of tls").into());
    }
    let config =
        pin::client_config(target.certificate_sha256).map_err(|e| DesktopError::Tls(io::Error::other(e)))?;
    // the pin decides; the name is never sent nor compared
    let name = ServerName::try_from("desktop").map_err(|e| DesktopError::Tls(io::Error::other(e)))?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = Box::new(connector.connect(name, plain).await.map_err(DesktopError::Tls)?);
    let ids = handshake(&mut stream, client, confirm).await.map_err(|e| match e {
        HandshakeError::Io(e) => DesktopError::Closed(e),
        HandshakeError::Protocol(e) => e.into(),
    })?;
    let password = match target.logon {
        DesktopLogon::Nothing => Some(NO_PASSWORD),
        DesktopLogon::Ask => None,
        DesktopLogon::Password => Some(target.password.expose()),
    };
    let info = info.for_desktop(ids.user, ids.io, target.user, password)?;
    stream.write_all(&info).await.map_err(DesktopError::Closed)?;
    stream.flush().await.map_err(DesktopError::Closed)?;
    Ok(DesktopLeg { stream, ids })
}

enum HandshakeError {
    Io(io::Error),
    Protocol(RdpError),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        HandshakeError::Io(error)
    }
}

impl From<RdpError> for HandshakeError {
    fn from(error: RdpError) -> Self {
        HandshakeError::Protocol(error)
    }
}

async fn handshake(
    stream: &mut TlsStream<Plain>,
    client: &ConnectInitial,
    confirm: ConnectionConfirm,
) -> Result<ChannelIds, HandshakeError> {
    let (mut send, mut state) = Connecting::start(client, confirm)?;
    loop {
        stream.write_all(&send).await?;
        stream.flush().await?;
        match state.step(&read_frame(stream).await?)? {
            ConnectStep::Next { send: more, state: next } => (send, state) = (more, next),
            ConnectStep::Done(ids) => return Ok(ids),
        }
    }
}

/// Connects to the desktop's RDP server, also if that is being started again just now.
async fn reach(path: &Path, uid: u32) -> Result<UnixStream, DesktopError> {
    let until = Instant::now() + BACK_WITHIN;
    loop {
        match dial(path, uid).await {
            Err(DesktopError::Unreachable(_)) if Instant::now() < until => {
                tokio::time::sleep(LOOK_EVERY).await
            }
            reached => return reached,
        }
    }
}

/// Connects to the socket at `path`, and to nothing else that may be put in its place.
async fn dial(path: &Path, uid: u32) -> Result<UnixStream, DesktopError> {
    let unreachable = |e: rustix::io::Errno| DesktopError::Unreachable(e.into());
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = rustix::fs::open(path, flags, Mode::empty()).map_err(unreachable)?;
    let stat = rustix::fs::fstat(&socket).map_err(unreachable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(DesktopError::NotASocket);
    }
    // through the descriptor: the name may have come to mean something else, and may be longer than the 108 bytes
    // that a socket address can hold
    let through = format!("/proc/self/fd/{}", socket.as_raw_fd());
    let stream = UnixStream::connect(through).await.map_err(DesktopError::Unreachable)?;
    let found = stream.peer_cred().map_err(DesktopError::Unreachable)?.uid();
    if found == uid { Ok(stream) } else { Err(DesktopError::WrongOwner { found }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixListener;

    fn own_uid() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    #[tokio::test]
    async fn a_socket_of_the_right_owner_is_connected_to_even_under_a_long_name() {
        let dir = tempfile::tempdir().unwrap();
        let short = dir.path().join("s");
        let _listener = UnixListener::bind(&short).unwrap();
        let long = dir.path().join("x".repeat(200));
        std::fs::rename(&short, &long).unwrap();
        assert!(dial(&long, own_uid()).await.is_ok());
    }

    #[tokio::test]
    async fn a_server_that_is_being_started_again_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        drop(UnixListener::bind(&socket).unwrap()); // what a killed server leaves
        assert!(matches!(dial(&socket, own_uid()).await, Err(DesktopError::Unreachable(_))));
        let comes_back = async {
            std::fs::remove_file(&socket).unwrap();
            UnixListener::bind(&socket).unwrap()
        };
        // polled in this order: the first look finds nobody
        let (reached, _listener) = tokio::join!(biased; reach(&socket, own_uid()), comes_back);
        assert!(reached.is_ok());
    }

    #[tokio::test]
    async fn a_link_a_file_and_a_stranger_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, link, file) = (dir.path().join("s"), dir.path().join("l"), dir.path().join("f"));
        let _listener = UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        std::fs::write(&file, "").unwrap();
        assert!(matches!(dial(&link, own_uid()).await, Err(DesktopError::NotASocket)));
        assert!(matches!(dial(&file, own_uid()).await, Err(DesktopError::NotASocket)));
        let fifo = dir.path().join("p");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(matches!(dial(&fifo, own_uid()).await, Err(DesktopError::NotASocket)), "and without hanging");
        let stranger = dial(&socket, own_uid() + 1).await;
        assert!(matches!(stranger, Err(DesktopError::WrongOwner { found }) if found == own_uid()));
        assert!(matches!(dial(&dir.path().join("n"), 0).await, Err(DesktopError::Unreachable(_))));
    }
}
