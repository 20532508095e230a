//! The programs that a desktop is made of: how they are started, that they listen, who is left.

use super::freeze::Frozen;
use crate::inside;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::unix::pipe;

/// A part that dies more often than this within [`RESTART_WITHIN`] stays dead.
const RESTARTS: usize = 5;
const RESTART_WITHIN: Duration = Duration::from_secs(60);

/// A part that is started again when it dies.
#[derive(Debug)]
pub(super) struct Part {
    program: &'static str,
    arguments: Vec<String>,
    log: &'static str,
    pid: Option<Pid>,
    /// It is to be started when the desktop is resumed.
    due: bool,
    deaths: VecDeque<Instant>,
}

impl Part {
    pub(super) fn xrdp() -> Self {
        let ini = format!("{}/xrdp.ini", inside::ETC);
        Self::new("/usr/sbin/xrdp", vec!["-n".into(), "-c".into(), ini], "xrdp.out")
    }

    pub(super) fn chansrv() -> Self {
        Self::new("/usr/sbin/xrdp-chansrv", Vec::new(), "chansrv.out")
    }

    fn new(program: &'static str, arguments: Vec<String>, log: &'static str) -> Self {
        Self { program, arguments, log, pid: None, due: false, deaths: VecDeque::new() }
    }

    pub(super) fn program(&self) -> &'static str {
        self.program
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        self.pid
    }

    /// Starts it again where nothing is frozen, and otherwise later.
    pub(super) fn start_unless(&mut self, frozen: Option<&Frozen>) {
        self.due = frozen.is_some();
        if !self.due
            && let Err(error) = self.start()
        {
            super::say(&format!("{} cannot be started again: {error}", self.program));
        }
    }

    /// Whether it died while everything was frozen, and has its turn still to come.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments);
        self.pid = Some(spawn(command, &Path::new(inside::LOG).join(self.log))?);
        Ok(())
    }

    /// Notes that it died; whether it may be started again.
    pub(super) fn died(&mut self, now: Instant) -> bool {
        self.pid = None;
        self.deaths.retain(|at| now.duration_since(*at) < RESTART_WITHIN);
        self.deaths.push_back(now);
        self.deaths.len() <= RESTARTS
    }
}

/// The X server: its own address space for sockets, its cookie, no network.
pub(super) fn xorg() -> io::Result<Pid> {
    let mut command = Command::new("/usr/lib/xorg/Xorg");
    command.args([inside::DISPLAY, "-config", "xrdp/xorg.conf", "-noreset", "-nolisten", "tcp"]);
    // `local` is the abstract socket, which belongs to the network namespace and to no directory.
    command.args(["-nolisten", "local", "-auth", inside::XAUTHORITY]);
    command.args(["-logfile", &format!("{}/Xorg.log", inside::LOG)]);
    spawn(command, &Path::new(inside::LOG).join("Xorg.out"))
}

/// The session command; what it prints is the user's own.
pub(super) fn session(words: &[String]) -> io::Result<Pid> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments);
    let home = std::env::var_os("HOME").unwrap_or_default();
    spawn(command, &Path::new(&home).join(".xsession-errors"))
}

/// The pipe that ends with whoever started the sandbox.
pub(super) fn starter() -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)
}

/// Asks the session's windows to close.
pub(super) fn close_windows() -> io::Result<Pid> {
    let mut command = Command::new(inside::BINARY);
    command.args(["desktop-supervisor", super::CLOSE_WINDOWS]);
    spawn(command, &Path::new(inside::LOG).join("close.out"))
}

/// Starts a child of ours, in a process group of its own. Only its pid is kept: the loop reaps all.
fn spawn(mut command: Command, log: &Path) -> io::Result<Pid> {
    let log = match OpenOptions::new().create(true).write(true).truncate(true).open(log) {
        Ok(log) => log,
        // The user may have made of their log whatever they like; that is no reason not to start.
        Err(_) => File::options().write(true).open("/dev/null")?,
    };
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    pid_of(&command.spawn()?)
}

pub(super) fn pid_of(child: &std::process::Child) -> io::Result<Pid> {
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    Pid::from_raw(id).ok_or_else(|| io::Error::other("the system gave process 0"))
}

/// One child that has ended, if there is one.
pub(super) fn reap() -> Option<(Pid, WaitStatus)> {
    rustix::process::wait(WaitOptions::NOHANG).ok().flatten()
}

/// Whether somebody listens on a Unix socket, by the text of `/proc/net/unix`: flag `__SO_ACCEPTCON`
/// (0x10000) in the fourth column, the path in the last. Asking thus opens no connection.
pub(super) fn listens(table: &str, path: &str) -> bool {
    table.lines().any(|line| {
        let mut columns = line.split_ascii_whitespace();
        let flags = columns.nth(3).and_then(|f| u32::from_str_radix(f, 16).ok()).unwrap_or(0);
        flags & 0x10000 != 0 && columns.nth(3) == Some(path)
    })
}

/// Every process of the desktop but process 1, the given ones, and their children.
pub(super) fn others(keep: &[Pid]) -> Vec<Pid> {
    let kept = |pid: i32| keep.iter().any(|k| k.as_raw_nonzero().get() == pid);
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let Some(stat) = crate::identity::stat(pid) else { continue };
        if pid != 1 && !kept(pid) && !kept(stat.parent) && !matches!(stat.state, b'Z' | b'X') {
            found.extend(Pid::from_raw(pid));
        }
    }
    found
}

/// Whether a child of ours is ending or has ended, reaped or not. Others may have seen that before we can reap it.
pub(super) fn is_ending(pid: Pid) -> bool {
    let stat = crate::identity::stat(pid.as_raw_nonzero().get());
    stat.is_none_or(|stat| stat.exiting || matches!(stat.state, b'Z' | b'X'))
}

/// Asks processes to end; CONT for what is stopped and would not hear. Not HUP as well: it would cut off
/// a program that is saving its work on TERM, and shells get one anyway when their terminal ends.
pub(super) fn ask_to_end(processes: &[Pid]) {
    for pid in processes {
        for signal in [Signal::TERM, Signal::CONT] {
            // It may have ended meanwhile; a wrong hit stays within this desktop, which is ending.
            let _ = kill_process(*pid, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n\
        0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/desk/rdp.sock\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 4712 /run/xrdp-desk/x\n\
        0000000000000000: 00000003 00000000 00000000 0001 03 4713\n";

    #[test]
    fn only_a_listening_socket_counts() {
        assert!(listens(TABLE, "/run/desk/rdp.sock"));
        assert!(!listens(TABLE, "/run/xrdp-desk/x"));
        assert!(!listens(TABLE, "/run/desk"));
    }

    #[test]
    fn a_part_that_keeps_dying_stays_dead() {
        let mut part = Part::chansrv();
        let now = Instant::now();
        for _ in 0..RESTARTS {
            assert!(part.died(now));
        }
        assert!(!part.died(now));
        assert!(part.died(now + RESTART_WITHIN), "old deaths are forgiven");
    }

    proptest! {
        #[test]
        fn any_table_can_be_read(table: String) {
            let _ = listens(&table, "/x");
        }
    }
}
