//! The rules of a session, through engine and store; the host is a fake that can fail on demand.

mod support;

use openrdms_broker::ports::{LogonEnd, Refusal, SessionFilter, Told};
use openrdms_broker::session::{DetachReason, EndReason, StateName};
use openrdms_broker::{Collection, Route, State, Timestamp};
use openrdms_engine::{EngineError, Expected};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{World, until};

#[tokio::test]
async fn disconnect_removes_the_client_and_leaves_the_desktop_running() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    assert_eq!(world.session(uid).await.state.name(), StateName::Active);
    let kill = client.kill.clone();
    let relay = client.obey();
    let told = world.engine.disconnect(uid, &Expected::default()).await.unwrap();
    assert_eq!(told, Some(Told::Told));
    assert_eq!(kill.thrown(), Some(DetachReason::Administrator));
    relay.await.unwrap();
    let session = world.session(uid).await;
    assert!(matches!(
        session.state,
        State::Disconnected { reason: DetachReason::Administrator, attach: None, .. }
    ));
    // again: 0, nothing changed
    assert_eq!(world.engine.disconnect(uid, &Expected::default()).await.unwrap(), None);
    assert_eq!(world.session(uid).await.generation, session.generation);
    // and the user comes back to the same session
    assert_eq!(world.active("alice").await.session, uid);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn disconnect_does_not_answer_while_the_client_is_attached() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let engine = world.engine.clone();
    let call = tokio::spawn(async move { engine.disconnect(uid, &Expected::default()).await });
    client.kill.wait().await;
    assert!(!call.is_finished());
    client.goes_away().await;
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unexpected_user_or_state_changes_nothing() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let bob = Expected { user: Some("bob".into()), state: None };
    let error = world.engine.disconnect(client.session, &bob).await.unwrap_err();
    assert!(matches!(error, EngineError::NotAsExpected(_)));
    let gone = Expected { user: Some("TEST\\ALICE".into()), state: Some("Disconnected".into()) };
    assert!(world.engine.logoff(client.session, &gone).await.is_err());
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active);
    assert_eq!(client.kill.thrown(), None);
}

#[tokio::test]
async fn disconnect_does_not_wait_for_the_desktops_leg_but_the_next_client_does() {
    let world = World::new().await;
    let mut first = world.active("alice").await;
    let uid = first.session;
    let none = Expected::default();
    let (told, ()) = tokio::join!(world.engine.disconnect(uid, &none), async {
        first.kill.wait().await;
        first.admission.attachment.dismissed(Told::Told);
    });
    assert_eq!(told.unwrap(), Some(Told::Told));
    assert_eq!(world.session(uid).await.state.name(), StateName::Disconnected);
    let mut next = Box::pin(world.attach("alice"));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut next).await;
    assert!(early.is_err(), "the desktop would take it for a second client");
    first.goes_away().await;
    assert_eq!(next.await.unwrap().session, uid);
}

#[tokio::test]
async fn a_second_client_waits_for_the_end_of_the_first() {
    let world = World::new().await;
    let first = world.active("alice").await;
    let (uid, kill) = (first.session, first.kill.clone());
    let attach = async { world.attach("alice").await };
    let release = async {
        assert_eq!(kill.wait().await, DetachReason::TakenOver);
        assert_eq!(world.session(uid).await.state.name(), StateName::Disconnected);
        first.goes_away().await;
    };
    let (second, ()) = tokio::join!(attach, release);
    let mut second = second.unwrap();
    assert_eq!(second.session, uid);
    second.activated().await.unwrap();
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn many_clients_of_one_user_end_as_one_session() {
    let world = std::sync::Arc::new(World::new().await);
    let mut relays = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let world = world.clone();
        relays.spawn(async move {
            let Ok(mut client) = world.attach("alice").await else { return None };
            if client.activated().await.is_err() {
                client.goes_away().await;
                return None;
            }
            let uid = client.session;
            let obeyed = client.obey();
            Some((uid, obeyed))
        });
    }
    let mut uids = Vec::new();
    while let Some(result) = relays.join_next().await {
        uids.extend(result.unwrap().map(|(uid, _)| uid));
    }
    let page = world.engine.store().sessions(&SessionFilter::default(), None, 100).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    assert_eq!(world.host.started(), 1);
    assert!(!uids.is_empty() && uids.iter().all(|uid| *uid == page.rows[0].uid));
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_disconnected_session() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    drop(client); // a panic in the relay looks like this
    until(|| async { world.session(uid).await.state.name() == StateName::Disconnected }).await;
}

#[tokio::test]
async fn logoff_answers_when_the_programs_have_ended() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let handle = world.handle(uid).await;
    let relay = client.obey();
    world.engine.logoff(uid, &Expected::default()).await.unwrap();
    relay.await.unwrap();
    let session = world.session(uid).await;
    assert!(matches!(session.state, State::Ended { reason: EndReason::Administrator, .. }));
    assert!(!openrdms_broker::ports::Host::running(&*world.host, &handle).await);
    // the next logon is a new session with a new id
    let next = world.session(world.active("alice").await.session).await;
    assert!(next.uid != uid && next.session_id > session.session_id);
}

#[tokio::test]
async fn a_user_who_logs_off_inside_ends_the_session() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let handle = world.handle(uid).await;
    let relay = client.obey();
    world.host.end(&handle, LogonEnd::LoggedOff);
    relay.await.unwrap();
    until(|| async { world.session(uid).await.state.name() == StateName::Ended }).await;
    let session = world.session(uid).await;
    assert!(matches!(session.state, State::Ended { reason: EndReason::LoggedOff, .. }));
    assert!(matches!(
        world.engine.disconnect(uid, &Expected::default()).await,
        Err(EngineError::Denied(openrdms_broker::session::transition::Denied::Ended))
    ));
}

#[tokio::test]
async fn refusals_say_why() {
    let world = World::new().await;
    let alias = openrdms_broker::CollectionAlias::new("staff").unwrap();
    world
        .engine
        .create_collection(Collection {
            size: 1,
            users: Some(vec![support::user("bob")]),
            ..Collection::new(alias, Timestamp(0))
        })
        .await
        .unwrap();
    let collection = |alias: &str| Route::Collection(alias.to_owned());
    assert_eq!(world.attach_to("alice", collection("nowhere")).await.err(), Some(Refusal::NotFound));
    assert_eq!(world.attach_to("alice", collection("staff")).await.err(), Some(Refusal::NotAllowed));
    assert_eq!(world.attach_to("bob", Route::Default).await.err(), Some(Refusal::NotFound), "bob has two");
    assert!(world.attach_to("bob", collection("STAFF")).await.is_ok());
    assert!(world.attach("alice").await.is_ok(), "alice has one only");
    // pool holds two desktops
    assert!(world.attach_to("bob", collection("pool")).await.is_ok());
    assert_eq!(world.attach_to("carol", collection("pool")).await.err(), Some(Refusal::NoneFree));
}

#[tokio::test]
async fn a_desktop_that_does_not_start_ends_its_session() {
    let world = World::new().await;
    world.host.fail_starts.store(true, Ordering::SeqCst);
    assert_eq!(world.attach("alice").await.err(), Some(Refusal::NoneFree));
    let page = world.engine.store().sessions(&SessionFilter::default(), None, 10).await.unwrap();
    assert!(page.rows.is_empty(), "{page:?}");
    world.host.fail_starts.store(false, Ordering::SeqCst);
    assert!(world.attach("alice").await.is_ok());
}

#[tokio::test]
async fn a_slow_desktop_goes_on_starting_for_the_users_return() {
    let world = World::impatient().await;
    world.host.may_start.send_replace(false);
    assert_eq!(world.attach("alice").await.err(), Some(Refusal::NoneFree));
    let page = world.engine.store().sessions(&SessionFilter::default(), None, 10).await.unwrap();
    let uid = page.rows[0].uid;
    until(|| async { world.session(uid).await.state.name() == StateName::Disconnected }).await;
    world.host.may_start.send_replace(true);
    let client = world.active("alice").await;
    assert_eq!(client.session, uid);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn logoff_during_the_start_leaves_nothing_running() {
    let world = World::impatient().await;
    world.host.may_start.send_replace(false);
    let _ = world.attach("alice").await;
    let page = world.engine.store().sessions(&SessionFilter::default(), None, 10).await.unwrap();
    let uid = page.rows[0].uid;
    let engine = world.engine.clone();
    let logoff = tokio::spawn(async move { engine.logoff(uid, &Expected::default()).await });
    until(|| async { world.session(uid).await.state.name() == StateName::LoggingOff }).await;
    world.host.may_start.send_replace(true);
    logoff.await.unwrap().unwrap();
    assert_eq!(world.session(uid).await.state.name(), StateName::Ended);
    let desktop = world.session(uid).await.desktop;
    assert!(world.engine.store().desktop(&desktop).await.unwrap().unwrap().handle.is_none());
}

#[tokio::test]
async fn messages_are_shown_or_refused_with_a_reason() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let say = |text: String| {
        let engine = world.engine.clone();
        async move { engine.message(client.session, "Notice", &text, &Expected::default()).await }
    };
    say("the printer is back".into()).await.unwrap();
    assert_eq!(*world.host.messages.lock().unwrap(), ["Notice: the printer is back"]);
    assert!(matches!(say("x".repeat(5000)).await, Err(EngineError::Invalid(_))));
    assert!(matches!(say("  ".into()).await, Err(EngineError::Invalid(_))));
}

#[tokio::test]
async fn after_a_restart_running_desktops_are_adopted_and_the_others_ended() {
    let world = World::new().await;
    let (alice, bob) = (world.active("alice").await, world.active("bob").await);
    let (alice_uid, bob_uid) = (alice.session, bob.session);
    // the service is killed: nothing is reported
    std::mem::forget((alice, bob));
    let handle = world.handle(bob_uid).await;
    let engine = world.restarted().await;
    world.host.end(&handle, LogonEnd::LoggedOff);
    // the first engine's watcher may be first to see bob's end: either way the list is right
    let (adopted, ended) = engine.recover().await.unwrap();
    assert!(adopted == 1 && ended <= 1, "{adopted} {ended}");
    let session = world.session(alice_uid).await;
    assert!(matches!(session.state, State::Disconnected { reason: DetachReason::Service, attach: None, .. }));
    until(|| async { world.session(bob_uid).await.state.name() == StateName::Ended }).await;
    // the adopted desktop is watched
    let handle = world.handle(alice_uid).await;
    world.host.end(&handle, LogonEnd::Failed("X died".into()));
    until(|| async { world.session(alice_uid).await.state.name() == StateName::Ended }).await;
}

#[tokio::test]
async fn after_a_restart_a_desktop_whose_start_was_never_written_down_is_adopted() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let (uid, handle) = (client.session, world.handle(client.session).await);
    std::mem::forget(client);
    // killed between the start and the row
    let desktop = world.session(uid).await.desktop;
    world.engine.store().set_desktop_handle(&desktop, None).await.unwrap();
    assert_eq!(world.restarted().await.recover().await.unwrap(), (1, 0));
    assert_eq!(world.session(uid).await.state.name(), StateName::Disconnected);
    assert_eq!(world.handle(uid).await, handle);
}

#[tokio::test]
async fn a_collection_with_a_session_is_not_deleted() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let relay = client.obey();
    assert!(world.engine.delete_collection("pool").await.is_err());
    let page = world.engine.store().sessions(&SessionFilter::default(), None, 10).await.unwrap();
    world.engine.logoff(page.rows[0].uid, &Expected::default()).await.unwrap();
    relay.await.unwrap();
    world.engine.delete_collection("POOL").await.unwrap();
    assert_eq!(world.attach("alice").await.err(), Some(Refusal::NotFound));
}

#[tokio::test]
async fn operators_are_told_what_happens_to_users() {
    use openrdms_broker::EventKind::{self, *};
    let world = World::new().await;
    let mut events = world.engine.events();
    let client = world.active("alice").await;
    let uid = client.session;
    client.goes_away().await;
    world.engine.logoff(uid, &Expected::default()).await.unwrap();
    assert!(world.attach_to("bob", Route::Collection("nowhere".into())).await.is_err());
    let mut told: Vec<(EventKind, Option<String>)> = Vec::new();
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.session.is_some(), event.event != ConnectionRefused);
        told.push((event.event, event.reason));
    }
    let kinds: Vec<EventKind> = told.iter().map(|(kind, _)| *kind).collect();
    let expected = [
        SessionStarted,
        SessionConnected,
        SessionDisconnected,
        SessionLoggingOff,
        SessionEnded,
        ConnectionRefused,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(told[2].1.as_deref(), Some("client gone"));
    assert!(told[5].1.as_deref().is_some_and(|why| why.contains("nowhere")), "{told:?}");
}
