//! What became of this host's sessions while nobody looked, or while nobody could be told.

use crate::desktops::end_reason;
use crate::{Engine, EngineError};
use openrdms_broker::ports::{LogonEnd, SessionFilter};
use openrdms_broker::session::EndReason;
use openrdms_broker::session::transition::Event;
use openrdms_broker::{DesktopHandle, Session, State};
use std::time::Duration;

const PAGE: u32 = 500;

impl Engine {
    /// Takes the host's lease and makes every session of the host true again: running desktops are adopted,
    /// the others' sessions end. Answers how many were adopted and how many had ended.
    ///
    /// # Errors
    /// `OtherNode` while another node serves this host; otherwise when the store cannot be read or written.
    pub async fn recover(&self) -> Result<(usize, usize), EngineError> {
        self.renew_lease().await?;
        let filter = SessionFilter { host: Some(self.inner.host.name().clone()), ..SessionFilter::default() };
        let (mut adopted, mut ended, mut after) = (0, 0, None);
        loop {
            let page = self.inner.store.sessions(&filter, after, PAGE).await?;
            for session in page.rows {
                if self.recover_one(&session).await? {
                    adopted += 1;
                } else {
                    ended += 1;
                }
            }
            after = page.next;
            if after.is_none() {
                adopted += self.recover_machines().await?;
                if let Err(error) = self.tend().await {
                    tracing::warn!(%error, "not everything of before was looked after; it is tried again");
                }
                if let Err(error) = self.forget_leftovers().await {
                    tracing::warn!(%error, "files of desktops that are in no collection were not looked for");
                }
                self.warn_of_silent_hosts().await?;
                return Ok((adopted, ended));
            }
        }
    }

    /// Looks whether a session's desktop runs, and makes the session that. `true`: it runs.
    pub(crate) async fn recover_one(&self, session: &Session) -> Result<bool, EngineError> {
        if session.boot_id != self.inner.host.boot_id() {
            self.logon_ended(session, EndReason::HostRestarted).await?;
            return Ok(false);
        }
        // before the row: a watcher clears the handle, then says how the logon ended, and only then stops watching
        let watched = self.inner.starts.watched(&session.desktop);
        let Some(handle) = self.handle_of(session).await? else {
            if watched {
                return Ok(false);
            }
            self.logon_ended(session, EndReason::StartFailed("the service stopped during the start".into()))
                .await?;
            return Ok(false);
        };
        if self.inner.host.running(&handle).await {
            if matches!(session.state, State::Lost { .. }) {
                self.came_back(session).await?;
            } else {
                self.drive(session.uid, &Event::NodeRestarted).await?;
            }
            if !self.inner.starts.watched(&session.desktop) {
                self.freeze_again(session, &handle).await?;
                self.watch_desktop(session.clone(), handle);
            }
            return Ok(true);
        }
        // not running: its end record, if there is one, is read without waiting for anything
        let end =
            tokio::time::timeout(Duration::from_secs(2), self.inner.host.ended(&session.desktop, &handle))
                .await;
        let reason = end_reason(end.unwrap_or(LogonEnd::Vanished), "ended while the service was stopped");
        self.logon_ended(session, reason).await?;
        Ok(false)
    }

    /// Where a session's desktop runs, or ran. If we were killed before that was written down, the host knows.
    async fn handle_of(&self, session: &Session) -> Result<Option<DesktopHandle>, EngineError> {
        if let Some(handle) = self.desktop_of(session).await?.handle {
            return Ok(Some(handle));
        }
        let found = self.inner.host.found(&session.desktop, &session.user).await;
        if let Some(handle) = &found {
            self.inner.store.set_desktop_handle(&session.desktop, Some(handle)).await?;
        }
        Ok(found)
    }
}
