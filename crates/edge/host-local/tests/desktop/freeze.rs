//! What stands still in a paused desktop, and how it goes on.

use crate::support::*;
use openrdms_broker::DesktopHandle;
use openrdms_broker::ports::{Host as _, HostError, LogonEnd};
use rustix::process::{Signal, kill_process};
use std::time::{Duration, Instant};

/// Writes ever higher numbers into a file.
const COUNTER: &str = "n=0; while :; do n=$((n+1)); echo $n > ~/count; sleep 0.01; done";

/// Of all threads of the desktop, but of its process 1: which may execute something. One that waits in the kernel (D) may
/// not before it stops; a shell may be stopped there while it waits for what it starts.
fn moving(handle: &DesktopHandle) -> Vec<String> {
    in_states(handle, |state| !['T', 't', 'Z', 'X', 'D'].contains(&state))
}

fn in_states(handle: &DesktopHandle, wanted: impl Fn(char) -> bool) -> Vec<String> {
    let mut moving = Vec::new();
    for pid in inside(handle).into_iter().filter(|pid| pid.as_raw_nonzero().get() != handle.pid) {
        for task in
            std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).into_iter().flatten().flatten()
        {
            let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
            let state = status.lines().find_map(|line| line.strip_prefix("State:\t")).unwrap_or("X");
            if state.starts_with(&wanted) {
                moving.push(status.lines().take(3).collect::<Vec<_>>().join(" "));
            }
        }
    }
    moving
}

impl Bench {
    fn count(&self) -> u64 {
        let text = std::fs::read_to_string(self.home("alice").join("count")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    async fn counts_on(&self) {
        let now = self.count();
        eventually("the counter goes on", || self.count() > now).await;
    }

    async fn pause(&self, handle: &DesktopHandle) {
        self.host.pause(&name("d1"), handle).await.unwrap();
    }

    async fn resume(&self, handle: &DesktopHandle) {
        self.host.resume(&name("d1"), handle).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_moves_in_a_paused_desktop_and_all_goes_on_afterwards() {
    if !possible() {
        return;
    }
    let bench = Bench::new(COUNTER);
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.counts_on().await;
    let began = Instant::now();
    bench.pause(&handle).await;
    println!("{} processes stood still after {:?}", inside(&handle).len() - 1, began.elapsed());
    assert_eq!(moving(&handle), Vec::<String>::new());
    bench.pause(&handle).await;
    assert!(bench.host.running(&handle).await, "it is not gone");
    bench.resume(&handle).await;
    bench.resume(&handle).await;
    bench.counts_on().await;
    assert!(find(&handle, "Xorg").is_some() && find(&handle, "xrdp").is_some());
}

#[tokio::test]
async fn whoever_forks_without_end_is_frozen_all_the_same() {
    if !possible() {
        return;
    }
    // Each process ends as soon as it has started the next, two chains at a time, beside one that starts many.
    let bench = Bench::new(
        "cat > ~/hop <<'END'\n\
         echo $$ > ~/count; sh ~/hop & exit\n\
         END\n\
         sh ~/hop & sh ~/hop & while :; do /bin/true; done",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    eventually("it forks", || bench.home("alice").join("count").exists()).await;
    for _ in 0..10 {
        bench.pause(&handle).await;
        assert_eq!(moving(&handle), Vec::<String>::new());
        bench.resume(&handle).await;
        let last = bench.count();
        eventually("it forks on", || bench.count() != last).await;
    }
}

#[tokio::test]
async fn a_shell_does_not_take_the_pause_for_the_stop_of_its_job() {
    if !possible() {
        return;
    }
    // An interactive shell on a terminal of its own, with a job in the foreground: were it to notice that the job
    // stopped, it would read the next line.
    let bench = Bench::new(
        "cat > ~/job <<'END'\n\
         while :; do n=$((n+1)); echo $n > ~/count; sleep 0.01; done\n\
         END\n\
         (echo 'sh ~/job'; echo 'echo back > ~/back'; exec sleep 100000) | script -q -c 'bash -i' ~/typescript",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.counts_on().await;
    for _ in 0..20 {
        bench.pause(&handle).await;
        bench.resume(&handle).await;
        bench.counts_on().await;
    }
    let said = std::fs::read_to_string(bench.home("alice").join("typescript")).unwrap_or_default();
    assert!(!bench.home("alice").join("back").exists() && !said.contains("Stopped"), "{said}");
}

#[tokio::test]
async fn what_its_user_had_stopped_stays_stopped() {
    if !possible() {
        return;
    }
    let bench = Bench::new(
        "sh -c 'echo $$ > ~/stopped; kill -STOP $$; echo on > ~/went-on; exec sleep 100000' &\n\
         n=0; while :; do n=$((n+1)); echo $n > ~/count; sleep 0.01; done",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.written("alice", "stopped").await;
    let stopped = || {
        inside(&handle).into_iter().find(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            stat.is_ok_and(|stat| stat.contains(") T "))
        })
    };
    eventually("one has stopped itself", || stopped().is_some()).await;
    let which = stopped().unwrap();
    bench.pause(&handle).await;
    bench.resume(&handle).await;
    bench.counts_on().await;
    assert_eq!(stopped(), Some(which));
    assert!(!bench.home("alice").join("went-on").exists());
    kill_process(which, Signal::CONT).unwrap();
    bench.written("alice", "went-on").await;
}

#[tokio::test]
async fn what_others_continue_is_stopped_again() {
    if !possible() {
        return;
    }
    let bench = Bench::new(COUNTER);
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.counts_on().await;
    bench.pause(&handle).await;
    for pid in inside(&handle) {
        kill_process(pid, Signal::CONT).unwrap();
    }
    eventually("it stands again", || moving(&handle).is_empty()).await;
    bench.resume(&handle).await;
    bench.counts_on().await;
}

#[tokio::test]
async fn a_paused_desktop_is_known_to_the_next_service_and_logs_off_as_any() {
    if !possible() {
        return;
    }
    let bench = Bench::new(
        "trap 'echo saved > ~/work; exit' TERM; n=0; while :; do n=$((n+1)); echo $n > ~/count; sleep 0.01; done",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.counts_on().await;
    bench.pause(&handle).await;
    let next = config(bench.dir.path()).build().unwrap();
    assert!(next.running(&handle).await);
    let refused = next.message(&name("d1"), &handle, "t", "x").await.unwrap_err();
    assert!(matches!(&refused, HostError::Failed(text) if text == "the desktop is paused"), "{refused}");
    assert_eq!(moving(&handle), Vec::<String>::new());
    next.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    assert_eq!(std::fs::read_to_string(bench.home("alice").join("work")).unwrap(), "saved\n");
    assert_eq!(next.ended(&name("d1"), &handle).await, LogonEnd::Asked);
    assert!(matches!(next.pause(&name("d1"), &handle).await, Err(HostError::NotRunning)));
    assert!(matches!(next.resume(&name("d1"), &handle).await, Err(HostError::NotRunning)));
}

#[tokio::test]
async fn xrdp_that_dies_in_a_paused_desktop_comes_back_with_it() {
    if !possible() {
        return;
    }
    let bench = Bench::new(COUNTER);
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.pause(&handle).await;
    kill_process(find(&handle, "xrdp").unwrap(), Signal::KILL).unwrap();
    eventually("it is gone", || find(&handle, "xrdp").is_none()).await;
    // Asked and answered: the supervisor has heard of the end by now.
    bench.pause(&handle).await;
    assert_eq!((find(&handle, "xrdp"), moving(&handle)), (None, Vec::new()));
    bench.resume(&handle).await;
    eventually("another one runs", || find(&handle, "xrdp").is_some()).await;
}

#[tokio::test]
async fn a_session_that_is_killed_in_a_paused_desktop_ends_it() {
    if !possible() {
        return;
    }
    let bench = Bench::new("echo $$ > ~/count; sleep 100000 & exec sleep 100001");
    let handle = bench.start("d1", "alice", 20_001).await;
    eventually("it is up", || bench.count() > 0).await;
    let session = || {
        inside(&handle).into_iter().find(|pid| {
            let line = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            line.is_ok_and(|line| line.contains("100001"))
        })
    };
    eventually("the session runs", || session().is_some()).await;
    bench.pause(&handle).await;
    kill_process(session().unwrap(), Signal::KILL).unwrap();
    let ended = tokio::time::timeout(PATIENCE, bench.host.ended(&name("d1"), &handle)).await.unwrap();
    assert_eq!(ended, LogonEnd::Failed("the session command was killed by signal 9".into()));
}

#[tokio::test]
async fn a_supervisor_that_is_impersonated_pauses_nothing_and_nobody_is_told_so() {
    if !possible() {
        return;
    }
    // A program of the desktop answers in the supervisor's place that all is done.
    let bench = Bench::new(
        "rm /run/desk/control.sock; python3 -c '\n\
         import socket, os\n\
         s = socket.socket(socket.AF_UNIX); s.bind(\"/run/desk/control.sock\"); s.listen(8)\n\
         open(os.path.expanduser(\"~/up\"), \"w\").write(\"up\\n\")\n\
         while True:\n\
         \tc, _ = s.accept(); c.recv(4096); c.sendall(b\"{\\\"ok\\\":{}}\\n\"); c.close()'",
    );
    let handle = bench.start("d1", "mallory", 20_001).await;
    bench.written("mallory", "up").await;
    let paused = bench.host.pause(&name("d1"), &handle).await;
    assert!(matches!(&paused, Err(HostError::Failed(_))), "{paused:?}");
    assert!(bench.host.message(&name("d1"), &handle, "t", "x").await.is_err());
    bench.host.logoff(&name("d1"), &handle, Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_parent_that_waits_for_its_child_to_execute_is_no_obstacle() {
    if !possible() {
        return;
    }
    // The parent of vfork(2) waits in the kernel, and does not stop before its child goes on, which does not.
    let bench = Bench::new(
        "exec python3 -c '\n\
         import ctypes, os, time\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         if os.fork() == 0:\n\
         \topen(os.path.expanduser(\"~/up\"), \"w\").write(\"up\\n\")\n\
         \tclone = {\"x86_64\": 56, \"aarch64\": 220}[os.uname().machine]\n\
         \tlibc.syscall(clone, 0x4000 | 17, 0, 0, 0, 0)\n\
         time.sleep(1000)'",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.written("alice", "up").await;
    let waits = || in_states(&handle, |state| state == 'D').len();
    eventually("it waits", || waits() == 1).await;
    bench.pause(&handle).await;
    assert_eq!((waits(), moving(&handle)), (1, Vec::new()));
    bench.resume(&handle).await;
    eventually("the others go on", || moving(&handle).len() > 3).await;
}
