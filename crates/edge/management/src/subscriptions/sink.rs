//! The other end of a subscription that pushes: an HTTP server somewhere. It is as untrusted as whoever named it:
//! only listed addresses are connected to, redirections are not followed, and what it answers is read within limits.

use super::push_to::PushTo;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use openrdms_wsman::eventing::Endpoint;
use openrdms_wsman::{Charset, Fault, Subcode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long connecting may take, TLS included, and how long an answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(20);
/// The longest answer, in bytes.
const LONGEST: usize = 64 * 1024;

/// Names that are looked up at once. Each takes a thread that nobody can stop, and passwords are checked by such
/// threads too: names that nobody answers for must not take them all.
static LOOK_UPS: Semaphore = Semaphore::const_new(32);

/// Somewhere to send messages to.
pub(super) struct Sink {
    pub(super) endpoint: Endpoint,
    host: String,
    authority: HeaderValue,
    port: u16,
    path: String,
    tls: Option<Arc<ClientConfig>>,
    policy: Arc<PushTo>,
    open: Option<Connection>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("none of the addresses of {0} is one that events may be sent to")]
    NotAllowed(String),
    #[error("no connection")]
    Connect(#[source] io::Error),
    #[error("the connection broke off")]
    Http(#[from] hyper::Error),
    #[error("the answer is too long")]
    Answer,
    #[error("the answer has the status {0}")]
    Status(u16),
    #[error("it took too long")]
    TimedOut,
}

impl Sink {
    /// Looks whether events may be sent to that address at all. Cancel-safe.
    pub(super) async fn new(endpoint: Endpoint, policy: Arc<PushTo>) -> Result<Self, Fault> {
        let unusable = |reason: String| Fault::new(Subcode::EventDeliverToUnusable, reason);
        let wrong = || unusable("events are sent to addresses such as https://host:port/path".to_owned());
        let uri: Uri = endpoint.address.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(wrong()),
        };
        let authority: &Authority =
            uri.authority().filter(|a| !a.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let mut sink = Self {
            authority: HeaderValue::from_str(authority.as_str()).map_err(|_| wrong())?,
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
            endpoint,
            host,
            port,
            tls: None,
            policy,
            open: None,
        };
        match timeout(CONNECT, sink.addresses()).await {
            Ok(Ok(_)) => {}
            Ok(Err(SendError::NotAllowed(_))) => {
                let why = "an administrator can list it in [management] push_to";
                return Err(unusable(format!("events may not be sent to {}: {why}", sink.host)));
            }
            Ok(Err(_)) | Err(_) => return Err(unusable(format!("{} is not known", sink.host))),
        }
        if secure {
            let failed = |_| Fault::new(Subcode::InternalError, "certificates cannot be checked now");
            sink.tls = Some(spawn_blocking(roots).await.map_err(failed)?);
        }
        Ok(sink)
    }

    /// Sends a message and gives back what was answered. Not cancel-safe: the message may have arrived.
    pub(super) async fn send(&mut self, message: &str, charset: Charset) -> Result<Bytes, SendError> {
        // a connection that was open may be closed by now: that is no failure yet
        if let Some(mut open) = self.open.take()
            && timeout(CONNECT, open.sender.ready()).await.is_ok_and(|ready| ready.is_ok())
        {
            match self.exchange(open, message, charset).await {
                Err(SendError::Http(error)) if error.is_canceled() => {}
                sent => return sent,
            }
        }
        let connection = timeout(CONNECT, self.connect()).await.map_err(|_| SendError::TimedOut)??;
        self.exchange(connection, message, charset).await
    }

    async fn exchange(
        &mut self,
        mut connection: Connection,
        message: &str,
        charset: Charset,
    ) -> Result<Bytes, SendError> {
        let mut request = Request::new(Full::from(charset.encode(message)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.path.parse().unwrap_or_default();
        request.headers_mut().insert(HOST, self.authority.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(charset.content_type()));
        let exchange = async {
            let answer = connection.sender.send_request(request).await?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            let body = body.map_err(|_| SendError::Answer)?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(SendError::Status(status.as_u16())) }
        };
        let body = timeout(ANSWER, exchange).await.map_err(|_| SendError::TimedOut)??;
        self.open = Some(connection);
        Ok(body)
    }

    /// The addresses that events may be sent to. They are looked up for every connection, and it is to these that it
    /// is made: a name that changes its mind in between gains nothing.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, SendError> {
        let found = look_up(self.host.clone(), self.port).await.map_err(SendError::Connect)?;
        let allowed: Vec<_> = found.into_iter().filter(|to| self.policy.allows(&self.host, *to)).collect();
        if allowed.is_empty() { Err(SendError::NotAllowed(self.host.clone())) } else { Ok(allowed) }
    }

    async fn connect(&self) -> Result<Connection, SendError> {
        let stream =
            TcpStream::connect(self.addresses().await?.as_slice()).await.map_err(SendError::Connect)?;
        let _ = stream.set_nodelay(true);
        let Some(config) = &self.tls else { return Connection::over(stream).await };
        let invalid = |_| SendError::Connect(io::Error::from(io::ErrorKind::InvalidInput));
        let name = ServerName::try_from(self.host.clone()).map_err(invalid)?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        Connection::over(stream.map_err(SendError::Connect)?).await
    }
}

impl Connection {
    async fn over<S>(stream: S) -> Result<Self, SendError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection that events are pushed over ended badly");
            }
        });
        Ok(Self { sender, driver: driver.abort_handle() })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The addresses of a name. Whoever gives up waiting leaves the place taken until the thread is done.
async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let place = LOOK_UPS.acquire().await.map_err(io::Error::other)?;
    let looking = tokio::spawn(async move {
        let found = lookup_host((host.as_str(), port)).await.map(Iterator::collect);
        drop(place);
        found
    });
    looking.await.map_err(io::Error::other)?
}

/// Certificates are checked by the system's roots, which are read anew: they may have been brought up to date.
fn roots() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // none at all is no reason to fail here: then no certificate is good
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
