//! The sandbox's command line, and starting it. Decides what a desktop can see: the system's programs,
//! read-only; its own few files of `/etc`; its home; nothing else of the machine.

use crate::config::{Limits, Network};
use crate::inside;
use crate::layout::DeskDir;
use crate::provision::DNS;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// Bytes of the file systems in memory that hold sockets and small state only.
const SMALL: u64 = 64 << 20;
/// What the programs of a desktop read from the machine's `/etc`, where it exists.
const SYSTEM_ETC: [&str; 13] = [
    "/etc/X11",
    "/etc/xrdp",
    "/etc/fonts",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/xdg",
    "/etc/dbus-1",
    "/etc/gtk-3.0",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/etc/mime.types",
    "/etc/bash.bashrc",
];
/// Files of a desktop's own `/etc`.
const OWN_ETC: [&str; 5] = ["passwd", "group", "hosts", "nsswitch.conf", "resolv.conf"];

/// One start of one desktop.
pub(crate) struct Plan<'a> {
    pub(crate) desk: &'a DeskDir,
    pub(crate) hostname: &'a str,
    pub(crate) home: &'a Path,
    pub(crate) account: &'a str,
    pub(crate) uid: u32,
    pub(crate) binary: &'a Path,
    pub(crate) network: Network,
    pub(crate) limits: &'a Limits,
}

/// A list of arguments that is written down the way it is read.
struct Arguments(Vec<OsString>);

impl Arguments {
    fn add<const N: usize>(&mut self, arguments: [&str; N]) {
        self.0.extend(arguments.map(OsString::from));
    }

    fn mount(&mut self, how: &str, from: PathBuf, to: &str) {
        self.0.extend([how.into(), from.into_os_string(), to.into()]);
    }
}

/// The whole command: a session of its own (so that no terminal of ours can signal it), pasta where the
/// desktop has a network, bubblewrap, our supervisor as process 1.
pub(crate) fn command(plan: &Plan<'_>) -> Vec<OsString> {
    let mut all = Arguments(Vec::with_capacity(160));
    all.add(["/usr/bin/setsid"]);
    if plan.network == Network::Outbound {
        // No connection from the machine, and none to the machine by way of the gateway's address.
        all.add(["/usr/bin/pasta", "--config-net", "-q", "-f", "--no-map-gw", "--dns-forward", DNS]);
        all.add(["-t", "none", "-u", "none", "-T", "none", "-U", "none", "--"]);
    }
    all.add(["/usr/bin/bwrap", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]);
    all.add(["--unshare-cgroup-try", "--hostname", plan.hostname, "--new-session", "--cap-drop", "ALL"]);
    // Process 1 is ours: when it ends, for whatever reason, the kernel ends the desktop.
    all.add(["--as-pid-1"]);
    let uid = plan.uid.to_string();
    match plan.network {
        Network::None => all.add(["--unshare-net"]),
        // pasta has mapped the desktop's uid to its own root; this maps it back.
        Network::Outbound => all.add(["--uid", &uid, "--gid", &uid]),
    }
    file_systems(&mut all, plan);
    environment(&mut all, plan);
    all.add(["--", inside::BINARY, "desktop-supervisor"]);
    all.0.push(format!("{}/{}", inside::ETC, inside::JOB).into());
    all.0
}

/// Starts the sandbox as the desktop's uid. Once its session has begun it outlives us: its output goes to a file,
/// and what it reads is not read any more.
pub(crate) fn spawn(plan: &Plan<'_>) -> io::Result<Child> {
    let log = plan.desk.start_log();
    let _ = std::fs::remove_file(&log);
    let log = File::options().write(true).create_new(true).mode(0o600).open(log)?;
    let mut words = command(plan).into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    // The one end of a pipe whose other end only we have: until the session begins, our death is its end.
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    if rustix::process::geteuid().is_root() {
        // With a uid, the standard library also drops root's supplementary groups.
        command.gid(plan.uid).uid(plan.uid);
    }
    command.spawn()
}

fn file_systems(all: &mut Arguments, plan: &Plan<'_>) {
    let (tmp, small) = (plan.limits.tmp_bytes.to_string(), SMALL.to_string());
    all.add(["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"]);
    all.add(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]);
    all.add(["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", &tmp, "--tmpfs", "/dev/shm"]);
    all.add([
        "--perms",
        "1777",
        "--size",
        &tmp,
        "--tmpfs",
        "/tmp",
        "--perms",
        "1777",
        "--dir",
        "/tmp/.X11-unix",
    ]);
    all.add(["--size", &small, "--tmpfs", "/run", "--perms", "0700", "--dir", inside::RUNTIME]);
    all.add(["--perms", "0755", "--dir", "/run/xrdp", "--perms", "0700", "--dir", "/run/xrdp/sockdir"]);
    all.add(["--size", &small, "--tmpfs", "/var", "--dir", "/var/tmp", "--dir", "/var/lib/xkb"]);
    all.add(["--ro-bind-try", "/var/cache/fontconfig", "/var/cache/fontconfig", "--dir", "/etc"]);
    for path in SYSTEM_ETC {
        all.add(["--ro-bind-try", path, path]);
    }
    let etc = plan.desk.etc();
    for name in OWN_ETC {
        all.mount("--ro-bind", etc.join(name), &format!("/etc/{name}"));
    }
    all.mount("--ro-bind", etc, inside::ETC);
    all.mount("--ro-bind", plan.binary.to_owned(), inside::BINARY);
    all.mount("--bind", plan.desk.log(), inside::LOG);
    all.mount("--bind", plan.desk.run(), inside::RUN);
    let home = format!("/home/{}", plan.account);
    all.mount("--bind", plan.home.to_owned(), &home);
    // The root of the sandbox is a file system in memory too: without a limit it would be one more /tmp.
    all.add(["--remount-ro", "/", "--chdir", &home]);
}

fn environment(all: &mut Arguments, plan: &Plan<'_>) {
    let home = format!("/home/{}", plan.account);
    all.add(["--clearenv", "--setenv", "HOME", &home, "--setenv", "USER", plan.account]);
    all.add(["--setenv", "LOGNAME", plan.account, "--setenv", "SHELL", "/bin/bash"]);
    all.add(["--setenv", "LANG", "C.UTF-8", "--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin"]);
    all.add(["--setenv", "DISPLAY", inside::DISPLAY, "--setenv", "XAUTHORITY", inside::XAUTHORITY]);
    all.add([
        "--setenv",
        "XDG_RUNTIME_DIR",
        inside::RUNTIME,
        "--setenv",
        "XRDP_SOCKET_PATH",
        inside::RUNTIME,
    ]);
    all.add(["--setenv", "XDG_SESSION_TYPE", "x11"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(network: Network) -> Vec<String> {
        let plan = Plan {
            desk: &DeskDir("/d/desktops/a".into()),
            hostname: "a",
            home: Path::new("/d/homes/c/u"),
            account: "u",
            uid: 20001,
            binary: Path::new("/d/bin/openrdms"),
            network,
            limits: &Limits::default(),
        };
        command(&plan).into_iter().map(|w| w.into_string().unwrap()).collect()
    }

    #[test]
    fn only_the_run_log_and_home_directories_can_be_written() {
        let words = words(Network::None);
        let bound: Vec<&[String]> = words.windows(3).filter(|w| w[0] == "--bind").collect();
        assert_eq!(bound.len(), 3);
        assert!(bound.iter().all(|w| w[1].starts_with("/d/")), "{bound:?}");
    }

    #[test]
    fn a_desktop_has_no_network_unless_it_is_given_one() {
        assert!(words(Network::None).contains(&"--unshare-net".to_owned()));
        let outbound = words(Network::Outbound);
        assert!(!outbound.contains(&"--unshare-net".to_owned()));
        assert_eq!(outbound[1], "/usr/bin/pasta");
    }

    #[test]
    fn the_desktop_never_outlives_its_supervisor_and_never_dies_with_us() {
        for network in [Network::None, Network::Outbound] {
            let words = words(network);
            assert!(words.contains(&"--as-pid-1".to_owned()));
            assert!(!words.contains(&"--die-with-parent".to_owned()));
        }
    }
}
