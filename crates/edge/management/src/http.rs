//! One HTTP request: path, authentication, body; then the front that its path names answers.

use crate::Shared;
use crate::basic::{self, AuthFailure};
use crate::dispatch::{Caller, Outcome};
use crate::json::{self, Events};
use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use openrdms_cim::Principal;
use openrdms_wsman::Operation;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How a connection came in, and what that proves.
#[derive(Debug)]
pub(crate) enum Door {
    /// TCP: every request has to prove who it comes from.
    Tcp {
        /// The address, for the audit.
        from: String,
        /// The security profiles of WS-Management.
        profiles: &'static [&'static str],
        /// Told whenever a request has proved who it comes from.
        proved: Notify,
    },
    /// A Unix socket: the kernel told who it is.
    Peer(Principal),
    /// A Unix socket whose peer may not come in.
    Refused,
}

/// What answers, by the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Front {
    /// WS-Management.
    WsMan,
    /// JSON.
    Json,
}

/// The longest Identify that is read for somebody who is nobody, in bytes.
const MAX_IDENTIFY: usize = 8192;

/// A reply: whole, with its length, but for a stream of events.
pub(crate) type Reply = Response<Either<Full<Bytes>, Events>>;

impl Shared {
    /// Answers a request. `answering` is set once it is here whole and has proved who it comes from, and stays so until
    /// the connection's next request.
    pub(crate) async fn serve(
        &self,
        request: http::Request<Incoming>,
        door: &Door,
        answering: &AtomicBool,
    ) -> Reply {
        answering.store(false, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let Some(front) = Front::of(head.uri.path()) else { return status(StatusCode::NOT_FOUND) };
        if front == Front::WsMan && head.method != Method::POST {
            let mut reply = status(StatusCode::METHOD_NOT_ALLOWED);
            reply.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return reply;
        }
        let length = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > self.config.max_request) {
            return front.closing(StatusCode::PAYLOAD_TOO_LARGE);
        }
        // The body of a client that waits to be asked for it is asked for by reading it.
        let waits = match head.headers.get(EXPECT).map(|v| v.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        {
            Some(false) => return front.closing(StatusCode::EXPECTATION_FAILED),
            waits => waits.is_some(),
        };
        let unauthenticated = front == Front::WsMan
            && head
                .headers
                .get("WSMANIDENTIFY")
                .is_some_and(|v| v.as_bytes().trim_ascii().eq_ignore_ascii_case(b"unauthenticated"));
        match self.authenticate(head.headers.get(AUTHORIZATION), door, front).await {
            Ok((who, profiles)) => {
                let body = match self.body(body, self.config.max_request).await {
                    Ok(body) => body,
                    Err(code) => return front.closing(code),
                };
                answering.store(true, Ordering::Relaxed);
                match front {
                    Front::Json => self.json(&head, &body, &who).await,
                    // Nothing was asked but whether the credentials are good.
                    Front::WsMan if body.is_empty() => status(StatusCode::OK),
                    Front::WsMan => self.message(&body, Some((&who, profiles))).await,
                }
            }
            Err(StatusCode::UNAUTHORIZED) if unauthenticated && !head.headers.contains_key(AUTHORIZATION) => {
                match self.body(body, MAX_IDENTIFY).await {
                    Ok(body) => self.message(&body, None).await,
                    Err(code) => front.closing(code),
                }
            }
            Err(code) if waits => closed(front.challenge(code)),
            // The body is read out, so that the client can try again on the same connection.
            Err(code) => match self.drain(body).await {
                Ok(()) => front.challenge(code),
                Err(code) => front.closing(code),
            },
        }
    }

    async fn authenticate(
        &self,
        header: Option<&HeaderValue>,
        door: &Door,
        front: Front,
    ) -> Result<(Principal, &'static [&'static str]), StatusCode> {
        let (from, profiles, proved) = match door {
            Door::Peer(who) => return Ok((front.peer(who), &[])),
            Door::Refused => return Err(StatusCode::FORBIDDEN),
            Door::Tcp { from, profiles, proved } => (front.tcp(from), *profiles, proved),
        };
        let (user, password) =
            header.and_then(|h| basic::parse(h.as_bytes())).ok_or(StatusCode::UNAUTHORIZED)?;
        match timeout(self.config.request_timeout, self.auth.basic(&user, password, &from)).await {
            Ok(Ok(who)) => {
                proved.notify_one();
                Ok((who, profiles))
            }
            Ok(Err(AuthFailure::Denied)) => Err(StatusCode::UNAUTHORIZED),
            Ok(Err(AuthFailure::Unavailable)) | Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }

    /// Reads a message and answers it; for nobody only Identify.
    async fn message(&self, body: &[u8], who: Option<(&Principal, &[&str])>) -> Reply {
        let outcome = match (self.parse(body), who) {
            (Ok(request), Some((who, profiles))) => {
                self.answer(&request, Caller::Principal(who, profiles)).await
            }
            (Ok(request), None) if matches!(request.operation, Operation::Identify) => {
                self.answer(&request, Caller::Nobody).await
            }
            (_, None) => return Front::WsMan.challenge(StatusCode::UNAUTHORIZED),
            (Err(rejected), Some(_)) => self.refuse(&rejected),
        };
        let (code, bytes, content_type) = match outcome {
            Outcome::Nothing => return status(StatusCode::OK),
            Outcome::Message(bytes, content_type) => (StatusCode::OK, bytes, content_type),
            Outcome::Fault(bytes, content_type) => (StatusCode::INTERNAL_SERVER_ERROR, bytes, content_type),
        };
        let mut reply = Response::new(Either::Left(Full::from(bytes)));
        *reply.status_mut() = code;
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        reply
    }

    /// The whole body, which may hold a password.
    async fn body(&self, body: Incoming, longest: usize) -> Result<Zeroizing<Vec<u8>>, StatusCode> {
        let mut all = Zeroizing::new(Vec::new());
        self.frames(body, longest, |bytes| all.extend_from_slice(bytes)).await?;
        Ok(all)
    }

    /// Reads the body out and keeps nothing.
    async fn drain(&self, body: Incoming) -> Result<(), StatusCode> {
        self.frames(body, self.config.max_request, |_| {}).await
    }

    async fn frames(
        &self,
        body: Incoming,
        longest: usize,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), StatusCode> {
        let mut body = Limited::new(body, longest);
        let read = async {
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => frame.data_ref().into_iter().for_each(|bytes| each(bytes)),
                    Err(error) if error.is::<LengthLimitError>() => {
                        return Err(StatusCode::PAYLOAD_TOO_LARGE);
                    }
                    Err(_) => return Err(StatusCode::BAD_REQUEST),
                }
            }
            Ok(())
        };
        timeout(self.config.body_timeout, read).await.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
    }
}

impl Front {
    fn of(path: &str) -> Option<Self> {
        match path {
            "/wsman" | "/wsman/" => Some(Front::WsMan),
            path if json::is_ours(path) => Some(Front::Json),
            _ => None,
        }
    }

    /// The door and the address, for the audit.
    fn tcp(self, address: &str) -> String {
        match self {
            Front::WsMan => format!("wsman {address}"),
            Front::Json => format!("json {address}"),
        }
    }

    /// The peer of the Unix socket, come through this front.
    fn peer(self, who: &Principal) -> Principal {
        match self {
            Front::WsMan => who.clone(),
            Front::Json => Principal { from: format!("json {}", who.from), ..who.clone() },
        }
    }

    /// A refusal that says no more than its status.
    fn refusal(self, code: StatusCode) -> Reply {
        match self {
            Front::WsMan => status(code),
            Front::Json => json::refusal(code),
        }
    }

    /// A refusal on a connection that goes on.
    fn challenge(self, code: StatusCode) -> Reply {
        let mut reply = self.refusal(code);
        if code == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static(match self {
                Front::WsMan => "Basic realm=\"WSMAN\"",
                Front::Json => "Basic realm=\"OpenRDMS\", charset=\"UTF-8\"",
            });
            reply.headers_mut().insert(WWW_AUTHENTICATE, basic);
        }
        if code == StatusCode::SERVICE_UNAVAILABLE {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }

    /// A refusal on a connection whose rest cannot be read any more.
    fn closing(self, code: StatusCode) -> Reply {
        closed(self.refusal(code))
    }
}

fn status(code: StatusCode) -> Reply {
    let mut reply = Response::new(Either::Left(Full::default()));
    *reply.status_mut() = code;
    reply
}

/// The last reply of a connection.
fn closed(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}
