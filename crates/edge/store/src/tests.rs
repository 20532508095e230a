//! The battery on SQLite, and what is SQLite's own: the file, its mode, its schema, the writer.

use crate::{OpenError, SqliteStore, battery};
use openrdms_broker::{
    AuditRecord, Limit, Limits, Outcome, State, Timestamp,
    ports::{Store, StoreError},
    session::Cause,
};
use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::task::JoinSet;

macro_rules! on_sqlite {
    ($($rule:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let directory = TempDir::new().unwrap();
            battery::$rule(Arc::new(open(directory.path()).await)).await;
        }
    )*};
}

on_sqlite! {
    a_session_reads_back_as_it_was_written
    one_live_session_a_user_and_collection
    one_live_session_a_desktop
    a_change_of_an_older_generation_is_stale
    a_session_id_is_never_used_again
    an_ended_session_frees_its_user_and_desktop_and_stays_in_history
    a_lost_session_is_listed_and_blocks_nobody
    sessions_are_listed_in_pages_without_gap_or_repeat
    a_collection_comes_with_all_its_desktops_or_not_at_all
    limits_change_one_by_one
    a_collection_with_a_live_session_stays
    free_desktops_are_those_in_which_nothing_can_run
    only_hosts_that_are_up_and_open_have_free_desktops
    a_desktop_has_one_owner_and_a_user_one_desktop_a_collection
    an_assignment_goes_with_its_desktop_collection_and_account
    an_assigned_desktop_is_free_for_its_owner_alone
    a_collection_counts_the_desktops_that_come_and_go
    a_desktop_is_paused_as_long_as_it_is_that_one
    a_shared_desktop_has_as_many_live_sessions_as_it_may_and_no_more
    machines_with_room_are_those_that_are_up_open_and_not_full
    a_word_for_a_machine_says_nothing_of_the_node
    a_host_has_one_node_at_a_time
    a_drained_host_stays_drained_through_leases
    a_node_is_known_by_its_word_and_stays_drained
    live_sessions_of_silent_hosts_are_found_and_lost_ones_by_host
    a_handle_without_a_session_is_an_orphan_and_is_cleared_once
    desktops_are_listed_in_pages_and_remember_their_handle
    a_uid_is_given_once_and_the_lowest_first
    an_account_keeps_its_uid_and_spelling_when_it_changes
    an_account_with_a_live_session_stays
    accounts_are_listed_in_pages_by_key
    every_change_of_a_session_is_logged_with_what_was_before
    cookies_are_kept_in_the_session_and_not_in_the_log
    what_was_refused_is_not_logged
    the_log_is_read_in_pages_without_gap_or_repeat
    the_log_is_forgotten_from_its_beginning_and_says_so
    more_than_a_thousand_changes_are_forgotten
    whoever_waits_for_a_change_is_told_of_it
    the_audit_trail_is_read_newest_first
    the_audit_trail_is_paged_by_time_whenever_it_was_written
    settings_are_kept_by_owner_and_name_without_case
    settings_go_with_their_collection
    a_text_is_set_where_it_is_the_expected_one
    of_many_who_compare_and_set_each_wins_once
    a_document_reads_back_as_it_was_written
    a_document_is_changed_by_who_has_seen_it_last
    documents_are_listed_in_pages_within_what_was_asked_for
    documents_go_with_what_they_belong_to
    of_many_who_turn_a_host_each_turn_is_ones
}

async fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory).await.unwrap()
}

/// A connection of somebody else to the same file.
async fn intruder(directory: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(directory.join("openrdms.sqlite")))
        .await
        .unwrap()
}

fn record(action: &str) -> AuditRecord {
    AuditRecord {
        at: Timestamp(1),
        actor: "a".to_owned(),
        from: "cli".to_owned(),
        action: action.to_owned(),
        target: String::new(),
        subject: String::new(),
        outcome: Outcome::Done,
        detail: String::new(),
    }
}

#[tokio::test]
async fn a_file_that_is_opened_again_holds_everything_and_is_private() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    store.append_audit(&record("one")).await.unwrap();
    drop(store);
    std::fs::set_permissions(directory.path().join("openrdms.sqlite"), PermissionsExt::from_mode(0o644))
        .unwrap();
    let store = open(directory.path()).await;
    assert_eq!(store.audit(10).await.unwrap(), [record("one")]);
    store.append_audit(&record("two")).await.unwrap();
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn a_closed_store_is_one_file_that_holds_all_that_was_queued() {
    let (directory, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(directory.path()).await;
    // somebody who looks in keeps SQLite from tidying up by itself
    let mut looking = intruder(directory.path()).await;
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM account").fetch_one(&mut looking).await.unwrap();
    assert_eq!(seen, 0);
    let records: Vec<_> = (0..300).map(|n| record(&format!("{n}"))).collect();
    let mut writes = JoinSet::new();
    for record in records.clone() {
        let store = store.clone();
        writes.spawn(async move { store.append_audit(&record).await });
    }
    // on this one thread they all come to the queue first
    tokio::task::yield_now().await;
    store.close().await;
    let written = writes.join_all().await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    let journal = std::fs::metadata(directory.path().join("openrdms.sqlite-wal"));
    assert!(journal.map_or(true, |journal| journal.len() == 0));
    for answer in [store.append_audit(&record("late")).await, store.audit(1).await.map(drop)] {
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    std::fs::copy(directory.path().join("openrdms.sqlite"), copy.path().join("openrdms.sqlite")).unwrap();
    assert_eq!(open(copy.path()).await.audit(1000).await.unwrap().len(), records.len());
}

#[tokio::test]
async fn the_database_is_durable_and_checks_foreign_keys() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let settings = store
        .queue
        .write(|connection| {
            Box::pin(async move {
                let mut settings = Vec::new();
                for pragma in ["PRAGMA synchronous", "PRAGMA foreign_keys"] {
                    let value: i64 = sqlx::query_scalar(pragma).fetch_one(&mut *connection).await.unwrap();
                    settings.push(value);
                }
                Ok(settings)
            })
        })
        .await
        .unwrap();
    assert_eq!(settings, [2, 1], "synchronous = FULL, foreign_keys = on");
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&store.readers).await.unwrap();
    assert_eq!(mode, "wal");
    sqlx::query("DELETE FROM audit").execute(&store.readers).await.unwrap_err();
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = TempDir::new().unwrap();
    drop(open(directory.path()).await);
    let mut other = intruder(directory.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (999, 'of the future', 1, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    let refused = SqliteStore::open(directory.path()).await.err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 999, known: 1..999, .. }), "{refused:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("openrdms.sqlite");
    std::fs::write(
        &path,
        "this is somebody's text file, long enough to be looked at as a database header".repeat(20),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(SqliteStore::open(directory.path()).await, Err(OpenError::Database { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_corrupt_and_its_content_not_told() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let mut other = intruder(directory.path()).await;
    sqlx::query("INSERT INTO collection (alias_key, row) VALUES ('p', '{\"alias\":\"secret/alias\"}')")
        .execute(&mut other)
        .await
        .unwrap();
    let corrupt = store.collection("p").await.unwrap_err();
    assert!(matches!(corrupt, StoreError::Corrupt(_)), "{corrupt:?}");
    assert!(!corrupt.to_string().contains("secret"), "{corrupt}");
}

#[tokio::test]
async fn rows_from_before_there_were_limits_are_read() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    store.insert_collection(&battery::collection("Pool", 1), &[]).await.unwrap();
    let mut session = store.insert_session(battery::new_session("alice", "Pool", "d", "h")).await.unwrap();
    let since = Timestamp(1);
    session.state = State::LoggingOff { since, cause: Cause::Limit(Limit::Idle) };
    let session = store.update_session(&session).await.unwrap();
    let mut old = intruder(directory.path()).await;
    for statement in [
        "UPDATE collection SET row = json_remove(row, '$.limits') WHERE row LIKE '%limits%'",
        "UPDATE session SET row = json_remove(row, '$.state.cause') WHERE row LIKE '%cause%'",
    ] {
        assert_eq!(sqlx::query(statement).execute(&mut old).await.unwrap().rows_affected(), 1);
    }
    assert_eq!(store.collection("pool").await.unwrap().unwrap().limits, Limits::default());
    let cause = Cause::Administrator;
    assert_eq!(store.session(session.uid).await.unwrap().unwrap().state, State::LoggingOff { since, cause });
}

#[tokio::test]
async fn a_refused_write_takes_no_other_of_its_batch_with_it() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    // hold the lock, so that all of them are in the queue when the writer comes by the second time
    let mut other = intruder(directory.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let mut writes = JoinSet::new();
    for i in 0..40 {
        let store = store.clone();
        writes.spawn(async move {
            let fails = i % 2 == 1;
            let write = store.queue.write(move |connection| {
                Box::pin(async move {
                    let row = format!("\"{i}\"");
                    let insert = sqlx::query("INSERT INTO audit (at, row) VALUES (0, ?)").bind(row);
                    insert.execute(connection).await.unwrap();
                    if fails { Err(StoreError::Stale) } else { Ok(()) }
                })
            });
            assert_eq!(write.await.is_err(), fails);
        });
    }
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    writes.join_all().await;
    let kept: Vec<String> =
        sqlx::query_scalar("SELECT row FROM audit").fetch_all(&store.readers).await.unwrap();
    assert_eq!(kept.len(), 20);
    assert!(kept.iter().all(|row| row.trim_matches('"').parse::<u32>().unwrap() % 2 == 0), "{kept:?}");
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_fails_the_batch_and_the_next_one_works() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    // what a full disk does: everything is rolled back under the writer's feet
    let lost = store
        .queue
        .write(|connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO audit (at, row) VALUES (0, '1')")
                    .execute(&mut *connection)
                    .await
                    .unwrap();
                sqlx::query("ROLLBACK").execute(connection).await.unwrap();
                Ok(())
            })
        })
        .await;
    assert!(matches!(lost, Err(StoreError::Unavailable(_))), "{lost:?}");
    store.append_audit(&record("after")).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap(), [record("after")]);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_passes() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let pages = |limit: &'static str| {
        store.queue.write(move |connection| {
            Box::pin(async move {
                sqlx::query(limit).execute(connection).await.unwrap();
                Ok(())
            })
        })
    };
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let mut full = record("big");
    full.detail = "x".repeat(1 << 20);
    let refused = store.append_audit(&full).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    store.append_audit(&full).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_locked_file_is_unavailable_within_seconds_and_passes() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    store.append_audit(&record("before")).await.unwrap();
    let mut other = intruder(directory.path()).await;
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let begun = Instant::now();
    let mut writes = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        writes.spawn(async move { store.append_audit(&record("during")).await });
    }
    while let Some(refused) = writes.join_next().await {
        assert!(matches!(refused.unwrap(), Err(StoreError::Unavailable(_))));
    }
    // a turn of the batch before, and their own
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(store.audit(10).await.unwrap(), [record("before")], "lists still work");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.append_audit(&record("after")).await.unwrap();
    assert_eq!(store.audit(10).await.unwrap(), [record("after"), record("before")]);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_whole_or_not_at_all() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let half_done = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .queue
                .write(|connection| {
                    Box::pin(async move {
                        let insert = "INSERT INTO audit (at, row) VALUES (0, ?)";
                        sqlx::query(insert).bind("1").execute(&mut *connection).await.unwrap();
                        begun.send(()).unwrap();
                        may_go_on.await.unwrap();
                        sqlx::query(insert).bind("2").execute(connection).await.unwrap();
                        Ok(())
                    })
                })
                .await
        }
    });
    has_begun.await.unwrap();
    // a second one, given up while it waits behind the first, is not even begun
    let not_begun = tokio::spawn({
        let store = store.clone();
        async move { store.append_audit(&record("given up")).await }
    });
    tokio::task::yield_now().await;
    half_done.abort();
    not_begun.abort();
    assert!(half_done.await.is_err() && not_begun.await.is_err());
    go_on.send(()).unwrap();
    store.append_audit(&record("after")).await.unwrap();
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT row FROM audit ORDER BY id").fetch_all(&store.readers).await.unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows[..2], ["1", "2"]);
    assert!(rows[2].contains("after"));
}

#[tokio::test]
async fn lists_walk_an_index_and_sort_nothing() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    for (statement, index) in [
        (crate::sessions::LIST, "session_list "),
        (crate::sessions::LIST_OF_USER, "session_list_of_user "),
        (crate::sessions::COUNT_OF_USER, "session_list_of_user "),
        (crate::catalogue::FREE, "desktop_on_host "),
        (crate::catalogue::FREE, "session_of_desktop "),
        (crate::machines::ROOMY, "desktop_of_collection "),
        (crate::machines::ROOMY, "session_in_desktop "),
        (crate::hosts::LOST, "session_lost "),
        (crate::hosts::ORPHANS, "desktop_with_handle "),
        (crate::hosts::COUNT_DESKTOPS, "desktop_on_host "),
        (crate::changes::READ, "PRIMARY KEY "),
        (crate::changes::READ_OF_USER, "change_of_user "),
    ] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows = sqlx::query(explain).fetch_all(&store.readers).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get::<String, _>("detail")).collect();
        let plan = plan.join("\n") + " ";
        assert!(plan.contains(index), "{statement}\n{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN"), "{statement}\n{plan}");
    }
}

#[tokio::test]
async fn changes_of_another_node_are_seen() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (open(directory.path()).await, open(directory.path()).await);
    let before = two.change_span().await.unwrap().last;
    let waiting = tokio::spawn(async move {
        while two.change_span().await.unwrap().last == before {
            two.changed(before).await;
        }
    });
    one.insert_session(battery::new_session("alice", "p", "d", "h")).await.unwrap();
    waiting.await.unwrap();
}

#[tokio::test]
async fn whoever_changes_a_session_and_goes_away_is_still_told_of() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let before = store.change_span().await.unwrap().last;
    let gone = store.insert_session(battery::new_session("alice", "p", "d", "h"));
    tokio::time::timeout(Duration::ZERO, gone).await.ok();
    // everything that was queued before this is durable when this is
    store.append_audit(&record("later")).await.unwrap();
    assert_eq!(store.change_span().await.unwrap().last, *store.last_change.borrow());
    assert!(*store.last_change.borrow() >= before);
}

#[tokio::test]
async fn a_writer_that_died_is_noticed() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let killed = store.queue.write::<(), _>(|_| Box::pin(async { panic!("as if by a defect") })).await;
    assert!(matches!(killed, Err(StoreError::Unavailable(_))), "{killed:?}");
    store.writer_ended().await;
    assert!(matches!(store.append_audit(&record("late")).await, Err(StoreError::Unavailable(_))));
}

/// Prints what a durable write costs alone and in company; asserts nothing about time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_tasks_share_commits() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path()).await;
    let begun = Instant::now();
    for _ in 0..200 {
        store.append_audit(&record("alone")).await.unwrap();
    }
    let alone = 200.0 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..16 {
                store.append_audit(&record("in company")).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let company = 1024.0 / begun.elapsed().as_secs_f64();
    println!("durable writes a second: {alone:.0} from one task, {company:.0} from 64");
    assert_eq!(store.audit(2000).await.unwrap().len(), 1224);
}
