//! Load, apply, save, run the effects.

use crate::{Engine, EngineError, now};
use openrdms_broker::ports::StoreError;
use openrdms_broker::session::EndReason;
use openrdms_broker::session::reconnect::{self, With};
use openrdms_broker::session::transition::{Effect, Event, apply};
use openrdms_broker::{OperatorEvent, Session, SessionUid, State};

/// How often a row may change under us before we give up: each time somebody else has made progress.
const MAX_STALE: usize = 32;

impl Engine {
    /// Moves a session by an event, and starts the effects once the new state is durable.
    pub(crate) async fn drive(&self, uid: SessionUid, event: &Event) -> Result<Session, EngineError> {
        self.drive_with(uid, event, With::Nothing).await
    }

    /// The same, of an event that brings something along.
    pub(crate) async fn drive_with(
        &self,
        uid: SessionUid,
        event: &Event,
        with: With<'_>,
    ) -> Result<Session, EngineError> {
        for _ in 0..MAX_STALE {
            let session = self.inner.store.session(uid).await?.ok_or(EngineError::NotFound("session"))?;
            match self.step(&session, event, with).await {
                Err(EngineError::Store(StoreError::Stale)) => {}
                moved => return moved,
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Moves a session as it was read. `Stale`: it has changed since, and nothing was done.
    pub(crate) async fn step(
        &self,
        session: &Session,
        event: &Event,
        with: With<'_>,
    ) -> Result<Session, EngineError> {
        let (state, effects) = apply(&session.state, event, now())?;
        let reconnect = reconnect::after(session, &state, event, with)?;
        let closed = session.closed_after(&state, now());
        let mut next = Session { state, reconnect, closed, ..session.clone() };
        if let With::Client(client, _) = with {
            next.client = Some(client.clone());
        }
        next.last_input = self.last_input(session.uid).max(next.last_input);
        let same = next.state == session.state && next.reconnect == session.reconnect;
        if same && next.client == session.client {
            self.run(session, &effects);
            return Ok(next);
        }
        let saved = self.inner.store.update_session(&next).await?;
        self.committed(&session.state, &saved, event);
        self.run(&saved, &effects);
        Ok(saved)
    }

    fn committed(&self, before: &State, session: &Session, event: &Event) {
        tracing::debug!(session = %session.uid, id = session.session_id, ?event,
            state = session.state.name().as_str(), "session moved");
        if let Some(event) = OperatorEvent::of_step(before, session, now()) {
            self.tell(event);
        }
        if let State::Ended { .. } = &session.state
            && let Ok(mut inputs) = self.inner.inputs.lock()
        {
            inputs.remove(&session.uid);
        }
        self.inner.commits.send_modify(|n| *n += 1);
    }

    fn run(&self, session: &Session, effects: &[Effect]) {
        let not_started = matches!(session.state, State::Ended { reason: EndReason::StartFailed(_), .. });
        for effect in effects {
            match *effect {
                // who waits for the start learns of it there, and may get another desktop
                Effect::Detach(..) if not_started => {}
                Effect::Detach(connection, reason) => self.inner.connections.order(connection, reason),
                Effect::EndLogon => self.end_logon(session.clone()),
            }
        }
    }

    /// Ends the logon in the background and reports it, when the store is there again if it is not. A failure of
    /// the host is retried by the next `Logoff` or start.
    fn end_logon(&self, session: Session) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            engine.until_stored("a logoff", || engine.end_logon_now(&session)).await.ok();
        });
    }

    async fn end_logon_now(&self, session: &Session) -> Result<(), EngineError> {
        // A start in flight would put up the desktop after we looked: let it finish first.
        self.inner.starts.settled(&session.desktop).await;
        let desktop = self.inner.store.desktop(&session.desktop).await?;
        if let Some(handle) = desktop.and_then(|d| d.handle) {
            self.inner.host.logoff(&session.desktop, &handle, self.inner.config.logoff_grace).await?;
        }
        // nothing on a machine can be ended, only forgotten
        let machine = self.standing(&session.host).is_some();
        let reason = if machine { EndReason::Forgotten } else { EndReason::Administrator };
        self.logon_ended(session, reason).await
    }

    /// Ends a session as it was looked at, without knowing whether its programs have ended; if it has moved since, nothing.
    pub(crate) async fn presume(&self, session: &Session, reason: EndReason) -> Result<(), EngineError> {
        match self.step(session, &Event::LogonEnded(reason), With::Nothing).await {
            Ok(_) => Ok(()),
            Err(EngineError::Store(StoreError::Stale)) => {
                Err(EngineError::NotAsExpected("not as it was looked at any more".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// Records that a logon has ended, and frees its desktop.
    pub(crate) async fn logon_ended(&self, session: &Session, reason: EndReason) -> Result<(), EngineError> {
        // First the desktop's row: once the session has ended, the desktop may be taken by the next one. Several
        // may say at once that a logon has ended, and the last must not wipe the next session's handle: so the
        // handle is read before the session, and cleared only if it is still that one.
        let handle = self.inner.store.desktop(&session.desktop).await?.and_then(|desktop| desktop.handle);
        let current = self.inner.store.session(session.uid).await?;
        let ended = current.is_none_or(|s| matches!(s.state, State::Ended { .. }));
        if let Some(handle) = handle.filter(|_| !ended) {
            self.inner.store.clear_desktop_handle(&session.desktop, &handle).await?;
        }
        self.drive(session.uid, &Event::LogonEnded(reason)).await?;
        Ok(())
    }

    /// Waits until a session satisfies `done`, by re-reading it after every commit. Cancel-safe.
    pub(crate) async fn wait_until(
        &self,
        uid: SessionUid,
        done: impl Fn(&Session) -> bool,
    ) -> Result<Session, EngineError> {
        let mut commits = self.inner.commits.subscribe();
        loop {
            commits.mark_unchanged();
            let session = self.inner.store.session(uid).await?.ok_or(EngineError::NotFound("session"))?;
            if done(&session) {
                return Ok(session);
            }
            if commits.changed().await.is_err() {
                return Err(EngineError::TimedOut("the session"));
            }
        }
    }
}
