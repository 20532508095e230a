//! The process that writes until it is killed, or is recorded: this program again, as one of its tests.

use openrdms_broker::{
    AuditRecord, CollectionAlias, ConnectionId, DesktopName, HostName, Outcome, Session, SessionUid, State,
    Timestamp, UserName,
    ports::{Store, store::NewSession},
    session::EndReason,
};
use openrdms_store::SqliteStore;
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinSet};
use uuid::Uuid;

/// The test that is the writer where it is told to write; it begins with [`has_written`].
const TEST: &str = "kill::a_killed_writer_loses_nothing_that_it_acknowledged";
/// Tell the writer where to write, from which number on, and how many times; who is not the writer has none.
const DIRECTORY: &str = "OPENRDMS_TEST_WRITER_DIRECTORY";
const FROM: &str = "OPENRDMS_TEST_WRITER_FROM";
const WRITES: &str = "OPENRDMS_TEST_WRITER_WRITES";
/// At once, so that commits carry several writes.
pub(crate) const WRITERS: i64 = 4;
/// Times that the store is opened, written and closed.
const ROUNDS: i64 = 3;

/// Has a command that ends with this program write `writes` times by each writer in each round, which bounds what an
/// orphan does.
pub(crate) fn tell(command: &mut Command, directory: &Path, from: i64, writes: i64) {
    command.args(["--exact", TEST, "--nocapture"]);
    command.env(DIRECTORY, directory).env(FROM, from.to_string()).env(WRITES, writes.to_string());
}

/// The number of a write that a line of the writer's acknowledges.
pub(crate) fn acknowledged(line: &str) -> Option<i64> {
    line.strip_prefix("ack ").map(|number| number.parse().unwrap())
}

/// Whether this process is the writer. It has written then, and there is nothing more to do.
pub(crate) fn has_written() -> bool {
    let Ok(directory) = std::env::var(DIRECTORY).map(PathBuf::from) else { return false };
    let number = |name| std::env::var(name).unwrap().parse::<i64>().unwrap();
    let (next, writes) = (Arc::new(AtomicI64::new(number(FROM))), number(WRITES));
    for _ in 0..ROUNDS {
        // its end closes the store, and takes the journal away if all goes well
        Runtime::new().unwrap().block_on(async {
            let store = SqliteStore::open(&directory).await.unwrap();
            let mut tasks = JoinSet::new();
            for _ in 0..WRITERS {
                let (store, next) = (store.clone(), Arc::clone(&next));
                tasks.spawn(async move {
                    for _ in 0..writes {
                        let number = next.fetch_add(1, Ordering::SeqCst);
                        write(&store, number).await;
                        // in one piece, so that a record has it in one call
                        std::io::stdout().write_all(format!("\nack {number}\n").as_bytes()).unwrap();
                    }
                });
            }
            tasks.join_all().await;
        });
        let journal = directory.join("openrdms.sqlite-wal");
        let patience = Instant::now() + Duration::from_secs(2);
        while journal.exists() && Instant::now() < patience {
            std::thread::yield_now();
        }
    }
    true
}

/// An odd number is an audit record, an even one a session that began and ended: two writes, of many pages.
pub(crate) async fn write(store: &SqliteStore, number: i64) {
    if number % 2 == 1 {
        store.append_audit(&record(number)).await.unwrap();
        return;
    }
    let session = store.insert_session(new_session(number)).await.unwrap();
    let state = State::Ended { at: Timestamp(number), reason: EndReason::LoggedOff };
    store.update_session(&Session { state, ..session }).await.unwrap();
}

pub(crate) fn record(number: i64) -> AuditRecord {
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

fn new_session(number: i64) -> NewSession {
    NewSession {
        uid: SessionUid(Uuid::from_u128(u128::try_from(number).unwrap())),
        desktop: DesktopName::new(&format!("pool-{number}")).unwrap(),
        places: None,
        host: HostName::new("Host").unwrap(),
        boot_id: "boot".to_owned(),
        collection: CollectionAlias::new("Pool").unwrap(),
        user: UserName::new("Farm", &format!("user{number}")).unwrap(),
        created: Timestamp(number),
        state: State::Starting { since: Timestamp(number), attach: ConnectionId(Uuid::from_u128(1)) },
    }
}
