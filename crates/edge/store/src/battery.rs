//! One battery of tests for every adapter of the port: a function a rule, on `Arc<dyn Store>`. An adapter hands
//! each an empty store.

mod kept;
mod log;
mod machines;

pub(crate) use kept::*;
pub(crate) use log::*;
pub(crate) use machines::*;
use openrdms_broker::limits::LimitsChange;
use openrdms_broker::{
    Account, AccountChange, Assignment, AuditRecord, Collection, CollectionAlias, CollectionChange,
    ConnectionId, Credentials, Desktop, DesktopHandle, DesktopName, Endpoint, HostName, Intake, Lease,
    LimitAction, Limits, NodeId, Outcome, Role, Session, SessionUid, State, Timestamp, UserName,
    ports::{Existing, SessionCursor, SessionFilter, Store, StoreError, store::NewSession},
    session::{Cause, DetachReason, EndReason, LostReason},
};
use std::sync::Arc;
use tokio::task::JoinSet;
use uuid::Uuid;

type Subject = Arc<dyn Store>;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn user(name: &str) -> UserName {
    UserName::new("Farm", name).unwrap()
}

fn alias(name: &str) -> CollectionAlias {
    CollectionAlias::new(name).unwrap()
}

fn name(name: &str) -> DesktopName {
    DesktopName::new(name).unwrap()
}

pub(crate) fn new_session(user_name: &str, collection: &str, desktop: &str, host: &str) -> NewSession {
    NewSession {
        uid: SessionUid(Uuid::new_v4()),
        desktop: name(desktop),
        places: None,
        host: HostName::new(host).unwrap(),
        boot_id: "boot".to_owned(),
        collection: alias(collection),
        user: user(user_name),
        created: NOW,
        state: State::Starting { since: NOW, attach: ConnectionId(Uuid::new_v4()) },
    }
}

fn ended(mut session: Session) -> Session {
    session.state = State::Ended { at: NOW, reason: EndReason::LoggedOff };
    session
}

fn desktop(desktop: &str, collection: &str) -> Desktop {
    Desktop {
        name: name(desktop),
        collection: alias(collection),
        host: HostName::new("Host").unwrap(),
        certificate_sha256: [7; 32],
        handle: None,
        paused: false,
    }
}

pub(crate) fn collection(name: &str, size: u32) -> Collection {
    Collection {
        display_name: "A pool".to_owned(),
        size,
        users: Some(vec![user("alice")]),
        limits: Limits { idle: 1800, action: LimitAction::Logoff, ..Limits::default() },
        ..Collection::new(alias(name), NOW)
    }
}

fn account(name: &str) -> Account {
    Account {
        user: user(name),
        role: Role::User,
        credentials: Credentials { password_hash: "hash".to_owned(), sealed_nt_hash: Some(vec![1, 2, 3]) },
        uid: 0,
        created: NOW,
    }
}

pub(crate) async fn a_session_reads_back_as_it_was_written(store: Subject) {
    let session = store.insert_session(new_session("Alice", "Pool", "Pool-1", "Host")).await.unwrap();
    assert_eq!((session.generation, session.session_id), (1, 1));
    assert_eq!(store.session(session.uid).await.unwrap(), Some(session.clone()));
    assert_eq!(store.session_by_id("hOST", 1).await.unwrap(), Some(session.clone()));
    assert_eq!(store.live_session(&user("ALICE"), &alias("pOOL")).await.unwrap(), Some(session.clone()));
    assert_eq!(store.session_in_desktop(&name("POOL-1")).await.unwrap(), Some(session.clone()));
    assert_eq!(session.user.to_string(), "Farm\\Alice", "the spelling is kept");
    assert_eq!(store.session(SessionUid(Uuid::new_v4())).await.unwrap(), None);
    assert_eq!(store.session_by_id("Host", 2).await.unwrap(), None);
}

pub(crate) async fn one_live_session_a_user_and_collection(store: Subject) {
    let mut tasks = JoinSet::new();
    for i in 0..32 {
        let store = store.clone();
        let spelling = if i % 2 == 0 { "alice" } else { "ALICE" };
        tasks.spawn(
            async move { store.insert_session(new_session(spelling, "p", &format!("d{i}"), "h")).await },
        );
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    let refused = |r: &&Result<Session, _>| matches!(r, Err(StoreError::Conflict(Existing::SessionOfUser)));
    assert_eq!(results.iter().filter(refused).count(), 31);
    store.insert_session(new_session("alice", "other", "d99", "h")).await.unwrap();
}

pub(crate) async fn one_live_session_a_desktop(store: Subject) {
    let mut tasks = JoinSet::new();
    for i in 0..32 {
        let store = store.clone();
        let spelling = if i % 2 == 0 { "desk" } else { "DESK" };
        tasks.spawn(
            async move { store.insert_session(new_session(&format!("u{i}"), "p", spelling, "h")).await },
        );
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    let refused =
        |r: &&Result<Session, _>| matches!(r, Err(StoreError::Conflict(Existing::SessionInDesktop)));
    assert_eq!(results.iter().filter(refused).count(), 31);
}

pub(crate) async fn a_change_of_an_older_generation_is_stale(store: Subject) {
    let first = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, mut mine) = (store.clone(), first.clone());
        mine.state = State::LoggingOff { since: NOW, cause: Cause::Administrator };
        tasks.spawn(async move { store.update_session(&mine).await });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|r| matches!(r, Err(StoreError::Stale))).count(), 15);
    let second = store.session(first.uid).await.unwrap().unwrap();
    assert_eq!(
        (second.generation, &second.state),
        (2, &State::LoggingOff { since: NOW, cause: Cause::Administrator })
    );
    assert_eq!(store.update_session(&second).await.unwrap().generation, 3);

    let nobody = Session { uid: SessionUid(Uuid::new_v4()), ..second };
    assert!(matches!(store.update_session(&nobody).await, Err(StoreError::NotFound("session"))));
}

pub(crate) async fn a_session_id_is_never_used_again(store: Subject) {
    let mut last = 0;
    for _ in 0..5 {
        let session = store.insert_session(new_session("alice", "p", "d", "Host")).await.unwrap();
        assert!(session.session_id > last);
        last = session.session_id;
        // a refused insertion in between must not make two sessions share a number either
        store.insert_session(new_session("alice", "p", "d2", "hOST")).await.unwrap_err();
        store.update_session(&ended(session)).await.unwrap();
        assert_eq!(
            store.session_by_id("Host", last).await.unwrap(),
            None,
            "an ended session has no id to others"
        );
    }
    let elsewhere = store.insert_session(new_session("alice", "p", "d", "other")).await.unwrap();
    assert_eq!(elsewhere.session_id, 1, "each host counts for itself");
}

pub(crate) async fn an_ended_session_frees_its_user_and_desktop_and_stays_in_history(store: Subject) {
    let session = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    let session = store.update_session(&ended(session)).await.unwrap();
    assert_eq!(store.live_session(&user("alice"), &alias("p")).await.unwrap(), None);
    assert_eq!(store.session_in_desktop(&name("d")).await.unwrap(), None);
    assert_eq!(store.session(session.uid).await.unwrap(), Some(session.clone()));
    assert_eq!(store.count_sessions(&SessionFilter::default()).await.unwrap(), 0);
    assert!(store.sessions(&SessionFilter::default(), None, 10).await.unwrap().rows.is_empty());
    store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
}

pub(crate) async fn a_lost_session_is_listed_and_blocks_nobody(store: Subject) {
    let mut lost = store.insert_session(new_session("alice", "p", "d", "h")).await.unwrap();
    lost.state = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let mut lost = store.update_session(&lost).await.unwrap();
    let second = store.insert_session(new_session("alice", "p", "d2", "h")).await.unwrap();
    let listed = store.sessions(&SessionFilter::default(), None, 10).await.unwrap().rows;
    assert_eq!(listed, [lost.clone(), second.clone()]);
    assert_eq!(store.live_session(&user("alice"), &alias("p")).await.unwrap(), Some(second.clone()));

    // it cannot come back beside the user's new session, and nothing of the attempt remains
    lost.state = State::Disconnected { since: NOW, reason: DetachReason::Service, attach: None };
    let refused = store.update_session(&lost).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::SessionOfUser))), "{refused:?}");
    assert!(matches!(store.session(lost.uid).await.unwrap().unwrap().state, State::Lost { .. }));
    store.update_session(&ended(second)).await.unwrap();
    store.update_session(&lost).await.unwrap();
}

pub(crate) async fn sessions_are_listed_in_pages_without_gap_or_repeat(store: Subject) {
    for i in 0..25 {
        let host = if i % 2 == 0 { "Beta" } else { "alpha" };
        let pool = if i % 5 == 0 { "five" } else { "rest" };
        store.insert_session(new_session(&format!("u{i}"), pool, &format!("d{i}"), host)).await.unwrap();
    }
    let all = pages(&store, &SessionFilter::default(), 4).await;
    let order: Vec<_> = all.iter().map(|s| (s.host.as_str().to_lowercase(), s.session_id)).collect();
    assert_eq!(all.len(), 25);
    assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");

    let host = SessionFilter { host: Some(HostName::new("ALPHA").unwrap()), ..Default::default() };
    assert_eq!(pages(&store, &host, 5).await.len(), 12);
    let pool = SessionFilter { collection: Some(alias("FIVE")), ..Default::default() };
    assert_eq!(pages(&store, &pool, 1).await.len(), 5);
    assert_eq!(store.count_sessions(&pool).await.unwrap(), 5);
    let mine = SessionFilter { user: Some(user("U7")), ..Default::default() };
    assert_eq!(pages(&store, &mine, 3).await.len(), 1);
    assert_eq!(store.count_sessions(&mine).await.unwrap(), 1);
    let nobody = SessionFilter { user: Some(user("u7")), ..pool };
    assert_eq!(pages(&store, &nobody, 3).await.len(), 0);
    assert_eq!(store.count_sessions(&nobody).await.unwrap(), 0);
    assert_eq!(store.sessions(&host, None, 12).await.unwrap().next, None, "a full last page is the last");
}

async fn pages(store: &Subject, filter: &SessionFilter, limit: u32) -> Vec<Session> {
    let (mut all, mut after): (Vec<Session>, Option<SessionCursor>) = (Vec::new(), None);
    loop {
        let page = store.sessions(filter, after, limit).await.unwrap();
        assert!(page.rows.len() <= limit as usize);
        all.extend(page.rows);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

pub(crate) async fn a_collection_comes_with_all_its_desktops_or_not_at_all(store: Subject) {
    store.insert_collection(&collection("One", 1), &[desktop("same", "One")]).await.unwrap();
    let refused =
        store.insert_collection(&collection("two", 2), &[desktop("t1", "two"), desktop("SAME", "two")]).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::Desktop))), "{refused:?}");
    assert_eq!(store.collection("two").await.unwrap(), None);
    assert_eq!(store.desktop(&name("t1")).await.unwrap(), None);
    let refused = store.insert_collection(&collection("ONE", 0), &[]).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::Collection))), "{refused:?}");

    assert_eq!(store.collection("oNE").await.unwrap(), Some(collection("One", 1)));
    store.insert_collection(&collection("alpha", 0), &[]).await.unwrap();
    let all = store.collections().await.unwrap();
    assert_eq!(all.iter().map(|c| c.alias.as_str()).collect::<Vec<_>>(), ["alpha", "One"]);
}

pub(crate) async fn limits_change_one_by_one(store: Subject) {
    store.insert_collection(&collection("Pool", 1), &[]).await.unwrap();
    let change = LimitsChange { active: Some(28_800), ..LimitsChange::default() };
    store.change_collection("pOOL", change.into()).await.unwrap();
    let before = collection("Pool", 1);
    let limits = Limits { active: 28_800, ..before.limits };
    assert_eq!(store.collection("Pool").await.unwrap(), Some(Collection { limits, ..before }));
    let name = CollectionChange { display_name: Some("For all".into()), ..CollectionChange::default() };
    store.change_collection("pool", name).await.unwrap();
    let after = store.collection("Pool").await.unwrap().unwrap();
    assert_eq!((after.display_name.as_str(), after.limits.active), ("For all", 28_800));
    let refused = store.change_collection("other", change.into()).await;
    assert!(matches!(refused, Err(StoreError::NotFound("collection"))));
}

pub(crate) async fn a_collection_with_a_live_session_stays(store: Subject) {
    store.insert_collection(&collection("Pool", 1), &[desktop("d", "Pool")]).await.unwrap();
    let session = store.insert_session(new_session("alice", "pool", "d", "h")).await.unwrap();
    let refused = store.delete_collection(&alias("pOOL")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::SessionInCollection))), "{refused:?}");
    // a Lost one may run in a desktop of it
    let lost = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let session = store.update_session(&Session { state: lost, ..session }).await.unwrap();
    let refused = store.delete_collection(&alias("pool")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::SessionInCollection))), "{refused:?}");
    store.update_session(&ended(session.clone())).await.unwrap();
    store.delete_collection(&alias("pOOL")).await.unwrap();
    assert_eq!(store.collection("Pool").await.unwrap(), None);
    assert_eq!(store.desktop(&name("d")).await.unwrap(), None);
    assert!(store.session(session.uid).await.unwrap().is_some(), "history stays");
    assert!(matches!(store.delete_collection(&alias("Pool")).await, Err(StoreError::NotFound("collection"))));
}

fn lease(host: &str, node: u128, until: i64) -> Lease {
    Lease {
        host: HostName::new(host).unwrap(),
        kind: "local".to_owned(),
        boot_id: "boot".to_owned(),
        node: NodeId(Uuid::from_u128(node)),
        version: "1".to_owned(),
        until: Timestamp(until),
    }
}

fn handle(pid: i32) -> DesktopHandle {
    let endpoint = Endpoint::Unix { path: "/run/desk.sock".into(), uid: 5 };
    DesktopHandle { pid, start_time: 7, boot_id: "boot".to_owned(), endpoint }
}

/// Free desktops of collection `p` on a host, by name.
async fn free(store: &Subject, host: &str, now: i64) -> Vec<String> {
    let host = HostName::new(host).unwrap();
    let free = store.free_desktops(&alias("P"), &host, None, Timestamp(now), 10).await.unwrap();
    free.into_iter().map(|d| d.name.into()).collect()
}

pub(crate) async fn free_desktops_are_those_in_which_nothing_can_run(store: Subject) {
    let desktops: Vec<_> = (1..=4).map(|i| desktop(&format!("P-{i}"), "p")).collect();
    store.insert_collection(&collection("p", 4), &desktops).await.unwrap();
    store.insert_collection(&collection("q", 1), &[desktop("q-1", "q")]).await.unwrap();
    store.renew_lease(&lease("host", 1, 100), Timestamp(0)).await.unwrap();
    let mut taken = store.insert_session(new_session("alice", "p", "p-2", "host")).await.unwrap();
    assert_eq!(free(&store, "HOST", 50).await, ["P-1", "P-3", "P-4"]);
    let host = HostName::new("host").unwrap();
    assert_eq!(store.free_desktops(&alias("p"), &host, None, Timestamp(50), 1).await.unwrap().len(), 1);
    // nobody knows what runs in a Lost one, and something may in one that left a handle
    taken.state = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let taken = store.update_session(&taken).await.unwrap();
    store.set_desktop_handle(&name("p-3"), Some(&handle(1))).await.unwrap();
    assert_eq!(free(&store, "host", 50).await, ["P-1", "P-4"]);
    store.set_desktop_handle(&name("p-3"), None).await.unwrap();
    store.update_session(&ended(taken)).await.unwrap();
    assert_eq!(free(&store, "host", 50).await.len(), 4);
}

pub(crate) async fn only_hosts_that_are_up_and_open_have_free_desktops(store: Subject) {
    let elsewhere = Desktop { host: HostName::new("other").unwrap(), ..desktop("P-2", "p") };
    store.insert_collection(&collection("p", 2), &[desktop("P-1", "p"), elsewhere]).await.unwrap();
    assert!(free(&store, "host", 0).await.is_empty(), "nobody has ever served it");
    store.renew_lease(&lease("Host", 1, 100), Timestamp(0)).await.unwrap();
    assert_eq!(free(&store, "host", 99).await, ["P-1"]);
    assert!(free(&store, "host", 100).await.is_empty(), "its lease is over");
    assert!(free(&store, "other", 0).await.is_empty(), "another's lease is no help");
    store.set_intake("hOST", Intake::Drained).await.unwrap();
    assert!(free(&store, "host", 50).await.is_empty());
    store.set_intake("host", Intake::Open).await.unwrap();
    assert_eq!(free(&store, "host", 50).await, ["P-1"]);
}

fn assignment(desktop: &str, collection: &str, owner: &str) -> Assignment {
    Assignment { desktop: name(desktop), collection: alias(collection), user: user(owner), since: NOW }
}

pub(crate) async fn a_desktop_has_one_owner_and_a_user_one_desktop_a_collection(store: Subject) {
    for pool in ["p", "q"] {
        let desktops = [1, 2].map(|number| desktop(&format!("{pool}-{number}"), pool));
        store.insert_collection(&collection(pool, 2), &desktops).await.unwrap();
    }
    let first = assignment("p-1", "p", "alice");
    store.insert_assignment(&first).await.unwrap();
    let taken = store.insert_assignment(&assignment("P-1", "P", "bob")).await;
    assert!(matches!(taken, Err(StoreError::Conflict(Existing::AssignmentOfDesktop))), "{taken:?}");
    let second = store.insert_assignment(&assignment("p-2", "p", "ALICE")).await;
    assert!(matches!(second, Err(StoreError::Conflict(Existing::AssignmentOfUser))), "{second:?}");
    for missing in [assignment("p-3", "p", "bob"), assignment("p-2", "q", "bob")] {
        let missing = store.insert_assignment(&missing).await;
        assert!(matches!(missing, Err(StoreError::NotFound(_))), "{missing:?}");
    }
    store.insert_assignment(&assignment("q-2", "q", "alice")).await.unwrap();
    store.insert_assignment(&assignment("q-1", "q", "bob")).await.unwrap();
    assert_eq!(store.assignment(&name("P-1")).await.unwrap(), Some(first.clone()));
    assert_eq!(store.assignment_of_user(&alias("P"), &user("Alice")).await.unwrap(), Some(first.clone()));
    assert_eq!(store.assignment_of_user(&alias("p"), &user("bob")).await.unwrap(), None);
    let page = store.assignments(None, None, 2).await.unwrap();
    assert_eq!((page.rows[0].clone(), page.rows.len(), page.next.clone()), (first, 2, Some(name("q-1"))));
    assert_eq!(store.assignments(None, page.next, 2).await.unwrap().rows[0].desktop, name("q-2"));
    assert_eq!(store.assignments(Some(&alias("Q")), None, 9).await.unwrap().rows.len(), 2);
    store.delete_assignment(&name("P-1")).await.unwrap();
    assert!(matches!(store.delete_assignment(&name("p-1")).await, Err(StoreError::NotFound(_))));
}

pub(crate) async fn an_assignment_goes_with_its_desktop_collection_and_account(store: Subject) {
    let desktops = ["p-1", "p-2", "p-3"].map(|name| desktop(name, "p"));
    store.insert_collection(&collection("p", 3), &desktops).await.unwrap();
    for (desktop, owner) in [("p-1", "alice"), ("p-2", "bob"), ("p-3", "carol")] {
        store.insert_account(&account(owner), 1..=9).await.unwrap();
        store.insert_assignment(&assignment(desktop, "p", owner)).await.unwrap();
    }
    store.delete_desktop(&name("P-1")).await.unwrap();
    store.delete_account(&user("bob")).await.unwrap();
    let left = store.assignments(None, None, 9).await.unwrap().rows;
    assert_eq!(left, [assignment("p-3", "p", "carol")]);
    store.delete_collection(&alias("p")).await.unwrap();
    assert!(store.assignments(None, None, 9).await.unwrap().rows.is_empty());
}

pub(crate) async fn an_assigned_desktop_is_free_for_its_owner_alone(store: Subject) {
    let host = HostName::new("Host").unwrap();
    store.renew_lease(&lease("Host", 1, 100), Timestamp(0)).await.unwrap();
    store.insert_collection(&collection("p", 2), &["p-1", "p-2"].map(|n| desktop(n, "p"))).await.unwrap();
    store.insert_assignment(&assignment("p-1", "p", "alice")).await.unwrap();
    let free = async |owner: Option<&str>| {
        let owner = owner.map(user);
        let free = store.free_desktops(&alias("p"), &host, owner.as_ref(), Timestamp(50), 9).await.unwrap();
        free.into_iter().map(|desktop| desktop.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(free(None).await, ["p-2"]);
    assert_eq!(free(Some("ALICE")).await, ["p-1"]);
    assert!(free(Some("bob")).await.is_empty());
}

pub(crate) async fn a_collection_counts_the_desktops_that_come_and_go(store: Subject) {
    store.insert_collection(&collection("p", 1), &[desktop("p-1", "p")]).await.unwrap();
    let size = async || store.collection("p").await.unwrap().unwrap().size;
    store.insert_desktop(&desktop("p-x", "P")).await.unwrap();
    assert_eq!(size().await, 2);
    let again = store.insert_desktop(&desktop("P-X", "p")).await;
    assert!(matches!(again, Err(StoreError::Conflict(Existing::Desktop))), "{again:?}");
    let nowhere = store.insert_desktop(&desktop("z-1", "z")).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound("collection"))), "{nowhere:?}");
    let session = store.insert_session(new_session("alice", "p", "p-x", "host")).await.unwrap();
    let busy = store.delete_desktop(&name("p-x")).await;
    assert!(matches!(busy, Err(StoreError::Conflict(Existing::SessionInDesktop))), "{busy:?}");
    assert_eq!(size().await, 2);
    store.update_session(&ended(session)).await.unwrap();
    store.delete_desktop(&name("P-X")).await.unwrap();
    assert_eq!(size().await, 1);
    assert!(matches!(store.delete_desktop(&name("p-x")).await, Err(StoreError::NotFound(_))));
}

pub(crate) async fn a_desktop_is_paused_as_long_as_it_is_that_one(store: Subject) {
    store.insert_collection(&collection("p", 1), &[desktop("p-1", "p")]).await.unwrap();
    let paused = async || store.desktop(&name("p-1")).await.unwrap().unwrap().paused;
    let (first, second) = (handle(1), handle(2));
    let early = store.set_desktop_paused(&name("p-1"), &first, true).await;
    assert!(matches!(early, Err(StoreError::Stale)), "{early:?}");
    store.set_desktop_handle(&name("p-1"), Some(&first)).await.unwrap();
    store.set_desktop_paused(&name("P-1"), &first, true).await.unwrap();
    assert!(paused().await);
    let other = store.set_desktop_paused(&name("p-1"), &second, false).await;
    assert!(matches!(other, Err(StoreError::Stale)), "{other:?}");
    store.set_desktop_handle(&name("p-1"), Some(&second)).await.unwrap();
    assert!(!paused().await, "another one");
    store.set_desktop_paused(&name("p-1"), &second, true).await.unwrap();
    store.clear_desktop_handle(&name("p-1"), &second).await.unwrap();
    assert!(!paused().await, "it does not run");
}

pub(crate) async fn a_host_has_one_node_at_a_time(store: Subject) {
    store.renew_lease(&lease("Host", 1, 100), Timestamp(0)).await.unwrap();
    let refused = store.renew_lease(&lease("hOST", 2, 200), Timestamp(99)).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::LeaseOfHost))), "{refused:?}");
    store.renew_lease(&lease("Host", 1, 150), Timestamp(99)).await.unwrap();
    assert_eq!(store.host("HOST").await.unwrap().unwrap().lease, lease("Host", 1, 150));
    // whoever comes after its end gets it, and the one before cannot take it back
    store.renew_lease(&lease("Host", 2, 300), Timestamp(150)).await.unwrap();
    assert!(store.renew_lease(&lease("Host", 1, 400), Timestamp(160)).await.is_err());
    let host = HostName::new("host").unwrap();
    store.release_lease(&host, NodeId(Uuid::from_u128(1)), Timestamp(160)).await.unwrap();
    assert!(store.host("host").await.unwrap().unwrap().is_up(Timestamp(299)), "it was not node 1's to give");
    store.release_lease(&host, NodeId(Uuid::from_u128(2)), Timestamp(170)).await.unwrap();
    assert!(!store.host("host").await.unwrap().unwrap().is_up(Timestamp(170)));
    store.renew_lease(&lease("Alpha", 1, 400), Timestamp(170)).await.unwrap();
    let hosts = store.hosts().await.unwrap();
    assert_eq!(hosts.iter().map(|h| h.lease.host.as_str()).collect::<Vec<_>>(), ["Alpha", "Host"]);
    assert_eq!(store.host("nowhere").await.unwrap(), None);
}

pub(crate) async fn a_drained_host_stays_drained_through_leases(store: Subject) {
    let missing = store.set_intake("host", Intake::Drained).await;
    assert!(matches!(missing, Err(StoreError::NotFound("host"))), "{missing:?}");
    store.renew_lease(&lease("host", 1, 100), Timestamp(0)).await.unwrap();
    assert_eq!(store.host("host").await.unwrap().unwrap().intake, Intake::Open);
    store.set_intake("host", Intake::Drained).await.unwrap();
    store.renew_lease(&lease("host", 2, 300), Timestamp(200)).await.unwrap();
    assert_eq!(store.host("host").await.unwrap().unwrap().intake, Intake::Drained);
}

pub(crate) async fn a_node_is_known_by_its_word_and_stays_drained(store: Subject) {
    let (one, two) = (NodeId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
    let missing = store.set_node_intake(one, Intake::Drained).await;
    assert!(matches!(missing, Err(StoreError::NotFound("node"))), "{missing:?}");
    store.renew_lease(&lease("host", 1, 100), Timestamp(0)).await.unwrap();
    store.set_node_intake(one, Intake::Drained).await.unwrap();
    // also when it serves another host
    store.renew_lease(&lease("other", 1, 150), Timestamp(50)).await.unwrap();
    store.renew_lease(&lease("host", 2, 300), Timestamp(200)).await.unwrap();
    // a word that was not taken is not remembered
    assert!(store.renew_lease(&lease("host", 3, 300), Timestamp(200)).await.is_err());
    let known: Vec<_> = store.nodes().await.unwrap().into_iter().map(|n| (n.lease, n.intake)).collect();
    let drained = (lease("other", 1, 150), Intake::Drained);
    assert_eq!(known, [drained, (lease("host", 2, 300), Intake::Open)]);

    store.release_lease(&HostName::new("host").unwrap(), two, Timestamp(250)).await.unwrap();
    assert!(!store.node(two).await.unwrap().unwrap().is_up(Timestamp(250)));
    assert_eq!(store.set_node_intake(one, Intake::Open).await.unwrap().intake, Intake::Open);
    assert_eq!(store.node(NodeId(Uuid::from_u128(3))).await.unwrap(), None);
}

pub(crate) async fn live_sessions_of_silent_hosts_are_found_and_lost_ones_by_host(store: Subject) {
    store.renew_lease(&lease("up", 1, 100), Timestamp(0)).await.unwrap();
    store.renew_lease(&lease("down", 2, 50), Timestamp(0)).await.unwrap();
    for (user, host) in [("a", "up"), ("b", "down"), ("c", "unheard")] {
        store.insert_session(new_session(user, "p", user, host)).await.unwrap();
    }
    let silent = |now: i64| {
        let store = store.clone();
        async move {
            let own = HostName::new("OWN").unwrap();
            let silent = store.sessions_of_silent_hosts(&own, Timestamp(now), 10).await.unwrap();
            let mut users: Vec<_> = silent.iter().map(|s| s.user.name().to_owned()).collect();
            users.sort();
            users
        }
    };
    assert_eq!(silent(49).await, ["c"]);
    assert_eq!(silent(50).await, ["b", "c"]);
    let up = HostName::new("UP").unwrap();
    let of_others = store.sessions_of_silent_hosts(&up, Timestamp(500), 10).await.unwrap();
    assert_eq!(of_others.len(), 2, "a node does not think that its own host is silent");
    assert_eq!(store.sessions_of_silent_hosts(&up, Timestamp(500), 1).await.unwrap().len(), 1);
    let mut lost = store.live_session(&user("b"), &alias("p")).await.unwrap().unwrap();
    lost.state = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let lost = store.update_session(&lost).await.unwrap();
    assert_eq!(silent(50).await, ["c"]);
    assert_eq!(
        store.lost_sessions(&HostName::new("DOWN").unwrap()).await.unwrap(),
        std::slice::from_ref(&lost)
    );
    assert!(store.lost_sessions(&HostName::new("up").unwrap()).await.unwrap().is_empty());
    store.update_session(&ended(lost)).await.unwrap();
    assert!(store.lost_sessions(&HostName::new("down").unwrap()).await.unwrap().is_empty());
}

pub(crate) async fn a_handle_without_a_session_is_an_orphan_and_is_cleared_once(store: Subject) {
    let desktops = [desktop("P-1", "p"), desktop("P-2", "p")];
    store.insert_collection(&collection("p", 2), &desktops).await.unwrap();
    let host = HostName::new("HOST").unwrap();
    assert_eq!(store.count_desktops(&host).await.unwrap(), 2);
    assert_eq!(store.count_desktops(&HostName::new("h").unwrap()).await.unwrap(), 0);
    let session = store.insert_session(new_session("alice", "p", "p-1", "host")).await.unwrap();
    store.set_desktop_handle(&name("p-1"), Some(&handle(1))).await.unwrap();
    assert!(store.orphans(&host).await.unwrap().is_empty());
    store.update_session(&ended(session)).await.unwrap();
    let orphans = store.orphans(&host).await.unwrap();
    assert_eq!(orphans.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["P-1"]);
    // what has been started since stays known
    store.clear_desktop_handle(&name("p-1"), &handle(2)).await.unwrap();
    assert_eq!(store.desktop(&name("p-1")).await.unwrap().unwrap().handle, Some(handle(1)));
    store.clear_desktop_handle(&name("p-1"), &handle(1)).await.unwrap();
    assert!(store.orphans(&host).await.unwrap().is_empty());
}

pub(crate) async fn desktops_are_listed_in_pages_and_remember_their_handle(store: Subject) {
    let desktops: Vec<_> = (0..7).map(|i| desktop(&format!("D{i}"), "p")).collect();
    store.insert_collection(&collection("p", 7), &desktops).await.unwrap();
    store.insert_collection(&collection("q", 1), &[desktop("a", "q")]).await.unwrap();
    let first = store.desktops(Some(&alias("P")), None, 3).await.unwrap();
    let rest = store.desktops(Some(&alias("P")), first.next.clone(), 10).await.unwrap();
    assert_eq!([first.rows, rest.rows].concat(), desktops);
    assert_eq!(rest.next, None);
    assert_eq!(store.desktops(None, None, 10).await.unwrap().rows.len(), 8);

    let handle = DesktopHandle {
        pid: 42,
        start_time: 7,
        boot_id: "boot".to_owned(),
        endpoint: Endpoint::Unix { path: "/run/desk.sock".into(), uid: 5 },
    };
    store.set_desktop_handle(&name("d3"), Some(&handle)).await.unwrap();
    assert_eq!(store.desktop(&name("D3")).await.unwrap().unwrap().handle, Some(handle));
    store.set_desktop_handle(&name("d3"), None).await.unwrap();
    assert_eq!(store.desktop(&name("D3")).await.unwrap().unwrap().handle, None);
    let missing = store.set_desktop_handle(&name("none"), None).await;
    assert!(matches!(missing, Err(StoreError::NotFound("desktop"))), "{missing:?}");
}

pub(crate) async fn a_uid_is_given_once_and_the_lowest_first(store: Subject) {
    let mut uids = Vec::new();
    for user in ["a", "b", "c"] {
        uids.push(store.insert_account(&account(user), 100..=103).await.unwrap().uid);
    }
    assert_eq!(uids, [100, 101, 102]);
    let twice = store.insert_account(&account("A"), 100..=103).await;
    assert!(matches!(twice, Err(StoreError::Conflict(Existing::Account))), "{twice:?}");
    store.delete_account(&user("a")).await.unwrap();
    assert_eq!(store.insert_account(&account("d"), 100..=103).await.unwrap().uid, 103, "not a's 100");
    let full = store.insert_account(&account("e"), 100..=103).await;
    assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
    assert_eq!(store.insert_account(&account("f"), 50..=103).await.unwrap().uid, 50);
    assert!(matches!(store.delete_account(&user("a")).await, Err(StoreError::NotFound("account"))));
}

pub(crate) async fn an_account_keeps_its_uid_and_spelling_when_it_changes(store: Subject) {
    let made = store.insert_account(&account("Alice"), 100..=200).await.unwrap();
    let new = Credentials { password_hash: "new".to_owned(), sealed_nt_hash: None };
    store.change_account(&user("aLICE"), &AccountChange::Role(Role::Admin)).await.unwrap();
    let read = store.account(&user("ALICE")).await.unwrap().unwrap();
    assert_eq!((read.role, &read.credentials), (Role::Admin, &made.credentials));
    store.change_account(&user("aLICE"), &AccountChange::Credentials(new.clone())).await.unwrap();
    let read = store.account(&user("ALICE")).await.unwrap().unwrap();
    assert_eq!((read.role, read.uid, read.created), (Role::Admin, made.uid, NOW));
    assert_eq!((read.user.name(), read.credentials), ("Alice", new));
    let missing = store.change_account(&user("bob"), &AccountChange::Role(Role::Admin)).await;
    assert!(matches!(missing, Err(StoreError::NotFound("account"))), "{missing:?}");
}

pub(crate) async fn an_account_with_a_live_session_stays(store: Subject) {
    store.insert_account(&account("alice"), 1..=9).await.unwrap();
    let session = store.insert_session(new_session("ALICE", "p", "d", "h")).await.unwrap();
    let refused = store.delete_account(&user("Alice")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::SessionOfUser))), "{refused:?}");
    let lost = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let session = store.update_session(&Session { state: lost, ..session }).await.unwrap();
    let refused = store.delete_account(&user("Alice")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(Existing::SessionOfUser))), "{refused:?}");
    store.update_session(&ended(session)).await.unwrap();
    store.delete_account(&user("Alice")).await.unwrap();
    assert_eq!(store.account(&user("alice")).await.unwrap(), None);
}

pub(crate) async fn accounts_are_listed_in_pages_by_key(store: Subject) {
    for user in ["Carol", "alice", "Bob"] {
        store.insert_account(&account(user), 1..=9).await.unwrap();
    }
    let first = store.accounts(None, 2).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("farm\\bob"));
    let rest = store.accounts(first.next, 2).await.unwrap();
    assert_eq!(rest.next, None);
    let names: Vec<_> = first.rows.iter().chain(&rest.rows).map(|a| a.user.name()).collect();
    assert_eq!(names, ["alice", "Bob", "Carol"]);
}

pub(crate) async fn the_audit_trail_is_read_newest_first(store: Subject) {
    for i in 0..5 {
        let record = AuditRecord {
            at: Timestamp(100 + i),
            actor: "farm\\root".to_owned(),
            from: "cli".to_owned(),
            action: format!("action {i}"),
            target: String::new(),
            subject: String::new(),
            outcome: if i % 2 == 0 { Outcome::Done } else { Outcome::Failed(5) },
            detail: String::new(),
        };
        store.append_audit(&record).await.unwrap();
    }
    let newest = store.audit(3).await.unwrap();
    assert_eq!(
        newest.iter().map(|r| r.action.as_str()).collect::<Vec<_>>(),
        ["action 4", "action 3", "action 2"]
    );
    assert_eq!(newest[1].outcome, Outcome::Failed(5));
}

pub(crate) async fn the_audit_trail_is_paged_by_time_whenever_it_was_written(store: Subject) {
    // the third was written down late, and two ended at the same time
    for (action, at) in [("b", 20), ("d", 40), ("a", 10), ("c", 30), ("c too", 30)] {
        let (actor, from, target) = (String::new(), String::new(), String::new());
        let (subject, detail, outcome) = (String::new(), String::new(), Outcome::Done);
        let (action, at) = (action.to_owned(), Timestamp(at));
        let record = AuditRecord { at, actor, from, action, target, subject, outcome, detail };
        store.append_audit(&record).await.unwrap();
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.audit_page(before, 2).await.unwrap();
        assert!(page.rows.len() <= 2);
        for entry in page.rows {
            assert_eq!(store.audit_entry(entry.number).await.unwrap(), Some(entry.clone()));
            seen.push(entry.record.action);
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["d", "c too", "c", "b", "a"]);
    assert_eq!(store.audit_entry(4711).await.unwrap(), None);
    assert_eq!(store.audit_entry(u64::MAX).await.unwrap(), None);
}
