//! Runs jobs: a node goes on with those of its host, from wherever they stand.
//!
//! The row of a job is written after each step, and a step is safe to repeat, so a service that is killed has lost
//! nothing but time. Another node that takes the host over goes on with its jobs in the same way; if two did at once,
//! the generations of the row would let both count, and the steps would find that it is so already.

mod patch;

use crate::{Engine, EngineError, now};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use openrdms_broker::document::Stored;
use openrdms_broker::job::{
    Attempt, Job, JobEnd, JobId, JobState, MAX_STEPS, Order, Step, StepEnd, Task, Want,
};
use openrdms_broker::ports::{Existing, HostError, StoreError};
use openrdms_broker::{AuditRecord, Collection, DesktopName, Outcome, machine};
use std::collections::HashSet;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use patch::Told;

/// How many steps of a job are done at once.
const AT_ONCE: usize = crate::collections::PREPARED_AT_ONCE;
/// How many jobs may be open, and how many are kept for their reports and how long.
const MAX_OPEN: usize = 50;
const KEPT: usize = 50;
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Jobs are looked at no more often than this for the sake of a session that has moved,
const LOOK_AT_MOST: Duration = Duration::from_secs(1);
/// and no less often at all, because another node may have begun or cancelled one.
const LOOK_AT_LEAST: Duration = Duration::from_secs(5);
/// How often a row may change under us: each time somebody else has noted something.
const MAX_STALE: usize = 64;
const PAGE: u32 = 100;
/// How much of an error is kept, in characters.
const TOLD: usize = 200;
/// `WBEM_E_FAILED` and `WBEM_E_CALL_CANCELLED`, for the audit trail.
const FAILED: u32 = 0x8004_1001;
const CANCELLED: u32 = 0x8004_1032;

/// What the jobs of this process share.
pub(crate) struct Jobs {
    /// Counts what was ordered and noted here.
    changed: watch::Sender<u64>,
    /// Names are chosen by one order at a time.
    planning: Semaphore,
}

/// Which jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFilter {
    /// Those that have not ended.
    Open,
    /// Those that have, however.
    Ended,
}

impl Default for Jobs {
    fn default() -> Self {
        Self { changed: watch::Sender::new(0), planning: Semaphore::new(1) }
    }
}

impl Jobs {
    fn tell(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}

impl Engine {
    /// Begins a job and answers its identifier; the job is durable then, and goes on by itself.
    ///
    /// # Errors
    /// `NotFound` for the collection; `Invalid` for a host that nobody has served, or more desktops than a collection
    /// holds; `TooMany` where too many jobs have not ended.
    pub async fn execute_job(&self, order: &Order, by: &str) -> Result<JobId, EngineError> {
        let found = self.inner.store.collection(order.collection.as_str()).await?;
        let collection = found.ok_or(EngineError::NotFound("collection"))?;
        let host = match &order.host {
            None => self.inner.host.name().clone(),
            Some(host) => match self.inner.store.host(host.as_str()).await? {
                Some(known) if known.lease.kind == machine::KIND => {
                    return Err(EngineError::Invalid(format!(
                        "{host} is a machine: no desktops are made there"
                    )));
                }
                Some(known) => known.lease.host,
                None => return Err(EngineError::Invalid(format!("there is no host {host}"))),
            },
        };
        if collection.size as usize + order.additions() > crate::collections::MAX_SIZE as usize {
            let most = crate::collections::MAX_SIZE;
            return Err(EngineError::Invalid(format!("a collection holds {most} desktops at most")));
        }
        let _turn = self.inner.jobs.planning.acquire().await.map_err(|_| EngineError::EndedMeanwhile)?;
        let open = self.jobs(JobFilter::Open, None).await?;
        if open.len() >= MAX_OPEN {
            return Err(EngineError::TooMany("jobs that have not ended"));
        }
        let steps = self.plan(order, &collection, &open).await?;
        let job = Job {
            id: JobId(Uuid::new_v4()),
            collection: collection.alias,
            host,
            by: by.to_owned(),
            created: now(),
            steps,
            state: JobState::Running,
        };
        self.inner.store.insert_document(&job).await?;
        self.inner.jobs.tell();
        Ok(job.id)
    }

    /// A job, ended or not.
    ///
    /// # Errors
    /// `NotFound`; or the store's.
    pub async fn job(&self, id: JobId) -> Result<Job, EngineError> {
        Ok(self.stored_job(id).await?.document)
    }

    /// Jobs, the oldest first, optionally of one collection.
    ///
    /// # Errors
    /// The store's.
    pub async fn jobs(&self, filter: JobFilter, collection: Option<&str>) -> Result<Vec<Job>, EngineError> {
        let mut jobs = self.all_jobs().await?;
        jobs.retain(|job| {
            (filter == JobFilter::Open) == job.state.ended().is_none()
                && collection.is_none_or(|alias| job.collection.as_str().eq_ignore_ascii_case(alias))
        });
        Ok(jobs)
    }

    /// Cancels a job: no step is begun any more, and what is done stays. Returns when it has ended; in the meantime
    /// steps that were under way may have been done, and then all of them may.
    ///
    /// # Errors
    /// `NotFound`; `JobEnded` where it had ended before; `TimedOut` where nobody who does it answers: it does not go on
    /// when somebody does.
    pub async fn cancel_job(&self, id: JobId) -> Result<(), EngineError> {
        let mut changes = self.inner.jobs.changed.subscribe();
        let mut cancelled = false;
        self.change_job(id, |job| {
            cancelled = job.cancel(now());
            cancelled
        })
        .await?;
        if !cancelled {
            return Err(EngineError::JobEnded);
        }
        let ended = async {
            loop {
                changes.mark_unchanged();
                if self.job(id).await?.state.ended().is_some() {
                    return Ok(());
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    // another node's changes wake nobody here
                    () = sleep(LOOK_AT_MOST) => {}
                }
            }
        };
        let limited = tokio::time::timeout(self.inner.config.method_limit, ended).await;
        limited.unwrap_or(Err(EngineError::TimedOut("the end of the job")))
    }

    /// Does the jobs of this host and the updates of collections until it is told to stop.
    pub async fn run_jobs(&self, stop: CancellationToken) {
        let mut told = Told::default();
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.keep_doing_jobs() => {}
            () = self.keep_updating(&mut told) => {}
        }
    }

    async fn keep_doing_jobs(&self) {
        let (mut commits, mut changes) =
            (self.inner.commits.subscribe(), self.inner.jobs.changed.subscribe());
        let (mut failing, mut waits) = (false, false);
        loop {
            commits.mark_unchanged();
            changes.mark_unchanged();
            match self.look_at_jobs().await {
                Ok(held) => {
                    failing = false;
                    waits = held;
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "jobs cannot be done; it is tried again");
                    }
                    // whatever wakes us: what has failed is not tried in a tight circle
                    sleep(LOOK_AT_MOST).await;
                }
            }
            let moved = async {
                sleep(LOOK_AT_MOST).await;
                commits.changed().await
            };
            tokio::select! {
                // errors say that the engine is gone, and so are we
                _ = changes.changed() => {}
                _ = moved, if waits => {}
                () = sleep(LOOK_AT_LEAST) => {}
            }
        }
    }

    /// Goes on with every job of this host as far as it goes, and forgets reports that are old. Answers whether one
    /// waits for sessions to end.
    ///
    /// # Errors
    /// The last failure; the other jobs are gone on with all the same.
    pub async fn look_at_jobs(&self) -> Result<bool, EngineError> {
        let (mut outcome, mut waits) = (Ok(()), false);
        let mut ended = Vec::new();
        for job in self.all_jobs().await? {
            match job.state {
                JobState::Ended { at, .. } => ended.push((at, job.id)),
                JobState::Running | JobState::Cancelling { .. } => {
                    if job.host.is(self.inner.host.name()) {
                        match self.go_on(job).await {
                            Ok(job) => waits |= job.state.ended().is_none(),
                            Err(error) => outcome = gone(Err(error)).and(outcome),
                        }
                    }
                }
            }
        }
        ended.sort_unstable_by(|a, b| b.cmp(a));
        for (place, (at, id)) in ended.into_iter().enumerate() {
            if place >= KEPT || now().since(at) > KEPT_FOR {
                let forgotten = self.inner.store.delete_document::<Job>(&id.0.to_string()).await;
                outcome = gone(forgotten.map_err(EngineError::from)).and(outcome);
            }
        }
        outcome.map(|()| waits)
    }

    /// Does the steps of a job that can be done now, and ends it where none is left.
    async fn go_on(&self, mut job: Job) -> Result<Job, EngineError> {
        let (mut tried, mut under_way) = (HashSet::new(), FuturesUnordered::new());
        loop {
            for place in job.due().filter(|place| !tried.contains(place)).collect::<Vec<_>>() {
                if under_way.len() >= AT_ONCE {
                    break;
                }
                tried.insert(place);
                let (alias, task) = (job.collection.clone(), job.steps[place].task.clone());
                under_way.push(async move { (place, self.attempt(alias.as_str(), &task).await) });
            }
            let Some((place, attempt)) = under_way.next().await else { break };
            let attempt = attempt?;
            // a step that waits for a session as before is no news, and no reason for another look
            let same = |job: &Job| {
                attempt == Attempt::Held && job.steps[place].state == openrdms_broker::job::StepState::Held
            };
            job = match self.stored_job(job.id).await?.document {
                stored if same(&stored) => stored,
                stored => {
                    self.change_job(stored.id, |job| {
                        job.note(place, attempt.clone(), now());
                        true
                    })
                    .await?
                }
            };
        }
        let mut closed = false;
        let job = self.change_job(job.id, |job| {
            closed = job.close(now());
            closed
        });
        let job = job.await?;
        if closed {
            tracing::info!(job = %job.id, collection = %job.collection, state = job.state.as_str(), "a job ended");
            self.audit_job(&job).await;
        }
        Ok(job)
    }

    /// Tries a step. An error is one that waiting may help against; any other is how the step ended.
    async fn attempt(&self, alias: &str, task: &Task) -> Result<Attempt, EngineError> {
        if self.is_so(alias, task).await? {
            return Ok(Attempt::Ended(StepEnd::AlreadySo));
        }
        let error = match self.make_so(alias, task).await {
            Ok(()) => return Ok(Attempt::Ended(StepEnd::Done)),
            Err(error) => error,
        };
        match error {
            EngineError::Store(StoreError::Conflict(Existing::SessionInDesktop)) => Ok(Attempt::Held),
            EngineError::Store(StoreError::Unavailable(_) | StoreError::Stale)
            | EngineError::Host(HostError::Busy(_)) => Err(error),
            // somebody was faster
            _ if self.is_so(alias, task).await? => Ok(Attempt::Ended(StepEnd::AlreadySo)),
            error => {
                let why = error.to_string().chars().take(TOLD).collect();
                Ok(Attempt::Ended(StepEnd::Failed(why)))
            }
        }
    }

    async fn is_so(&self, alias: &str, task: &Task) -> Result<bool, EngineError> {
        let found = self.inner.store.desktop(task.desktop()).await?;
        Ok(match task {
            Task::Add(_) => found.is_some_and(|there| there.collection.as_str().eq_ignore_ascii_case(alias)),
            Task::Remove(_) => found.is_none(),
        })
    }

    async fn make_so(&self, alias: &str, task: &Task) -> Result<(), EngineError> {
        match task {
            Task::Add(name) => self.add_desktop(alias, name.clone()).await,
            Task::Remove(name) => match self.inner.store.desktop(name).await? {
                // its files are there
                Some(there) if self.host_of(&there.host).is_none() => Err(EngineError::OtherNode(there.host)),
                Some(_) | None => self.remove_desktop(alias, name).await,
            },
        }
    }

    /// The steps of an order: who asks for a number of desktops gets names that nobody has or is about to have.
    async fn plan(
        &self,
        order: &Order,
        collection: &Collection,
        open: &[Job],
    ) -> Result<Vec<Step>, EngineError> {
        let asked = order.wants.iter().filter_map(|want| match want {
            Want::AddCount(_) => None,
            Want::Task(task) => Some(task.desktop()),
        });
        let planned = open.iter().flat_map(|job| &job.steps).map(|step| step.task.desktop());
        let mut taken: HashSet<String> =
            asked.chain(planned).map(|name| name.as_str().to_ascii_lowercase()).collect();
        let (mut steps, mut number) = (Vec::new(), 0u32);
        for want in &order.wants {
            match want {
                Want::Task(task) => steps.push(Step::new(task.clone())),
                Want::AddCount(count) => {
                    for _ in 0..*count {
                        let name = loop {
                            number += 1;
                            let name = format!("{}-{number:03}", collection.alias);
                            let name = DesktopName::new(&name)
                                .map_err(|error| EngineError::Invalid(error.to_string()))?;
                            let new = taken.insert(name.as_str().to_ascii_lowercase());
                            if new && self.inner.store.desktop(&name).await?.is_none() {
                                break name;
                            }
                        };
                        steps.push(Step::new(Task::Add(name)));
                    }
                }
            }
        }
        debug_assert!(steps.len() <= MAX_STEPS);
        Ok(steps)
    }

    async fn all_jobs(&self) -> Result<Vec<Job>, EngineError> {
        let (mut jobs, mut after) = (Vec::new(), None);
        loop {
            let page = self.inner.store.documents::<Job>("", after, PAGE).await?;
            jobs.extend(page.rows.into_iter().map(|row| row.document));
            after = page.next;
            if after.is_none() {
                jobs.sort_by_key(|job| (job.created, job.id));
                return Ok(jobs);
            }
        }
    }

    async fn stored_job(&self, id: JobId) -> Result<Stored<Job>, EngineError> {
        let found = self.inner.store.document(&id.0.to_string()).await?;
        found.ok_or(EngineError::NotFound("job"))
    }

    /// Changes a job as it is by then; `change` says whether there is anything to write. Answers it as it is after that.
    async fn change_job(
        &self,
        id: JobId,
        mut change: impl FnMut(&mut Job) -> bool,
    ) -> Result<Job, EngineError> {
        for _ in 0..MAX_STALE {
            let Stored { generation, document: mut job } = self.stored_job(id).await?;
            if !change(&mut job) {
                return Ok(job);
            }
            match self.inner.store.update_document(&job, generation).await {
                Ok(()) => {
                    self.inner.jobs.tell();
                    return Ok(job);
                }
                Err(StoreError::Stale) => {}
                Err(StoreError::NotFound(_)) => return Err(EngineError::NotFound("job")),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    pub(crate) async fn audit_job(&self, job: &Job) {
        let outcome = match job.state {
            JobState::Ended { end: JobEnd::Completed, .. }
            | JobState::Running
            | JobState::Cancelling { .. } => Outcome::Done,
            JobState::Ended { end: JobEnd::Failed, .. } => Outcome::Failed(FAILED),
            JobState::Ended { end: JobEnd::Cancelled, .. } => Outcome::Failed(CANCELLED),
        };
        let count = |state: &str| job.steps.iter().filter(|step| step.state.as_str() == state).count();
        let detail = ["Done", "AlreadySo", "Failed", "NotBegun"]
            .map(|state| format!("{state} {}", count(state)))
            .join(", ");
        self.audit(AuditRecord {
            at: now(),
            actor: job.by.clone(),
            from: "jobs".into(),
            action: "ProvisioningJob".into(),
            target: format!("{} {}", job.collection, job.id),
            subject: String::new(),
            outcome,
            detail,
        })
        .await;
    }
}

/// What is gone meanwhile, with its collection or forgotten by another node, needs nothing more.
fn gone(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::NotFound(_) | EngineError::Store(StoreError::NotFound(_))) => Ok(()),
        other => other,
    }
}
