//! The power of desktops: on, off, paused.
//!
//! A desktop's row says that it is paused before it is frozen, and until it runs again. So a service that is killed in
//! between finds a row that says so, and freezes the desktop again: whoever asked for something else was not answered.

use crate::{Engine, EngineError, Expected, now};
use openrdms_broker::ports::store::NewSession;
use openrdms_broker::ports::{HostError, StoreError};
use openrdms_broker::session::transition::Denied;
use openrdms_broker::session::{DetachReason, LostReason, StateName};
use openrdms_broker::{
    Account, ConnectionId, Desktop, DesktopHandle, DesktopName, Intake, KnownHost, OperatorEvent, Session,
    SessionUid, State, Timestamp, machine,
};
use uuid::Uuid;

/// An owner has one desktop in a collection.
const CANDIDATES: u32 = 2;
/// Until a client comes that has a size.
const SIZE: (u16, u16) = (1024, 768);

/// What an administrator may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// It does not run: whoever is logged on is logged off.
    Off,
    /// Its processes are frozen.
    Paused,
}

/// What is known of a desktop's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    /// Nobody serves its host now, so nobody can tell.
    Unknown,
    /// It runs.
    On,
    /// It does not run.
    Off,
    /// Its processes are frozen.
    Paused,
    /// It is being started.
    Starting,
    /// Its programs are being ended.
    Stopping,
}

impl PowerState {
    /// By what the store knows: of the desktop, of the session that lives in it, and of its host.
    pub fn of(
        desktop: &Desktop,
        session: Option<&Session>,
        host: Option<&KnownHost>,
        now: Timestamp,
    ) -> Self {
        match host.filter(|host| host.is_up(now)) {
            None => return Self::Unknown,
            // whoever is logged on there
            Some(host) if host.lease.kind == machine::KIND => return Self::On,
            Some(_) => {}
        }
        let running = match (&desktop.handle, desktop.paused) {
            (Some(_), true) => Self::Paused,
            (Some(_), false) => Self::On,
            (None, _) => Self::Off,
        };
        match session.map(|session| &session.state) {
            Some(State::LoggingOff { .. }) => Self::Stopping,
            Some(State::Starting { .. }) if running == Self::Off => Self::Starting,
            Some(State::Lost { reason: LostReason::HostSilent, .. }) => Self::Unknown,
            Some(
                State::Starting { .. }
                | State::Active { .. }
                | State::Disconnected { .. }
                | State::Lost { reason: LostReason::Superseded, .. }
                | State::Ended { .. },
            )
            | None => running,
        }
    }
}

impl Engine {
    /// Turns a desktop on or off, or freezes it. Returns when it is so and its row says so: a desktop that is off runs
    /// no process any more, in one that is paused none runs, and one that is on accepts connections.
    ///
    /// Off asks the session's programs to end, kills them after the grace period, and changes nothing where none runs.
    /// On lets a frozen desktop run on; one that is off is started for its owner, whose session then is Disconnected.
    /// What is expected is expected of the session in it: where there is none, nothing is done.
    ///
    /// # Errors
    /// `NotFound`; `NotAsExpected`; `OtherNode`; `Host(NotRunning)` and `Denied` where there is no session that could be paused;
    /// `NobodysDesktop` where it is not known for whom to start it; `TimedOut` when that takes too long (it goes on);
    /// what the host says otherwise, and then the desktop is not paused.
    pub async fn set_power(
        &self,
        name: &DesktopName,
        power: Power,
        expected: &Expected,
    ) -> Result<(), EngineError> {
        let desktop = self.inner.store.desktop(name).await?.ok_or(EngineError::NotFound("desktop"))?;
        if self.standing(&desktop.host).is_some() {
            return Err(HostError::NotSupported("be turned on, off or paused").into());
        }
        if !desktop.host.is(self.inner.host.name()) {
            return Err(EngineError::OtherNode(desktop.host));
        }
        let session = self.inner.store.session_in_desktop(&desktop.name).await?;
        match &session {
            Some(session) => expected.check(session)?,
            None if *expected == Expected::default() => {}
            None => return Err(EngineError::NotAsExpected("not there".to_owned())),
        }
        match power {
            Power::On => self.turn_on(desktop, session).await,
            Power::Off => self.turn_off(desktop, session, expected).await,
            Power::Paused => self.pause(desktop, session).await,
        }
    }

    /// What is known of a desktop's power, by its row and that of the session in it, without asking its host. Whoever
    /// lists many desktops reads the hosts once and asks [`PowerState::of`].
    ///
    /// # Errors
    /// The store's.
    pub async fn power(
        &self,
        desktop: &Desktop,
        session: Option<&Session>,
    ) -> Result<PowerState, EngineError> {
        let host = self.inner.store.host(desktop.host.as_str()).await?;
        Ok(PowerState::of(desktop, session, host.as_ref(), now()))
    }

    async fn turn_on(&self, desktop: Desktop, session: Option<Session>) -> Result<(), EngineError> {
        match session.as_ref().map(|session| &session.state) {
            Some(State::LoggingOff { .. }) => return Err(Denied::State(StateName::LoggingOff).into()),
            Some(State::Lost { reason: LostReason::HostSilent, .. }) => return Err(Denied::HostLost.into()),
            Some(_) => {}
            None if desktop.handle.is_none() => return self.start_for_owner(desktop).await,
            None => {}
        }
        let settled = self.inner.starts.settled(&desktop.name);
        if tokio::time::timeout(self.inner.config.method_limit, settled).await.is_err() {
            return Err(EngineError::TimedOut("the start"));
        }
        let handle = self.inner.store.desktop(&desktop.name).await?.and_then(|desktop| desktop.handle);
        let Some(handle) = handle else { return Err(EngineError::EndedMeanwhile) };
        // whatever its row says: it may stand because nobody heard how its last pause went
        match self.resume(&desktop.name, &handle).await {
            Ok(()) | Err(EngineError::Host(HostError::NotSupported(_))) => {}
            Err(error) => return Err(error),
        }
        let running = self.inner.host.running(&handle).await;
        if running { Ok(()) } else { Err(EngineError::EndedMeanwhile) }
    }

    async fn turn_off(
        &self,
        desktop: Desktop,
        session: Option<Session>,
        expected: &Expected,
    ) -> Result<(), EngineError> {
        match (session, &desktop.handle) {
            (Some(session), _) => match self.logoff(session.uid, expected).await {
                Err(EngineError::Denied(Denied::Ended)) => Ok(()),
                off => off,
            },
            (None, Some(handle)) => self.end_orphan(&desktop, handle).await,
            (None, None) => Ok(()),
        }
    }

    async fn pause(&self, desktop: Desktop, session: Option<Session>) -> Result<(), EngineError> {
        let Some(handle) = desktop.handle else { return Err(HostError::NotRunning.into()) };
        match session.as_ref().map(|session| session.state.name()) {
            Some(StateName::Active | StateName::Disconnected) => {}
            Some(name @ (StateName::Starting | StateName::LoggingOff)) => {
                return Err(Denied::State(name).into());
            }
            Some(StateName::Lost) => return Err(Denied::HostLost.into()),
            Some(StateName::Ended) | None => return Err(HostError::NotRunning.into()),
        }
        let turn = self.inner.turns.take(&desktop.name).await;
        let (engine, name) = (self.clone(), desktop.name);
        self.to_the_end(async move {
            let _turn = turn;
            engine.freeze(&name, &handle).await
        })
        .await
    }

    /// Lets a desktop run whose row says that it is paused.
    pub(crate) async fn run_on(&self, name: &DesktopName) -> Result<(), EngineError> {
        let desktop = self.inner.store.desktop(name).await?;
        let Some(handle) = desktop.filter(|desktop| desktop.paused).and_then(|desktop| desktop.handle) else {
            return Ok(());
        };
        self.resume(name, &handle).await
    }

    async fn resume(&self, name: &DesktopName, handle: &DesktopHandle) -> Result<(), EngineError> {
        let (engine, name, handle) = (self.clone(), name.clone(), handle.clone());
        self.to_the_end(async move {
            let _turn = engine.inner.turns.take(&name).await;
            match engine.inner.host.resume(&name, &handle).await {
                // what has ended is found to have ended by whoever looks next
                Ok(()) | Err(HostError::NotRunning) => engine.write_running(&name, &handle).await,
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Freezes a desktop that the row says is paused, because the service may have been killed before it could. The
    /// turn is taken when this returns: whoever comes now and wants the desktop to run waits for that.
    pub(crate) async fn freeze_again(
        &self,
        session: &Session,
        handle: &DesktopHandle,
    ) -> Result<(), EngineError> {
        let ending = matches!(session.state, State::LoggingOff { .. });
        if ending || !self.desktop_of(session).await?.paused {
            return Ok(());
        }
        let turn = self.inner.turns.take(&session.desktop).await;
        let (engine, name, handle) = (self.clone(), session.desktop.clone(), handle.clone());
        self.inner.tasks.spawn(async move {
            let _turn = turn;
            if let Err(error) = engine.freeze(&name, &handle).await {
                tracing::warn!(desktop = %name, %error, "a desktop that was paused runs on");
            }
        });
        Ok(())
    }

    /// For whoever has the turn.
    async fn freeze(&self, name: &DesktopName, handle: &DesktopHandle) -> Result<(), EngineError> {
        match self.inner.store.set_desktop_paused(name, handle, true).await {
            Err(StoreError::Stale | StoreError::NotFound(_)) => return Err(EngineError::EndedMeanwhile),
            written => written?,
        }
        let Err(error) = self.inner.host.pause(name, handle).await else { return Ok(()) };
        // Of one that answered too late nobody knows how far it got.
        if matches!(error, HostError::TimedOut { .. })
            && let Err(error) = self.inner.host.resume(name, handle).await
        {
            tracing::error!(desktop = %name, %error, "a desktop that could not be paused may stand still");
        }
        self.write_running(name, handle).await?;
        Err(error.into())
    }

    async fn write_running(&self, name: &DesktopName, handle: &DesktopHandle) -> Result<(), EngineError> {
        let written = || async {
            match self.inner.store.set_desktop_paused(name, handle, false).await {
                // it has ended
                Err(StoreError::Stale | StoreError::NotFound(_)) => Ok(()),
                written => Ok(written?),
            }
        };
        self.until_stored("that a desktop runs on", written).await
    }

    /// Starts a desktop without a client. Its owner's session is Starting until it is up, and then as if a client had
    /// been there and gone.
    async fn start_for_owner(&self, desktop: Desktop) -> Result<(), EngineError> {
        let store = &self.inner.store;
        let owner = store.assignment(&desktop.name).await?.ok_or(EngineError::NobodysDesktop)?.user;
        let account = store.account(&owner).await?.ok_or(EngineError::NotFound("account of the owner"))?;
        self.check_startable(&desktop, &account).await?;
        let connection = ConnectionId(Uuid::new_v4());
        let new = NewSession {
            uid: SessionUid(Uuid::now_v7()),
            desktop: desktop.name,
            places: None,
            host: desktop.host,
            boot_id: self.inner.host.boot_id().to_owned(),
            collection: desktop.collection,
            user: owner,
            created: now(),
            state: State::Starting { since: now(), attach: connection },
        };
        let engine = self.clone();
        let start = self.to_the_end(async move {
            let session = engine.inner.store.insert_session(new).await?;
            engine.tell(OperatorEvent::started(&session, now()));
            let started = engine.running_desktop(&session, account.uid, SIZE).await;
            engine.report_closed(session.uid, connection, DetachReason::ClientGone).await;
            started.map(|_| ()).map_err(|error| of_start(&error))
        });
        match tokio::time::timeout(self.inner.config.method_limit, start).await {
            Ok(started) => started,
            Err(_) => Err(EngineError::TimedOut("the start")),
        }
    }

    /// The same that a user who connects has to wait for.
    async fn check_startable(&self, desktop: &Desktop, account: &Account) -> Result<(), EngineError> {
        let busy = |why: &str| Err(HostError::Busy(why.to_owned()).into());
        let (store, node) = (&self.inner.store, self.inner.config.node);
        if self.may_still_run(account, &desktop.collection).await? {
            // what counts is what is left; its failures are told where it is repeated
            let _ = self.tend().await;
            if self.may_still_run(account, &desktop.collection).await? {
                return busy("an earlier session of the owner's may still run here");
            }
        }
        if store.node(node).await?.is_some_and(|node| node.intake == Intake::Drained) {
            return busy("the node is drained");
        }
        let (host, owner) = (self.inner.host.name(), Some(&account.user));
        let free = store.free_desktops(&desktop.collection, host, owner, now(), CANDIDATES).await?;
        if !free.iter().any(|free| free.name == desktop.name) {
            return busy("the host is drained, or the desktop is in use");
        }
        Ok(())
    }

    /// Runs on when the caller goes away.
    async fn to_the_end(
        &self,
        work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let done = self.inner.tasks.spawn(work).await;
        done.unwrap_or_else(|error| Err(HostError::Failed(error.to_string()).into()))
    }
}

/// Whoever else waits for the same start has the error too.
fn of_start(error: &EngineError) -> EngineError {
    match error {
        EngineError::EndedMeanwhile => EngineError::EndedMeanwhile,
        EngineError::Host(HostError::Busy(why)) => HostError::Busy(why.clone()).into(),
        EngineError::Host(HostError::TimedOut { what, limit }) => {
            HostError::TimedOut { what, limit: *limit }.into()
        }
        other => HostError::Failed(other.to_string()).into(),
    }
}
