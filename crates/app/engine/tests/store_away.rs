//! The store goes away and comes back: nobody is told a lie, and afterwards everything is true without hands.
//! Another process's lock on the file is the fault: reads go on, every write is refused after its time.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::ports::store::NewSession;
use openrdms_broker::ports::{Host as _, Refusal, StoreError};
use openrdms_broker::session::{DetachReason, StateName};
use openrdms_broker::{Outcome, SessionUid, State, Timestamp};
use openrdms_engine::{Engine, EngineConfig, EngineError, Expected};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use std::time::{Duration, Instant};
use support::{World, until, user};

/// WBEM_E_NOT_AVAILABLE.
const NOT_AVAILABLE: u32 = 0x8004_1009;

/// While it lives nobody else writes.
struct Away(SqliteConnection);

impl Away {
    async fn begin(world: &World) -> Self {
        let file = SqliteConnectOptions::new().filename(world.dir.path().join("openrdms.sqlite"));
        let mut other = SqliteConnection::connect_with(&file).await.unwrap();
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
        Self(other)
    }

    async fn end(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
    }
}

/// A world whose users wait for longer than a write takes to be refused.
async fn world() -> World {
    let world = World::new().await;
    let config = EngineConfig { attach_limit: Duration::from_secs(3), ..EngineConfig::default() };
    World { engine: Engine::new(world.engine.store().clone(), world.host.clone(), config), ..world }
}

#[tokio::test]
async fn a_user_who_connects_is_refused_for_what_it_is_and_the_audit_trail_learns_of_it() {
    let world = world().await;
    let away = Away::begin(&world).await;
    assert_eq!(world.attach("alice").await.err(), Some(Refusal::Unavailable));
    away.end().await;
    until(|| async {
        let trail = world.engine.store().audit(10).await.unwrap();
        trail.iter().any(|r| r.action == "Connect" && r.outcome == Outcome::Failed(NOT_AVAILABLE))
    })
    .await;
    world.active("alice").await;
}

#[tokio::test]
async fn a_method_says_so_within_seconds_and_changes_nothing() {
    let world = world().await;
    let client = world.active("alice").await;
    let away = Away::begin(&world).await;
    let begun = Instant::now();
    let refused = world.engine.disconnect(client.session, &Expected::default()).await;
    assert!(matches!(refused, Err(EngineError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    let refused = world.engine.logoff(client.session, &Expected::default()).await;
    assert!(matches!(refused, Err(EngineError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(client.kill.thrown(), None, "nobody was told to go");
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active);
    away.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_meanwhile_holds_nobody_up_and_is_gone_from_the_list_afterwards() {
    let world = world().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let away = Away::begin(&world).await;
    let begun = Instant::now();
    client.goes_away().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "the relay waits for a while: {:?}", begun.elapsed());
    assert_eq!(world.session(uid).await.state.name(), StateName::Active, "it cannot be written yet");
    away.end().await;
    until(|| async { world.session(uid).await.state.name() == StateName::Disconnected }).await;
}

#[tokio::test]
async fn a_desktop_that_starts_meanwhile_is_not_lost() {
    let world = world().await;
    world.host.may_start.send_replace(false);
    let (refused, away) = tokio::join!(world.attach("alice"), async {
        until(|| async { world.engine.store().count_sessions(&Default::default()).await.unwrap() == 1 })
            .await;
        // the row is there, with its client: what is left to write is where the desktop runs
        until(|| async { listed(&world).await.client.is_some() }).await;
        let away = Away::begin(&world).await;
        world.host.may_start.send_replace(true);
        away
    });
    assert_eq!(refused.err(), Some(Refusal::NoneFree));
    assert_eq!(world.host.started(), 1);
    away.end().await;
    let client = world.active("alice").await;
    assert_eq!(world.host.started(), 1, "the same desktop");
    let handle = world.handle(client.session).await;
    let uid = client.session;
    let relay = client.obey();
    world.engine.logoff(uid, &Expected::default()).await.unwrap();
    assert!(!world.host.running(&handle).await, "a logoff ends the desktop that was started meanwhile");
    relay.await.unwrap();
}

#[tokio::test]
async fn a_session_whose_desktop_was_never_started_gets_one() {
    let world = world().await;
    let desktop = world.engine.store().desktops(None, None, 1).await.unwrap().rows.remove(0);
    // what is left when the store or the client went away between the row and the start
    let new = NewSession {
        uid: SessionUid(uuid::Uuid::now_v7()),
        desktop: desktop.name,
        places: None,
        host: desktop.host,
        boot_id: world.host.boot_id().to_owned(),
        collection: desktop.collection,
        user: user("alice"),
        created: Timestamp(0),
        state: State::Disconnected { since: Timestamp(0), reason: DetachReason::ClientGone, attach: None },
    };
    let uid = new.uid;
    world.engine.store().insert_session(new).await.unwrap();
    assert_eq!(world.active("alice").await.session, uid);
    assert_eq!(world.host.started(), 1);
}

async fn listed(world: &World) -> openrdms_broker::Session {
    world.engine.store().sessions(&Default::default(), None, 1).await.unwrap().rows.remove(0)
}
