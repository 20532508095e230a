//! The supervisor's loop: one desktop from its first process to its last.

use super::door::{self, Call};
use super::freeze::{self, Frozen};
use super::message::Messages;
use super::parts::{self, Part};
use super::say;
use crate::control::{Reply, Request};
use crate::inside::{self, Job};
use crate::message_window::Message;
use openrdms_broker::ports::LogonEnd;
use rustix::process::{Pid, WaitStatus};
use std::io;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Xorg and xrdp tell nobody when they listen, so it is looked for this often while they start.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// No grace period is longer.
const GRACE_MAX: Duration = Duration::from_secs(3600);
/// Nobody who asks politely: the machine is going down, or somebody signals what they should not.
const TERMINATED: &str = "the supervisor was told to end by a signal";
/// What a program whose windows are closed has to end by itself, before it is signalled.
const SETTLE: Duration = Duration::from_millis(300);
/// What a shell returns for a command that cannot be executed, or is not there.
const NO_COMMAND: [i32; 2] = [126, 127];
/// How often a frozen desktop is looked at for what has begun to move.
const HOLD_EVERY: Duration = Duration::from_secs(5);

/// The running parts, and everything that can happen to them.
struct Desk {
    job: Job,
    xorg: Pid,
    xrdp: Part,
    chansrv: Part,
    messages: Messages,
    /// Nothing but us moves.
    frozen: Option<Frozen>,
    restarts: u64,
    children: Signal,
    terminate: Signal,
    calls: mpsc::Receiver<Call>,
}

/// The session's programs are ending.
struct Closing {
    end: LogonEnd,
    /// When whatever is left is killed.
    deadline: Instant,
    step: Step,
}

/// How they are asked, politely first.
enum Step {
    /// Their windows are asked to close, so that they can ask what to do with unsaved work.
    Windows { closer: Pid, until: Instant },
    /// All have been sent signals.
    Signals,
}

enum Event {
    Children,
    Terminate,
    Call(Call),
    Time,
}

/// Runs the desktop to its end.
pub(super) async fn run(job: &Job) -> io::Result<LogonEnd> {
    let calls = door::open()?;
    let (children, terminate) = (signal(SignalKind::child())?, signal(SignalKind::terminate())?);
    let xorg = parts::xorg()?;
    let mut xrdp = Part::xrdp();
    xrdp.start()?;
    let mut desk = Desk {
        job: job.clone(),
        xorg,
        xrdp,
        chansrv: Part::chansrv(),
        messages: Messages::new(),
        frozen: None,
        restarts: 0,
        children,
        terminate,
        calls,
    };
    let begun = match desk.come_up(&mut parts::starter()?).await {
        Ok(begun) => begun,
        Err(end) => return Ok(end),
    };
    let session = match desk.begin() {
        Ok(session) => session,
        Err(error) => {
            let text = format!("the session command cannot be started: {error}");
            let _ = begun.send(Reply::Error { text: text.clone() });
            // Let the answer out before everything ends with us.
            tokio::task::yield_now().await;
            return Ok(LogonEnd::Failed(text));
        }
    };
    // If the host has gone away meanwhile, the desktop stays: another one adopts it.
    let _ = begun.send(Reply::Ok {});
    Ok(desk.live(session).await)
}

impl Desk {
    /// Waits for the host's word and for the display. An error is the end; so is the end of whoever started us,
    /// since nobody else knows of this desktop yet.
    async fn come_up(&mut self, starter: &mut pipe::Receiver) -> Result<oneshot::Sender<Reply>, LogonEnd> {
        let failed = |text: String| Err(LogonEnd::Failed(text));
        let deadline = Instant::now() + Duration::from_millis(self.job.begin_within_ms);
        let rdp = format!("{}/{}", inside::RUN, inside::RDP_SOCKET);
        let mut begun = None;
        let mut up = false;
        loop {
            if !up {
                let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
                // xrdp is told a path that begins with a dot, which it drops; the table has what is left.
                up = parts::listens(&table, inside::XRDP_DISPLAY) && parts::listens(&table, &rdp);
            }
            if up && let Some(begun) = begun.take() {
                return Ok(begun);
            }
            let next = if up { deadline } else { (Instant::now() + LOOK_EVERY).min(deadline) };
            let event = tokio::select! {
                event = self.event(next) => event,
                _ = starter.read_u8() => return failed("the service stopped during the start".into()),
            };
            match event {
                Event::Children => {
                    while let Some((pid, status)) = parts::reap() {
                        if pid == self.xorg {
                            return failed(format!("Xorg {}", describe(status)));
                        }
                        if Some(pid) == self.xrdp.pid() {
                            return failed(format!("xrdp {}", describe(status)));
                        }
                    }
                }
                Event::Terminate => return failed(TERMINATED.into()),
                Event::Call(call) => match call.request {
                    Request::Begin {} => begun = Some(call.reply),
                    Request::Logoff { .. } => {
                        let _ = call.reply.send(Reply::Ok {});
                        return Err(LogonEnd::Asked);
                    }
                    Request::Message { .. } | Request::Pause {} => {
                        refuse(call.reply, "the desktop is starting")
                    }
                    Request::Resume {} => drop(call.reply.send(Reply::Ok {})),
                    Request::Status {} => self.status(call.reply, "starting"),
                },
                Event::Time if Instant::now() < deadline => {}
                Event::Time if up => return failed("the host did not begin the session in time".into()),
                Event::Time => return failed("the display did not come up in time".into()),
            }
        }
    }

    /// Starts what runs with the user's rights to misbehave.
    fn begin(&mut self) -> io::Result<Pid> {
        if let Err(error) = self.chansrv.start() {
            say(&format!("no clipboard: {}: {error}", self.chansrv.program()));
        }
        parts::session(&self.job.session)
    }

    async fn live(&mut self, session: Pid) -> LogonEnd {
        let mut closing: Option<Closing> = None;
        loop {
            let next = match &closing {
                None if self.frozen.is_some() => Instant::now() + HOLD_EVERY,
                None => Instant::now() + GRACE_MAX,
                Some(Closing { step: Step::Windows { until, .. }, .. }) => *until,
                Some(Closing { deadline, .. }) => *deadline,
            };
            match self.event(next).await {
                Event::Children => {
                    while let Some((pid, status)) = parts::reap() {
                        if let Some(end) = self.reaped(pid, status, session, &mut closing) {
                            return end;
                        }
                    }
                }
                Event::Terminate => {
                    self.close(&mut closing, LogonEnd::Failed(TERMINATED.into()), self.grace())
                }
                Event::Call(call) => self.call(call, &mut closing).await,
                Event::Time => {}
            }
            self.hold();
            let Some(now_closing) = &mut closing else { continue };
            let now = Instant::now();
            if matches!(now_closing.step, Step::Windows { until, .. } if now >= until) {
                self.signal(now_closing);
            }
            if now >= now_closing.deadline {
                return now_closing.end.clone();
            }
            let nobody = matches!(now_closing.step, Step::Signals) && parts::others(&self.kept()).is_empty();
            // Where the display has died, that is the reason: its end is heard of next.
            if nobody && !(now_closing.end == LogonEnd::LoggedOff && parts::is_ending(self.xorg)) {
                return now_closing.end.clone();
            }
        }
    }

    /// A child has ended; `Some` if that is the end of all.
    fn reaped(
        &mut self,
        pid: Pid,
        status: WaitStatus,
        session: Pid,
        closing: &mut Option<Closing>,
    ) -> Option<LogonEnd> {
        if pid == self.xorg {
            return Some(match closing.take() {
                // The session's programs may notice the end of their display, and end, before we do.
                None | Some(Closing { end: LogonEnd::LoggedOff, .. }) => {
                    LogonEnd::Failed(format!("Xorg {}", describe(status)))
                }
                Some(closing) => closing.end,
            });
        }
        for part in [&mut self.xrdp, &mut self.chansrv] {
            if part.pid() != Some(pid) {
                continue;
            }
            say(&format!("{} {}", part.program(), describe(status)));
            let again = part.died(std::time::Instant::now()) && closing.is_none();
            self.restarts += u64::from(again);
            if again {
                part.start_unless(self.frozen.as_ref());
            }
        }
        if self.xrdp.pid().is_none() && !self.xrdp.is_due() && closing.is_none() {
            return Some(LogonEnd::Failed("xrdp died again and again".into()));
        }
        if pid == session && closing.is_none() {
            self.resume();
            let mut now = Closing {
                end: session_end(status),
                deadline: Instant::now() + self.grace(),
                step: Step::Signals,
            };
            self.signal(&mut now);
            *closing = Some(now);
        }
        if let Some(closing) = closing
            && let Step::Windows { closer, until } = &mut closing.step
        {
            if *closer == pid {
                *until = (*until).min(Instant::now() + SETTLE);
            } else if pid == session {
                self.signal(closing);
            }
        }
        None
    }

    async fn call(&mut self, call: Call, closing: &mut Option<Closing>) {
        match call.request {
            Request::Begin {} => refuse(call.reply, "the session has begun already"),
            Request::Logoff { grace_ms } => {
                self.close(closing, LogonEnd::Asked, Duration::from_millis(grace_ms));
                let _ = call.reply.send(Reply::Ok {});
            }
            Request::Message { .. } if closing.is_some() => refuse(call.reply, "the session is ending"),
            Request::Message { .. } if self.frozen.is_some() => refuse(call.reply, "the desktop is paused"),
            Request::Message { title, text } => self.messages.show(Message { title, text }, call.reply),
            Request::Pause {} if closing.is_some() => refuse(call.reply, "the session is ending"),
            Request::Pause {} => match self.pause().await {
                Ok(()) => drop(call.reply.send(Reply::Ok {})),
                Err(error) => refuse(call.reply, &format!("the desktop cannot be paused: {error}")),
            },
            Request::Resume {} => {
                self.resume();
                let _ = call.reply.send(Reply::Ok {});
            }
            Request::Status {} if closing.is_some() => self.status(call.reply, "closing"),
            Request::Status {} if self.frozen.is_some() => self.status(call.reply, "paused"),
            Request::Status {} => self.status(call.reply, "running"),
        }
    }

    async fn pause(&mut self) -> io::Result<()> {
        if self.frozen.is_none() {
            self.frozen = Some(freeze::freeze().await?);
        }
        Ok(())
    }

    fn resume(&mut self) {
        let Some(frozen) = self.frozen.take() else { return };
        frozen.thaw();
        for part in [&mut self.xrdp, &mut self.chansrv] {
            if part.is_due() {
                part.start_unless(None);
            }
        }
    }

    fn hold(&self) {
        if let Some(Err(error)) = self.frozen.as_ref().map(Frozen::hold) {
            say(&format!("what moves in a frozen desktop cannot be stopped: {error}"));
        }
    }

    /// Begins to end the session, or makes that which has begun quicker.
    fn close(&mut self, closing: &mut Option<Closing>, end: LogonEnd, grace: Duration) {
        self.resume();
        let now = Instant::now();
        let deadline = now + grace.min(GRACE_MAX);
        if let Some(closing) = closing {
            closing.deadline = closing.deadline.min(deadline);
            return;
        }
        // Half of the time for questions, the other half for those that did not answer.
        let step = match parts::close_windows() {
            Ok(closer) => Step::Windows { closer, until: now + (deadline - now) / 2 },
            Err(error) => {
                say(&format!("windows cannot be asked to close: {error}"));
                Step::Windows { closer: self.xorg, until: now }
            }
        };
        *closing = Some(Closing { end, deadline, step });
    }

    fn signal(&self, closing: &mut Closing) {
        closing.step = Step::Signals;
        parts::ask_to_end(&parts::others(&self.kept()));
    }

    /// The parts that the programs need up to their end.
    fn kept(&self) -> Vec<Pid> {
        [Some(self.xorg), self.xrdp.pid(), self.chansrv.pid()].into_iter().flatten().collect()
    }

    fn grace(&self) -> Duration {
        Duration::from_millis(self.job.grace_ms)
    }

    fn status(&self, reply: oneshot::Sender<Reply>, phase: &str) {
        let _ = reply.send(Reply::Status { phase: phase.to_owned(), restarts: self.restarts });
    }

    /// What happens next, at the latest at `next`.
    async fn event(&mut self, next: Instant) -> Event {
        tokio::select! {
            _ = self.children.recv() => Event::Children,
            _ = self.terminate.recv() => Event::Terminate,
            Some(call) = self.calls.recv() => Event::Call(call),
            () = tokio::time::sleep_until(next) => Event::Time,
        }
    }
}

/// Why the session command ended. Shells and launchers end with 128 and a signal's number when that signal has
/// killed what they ran for us.
fn session_end(status: WaitStatus) -> LogonEnd {
    let killed = |signal: i32| LogonEnd::Failed(format!("the session command was killed by signal {signal}"));
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) if NO_COMMAND.contains(&code) => {
            LogonEnd::Failed(format!("the session command {}", describe(status)))
        }
        (Some(code @ 129..=192), _) => killed(code - 128),
        (Some(_), _) => LogonEnd::LoggedOff,
        (None, Some(signal)) => killed(signal),
        (None, None) => LogonEnd::Failed("the session command ended".into()),
    }
}

fn refuse(reply: oneshot::Sender<Reply>, text: &str) {
    let _ = reply.send(Reply::Error { text: text.to_owned() });
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
