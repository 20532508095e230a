//! Updates of collections: whoever has been logged on since before one is told, and logged off at its deadline.
//!
//! Each node looks after the sessions of its own host. That the users of a host are told is written down before it is
//! done, so a restart does not move the deadline; whom this process has told it remembers itself, and tells the others
//! again after a restart.

use super::{FAILED, JobId, LOOK_AT_LEAST, LOOK_AT_MOST, MAX_STALE};
use crate::{Engine, EngineError, Expected, now};
use openrdms_broker::document::Stored;
use openrdms_broker::job::patch::{Patch, PatchDue, PatchOrder, PatchState};
use openrdms_broker::ports::{Existing, SessionFilter, StoreError};
use openrdms_broker::session::reconnect::With;
use openrdms_broker::session::transition::Event;
use openrdms_broker::session::{Cause, StateName};
use openrdms_broker::{AuditRecord, Outcome, Session, SessionUid, Timestamp};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use uuid::Uuid;

const PAGE: u32 = 500;
/// A logoff that does not end is begun again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How many warnings are being shown at once, and how long one may take.
const WARNINGS: usize = 16;
const WARN_WITHIN: Duration = Duration::from_secs(5);

/// Whom this process has told, and logged off when.
pub struct Told {
    warned: HashMap<SessionUid, JobId>,
    logged_off: HashMap<SessionUid, Timestamp>,
    places: Arc<Semaphore>,
}

impl Default for Told {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(WARNINGS));
        Self { warned: HashMap::new(), logged_off: HashMap::new(), places }
    }
}

impl Engine {
    /// Schedules an update of a collection. A collection has one at a time.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the deadline is before the start or has passed; `Store(Conflict)` while an update is
    /// scheduled or going on.
    pub async fn schedule_patch(
        &self,
        alias: &str,
        (start, deadline): (Timestamp, Timestamp),
        order: PatchOrder,
        by: &str,
    ) -> Result<JobId, EngineError> {
        let (store, now) = (&self.inner.store, now());
        let collection = store.collection(alias).await?.ok_or(EngineError::NotFound("collection"))?;
        if deadline < start || deadline <= now {
            let rule = "users are logged off after the update has begun, and after now";
            return Err(EngineError::Invalid(rule.to_owned()));
        }
        let patch = Patch {
            id: JobId(Uuid::new_v4()),
            collection: collection.alias,
            by: by.to_owned(),
            created: now,
            start,
            deadline,
            warning: order.warning,
            warned: BTreeMap::new(),
            state: PatchState::Open,
        };
        match self.stored_patch(alias).await? {
            Some(before) if before.document.is_open() => {
                return Err(StoreError::Conflict(Existing::Document).into());
            }
            Some(before) => store.update_document(&patch, before.generation).await?,
            None => store.insert_document(&patch).await?,
        }
        self.inner.jobs.tell();
        Ok(patch.id)
    }

    /// The update of a collection that is scheduled, or was last.
    ///
    /// # Errors
    /// `NotFound` where there never was one; or the store's.
    pub async fn patch(&self, alias: &str) -> Result<Patch, EngineError> {
        Ok(self.stored_patch(alias).await?.ok_or(EngineError::NotFound("update"))?.document)
    }

    /// Calls the update of a collection off. Who was logged off stays so.
    ///
    /// # Errors
    /// `NotFound` where none is scheduled or going on; or the store's.
    pub async fn cancel_patch(&self, alias: &str) -> Result<(), EngineError> {
        for _ in 0..MAX_STALE {
            let found = self.stored_patch(alias).await?.filter(|found| found.document.is_open());
            let found = found.ok_or(EngineError::NotFound("update"))?;
            let patch = Patch { state: PatchState::Cancelled { at: now() }, ..found.document };
            match self.inner.store.update_document(&patch, found.generation).await {
                Ok(()) => {
                    self.inner.jobs.tell();
                    return Ok(());
                }
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    pub(super) async fn keep_updating(&self, told: &mut Told) {
        let (mut commits, mut changes) =
            (self.inner.commits.subscribe(), self.inner.jobs.changed.subscribe());
        let mut failing = false;
        loop {
            commits.mark_unchanged();
            changes.mark_unchanged();
            let next = match self.look_at_patches(told, now()).await {
                Ok(next) => {
                    failing = false;
                    next
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "updates cannot be looked at; it is tried again");
                    }
                    Some(now())
                }
            };
            let rest = next.map_or(LOOK_AT_LEAST, |next| next.since(now()).min(LOOK_AT_LEAST));
            let moved = async {
                sleep(LOOK_AT_MOST).await;
                tokio::select! {
                    // errors say that the engine is gone, and so are we
                    _ = commits.changed() => {}
                    _ = changes.changed() => {}
                    () = sleep(rest.saturating_sub(LOOK_AT_MOST)) => {}
                }
            };
            moved.await;
        }
    }

    /// Looks once at every update that is open, and does or begins what is due on this host. Answers when the next
    /// thing can be due, if nothing changes until then.
    ///
    /// # Errors
    /// When the store cannot be read or written: what was not looked at is left for the next time.
    pub async fn look_at_patches(
        &self,
        told: &mut Told,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, EngineError> {
        let (mut next, mut after) = (None::<Timestamp>, None);
        let (mut outcome, mut any) = (Ok(()), false);
        loop {
            let page = self.inner.store.documents::<Patch>("", after, PAGE).await?;
            for found in page.rows.into_iter().filter(|found| found.document.is_open()) {
                any = true;
                match self.look_at_patch(found, told, now).await {
                    Ok(at) => next = next.into_iter().chain(at).min(),
                    // changed or gone meanwhile: what it is now is looked at next time
                    Err(EngineError::Store(StoreError::Stale | StoreError::NotFound(_))) => next = Some(now),
                    Err(error) => outcome = Err(error),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if !any {
            (told.warned, told.logged_off) = Default::default();
        }
        outcome.map(|()| next)
    }

    async fn look_at_patch(
        &self,
        found: Stored<Patch>,
        told: &mut Told,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, EngineError> {
        let Stored { generation, document: mut patch } = found;
        let host = self.inner.host.name();
        let mut due = patch.due(host, now);
        let mut written = false;
        if due == PatchDue::Note {
            patch.warned_on(host, now);
            self.inner.store.update_document(&patch, generation).await?;
            written = true;
            due = patch.due(host, now);
        }
        let next = match due {
            PatchDue::Nothing(at) => at,
            PatchDue::Note => Some(now),
            PatchDue::Warn(at) => {
                for session in self.concerned(&patch, Whose::Ours).await? {
                    if told.warned.get(&session.uid) != Some(&patch.id)
                        && session.state.name() == StateName::Active
                    {
                        told.warned.insert(session.uid, patch.id);
                        self.warn_of_update(&session, at, Arc::clone(&told.places));
                    }
                }
                Some(at)
            }
            PatchDue::LogOff => {
                for session in self.concerned(&patch, Whose::Ours).await? {
                    let again = told.logged_off.get(&session.uid);
                    if again.is_none_or(|at| now.since(*at) >= AGAIN_AFTER)
                        && self.update_logs_off(&session).await?
                    {
                        told.logged_off.insert(session.uid, now);
                    }
                }
                None
            }
        };
        if now < patch.settles_at() {
            let settles = (now >= patch.start).then(|| patch.settles_at());
            return Ok(next.into_iter().chain(settles).min());
        }
        if written {
            // the row has another generation by now: it is read again first
            return Ok(Some(now));
        }
        if self.concerned(&patch, Whose::Anybodys).await?.is_empty() {
            patch.state = PatchState::Completed { at: now };
            self.inner.store.update_document(&patch, generation).await?;
            tracing::info!(collection = %patch.collection, "an update is complete");
            let done = (Outcome::Done, "no session of before its start is left".to_owned());
            let target = format!("{} {}", patch.collection, patch.id);
            self.audit(by_policy("Update", target, String::new(), done)).await;
            return Ok(None);
        }
        Ok(next)
    }

    /// Sessions of before the start of an update that have not ended.
    async fn concerned(&self, patch: &Patch, whose: Whose) -> Result<Vec<Session>, EngineError> {
        let host = match whose {
            Whose::Ours => Some(self.inner.host.name().clone()),
            Whose::Anybodys => None,
        };
        let filter = SessionFilter { user: None, collection: Some(patch.collection.clone()), host };
        let (mut sessions, mut after) = (Vec::new(), None);
        loop {
            let page = self.inner.store.sessions(&filter, after, PAGE).await?;
            sessions.extend(page.rows.into_iter().filter(|session| patch.concerns(session)));
            after = page.next;
            if after.is_none() {
                return Ok(sessions);
            }
        }
    }

    /// Shows the warning, once and in the background.
    fn warn_of_update(&self, session: &Session, at: Timestamp, places: Arc<Semaphore>) {
        let (engine, uid) = (self.clone(), session.uid);
        self.inner.tasks.spawn(async move {
            let Ok(_place) = places.acquire().await else { return };
            let left = at.since(now());
            if left.is_zero() {
                return;
            }
            let active = Expected { user: None, state: Some(StateName::Active.as_str().to_owned()) };
            let text = words(left);
            let shown = engine.message(uid, "Your desktop is updated", &text, &active);
            let failed = match tokio::time::timeout(WARN_WITHIN, shown).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => EngineError::TimedOut("showing the warning"),
            };
            tracing::warn!(session = %uid, error = %failed, "a user was not warned of an update");
        });
    }

    /// Logs a session off as it was looked at; the end of it is waited for and audited in the background. `false`: it has
    /// moved, or is not in a state for it, such as Lost, and is looked at again.
    async fn update_logs_off(&self, session: &Session) -> Result<bool, EngineError> {
        let event = Event::Logoff(Cause::Administrator);
        let moved = match self.step(session, &event, With::Nothing).await {
            Ok(moved) => moved,
            Err(EngineError::Store(StoreError::Stale) | EngineError::Denied(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        if session.state.name() == StateName::LoggingOff {
            // by somebody else, or by us before, which is audited already
            return Ok(true);
        }
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            let done = match engine.logged_off(moved.uid).await {
                Ok(()) => (Outcome::Done, "update of the collection".to_owned()),
                Err(error) => (Outcome::Failed(FAILED), format!("update of the collection: {error}")),
            };
            let target = format!("{} {} {}", moved.host, moved.session_id, moved.desktop);
            engine.audit(by_policy("Logoff", target, moved.user.to_string(), done)).await;
        });
        Ok(true)
    }

    async fn stored_patch(&self, alias: &str) -> Result<Option<Stored<Patch>>, EngineError> {
        Ok(self.inner.store.document(alias).await?)
    }
}

/// Whose sessions.
enum Whose {
    /// Of this host.
    Ours,
    /// Of every host.
    Anybodys,
}

fn by_policy(action: &str, target: String, subject: String, done: (Outcome, String)) -> AuditRecord {
    let (outcome, detail) = done;
    let (actor, from, action) = ("policy".into(), "update".into(), action.into());
    AuditRecord { at: now(), actor, from, action, target, subject, outcome, detail }
}

/// What the user is told.
fn words(left: Duration) -> String {
    let seconds = left.as_millis().div_ceil(1000);
    let time = match seconds {
        1 => "1 second".to_owned(),
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    };
    format!(
        "This desktop is being updated. In {time} you will be logged off. Save your work: your programs will be ended. \
         You can connect again after that."
    )
}

#[cfg(test)]
mod tests {
    use super::words;
    use std::time::Duration;

    #[test]
    fn a_warning_says_when_and_what_to_do() {
        assert_eq!(
            words(Duration::from_secs(300)),
            "This desktop is being updated. In 5 minutes you will be logged off. Save your work: your programs will be \
             ended. You can connect again after that."
        );
        assert!(words(Duration::from_millis(400)).contains("In 1 second you"));
        assert!(words(Duration::from_secs(7200)).contains("In 2 hours you"));
    }
}
