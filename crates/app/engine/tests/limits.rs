//! Limits on running sessions, with the time that the test says; the host is a fake.
#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::limits::LimitsChange;
use openrdms_broker::session::{Cause, DetachReason, EndReason, StateName};
use openrdms_broker::{AuditRecord, Limit, LimitAction, Outcome, SessionUid, State, Timestamp};
use openrdms_engine::Warned;
use std::time::Duration;
use support::{World, until};
use tokio_util::sync::CancellationToken;

const IDLE: LimitsChange =
    LimitsChange { idle: Some(600), active: None, disconnected: Some(7200), action: None, warning: Some(60) };

async fn limited(change: LimitsChange) -> (World, Warned) {
    let world = World::new().await;
    world.engine.change_collection("pool", change).await.unwrap();
    (world, Warned::default())
}

/// Looks at the limits as if it were so many seconds after now.
async fn look(world: &World, warned: &mut Warned, seconds: i64) {
    let then = Timestamp(world.engine.now().0 + seconds * 1000);
    world.engine.look_at_limits(warned, then).await.unwrap();
}

/// How many warnings have been shown, once it is so many.
async fn warnings(world: &World, count: usize) {
    until(|| async { world.host.messages.lock().unwrap().len() == count }).await;
}

async fn policy(world: &World) -> Vec<AuditRecord> {
    let mut all = world.engine.store().audit(50).await.unwrap();
    all.retain(|record| record.actor == "policy");
    all
}

async fn name(world: &World, uid: SessionUid) -> StateName {
    world.session(uid).await.state.name()
}

#[tokio::test]
async fn an_idle_user_is_warned_once_then_disconnected_and_it_is_audited() {
    let (world, mut warned) = limited(IDLE).await;
    let client = world.active("alice").await;
    let (uid, kill) = (client.session, client.kill.clone());
    look(&world, &mut warned, 530).await;
    assert!(world.host.messages.lock().unwrap().is_empty());
    look(&world, &mut warned, 545).await;
    warnings(&world, 1).await;
    look(&world, &mut warned, 590).await;
    assert_eq!(kill.thrown(), None);
    look(&world, &mut warned, 610).await;
    assert_eq!(kill.thrown(), Some(DetachReason::Limit(Limit::Idle)));
    assert!(policy(&world).await.is_empty(), "not before the client has gone");
    client.obey().await.unwrap();
    let state = world.session(uid).await.state;
    assert!(matches!(
        state,
        State::Disconnected { reason: DetachReason::Limit(Limit::Idle), attach: None, .. }
    ));
    until(|| async { !policy(&world).await.is_empty() }).await;
    let record = policy(&world).await.remove(0);
    assert_eq!((record.action.as_str(), record.subject.as_str()), ("Disconnect", "TEST\\alice"));
    assert_eq!((record.outcome, record.detail.as_str()), (Outcome::Done, "idle limit reached"));
    let messages = world.host.messages.lock().unwrap().clone();
    assert!(messages.len() == 1 && messages[0].contains("you will be disconnected"), "{messages:?}");
}

#[tokio::test]
async fn input_keeps_a_session_and_the_next_approach_is_warned_of_again() {
    let (world, mut warned) = limited(IDLE).await;
    let mut client = world.active("alice").await;
    look(&world, &mut warned, 545).await;
    warnings(&world, 1).await;
    // as if input came later than now: `ago` cannot lie ahead, so the looks go back instead
    client.admission.attachment.input(Duration::ZERO);
    let began = world.session(client.session).await.state.since();
    let input = world.engine.last_input(client.session).unwrap();
    assert!(input >= began);
    let after_input = |seconds: i64| Timestamp(input.0 + seconds * 1000);
    world.engine.look_at_limits(&mut warned, after_input(539)).await.unwrap();
    world.engine.look_at_limits(&mut warned, after_input(540)).await.unwrap();
    warnings(&world, 2).await;
    world.engine.look_at_limits(&mut warned, after_input(599)).await.unwrap();
    assert_eq!(client.kill.thrown(), None);
}

#[tokio::test]
async fn the_action_may_be_a_logoff_and_history_says_why() {
    let active = LimitsChange {
        active: Some(3600),
        action: Some(LimitAction::Logoff),
        warning: Some(0),
        ..LimitsChange::default()
    };
    let (world, mut warned) = limited(active).await;
    let mut client = world.active("alice").await;
    client.admission.attachment.input(Duration::ZERO);
    let (uid, kill) = (client.session, client.kill.clone());
    let relay = client.obey();
    let mut events = world.engine.events();
    look(&world, &mut warned, 3601).await;
    relay.await.unwrap();
    assert_eq!(kill.thrown(), Some(DetachReason::Limit(Limit::Active)));
    until(|| async { name(&world, uid).await == StateName::Ended }).await;
    let state = world.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Limit(Limit::Active), .. }), "{state:?}");
    until(|| async { policy(&world).await.len() == 1 }).await;
    assert_eq!(policy(&world).await[0].action, "Logoff");
    for event in ["session-logging-off", "session-ended"] {
        let told = events.recv().await.unwrap();
        assert_eq!((told.event.name(), told.reason.as_deref()), (event, Some("active limit reached")));
    }
    assert!(world.host.messages.lock().unwrap().is_empty(), "a warning of 0 is none");
}

#[tokio::test]
async fn a_disconnected_session_is_logged_off_unless_its_user_returns() {
    let (world, mut warned) = limited(IDLE).await;
    let (alice, bob) = (world.active("alice").await, world.active("bob").await);
    let (stays, ends) = (alice.session, bob.session);
    alice.goes_away().await;
    bob.goes_away().await;
    look(&world, &mut warned, 7100).await;
    let alice = world.active("alice").await;
    look(&world, &mut warned, 7300).await;
    until(|| async { name(&world, ends).await == StateName::Ended }).await;
    let state = world.session(ends).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Limit(Limit::Disconnected), .. }), "{state:?}");
    assert_eq!(alice.session, stays);
    assert_eq!(name(&world, stays).await, StateName::Active);
}

#[tokio::test]
async fn shorter_limits_hold_for_running_sessions_after_a_warning() {
    let (world, mut warned) = limited(LimitsChange::default()).await;
    let client = world.active("alice").await;
    look(&world, &mut warned, 100_000).await;
    assert_eq!(client.kill.thrown(), None, "there is no limit");
    world.engine.change_collection("pool", IDLE).await.unwrap();
    look(&world, &mut warned, 100_000).await;
    warnings(&world, 1).await;
    look(&world, &mut warned, 100_050).await;
    assert_eq!(client.kill.thrown(), None, "warned just now");
    look(&world, &mut warned, 100_061).await;
    assert_eq!(client.kill.thrown(), Some(DetachReason::Limit(Limit::Idle)));
}

#[tokio::test]
async fn a_desktop_that_shows_no_warning_holds_up_nobody() {
    let (world, mut warned) = limited(IDLE).await;
    let client = world.active("alice").await;
    world.host.may_show.send_replace(false);
    look(&world, &mut warned, 545).await;
    look(&world, &mut warned, 610).await;
    assert_eq!(client.kill.thrown(), Some(DetachReason::Limit(Limit::Idle)));
}

#[tokio::test]
async fn the_task_acts_by_itself_and_at_once_on_new_limits() {
    let (world, _) = limited(LimitsChange::default()).await;
    let client = world.active("alice").await;
    let (uid, stop) = (client.session, CancellationToken::new());
    let (engine, token) = (world.engine.clone(), stop.clone());
    let task = tokio::spawn(async move { engine.run_limits(token).await });
    let relay = client.obey();
    let soon = LimitsChange { idle: Some(1), warning: Some(0), ..LimitsChange::default() };
    world.engine.change_collection("pool", soon).await.unwrap();
    tokio::time::timeout(Duration::from_secs(8), relay).await.expect("sooner than the rest").unwrap();
    assert_eq!(name(&world, uid).await, StateName::Disconnected);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn the_time_of_input_survives_a_restart() {
    let world = World::new().await;
    let mut client = world.active("alice").await;
    let uid = client.session;
    client.admission.attachment.input(Duration::from_secs(5));
    let input = world.engine.last_input(uid).unwrap();
    assert_eq!(world.session(uid).await.last_input, None);
    world.engine.save_inputs().await;
    let saved = world.session(uid).await;
    assert_eq!(saved.last_input, Some(input));
    world.engine.save_inputs().await;
    assert_eq!(world.session(uid).await.generation, saved.generation, "nothing new is not saved");
    // killed: the next engine knows it from the row, and does not forget it when the session moves
    std::mem::forget(client);
    let engine = world.restarted().await;
    engine.recover().await.unwrap();
    let session = world.session(uid).await;
    assert_eq!((session.state.name(), session.last_input), (StateName::Disconnected, Some(input)));
}

#[tokio::test]
async fn a_logoff_by_a_limit_keeps_its_reason_through_a_restart() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let mut session = world.session(client.session).await;
    std::mem::forget(client);
    session.state = State::LoggingOff { since: Timestamp(0), cause: Cause::Limit(Limit::Idle) };
    world.engine.store().update_session(&session).await.unwrap();
    let engine = world.restarted().await;
    engine.recover().await.unwrap();
    until(|| async { name(&world, session.uid).await == StateName::Ended }).await;
    let state = world.session(session.uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Limit(Limit::Idle), .. }), "{state:?}");
}
