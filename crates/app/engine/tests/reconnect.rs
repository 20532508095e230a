//! Clients that come back by themselves, through engine and store.

#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

use openrdms_broker::ports::Refusal;
use openrdms_broker::session::{DetachReason, StateName};
use openrdms_broker::{Arrival, Cookie, CookieProof, EventKind, Outcome, Route, Session};
use openrdms_engine::Expected;
use support::{World, arrive};

fn by(session: &Session, cookie: &Cookie) -> Arrival {
    Arrival::Automatic(CookieProof { session_id: session.session_id, verifier: cookie.verifier() })
}

#[tokio::test]
async fn a_client_comes_back_by_its_cookie_into_the_same_session() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let mut cookie = client.activated().await.unwrap();
    let session = world.session(client.session).await;
    for _ in 0..2 {
        client.goes_away().await;
        client = arrive(&world.engine, "alice", Route::Default, by(&session, &cookie)).await.unwrap();
        assert_eq!(client.session, session.uid);
        cookie = client.activated().await.unwrap();
    }
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn it_takes_its_own_dead_connection_over() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let cookie = client.activated().await.unwrap();
    let session = world.session(client.session).await;
    let relay = client.obey();
    let again = arrive(&world.engine, "alice", Route::Default, by(&session, &cookie)).await.unwrap();
    relay.await.unwrap();
    assert_eq!(again.session, session.uid);
}

#[tokio::test]
async fn after_a_disconnect_it_is_refused_also_by_the_next_process_and_a_person_is_let_in() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let cookie = client.activated().await.unwrap();
    let uid = client.session;
    let relay = client.obey();
    world.engine.disconnect(uid, &Expected::default()).await.unwrap();
    relay.await.unwrap();

    let before = world.session(uid).await;
    let restarted = world.restarted().await;
    for engine in [&world.engine, &restarted] {
        let mut events = engine.events();
        let refused = arrive(engine, "alice", Route::Default, by(&before, &cookie)).await;
        assert_eq!(refused.err(), Some(Refusal::Automatic(DetachReason::Administrator)));
        assert_eq!(world.session(uid).await, before);
        assert_eq!(events.recv().await.unwrap().event, EventKind::ConnectionRefused);
    }
    let audit = world.engine.store().audit(1).await.unwrap().remove(0);
    assert_eq!((audit.action.as_str(), audit.outcome), ("Connect", Outcome::Failed(0x8004_1003)));

    assert_eq!(world.active("alice").await.session, uid);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn a_disconnect_reaches_a_client_that_is_gone_and_not_back_yet() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let cookie = client.activated().await.unwrap();
    let session = world.session(client.session).await;
    client.goes_away().await;
    world.engine.disconnect(session.uid, &Expected::default()).await.unwrap();
    let refused = arrive(&world.engine, "alice", Route::Default, by(&session, &cookie)).await;
    assert_eq!(refused.err(), Some(Refusal::Automatic(DetachReason::Administrator)));
    assert_eq!(world.session(session.uid).await.state.name(), StateName::Disconnected);
}

#[tokio::test]
async fn whoever_was_taken_over_does_not_drive_the_new_client_out() {
    let world = World::new().await;
    let mut first = world.attach("alice").await.unwrap();
    let cookie = first.activated().await.unwrap();
    let session = world.session(first.session).await;
    first.goes_away().await;
    let second = world.active("alice").await;
    let refused = arrive(&world.engine, "alice", Route::Default, by(&session, &cookie)).await;
    assert_eq!(refused.err(), Some(Refusal::Automatic(DetachReason::TakenOver)));
    assert_eq!(second.kill.thrown(), None);
    assert_eq!(world.session(session.uid).await.state.name(), StateName::Active);
}

#[tokio::test]
async fn where_there_is_no_session_any_more_it_begins_one_as_a_person_would() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let cookie = client.activated().await.unwrap();
    let session = world.session(client.session).await;
    client.goes_away().await;
    world.engine.logoff(session.uid, &Expected::default()).await.unwrap();
    let new = arrive(&world.engine, "alice", Route::Default, by(&session, &cookie)).await.unwrap();
    assert_ne!(new.session, session.uid);
}

#[tokio::test]
async fn another_users_cookie_leads_nowhere_else() {
    let world = World::new().await;
    let mut client = world.attach("alice").await.unwrap();
    let cookie = client.activated().await.unwrap();
    let session = world.session(client.session).await;
    client.goes_away().await;
    // bob has none yet: a new one, as if he had shown nothing
    let mut bob = arrive(&world.engine, "bob", Route::Default, by(&session, &cookie)).await.unwrap();
    assert_ne!(bob.session, session.uid);
    bob.activated().await.unwrap();
    bob.goes_away().await;
    // and in his own it is nothing either
    let refused = arrive(&world.engine, "bob", Route::Default, by(&session, &cookie)).await;
    assert_eq!(refused.err(), Some(Refusal::Automatic(DetachReason::TakenOver)));
    assert_eq!(world.session(session.uid).await.state.name(), StateName::Disconnected);
}
