//! Which process is meant: pid, start time and boot together name one process for ever, and a pidfd holds
//! on to it. Never signals a bare pid of a desktop.

use openrdms_broker::DesktopHandle;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What `/proc/PID/stat` says about a process (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Field 3; `Z` and `X` have ended already.
    pub(crate) state: u8,
    /// Field 4.
    pub(crate) parent: i32,
    /// Field 9, the kernel's PF_EXITING in it: the process is on its way out, and may not have closed everything yet.
    pub(crate) exiting: bool,
    /// Field 22: clock ticks after boot.
    pub(crate) start_time: u64,
}

const PF_EXITING: u32 = 0x4;

/// A process that is held by a pidfd: its pid cannot come to mean another while this lives.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    fd: OwnedFd,
}

/// Reads the text of `/proc/PID/stat`. The program's name stands in parentheses and may hold anything,
/// parentheses and line ends too, so the fields are counted from the last one on.
pub(crate) fn parse_stat(text: &[u8]) -> Option<Stat> {
    let close = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        exiting: fields.get(6)?.parse::<u32>().ok()? & PF_EXITING != 0,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The current boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Whether the process is process 1 of a process namespace below ours.
pub(crate) fn is_namespace_init(pid: i32) -> bool {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let pids = status.lines().find_map(|l| l.strip_prefix("NSpid:")).unwrap_or("");
    let pids: Vec<&str> = pids.split_ascii_whitespace().collect();
    pids.len() > 1 && pids.last() == Some(&"1")
}

/// All processes that came out of this one, in no special order.
pub(crate) fn descendants(root: i32) -> Vec<i32> {
    let mut all: Vec<(i32, i32)> = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        if let Some(stat) = stat(pid) {
            all.push((pid, stat.parent));
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(all.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

impl Process {
    /// Takes hold of a process by its pid, whichever it is.
    pub(crate) fn open(pid: i32) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let number = Pid::from_raw(pid).ok_or_else(gone)?;
        let fd = pidfd_open(number, PidfdFlags::NONBLOCK)?;
        // Read after the pidfd was opened: if the pid had been given away before, so is the start time.
        let stat = stat(pid).ok_or_else(gone)?;
        Ok(Self { pid, start_time: stat.start_time, fd })
    }

    /// Takes hold of the process that a handle names; `None` if that one has ended.
    pub(crate) fn of(handle: &DesktopHandle, boot_id: &str) -> Option<Self> {
        if handle.boot_id != boot_id {
            return None;
        }
        let process = Self::open(handle.pid).ok()?;
        let running = stat(process.pid).is_some_and(|s| !matches!(s.state, b'Z' | b'X'));
        (running && process.start_time == handle.start_time).then_some(process)
    }

    pub(crate) fn kill(&self) {
        // It fails only when the process has ended, which is what is wanted.
        let _ = pidfd_send_signal(&self.fd, Signal::KILL);
    }

    /// Resolves when the process has ended. For process 1 of a namespace the kernel ends and waits for
    /// every other process in there first. Cancel-safe.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "its unsoundness is about types that lie about their descriptor; OwnedFd does not"
        )]
        let fd = AsyncFd::with_interest(self.fd.try_clone()?, Interest::READABLE)?;
        let _ready = fd.readable().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAIL: &str = " S 42 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";

    #[test]
    fn a_hostile_program_name_moves_no_field() {
        for name in ["sh", "a) R 1 2", "x\n) Z 9", ""] {
            let stat = parse_stat(format!("7 ({name}){TAIL}").as_bytes()).unwrap();
            assert_eq!(
                stat,
                Stat { state: b'S', parent: 42, exiting: false, start_time: 987_654 },
                "{name:?}"
            );
        }
        assert_eq!(parse_stat(b"7 (sh) S 42"), None);
        let exiting = format!("7 (sh){}", TAIL.replace("4194560", "4194564"));
        assert!(parse_stat(exiting.as_bytes()).unwrap().exiting);
    }

    #[test]
    fn our_own_stat_can_be_read() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(stat(pid).unwrap().start_time > 0);
    }

    #[tokio::test]
    async fn a_handle_of_another_start_or_boot_names_nobody() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let process = Process::open(pid).unwrap();
        let endpoint = openrdms_broker::Endpoint::Unix { path: "/x".into(), uid: 1 };
        let handle = DesktopHandle { pid, start_time: process.start_time, boot_id: "b".into(), endpoint };
        assert!(Process::of(&handle, "b").is_some());
        assert!(Process::of(&handle, "c").is_none());
        assert!(Process::of(&DesktopHandle { start_time: 1, ..handle.clone() }, "b").is_none());
        process.kill();
        process.ended().await.unwrap();
        assert!(Process::of(&handle, "b").is_none(), "a zombie does not run");
        child.wait().unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(bytes: Vec<u8>) {
            let _ = parse_stat(&bytes);
        }
    }
}
