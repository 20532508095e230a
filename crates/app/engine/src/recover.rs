//! The first thing after a start: what became of the sessions while nobody looked.

use crate::{Engine, EngineError};
use openrdms_broker::ports::{LogonEnd, SessionFilter};
use openrdms_broker::session::EndReason;
use openrdms_broker::session::transition::Event;
use openrdms_broker::{Session, State};
use std::time::Duration;

const PAGE: u32 = 500;

impl Engine {
    /// Makes every session of this host true again: running desktops are adopted, the others' sessions end.
    /// Answers how many were adopted and how many had ended.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn recover(&self) -> Result<(usize, usize), EngineError> {
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
                return Ok((adopted, ended));
            }
        }
    }

    async fn recover_one(&self, session: &Session) -> Result<bool, EngineError> {
        if session.boot_id != self.inner.host.boot_id() {
            self.logon_ended(session, EndReason::HostRestarted).await?;
            return Ok(false);
        }
        let handle = self.desktop_of(session).await?.handle;
        let Some(handle) = handle else {
            self.logon_ended(session, EndReason::StartFailed("the service stopped during the start".into()))
                .await?;
            return Ok(false);
        };
        if self.inner.host.running(&handle).await {
            let event = if matches!(session.state, State::Lost { .. }) {
                Event::HostReturned
            } else {
                Event::NodeRestarted
            };
            self.drive(session.uid, &event).await?;
            self.watch_desktop(session.clone(), handle);
            return Ok(true);
        }
        // not running: its end record, if there is one, is read without waiting for anything
        let end =
            tokio::time::timeout(Duration::from_secs(2), self.inner.host.ended(&session.desktop, &handle))
                .await;
        let reason = match end {
            Ok(LogonEnd::LoggedOff) => EndReason::LoggedOff,
            Ok(LogonEnd::Asked) => EndReason::Administrator,
            Ok(LogonEnd::Failed(why)) => EndReason::Failed(why),
            Ok(LogonEnd::Vanished) | Err(_) => {
                EndReason::Failed("ended while the service was stopped".into())
            }
        };
        self.logon_ended(session, reason).await?;
        Ok(false)
    }
}
