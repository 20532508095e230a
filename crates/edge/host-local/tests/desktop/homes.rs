//! Homes that are kept, and homes that are thrown away.

use crate::support::*;
use openrdms_broker::DesktopHandle;
use openrdms_broker::ports::{Home, Host as _, StartDesktop};
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;

const LEAVES: &str = "echo mine >> ~/file; wc -l < ~/file > ~/count; echo up > ~/up; exec sleep 100000";

impl Bench {
    fn fresh_home(&self) -> PathBuf {
        self.dir.path().join("desktops/d1/home")
    }

    async fn start_with(&self, home: Home) -> DesktopHandle {
        let handle = self.start_as(StartDesktop { home, ..request("d1", "alice", 20_001) }).await;
        let at = if home == Home::Fresh { self.fresh_home() } else { self.home("alice") };
        eventually("the session has written", || at.join("up").exists()).await;
        let count = std::fs::read_to_string(at.join("count")).unwrap();
        std::fs::remove_file(at.join("up")).unwrap();
        if home == Home::Fresh {
            assert_eq!(count, "1\n", "it is empty at first");
        }
        handle
    }

    async fn log_off(&self, handle: &DesktopHandle) {
        self.host.logoff(&name("d1"), handle, GRACE).await.unwrap();
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.home("alice").join("file")).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_fresh_home_is_thrown_away_with_its_logon_and_the_kept_one_is_found_again() {
    if !possible() {
        return;
    }
    let bench = Bench::new(LEAVES);
    let handle = bench.start_with(Home::Kept).await;
    bench.log_off(&handle).await;
    for _ in 0..2 {
        let handle = bench.start_with(Home::Fresh).await;
        assert_eq!(bench.kept(), "mine\n", "the other one is left alone");
        bench.log_off(&handle).await;
        assert!(!bench.fresh_home().exists());
    }
    let handle = bench.start_with(Home::Kept).await;
    assert_eq!(bench.kept(), "mine\nmine\n");
    bench.log_off(&handle).await;
    assert_eq!(bench.kept(), "mine\nmine\n");
}

#[tokio::test]
async fn a_fresh_home_goes_however_its_logon_ended_and_whoever_sees_it() {
    if !possible() {
        return;
    }
    let bench = Bench::new(LEAVES);
    let kill =
        |handle: &DesktopHandle| kill_process(Pid::from_raw(handle.pid).unwrap(), Signal::KILL).unwrap();
    let handle = bench.start_with(Home::Fresh).await;
    kill(&handle);
    bench.host.ended(&name("d1"), &handle).await;
    assert!(!bench.fresh_home().exists(), "whoever waited for the end");

    let handle = bench.start_with(Home::Fresh).await;
    let next = config(bench.dir.path()).build().unwrap();
    assert!(bench.fresh_home().join("file").exists(), "while it is in use it stays");
    kill(&handle);
    eventually("it has ended", || inside(&handle).is_empty()).await;
    drop(next);
    let next = config(bench.dir.path()).build().unwrap();
    assert!(!bench.fresh_home().exists(), "the next service");
    drop(next);

    let handle = bench.start_with(Home::Fresh).await;
    kill(&handle);
    eventually("it has ended", || inside(&handle).is_empty()).await;
    let handle = bench.start_with(Home::Kept).await;
    assert!(!bench.fresh_home().exists(), "the next start");
    bench.log_off(&handle).await;
}

#[tokio::test]
async fn the_end_of_an_earlier_logon_leaves_the_next_ones_home_alone() {
    if !possible() {
        return;
    }
    let bench = Bench::new(LEAVES);
    let first = bench.start_with(Home::Fresh).await;
    bench.log_off(&first).await;
    let second = bench.start_with(Home::Fresh).await;
    bench.host.ended(&name("d1"), &first).await;
    bench.log_off(&first).await;
    assert!(bench.fresh_home().join("file").exists());
    bench.log_off(&second).await;
}

#[tokio::test]
async fn whatever_is_left_in_a_fresh_home_holds_up_no_start_and_leads_nowhere() {
    if !possible() {
        return;
    }
    let bench = Bench::new(
        "ln -s /etc/passwd ~/link; mkfifo ~/fifo; mkdir ~/closed ~/deep; touch ~/closed/x; chmod 0 ~/closed\n\
         cd ~/deep; for n in $(seq 2000); do mkdir d; cd d; done; echo up > ~/up; echo 1 > ~/count\n\
         exec sleep 100000",
    );
    let passwd = std::fs::read("/etc/passwd").unwrap();
    for _ in 0..2 {
        let handle = bench.start_with(Home::Fresh).await;
        bench.log_off(&handle).await;
        assert!(!bench.fresh_home().exists());
    }
    let trash = bench.dir.path().join("desktops/.trash");
    eventually("all is deleted", || std::fs::read_dir(&trash).unwrap().next().is_none()).await;
    assert_eq!(std::fs::read("/etc/passwd").unwrap(), passwd);
}
