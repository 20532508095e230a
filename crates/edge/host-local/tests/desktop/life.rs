//! How a desktop begins and ends, and what is known of it.

use crate::support::*;
use openrdms_broker::ports::{Host as _, HostError, LogonEnd};
use openrdms_broker::{DesktopHandle, Endpoint};
use rustix::process::{Signal, kill_process};
use std::time::{Duration, Instant};

async fn ended(bench: &Bench, desktop: &str, handle: &DesktopHandle) -> LogonEnd {
    tokio::time::timeout(PATIENCE, bench.host.ended(&name(desktop), handle)).await.expect("it ends")
}

/// How many processes of the machine have been started for this bench.
fn mentions(bench: &Bench) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|e| std::fs::read(e.path().join("cmdline")).ok());
    let dir = bench.dir.path().to_str().unwrap().as_bytes();
    lines.filter(|line| line.windows(dir.len()).any(|part| part == dir)).count()
}

#[tokio::test]
async fn a_desktop_starts_quickly_and_is_the_same_for_whoever_starts_it_again() {
    if !possible_as_root() {
        return;
    }
    let bench = Bench::new(IDLE);
    bench.host.prepare(&name("d1")).await.unwrap();
    let began = Instant::now();
    let handle = bench.start("d1", "alice", 20_001).await;
    println!("a prepared desktop accepted RDP after {:?}", began.elapsed());
    assert!(bench.host.running(&handle).await);
    assert_eq!(bench.start("d1", "alice", 20_001).await, handle);
    let other = bench.host.start(request("d1", "bob", 20_002)).await;
    assert!(matches!(other, Err(HostError::Busy(_))), "{other:?}");
    assert!(matches!(bench.host.remove(&name("d1")).await, Err(HostError::Busy(_))));
}

#[tokio::test]
async fn logging_off_ends_every_process_and_is_known_as_asked() {
    if !possible() {
        return;
    }
    // One that would outlive a hangup, one that ignores to be asked, one that left the session.
    let bench =
        Bench::new("nohup sleep 1000 & (trap '' TERM HUP; sleep 1000) & setsid sleep 1000 & exec openbox");
    let handle = bench.start("d1", "alice", 20_001).await;
    let namespace = namespace(&handle, "pid");
    eventually("the session is up", || find(&handle, "openbox").is_some() && members(&namespace).len() >= 8)
        .await;
    let waiting = bench.host.clone();
    let (desktop, watched) = (name("d1"), handle.clone());
    let end = tokio::spawn(async move { waiting.ended(&desktop, &watched).await });
    bench.host.logoff(&name("d1"), &handle, Duration::from_secs(2)).await.unwrap();
    assert_eq!(members(&namespace), []);
    assert!(!bench.host.running(&handle).await);
    assert_eq!(end.await.unwrap(), LogonEnd::Asked);
    assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::Asked, "also when asked later");
    bench.host.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    bench.host.remove(&name("d1")).await.unwrap();
    assert!(!bench.dir.path().join("desktops/d1").exists());
}

#[tokio::test]
async fn programs_are_given_time_to_save_when_they_are_asked_to_end() {
    if !possible() {
        return;
    }
    let bench = Bench::new(
        "trap 'sleep 0.3; echo saved > ~/work; exit' TERM; echo up > ~/up; while :; do sleep 0.05; done",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.written("alice", "up").await;
    bench.host.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    assert_eq!(std::fs::read_to_string(bench.home("alice").join("work")).unwrap(), "saved\n");
}

#[tokio::test]
async fn windows_are_asked_to_close_before_programs_are_signalled() {
    if !possible() {
        return;
    }
    // A terminal whose window is closed hangs up on its shell; a signal to all is a TERM to the shell.
    // The window manager starts the terminal, and that (-wf) its shell only once it is on the screen.
    let bench = Bench::new(
        "cat > ~/shell <<'END'\n\
         trap 'echo closed >> ~/heard; end=1' HUP; trap 'echo signalled >> ~/heard' TERM\n\
         echo up > ~/up; while [ -z $end ]; do sleep 0.02; done\n\
         END\n\
         exec openbox --startup \"xterm -wf -e sh $HOME/shell\"",
    );
    let handle = bench.start("d1", "alice", 20_001).await;
    bench.written("alice", "up").await;
    bench.host.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    assert_eq!(std::fs::read_to_string(bench.home("alice").join("heard")).unwrap(), "closed\n");
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up_as_a_whole() {
    if !possible() {
        return;
    }
    let bench = Bench::with(|config| config.start_timeout = std::time::Duration::from_millis(1));
    let late = bench.host.start(request("d1", "alice", 20_001)).await;
    assert!(matches!(late, Err(HostError::TimedOut { .. } | HostError::Failed(_))), "{late:?}");
    eventually("nothing of it is left", || mentions(&bench) == 0).await;
}

#[tokio::test]
async fn a_session_that_ends_by_itself_is_a_logoff() {
    if !possible() {
        return;
    }
    let bench = Bench::new("sleep 1000 & while [ ! -e ~/go ]; do sleep 0.02; done; exit 3");
    let handle = bench.start("d1", "alice", 20_001).await;
    let namespace = namespace(&handle, "pid");
    std::fs::write(bench.home("alice").join("go"), "").unwrap();
    assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::LoggedOff);
    assert_eq!(members(&namespace), []);
}

#[tokio::test]
async fn a_session_whose_program_is_killed_is_a_failure_and_no_logoff() {
    if !possible() {
        return;
    }
    // The shell outlives what it runs, and hands its end on as 128 and the signal.
    let bench = Bench::new("sleep 100000; exit $?");
    let handle = bench.start("d1", "alice", 20_001).await;
    eventually("the program runs", || find(&handle, "sleep").is_some()).await;
    kill_process(find(&handle, "sleep").unwrap(), Signal::KILL).unwrap();
    let end = ended(&bench, "d1", &handle).await;
    assert_eq!(end, LogonEnd::Failed("the session command was killed by signal 9".into()));
}

#[tokio::test]
async fn a_dead_display_is_a_failure() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    kill_process(find(&handle, "Xorg").expect("there is an Xorg"), Signal::KILL).unwrap();
    let end = ended(&bench, "d1", &handle).await;
    assert!(matches!(&end, LogonEnd::Failed(text) if text.contains("Xorg")), "{end:?}");
}

#[tokio::test]
async fn a_killed_supervisor_takes_all_with_it_and_leaves_no_word() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let namespace = namespace(&handle, "pid");
    kill_process(rustix::process::Pid::from_raw(handle.pid).unwrap(), Signal::KILL).unwrap();
    assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::Vanished);
    assert_eq!(members(&namespace), []);
}

#[tokio::test]
async fn a_desktop_outlives_the_service_and_the_outer_process_and_is_adopted() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let outer = std::fs::read_to_string(format!("/proc/{}/status", handle.pid)).unwrap();
    let outer: i32 = outer.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    let comm = std::fs::read_to_string(format!("/proc/{outer}/comm")).unwrap();
    assert_eq!(comm.trim(), "bwrap");
    kill_process(rustix::process::Pid::from_raw(outer).unwrap(), Signal::KILL).unwrap();
    // The next service process: it has the data directory and the handle.
    let next = config(bench.dir.path()).build().unwrap();
    assert!(next.running(&handle).await);
    let (alice, bob) = (request("d1", "alice", 20_001).user, request("d1", "bob", 20_001).user);
    assert_eq!(next.found(&name("d1"), &alice).await.as_ref(), Some(&handle), "also without its handle");
    assert_eq!(next.found(&name("d1"), &bob).await, None, "and by nobody else");
    assert_eq!(next.start(request("d1", "alice", 20_001)).await.unwrap(), handle);
    next.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    assert_eq!(next.ended(&name("d1"), &handle).await, LogonEnd::Asked);
    assert_eq!(next.found(&name("d1"), &alice).await, None);
}

#[tokio::test]
async fn a_supervisor_that_does_not_answer_is_killed() {
    if !possible() {
        return;
    }
    let bench = Bench::new(
        "rm /run/desk/control.sock; ln -s /run/desk/rdp.sock /run/desk/control.sock; echo up > ~/up; sleep 1000",
    );
    let handle = bench.start("d1", "mallory", 20_001).await;
    bench.written("mallory", "up").await;
    assert!(bench.host.message(&name("d1"), &handle, "t", "x").await.is_err());
    bench.host.logoff(&name("d1"), &handle, GRACE).await.unwrap();
    assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::Asked);
}

#[tokio::test]
async fn a_record_that_a_program_prepared_for_the_end_is_overwritten() {
    if !possible() {
        return;
    }
    for place in
        ["mkfifo end.json end.new", "ln -s /dev/zero end.json; ln -s ../nowhere end.new", "echo > end.new"]
    {
        let bench = Bench::new(&format!("cd /run/desk; {place}; exit 0"));
        let handle = bench.start("d1", "mallory", 20_001).await;
        assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::LoggedOff, "{place}");
    }
}

#[tokio::test]
async fn a_hostile_record_of_the_end_is_not_opened_and_holds_nobody_up() {
    if !possible() {
        return;
    }
    let good = Bench::new(IDLE);
    let other = good.start("d2", "alice", 20_002).await;
    for place in [
        "mkfifo end.json",
        "ln -s /etc/passwd end.json",
        "ln -s /dev/zero end.json",
        "mkdir end.json",
        "head -c 50000000 /dev/zero > end.json",
        "yes '[' | head -c 4000 > end.json",
        "echo '\"asked\"' > end.json",
    ] {
        // a directory where the supervisor writes its draft keeps it from leaving its own word
        let bench = Bench::new(&format!("cd /run/desk; mkdir -p end.new/x; {place}; exit 0"));
        let handle = bench.start("d1", "mallory", 20_001).await;
        assert_eq!(ended(&bench, "d1", &handle).await, LogonEnd::Vanished, "{place}");
        assert!(good.host.running(&other).await);
        // the next session in this desktop begins with an empty directory
        let next = config(bench.dir.path()).build().unwrap();
        assert!(!next.running(&handle).await);
        next.remove(&name("d1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_start_says_why_and_leaves_nothing_running() {
    if !possible_as_root() {
        return;
    }
    let bench = Bench::with(|config| config.session_command = vec!["/no/such/session".into()]);
    let error = bench.host.start(request("d1", "alice", 20_001)).await.unwrap_err();
    assert!(error.to_string().contains("session command cannot be started"), "{error}");
    eventually("the sandbox of the failed start has gone", || mentions(&bench) == 0).await;
    assert!(matches!(bench.host.start(request("d1", "alice", 0)).await, Err(HostError::Invalid(_))));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_start() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let impatient =
        tokio::time::timeout(Duration::from_millis(1), bench.host.start(request("d1", "alice", 20_001)));
    assert!(impatient.await.is_err());
    let current = bench.dir.path().join("desktops/d1/current.json");
    eventually("the desktop runs all the same", || current.exists()).await;
    let handle = bench.start("d1", "alice", 20_001).await;
    assert!(bench.host.running(&handle).await);
}

#[tokio::test]
async fn a_home_is_kept_from_one_logon_to_the_next() {
    if !possible() {
        return;
    }
    let bench = Bench::new("echo here >> ~/logons; wc -l < ~/logons > ~/count; exec sleep 100000");
    for (desktop, count) in [("d1", "1\n"), ("d2", "2\n")] {
        let handle = bench.start(desktop, "alice", 20_001).await;
        eventually("the session has counted", || {
            std::fs::read_to_string(bench.home("alice").join("count")).is_ok_and(|c| c == count)
        })
        .await;
        bench.host.logoff(&name(desktop), &handle, GRACE).await.unwrap();
    }
}

#[tokio::test]
async fn xrdp_comes_back_when_it_dies() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let first = find(&handle, "xrdp").expect("there is an xrdp");
    kill_process(first, Signal::KILL).unwrap();
    let Endpoint::Unix { path, .. } = handle.endpoint.clone() else { panic!("{handle:?}") };
    eventually("another xrdp accepts", || {
        find(&handle, "xrdp").is_some_and(|p| p != first)
            && std::os::unix::net::UnixStream::connect(&path).is_ok()
    })
    .await;
    assert!(bench.host.running(&handle).await);
}

#[tokio::test]
async fn a_new_version_of_the_binary_leaves_running_desktops_theirs() {
    if !possible() {
        return;
    }
    let bench = Bench::new(IDLE);
    let handle = bench.start("d1", "alice", 20_001).await;
    let mut config = config(bench.dir.path());
    let mut other = std::fs::read(&config.binary).unwrap();
    other.push(0);
    config.binary = bench.dir.path().join("new-version");
    std::fs::write(&config.binary, other).unwrap();
    let next = config.build().unwrap();
    // The window is a process that the old supervisor starts from the old binary.
    next.message(&name("d1"), &handle, "still here", "after an update").await.unwrap();
    next.logoff(&name("d1"), &handle, GRACE).await.unwrap();
}
