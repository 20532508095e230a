//! Desktops that are turned on and off and paused, and the homes they begin with, through engine and store.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

use openrdms_broker::ports::{Home, HostError, LogonEnd, Refusal};
use openrdms_broker::session::transition::Denied;
use openrdms_broker::session::{EndReason, StateName};
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, CollectionKind, Desktop, DesktopName, Intake, Route,
    Session, SessionUid, State, Timestamp,
};
use openrdms_engine::{EngineError, Expected, Power, PowerState};
use std::sync::atomic::Ordering;
use support::{World, attach, until, user};

fn name(desktop: &str) -> DesktopName {
    DesktopName::new(desktop).unwrap()
}

impl World {
    async fn desktop(&self, desktop: &DesktopName) -> Desktop {
        self.engine.store().desktop(desktop).await.unwrap().unwrap()
    }

    async fn desktop_of(&self, uid: SessionUid) -> DesktopName {
        self.session(uid).await.desktop
    }

    async fn power(&self, desktop: &DesktopName) -> PowerState {
        let desktop = self.desktop(desktop).await;
        let session = self.session_in(&desktop.name).await;
        self.engine.power(&desktop, session.as_ref()).await.unwrap()
    }

    async fn set(&self, desktop: &DesktopName, power: Power) -> Result<(), EngineError> {
        self.engine.set_power(desktop, power, &Expected::default()).await
    }

    async fn frozen(&self, desktop: &DesktopName) -> bool {
        let handle = self.desktop(desktop).await.handle.unwrap();
        self.host.frozen.lock().unwrap().contains(&handle.pid)
    }

    /// A collection `own` of personal desktops, of which alice owns the first.
    async fn with_owner() -> (Self, DesktopName) {
        let world = Self::new().await;
        let alias = CollectionAlias::new("own").unwrap();
        let kind = CollectionKind::ManualPersonal;
        let own = Collection { size: 2, kind, ..Collection::new(alias, Timestamp(0)) };
        world.engine.create_collection(own).await.unwrap();
        let desktop = name("own-001");
        world.engine.assign(&desktop, &user("alice")).await.unwrap();
        (world, desktop)
    }

    async fn session_in(&self, desktop: &DesktopName) -> Option<Session> {
        self.engine.store().session_in_desktop(desktop).await.unwrap()
    }
}

fn not_running(error: &EngineError) -> bool {
    matches!(error, EngineError::Host(HostError::NotRunning))
}

#[tokio::test]
async fn what_the_caller_expects_is_expected_of_the_session_in_the_desktop() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let desktop = world.desktop_of(uid).await;
    let before = world.session(uid).await;
    let bobs = Expected { user: Some("bob".into()), state: None };
    let gone = Expected { user: Some("alice".into()), state: Some("Disconnected".into()) };
    for power in [Power::On, Power::Off, Power::Paused] {
        for expected in [&bobs, &gone] {
            let refused = world.engine.set_power(&desktop, power, expected).await;
            assert!(matches!(refused, Err(EngineError::NotAsExpected(_))), "{power:?}: {refused:?}");
        }
        let nobodys = world.engine.set_power(&name("pool-002"), power, &bobs).await;
        assert!(matches!(nobodys, Err(EngineError::NotAsExpected(_))), "{power:?}: {nobodys:?}");
    }
    assert_eq!((world.session(uid).await, world.frozen(&desktop).await), (before, false));
    client.obey();
    let hers = Expected { user: Some("ALICE".into()), state: Some("active".into()) };
    world.engine.set_power(&desktop, Power::Off, &hers).await.unwrap();
    assert_eq!(world.session(uid).await.state.name(), StateName::Ended);
}

#[tokio::test]
async fn a_paused_desktop_stands_its_row_says_so_and_it_goes_on_when_it_is_turned_on() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    assert_eq!(world.power(&desktop).await, PowerState::On);
    for _ in 0..2 {
        world.set(&desktop, Power::Paused).await.unwrap();
        assert!(world.frozen(&desktop).await);
        assert_eq!(world.power(&desktop).await, PowerState::Paused);
    }
    assert_eq!(client.kill.thrown(), None, "the client stays and sees a picture");
    for _ in 0..2 {
        world.set(&desktop, Power::On).await.unwrap();
        assert!(!world.frozen(&desktop).await);
        assert_eq!(world.power(&desktop).await, PowerState::On);
    }
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn what_does_not_run_is_not_paused() {
    let world = World::new().await;
    let nobody = world.set(&name("pool-001"), Power::Paused).await.unwrap_err();
    assert!(not_running(&nobody), "{nobody}");
    world.host.may_start.send_replace(false);
    let attached = attach(&world.engine, "alice", Route::Default);
    let pause = async {
        until(|| async { world.session_in(&name("pool-001")).await.is_some() }).await;
        let refused = world.set(&name("pool-001"), Power::Paused).await.unwrap_err();
        assert_eq!(world.power(&name("pool-001")).await, PowerState::Starting);
        world.host.may_start.send_replace(true);
        refused
    };
    let (client, starting) = tokio::join!(attached, pause);
    assert!(not_running(&starting), "{starting}");
    // up, but no client has got as far as the screen
    let starting = world.set(&name("pool-001"), Power::Paused).await.unwrap_err();
    assert!(matches!(starting, EngineError::Denied(Denied::State(StateName::Starting))), "{starting}");
    drop(client);
    let unknown = world.set(&name("nowhere"), Power::Paused).await.unwrap_err();
    assert!(matches!(unknown, EngineError::NotFound("desktop")));
    assert!(world.host.frozen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_paused_runs_and_its_row_says_so() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    world.host.fail_pauses.store(true, Ordering::SeqCst);
    let failed = world.set(&desktop, Power::Paused).await.unwrap_err();
    assert!(matches!(&failed, EngineError::Host(HostError::Failed(_))), "{failed}");
    assert_eq!(world.power(&desktop).await, PowerState::On);
}

#[tokio::test]
async fn who_comes_back_to_a_paused_desktop_finds_it_running() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let (uid, desktop) = (client.session, world.desktop_of(client.session).await);
    world.set(&desktop, Power::Paused).await.unwrap();
    // the next one waits for the first one's leg, which a frozen desktop does not close
    let attach = async { world.attach("alice").await.unwrap() };
    let first = async {
        client.kill.wait().await;
        until(|| async { !world.frozen(&desktop).await }).await;
        client.goes_away().await;
    };
    let (mut again, ()) = tokio::join!(attach, first);
    again.activated().await.unwrap();
    assert_eq!((again.session, world.power(&desktop).await), (uid, PowerState::On));
}

#[tokio::test]
async fn who_comes_while_a_desktop_is_being_paused_finds_it_running() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    client.goes_away().await;
    world.host.may_pause.send_replace(false);
    let (engine, which) = (world.engine.clone(), desktop.clone());
    // nobody waits for the answer: what was begun goes on
    let call =
        tokio::spawn(async move { engine.set_power(&which, Power::Paused, &Expected::default()).await });
    until(|| async { world.desktop(&desktop).await.paused }).await;
    call.abort();
    let attach = async { world.attach("alice").await.unwrap() };
    let go_on = async { world.host.may_pause.send_replace(true) };
    let (_client, _) = tokio::join!(attach, go_on);
    assert!(!world.frozen(&desktop).await);
    assert_eq!(world.power(&desktop).await, PowerState::On);
}

#[tokio::test]
async fn a_paused_desktop_is_disconnected_and_logged_off_as_any_and_shows_no_message() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let (uid, desktop) = (client.session, world.desktop_of(client.session).await);
    world.set(&desktop, Power::Paused).await.unwrap();
    let relay = client.obey();
    world.engine.disconnect(uid, &Expected::default()).await.unwrap();
    relay.await.unwrap();
    assert_eq!(world.session(uid).await.state.name(), StateName::Disconnected);
    assert!(world.frozen(&desktop).await, "that is no reason to go on");
    let silent = world.engine.message(uid, "t", "x", &Expected::default()).await.unwrap_err();
    assert!(matches!(silent, EngineError::Paused));
    world.engine.logoff(uid, &Expected::default()).await.unwrap();
    assert_eq!(world.power(&desktop).await, PowerState::Off);
    assert!(!world.desktop(&desktop).await.paused);
    // whoever has it next finds it running
    let next = world.active("bob").await;
    assert_eq!(world.power(&world.desktop_of(next.session).await).await, PowerState::On);
}

#[tokio::test]
async fn a_desktop_that_is_turned_off_has_ended_and_one_that_does_not_run_is_left_alone() {
    let world = World::new().await;
    world.set(&name("pool-001"), Power::Off).await.unwrap();
    let client = world.active("alice").await;
    let (uid, desktop) = (client.session, world.desktop_of(client.session).await);
    let relay = client.obey();
    world.set(&desktop, Power::Off).await.unwrap();
    relay.await.unwrap();
    let ended = world.session(uid).await;
    assert!(matches!(ended.state, State::Ended { .. }), "{:?}", ended.state);
    world.set(&desktop, Power::Off).await.unwrap();
    assert_eq!((world.session(uid).await, world.power(&desktop).await), (ended, PowerState::Off));
}

#[tokio::test]
async fn turning_off_a_desktop_that_is_starting_cancels_the_start() {
    let world = World::new().await;
    world.host.may_start.send_replace(false);
    let attach = attach(&world.engine, "alice", Route::Default);
    let off = async {
        until(|| async { world.session_in(&name("pool-001")).await.is_some() }).await;
        let off = tokio::spawn({
            let engine = world.engine.clone();
            async move { engine.set_power(&name("pool-001"), Power::Off, &Expected::default()).await }
        });
        until(|| async { world.power(&name("pool-001")).await == PowerState::Stopping }).await;
        world.host.may_start.send_replace(true);
        off.await.unwrap().unwrap();
    };
    let (refused, ()) = tokio::join!(attach, off);
    assert!(refused.is_err());
    assert_eq!(world.power(&name("pool-001")).await, PowerState::Off);
}

#[tokio::test]
async fn a_desktop_that_is_off_is_started_for_its_owner_who_then_finds_it() {
    let (world, desktop) = World::with_owner().await;
    world.set(&desktop, Power::On).await.unwrap();
    let session = world.session_in(&desktop).await.unwrap();
    assert_eq!((session.state.name(), &session.user), (StateName::Disconnected, &user("alice")));
    assert_eq!(world.power(&desktop).await, PowerState::On);
    world.set(&desktop, Power::On).await.unwrap();
    assert_eq!(world.active_in("alice", "own").await.session, session.uid);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn who_comes_while_their_desktop_is_started_for_them_gets_that_one() {
    let (world, desktop) = World::with_owner().await;
    world.host.may_start.send_replace(false);
    let on = world.set(&desktop, Power::On);
    let come = async {
        until(|| async { world.session_in(&desktop).await.is_some() }).await;
        let go_on = async { world.host.may_start.send_replace(true) };
        let (client, _) = tokio::join!(world.active_in("alice", "own"), go_on);
        client
    };
    let (turned, client) = tokio::join!(on, come);
    turned.unwrap();
    assert_eq!(world.session_in(&desktop).await.unwrap().uid, client.session);
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active);
    assert_eq!(world.host.started(), 1);
}

#[tokio::test]
async fn a_desktop_is_not_started_for_nobody_nor_where_nothing_is_to_begin() {
    let (world, desktop) = World::with_owner().await;
    for nobodys in ["pool-001", "own-002"] {
        let refused = world.set(&name(nobodys), Power::On).await.unwrap_err();
        assert!(matches!(refused, EngineError::NobodysDesktop), "{refused}");
    }
    world.engine.set_intake("host", Intake::Drained).await.unwrap();
    let drained = world.set(&desktop, Power::On).await.unwrap_err();
    assert!(matches!(drained, EngineError::Host(HostError::Busy(_))), "{drained}");
    world.engine.set_intake("host", Intake::Open).await.unwrap();
    world.host.fail_starts.store(true, Ordering::SeqCst);
    let failed = world.set(&desktop, Power::On).await.unwrap_err();
    assert!(
        matches!(&failed, EngineError::Host(HostError::Failed(why)) if why == "no such thing"),
        "{failed}"
    );
    assert_eq!((world.session_in(&desktop).await, world.host.started()), (None, 0));
}

#[tokio::test]
async fn the_next_process_finds_what_was_paused_paused() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let (uid, desktop) = (client.session, world.desktop_of(client.session).await);
    world.set(&desktop, Power::Paused).await.unwrap();
    // as if it had been killed between the row and the freezing, or in the other direction
    world.host.frozen.lock().unwrap().clear();
    let restarted = world.restarted().await;
    restarted.recover().await.unwrap();
    until(|| async { world.frozen(&desktop).await }).await;
    assert_eq!(world.power(&desktop).await, PowerState::Paused);
    let mut again = attach(&restarted, "alice", Route::Default).await.unwrap();
    again.activated().await.unwrap();
    assert_eq!((again.session, world.power(&desktop).await), (uid, PowerState::On));
    drop(client);
}

#[tokio::test]
async fn the_next_process_lets_run_what_it_cannot_pause() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    world.set(&desktop, Power::Paused).await.unwrap();
    world.host.frozen.lock().unwrap().clear();
    world.host.fail_pauses.store(true, Ordering::SeqCst);
    world.restarted().await.recover().await.unwrap();
    until(|| async { world.power(&desktop).await == PowerState::On }).await;
    drop(client);
}

#[tokio::test]
async fn a_paused_desktop_that_dies_ends_its_session() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let (uid, desktop) = (client.session, world.desktop_of(client.session).await);
    let handle = world.handle(uid).await;
    world.set(&desktop, Power::Paused).await.unwrap();
    world.host.end(&handle, LogonEnd::Failed("killed".into()));
    until(|| async { world.session(uid).await.state.name() == StateName::Ended }).await;
    let ended = world.session(uid).await.state;
    assert!(matches!(&ended, State::Ended { reason: EndReason::Failed(_), .. }), "{ended:?}");
    let gone = world.set(&desktop, Power::Paused).await.unwrap_err();
    assert!(not_running(&gone), "{gone}");
    drop(client);
}

#[tokio::test]
async fn pausing_and_resuming_by_many_ends_as_the_row_says() {
    let world = std::sync::Arc::new(World::new().await);
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    for _ in 0..20 {
        let mut calls = tokio::task::JoinSet::new();
        for power in [Power::Paused, Power::On, Power::Paused, Power::On] {
            let (engine, desktop) = (world.engine.clone(), desktop.clone());
            calls.spawn(async move { engine.set_power(&desktop, power, &Expected::default()).await });
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap().unwrap();
        }
        assert_eq!(world.desktop(&desktop).await.paused, world.frozen(&desktop).await);
    }
    drop(client);
}

#[tokio::test]
async fn nobody_can_tell_of_a_host_that_nobody_serves() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop(&world.desktop_of(client.session).await).await;
    let session = world.session(client.session).await;
    let host = world.engine.store().host("host").await.unwrap().unwrap();
    let now = world.engine.now();
    assert_eq!(PowerState::of(&desktop, Some(&session), Some(&host), now), PowerState::On);
    assert_eq!(PowerState::of(&desktop, Some(&session), None, now), PowerState::Unknown);
    let later = host.lease.until;
    assert_eq!(PowerState::of(&desktop, Some(&session), Some(&host), later), PowerState::Unknown);
}

#[tokio::test]
async fn a_refused_owner_is_no_reason_to_let_a_desktop_run() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    world.set(&desktop, Power::Paused).await.unwrap();
    let refused = world.attach_to("alice", Route::Collection("nowhere".into())).await;
    assert_eq!(refused.err(), Some(Refusal::NotFound));
    assert!(world.frozen(&desktop).await);
    drop(client);
}

#[tokio::test]
async fn a_desktop_that_stands_although_its_row_does_not_say_so_is_turned_on() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let desktop = world.desktop_of(client.session).await;
    let pid = world.handle(client.session).await.pid;
    world.host.frozen.lock().unwrap().insert(pid);
    world.set(&desktop, Power::On).await.unwrap();
    assert!(!world.frozen(&desktop).await);
}

#[tokio::test]
async fn a_collection_that_rolls_back_begins_with_fresh_homes_unless_its_users_have_disks() {
    let world = World::new().await;
    for (rollback, user_disk, home) in [
        (None, None, Home::Kept),
        (Some(true), None, Home::Fresh),
        (None, Some("<disk/>"), Home::Kept),
        (None, Some(""), Home::Fresh),
        (Some(false), None, Home::Kept),
    ] {
        let user_disk = user_disk.map(str::to_owned);
        let change = CollectionChange { rollback, user_disk, ..CollectionChange::default() };
        world.engine.change_collection("pool", change).await.unwrap();
        let client = world.active("alice").await;
        let uid = client.session;
        client.goes_away().await;
        world.engine.logoff(uid, &Expected::default()).await.unwrap();
        assert_eq!(world.host.homes.lock().unwrap().last(), Some(&home));
    }
}
