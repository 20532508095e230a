//! Starting desktops, once each, and watching them until they end.

use crate::{Engine, EngineError};
use openrdms_broker::ports::{Home, LogonEnd, StartDesktop, StoreError};
use openrdms_broker::session::EndReason;
use openrdms_broker::{CollectionAlias, Desktop, DesktopHandle, DesktopName, Session, SessionUid, State};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

type StartResult = Result<DesktopHandle, Arc<EngineError>>;

/// Starts in flight: whoever wants the same desktop waits for the same start.
#[derive(Default)]
pub(crate) struct Starts {
    running: Mutex<HashMap<DesktopName, watch::Receiver<Option<StartResult>>>>,
    watched: Mutex<HashMap<DesktopName, SessionUid>>,
}

/// Between two attempts to reach the store; states are to be true within seconds after it has returned.
const RETRY_MOST: Duration = Duration::from_secs(1);

/// What the host's word on the end of a logon is to its session; `no_word` says it where the host has none.
pub(crate) fn end_reason(end: LogonEnd, no_word: &str) -> EndReason {
    match end {
        LogonEnd::LoggedOff => EndReason::LoggedOff,
        LogonEnd::Asked => EndReason::Administrator,
        LogonEnd::Failed(why) => EndReason::Failed(why),
        LogonEnd::Vanished => EndReason::Failed(no_word.to_owned()),
    }
}

impl Starts {
    fn with<T>(
        &self,
        f: impl FnOnce(&mut HashMap<DesktopName, watch::Receiver<Option<StartResult>>>) -> T,
    ) -> T {
        f(&mut self.running.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a start of this desktop is in flight.
    pub(crate) fn pending(&self, desktop: &DesktopName) -> bool {
        self.with(|running| running.contains_key(desktop))
    }

    /// Whether somebody waits for the end of this desktop, and will end its session then.
    pub(crate) fn watched(&self, desktop: &DesktopName) -> bool {
        self.with_watched(|watched| watched.contains_key(desktop))
    }

    fn with_watched<T>(&self, f: impl FnOnce(&mut HashMap<DesktopName, SessionUid>) -> T) -> T {
        f(&mut self.watched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when no start of this desktop is in flight.
    pub(crate) async fn settled(&self, desktop: &DesktopName) {
        if let Some(mut start) = self.with(|running| running.get(desktop).cloned()) {
            // an error means that the start's task is gone: settled as well
            let _ = start.wait_for(Option::is_some).await;
        }
    }
}

impl Engine {
    /// The handle of the session's running desktop; starts it if it is not running. The start goes on when
    /// the caller stops waiting.
    pub(crate) async fn running_desktop(
        &self,
        session: &Session,
        uid: u32,
        size: (u16, u16),
    ) -> Result<DesktopHandle, Arc<EngineError>> {
        let mut start = self.inner.starts.with(|running| {
            running
                .entry(session.desktop.clone())
                .or_insert_with(|| {
                    let (done, start) = watch::channel(None);
                    let (engine, session) = (self.clone(), session.clone());
                    self.inner.tasks.spawn(async move {
                        let result = engine.start_and_watch(&session, uid, size).await.map_err(Arc::new);
                        engine.inner.starts.with(|running| running.remove(&session.desktop));
                        done.send_replace(Some(result));
                    });
                    start
                })
                .clone()
        });
        let result = start.wait_for(Option::is_some).await.ok().and_then(|result| (*result).clone());
        result.unwrap_or_else(|| Err(Arc::new(EngineError::TimedOut("the start"))))
    }

    async fn start_and_watch(
        &self,
        session: &Session,
        uid: u32,
        size: (u16, u16),
    ) -> Result<DesktopHandle, EngineError> {
        // This start is in flight already, and a logoff looks for starts after it is in the row: one of the two
        // sees the other.
        match self.inner.store.session(session.uid).await?.map(|s| s.state) {
            Some(State::Starting { .. } | State::Active { .. } | State::Disconnected { .. }) => {}
            Some(State::LoggingOff { .. } | State::Lost { .. } | State::Ended { .. }) | None => {
                return Err(EngineError::EndedMeanwhile);
            }
        }
        let start = StartDesktop {
            desktop: session.desktop.clone(),
            collection: session.collection.clone(),
            user: session.user.clone(),
            uid,
            size,
            home: self.home_in(&session.collection).await?,
        };
        let error = match self.start(session, start).await {
            Ok(handle) => {
                self.watch_desktop(session.clone(), handle.clone());
                return Ok(handle);
            }
            Err(error) => error,
        };
        self.inner.failing.failed(&session.desktop);
        tracing::warn!(desktop = %session.desktop, %error, "a desktop could not be started");
        let reason = EndReason::StartFailed(error.to_string());
        let ended = || self.logon_ended(session, reason.clone());
        self.until_stored("a start that failed", ended).await.ok();
        Err(error)
    }

    async fn start(&self, session: &Session, start: StartDesktop) -> Result<DesktopHandle, EngineError> {
        self.pin_anew(&session.desktop).await?;
        let handle = self.inner.host.start(start).await?;
        self.keep_handle(session, &handle).await?;
        Ok(handle)
    }

    /// Its files may have been lost and its key made anew since the row was written: what it shows is what it has.
    async fn pin_anew(&self, name: &DesktopName) -> Result<(), EngineError> {
        let shows = self.inner.host.prepare(name).await?.certificate_sha256;
        let store = &self.inner.store;
        let pin = || async {
            let desktop = store.desktop(name).await?.ok_or(EngineError::NotFound("desktop"))?;
            if desktop.certificate_sha256 != shows {
                tracing::warn!(desktop = %name, "the desktop has a new certificate: its files had been lost");
                store.pin_desktop(name, shows).await?;
            }
            Ok(())
        };
        self.until_stored("a desktop's certificate", pin).await
    }

    /// What becomes of what a user writes in a collection's desktops.
    async fn home_in(&self, collection: &CollectionAlias) -> Result<Home, EngineError> {
        let collection = self.inner.store.collection(collection.as_str()).await?;
        let collection = collection.ok_or(EngineError::NotFound("collection"))?;
        Ok(if collection.rollback && collection.user_disk.is_none() { Home::Fresh } else { Home::Kept })
    }

    /// Writes down where a desktop runs. While the store is away the start stays in flight, so that nobody takes
    /// the desktop for one that does not run.
    async fn keep_handle(&self, session: &Session, handle: &DesktopHandle) -> Result<(), EngineError> {
        let store = &self.inner.store;
        let keep = || async { Ok(store.set_desktop_handle(&session.desktop, Some(handle)).await?) };
        let kept = self.until_stored("a started desktop", keep).await;
        if kept.is_err() {
            // nobody would find it again
            if let Err(error) = self.inner.host.logoff(&session.desktop, handle, Duration::ZERO).await {
                tracing::error!(desktop = %session.desktop, %error, "a desktop that no row knows runs on");
            }
        }
        kept
    }

    /// Reports the end of a running desktop as the end of its session.
    pub(crate) fn watch_desktop(&self, session: Session, handle: DesktopHandle) {
        let engine = self.clone();
        self.inner.starts.with_watched(|watched| watched.insert(session.desktop.clone(), session.uid));
        self.inner.tasks.spawn(async move {
            let end = engine.inner.host.ended(&session.desktop, &handle).await;
            let reason = end_reason(end, "the desktop is gone and left no word");
            engine
                .until_stored("the end of a desktop", || engine.logon_ended(&session, reason.clone()))
                .await
                .ok();
            engine.inner.starts.with_watched(|watched| {
                // the desktop may be the next session's by now, and watched for it
                if watched.get(&session.desktop) == Some(&session.uid) {
                    watched.remove(&session.desktop);
                }
            });
        });
    }

    /// Repeats something that must reach the store until the store is there again. Answers (and logs) only what
    /// waiting cannot help.
    pub(crate) async fn until_stored<F, T>(
        &self,
        what: &'static str,
        mut attempt: F,
    ) -> Result<(), EngineError>
    where
        F: FnMut() -> T,
        T: Future<Output = Result<(), EngineError>>,
    {
        let mut pause = Duration::from_millis(100);
        let mut told = false;
        loop {
            match attempt().await {
                Ok(()) => {
                    if told {
                        tracing::info!(what, "recorded at last");
                    }
                    return Ok(());
                }
                Err(EngineError::Store(StoreError::Unavailable(cause))) => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(what, cause, "not recorded yet: the store is not available");
                    }
                }
                // the session is no more, or is past caring
                Err(error @ (EngineError::NotFound(_) | EngineError::Denied(_))) => {
                    tracing::debug!(what, %error, "nothing to record");
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(what, %error, "could not be recorded");
                    return Err(error);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }

    /// The desktop of a session, with the pin of its certificate.
    pub(crate) async fn desktop_of(&self, session: &Session) -> Result<Desktop, EngineError> {
        self.inner.store.desktop(&session.desktop).await?.ok_or(EngineError::NotFound("desktop"))
    }
}
