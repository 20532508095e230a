//! The listeners: accept, secure, serve, and stop without cutting anybody short.

use crate::http::Door;
use crate::shares::{Share, Shares, network};
use crate::{AuthFailure, Server, Shared, Tls};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use openrdms_cim::Principal;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::UCred;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Whom the peer of a Unix socket stands for, by its credentials; or that it may not come in.
pub type PeerPolicy = Arc<dyn Fn(&UCred) -> Result<Principal, AuthFailure> + Send + Sync>;

/// Why a listener is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Without TLS, passwords would cross a network.
    #[error("{0} is not a loopback address: plain http would show passwords")]
    NotLoopback(SocketAddr),
    /// The listener cannot say where it listens.
    #[error("the listener has no address")]
    Address(#[source] io::Error),
}

const HTTPS_PROFILES: [&str; 1] = ["http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/basic"];
const HTTP_PROFILES: [&str; 1] = ["http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/http/basic"];

/// How long to wait when the system has no more file descriptors for us.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    /// Serves a TCP listener until `shutdown`, then lets requests end that are being answered. Without TLS it has to listen
    /// on a loopback address. Not cancel-safe: dropping it leaves connections to themselves until `shutdown`.
    ///
    /// # Errors
    /// [`ServeError`], at once; a connection that fails is no error of the listener's.
    pub async fn serve_tcp(
        &self,
        listener: TcpListener,
        tls: Option<Tls>,
        shutdown: CancellationToken,
    ) -> Result<(), ServeError> {
        let address = listener.local_addr().map_err(ServeError::Address)?;
        if tls.is_none() && !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback(address));
        }
        let connections = Connections::new(self, shutdown);
        let shares = Shares::new(self.shared.config.max_unproved_each);
        while let Some((permit, (stream, peer))) = connections.accept(|| listener.accept()).await {
            let Some(share) = shares.take(network(peer.ip())) else {
                tracing::warn!(%peer, "a connection is shed: too many of its address have not authenticated");
                continue;
            };
            let unproved =
                Unproved { until: Instant::now() + self.shared.config.unproved_limit, share: Some(share) };
            if let Err(error) = prepare(&stream, self.shared.config.send_timeout) {
                tracing::debug!(%error, "connection lost before it began");
                continue;
            }
            let profiles: &[&str] = if tls.is_some() { &HTTPS_PROFILES } else { &HTTP_PROFILES };
            let door =
                Door::Tcp { from: peer.ip().to_canonical().to_string(), profiles, proved: Notify::new() };
            let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.current()));
            let (shared, stop) = (Arc::clone(&self.shared), connections.shutdown.clone());
            connections.tasks.spawn(async move {
                let _permit = permit;
                let Some(acceptor) = acceptor else {
                    return connection(shared, stream, door, unproved, stop).await;
                };
                let by = unproved.until.min(Instant::now() + shared.config.handshake_timeout);
                let accepted = tokio::select! {
                    accepted = timeout_at(by, acceptor.accept(stream)) => accepted,
                    () = stop.cancelled() => return,
                };
                match accepted {
                    Ok(Ok(stream)) => connection(shared, stream, door, unproved, stop).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "no tls handshake"),
                    Err(_) => tracing::debug!(%peer, "tls handshake took too long"),
                }
            });
        }
        connections.drain().await;
        Ok(())
    }

    /// Serves a Unix socket until `shutdown`, then lets requests end that are being answered. `policy` tells who each peer is.
    /// Not cancel-safe, like [`Server::serve_tcp`].
    pub async fn serve_unix(&self, listener: UnixListener, policy: PeerPolicy, shutdown: CancellationToken) {
        let connections = Connections::new(self, shutdown);
        while let Some((permit, (stream, _))) = connections.accept(|| listener.accept()).await {
            let door = match stream.peer_cred() {
                Ok(peer) => policy(&peer).map_or(Door::Refused, Door::Peer),
                Err(error) => {
                    tracing::debug!(%error, "connection lost before it began");
                    continue;
                }
            };
            let unproved =
                Unproved { until: Instant::now() + self.shared.config.unproved_limit, share: None };
            let (shared, stop) = (Arc::clone(&self.shared), connections.shutdown.clone());
            connections.tasks.spawn(async move {
                let _permit = permit;
                connection(shared, stream, door, unproved, stop).await;
            });
        }
        connections.drain().await;
    }

    /// Serves one connection that is not of this machine's network, such as a pipe within the process, to its end or
    /// until `shutdown`. Every request has to prove who it comes from; `from` tells the audit where that is. Dropping
    /// it drops the connection.
    pub async fn serve_stream<S>(&self, stream: S, from: &str, shutdown: CancellationToken)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let door = Door::Tcp { from: from.to_owned(), profiles: &HTTP_PROFILES, proved: Notify::new() };
        let unproved = Unproved { until: Instant::now() + self.shared.config.unproved_limit, share: None };
        connection(Arc::clone(&self.shared), stream, door, unproved, shutdown).await;
    }
}

/// The connections of one listener.
struct Connections {
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// A connection nobody has authenticated on yet.
struct Unproved {
    /// When it is closed.
    until: Instant,
    /// Its place among those of its address.
    share: Option<Share<IpAddr>>,
}

impl Unproved {
    /// Ends when it is too late to authenticate; never once somebody has.
    async fn too_late(self, door: &Door) -> Self {
        match door {
            Door::Peer(_) => std::future::pending().await,
            Door::Refused => sleep_until(self.until).await,
            Door::Tcp { proved, .. } => {
                if timeout_at(self.until, proved.notified()).await.is_ok() {
                    drop(self.share);
                    return std::future::pending().await;
                }
            }
        }
        self
    }
}

impl Connections {
    fn new(server: &Server, shutdown: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(server.shared.config.max_connections));
        Self { room, tasks: TaskTracker::new(), shutdown }
    }

    /// The next connection, once there is room for it; `None` at the shutdown.
    async fn accept<T, F: Future<Output = io::Result<T>>>(
        &self,
        mut next: impl FnMut() -> F,
    ) -> Option<(OwnedSemaphorePermit, T)> {
        let accept = async {
            let permit = Arc::clone(&self.room).acquire_owned().await.ok()?;
            loop {
                match next().await {
                    Ok(connection) => return Some((permit, connection)),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => None,
            accepted = accept => accepted,
        }
    }

    async fn drain(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Small replies do not wait for acknowledgements, and a client that takes nothing does not keep its place.
fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let millis = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    Ok(rustix::net::sockopt::set_tcp_user_timeout(stream, millis)?)
}

/// Serves one connection to its end. At the shutdown only to the end of a request that is being answered; when nobody has
/// authenticated in time, to the end of the one that is running.
async fn connection<S>(
    shared: Arc<Shared>,
    stream: S,
    door: Door,
    unproved: Unproved,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let grace = shared.config.grace;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(shared.config.header_timeout)
        .max_buf_size(64 * 1024);
    let answering = AtomicBool::new(false);
    let service = service_fn(|request| {
        let (shared, door, answering) = (&shared, &door, &answering);
        async move { Ok::<_, Infallible>(shared.serve(request, door, answering).await) }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = serving.as_mut() => Ok(ended),
        () = shutdown.cancelled() => {
            // what waits for events would wait for long
            shared.close();
            serving.as_mut().graceful_shutdown();
            // nobody makes a stop last by a request that never becomes whole
            let at_once = timeout(Duration::ZERO, serving.as_mut()).await;
            // what became whole at the last moment is answered too
            if at_once.is_ok() || !answering.load(Ordering::Relaxed) {
                at_once
            } else {
                timeout(grace, serving).await
            }
        }
        // It keeps its place among those of its address until it is gone.
        _unproved = unproved.too_late(&door) => {
            tracing::debug!("nobody has authenticated on a connection in time");
            serving.as_mut().graceful_shutdown();
            timeout(grace, serving).await
        }
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "connection ended badly"),
        Err(_) if answering.load(Ordering::Relaxed) => {
            tracing::info!("a request did not end before its connection had to");
        }
        Err(_) => tracing::debug!("a connection ended before anything was asked on it"),
    }
}
