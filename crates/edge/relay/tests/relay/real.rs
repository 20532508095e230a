//! A real client (FreeRDP) and a real desktop (xrdp with xorgxrdp, on a Unix socket, as an unprivileged user).

use crate::fakes::{Certificate, LONG, Running};
use openrdms_broker::{
    Endpoint,
    ports::{Told, front::ConnectionEnd},
    session::DetachReason,
};
use openrdms_relay::{RelayConfig, SecurityPolicy};
use std::{
    fs,
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Who runs the desktop when the test is root.
const DESKTOP_UID: u32 = 23_456;
const TOOLS: [&str; 11] = [
    "/usr/bin/xfreerdp",
    "/usr/bin/rdesktop",
    "/usr/bin/Xvfb",
    "/usr/bin/xsetroot",
    "/usr/bin/import",
    "/usr/bin/xterm",
    "/usr/bin/setpriv",
    "/usr/sbin/xrdp",
    "/usr/bin/xrdp-keygen",
    "/usr/lib/xorg/Xorg",
    "/usr/lib/xorg/modules/drivers/xrdpdev_drv.so",
];

/// What the desktop shows.
const COLOUR: &str = "rgb(192,48,32)";

/// Children, ended when the test is.
#[derive(Default)]
struct Children(Vec<Child>);

struct Desktop {
    children: Children,
    dir: tempfile::TempDir,
    number: u32,
    uid: u32,
    endpoint: Endpoint,
    sha256: [u8; 32],
}

struct Screen {
    _children: Children,
    display: String,
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in self.0.iter_mut().rev() {
            // asked first: a display server that is killed leaves its lock behind
            let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            let asked = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
            if asked.is_some() {
                holds_within(Duration::from_secs(3), || ended(child));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// Whether the real programs are here. Where they must be and are not, the test fails.
fn tools() -> bool {
    let missing: Vec<_> = TOOLS.iter().filter(|t| !Path::new(t).exists()).collect();
    if missing.is_empty() {
        return true;
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "missing: {missing:?}");
    println!("SKIPPED: not installed: {missing:?}");
    false
}

/// Whether a condition comes true in time. It is outside of this process and cannot wake us, so it is looked at again
/// and again.
fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() >= limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn until(what: &str, holds: impl FnMut() -> bool) {
    assert!(holds_within(LONG, holds), "{what} did not happen");
}

/// A display number that nobody uses, and a claim on it within this process.
fn free_display() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = 1000 + std::process::id() % 20_000 + NEXT.fetch_add(40, Ordering::Relaxed);
    (first..first + 40)
        .find(|n| !Path::new(&format!("/tmp/.X{n}-lock")).exists())
        .expect("one of forty displays is free")
}

impl Desktop {
    fn start() -> Self {
        let root = rustix::process::geteuid().is_root();
        let uid = if root { DESKTOP_UID } else { rustix::process::geteuid().as_raw() };
        let dir = tempfile::Builder::new().prefix("rdms-desk").tempdir_in("/tmp").unwrap();
        let path = dir.path();
        let certificate = Certificate::new("desktop.test");
        let number = free_display();
        let xrdp_display = path.join(format!("xrdp_display_{number}"));
        fs::write(path.join("cert.pem"), &certificate.pem.0).unwrap();
        fs::write(path.join("key.pem"), &certificate.pem.1).unwrap();
        fs::write(path.join("xrdp.ini"), ini(path, &xrdp_display)).unwrap();
        run(Command::new("/usr/bin/xrdp-keygen").arg("xrdp").arg(path.join("rsakeys.ini")));
        if root {
            for entry in fs::read_dir(path).unwrap().map(|e| e.unwrap().path()).chain([path.to_owned()]) {
                chown(entry, Some(uid), Some(uid)).unwrap();
            }
        }
        let mut children = Children::default();
        let log = path.join("xorg.log");
        let xorg = as_user(uid, path, "/usr/lib/xorg/Xorg")
            .args([&format!(":{number}"), "-config", "xrdp/xorg.conf", "-noreset", "-nolisten", "tcp"])
            .args(["-nolisten", "local", "-logfile"])
            .arg(&log)
            .spawn();
        children.0.push(xorg.unwrap());
        until("Xorg's socket for xrdp", || xrdp_display.exists());
        run(as_user(uid, path, "/usr/bin/xsetroot")
            .env("DISPLAY", format!(":{number}"))
            .args(["-solid", "#C03020"]));
        let xrdp = as_user(uid, path, "/usr/sbin/xrdp").args(["-n", "-c"]).arg(path.join("xrdp.ini")).spawn();
        children.0.push(xrdp.unwrap());
        let socket = path.join("rdp.sock");
        until("xrdp's socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        let endpoint = Endpoint::Unix { path: socket, uid };
        Self { children, dir, number, uid, endpoint, sha256: certificate.sha256 }
    }

    /// Makes the desktop print as fast as it can.
    fn print(&mut self) {
        let mut terminal = as_user(self.uid, self.dir.path(), "/usr/bin/xterm");
        terminal.env("DISPLAY", format!(":{}", self.number)).args(["-geometry", "100x40+0+0", "-e", "yes"]);
        self.children.0.push(terminal.spawn().unwrap());
    }
}

/// A program that runs as the desktop's user and logs into its directory.
fn as_user(uid: u32, dir: &Path, program: &str) -> Command {
    let root = rustix::process::geteuid().is_root();
    let mut command = Command::new(if root { "/usr/bin/setpriv" } else { program });
    if root {
        let id = uid.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", program]);
    }
    let log = fs::File::create(dir.join(program.replace('/', "_"))).unwrap();
    command.current_dir("/").env("HOME", dir).env("XRDP_SOCKET_PATH", dir);
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    command
}

fn ini(dir: &Path, xrdp_display: &Path) -> String {
    let dir = dir.display();
    format!(
        "[Globals]\nini_version=1\nfork=true\nport=unix://.{dir}/rdp.sock\nsecurity_layer=tls\n\
         certificate={dir}/cert.pem\nkey_file={dir}/key.pem\nssl_protocols=TLSv1.2, TLSv1.3\nautorun=desk\n\
         allow_channels=true\nmax_bpp=32\nnew_cursors=true\nuse_fastpath=both\nhidelogwindow=true\n\
         require_credentials=false\n[Logging]\nLogFile={dir}/xrdp.log\nLogLevel=INFO\nEnableSyslog=false\n\
         [Channels]\nrdpdr=true\nrdpsnd=true\ndrdynvc=true\ncliprdr=true\nrail=false\n\
         [desk]\nname=desk\nlib=libxup.so\nusername=na\npassword=na\nip=127.0.0.1\nport={}\ncode=20\ndelay_ms=0\n",
        xrdp_display.display()
    )
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

impl Screen {
    /// A screen for the client.
    fn start() -> Self {
        let display = format!(":{}", free_display());
        let mut children = Children::default();
        let xvfb = Command::new("/usr/bin/Xvfb")
            .args([&display, "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        children.0.push(xvfb.unwrap());
        let socket = PathBuf::from(format!("/tmp/.X11-unix/X{}", &display[1..]));
        until("Xvfb's socket", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self { _children: children, display }
    }

    fn client(&self, relay: &Running, password: &str) -> Child {
        let mut command = Command::new("/usr/bin/xfreerdp");
        command.args(["/u:alice", "/cert:ignore", "/sec:tls", "/size:1024x768", "/log-level:INFO"]);
        command.arg(format!("/v:{}", relay.addr)).arg(format!("/p:{password}"));
        command.env("DISPLAY", &self.display).env("HOME", "/tmp").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Waits until the client shows the desktop's colour.
fn shown(screen: &Screen) {
    until("the desktop on the client's screen", || {
        let pixel = Command::new("/usr/bin/import")
            .args(["-display", &screen.display, "-window", "root", "-crop", "1x1+1000+700", "txt:-"])
            .output();
        String::from_utf8_lossy(&pixel.unwrap().stdout).contains(COLOUR)
    });
}

/// Waits for the client to exit by itself.
async fn exit(client: Child) -> (i32, String) {
    let output: Output = tokio::task::spawn_blocking(|| client.wait_with_output()).await.unwrap().unwrap();
    let log = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&log).into_owned())
}

fn config() -> RelayConfig {
    // a loaded machine may take long to start xrdp's child
    let mut config =
        RelayConfig { security: SecurityPolicy { nla: false, tls: true }, ..RelayConfig::default() };
    config.limits.bind = LONG;
    config
}

fn signal(child: &Child, name: &str) {
    run(Command::new("/bin/kill").arg(format!("-{name}")).arg(child.id().to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_sees_a_real_desktop_and_each_order_reaches_it() {
    if !tools() {
        return;
    }
    let (desktop, screen) = (Desktop::start(), Screen::start());
    let mut relay = Running::start(config(), Ok((desktop.endpoint.clone(), desktop.sha256))).await;
    let orders = [
        (DetachReason::Administrator, "ERRINFO_RPC_INITIATED_DISCONNECT", 1),
        (DetachReason::Logoff, "ERRINFO_RPC_INITIATED_LOGOFF", 2),
        (DetachReason::TakenOver, "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION", 5),
        (DetachReason::Administrator, "ERRINFO_RPC_INITIATED_DISCONNECT", 1),
    ];
    for (reason, name, code) in orders {
        let client = screen.client(&relay, "secret");
        let (_, kill) = relay.attached().await;
        relay.activated().await;
        tokio::task::block_in_place(|| shown(&screen));
        kill.throw(reason);
        assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
        let (status, log) = exit(client).await;
        assert!(log.contains(name), "{reason:?}: {log}");
        assert_eq!(status, code, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_reaches_a_real_client_in_the_middle_of_heavy_output() {
    if !tools() {
        return;
    }
    let (mut desktop, screen) = (Desktop::start(), Screen::start());
    desktop.print();
    let mut relay = Running::start(config(), Ok((desktop.endpoint.clone(), desktop.sha256))).await;
    for _ in 0..5 {
        let client = screen.client(&relay, "secret");
        let (_, kill) = relay.attached().await;
        relay.activated().await;
        tokio::task::block_in_place(|| shown(&screen));
        kill.throw(DetachReason::Administrator);
        assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
        let (status, log) = exit(client).await;
        assert!(log.contains("ERRINFO_RPC_INITIATED_DISCONNECT"), "{log}");
        assert_eq!(status, 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_that_is_stopped_does_not_hold_up_an_order() {
    if !tools() {
        return;
    }
    let (desktop, screen) = (Desktop::start(), Screen::start());
    let mut relay = Running::start(config(), Ok((desktop.endpoint.clone(), desktop.sha256))).await;
    let mut client = screen.client(&relay, "secret");
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    signal(&client, "STOP");
    let begun = Instant::now();
    kill.throw(DetachReason::Administrator);
    let end = relay.closed().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(matches!(end, ConnectionEnd::Ordered(Told::Sent | Told::NotTold)), "{end:?}");
    client.kill().unwrap();
    client.wait().unwrap();
    // and the desktop is still there for the next
    let client = screen.client(&relay, "secret");
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    kill.throw(DetachReason::Administrator);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
    exit(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_that_is_killed_leaves_and_one_with_a_wrong_password_is_told() {
    if !tools() {
        return;
    }
    let (desktop, screen) = (Desktop::start(), Screen::start());
    let mut relay = Running::start(config(), Ok((desktop.endpoint.clone(), desktop.sha256))).await;
    let mut client = screen.client(&relay, "secret");
    relay.attached().await;
    relay.activated().await;
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(relay.closed().await, ConnectionEnd::ClientGone);

    let (_, log) = exit(screen.client(&relay, "wrong")).await;
    assert!(log.contains("ERRINFO_SERVER_FRESH_CREDENTIALS_REQUIRED"), "{log}");
    assert!(relay.seen.try_recv().is_err(), "the broker is not even asked");
}

/// A client with a parser of its own, which finds things at fixed places where others look for them.
#[tokio::test(flavor = "multi_thread")]
async fn rdesktop_sees_the_desktop_too_and_is_told() {
    if !tools() {
        return;
    }
    let (desktop, screen) = (Desktop::start(), Screen::start());
    let mut relay = Running::start(config(), Ok((desktop.endpoint.clone(), desktop.sha256))).await;
    let home = tempfile::tempdir().unwrap();
    let mut client = Command::new("/usr/bin/rdesktop")
        .args(["-u", "alice", "-p", "secret", "-g", "1024x768", &relay.addr.to_string()])
        .env("DISPLAY", &screen.display)
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // it asks whether the certificate is to be trusted
    client.stdin.take().unwrap().write_all(b"yes\n").unwrap();
    let (_, kill) = relay.attached().await;
    relay.activated().await;
    tokio::task::block_in_place(|| shown(&screen));
    kill.throw(DetachReason::Administrator);
    assert_eq!(relay.closed().await, ConnectionEnd::Ordered(Told::Told));
    let (_, log) = exit(client).await;
    assert!(log.contains("Administrator initiated disconnect"), "{log}");
}
