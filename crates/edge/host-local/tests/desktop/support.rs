//! A host of its own for each test, and a way to look into its desktops from outside.

use openrdms_broker::ports::{Home, Host as _, StartDesktop};
use openrdms_broker::{CollectionAlias, DesktopHandle, DesktopName, HostName, UserName};
use openrdms_host_local::{LocalConfig, LocalHost};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nothing in these tests takes nearly as long, on however busy a machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// A session that does nothing but stay.
pub(crate) const IDLE: &str = "exec sleep 100000";

pub(crate) struct Bench {
    pub(crate) host: LocalHost,
    pub(crate) dir: tempfile::TempDir,
    started: std::sync::Mutex<Vec<DesktopHandle>>,
}

/// Whether this machine can run desktops; says so if not, and is a failure in CI.
pub(crate) fn possible() -> bool {
    let programs = ["/usr/bin/bwrap", "/usr/lib/xorg/Xorg", "/usr/sbin/xrdp", "/usr/bin/openbox"];
    let missing: Vec<_> = programs.into_iter().filter(|p| !Path::new(p).exists()).collect();
    missing.is_empty() || skipped(&format!("not installed: {missing:?}"))
}

/// Whether it can run them as several users.
pub(crate) fn possible_as_root() -> bool {
    possible() && (rustix::process::geteuid().is_root() || skipped("this test needs root"))
}

#[expect(clippy::print_stdout, reason = "a test that does not run says so")]
pub(crate) fn skipped(why: &str) -> bool {
    println!("SKIPPED: {why}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI everything has to be there: {why}");
    false
}

impl Bench {
    pub(crate) fn new(script: &str) -> Self {
        Self::with(|config| config.session_command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec())
    }

    pub(crate) fn with(change: impl FnOnce(&mut LocalConfig)) -> Self {
        let dir = tempfile::Builder::new().prefix("ordms").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let mut config = config(dir.path());
        change(&mut config);
        Self { host: config.build().unwrap(), dir, started: Default::default() }
    }

    pub(crate) async fn start(&self, desktop: &str, user: &str, uid: u32) -> DesktopHandle {
        self.start_as(request(desktop, user, uid)).await
    }

    pub(crate) async fn start_as(&self, start: StartDesktop) -> DesktopHandle {
        let handle = self.host.start(start).await.unwrap();
        self.started.lock().unwrap().push(handle.clone());
        handle
    }

    pub(crate) fn home(&self, user: &str) -> PathBuf {
        self.dir.path().join("homes/pool").join(format!("{user}@farm"))
    }

    /// What a session wrote into its home, when it has written a whole line.
    pub(crate) async fn written(&self, user: &str, file: &str) -> String {
        let path = self.home(user).join(file);
        let mut text = String::new();
        eventually(&format!("{} is written", path.display()), || {
            text = std::fs::read_to_string(&path).unwrap_or_default();
            text.ends_with('\n')
        })
        .await;
        text
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Process 1 of each desktop that a failed test left behind.
        for handle in self.started.lock().unwrap().iter() {
            for pid in inside(handle) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

pub(crate) fn config(dir: &Path) -> LocalConfig {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_openrdms-test-desk"));
    let mut config = LocalConfig::new(HostName::new("bench").unwrap(), dir.to_owned(), binary);
    config.start_timeout = PATIENCE;
    config
}

pub(crate) fn name(desktop: &str) -> DesktopName {
    DesktopName::new(desktop).unwrap()
}

pub(crate) fn request(desktop: &str, user: &str, uid: u32) -> StartDesktop {
    StartDesktop {
        desktop: name(desktop),
        collection: CollectionAlias::new("pool").unwrap(),
        user: UserName::new("FARM", user).unwrap(),
        uid,
        size: (1280, 800),
        home: Home::Kept,
    }
}

/// Waits for a condition on the world outside, which gives no event.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The process namespace of a running desktop.
pub(crate) fn namespace(handle: &DesktopHandle, kind: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/{}/ns/{kind}", handle.pid)).unwrap()
}

/// Every process of the desktop, seen from outside; none if it has ended.
pub(crate) fn inside(handle: &DesktopHandle) -> Vec<rustix::process::Pid> {
    std::fs::read_link(format!("/proc/{}/ns/pid", handle.pid)).map(|ns| members(&ns)).unwrap_or_default()
}

/// Every process of a process namespace, zombies excepted, seen from outside.
pub(crate) fn members(namespace: &Path) -> Vec<rustix::process::Pid> {
    assert_ne!(
        std::fs::read_link("/proc/self/ns/pid").unwrap(),
        namespace,
        "that would be all of the machine"
    );
    let pids =
        std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let lives = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        !status.contains("\nState:\tZ") && !status.contains("\nState:\tX")
    };
    pids.filter(|pid: &i32| {
        std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|ns| ns == namespace) && lives(pid)
    })
    .filter_map(rustix::process::Pid::from_raw)
    .collect()
}

/// The process of the desktop that runs a program.
pub(crate) fn find(handle: &DesktopHandle, program: &str) -> Option<rustix::process::Pid> {
    let found = |pid: &rustix::process::Pid| {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
        comm.is_ok_and(|c| c.trim() == program)
    };
    inside(handle).into_iter().find(found)
}
