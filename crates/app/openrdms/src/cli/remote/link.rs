//! One HTTP connection after the other to one service, kept while they last.

use super::place::{FirstUse, Scheme};
use super::trust::{Fingerprint, Judge};
use super::{Address, MAX_ENVELOPE, Place, password};
use crate::cli::Failure;
use crate::cli::context::Known;
use crate::cli::output::{clean, confirm, remark};
use base64::Engine as _;
use http::HeaderValue;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a connection and its handshake may take.
const CONNECT: Duration = Duration::from_secs(10);

/// After so long a connection that has proved nobody may be closed any moment.
const PATIENT: Duration = Duration::from_secs(5);

/// The way to a service.
pub(crate) struct Link {
    place: Place,
    to: String,
    /// Connections that wait for their next request.
    idle: Mutex<Vec<Sender>>,
    /// The header that proves who is asking; made once, after the server has proved who it is.
    credentials: OnceCell<HeaderValue>,
    /// The certificate that was accepted on first use.
    trusted: OnceCell<Fingerprint>,
}

type Sender = SendRequest<Full<Bytes>>;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Link {
    pub(super) fn new(place: Place) -> Result<Self, Failure> {
        let to = match &place {
            Place::Socket(_) => "http://localhost/wsman".to_owned(),
            Place::Server { address, username, .. } => {
                if username.contains(':') || username.chars().any(char::is_control) {
                    return Err(Failure::usage(
                        "an account's name has neither colons nor control characters",
                    ));
                }
                format!("{}/wsman", address.url())
            }
        };
        Ok(Self { place, to, idle: Mutex::default(), credentials: OnceCell::new(), trusted: OnceCell::new() })
    }

    /// What goes into the messages as the address of the service.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// Sends a message and reads the answer, a fault too, within `patience`.
    pub(super) async fn post(&self, body: String, patience: Duration) -> Result<Bytes, Failure> {
        let mut request = Some(Bytes::from(body));
        while let Some(body) = request.take() {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let was_kept = kept.is_some();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            let asked = Instant::now();
            let message = self.message(body.clone()).await?;
            // Somebody who types a password may take longer than the service waits for one.
            if asked.elapsed() > PATIENT {
                sender = self.connect().await?;
            }
            let answered = timeout(patience, self.exchange(&mut sender, message))
                .await
                .map_err(|_| Failure { exit: 7, message: "the service did not answer in time".to_owned() })?;
            match answered {
                Ok(answer) => {
                    if !sender.is_closed() {
                        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                    }
                    return answer;
                }
                // The service closed it while nobody looked: this request never left.
                Err(Unsent) if was_kept => request = Some(body),
                Err(Unsent) => break,
            }
        }
        Err(Failure::unreachable("the service closed the connection"))
    }

    async fn message(&self, body: Bytes) -> Result<http::Request<Full<Bytes>>, Failure> {
        let host = match &self.place {
            Place::Socket(_) => "localhost".to_owned(),
            Place::Server { address, .. } => address.host_port(),
        };
        let mut request = http::Request::post("/wsman")
            .header(http::header::HOST, host)
            .header(http::header::CONTENT_TYPE, "application/soap+xml;charset=UTF-8");
        if let Place::Server { username, password_file, .. } = &self.place {
            let header = || async { basic(username, password_file.as_deref()) };
            let value = self.credentials.get_or_try_init(header).await?;
            request = request.header(http::header::AUTHORIZATION, value.clone());
        }
        request.body(Full::new(body)).map_err(|error| Failure::failed(error.to_string()))
    }

    async fn exchange(
        &self,
        sender: &mut Sender,
        message: http::Request<Full<Bytes>>,
    ) -> Result<Result<Bytes, Failure>, Unsent> {
        if sender.ready().await.is_err() {
            return Err(Unsent);
        }
        let length = message.body().size_hint().exact().unwrap_or_default();
        let response = match sender.try_send_request(message).await {
            Ok(response) => response,
            Err(mut refused) => {
                if refused.take_message().is_some() {
                    return Err(Unsent);
                }
                let error = refused.into_error();
                return Ok(Err(Failure::unreachable(format!("the service closed the connection: {error}"))));
            }
        };
        let status = response.status().as_u16();
        let bytes = match Limited::new(response.into_body(), 2 * MAX_ENVELOPE).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Ok(Err(Failure::unreachable(format!("the answer broke off: {error}")))),
        };
        Ok(match (status, &self.place) {
            (200 | 500, _) => Ok(bytes),
            (401 | 403, Place::Socket(_)) => Err(Failure::denied(
                "this account may not use the service's socket: run it as root or as the service's account",
            )),
            (401, Place::Server { username, .. }) => Err(Failure::denied(format!(
                "the service does not know an account {} with this password",
                clean(username)
            ))),
            (403, Place::Server { .. }) => Err(Failure::denied("the service does not let this account in")),
            (503, _) => Err(Failure::unreachable("the service is not available now: try again later")),
            (413, _) => Err(Failure::usage(format!(
                "the request is too long: it has {length} bytes, and the service takes {} at most",
                openrdms_management::Config::default().max_request
            ))),
            (404, Place::Server { .. }) => Err(Failure::failed("there is no WS-Management at this address")),
            (other, _) => Err(Failure::failed(format!("the service answered with HTTP status {other}"))),
        })
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream: Box<dyn Stream> = match &self.place {
            Place::Socket(path) => {
                Box::new(UnixStream::connect(path).await.map_err(|error| socket_unreachable(path, &error))?)
            }
            Place::Server { address, pinned, first_use, .. } => match address.scheme {
                Scheme::Http => Box::new(tcp(address).await?),
                Scheme::Https => self.secure(address, *pinned, *first_use).await?,
            },
        };
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(Heard(stream))).await.map_err(|error| {
                Failure::unreachable(format!("the service closed the connection: {error}"))
            })?;
        // It ends when its sender is dropped.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// A connection to the server that is meant, and to no other.
    async fn secure(
        &self,
        address: &Address,
        pinned: Option<Fingerprint>,
        first_use: FirstUse,
    ) -> Result<Box<dyn Stream>, Failure> {
        let server = address.host_port();
        let known = match self.trusted.get() {
            Some(fingerprint) => Some(*fingerprint),
            None => Known::load()?.certificate(&server),
        };
        let judge = Judge::new(pinned.or(known));
        let error = match handshake(address, &judge).await? {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let Some(seen) = judge.seen() else {
            return Err(Failure::unreachable(format!("{server} does not speak TLS as it should: {error}")));
        };
        if !matches!(rustls_error(&error), Some(rustls::Error::InvalidCertificate(_))) {
            return Err(Failure::unreachable(format!("the handshake with {server} failed: {error}")));
        }
        match (pinned, known, first_use) {
            (Some(pinned), _, _) => Err(Failure::distrust(format!(
                "{server} shows another certificate than the one that was asked for. Nothing was sent to it.\n  \
                 expected {pinned}\n  shown    {seen}"
            ))),
            (None, Some(known), _) => Err(Failure::distrust(format!(
                "THE CERTIFICATE OF {server} HAS CHANGED. Somebody may be listening in. Nothing was sent to it.\n  \
                 known {known}\n  shown {seen}\n\
                 If its certificate was renewed, compare the fingerprint there, then: openrdms context distrust {server}"
            ))),
            (None, None, FirstUse::Refuse) => Err(Failure::distrust(format!(
                "nobody vouches for the certificate of {server} ({error}). Nothing was sent to it.\n  SHA-256 {seen}\n\
                 Compare it there: openssl x509 -noout -fingerprint -sha256 -in DATA_DIR/tls/certificate.pem\n\
                 Then accept it by --certificate-sha256, or once and for all by --trust-on-first-use"
            ))),
            (None, None, FirstUse::Trust) => {
                remark(&format!("nobody vouches for the certificate of {server}:"))?;
                remark(&format!("  SHA-256 {seen}"))?;
                // Without a terminal the option is the answer.
                confirm("Trust it from now on?", !std::io::stdin().is_terminal())
                    .map_err(|_| Failure::distrust("nothing was sent to it, and it is not remembered"))?;
                Known::load()?.remember(&server, seen)?;
                let _ = self.trusted.set(seen);
                let again = handshake(address, &Judge::new(Some(seen))).await?;
                again.map_err(|error| {
                    Failure::unreachable(format!("the handshake with {server} failed: {error}"))
                })
            }
        }
    }
}

/// A request that never left.
struct Unsent;

/// A connection on which the service may say no before it has heard everything, as it does where a request is too long.
/// What cannot be written any more then counts as written, so that hyper goes on to the answer; where there is none, the end
/// of the connection says so.
struct Heard(Box<dyn Stream>);

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf).map(|written| in_vain(written, buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map(|flushed| in_vain(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What a write came to, where the other side may have stopped listening.
fn in_vain<T>(result: std::io::Result<T>, all: T) -> std::io::Result<T> {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match result {
        Err(error) if matches!(error.kind(), BrokenPipe | ConnectionReset) => Ok(all),
        result => result,
    }
}

async fn handshake(
    address: &Address,
    judge: &Arc<Judge>,
) -> Result<Result<Box<dyn Stream>, std::io::Error>, Failure> {
    let config = judge.client_config().map_err(|error| Failure::failed(error.to_string()))?;
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| Failure::usage(format!("'{}' is not the name of a machine", clean(&address.host))))?;
    let stream = tcp(address).await?;
    let connector = tokio_rustls::TlsConnector::from(config);
    match timeout(CONNECT, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(Ok(Box::new(stream))),
        Ok(Err(error)) => Ok(Err(error)),
        Err(_) => Err(Failure::unreachable(format!("{} does not answer", address.host_port()))),
    }
}

async fn tcp(address: &Address) -> Result<TcpStream, Failure> {
    let server = address.host_port();
    let failed = |error: std::io::Error| Failure::unreachable(format!("{server} is not reached ({error})"));
    let found = tokio::net::lookup_host((address.host.as_str(), address.port)).await.map_err(failed)?;
    // `localhost` is only a name: where it leads elsewhere, plain HTTP does not follow.
    let fits = |a: &SocketAddr| address.scheme == Scheme::Https || a.ip().is_loopback();
    let found: Vec<SocketAddr> = found.filter(fits).collect();
    match timeout(CONNECT, TcpStream::connect(found.as_slice())).await {
        Ok(Ok(stream)) => {
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(Failure::unreachable(format!("{server} does not answer"))),
    }
}

/// The header of Basic authentication. The text that it is made of is wiped.
fn basic(username: &str, file: Option<&Path>) -> Result<HeaderValue, Failure> {
    let password = password::read(username, file)?;
    let pair = Zeroizing::new(format!("{username}:{}", &*password));
    let text = Zeroizing::new(format!(
        "Basic {}",
        &*Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
    ));
    let mut value = HeaderValue::from_str(&text).map_err(|error| Failure::failed(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn rustls_error(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn socket_unreachable(socket: &Path, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            "is it running (`openrdms serve`)? `--socket` or OPENRDMS_SOCKET say where, \
             `--server` that it is elsewhere"
        }
        std::io::ErrorKind::PermissionDenied => "run this as root or as the service's account",
        _ => "see the service's log",
    };
    Failure::unreachable(format!("the service is not reached at {} ({error}): {hint}", socket.display()))
}
