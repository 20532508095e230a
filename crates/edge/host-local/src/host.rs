//! The Host port. Every piece of work runs in a task of its own, so that a caller who goes away cancels
//! the waiting and never half of the work; and there is one piece of work at a time for each desktop.

use crate::config::LocalConfig;
use crate::control::{self, Reply, Request};
use crate::end_record::{self, RECORD_MAX, WORDS_MAX};
use crate::files::{self, Owner};
use crate::identity::Process;
use crate::inside::{self, Job};
use crate::launch::{self, Plan};
use crate::layout::{DeskDir, Layout, unix_name};
use crate::provision;
use crate::trash::Trash;
use openrdms_broker::ports::{Home, Host, HostError, LogonEnd, Prepared, StartDesktop};
use openrdms_broker::{DesktopHandle, DesktopName, Endpoint, HostName, UserName};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

mod begin;

use begin::Sandbox;

/// How long a message may take to appear.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long the supervisor may take to say that it heard.
const HEAR_WITHIN: Duration = Duration::from_secs(5);
/// How long a desktop may take to stand still or to run on; more than its supervisor gives it.
const FREEZE_WITHIN: Duration = Duration::from_secs(8);
/// Between SIGKILL and the end of a process namespace.
const DIE_WITHIN: Duration = Duration::from_secs(10);
const TITLE_MAX: usize = 256;
const TEXT_MAX: usize = 4096;

/// Desktops on this machine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalHost(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: LocalConfig,
    layout: Layout,
    binary: PathBuf,
    boot_id: String,
    trash: Arc<Trash>,
    starting: Arc<Semaphore>,
    /// One permit for each desktop that there is work for: whoever has it is the only one who changes it.
    turns: Mutex<HashMap<DesktopName, Arc<Semaphore>>>,
}

/// `current.json`: what the host itself knows about the latest run of a desktop.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Current {
    handle: DesktopHandle,
    /// Whose it is.
    user: UserName,
    /// That it was asked to end, by us.
    asked: bool,
}

impl LocalHost {
    pub(crate) fn new(
        config: LocalConfig,
        layout: Layout,
        binary: PathBuf,
        boot_id: String,
        trash: Trash,
    ) -> Self {
        let starting = Arc::new(Semaphore::new(config.max_starting));
        let (trash, turns) = (Arc::new(trash), Mutex::default());
        Self(Arc::new(Inner { config, layout, binary, boot_id, trash, starting, turns }))
    }

    /// Runs work on a desktop to its end, even if the caller goes away.
    async fn work<T, F>(
        &self,
        desktop: &DesktopName,
        work: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, HostError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HostError>> + Send + 'static,
    {
        let turn = self.0.turn(desktop);
        let work = work(Arc::clone(&self.0));
        let task = tokio::spawn(async move {
            let _turn = turn.acquire_owned().await.map_err(closed)?;
            work.await
        });
        task.await.unwrap_or_else(|e| Err(failed("a task of the local host")(io::Error::other(e))))
    }
}

#[async_trait::async_trait]
impl Host for LocalHost {
    fn name(&self) -> &HostName {
        &self.0.config.name
    }

    fn kind(&self) -> &'static str {
        "local"
    }

    fn boot_id(&self) -> &str {
        &self.0.boot_id
    }

    async fn prepare(&self, desktop: &DesktopName) -> Result<Prepared, HostError> {
        let name = desktop.clone();
        self.work(desktop, |inner| async move { inner.prepare(&name).await }).await
    }

    async fn prepared(&self) -> Result<Vec<DesktopName>, HostError> {
        let layout = self.0.layout.clone();
        let found = blocking(move || {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(layout.desktops())? {
                let name = entry?.file_name();
                // whatever has another name is no desktop's
                found.extend(name.to_str().and_then(|name| DesktopName::new(name).ok()));
            }
            Ok(found)
        });
        found.await.map_err(failed("listing the desktops' files"))
    }

    async fn start(&self, start: StartDesktop) -> Result<DesktopHandle, HostError> {
        let name = start.desktop.clone();
        self.work(&name, |inner| async move { inner.start(start).await }).await
    }

    async fn ended(&self, desktop: &DesktopName, handle: &DesktopHandle) -> LogonEnd {
        if let Some(process) = Process::of(handle, &self.0.boot_id)
            && let Err(error) = process.ended().await
        {
            tracing::error!(%desktop, %error, "a desktop's end cannot be waited for");
            return LogonEnd::Failed(format!("the end cannot be waited for: {error}"));
        }
        let (name, of) = (desktop.clone(), handle.clone());
        let thrown = self.work(desktop, |inner| async move { inner.throw_home_away(&name, &of).await }).await;
        if let Err(error) = thrown {
            tracing::warn!(%desktop, %error, "a home is thrown away before the next start only");
        }
        self.0.end_of(&self.0.layout.desktop(desktop), handle)
    }

    async fn found(&self, desktop: &DesktopName, user: &UserName) -> Option<DesktopHandle> {
        let current = self.0.running_now(&self.0.layout.desktop(desktop))?;
        (current.user == *user).then_some(current.handle)
    }

    async fn running(&self, handle: &DesktopHandle) -> bool {
        Process::of(handle, &self.0.boot_id).is_some()
    }

    async fn logoff(
        &self,
        desktop: &DesktopName,
        handle: &DesktopHandle,
        grace: Duration,
    ) -> Result<(), HostError> {
        let (name, handle) = (desktop.clone(), handle.clone());
        self.work(desktop, |inner| async move { inner.logoff(&name, &handle, grace).await }).await
    }

    async fn message(
        &self,
        _desktop: &DesktopName,
        handle: &DesktopHandle,
        title: &str,
        text: &str,
    ) -> Result<(), HostError> {
        if title.chars().count() > TITLE_MAX || text.chars().count() > TEXT_MAX {
            let text = format!("a message holds {TEXT_MAX} characters and its title {TITLE_MAX}");
            return Err(HostError::Invalid(text));
        }
        let request = Request::Message { title: title.to_owned(), text: text.to_owned() };
        self.0.tell(handle, &request, MESSAGE_WITHIN, "show the message").await
    }

    async fn pause(&self, desktop: &DesktopName, handle: &DesktopHandle) -> Result<(), HostError> {
        let handle = handle.clone();
        let freeze = |inner: Arc<Inner>| async move {
            inner.tell(&handle, &Request::Pause {}, FREEZE_WITHIN, "pause").await
        };
        self.work(desktop, freeze).await
    }

    async fn resume(&self, desktop: &DesktopName, handle: &DesktopHandle) -> Result<(), HostError> {
        let handle = handle.clone();
        let thaw = |inner: Arc<Inner>| async move {
            inner.tell(&handle, &Request::Resume {}, FREEZE_WITHIN, "resume").await
        };
        self.work(desktop, thaw).await
    }

    async fn remove(&self, desktop: &DesktopName) -> Result<(), HostError> {
        let name = desktop.clone();
        self.work(desktop, |inner| async move { inner.remove(&name).await }).await
    }
}

impl Inner {
    fn turn(&self, desktop: &DesktopName) -> Arc<Semaphore> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Desktops come and go; nobody else holds the turns that nobody is using.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(desktop.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    async fn prepare(&self, name: &DesktopName) -> Result<Prepared, HostError> {
        let (desk, name) = (self.layout.desktop(name), name.clone());
        if !desk.fits() {
            let text = format!(
                "the name of desktop {name} is too long for a data directory of {} bytes",
                self.layout.root().as_os_str().len()
            );
            return Err(HostError::Invalid(text));
        }
        let made = blocking(move || provision::prepare(&desk, &name)).await;
        Ok(Prepared { certificate_sha256: made.map_err(failed("preparing the desktop"))? })
    }

    /// The first client's size is not looked at: xorgxrdp refuses every change of the screen's size but
    /// that which xrdp asks for when a client connects, and that comes right after the start.
    async fn start(&self, start: StartDesktop) -> Result<DesktopHandle, HostError> {
        let us = rustix::process::geteuid();
        let uid = if us.is_root() { start.uid } else { us.as_raw() };
        if uid == 0 {
            return Err(HostError::Invalid("a desktop never runs as root".into()));
        }
        let desk = self.layout.desktop(&start.desktop);
        if let Some(current) = self.running_now(&desk) {
            let theirs =
                matches!(&current.handle.endpoint, Endpoint::Unix { uid: theirs, .. } if *theirs == uid);
            return if theirs && current.user == start.user {
                Ok(current.handle)
            } else {
                Err(HostError::Busy("the desktop is running for another user".into()))
            };
        }
        let _admitted = self.admit().await?;
        let began = Instant::now();
        self.prepare(&start.desktop).await?;
        let account = unix_name(&start.user);
        let homes = self.layout.collection_homes(&start.collection);
        let home = match start.home {
            Home::Kept => self.layout.home(&start.collection, &start.user),
            Home::Fresh => desk.home(),
        };
        let job = self.job();
        let (files_desk, user, files_home) = (desk.clone(), start.user.clone(), home.clone());
        let trash = Arc::clone(&self.trash);
        let filled = blocking(move || {
            // What a logon left that ended without us goes in any case.
            trash.take(&files_desk.home())?;
            match start.home {
                Home::Kept => provision::home(&homes, &files_home, uid)?,
                Home::Fresh => files::directory(&files_home, 0o700, Owner::Desk(uid))?,
            }
            provision::fill(&files_desk, &trash, &user, uid, &job)
        });
        filled.await.map_err(failed("laying out the desktop's files"))?;

        let plan = Plan {
            desk: &desk,
            hostname: start.desktop.as_str(),
            home: &home,
            account: &account,
            uid,
            binary: &self.binary,
            network: self.config.network,
            limits: &self.config.limits,
        };
        let outer = launch::spawn(&plan).map_err(failed("starting the sandbox"))?;
        let found = Sandbox::new(outer, self.config.start_timeout).find(&desk, uid).await?;
        let handle = DesktopHandle {
            pid: found.process().pid,
            start_time: found.process().start_time,
            boot_id: self.boot_id.clone(),
            endpoint: Endpoint::Unix { path: desk.rdp_socket(), uid },
        };
        // Before the session begins: from now on the next of us finds the desktop if we die; up to here the
        // supervisor ends with us.
        let user = start.user.clone();
        write_current(&desk, &Current { handle: handle.clone(), user, asked: false })?;
        found.begin(&desk).await?.let_go();
        let took = began.elapsed();
        tracing::info!(desktop = %start.desktop, user = %start.user, uid, pid = handle.pid, ?took, "desktop started");
        Ok(handle)
    }

    /// Waits for a place among those that may start.
    async fn admit(&self) -> Result<OwnedSemaphorePermit, HostError> {
        let turn = Arc::clone(&self.starting).acquire_owned();
        match tokio::time::timeout(self.config.start_timeout, turn).await {
            Ok(permit) => permit.map_err(closed),
            Err(_) => {
                Err(HostError::Busy(format!("{} desktops are starting already", self.config.max_starting)))
            }
        }
    }

    fn job(&self) -> Job {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Job {
            session: self.config.session_command.clone(),
            processes: self.config.limits.processes,
            open_files: self.config.limits.open_files,
            data_bytes: self.config.limits.data_bytes,
            begin_within_ms: millis(self.config.start_timeout),
            grace_ms: millis(self.config.grace),
        }
    }

    async fn logoff(
        &self,
        name: &DesktopName,
        handle: &DesktopHandle,
        grace: Duration,
    ) -> Result<(), HostError> {
        let Some(process) = Process::of(handle, &self.boot_id) else { return Ok(()) };
        let desk = self.layout.desktop(name);
        // First, so that the end is known as asked for even if the supervisor has to be killed.
        if let Some(current) = read_current(&desk).filter(|c| c.handle == *handle) {
            write_current(&desk, &Current { asked: true, ..current })?;
        }
        let request = Request::Logoff { grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) };
        let heard = control::call(handle, &request, HEAR_WITHIN).await;
        let kept = match heard {
            Ok(Reply::Ok {}) => tokio::time::timeout(grace + HEAR_WITHIN, process.ended()).await.is_ok(),
            Ok(_) | Err(_) => false,
        };
        if !kept {
            tracing::warn!(desktop = %name, "the desktop's supervisor does not end it; it is killed");
            process.kill();
        }
        match tokio::time::timeout(DIE_WITHIN, process.ended()).await {
            Ok(ended) => ended.map_err(failed("waiting for the desktop's end"))?,
            Err(_) => return Err(HostError::TimedOut { what: "end the desktop", limit: grace + DIE_WITHIN }),
        }
        self.throw_home_away(name, handle).await
    }

    /// Has the supervisor of a running desktop do something.
    async fn tell(
        &self,
        handle: &DesktopHandle,
        request: &Request,
        limit: Duration,
        what: &'static str,
    ) -> Result<(), HostError> {
        let _running = Process::of(handle, &self.boot_id).ok_or(HostError::NotRunning)?;
        match control::call(handle, request, limit).await {
            Ok(Reply::Ok {}) => Ok(()),
            Ok(Reply::Error { text }) => Err(HostError::Failed(files::plain(&text, WORDS_MAX))),
            Ok(Reply::Status { .. }) => Err(HostError::Failed("the desktop answered something else".into())),
            Err(control::ControlError::TimedOut) => Err(HostError::TimedOut { what, limit }),
            Err(error) if Process::of(handle, &self.boot_id).is_some() => {
                Err(failed("speaking to a desktop's supervisor")(error))
            }
            Err(_) => Err(HostError::NotRunning),
        }
    }

    /// The home of a logon that began with a fresh one, unless the next one has begun.
    async fn throw_home_away(&self, name: &DesktopName, handle: &DesktopHandle) -> Result<(), HostError> {
        let desk = self.layout.desktop(name);
        let ours = read_current(&desk).is_some_and(|current| current.handle == *handle);
        if !ours || Process::of(handle, &self.boot_id).is_some() {
            return Ok(());
        }
        let trash = Arc::clone(&self.trash);
        blocking(move || trash.take(&desk.home())).await.map_err(failed("throwing a home away"))
    }

    async fn remove(&self, name: &DesktopName) -> Result<(), HostError> {
        let desk = self.layout.desktop(name);
        if self.running_now(&desk).is_some() {
            return Err(HostError::Busy("the desktop is running".into()));
        }
        let trash = Arc::clone(&self.trash);
        blocking(move || trash.take(&desk.0)).await.map_err(failed("removing the desktop"))
    }

    /// The latest run of a desktop, if it has not ended.
    fn running_now(&self, desk: &DeskDir) -> Option<Current> {
        running_now(desk, &self.boot_id)
    }

    /// Why a run ended. That we asked is known to us; all else is what the desktop says about itself.
    fn end_of(&self, desk: &DeskDir, handle: &DesktopHandle) -> LogonEnd {
        let Some(current) = read_current(desk).filter(|c| c.handle == *handle) else {
            return LogonEnd::Vanished;
        };
        if current.asked {
            return LogonEnd::Asked;
        }
        let record = files::read_hostile(&desk.run().join(inside::END_RECORD), RECORD_MAX);
        record.map_or(LogonEnd::Vanished, |record| end_record::read(&record))
    }
}

fn running_now(desk: &DeskDir, boot_id: &str) -> Option<Current> {
    read_current(desk).filter(|current| Process::of(&current.handle, boot_id).is_some())
}

/// Makes what a service that was killed left of a desktop as it would have made it itself.
pub(crate) fn tidy(desk: &DeskDir, trash: &Trash, boot_id: &str) -> io::Result<()> {
    files::remove_drafts(&desk.0)?;
    if running_now(desk, boot_id).is_none() { trash.take(&desk.home()) } else { Ok(()) }
}

fn read_current(desk: &DeskDir) -> Option<Current> {
    serde_json::from_slice(&files::read_hostile(&desk.current(), RECORD_MAX).ok()?).ok()
}

fn write_current(desk: &DeskDir, current: &Current) -> Result<(), HostError> {
    let bytes = serde_json::to_vec(current).expect("a handle holds nothing that JSON cannot");
    files::write_durable(&desk.current(), &bytes, 0o600, Owner::Us)
        .map_err(failed("noting the desktop's state"))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// The port's errors carry text only, so the cause goes into the log.
fn failed<E: std::error::Error>(what: &'static str) -> impl FnOnce(E) -> HostError {
    move |error| {
        let mut causes = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            causes = format!("{causes}: {cause}");
            next = cause.source();
        }
        tracing::error!(error = causes, "{what} failed");
        HostError::Failed(format!("{what} failed: {causes}"))
    }
}

fn closed(_: tokio::sync::AcquireError) -> HostError {
    HostError::Failed("the local host is going away".into())
}
