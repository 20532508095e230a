//! From a spawned sandbox to a running desktop. Until the end of it, everything that was started ends
//! when the value is dropped.

use crate::control::{self, Reply, Request};
use crate::end_record::WORDS_MAX;
use crate::files;
use crate::identity::{self, Process};
use crate::inside;
use crate::layout::DeskDir;
use openrdms_broker::ports::HostError;
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::Instant;

/// A socket's appearing gives no event to wait for without a watch on a hostile directory; a start takes
/// some tens of milliseconds, so it is looked for this often, and only while the sandbox lives.
const LOOK_EVERY: Duration = Duration::from_millis(4);
const LOG_MAX: u64 = 256 * 1024;

/// A sandbox whose supervisor is not known yet.
pub(super) struct Sandbox {
    outer: Option<Child>,
    deadline: Instant,
    limit: Duration,
}

/// A sandbox whose supervisor is known and waits for the word.
pub(super) struct Found {
    sandbox: Sandbox,
    stream: UnixStream,
    process: Process,
}

/// A desktop that is up.
pub(super) struct Begun {
    process: Process,
    kept: bool,
}

impl Sandbox {
    /// Takes charge of a sandbox that has `limit` to become a desktop.
    pub(super) fn new(outer: Child, limit: Duration) -> Self {
        Self { outer: Some(outer), deadline: Instant::now() + limit, limit }
    }

    /// Finds the supervisor. The session's programs, which nobody trusts, are not started before `begin`;
    /// so up to there whoever listens on the control socket is our own supervisor, and the kernel says
    /// which process that is.
    pub(super) async fn find(mut self, desk: &DeskDir, uid: u32) -> Result<Found, HostError> {
        match tokio::time::timeout_at(self.deadline, self.supervisor(desk, uid)).await {
            Ok(found) => found.map(|(stream, process)| Found { sandbox: self, stream, process }),
            Err(_) => {
                tracing::error!(log = words(desk), "a desktop's sandbox did not come up in time");
                Err(self.late())
            }
        }
    }

    fn late(&self) -> HostError {
        HostError::TimedOut { what: "start the desktop", limit: self.limit }
    }

    async fn supervisor(&mut self, desk: &DeskDir, uid: u32) -> Result<(UnixStream, Process), HostError> {
        let run = desk.run();
        loop {
            if let Ok((stream, pid)) = control::connect(&run, inside::CONTROL_SOCKET, uid).await {
                let process =
                    Process::open(pid).map_err(super::failed("finding the desktop's supervisor"))?;
                if !identity::is_namespace_init(pid) {
                    return Err(HostError::Failed("the desktop's supervisor is not process 1 of it".into()));
                }
                return Ok((stream, process));
            }
            if let Some(Ok(Some(status))) = self.outer.as_mut().map(Child::try_wait) {
                let text = format!("the desktop's sandbox ended with {status}: {}", words(desk));
                return Err(HostError::Failed(text));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Found {
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Has the supervisor start the session, and waits until the desktop accepts clients.
    pub(super) async fn begin(mut self, desk: &DeskDir) -> Result<Begun, HostError> {
        let left = self.sandbox.deadline.saturating_duration_since(Instant::now());
        match control::ask(&mut self.stream, &Request::Begin {}, left).await {
            Ok(Reply::Ok {}) => {}
            Ok(Reply::Error { text }) => return Err(HostError::Failed(files::plain(&text, WORDS_MAX))),
            Err(control::ControlError::TimedOut) => return Err(self.sandbox.late()),
            Ok(Reply::Status { .. }) | Err(_) => {
                return Err(HostError::Failed(format!("the desktop did not start: {}", words(desk))));
            }
        }
        // The supervisor is in our hands now; the sandbox's outer process only waits for it.
        if let Some(mut outer) = self.sandbox.outer.take() {
            tokio::spawn(async move { outer.wait().await });
        }
        Ok(Begun { process: self.process, kept: false })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let Some(outer) = self.outer.take() else { return };
        let Some(root) = outer.id().and_then(|id| i32::try_from(id).ok()) else { return };
        // The outer process does not take the inner one with it, so those below go first. They are
        // children that nobody has waited for, so none of these numbers can have changed hands.
        for pid in identity::descendants(root).into_iter().chain([root]).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let mut outer = outer;
            runtime.spawn(async move { outer.wait().await });
        }
    }
}

impl Begun {
    /// The desktop runs on from here.
    pub(super) fn let_go(mut self) {
        self.kept = true;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if !self.kept {
            self.process.kill();
        }
    }
}

/// The last that was heard from a start that failed.
fn words(desk: &DeskDir) -> String {
    let log = files::read_hostile(&desk.start_log(), LOG_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.lines().rev().filter(|l| !l.trim().is_empty()).take(3).collect();
    files::plain(&lines.into_iter().rev().collect::<Vec<_>>().join("; "), WORDS_MAX)
}
