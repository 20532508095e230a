//! What administrators do to sessions: disconnect, log off, message. `design` rules: 0 means done.

use crate::{Engine, EngineError, now};
use openrdms_broker::ports::{HostError, Told};
use openrdms_broker::session::transition::{Denied, Event};
use openrdms_broker::session::{Cause, EndReason, LostReason, StateName};
use openrdms_broker::{Session, SessionUid, State};
use std::time::Duration;

/// Title and text of a message, in characters.
const MAX_TITLE: usize = 256;
const MAX_TEXT: usize = 4096;

/// Telling a client takes at most 1 s, its end is waited for 2 s: this is both and some air.
const DETACH_LIMIT: Duration = Duration::from_secs(6);

/// Whom and what the caller means; a difference changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// `domain\name` or `name`, compared without case.
    pub user: Option<String>,
    /// A state's name, compared without case.
    pub state: Option<String>,
}

impl Expected {
    pub(crate) fn check(&self, session: &Session) -> Result<(), EngineError> {
        let state = session.state.name().as_str();
        let user_is = |expected: &str| match expected.split_once('\\') {
            Some(_) => expected.to_lowercase() == session.user.key(),
            None => expected.to_lowercase() == session.user.name().to_lowercase(),
        };
        let differs = self.user.as_deref().is_some_and(|user| !user_is(user))
            || self.state.as_deref().is_some_and(|expected| !expected.eq_ignore_ascii_case(state));
        if differs {
            return Err(EngineError::NotAsExpected(format!("{}'s and {state}", session.user)));
        }
        Ok(())
    }
}

impl Engine {
    /// Detaches the session's client and leaves the desktop running. Returns when no client is attached, the
    /// row says Disconnected and is durable, and the desktop was seen running after that. Answers how far
    /// telling the client got; `None` where none was attached.
    ///
    /// # Errors
    /// As the table in `schema/session-states.md` says; `TimedOut` when the client could not be removed in
    /// time; `EndedMeanwhile` when the desktop ended by itself.
    pub async fn disconnect(
        &self,
        uid: SessionUid,
        expected: &Expected,
    ) -> Result<Option<Told>, EngineError> {
        self.check_expected(uid, expected).await?;
        let session = self.drive(uid, &Event::Disconnect(Cause::Administrator)).await?;
        self.detached(&session).await
    }

    /// Waits until a disconnected session has no client, and sees that its desktop runs.
    pub(crate) async fn detached(&self, session: &Session) -> Result<Option<Told>, EngineError> {
        let mut told = None;
        for leaving in self.inner.connections.leaving(session.uid, session.state.connection()) {
            match tokio::time::timeout(DETACH_LIMIT, leaving.client_gone()).await {
                Ok(how) => told = how.or(told),
                Err(_) => return Err(EngineError::TimedOut("removing the client")),
            }
        }
        if self.standing(&session.host).is_some() {
            let host = self.inner.store.host(session.host.as_str()).await?;
            let runs = host.is_some_and(|host| host.is_up(now()));
            return if runs { Ok(told) } else { Err(Denied::HostLost.into()) };
        }
        let pending = self.inner.starts.pending(&session.desktop);
        let desktop = self.desktop_of(session).await?;
        match desktop.handle {
            Some(handle) if self.inner.host.running(&handle).await => Ok(told),
            _ if pending => Ok(told),
            Some(_) | None => Err(EngineError::EndedMeanwhile),
        }
    }

    /// Ends the session's programs: asked first, killed after the grace period. Returns when all have ended
    /// and the row says so.
    ///
    /// # Errors
    /// As the table says; `TimedOut` when the host does not finish in time (it goes on); `Host(NotSupported)` on a
    /// machine.
    pub async fn logoff(&self, uid: SessionUid, expected: &Expected) -> Result<(), EngineError> {
        let session = self.check_expected(uid, expected).await?;
        if self.standing(&session.host).is_some() {
            return Err(HostError::NotSupported("log a user off").into());
        }
        self.drive(uid, &Event::Logoff(Cause::Administrator)).await?;
        self.logged_off(uid).await
    }

    /// Waits until a session that is being logged off has ended.
    pub(crate) async fn logged_off(&self, uid: SessionUid) -> Result<(), EngineError> {
        let ended = self.wait_until(uid, |s| s.state.name() == StateName::Ended);
        match tokio::time::timeout(self.inner.config.method_limit, ended).await {
            Ok(ended) => ended.map(|_| ()),
            Err(_) => Err(EngineError::TimedOut("logging off")),
        }
    }

    /// Shows a message on the desktop's screen. Returns when its window is mapped and drawn.
    ///
    /// # Errors
    /// `Denied` while the session is starting, logging off or lost; `Paused` while its desktop is; `Invalid` over the limits of 256
    /// characters of title and 4,096 of text; what the host says otherwise.
    pub async fn message(
        &self,
        uid: SessionUid,
        title: &str,
        text: &str,
        expected: &Expected,
    ) -> Result<(), EngineError> {
        if title.chars().count() > MAX_TITLE || text.chars().count() > MAX_TEXT {
            return Err(EngineError::Invalid(format!(
                "a message has at most {MAX_TITLE} characters of title and {MAX_TEXT} of text"
            )));
        }
        if text.trim().is_empty() {
            return Err(EngineError::Invalid("a message needs a text".into()));
        }
        let session = self.check_expected(uid, expected).await?;
        match session.state.name() {
            StateName::Active | StateName::Disconnected => {}
            name @ (StateName::Starting | StateName::LoggingOff) => return Err(Denied::State(name).into()),
            StateName::Lost => return Err(Denied::HostLost.into()),
            StateName::Ended => return Err(Denied::Ended.into()),
        }
        if self.standing(&session.host).is_some() {
            return Err(HostError::NotSupported("show a message").into());
        }
        let desktop = self.desktop_of(&session).await?;
        let handle = desktop.handle.ok_or(EngineError::EndedMeanwhile)?;
        if desktop.paused {
            return Err(EngineError::Paused);
        }
        let shown = self.inner.host.message(&session.desktop, &handle, title, text);
        match tokio::time::timeout(self.inner.config.method_limit, shown).await {
            Ok(shown) => Ok(shown?),
            Err(_) => Err(EngineError::TimedOut("showing the message")),
        }
    }

    /// Ends a Lost session that will never return. What may still run of it is ended as soon as its host is
    /// back; where the host is back already and the session was kept, before this returns. On a machine nothing is ended,
    /// and a Disconnected session can be forgotten too, because nobody else can say that it is over.
    ///
    /// # Errors
    /// `Denied` in every other state, also where looking shows that it was not lost after all.
    pub async fn forget(&self, uid: SessionUid, expected: &Expected) -> Result<(), EngineError> {
        let session = self.check_expected(uid, expected).await?;
        if session.host.is(self.inner.host.name()) {
            // it may have been found meanwhile; what is left says so below
            let _ = self.tend().await;
        }
        let on_machine = self.standing(&session.host).is_some();
        if on_machine && session.state.name() == StateName::Disconnected {
            return self.presume(&session, EndReason::Forgotten).await;
        }
        let session = self.drive(uid, &Event::Forget).await?;
        match session.state.name() {
            StateName::Ended => Ok(()),
            StateName::Starting
            | StateName::Active
            | StateName::Disconnected
            | StateName::LoggingOff
            | StateName::Lost => self.logged_off(uid).await,
        }
    }

    async fn check_expected(&self, uid: SessionUid, expected: &Expected) -> Result<Session, EngineError> {
        let session = self.inner.store.session(uid).await?.ok_or(EngineError::NotFound("session"))?;
        expected.check(&session)?;
        let somebody_knows = match session.state {
            State::Starting { .. }
            | State::Active { .. }
            | State::Disconnected { .. }
            | State::LoggingOff { .. }
            | State::Lost { reason: LostReason::Superseded, .. } => true,
            State::Lost { reason: LostReason::HostSilent, .. } | State::Ended { .. } => false,
        };
        if somebody_knows && self.host_of(&session.host).is_none() {
            return Err(EngineError::OtherNode(session.host));
        }
        Ok(session)
    }
}
