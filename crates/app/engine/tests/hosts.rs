//! Hosts that fall silent and come back: two nodes, each with a host of its own, on one store.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::ports::{Host as _, Refusal, Store};
use openrdms_broker::session::transition::Denied;
use openrdms_broker::session::{DetachReason, EndReason, LostReason, StateName};
use openrdms_broker::{
    Collection, CollectionAlias, Desktop, DesktopName, Intake, NodeId, Route, Session, SessionUid, State,
    Timestamp,
};
use openrdms_engine::{Engine, EngineConfig, EngineError, Expected};
use openrdms_store::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Client, FakeHost, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Long enough for a busy machine to renew in time, short enough for a test to wait for its end.
const LEASE: Duration = Duration::from_millis(1500);

struct Node {
    engine: Engine,
    host: Arc<FakeHost>,
    stop: CancellationToken,
    lease: JoinHandle<Result<(), EngineError>>,
}

impl Node {
    async fn start(dir: &tempfile::TempDir, host: Arc<FakeHost>, node: u128, lease: Duration) -> Self {
        let engine = engine(dir, host.clone(), node, lease).await;
        engine.recover().await.unwrap();
        let (stop, lease) = keep_lease(&engine);
        Self { engine, host, stop, lease }
    }

    /// As if the machine were cut off: nothing is said any more, and what runs there runs on.
    async fn falls_silent(&mut self) {
        self.lease.abort();
        assert!((&mut self.lease).await.unwrap_err().is_cancelled());
    }

    fn is_heard_again(&mut self) {
        (self.stop, self.lease) = keep_lease(&self.engine);
    }

    async fn active(&self, user: &str) -> Client {
        let mut client = support::attach(&self.engine, user, Route::Default).await.unwrap();
        client.activated().await.unwrap();
        client
    }
}

fn keep_lease(engine: &Engine) -> (CancellationToken, JoinHandle<Result<(), EngineError>>) {
    let (stop, engine) = (CancellationToken::new(), engine.clone());
    (stop.clone(), tokio::spawn(async move { engine.run_lease(stop).await }))
}

async fn engine(dir: &tempfile::TempDir, host: Arc<FakeHost>, node: u128, lease: Duration) -> Engine {
    let store = SqliteStore::open(dir.path()).await.unwrap();
    let config = EngineConfig {
        attach_limit: Duration::from_secs(2),
        node: NodeId(Uuid::from_u128(node)),
        lease,
        lease_renewal: Duration::from_millis(100),
        ..EngineConfig::default()
    };
    Engine::new(Arc::new(store), host, config)
}

/// Collection `pool` with desktop `one` on host, and `two` on host2.
struct Farm {
    dir: tempfile::TempDir,
    one: Node,
    two: Node,
}

impl Farm {
    async fn new() -> Self {
        Self::with_lease(LEASE).await
    }

    async fn with_lease(of_one: Duration) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let one = Node::start(&dir, FakeHost::new("host", "boot-1"), 1, of_one).await;
        let two = Node::start(&dir, FakeHost::new("host2", "boot-9"), 2, LEASE).await;
        let store = one.engine.store();
        support::add_users(store).await;
        let alias = CollectionAlias::new("pool").unwrap();
        let desktops = [("one", &one), ("two", &two)].map(|(name, node)| Desktop {
            name: DesktopName::new(name).unwrap(),
            collection: alias.clone(),
            host: node.host.name().clone(),
            certificate_sha256: [7; 32],
            handle: None,
            paused: false,
        });
        let collection = Collection { size: 2, ..Collection::new(alias, Timestamp(0)) };
        store.insert_collection(&collection, &desktops).await.unwrap();
        Self { dir, one, two }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.two.engine.store()
    }

    async fn session(&self, uid: SessionUid) -> Session {
        self.store().session(uid).await.unwrap().unwrap()
    }

    async fn wait(&self, uid: SessionUid, state: StateName) -> Session {
        until(|| async { self.session(uid).await.state.name() == state }).await;
        self.session(uid).await
    }

    async fn wait_lost(&self, uid: SessionUid, why: LostReason) {
        let is_why = |state: State| matches!(state, State::Lost { reason, .. } if reason == why);
        until(|| async { is_why(self.session(uid).await.state) }).await;
    }

    async fn runs(&self, session: &Session) -> bool {
        let desktop = self.store().desktop(&session.desktop).await.unwrap().unwrap();
        let Some(handle) = desktop.handle else { return false };
        self.one.host.running(&handle).await
    }

    /// Alice's session on `one` is superseded: the host fell silent, she went to the other one, it is back.
    async fn superseded(&mut self) -> (Client, Client) {
        let first = self.one.active("alice").await;
        self.one.falls_silent().await;
        self.wait(first.session, StateName::Lost).await;
        let second = self.two.active("alice").await;
        self.one.is_heard_again();
        self.wait_lost(first.session, LostReason::Superseded).await;
        (first, second)
    }
}

#[tokio::test]
async fn sessions_of_a_silent_host_are_lost_within_5_s_and_the_user_gets_another_desktop() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    farm.one.falls_silent().await;
    let silent_since = Instant::now();
    farm.wait(client.session, StateName::Lost).await;
    assert!(silent_since.elapsed() < Duration::from_secs(5), "{:?}", silent_since.elapsed());
    let again = farm.two.active("alice").await;
    assert_ne!(again.session, client.session);
    let session = farm.session(again.session).await;
    assert_eq!((session.host.as_str(), session.boot_id.as_str()), ("host2", "boot-9"));
    // the Lost one is listed, and its desktop is nobody's
    let listed = farm.store().sessions(&Default::default(), None, 10).await.unwrap().rows;
    assert_eq!(
        listed.iter().map(|s| s.state.name()).collect::<Vec<_>>(),
        [StateName::Lost, StateName::Active]
    );
    let refused = support::attach(&farm.two.engine, "bob", Route::Default).await;
    assert_eq!(refused.err(), Some(Refusal::NoneFree));
    let unsure = farm.two.engine.logoff(client.session, &Expected::default()).await;
    assert!(matches!(unsure, Err(EngineError::Denied(Denied::HostLost))), "{unsure:?}");
}

#[test]
fn the_leases_that_ship_lose_sessions_within_5_s() {
    // the lease may have been given just now; then one renewal's time until somebody looks
    let config = EngineConfig::default();
    assert!(config.lease + config.lease_renewal < Duration::from_secs(5));
    assert!(config.lease_renewal * 2 < config.lease, "one renewal may fail");
}

#[tokio::test]
async fn a_lost_session_is_disconnected_again_when_its_host_is_back() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let uid = client.session;
    farm.one.falls_silent().await;
    farm.wait(uid, StateName::Lost).await;
    client.goes_away().await;
    farm.one.is_heard_again();
    let session = farm.wait(uid, StateName::Disconnected).await;
    assert!(matches!(session.state, State::Disconnected { reason: DetachReason::Service, .. }));
    assert_eq!(farm.one.active("alice").await.session, uid);
    assert_eq!(farm.one.host.started(), 1, "it is the desktop that was left");
}

#[tokio::test]
async fn a_client_that_never_left_is_seen_again_with_the_host() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    farm.one.falls_silent().await;
    farm.wait(client.session, StateName::Lost).await;
    farm.one.is_heard_again();
    let session = farm.wait(client.session, StateName::Active).await;
    assert_eq!(client.kill.thrown(), None, "the relayed connection was never touched");
    let relay = client.obey();
    farm.one.engine.disconnect(session.uid, &Expected::default()).await.unwrap();
    relay.await.unwrap();
}

#[tokio::test]
async fn a_desktop_that_ended_while_nobody_was_told_ends_its_session() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let session = farm.session(client.session).await;
    let handle = farm.store().desktop(&session.desktop).await.unwrap().unwrap().handle.unwrap();
    farm.one.falls_silent().await;
    farm.wait(client.session, StateName::Lost).await;
    farm.one.host.end(&handle, openrdms_broker::ports::LogonEnd::LoggedOff);
    farm.one.is_heard_again();
    let session = farm.wait(client.session, StateName::Ended).await;
    assert!(matches!(session.state, State::Ended { reason: EndReason::LoggedOff, .. }), "{session:?}");
}

#[tokio::test]
async fn a_user_who_is_quicker_than_the_host_gets_their_own_desktop() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let uid = client.session;
    farm.one.falls_silent().await;
    farm.wait(uid, StateName::Lost).await;
    client.goes_away().await;
    // the node lives, and its word has not been given again yet: no second desktop on the same home
    assert_eq!(farm.one.active("alice").await.session, uid);
    assert_eq!(farm.one.host.started(), 1);
}

#[tokio::test]
async fn a_superseded_session_is_kept_and_its_client_told() {
    let mut farm = Farm::new().await;
    let (first, second) = farm.superseded().await;
    assert_eq!(first.kill.thrown(), Some(DetachReason::TakenOver));
    assert_eq!(second.kill.thrown(), None);
    let kept = farm.session(first.session).await;
    assert!(farm.runs(&kept).await);
    // it stays so, and is nobody's desktop
    let generation = kept.generation;
    assert!(support::attach(&farm.one.engine, "bob", Route::Default).await.is_err());
    assert_eq!(farm.session(first.session).await.generation, generation);
    // only its own node can end it
    let elsewhere = farm.two.engine.logoff(first.session, &Expected::default()).await;
    assert!(matches!(elsewhere, Err(EngineError::OtherNode(_))), "{elsewhere:?}");
}

#[tokio::test]
async fn a_superseded_session_that_is_ended_ends_really() {
    for forget in [false, true] {
        let mut farm = Farm::new().await;
        let (first, second) = farm.superseded().await;
        let kept = farm.session(first.session).await;
        let expected = Expected::default();
        if forget {
            farm.one.engine.forget(first.session, &expected).await.unwrap();
        } else {
            farm.one.engine.logoff(first.session, &expected).await.unwrap();
        }
        let ended = farm.session(first.session).await;
        assert!(matches!(ended.state, State::Ended { reason: EndReason::Administrator, .. }), "{ended:?}");
        assert!(!farm.runs(&kept).await);
        assert_eq!(farm.session(second.session).await.state.name(), StateName::Active);
        farm.one.active("bob").await;
    }
}

#[tokio::test]
async fn a_superseded_session_comes_back_when_the_other_has_ended() {
    let mut farm = Farm::new().await;
    let (first, second) = farm.superseded().await;
    let uid = first.session;
    first.goes_away().await;
    let other = second.session;
    let relay = second.obey();
    farm.two.engine.logoff(other, &Expected::default()).await.unwrap();
    relay.await.unwrap();
    farm.wait(uid, StateName::Disconnected).await;
    assert_eq!(farm.one.active("alice").await.session, uid);
}

#[tokio::test]
async fn a_forgotten_session_ends_and_its_desktop_too_when_the_host_is_back() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let live = farm.two.engine.forget(client.session, &Expected::default()).await;
    assert!(matches!(live, Err(EngineError::OtherNode(_))), "{live:?}");
    let live = farm.one.engine.forget(client.session, &Expected::default()).await;
    assert!(matches!(live, Err(EngineError::Denied(Denied::State(StateName::Active)))), "{live:?}");
    farm.one.falls_silent().await;
    let lost = farm.wait(client.session, StateName::Lost).await;
    farm.two.engine.forget(client.session, &Expected::default()).await.unwrap();
    let ended = farm.session(client.session).await;
    assert!(matches!(ended.state, State::Ended { reason: EndReason::Forgotten, .. }), "{ended:?}");
    assert!(farm.runs(&lost).await, "there was nobody to ask");
    farm.one.is_heard_again();
    until(|| async { !farm.runs(&lost).await }).await;
    until(|| async { farm.store().desktop(&lost.desktop).await.unwrap().unwrap().handle.is_none() }).await;
    farm.one.active("bob").await;
}

#[tokio::test]
async fn a_session_that_looking_finds_is_not_forgotten() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    farm.one.falls_silent().await;
    farm.wait(client.session, StateName::Lost).await;
    let found = farm.one.engine.forget(client.session, &Expected::default()).await;
    assert!(matches!(found, Err(EngineError::Denied(Denied::State(StateName::Active)))), "{found:?}");
}

#[tokio::test]
async fn after_a_reboot_lost_sessions_end() {
    let mut farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    farm.one.falls_silent().await;
    farm.wait(client.session, StateName::Lost).await;
    let rebooted = engine(&farm.dir, FakeHost::new("HOST", "boot-2"), 1, LEASE).await;
    rebooted.recover().await.unwrap();
    let session = farm.session(client.session).await;
    assert!(matches!(session.state, State::Ended { reason: EndReason::HostRestarted, .. }), "{session:?}");
    support::attach(&rebooted, "bob", Route::Default).await.unwrap();
}

#[tokio::test]
async fn a_clean_stop_gives_the_lease_back() {
    let farm = Farm::with_lease(Duration::from_secs(3600)).await;
    let client = farm.one.active("alice").await;
    farm.one.stop.cancel();
    farm.wait(client.session, StateName::Lost).await;
    farm.one.lease.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_host_is_served_by_one_node() {
    let mut farm = Farm::new().await;
    let third = engine(&farm.dir, FakeHost::new("HOST", "boot-1"), 3, Duration::from_secs(3600)).await;
    assert!(matches!(third.recover().await, Err(EngineError::OtherNode(_))));
    farm.one.falls_silent().await;
    until(|| async { third.recover().await.is_ok() }).await;
    // the one that was too late stops by itself
    farm.one.is_heard_again();
    let stopped = (&mut farm.one.lease).await.unwrap();
    assert!(matches!(stopped, Err(EngineError::OtherNode(_))), "{stopped:?}");
}

#[tokio::test]
async fn a_store_that_is_away_for_longer_than_the_leases_costs_nobody_anything() {
    let farm = Farm::new().await;
    let (alice, bob) = (farm.one.active("alice").await, farm.two.active("bob").await);
    let (of_alice, of_bob) = (farm.session(alice.session).await, farm.session(bob.session).await);
    // somebody else's lock: reads go on, every write is refused after its time
    let file = SqliteConnectOptions::new().filename(farm.dir.path().join("openrdms.sqlite"));
    let mut lock = SqliteConnection::connect_with(&file).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut lock).await.unwrap();
    let up = async |ago: i64| {
        let then = Timestamp(farm.one.engine.now().0 - ago);
        farm.store().hosts().await.unwrap().iter().filter(|host| host.is_up(then)).count()
    };
    until(async || up(2000).await == 0).await;
    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();
    until(async || up(0).await == 2).await;
    // nobody took the store's silence for a host's, then or later
    tokio::time::sleep(LEASE * 2).await; // nothing is to happen, for as long as it could
    for (node, client, before) in [(&farm.one, alice, of_alice), (&farm.two, bob, of_bob)] {
        assert_eq!(farm.session(client.session).await, before);
        assert_eq!((client.kill.thrown(), node.host.started()), (None, 1));
        assert!(!node.lease.is_finished());
        let session = client.session;
        let relay = client.obey();
        node.engine.disconnect(session, &Expected::default()).await.unwrap();
        relay.await.unwrap();
    }
}

#[tokio::test]
async fn whoever_comes_before_the_lease_is_renewed_after_an_outage_is_let_in() {
    let mut farm = Farm::with_lease(Duration::from_millis(200)).await;
    farm.one.falls_silent().await;
    until(async || !farm.store().host("host").await.unwrap().unwrap().is_up(farm.one.engine.now())).await;
    farm.one.active("alice").await;
}

#[tokio::test]
async fn a_drained_host_takes_no_new_sessions_and_keeps_its_own() {
    let farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let uid = client.session;
    farm.one.engine.set_intake("HOST", Intake::Drained).await.unwrap();
    client.goes_away().await;
    assert_eq!(farm.one.active("alice").await.session, uid);
    farm.two.engine.set_intake("host2", Intake::Drained).await.unwrap();
    for node in [&farm.one, &farm.two] {
        let refused = support::attach(&node.engine, "bob", Route::Default).await;
        assert_eq!(refused.err(), Some(Refusal::NoneFree));
    }
    let trail = farm.store().audit(1).await.unwrap();
    assert_eq!(trail[0].detail, "host host2 is drained");
    farm.one.engine.set_intake("host2", Intake::Open).await.unwrap();
    farm.two.active("bob").await;
    let missing = farm.one.engine.set_intake("nowhere", Intake::Drained).await;
    assert!(matches!(missing, Err(EngineError::Store(_))), "{missing:?}");
}

#[tokio::test]
async fn a_drained_node_begins_no_new_sessions_and_lets_users_come_back() {
    let farm = Farm::new().await;
    let client = farm.one.active("alice").await;
    let uid = client.session;
    let node = farm.store().host(farm.one.engine.host().name().as_str()).await.unwrap().unwrap().lease.node;
    farm.two.engine.set_node_intake(node, Intake::Drained).await.unwrap();
    client.goes_away().await;
    let client = farm.one.active("alice").await;
    assert_eq!(client.session, uid);
    let refused = support::attach(&farm.one.engine, "bob", Route::Default).await;
    assert_eq!(refused.err(), Some(Refusal::NoneFree));
    let trail = farm.store().audit(1).await.unwrap();
    assert_eq!(trail[0].detail, format!("node {node} is drained"));
    // the other node is not
    farm.two.active("bob").await;
    client.goes_away().await;
    farm.one.engine.logoff(uid, &Expected::default()).await.unwrap();
    assert!(support::attach(&farm.one.engine, "carol", Route::Default).await.is_err(), "though one is free");
    farm.one.engine.set_node_intake(node, Intake::Open).await.unwrap();
    farm.one.active("carol").await;
}
