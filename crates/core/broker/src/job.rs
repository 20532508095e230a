//! Jobs: work on the desktops of a collection that takes its time, step by step.
//!
//! ```text
//!            every step has ended
//! Running ──────────────────────────▶ Ended (Completed; Failed where a step has)
//!    │ cancel                           ▲
//!    ▼        nothing is under way      │
//! Cancelling ───────────────────────────┘ (Cancelled, where steps were not begun)
//! ```
//!
//! A step says what is to be so, not what is to be done: whoever is killed between a step and its record finds on the
//! next try that it is so already. So a job may be gone on with by anybody, any number of times, also by two at once.

pub mod patch;
pub mod xml;

use crate::document::Document;
use crate::{CollectionAlias, DesktopName, HostName, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The most steps that a job may have: its report has to fit a message of management.
pub const MAX_STEPS: usize = 500;

/// The identifier of a job (`JobGuid`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub Uuid);

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The collection that gets or loses desktops.
    pub collection: CollectionAlias,
    /// The host of these desktops; `None`: that of the node that is asked.
    pub host: Option<HostName>,
    /// What is to be done, in this order.
    pub wants: Vec<Want>,
}

/// A part of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// So many more desktops, with the next free numbers for names.
    AddCount(u32),
    /// One thing.
    Task(Task),
}

/// What a step is to make so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The desktop is in the collection.
    Add(DesktopName),
    /// The desktop is not there. While a session is in it, that is waited for.
    Remove(DesktopName),
}

/// A job, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its key.
    pub id: JobId,
    /// The collection.
    pub collection: CollectionAlias,
    /// The host of its desktops: whichever node serves it does the job.
    pub host: HostName,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub created: Timestamp,
    /// Its steps: at most [`MAX_STEPS`], never more and never fewer later.
    pub steps: Vec<Step>,
    /// Where it stands.
    pub state: JobState,
}

/// One step of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What is to be so.
    pub task: Task,
    /// Where it stands.
    pub state: StepState,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum StepState {
    /// To be done.
    Due,
    /// To be done when the session in the desktop has ended.
    Held,
    /// It will not be looked at again.
    Ended {
        /// Since when.
        at: Timestamp,
        /// How.
        end: StepEnd,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "detail", rename_all = "snake_case")]
pub enum StepEnd {
    /// It was done.
    Done,
    /// Nothing was to be done; or it had been done just before the service was killed.
    AlreadySo,
    /// It could not be done; the text is for people.
    Failed(String),
    /// The job was cancelled before.
    NotBegun,
}

/// What came of trying a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A session is in the desktop.
    Held,
    /// It is over.
    Ended(StepEnd),
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum JobState {
    /// Its steps are being done.
    Running,
    /// No step is begun any more.
    Cancelling {
        /// Since when.
        since: Timestamp,
    },
    /// Kept for its report.
    Ended {
        /// Since when.
        at: Timestamp,
        /// How.
        end: JobEnd,
    },
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobEnd {
    /// All that it asks for is so.
    Completed,
    /// A step failed; the others were done.
    Failed,
    /// Steps were not begun, because it was cancelled.
    Cancelled,
}

impl JobId {
    /// Reads an identifier, with or without braces, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = match text.strip_prefix('{') {
            Some(rest) => rest.strip_suffix('}')?,
            None => text,
        };
        // the forms without hyphens and with `urn:uuid:` are no GUIDs as management writes them
        (bare.len() == 36).then(|| Uuid::try_parse(bare).ok()).flatten().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.braced())
    }
}

impl Order {
    /// How many desktops are to be added.
    pub fn additions(&self) -> usize {
        let of = |want: &Want| match want {
            Want::AddCount(count) => *count as usize,
            Want::Task(Task::Add(_)) => 1,
            Want::Task(Task::Remove(_)) => 0,
        };
        self.wants.iter().map(of).sum()
    }
}

impl Task {
    /// The desktop that it is about.
    pub fn desktop(&self) -> &DesktopName {
        match self {
            Task::Add(name) | Task::Remove(name) => name,
        }
    }

    /// As written in reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Task::Add(_) => "Add",
            Task::Remove(_) => "Remove",
        }
    }
}

impl Step {
    /// One that nobody has tried.
    pub fn new(task: Task) -> Self {
        Self { task, state: StepState::Due }
    }
}

impl StepState {
    /// As written in reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            StepState::Due => "Due",
            StepState::Held => "Held",
            StepState::Ended { end: StepEnd::Done, .. } => "Done",
            StepState::Ended { end: StepEnd::AlreadySo, .. } => "AlreadySo",
            StepState::Ended { end: StepEnd::Failed(_), .. } => "Failed",
            StepState::Ended { end: StepEnd::NotBegun, .. } => "NotBegun",
        }
    }

    fn has_ended(&self) -> bool {
        match self {
            StepState::Due | StepState::Held => false,
            StepState::Ended { .. } => true,
        }
    }
}

impl JobState {
    /// As written in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Running => "Running",
            JobState::Cancelling { .. } => "Cancelling",
            JobState::Ended { end: JobEnd::Completed, .. } => "Completed",
            JobState::Ended { end: JobEnd::Failed, .. } => "Failed",
            JobState::Ended { end: JobEnd::Cancelled, .. } => "Cancelled",
        }
    }

    /// When it ended, if it has.
    pub fn ended(self) -> Option<Timestamp> {
        match self {
            JobState::Running | JobState::Cancelling { .. } => None,
            JobState::Ended { at, .. } => Some(at),
        }
    }
}

impl Job {
    /// The steps that may be begun now, by their place.
    pub fn due(&self) -> impl Iterator<Item = usize> + '_ {
        let steps = match self.state {
            JobState::Running => self.steps.as_slice(),
            JobState::Cancelling { .. } | JobState::Ended { .. } => &[],
        };
        steps.iter().enumerate().filter(|(_, step)| !step.state.has_ended()).map(|(place, _)| place)
    }

    /// Notes what came of a step. What has ended stays as it ended.
    pub fn note(&mut self, place: usize, attempt: Attempt, now: Timestamp) {
        let open = self.state.ended().is_none();
        if let Some(step) = self.steps.get_mut(place).filter(|step| open && !step.state.has_ended()) {
            step.state = match attempt {
                Attempt::Held => StepState::Held,
                Attempt::Ended(end) => StepState::Ended { at: now, end },
            };
        }
    }

    /// No step is begun any more. `false`: it had ended before.
    pub fn cancel(&mut self, now: Timestamp) -> bool {
        match self.state {
            JobState::Running => self.state = JobState::Cancelling { since: now },
            JobState::Cancelling { .. } => {}
            JobState::Ended { .. } => return false,
        }
        true
    }

    /// Ends the job where nothing is left of it: for whoever does it, while nothing is under way. `true`: it ends now.
    pub fn close(&mut self, now: Timestamp) -> bool {
        match self.state {
            JobState::Running if self.steps.iter().all(|step| step.state.has_ended()) => {}
            JobState::Running | JobState::Ended { .. } => return false,
            JobState::Cancelling { .. } => {
                for step in self.steps.iter_mut().filter(|step| !step.state.has_ended()) {
                    step.state = StepState::Ended { at: now, end: StepEnd::NotBegun };
                }
            }
        }
        let any = |wanted: &str| self.steps.iter().any(|step| step.state.as_str() == wanted);
        let end = match (any("NotBegun"), any("Failed")) {
            (true, _) => JobEnd::Cancelled,
            (false, true) => JobEnd::Failed,
            (false, false) => JobEnd::Completed,
        };
        self.state = JobState::Ended { at: now, end };
        true
    }

    /// How many steps have ended.
    pub fn ended_steps(&self) -> usize {
        self.steps.iter().filter(|step| step.state.has_ended()).count()
    }
}

impl Document for Job {
    const KIND: &'static str = "job";

    fn key(&self) -> String {
        self.id.0.to_string()
    }

    fn collection(&self) -> Option<&CollectionAlias> {
        Some(&self.collection)
    }
}
