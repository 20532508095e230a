//! One connection, as the relay reports on it.

use crate::{Engine, now};
use openrdms_broker::ports::front::ConnectionEnd;
use openrdms_broker::ports::{Attached, Attachment, KillSwitch, Refusal};
use openrdms_broker::session::DetachReason;
use openrdms_broker::session::transition::Event;
use openrdms_broker::{ConnectionId, SessionUid, Timestamp};
use std::time::Duration;

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
            (None, ConnectionEnd::DesktopGone | ConnectionEnd::DesktopFailed) => DetachReason::DesktopClosed,
        }
    }

    fn end(&mut self, end: ConnectionEnd) -> Option<(SessionUid, Event)> {
        if std::mem::replace(&mut self.over, true) {
            return None;
        }
        self.engine.inner.connections.leave(self.connection, end);
        tracing::debug!(connection = %self.connection, ?end, "connection ended");
        self.session.map(|session| (session, Event::Closed(self.connection, self.reason(end))))
    }
}

#[async_trait::async_trait]
impl Attachment for Leg {
    async fn activated(&mut self) -> Result<Attached, Refusal> {
        let Some(session) = self.session else { return Err(Refusal::NotFound) };
        match self.engine.drive(session, &Event::Attached(self.connection)).await {
            Ok(_) => Ok(Attached),
            Err(error) => {
                tracing::info!(connection = %self.connection, %error, "connection no longer wanted");
                Err(self.kill.thrown().map_or(Refusal::NoneFree, Refusal::Ordered))
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

    async fn closed(mut self: Box<Self>, end: ConnectionEnd) {
        if let Some((session, event)) = self.end(end) {
            report(&self.engine, session, event).await;
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        if let Some((session, event)) = self.end(ConnectionEnd::ClientGone) {
            let engine = self.engine.clone();
            self.engine.inner.tasks.spawn(async move { report(&engine, session, event).await });
        }
    }
}

async fn report(engine: &Engine, session: SessionUid, event: Event) {
    engine
        .until_stored("the end of a connection", || async { engine.drive(session, &event).await.map(|_| ()) })
        .await;
}
