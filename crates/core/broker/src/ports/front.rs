//! The Front port: what the relay asks of the broker. The broker answers with policy, the relay with events.

use crate::{
    Arrival, ClientFacts, ConnectionId, Cookie, Endpoint, Route, SessionUid, UserName, session::DetachReason,
};
use std::time::Duration;

/// Why a user does not get a desktop. The relay turns each into the protocol's own code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account may not use this collection (ERRINFO 0x09).
    #[error("the account may not log on here")]
    NotAllowed,
    /// There is no such collection, or none was named and there is not exactly one (ERRINFO 0x400).
    #[error("no such collection")]
    NotFound,
    /// Every desktop is taken, or could not be started in time (ERRINFO 0x408).
    #[error("no desktop is free")]
    NoneFree,
    /// The store cannot be used now, so nothing can be decided (ERRINFO 0x07).
    #[error("the service is not available now")]
    Unavailable,
    /// The connection was ordered to end before it was admitted: taken over, or disconnected.
    #[error("the connection was ended: {}", .0.as_str())]
    Ordered(DetachReason),
    /// The client comes back by itself, and was sent away for this reason: only a person may come back.
    #[error("the client came back by itself, and may not: {}", .0.as_str())]
    Automatic(DetachReason),
}

/// A proved user who asks for a desktop.
#[derive(Clone, Debug)]
pub struct AttachRequest {
    /// This connection.
    pub connection: ConnectionId,
    /// The account that was proved.
    pub user: UserName,
    /// Where the client asked to go.
    pub route: Route,
    /// Whether a person has started the client.
    pub arrival: Arrival,
    /// What the client says of itself.
    pub client: ClientFacts,
}

/// How far telling a client got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Told, and the client closed its side.
    Told,
    /// Written to the socket; the client did not close in time.
    Sent,
    /// The client did not take the bytes.
    NotTold,
}

/// Where the relay finds the desktop, and how it reports.
pub struct Admission {
    /// The session.
    pub session: SessionUid,
    /// The desktop's RDP server.
    pub endpoint: Endpoint,
    /// SHA-256 of the DER of the certificate it must show.
    pub certificate_sha256: [u8; 32],
    /// User name to inject into the desktop leg.
    pub desktop_user: String,
    /// What goes with it.
    pub logon: DesktopLogon,
    /// Orders to end the connection come through this.
    pub kill: KillSwitch,
    /// What happens on the connection is reported to this. Dropping it says: the connection is gone.
    pub attachment: Box<dyn Attachment>,
}

/// What a desktop is told beside the user's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DesktopLogon {
    /// To log the user on. A local desktop checks no password, and must never see the user's.
    Nothing,
    /// Nothing, and to ask the user itself.
    Ask,
    /// The password that the user has proved to know.
    Password,
}

/// Receives what happens on one connection. Dropping it means that both legs are closed.
#[async_trait::async_trait]
pub trait Attachment: Send {
    /// The desktop's Demand Active has arrived: the user sees their desktop. An error means that the
    /// broker no longer wants this connection; the relay closes it. `cookie` is fresh, of random bytes, and the one
    /// by which the client may come back by itself from now on.
    async fn activated(&mut self, cookie: &Cookie) -> Result<Attached, Refusal>;

    /// The user gave input within the last `ago`. Called at most once a second.
    fn input(&mut self, ago: Duration);

    /// The client was made to go and its leg is closed; the desktop's is closing still.
    fn dismissed(&mut self, told: Told);

    /// The connection has ended and both legs are closed. Consumes the attachment.
    async fn closed(self: Box<Self>, end: ConnectionEnd);
}

/// Answer to [`Attachment::activated`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// `SessionId` of the session that the cookie is good for.
    pub session_id: u32,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// By order, and how far telling the client got.
    Ordered(Told),
    /// The client closed, reset or fell silent.
    ClientGone,
    /// The desktop's RDP server closed.
    DesktopGone,
    /// The same, and it has said before that the user has logged off, or was logged off. So it says; a desktop is not
    /// to be believed about others.
    LoggedOff,
    /// The desktop could not be reached, or did not show the pinned certificate, or broke the protocol.
    DesktopFailed,
}

/// One order to end a connection, never lost however early it is given: the first one counts.
#[derive(Clone, Debug, Default)]
pub struct KillSwitch {
    inner: std::sync::Arc<KillInner>,
}

#[derive(Debug, Default)]
struct KillInner {
    reason: std::sync::OnceLock<DetachReason>,
    wakers: std::sync::Mutex<Vec<std::task::Waker>>,
}

impl KillSwitch {
    /// A switch that nobody has thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Orders the connection to end. Later orders are ignored.
    pub fn throw(&self, reason: DetachReason) {
        if self.inner.reason.set(reason).is_ok() {
            let wakers = self.inner.wakers.lock().map(|mut w| std::mem::take(&mut *w)).unwrap_or_default();
            wakers.into_iter().for_each(std::task::Waker::wake);
        }
    }

    /// The order, if one was given.
    pub fn thrown(&self) -> Option<DetachReason> {
        self.inner.reason.get().copied()
    }

    /// Waits for the order. Cancel-safe.
    pub async fn wait(&self) -> DetachReason {
        std::future::poll_fn(|cx| {
            if let Some(reason) = self.thrown() {
                return std::task::Poll::Ready(reason);
            }
            if let Ok(mut wakers) = self.inner.wakers.lock() {
                wakers.retain(|w| !w.will_wake(cx.waker()));
                wakers.push(cx.waker().clone());
            }
            // thrown between the look and the registration?
            self.thrown().map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }
}

/// What the relay asks of the broker.
#[async_trait::async_trait]
pub trait Front: Send + Sync + 'static {
    /// Finds the user's session or makes one, starts the desktop, and admits the connection. If another
    /// client is attached it is told and ended first. Answers within 4.5 s, so that the whole bind stays within 8.5 s.
    async fn attach(&self, request: AttachRequest) -> Result<Admission, Refusal>;
}
