//! One connection, as the relay reports on it.

use crate::{Engine, EngineError, now};
use openrdms_broker::ports::front::{ConnectionEnd, Told};
use openrdms_broker::ports::{Attached, Attachment, KillSwitch, Refusal, StoreError};
use openrdms_broker::session::reconnect::With;
use openrdms_broker::session::transition::Event;
use openrdms_broker::session::{DetachReason, EndReason};
use openrdms_broker::{ConnectionId, Cookie, SessionUid, State, Timestamp};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the relay waits for the report; it goes on by itself.
const REPORT_LIMIT: Duration = Duration::from_secs(5);

/// Between the admission and the end of both legs. Dropping it says that both are closed.
pub(crate) struct Leg {
    engine: Engine,
    connection: ConnectionId,
    session: Option<SessionUid>,
    kill: KillSwitch,
    over: bool,
}

impl Leg {
    /// Registers the connection, so that from now on it can be told to go.
    pub(crate) fn enter(engine: &Engine, connection: ConnectionId) -> Self {
        let kill = KillSwitch::new();
        engine.inner.connections.enter(connection, kill.clone());
        Self { engine: engine.clone(), connection, session: None, kill, over: false }
    }

    pub(crate) fn kill(&self) -> KillSwitch {
        self.kill.clone()
    }

    /// Says which session the connection is for.
    pub(crate) fn bind(&mut self, session: SessionUid) {
        self.session = Some(session);
        self.engine.inner.connections.bind(self.connection, session);
    }

    fn reason(&self, end: ConnectionEnd) -> DetachReason {
        match (self.kill.thrown(), end) {
            (Some(reason), _) => reason,
            (None, ConnectionEnd::Ordered(_)) => DetachReason::Service,
            (None, ConnectionEnd::ClientGone) => DetachReason::ClientGone,
            (None, ConnectionEnd::DesktopGone | ConnectionEnd::DesktopFailed | ConnectionEnd::LoggedOff) => {
                DetachReason::DesktopClosed
            }
        }
    }

    /// Says that both legs are closed, once, in a task of its own.
    fn report(&mut self, end: ConnectionEnd) -> Option<JoinHandle<()>> {
        if std::mem::replace(&mut self.over, true) {
            return None;
        }
        self.engine.inner.connections.leave(self.connection, end);
        tracing::debug!(connection = %self.connection, ?end, "connection ended");
        let (session, connection, reason) = (self.session?, self.connection, self.reason(end));
        let engine = self.engine.clone();
        let report = async move { engine.report_end(session, connection, reason, end).await };
        Some(self.engine.inner.tasks.spawn(report))
    }
}

/// What the end of a session's own connection to a machine means. The machine's word that its user has logged off is taken:
/// it is about its own. Who never saw it has no logon there that anybody knows of.
fn end_on_machine(
    state: &State,
    connection: ConnectionId,
    reason: DetachReason,
    end: ConnectionEnd,
) -> Event {
    let never_seen = matches!(state, State::Starting { .. });
    match end {
        ConnectionEnd::LoggedOff => Event::LogonEnded(EndReason::LoggedOff),
        ConnectionEnd::DesktopGone | ConnectionEnd::DesktopFailed if never_seen => {
            Event::LogonEnded(EndReason::StartFailed("the machine did not let the client in".to_owned()))
        }
        ConnectionEnd::ClientGone | ConnectionEnd::Ordered(_) if never_seen => {
            Event::LogonEnded(EndReason::StartFailed("the client left before it saw the machine".to_owned()))
        }
        ConnectionEnd::DesktopGone
        | ConnectionEnd::DesktopFailed
        | ConnectionEnd::ClientGone
        | ConnectionEnd::Ordered(_) => Event::Closed(connection, reason),
    }
}

#[async_trait::async_trait]
impl Attachment for Leg {
    async fn activated(&mut self, cookie: &Cookie) -> Result<Attached, Refusal> {
        let Some(session) = self.session else { return Err(Refusal::NotFound) };
        let event = Event::Attached(self.connection);
        match self.engine.drive_with(session, &event, With::Cookie(cookie)).await {
            Ok(session) => {
                self.engine.inner.connections.activated(self.connection);
                self.engine.inner.failing.works(&session.desktop);
                Ok(Attached { session_id: session.session_id })
            }
            Err(error) => {
                tracing::info!(connection = %self.connection, %error, "connection no longer wanted");
                Err(match (self.kill.thrown(), error) {
                    (Some(reason), _) => Refusal::Ordered(reason),
                    (None, EngineError::Store(StoreError::Unavailable(_))) => Refusal::Unavailable,
                    (None, _) => Refusal::NoneFree,
                })
            }
        }
    }

    fn input(&mut self, ago: Duration) {
        let Some(session) = self.session else { return };
        let ago = i64::try_from(ago.as_millis()).unwrap_or(0);
        if let Ok(mut inputs) = self.engine.inner.inputs.lock() {
            inputs.insert(session, Timestamp(now().0 - ago));
        }
    }

    fn dismissed(&mut self, told: Told) {
        self.engine.inner.connections.dismissed(self.connection, told);
    }

    async fn closed(mut self: Box<Self>, end: ConnectionEnd) {
        if let Some(report) = self.report(end) {
            // a store that is away must not hold up the relay, and with it the service's stop
            let _ = tokio::time::timeout(REPORT_LIMIT, report).await;
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        let _goes_on_by_itself = self.report(ConnectionEnd::ClientGone);
    }
}

impl Engine {
    /// The same of a connection to a desktop: on a machine its end may be all that is ever heard of the logon's.
    pub(crate) async fn report_end(
        &self,
        session: SessionUid,
        connection: ConnectionId,
        reason: DetachReason,
        end: ConnectionEnd,
    ) {
        let closed = || async {
            loop {
                let found =
                    self.inner.store.session(session).await?.ok_or(EngineError::NotFound("session"))?;
                let event = match self.standing(&found.host) {
                    Some(_) if found.state.connection() == Some(connection) => {
                        end_on_machine(&found.state, connection, reason, end)
                    }
                    Some(_) | None => Event::Closed(connection, reason),
                };
                let is_broken = matches!(end, ConnectionEnd::DesktopGone | ConnectionEnd::DesktopFailed);
                if is_broken && matches!(event, Event::LogonEnded(EndReason::StartFailed(_))) {
                    self.inner.failing.failed(&found.desktop);
                }
                match self.step(&found, &event, With::Nothing).await {
                    Err(EngineError::Store(StoreError::Stale)) => {}
                    moved => return moved.map(|_| ()),
                }
            }
        };
        self.until_stored("the end of a connection", closed).await.ok();
    }

    /// Records that a connection has ended, when the store is there again if it is not.
    pub(crate) async fn report_closed(
        &self,
        session: SessionUid,
        connection: ConnectionId,
        reason: DetachReason,
    ) {
        let event = Event::Closed(connection, reason);
        let closed = || async { self.drive(session, &event).await.map(|_| ()) };
        self.until_stored("the end of a connection", closed).await.ok();
    }
}
