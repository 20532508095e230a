//! How long a client may be silent, and that small frames go out at once.

use socket2::{SockRef, TcpKeepalive};
use std::{io, time::Duration};
use tokio::net::TcpStream;

/// A client whose machine has vanished is noticed within 60 s: while nothing is sent, by probes (after 20 s, then
/// every 10 s); while something is, or the client's window is closed, by the age of the oldest byte. The second limit
/// also ends the first: the kernel lets it decide how long probes may go unanswered.
pub(crate) fn tune(tcp: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(tcp);
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(20))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(Duration::from_secs(45)))?;
    tcp.set_nodelay(true)
}

/// Makes the coming close a reset: what is still unsent is thrown away.
pub(crate) fn abort(tcp: &TcpStream) {
    // when it fails the close is an ordinary one: the connection is gone either way
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}
