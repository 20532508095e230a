//! What was acknowledged is there, whenever the writing process dies and whatever of the journal reached the disk.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "the child acknowledges on standard output")]

use openrdms_broker::{AuditRecord, Outcome, Timestamp, ports::Store};
use openrdms_store::SqliteStore;
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

/// Tells the child where to write; the tests that are not the child do not have it.
const CHILD_DIR: &str = "OPENRDMS_TEST_CRASH_DIR";
const KILLS: u64 = 20;
const COPIES: usize = 40;
/// Writers at once, so that commits carry several writes.
const WRITERS: i64 = 4;

fn record(number: i64) -> AuditRecord {
    AuditRecord {
        at: Timestamp(number),
        actor: "a".to_owned(),
        from: "cli".to_owned(),
        action: "Write".to_owned(),
        target: "x".repeat(usize::try_from(number % 900).unwrap()),
        subject: String::new(),
        outcome: Outcome::Done,
        detail: String::new(),
    }
}

async fn numbers(directory: &Path) -> BTreeSet<i64> {
    let store = SqliteStore::open(directory).await.expect("it opens, whatever happened to it");
    let found: BTreeSet<i64> = store.audit(1_000_000).await.unwrap().iter().map(|r| r.at.0).collect();
    store.append_audit(&record(0)).await.expect("and can be written");
    found
}

/// A cheap source of moments; the seed is in the failure.
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for _ in 0..3 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

#[test]
#[ignore = "the child of a_killed_writer_loses_nothing_that_it_acknowledged"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIR) else { return };
    let next: i64 = directory.rsplit_once('#').unwrap().1.parse().unwrap();
    let directory = directory.rsplit_once('#').unwrap().0.to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(Path::new(&directory)).await.unwrap());
        let next = Arc::new(AtomicI64::new(next));
        let mut tasks = JoinSet::new();
        for _ in 0..WRITERS {
            let (store, next) = (store.clone(), next.clone());
            tasks.spawn(async move {
                // bounded: an orphan ends by itself
                for _ in 0..5_000 {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    store.append_audit(&record(number)).await.unwrap();
                    writeln!(std::io::stdout(), "\nack {number}").unwrap();
                }
            });
        }
        tasks.join_all().await;
    });
}

#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    let directory = TempDir::new().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut acknowledged = BTreeSet::new();
    for kill in 0..KILLS {
        let next = acknowledged.last().map_or(1, |last| last + 1_000);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(CHILD_DIR, format!("{}#{next}", directory.path().display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut read = 0;
        let wanted = random(kill) % 200;
        let mut deadline = None;
        for line in &mut lines {
            if let Some(number) = line.unwrap().strip_prefix("ack ") {
                acknowledged.insert(number.parse().unwrap());
                read += 1;
            }
            // a number of writes and then a part of one: kills fall anywhere in a commit
            if read > wanted {
                let part = Duration::from_micros(random(kill + 1_000) % 3_000);
                if Instant::now() > *deadline.get_or_insert(Instant::now() + part) {
                    break;
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // what it had said before it died
        for line in lines {
            if let Some(number) = line.unwrap().strip_prefix("ack ") {
                acknowledged.insert(number.parse().unwrap());
            }
        }
        assert!(read > 0, "the child wrote something");
        let found = runtime.block_on(numbers(directory.path()));
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "kill {kill}: {lost:?} were acknowledged and are lost");
    }
    println!("{} acknowledged writes, {KILLS} kills, none lost", acknowledged.len());
}

/// The two files as a crash at this moment would leave them; `None` when a checkpoint came between, which would make
/// them of two moments.
fn copy(from: &Path, to: &Path) -> Option<()> {
    let (db, wal) = (from.join("openrdms.sqlite"), from.join("openrdms.sqlite-wal"));
    let salts = |bytes: &[u8]| bytes.get(..32).map(<[u8]>::to_vec);
    let before = std::fs::read(&db).ok()?;
    let journal = std::fs::read(&wal).ok()?;
    let again = std::fs::read(&wal).ok()?;
    if std::fs::read(&db).ok()? != before || salts(&journal) != salts(&again) {
        return None;
    }
    std::fs::write(to.join("openrdms.sqlite"), before).unwrap();
    std::fs::write(to.join("openrdms.sqlite-wal"), journal).unwrap();
    Some(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_journal_opens_clean_and_holds_what_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(SqliteStore::open(directory.path()).await.unwrap());
    let (next, stop) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicBool::new(false)));
    let acknowledged = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next, stop) = (store.clone(), next.clone(), stop.clone());
        let acknowledged = acknowledged.clone();
        tasks.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                store.append_audit(&record(number)).await.unwrap();
                acknowledged.lock().unwrap().insert(number);
            }
        });
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut copies = 0;
    while copies < COPIES {
        assert!(Instant::now() < deadline, "{copies} copies without a checkpoint in between");
        let before = acknowledged.lock().unwrap().clone();
        let torn = TempDir::new().unwrap();
        if before.is_empty() || copy(directory.path(), torn.path()).is_none() {
            tokio::task::yield_now().await;
            continue;
        }
        copies += 1;
        if copies % 2 == 0 {
            // blocks of the disk that were given to the journal and not written before the power went
            let journal = torn.path().join("openrdms.sqlite-wal");
            let mut file = std::fs::OpenOptions::new().append(true).open(journal).unwrap();
            file.write_all(&vec![0xa5; 1 + usize::try_from(random(copies as u64) % 20_000).unwrap()])
                .unwrap();
        }
        let found = numbers(torn.path()).await;
        let lost: Vec<_> = before.difference(&found).collect();
        assert!(lost.is_empty(), "copy {copies}: {lost:?} were acknowledged before it and are lost");
    }
    stop.store(true, Ordering::SeqCst);
    tasks.join_all().await;
    println!("{} acknowledged writes, {COPIES} copies, none lost", acknowledged.lock().unwrap().len());
}
