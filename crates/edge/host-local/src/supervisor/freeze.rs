//! Freezing a desktop: every process but process 1 is stopped, and later continued.
//!
//! By signals, because the service has no cgroup of its own to give to each desktop, and SIGSTOP works everywhere and
//! can be neither caught nor blocked. What that takes:
//!
//! - A shell takes a child that it sees stopped for one that its user has stopped. So parents are stopped before their
//!   children, each seen to stand before the next, and continued after them.
//! - `kill(-1)` then reaches whatever is left. The kernel hands such a signal on to what is being forked meanwhile, so
//!   one that is sent before a look at which everything stands is enough.
//! - What its user had stopped before stays stopped afterwards.
//! - Something may be continued by others than us: by a timer whose signal is SIGCONT, or by the kernel when the end of
//!   a process leaves a stopped group without a shell. [`Frozen::hold`] stops it again.

use crate::identity;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::collections::{HashMap, HashSet};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long it may take. The host waits longer than this.
const FREEZE_WITHIN: Duration = Duration::from_secs(3);
/// How long parents are waited for before their children are stopped, in all.
const PARENTS_WITHIN: Duration = Duration::from_secs(1);
/// Who waits in the kernel for a disk, or for a child that is to execute something, stops when that is over, and runs
/// no instruction before. It is waited for this long, and then counts as standing.
const DEEP_WITHIN: Duration = Duration::from_millis(500);
/// Nobody is told when a process that is not a child of ours stops.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A desktop in which nothing moves.
#[derive(Debug)]
pub(super) struct Frozen {
    /// By process id and start time: what stood already and is not ours to continue.
    stood: HashSet<(i32, u64)>,
}

/// One process, as `/proc` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    pid: Pid,
    parent: i32,
    state: u8,
    start_time: u64,
}

/// How far processes are from standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Motion {
    /// They stand, or have ended.
    None,
    /// Some wait in the kernel, and stop next.
    Deep,
    Some,
}

/// Stops everything. After an error everything runs.
pub(super) async fn freeze() -> io::Result<Frozen> {
    // `kill(-1)` from here must mean the desktop.
    if std::process::id() != 1 {
        return Err(io::Error::other("it is not process 1 of a sandbox"));
    }
    let began = Instant::now();
    let all = all();
    let stood = all.iter().filter(|seen| seen.state == b'T').map(Seen::key).collect();
    let frozen = Frozen { stood };
    for level in levels(all) {
        for seen in &level {
            signal(seen.pid, Signal::STOP);
        }
        while began.elapsed() < PARENTS_WITHIN && level.iter().any(|seen| motion_of(seen.pid) == Motion::Some)
        {
            sleep(LOOK_EVERY).await;
        }
    }
    loop {
        stop_all()?;
        match motion() {
            Motion::None => return Ok(frozen),
            Motion::Deep if began.elapsed() >= DEEP_WITHIN => return Ok(frozen),
            Motion::Deep | Motion::Some if began.elapsed() < FREEZE_WITHIN => sleep(LOOK_EVERY).await,
            Motion::Deep | Motion::Some => {
                frozen.thaw();
                return Err(io::Error::new(io::ErrorKind::TimedOut, "something does not stop"));
            }
        }
    }
}

impl Frozen {
    /// Stops again what somebody else has continued.
    pub(super) fn hold(&self) -> io::Result<()> {
        if motion() == Motion::Some { stop_all() } else { Ok(()) }
    }

    /// Continues everything, children before their parents.
    pub(super) fn thaw(self) {
        for seen in levels(all()).into_iter().rev().flatten() {
            if !self.stood.contains(&seen.key()) {
                signal(seen.pid, Signal::CONT);
            }
        }
        // What was being forked when it was stopped may have come up only now.
        if self.stood.is_empty() {
            let _ = kill_process_group(Pid::INIT, Signal::CONT);
        }
    }
}

impl Seen {
    fn key(&self) -> (i32, u64) {
        (self.pid.as_raw_nonzero().get(), self.start_time)
    }
}

/// `kill(-1)`: every process of the namespace but process 1, which is us.
fn stop_all() -> io::Result<()> {
    match kill_process_group(Pid::INIT, Signal::STOP) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

fn signal(pid: Pid, signal: Signal) {
    // It may have ended meanwhile; a wrong hit stays within this desktop, of which everything is meant.
    let _ = kill_process(pid, signal);
}

/// Every process but process 1.
fn all() -> Vec<Seen> {
    pids()
        .filter_map(|pid| {
            let stat = identity::stat(pid.as_raw_nonzero().get())?;
            Some(Seen { pid, parent: stat.parent, state: stat.state, start_time: stat.start_time })
        })
        .collect()
}

fn pids() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(number(&entry)?)).filter(|pid| !pid.is_init())
}

fn number(entry: &std::fs::DirEntry) -> Option<i32> {
    entry.file_name().to_str()?.parse().ok()
}

/// Parents before their children.
fn levels(all: Vec<Seen>) -> Vec<Vec<Seen>> {
    let there: HashSet<i32> = all.iter().map(|seen| seen.key().0).collect();
    let mut levels = Vec::new();
    let (mut level, below): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|seen| !there.contains(&seen.parent));
    let mut children: HashMap<i32, Vec<Seen>> = HashMap::new();
    for seen in below {
        children.entry(seen.parent).or_default().push(seen);
    }
    while !level.is_empty() {
        let next = level.iter().filter_map(|seen| children.remove(&seen.key().0)).flatten().collect();
        levels.push(std::mem::replace(&mut level, next));
    }
    // Processes that came and went while they were looked at may seem to be their own parents.
    let rest: Vec<_> = children.into_values().flatten().collect();
    levels.extend(Some(rest).filter(|rest| !rest.is_empty()));
    levels
}

fn motion() -> Motion {
    pids().map(motion_of).max().unwrap_or(Motion::None)
}

/// Of all its threads: the first one may have ended before the others.
fn motion_of(pid: Pid) -> Motion {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    let states = tasks.into_iter().flatten().flatten().filter_map(|task| {
        let stat = std::fs::read(task.path().join("stat")).ok()?;
        Some(identity::parse_stat(&stat)?.state)
    });
    states.map(motion_in).max().unwrap_or(Motion::None)
}

/// By the letter of proc_pid_stat(5).
fn motion_in(state: u8) -> Motion {
    match state {
        b'T' | b't' | b'Z' | b'X' | b'x' => Motion::None,
        b'D' => Motion::Deep,
        // running, sleeping, and what later kernels call otherwise
        _ => Motion::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(pid: i32, parent: i32) -> Seen {
        Seen { pid: Pid::from_raw(pid).unwrap(), parent, state: b'S', start_time: 1 }
    }

    fn order(all: Vec<Seen>) -> Vec<Vec<i32>> {
        let pids = |level: Vec<Seen>| level.iter().map(|seen| seen.key().0).collect();
        levels(all).into_iter().map(pids).collect()
    }

    #[test]
    fn parents_come_before_their_children() {
        let all = vec![seen(9, 4), seen(2, 1), seen(4, 3), seen(3, 1), seen(5, 3), seen(8, 0)];
        assert_eq!(order(all), [vec![2, 3, 8], vec![4, 5], vec![9]]);
    }

    #[test]
    fn nothing_is_frozen_from_outside_of_a_sandbox() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(freeze()).is_err());
    }

    #[test]
    fn only_what_can_execute_nothing_stands() {
        assert_eq!(b"TtZX".map(motion_in), [Motion::None; 4]);
        assert_eq!(b"RSI?".map(motion_in), [Motion::Some; 4]);
        assert!(Motion::None < Motion::Deep && Motion::Deep < Motion::Some);
    }

    proptest! {
        #[test]
        fn whoever_seems_to_be_whose_child_nobody_is_left_out(of in prop::collection::vec(0..40i32, 1..40)) {
            let all: Vec<_> = of.iter().zip(2..).map(|(parent, pid)| seen(pid, *parent)).collect();
            let mut reached: Vec<i32> = order(all).concat();
            reached.sort_unstable();
            prop_assert_eq!(reached, (2..).take(of.len()).collect::<Vec<i32>>());
        }
    }
}
