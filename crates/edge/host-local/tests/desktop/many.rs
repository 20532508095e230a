//! Many desktops at one time.

use crate::support::*;
use openrdms_broker::ports::Host as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test]
async fn eight_desktops_start_in_parallel_two_at_a_time() {
    if !possible() {
        return;
    }
    let bench = Arc::new(Bench::with(|config| {
        config.session_command = ["/bin/sh", "-c", IDLE].map(str::to_owned).to_vec();
        config.max_starting = 2;
    }));
    for n in 1..=8 {
        bench.host.prepare(&name(&format!("d{n}"))).await.unwrap();
    }
    let began = Instant::now();
    let starts: Vec<_> = (1..=8)
        .map(|n| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move {
                let handle = bench.start(&format!("d{n}"), &format!("user{n}"), 20_000 + n).await;
                (handle, began.elapsed())
            })
        })
        .collect();
    let desktops = bench.dir.path().join("desktops");
    // From the sandbox's start to the note of who it is: the place among the starting is held longer.
    let starting = tokio::spawn(async move {
        let mut most = 0;
        let mut seen = 0;
        eventually("all are known", || {
            let all: Vec<_> = std::fs::read_dir(&desktops).unwrap().flatten().map(|e| e.path()).collect();
            let begun = all.iter().filter(|d| d.join("start.log").exists());
            let now = begun.filter(|d| !d.join("current.json").exists()).count();
            most = most.max(now);
            seen += usize::from(now > 0);
            all.iter().filter(|d| d.join("current.json").exists()).count() == 8
        })
        .await;
        (most, seen)
    });
    let mut pids = Vec::new();
    let mut times: Vec<Duration> = Vec::new();
    for start in starts {
        let (handle, took) = start.await.unwrap();
        assert!(bench.host.running(&handle).await);
        pids.push(handle.pid);
        times.push(took);
    }
    times.sort();
    println!("eight desktops, two at a time: first {:?}, last {:?}", times[0], times[7]);
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 8);
    let (most, seen) = starting.await.unwrap();
    assert!(seen > 0 && most <= 2, "{most} were starting at one time, seen {seen} times");
}
