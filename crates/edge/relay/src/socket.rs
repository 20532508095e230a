//! How long the other end of a connection may be silent, and that small frames go out at once.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// How long the kernel waits for a sign of life.
const SILENCE: Duration = Duration::from_secs(25);

/// A client, or a desktop's machine, that has vanished is noticed within 60 s. While nothing is sent, by probes that go unanswered
/// for [`SILENCE`]; while something is, or the client's window is closed, by the age of the oldest byte. Nothing
/// sent for nearly that long and then something, a clock's minute for example, begins the wait anew: so the limit is
/// less than half of the 60 s.
pub(crate) fn tune(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5))
        // the other limit decides, where the system has it
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    tcp.set_nodelay(true)
}

/// Makes the coming close a reset: what is still unsent is thrown away.
pub(crate) fn abort(tcp: &TcpStream) {
    // when it fails the close is an ordinary one: the connection is gone either way
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}
