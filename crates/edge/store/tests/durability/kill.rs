//! A process that is killed while it writes, and a journal of which only a part had reached the disk.

use crate::{
    look,
    writer::{self, WRITERS, write},
};
use openrdms_store::SqliteStore;
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

const KILLS: u64 = 20;
const COPIES: usize = 40;
/// More than any writer does before it is killed.
const WRITES: i64 = 5_000;

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
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    if writer::has_written() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut acknowledged = BTreeSet::new();
    for kill in 0..KILLS {
        let next = acknowledged.last().map_or(1, |last| last + 1_000);
        let mut command = Command::new(std::env::current_exe().unwrap());
        writer::tell(&mut command, directory.path(), next, WRITES);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut read = 0;
        let wanted = random(kill) % 200;
        let mut deadline = None;
        for line in &mut lines {
            if let Some(number) = writer::acknowledged(&line.unwrap()) {
                acknowledged.insert(number);
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
        acknowledged.extend(lines.filter_map(|line| writer::acknowledged(&line.unwrap())));
        assert!(read > 0, "the writer wrote something");
        let found = runtime.block_on(look(directory.path(), &acknowledged));
        assert!(found.is_ok(), "kill {kill}: {}", found.unwrap_err());
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
    let store = SqliteStore::open(directory.path()).await.unwrap();
    let (next, stop) = (Arc::new(AtomicI64::new(1)), Arc::new(AtomicBool::new(false)));
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut tasks = JoinSet::new();
    for _ in 0..WRITERS {
        let (store, next, stop) = (store.clone(), next.clone(), stop.clone());
        let acknowledged = acknowledged.clone();
        tasks.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let number = next.fetch_add(1, Ordering::SeqCst);
                write(&store, number).await;
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
        let found = look(torn.path(), &before).await;
        assert!(found.is_ok(), "copy {copies}: {}", found.unwrap_err());
    }
    stop.store(true, Ordering::SeqCst);
    tasks.join_all().await;
    println!("{} acknowledged writes, {COPIES} copies, none lost", acknowledged.lock().unwrap().len());
}
