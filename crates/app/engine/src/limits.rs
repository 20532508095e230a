//! The limits of collections, on the sessions of this host: who is near one is warned on the screen, who has reached one
//! is disconnected or logged off, by the same paths as the methods.
//!
//! On machines nobody can be logged off or warned: there a limit disconnects, and a session that has been Disconnected for too
//! long is forgotten. So is one whose machine has closed the connection, after a while, also where there are no limits.
//!
//! The looks hold up nobody and are held up by nobody: a warning is shown, and the end of an action waited for, by a
//! task of its own. What was warned of is kept in memory only: after a restart users are warned anew, never less.

use crate::collections::check_display_name;
use crate::{Engine, EngineError, Expected, now};
use futures_util::{StreamExt as _, stream};
use openrdms_broker::limits::{Due, Warning, due};
use openrdms_broker::ports::{SessionFilter, StoreError};
use openrdms_broker::session::reconnect::With;
use openrdms_broker::session::transition::Event;
use openrdms_broker::session::{Cause, EndReason, StateName};
use openrdms_broker::{
    AuditRecord, CollectionChange, HostName, Limit, LimitAction, Limits, Outcome, Session, SessionUid, State,
    Timestamp,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const PAGE: u32 = 500;
/// How many sessions are looked at, or saved, at once.
const AT_ONCE: usize = 32;
/// Sessions are looked at no more often than this.
const LOOK_AT_MOST: Duration = Duration::from_secs(1);
/// And no less often while there is a limit at all, as another node may have changed limits or sessions.
const LOOK_AT_LEAST: Duration = Duration::from_secs(15);
/// How often the times of input are saved.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How many warnings are being shown at once, and how long one may take: desktops that do not answer cannot keep the
/// others' users from being warned.
const WARNINGS: usize = 16;
const WARN_WITHIN: Duration = Duration::from_secs(5);
/// `WBEM_E_FAILED`, for the audit trail.
const FAILED: u32 = 0x8004_1001;

/// What users were warned of, from one look to the next.
pub struct Warned {
    told: HashMap<SessionUid, Warning>,
    places: Arc<Semaphore>,
}

impl Default for Warned {
    fn default() -> Self {
        Self { told: HashMap::new(), places: Arc::new(Semaphore::new(WARNINGS)) }
    }
}

impl Engine {
    /// Enforces the limits and saves the times of input until it is told to stop.
    pub async fn run_limits(&self, stop: CancellationToken) {
        let mut commits = self.inner.commits.subscribe();
        let (mut warned, mut saved, mut failing) = (Warned::default(), Instant::now(), false);
        loop {
            commits.mark_unchanged();
            let next = match self.look_at_limits(&mut warned, now()).await {
                Ok(next) => {
                    failing = false;
                    next
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "limits cannot be looked at; it is tried again");
                    }
                    Some(now())
                }
            };
            if saved.elapsed() >= SAVE_EVERY {
                saved = Instant::now();
                self.save_inputs().await;
            }
            let rest = next.map_or(LOOK_AT_LEAST, |next| next.since(now()).min(LOOK_AT_LEAST));
            let change = async {
                sleep(LOOK_AT_MOST).await;
                tokio::select! {
                    // an error says that the engine is gone, and so are we
                    _ = commits.changed() => {}
                    () = sleep(rest.saturating_sub(LOOK_AT_MOST)) => {}
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = change => {}
            }
        }
    }

    /// Looks once at every session of this host that a limit may be about, and does or begins what is due. Answers
    /// when the next thing can be due, if nothing changes until then.
    ///
    /// # Errors
    /// When the store cannot be read or written: what was not looked at is left for the next time.
    pub async fn look_at_limits(
        &self,
        warned: &mut Warned,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, EngineError> {
        let limits: HashMap<_, _> = self
            .inner
            .store
            .collections()
            .await?
            .into_iter()
            .filter(|c| c.limits.idle > 0 || c.limits.active > 0 || c.limits.disconnected > 0)
            .map(|c| (c.alias, c.limits))
            .collect();
        let (mut next, mut near) = (None::<Timestamp>, HashSet::new());
        let mut pages = self.hosts_to_look_at(limits.is_empty()).into_iter().map(|host| (host, None));
        let mut left = pages.next();
        while let Some((host, after)) = left {
            let filter = SessionFilter { host, ..SessionFilter::default() };
            let page = self.inner.store.sessions(&filter, after, PAGE).await?;
            let told = &warned.told;
            let looks = page.rows.into_iter().filter_map(|session| {
                let on_machine = self.host_of(&session.host)?.standing().is_some();
                match limits.get(&session.collection) {
                    None if !on_machine => None,
                    limits => Some(self.look(session, limits, on_machine, told, now)),
                }
            });
            let looks: Vec<_> = stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
            for look in looks {
                let (session, due) = look?;
                let at = match due {
                    Due::Nothing(at) => at,
                    Due::Warn(warning) => {
                        near.insert(session.uid);
                        let news = warned.told.insert(session.uid, warning) != Some(warning);
                        // nobody can be told on a machine
                        if news && self.standing(&session.host).is_none() {
                            self.warn(&session, warning, Arc::clone(&warned.places));
                        }
                        Some(warning.at)
                    }
                    // done; or somebody was faster, and that commit is the reason for another look
                    Due::Act(..) => None,
                };
                next = next.into_iter().chain(at).min();
            }
            left = match page.next {
                Some(after) => Some((filter.host, Some(after))),
                None => pages.next(),
            };
        }
        warned.told.retain(|uid, _| near.contains(uid));
        Ok(next)
    }

    /// Whose sessions a limit may be about; `None`: everybody's. Machines are looked at also where there is none.
    fn hosts_to_look_at(&self, no_limits: bool) -> Vec<Option<HostName>> {
        let machines = self.machine_names();
        match (no_limits, machines.is_empty()) {
            (true, _) => machines.into_iter().map(Some).collect(),
            (false, true) => vec![Some(self.inner.host.name().clone())],
            (false, false) => vec![None],
        }
    }

    async fn look(
        &self,
        session: Session,
        limits: Option<&Limits>,
        on_machine: bool,
        told: &HashMap<SessionUid, Warning>,
        now: Timestamp,
    ) -> Result<(Session, Due), EngineError> {
        let input = self.last_input(session.uid).max(session.last_input);
        let due = limits.map_or(Due::Nothing(None), |l| due(&session, l, input, told.get(&session.uid), now));
        let due = if on_machine { self.look_on_machine(&session, due, now).await? } else { due };
        if let Due::Act(limit, action) = due {
            self.act(&session, limit, action).await?;
        }
        Ok((session, due))
    }

    /// What is due on a machine in place of what is due elsewhere.
    async fn look_on_machine(&self, session: &Session, due: Due, now: Timestamp) -> Result<Due, EngineError> {
        let over = self.presumed_over(session);
        let reason = match due {
            Due::Act(Limit::Disconnected, _) => EndReason::Limit(Limit::Disconnected),
            _ if over.is_some_and(|over| over <= now) => EndReason::Presumed,
            Due::Act(limit, _) => return Ok(Due::Act(limit, LimitAction::Disconnect)),
            Due::Warn(warning) => return Ok(Due::Warn(warning)),
            Due::Nothing(at) => return Ok(Due::Nothing(over.into_iter().chain(at).min())),
        };
        match self.step(session, &Event::LogonEnded(reason.clone()), With::Nothing).await {
            Ok(_) => self.audit(by_policy(session, "Forget", Outcome::Done, reason.to_string())).await,
            // it has moved, and is looked at again
            Err(EngineError::Store(StoreError::Stale)) => {}
            Err(error) => return Err(error),
        }
        Ok(Due::Nothing(None))
    }

    /// Shows the warning, once and in the background.
    fn warn(&self, session: &Session, warning: Warning, places: Arc<Semaphore>) {
        let (engine, uid) = (self.clone(), session.uid);
        self.inner.tasks.spawn(async move {
            let Ok(_place) = places.acquire().await else { return };
            let left = warning.at.since(now());
            if left.is_zero() {
                return;
            }
            let active = Expected { user: None, state: Some(StateName::Active.as_str().to_owned()) };
            let (title, text) = words(warning, left);
            let shown = engine.message(uid, title, &text, &active);
            let failed = match tokio::time::timeout(WARN_WITHIN, shown).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => EngineError::TimedOut("showing the warning"),
            };
            tracing::warn!(session = %uid, error = %failed, "a user was not warned of a limit");
        });
    }

    /// Does what the limit asks for to the session as it was looked at; if it has changed since, nothing. The end of it
    /// is waited for and audited in the background.
    async fn act(&self, session: &Session, limit: Limit, action: LimitAction) -> Result<(), EngineError> {
        let cause = Cause::Limit(limit);
        let event = match action {
            LimitAction::Disconnect => Event::Disconnect(cause),
            LimitAction::Logoff => Event::Logoff(cause),
        };
        let moved = match self.step(session, &event, With::Nothing).await {
            Ok(moved) => moved,
            Err(EngineError::Store(StoreError::Stale)) => return Ok(()),
            Err(error) => return Err(error),
        };
        let engine = self.clone();
        self.inner.tasks.spawn(async move {
            let done = match action {
                LimitAction::Disconnect => engine.detached(&moved).await.map(|_| ()),
                LimitAction::Logoff => engine.logged_off(moved.uid).await,
            };
            let (outcome, detail) = match done {
                Ok(()) => (Outcome::Done, limit.as_str().to_owned()),
                Err(error) => (Outcome::Failed(FAILED), format!("{}: {error}", limit.as_str())),
            };
            engine.audit(by_policy(&moved, action.as_str(), outcome, detail)).await;
        });
        Ok(())
    }

    /// Changes a collection; limits also for the sessions that it has. Who may use it is asked of whoever connects, so a
    /// session stays whose user is none any more.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for unknown users; or the store's.
    pub async fn change_collection(
        &self,
        alias: &str,
        change: impl Into<CollectionChange>,
    ) -> Result<(), EngineError> {
        let change = change.into();
        change.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        for user in change.users.iter().flatten().flatten() {
            self.known(user).await?;
        }
        self.inner.store.change_collection(alias, change).await?;
        self.inner.commits.send_modify(|n| *n += 1);
        Ok(())
    }

    /// Saves the times of input that have not been saved with something else, so that a restart forgets little of them.
    pub async fn save_inputs(&self) {
        let inputs: Vec<_> = match self.inner.inputs.lock() {
            Ok(inputs) => inputs.iter().map(|(uid, at)| (*uid, *at)).collect(),
            Err(_) => return,
        };
        let saves = inputs.into_iter().map(|(uid, at)| async move {
            if let Err(error) = self.save_input(uid, at).await {
                tracing::debug!(session = %uid, %error, "the time of the last input is not saved yet");
            }
        });
        stream::iter(saves).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn save_input(&self, uid: SessionUid, at: Timestamp) -> Result<(), EngineError> {
        let session = self.inner.store.session(uid).await?.ok_or(EngineError::NotFound("session"))?;
        if session.last_input >= Some(at) || matches!(session.state, State::Ended { .. }) {
            return Ok(());
        }
        self.inner.store.update_session(&Session { last_input: Some(at), ..session }).await?;
        Ok(())
    }
}

fn by_policy(session: &Session, action: &str, outcome: Outcome, detail: String) -> AuditRecord {
    AuditRecord {
        at: now(),
        actor: "policy".into(),
        from: "limits".into(),
        action: action.into(),
        target: format!("{} {} {}", session.host, session.session_id, session.desktop),
        subject: session.user.to_string(),
        outcome,
        detail,
    }
}

/// What the user is told, title and text.
fn words(warning: Warning, left: Duration) -> (&'static str, String) {
    let seconds = left.as_millis().div_ceil(1000);
    let time = match seconds {
        0..120 => format!("{seconds} second{}", if seconds == 1 { "" } else { "s" }),
        _ => format!("{} minutes", seconds / 60),
    };
    let (title, why) = match warning.limit {
        Limit::Idle => ("Are you still there?", "You have not used this desktop for a while."),
        Limit::Active | Limit::Disconnected => {
            ("Your time is nearly over", "The time for this session is nearly over.")
        }
    };
    let what = match warning.action {
        LimitAction::Disconnect => "you will be disconnected. Your programs keep running",
        LimitAction::Logoff => "you will be logged off. Save your work: your programs will be ended",
    };
    let way_out = match warning.limit {
        Limit::Idle => " Press a key or move the mouse to stay.",
        Limit::Active | Limit::Disconnected => "",
    };
    (title, format!("{why} In {time} {what}.{way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(limit: Limit, action: LimitAction, seconds: u64) -> String {
        let at = Timestamp(0);
        words(Warning { limit, reached: at, at, action }, Duration::from_secs(seconds)).1
    }

    #[test]
    fn a_warning_says_when_what_happens_and_how_to_avoid_it() {
        assert_eq!(
            said(Limit::Idle, LimitAction::Disconnect, 60),
            "You have not used this desktop for a while. In 60 seconds you will be disconnected. Your programs keep \
             running. Press a key or move the mouse to stay."
        );
        assert_eq!(
            said(Limit::Active, LimitAction::Logoff, 600),
            "The time for this session is nearly over. In 10 minutes you will be logged off. Save your work: your \
             programs will be ended."
        );
    }
}
