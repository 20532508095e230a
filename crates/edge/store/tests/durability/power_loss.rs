//! What was acknowledged is there after the power went, whatever had not been synced by then: the system calls of a
//! writing process are recorded with strace, and the directory is made anew as it could be found after each of many
//! moments. And after a kill exactly between a write and its sync.

mod disk;
mod trace;

use crate::{look, writer};
use disk::{Disk, Obeys, Random, Unsynced};
use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use trace::{Call, What};
use uuid::Uuid;

/// Of each writer in each round: enough for checkpoints while others write.
const WRITES: i64 = 60;
/// Moments of power loss, and directories that are made of each.
const MOMENTS: usize = 200;
const FEW_MOMENTS: usize = 40;
const DRAWS: usize = 2;
const KILLS: usize = 30;

/// The writer under strace.
fn traced(options: &[&str], output: &Path, directory: &Path, from: i64) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-xx", "-s", "200000", "-o"]).arg(output).args(options);
    command.arg(std::env::current_exe().unwrap());
    writer::tell(&mut command, directory, from, WRITES);
    command
}

/// Whether processes can be traced here; says so if not, and is a failure in CI.
fn possible() -> bool {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    println!("SKIPPED power loss: strace cannot be used here: {}", why.trim());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI everything has to be there: {why}");
    false
}

/// What the writer does, recorded once.
fn recorded() -> &'static [Call] {
    static CALLS: OnceLock<Vec<Call>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let (directory, output) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let output = output.path().join("strace");
        let directory = directory.path().canonicalize().unwrap();
        let options = ["--seccomp-bpf", "-e", trace::CALLS];
        let ended = traced(&options, &output, &directory, 1).stdout(Stdio::null()).status().unwrap();
        assert!(ended.success(), "{ended}");
        trace::read(&std::fs::read_to_string(output).unwrap(), &directory)
    })
}

/// Goes through the record, and through moments of it at which the power goes. What was found wrong.
fn power_losses(obeys: Obeys, moments: usize, seed: u64) -> Vec<String> {
    let calls = recorded();
    let mut steps: Vec<(usize, bool, usize)> = (0..calls.len())
        .flat_map(|call| [(calls[call].began, false, call), (calls[call].ended, true, call)])
        .filter(|(line, ..)| *line != usize::MAX)
        .collect();
    steps.sort_unstable();
    let delicate = {
        let mut disk = Disk::new(obeys);
        let each = steps.iter().enumerate().map(|(step, &(_, ends, call))| {
            if ends {
                disk.end(call, &calls[call].what)
            } else {
                disk.begin(call, &calls[call].what)
            }
            (step, disk.is_delicate())
        });
        each.filter_map(|(step, delicate)| delicate.then_some(step)).collect::<Vec<_>>()
    };
    let mut random = Random(seed);
    // half of them while the database itself or the directory is being changed, which is seldom
    let moments: BTreeSet<usize> = (0..moments)
        .map(|n| if n % 2 == 0 { delicate[random.below(delicate.len())] } else { random.below(steps.len()) })
        .collect();

    let runtime = Runtime::new().unwrap();
    let (mut disk, mut acknowledged, mut wrong) = (Disk::new(obeys), BTreeSet::new(), Vec::new());
    for (step, &(line, ends, call)) in steps.iter().enumerate() {
        let what = &calls[call].what;
        if ends {
            disk.end(call, what)
        } else {
            disk.begin(call, what)
        }
        if let What::Acknowledge { what } = what {
            acknowledged.extend(what.iter().map(|number| number.parse::<i64>().unwrap()));
        }
        for _ in 0..if moments.contains(&step) { DRAWS } else { 0 } {
            let unsynced = Unsynced::ALL[random.below(Unsynced::ALL.len())];
            // in memory, where there is such a place: the syncs of the one who looks matter to nobody
            let directory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
            disk.after_power_loss(unsynced, &mut random, directory.path());
            if let Err(why) = runtime.block_on(look(directory.path(), &acknowledged)) {
                wrong.push(format!("seed {seed}, line {line} of the record, unsynced {unsynced:?}: {why}"));
            }
        }
    }
    let count = |is: fn(&What) -> bool| calls.iter().filter(|call| is(&call.what)).count();
    println!(
        "{} acknowledged writes, {} calls that write, {} of them into the database, {} syncs, {} journals removed; \
         {} of {} moments, {DRAWS} directories each: {} wrong",
        acknowledged.len(),
        count(|what| matches!(what, What::Write { .. })),
        count(|what| matches!(what, What::Write { name, .. } if name == "openrdms.sqlite")),
        count(|what| matches!(what, What::Sync { .. } | What::SyncDirectory)),
        count(|what| matches!(what, What::Unlink { .. })),
        moments.len(),
        steps.len(),
        wrong.len()
    );
    wrong
}

fn seed() -> u64 {
    let random = Uuid::new_v4().as_u64_pair().0 % 1_000_000;
    std::env::var("OPENRDMS_TEST_SEED").map_or(random, |seed| seed.parse().unwrap())
}

#[test]
fn a_power_loss_loses_nothing_that_was_acknowledged() {
    if possible() {
        let wrong = power_losses(Obeys::All, MOMENTS, seed());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// The test above can fail: with one kind of sync left out the store loses what it acknowledged.
#[test]
fn a_sync_that_is_left_out_is_noticed() {
    if possible() {
        for deaf in ["openrdms.sqlite-wal", "openrdms.sqlite", "."] {
            let wrong = power_losses(Obeys::AllOfOthersThan(deaf), FEW_MOMENTS, seed());
            assert!(wrong.iter().any(|w| w.contains("acknowledged and lost")), "{deaf}: {wrong:?}");
        }
    }
}

#[test]
fn a_kill_between_a_write_and_its_sync_loses_nothing_that_was_acknowledged() {
    if !possible() {
        return;
    }
    let (runtime, mut random) = (Runtime::new().unwrap(), Random(seed()));
    let (directory, mut acknowledged) = (TempDir::new().unwrap(), BTreeSet::new());
    let (mut fresh, mut killed) = (directory, 0);
    for kill in 0..KILLS {
        // while the file is being made, each time a new one; then on and on in the last of them
        let nth = if kill < KILLS / 3 { kill + 1 } else { 5 + random.below(80) };
        if kill < KILLS / 3 {
            (fresh, acknowledged) = (TempDir::new().unwrap(), BTreeSet::new());
        }
        let calls = if random.below(3) == 0 { "pwrite64" } else { "fsync,fdatasync" };
        let inject = format!("inject={calls}:signal=KILL:when={nth}");
        let from = acknowledged.last().map_or(1, |last| last + 1_000);
        let mut child = traced(&["-e", &inject], Path::new("/dev/null"), fresh.path(), from)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            acknowledged.extend(writer::acknowledged(&line.unwrap()));
        }
        killed += usize::from(!child.wait().unwrap().success());
        let found = runtime.block_on(look(fresh.path(), &acknowledged));
        assert!(found.is_ok(), "killed at {calls} number {nth}: {}", found.unwrap_err());
    }
    assert!(killed > KILLS / 2, "{killed} of {KILLS} were killed");
    println!("{} acknowledged writes in the last directory, {killed} kills, none lost", acknowledged.len());
}
