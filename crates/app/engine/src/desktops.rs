//! Starting desktops, once each, and watching them until they end.

use crate::{Engine, EngineError};
use openrdms_broker::ports::{LogonEnd, StartDesktop};
use openrdms_broker::session::EndReason;
use openrdms_broker::{Desktop, DesktopHandle, DesktopName, Session};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

type StartResult = Result<DesktopHandle, Arc<EngineError>>;

/// Starts in flight: whoever wants the same desktop waits for the same start.
#[derive(Default)]
pub(crate) struct Starts {
    running: Mutex<HashMap<DesktopName, watch::Receiver<Option<StartResult>>>>,
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
        let started = self
            .inner
            .host
            .start(StartDesktop {
                desktop: session.desktop.clone(),
                collection: session.collection.clone(),
                user: session.user.clone(),
                uid,
                size,
            })
            .await;
        let saved = match started {
            Ok(handle) => self
                .inner
                .store
                .set_desktop_handle(&session.desktop, Some(&handle))
                .await
                .map(|()| handle)
                .map_err(EngineError::from),
            Err(error) => Err(error.into()),
        };
        match saved {
            Ok(handle) => {
                self.watch_desktop(session.clone(), handle.clone());
                Ok(handle)
            }
            Err(error) => {
                tracing::warn!(desktop = %session.desktop, %error, "a desktop could not be started");
                self.logon_ended(session, EndReason::StartFailed(error.to_string())).await?;
                Err(error)
            }
        }
    }

    /// Reports the end of a running desktop as the end of its session.
    pub(crate) fn watch_desktop(&self, session: Session, handle: DesktopHandle) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            let end = engine.inner.host.ended(&session.desktop, &handle).await;
            let reason = match end {
                LogonEnd::LoggedOff => EndReason::LoggedOff,
                LogonEnd::Asked => EndReason::Administrator,
                LogonEnd::Failed(why) => EndReason::Failed(why),
                LogonEnd::Vanished => EndReason::Failed("the desktop is gone and left no word".into()),
            };
            engine
                .until_stored("the end of a desktop", || engine.logon_ended(&session, reason.clone()))
                .await;
        });
    }

    /// Repeats something that must reach the store until the store is there again.
    pub(crate) async fn until_stored<F, T>(&self, what: &'static str, mut attempt: F)
    where
        F: FnMut() -> T,
        T: Future<Output = Result<(), EngineError>>,
    {
        use openrdms_broker::ports::StoreError;
        let mut pause = std::time::Duration::from_millis(100);
        while let Err(error) = attempt().await {
            if !matches!(error, EngineError::Store(StoreError::Unavailable(_))) {
                tracing::error!(what, %error, "could not be recorded");
                return;
            }
            tracing::warn!(what, %error, "not recorded yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(std::time::Duration::from_secs(5));
        }
    }

    /// The desktop of a session, with the pin of its certificate.
    pub(crate) async fn desktop_of(&self, session: &Session) -> Result<Desktop, EngineError> {
        self.inner.store.desktop(&session.desktop).await?.ok_or(EngineError::NotFound("desktop"))
    }
}
