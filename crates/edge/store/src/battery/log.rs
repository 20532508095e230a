//! What every store does: the log of changes of sessions.

use super::{NOW, Subject, ended, new_session, user};
use openrdms_broker::change::{ChangeKind, Position, Span};
use openrdms_broker::session::Cause;
use openrdms_broker::session::reconnect::{Cookie, Reconnect};
use openrdms_broker::{Session, SessionUid, State, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;

fn logging_off(mut session: Session) -> Session {
    session.state = State::LoggingOff { since: NOW, cause: Cause::Administrator };
    session
}

pub(crate) async fn every_change_of_a_session_is_logged_with_what_was_before(store: Subject) {
    let started = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    let leaving = store.update_session(&logging_off(started.clone())).await.unwrap();
    let gone = store.update_session(&ended(leaving.clone())).await.unwrap();
    let again = store.update_session(&gone).await.unwrap();
    let log = store.changes(None, Position(0), 10).await.unwrap();
    assert_eq!(log.span, Span { forgotten: Position(0), last: log.read_to });
    assert!(log.rows.is_sorted_by(|a, b| a.position < b.position), "{log:?}");
    let kinds: Vec<_> = log.rows.iter().map(|change| change.kind()).collect();
    assert_eq!(
        kinds,
        [
            ChangeKind::Begun(&started),
            ChangeKind::Changed { before: &started, after: &leaving },
            ChangeKind::Ended { before: &leaving, after: &gone },
            ChangeKind::Unlisted,
        ]
    );
    assert_eq!((&log.rows[3].before, &log.rows[3].after), (&Some(gone), &again));
}

pub(crate) async fn cookies_are_kept_in_the_session_and_not_in_the_log(store: Subject) {
    let started = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    let reconnect = Reconnect::By { cookie: Cookie::new([7; 16]), before: None };
    let with_cookie = Session { reconnect, ..started };
    let written = store.update_session(&with_cookie).await.unwrap();
    assert_eq!(written.reconnect, with_cookie.reconnect);
    store.update_session(&written).await.unwrap();
    let log = store.changes(None, Position(0), 10).await.unwrap();
    let logged = log.rows.iter().flat_map(|change| change.before.iter().chain([&change.after]));
    assert_eq!(logged.filter(|session| session.reconnect == Reconnect::Never).count(), 5);
}

pub(crate) async fn what_was_refused_is_not_logged(store: Subject) {
    let first = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    store.insert_session(new_session("alice", "p", "d2", "h")).await.unwrap_err();
    store.insert_session(new_session("bob", "p", "d", "h")).await.unwrap_err();
    store.update_session(&first).await.unwrap();
    store.update_session(&first).await.unwrap_err();
    let nobody = Session { uid: SessionUid(Uuid::new_v4()), ..first.clone() };
    store.update_session(&nobody).await.unwrap_err();
    let log = store.changes(None, Position(0), 10).await.unwrap();
    assert_eq!(log.rows.iter().map(|c| c.after.generation).collect::<Vec<_>>(), [1, 2]);
}

pub(crate) async fn the_log_is_read_in_pages_without_gap_or_repeat(store: Subject) {
    let mut tasks = JoinSet::new();
    for i in 0..30 {
        let store = store.clone();
        let user = if i % 3 == 0 { "Alice" } else { "bob" };
        tasks.spawn(async move {
            let new = new_session(user, &format!("p{i}"), &format!("d{i}"), "h");
            let session = store.insert_session(new).await.unwrap();
            store.update_session(&logging_off(session)).await.unwrap();
        });
    }
    tasks.join_all().await;
    for (whose, count) in [(None, 60), (Some(user("ALICE")), 20)] {
        let (mut at, mut seen) = (Position(0), Vec::new());
        loop {
            let page = store.changes(whose.as_ref(), at, 7).await.unwrap();
            assert!(page.rows.iter().all(|c| whose.as_ref().is_none_or(|w| *w == c.after.user)));
            assert!(page.rows.iter().all(|c| c.position > at && c.position <= page.read_to));
            at = page.read_to;
            seen.extend(page.rows.iter().map(|c| (c.after.uid, c.after.generation)));
            if page.rows.len() < 7 {
                assert_eq!(at, page.span.last, "somebody who sees little still comes to the end");
                break;
            }
        }
        assert_eq!(seen.len(), count);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}

pub(crate) async fn the_log_is_forgotten_from_its_beginning_and_says_so(store: Subject) {
    let far = Timestamp(i64::MAX);
    for i in 0..10 {
        store.insert_session(new_session("alice", &format!("p{i}"), &format!("d{i}"), "h")).await.unwrap();
    }
    let whole = store.change_span().await.unwrap();
    assert!(whole.reaches(whole.forgotten) && whole.reaches(whole.last));
    assert!(!whole.reaches(Position(whole.last.0 + 1)), "a position of the future is of another log");
    assert_eq!(store.forget_changes(Timestamp(0), 10).await.unwrap(), 0);
    assert_eq!(store.forget_changes(Timestamp(0), 4).await.unwrap(), 6);
    let log = store.changes(None, whole.forgotten, 100).await.unwrap();
    assert_eq!(log.rows.len(), 4);
    assert_eq!(log.span, Span { forgotten: Position(log.rows[0].position.0 - 1), last: whole.last });
    assert!(!log.span.reaches(whole.forgotten) && log.span.reaches(log.span.forgotten));
    assert_eq!(store.forget_changes(far, 100).await.unwrap(), 4);
    let nothing = Span { forgotten: whole.last, last: whole.last };
    assert_eq!(store.change_span().await.unwrap(), nothing, "an empty log knows how far it went");
    store.insert_session(new_session("bob", "p", "d", "h")).await.unwrap();
    let log = store.changes(None, whole.last, 100).await.unwrap();
    assert!(log.rows[0].position > whole.last, "a position is never given twice");
}

pub(crate) async fn more_than_a_thousand_changes_are_forgotten(store: Subject) {
    let mut session = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    for _ in 0..1200 {
        session = store.update_session(&session).await.unwrap();
    }
    assert_eq!(store.forget_changes(Timestamp(0), 1).await.unwrap(), 1200);
    assert_eq!(store.changes(None, Position(1200), 10).await.unwrap().rows.len(), 1);
}

pub(crate) async fn whoever_waits_for_a_change_is_told_of_it(store: Subject) {
    let before = store.change_span().await.unwrap().last;
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            while store.change_span().await.unwrap().last == before {
                store.changed(before).await;
            }
        }
    });
    store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    waiting.await.unwrap();
    store.changed(before).await;
}
