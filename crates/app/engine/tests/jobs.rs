//! Jobs and updates on a fake host: steps, crashes, cancelling, deadlines.
#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::job::patch::{PatchOrder, PatchState, Standing};
use openrdms_broker::job::{Job, JobId, JobState, Order, StepState, xml};
use openrdms_broker::ports::StoreError;
use openrdms_broker::session::StateName;
use openrdms_broker::{
    AuditRecord, Collection, CollectionAlias, Desktop, HostName, NodeId, Outcome, Route, Timestamp,
};
use openrdms_engine::{Engine, EngineConfig, EngineError, JobFilter, Told};
use openrdms_store::SqliteStore;
use std::collections::BTreeSet;
use std::sync::Arc;
use support::{FakeHost, World, until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const WHO: &str = "TEST\\root";

fn order(inside: &str) -> Order {
    let text =
        format!("<ProvisioningJob xmlns='{}' Collection='POOL'>{inside}</ProvisioningJob>", xml::NAMESPACE);
    xml::read_order(&text).unwrap()
}

async fn begin(engine: &Engine, inside: &str) -> JobId {
    engine.execute_job(&order(inside), WHO).await.unwrap()
}

async fn ended(engine: &Engine, id: JobId) -> Job {
    until(|| async { engine.job(id).await.unwrap().state.ended().is_some() }).await;
    engine.job(id).await.unwrap()
}

fn states(job: &Job) -> Vec<&str> {
    job.steps.iter().map(|step| step.state.as_str()).collect()
}

async fn desktops(engine: &Engine) -> Vec<Desktop> {
    engine.store().desktops(None, None, 1000).await.unwrap().rows
}

async fn names(engine: &Engine) -> BTreeSet<String> {
    desktops(engine).await.into_iter().map(|desktop| desktop.name.to_string()).collect()
}

async fn audited(engine: &Engine, actor: &str) -> Vec<AuditRecord> {
    let mut all = engine.store().audit(50).await.unwrap();
    all.retain(|record| record.actor == actor);
    all
}

/// The service runs jobs; dropping the task is its being killed.
fn running(engine: &Engine) -> JoinHandle<()> {
    let engine = engine.clone();
    tokio::spawn(async move { engine.run_jobs(CancellationToken::new()).await })
}

async fn killed(service: JoinHandle<()>) {
    service.abort();
    assert!(service.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_job_adds_and_removes_desktops_and_is_audited() {
    let world = World::new().await;
    let service = running(&world.engine);
    let id = begin(
        &world.engine,
        "<AddDesktops Count='2'/><AddDesktop Name='extra'/><RemoveDesktop Name='pool-001'/>",
    )
    .await;
    let job = ended(&world.engine, id).await;
    assert_eq!((job.state.as_str(), states(&job)), ("Completed", vec!["Done"; 4]));
    let expected = ["pool-002", "pool-003", "pool-004", "extra"].map(str::to_owned);
    assert_eq!(names(&world.engine).await, BTreeSet::from(expected));
    assert_eq!(world.engine.store().collection("pool").await.unwrap().unwrap().size, 4);
    until(|| async { !audited(&world.engine, WHO).await.is_empty() }).await;
    let record = audited(&world.engine, WHO).await.remove(0);
    assert_eq!((record.outcome, record.action.as_str()), (Outcome::Done, "ProvisioningJob"));
    assert_eq!(record.detail, "Done 4, AlreadySo 0, Failed 0, NotBegun 0");
    assert!(world.engine.jobs(JobFilter::Open, None).await.unwrap().is_empty());
    assert_eq!(world.engine.jobs(JobFilter::Ended, Some("Pool")).await.unwrap().len(), 1);
    assert!(world.engine.jobs(JobFilter::Ended, Some("other")).await.unwrap().is_empty());
    killed(service).await;
}

#[tokio::test]
async fn a_job_goes_on_where_a_killed_service_left_it() {
    let world = World::new().await;
    world.host.prepared.lock().unwrap().clear();
    world.host.may_prepare.send_replace(5);
    let service = running(&world.engine);
    let id = begin(&world.engine, "<AddDesktops Count='20'/>").await;
    until(|| async { names(&world.engine).await.len() == 2 + 5 }).await;
    killed(service).await;
    // between making a desktop and writing down that it is made
    let store = world.engine.store();
    loop {
        let mut stored = store.document::<Job>(&id.0.to_string()).await.unwrap().unwrap();
        let steps = &mut stored.document.steps;
        let done: Vec<_> = steps.iter_mut().filter(|step| step.state.as_str() == "Done").collect();
        assert!(done.len() <= 5, "{}", done.len());
        done.into_iter().take(1).for_each(|step| step.state = StepState::Due);
        match store.update_document(&stored.document, stored.generation).await {
            Ok(()) => break,
            // what it had said last is written all the same
            Err(StoreError::Stale) => {}
            Err(error) => panic!("{error}"),
        }
    }

    let engine = world.restarted().await;
    engine.recover().await.unwrap();
    world.host.may_prepare.send_replace(usize::MAX);
    let service = running(&engine);
    let job = ended(&engine, id).await;
    assert_eq!(job.state.as_str(), "Completed");
    assert_eq!(names(&engine).await.len(), 22);
    assert_eq!(engine.store().collection("pool").await.unwrap().unwrap().size, 22);
    assert!(states(&job).contains(&"AlreadySo"), "{:?}", states(&job));
    killed(service).await;
}

#[tokio::test]
async fn cancelling_stops_between_steps_and_what_was_made_stays() {
    let world = World::new().await;
    world.host.prepared.lock().unwrap().clear();
    world.host.may_prepare.send_replace(3);
    let service = running(&world.engine);
    let id = begin(&world.engine, "<AddDesktops Count='20'/>").await;
    until(|| async { world.engine.job(id).await.unwrap().ended_steps() == 3 }).await;
    let cancel = tokio::spawn({
        let engine = world.engine.clone();
        async move { engine.cancel_job(id).await }
    });
    until(|| async { world.engine.job(id).await.unwrap().state.as_str() == "Cancelling" }).await;
    // those that are under way are finished
    world.host.may_prepare.send_replace(usize::MAX);
    cancel.await.unwrap().unwrap();
    let job = world.engine.job(id).await.unwrap();
    assert_eq!(job.state.as_str(), "Cancelled");
    let made = states(&job).into_iter().filter(|state| *state == "Done").count();
    assert!((3..=7).contains(&made), "{made} of 20: {:?}", states(&job));
    assert_eq!(names(&world.engine).await.len(), 2 + made);
    assert!(matches!(world.engine.cancel_job(id).await, Err(EngineError::JobEnded)));
    killed(service).await;
}

#[tokio::test]
async fn a_job_that_was_cancelled_while_nobody_did_it_does_not_go_on() {
    let world = World::new().await;
    let id = begin(&world.engine, "<AddDesktops Count='2'/>").await;
    let cancel = tokio::spawn({
        let engine = world.engine.clone();
        async move { engine.cancel_job(id).await }
    });
    until(|| async { world.engine.job(id).await.unwrap().state.as_str() == "Cancelling" }).await;
    let service = running(&world.engine);
    cancel.await.unwrap().unwrap();
    assert_eq!(states(&ended(&world.engine, id).await), ["NotBegun"; 2]);
    assert_eq!(names(&world.engine).await.len(), 2);
    killed(service).await;
}

#[tokio::test]
async fn a_desktop_with_a_session_is_removed_when_it_is_empty() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let session = world.session(client.session).await;
    let service = running(&world.engine);
    let inside =
        format!("<RemoveDesktop Name='{}'/><RemoveDesktop Name='nobody-knows-it'/>", session.desktop);
    let id = begin(&world.engine, &inside).await;
    until(|| async { states(&world.engine.job(id).await.unwrap()) == ["Held", "AlreadySo"] }).await;
    assert_eq!(world.session(session.uid).await.state.name(), StateName::Active, "nobody is put out");
    // and another job is not kept waiting
    let other = begin(&world.engine, "<AddDesktops Count='1'/>").await;
    assert_eq!(ended(&world.engine, other).await.state.as_str(), "Completed");
    let relay = client.obey();
    world.engine.logoff(session.uid, &openrdms_engine::Expected::default()).await.unwrap();
    relay.await.unwrap();
    assert_eq!(states(&ended(&world.engine, id).await), ["Done", "AlreadySo"]);
    assert!(!names(&world.engine).await.contains(session.desktop.as_str()));
    killed(service).await;
}

#[tokio::test]
async fn a_step_that_cannot_be_done_is_told_and_the_others_are_done() {
    let world = World::new().await;
    let alias = CollectionAlias::new("lab").unwrap();
    let lab = Collection { size: 1, ..Collection::new(alias, Timestamp(0)) };
    world.engine.create_collection(lab).await.unwrap();
    world.host.fail_preparing.lock().unwrap().insert("broken".into());
    let service = running(&world.engine);
    let inside = ["broken", "lab-001", "fine"].map(|name| format!("<AddDesktop Name='{name}'/>")).concat();
    let id = begin(&world.engine, &inside).await;
    let job = ended(&world.engine, id).await;
    assert_eq!((job.state.as_str(), states(&job)), ("Failed", vec!["Failed", "Failed", "Done"]));
    let report = xml::report(&job);
    assert!(report.contains("no room on the disk") && report.contains("already exists"), "{report}");
    let id = begin(&world.engine, "<RemoveDesktop Name='lab-001'/>").await;
    assert_eq!(states(&ended(&world.engine, id).await), ["Failed"], "it is in another collection");
    killed(service).await;
}

#[tokio::test]
async fn orders_that_cannot_be_are_refused_and_names_are_given_once() {
    let world = World::new().await;
    let one = begin(&world.engine, "<AddDesktops Count='2'/>").await;
    let two = begin(&world.engine, "<AddDesktop Name='pool-005'/><AddDesktops Count='2'/>").await;
    let planned = async |id| {
        let job = world.engine.job(id).await.unwrap();
        job.steps.iter().map(|step| step.task.desktop().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(planned(one).await, ["pool-003", "pool-004"]);
    assert_eq!(planned(two).await, ["pool-005", "pool-006", "pool-007"]);
    let nowhere =
        Order { host: Some(HostName::new("nowhere").unwrap()), ..order("<AddDesktops Count='1'/>") };
    assert!(matches!(world.engine.execute_job(&nowhere, WHO).await, Err(EngineError::Invalid(_))));
    let here = Order { host: Some(HostName::new("HOST").unwrap()), ..order("<AddDesktops Count='1'/>") };
    let here = world.engine.execute_job(&here, WHO).await.unwrap();
    assert_eq!(world.engine.job(here).await.unwrap().host.as_str(), "host");
    let unknown =
        Order { collection: CollectionAlias::new("x").unwrap(), ..order("<AddDesktops Count='1'/>") };
    assert!(matches!(
        world.engine.execute_job(&unknown, WHO).await,
        Err(EngineError::NotFound("collection"))
    ));
    for count in 3..50 {
        begin(&world.engine, &format!("<AddDesktop Name='x{count}'/>")).await;
    }
    let more = world.engine.execute_job(&order("<AddDesktops Count='1'/>"), WHO).await;
    assert!(matches!(more, Err(EngineError::TooMany(_))), "{more:?}");
}

#[tokio::test]
async fn another_hosts_job_waits_for_that_host_and_jobs_go_with_their_collection() {
    let world = World::new().await;
    let id = begin(&world.engine, "<AddDesktops Count='1'/>").await;
    let stored = world.engine.store().document::<Job>(&id.0.to_string()).await.unwrap().unwrap();
    let elsewhere = Job { host: HostName::new("elsewhere").unwrap(), ..stored.document };
    world.engine.store().update_document(&elsewhere, stored.generation).await.unwrap();
    world.engine.look_at_jobs().await.unwrap();
    assert_eq!(states(&world.engine.job(id).await.unwrap()), ["Due"]);
    world.engine.delete_collection("pool").await.unwrap();
    world.engine.look_at_jobs().await.unwrap();
    assert!(matches!(world.engine.job(id).await, Err(EngineError::NotFound("job"))));
}

/// A node with a host of its own on the same store.
async fn second(world: &World) -> Engine {
    let store = Arc::new(SqliteStore::open(world.dir.path()).await.unwrap());
    let config = EngineConfig { node: NodeId(Uuid::from_u128(2)), ..support::config() };
    let engine = Engine::new(store, FakeHost::new("far", "boot-far"), config);
    engine.recover().await.unwrap();
    engine
}

#[tokio::test]
async fn each_node_does_the_jobs_and_the_updates_of_its_own_host() {
    let world = World::new().await;
    let far = second(&world).await;
    let there = Order { host: Some(HostName::new("FAR").unwrap()), ..order("<AddDesktops Count='1'/>") };
    let id = world.engine.execute_job(&there, WHO).await.unwrap();
    world.engine.look_at_jobs().await.unwrap();
    assert_eq!(states(&far.job(id).await.unwrap()), ["Due"]);
    far.look_at_jobs().await.unwrap();
    assert_eq!(states(&world.engine.job(id).await.unwrap()), ["Done"]);
    let made = desktops(&far).await.into_iter().find(|desktop| desktop.name.as_str() == "pool-003").unwrap();
    assert_eq!(made.host.as_str(), "far");
    let id = begin(&world.engine, "<RemoveDesktop Name='pool-003'/>").await;
    world.engine.look_at_jobs().await.unwrap();
    assert_eq!(states(&world.engine.job(id).await.unwrap()), ["Failed"], "its files are elsewhere");

    let alice = world.active("alice").await;
    let mut bob = support::attach(&far, "bob", Route::Default).await.unwrap();
    bob.activated().await.unwrap();
    let (near_uid, far_uid) = (alice.session, bob.session);
    schedule(&world, 1, 2, 0).await;
    let (near_relay, mut told) = (alice.obey(), Told::default());
    look(&world, &mut told, 20).await;
    near_relay.await.unwrap();
    until(|| async { world.session(near_uid).await.state.name() == StateName::Ended }).await;
    look(&world, &mut told, 21).await;
    assert_eq!(world.session(far_uid).await.state.name(), StateName::Active, "its own node logs it off");
    assert!(world.engine.patch("pool").await.unwrap().is_open());
    let far_relay = bob.obey();
    far.look_at_patches(&mut Told::default(), Timestamp(far.now().0 + 22_000)).await.unwrap();
    far_relay.await.unwrap();
    until(|| async { world.session(far_uid).await.state.name() == StateName::Ended }).await;
    look(&world, &mut told, 23).await;
    assert!(!world.engine.patch("pool").await.unwrap().is_open());
}

#[tokio::test]
async fn two_that_do_the_same_job_do_it_once() {
    let world = World::new().await;
    let other = world.restarted().await;
    let id = begin(&world.engine, "<AddDesktops Count='40'/><RemoveDesktop Name='pool-001'/>").await;
    let (one, two) = tokio::join!(world.engine.look_at_jobs(), other.look_at_jobs());
    one.unwrap();
    two.unwrap();
    let job = world.engine.job(id).await.unwrap();
    assert_eq!(job.state.as_str(), "Completed", "{:?}", states(&job));
    assert_eq!(names(&world.engine).await.len(), 41);
    assert_eq!(world.engine.store().collection("pool").await.unwrap().unwrap().size, 41);
}

#[tokio::test]
async fn reports_are_kept_but_not_for_ever() {
    let world = World::new().await;
    let first = begin(&world.engine, "<RemoveDesktop Name='none-0'/>").await;
    world.engine.look_at_jobs().await.unwrap();
    for count in 1..=50 {
        begin(&world.engine, &format!("<RemoveDesktop Name='none-{count}'/>")).await;
        world.engine.look_at_jobs().await.unwrap();
    }
    world.engine.look_at_jobs().await.unwrap();
    assert_eq!(world.engine.jobs(JobFilter::Ended, None).await.unwrap().len(), 50);
    assert!(world.engine.job(first).await.is_err(), "the oldest goes");
    let last = begin(&world.engine, "<RemoveDesktop Name='last'/>").await;
    world.engine.look_at_jobs().await.unwrap();
    let stored = world.engine.store().document::<Job>(&last.0.to_string()).await.unwrap().unwrap();
    let JobState::Ended { end, .. } = stored.document.state else { panic!("{:?}", stored.document.state) };
    let long_ago = Job { state: JobState::Ended { at: Timestamp(0), end }, ..stored.document };
    world.engine.store().update_document(&long_ago, stored.generation).await.unwrap();
    world.engine.look_at_jobs().await.unwrap();
    assert!(world.engine.job(last).await.is_err(), "so does what is older than a month");
}

/// Schedules an update: seconds from now.
async fn schedule(world: &World, start: i64, deadline: i64, warning: u32) -> JobId {
    let at = |seconds: i64| Timestamp(world.engine.now().0 + seconds * 1000);
    let times = (at(start), at(deadline));
    world.engine.schedule_patch("Pool", times, PatchOrder { warning }, WHO).await.unwrap()
}

async fn look(world: &World, told: &mut Told, seconds: i64) {
    let then = Timestamp(world.engine.now().0 + seconds * 1000);
    world.engine.look_at_patches(told, then).await.unwrap();
}

async fn messages(world: &World, count: usize) {
    until(|| async { world.host.messages.lock().unwrap().len() == count }).await;
}

#[tokio::test]
async fn users_are_warned_of_an_update_and_logged_off_at_its_deadline() {
    let world = World::new().await;
    let mut told = Told::default();
    let client = world.active("alice").await;
    let uid = client.session;
    schedule(&world, 60, 3600, 300).await;
    look(&world, &mut told, 70).await;
    assert!(world.host.messages.lock().unwrap().is_empty());
    look(&world, &mut told, 3400).await;
    messages(&world, 1).await;
    assert!(world.host.messages.lock().unwrap()[0].contains("you will be logged off"));
    look(&world, &mut told, 3500).await;
    assert_eq!(world.session(uid).await.state.name(), StateName::Active);
    let relay = client.obey();
    look(&world, &mut told, 3710).await;
    relay.await.unwrap();
    until(|| async { world.session(uid).await.state.name() == StateName::Ended }).await;
    look(&world, &mut told, 3711).await;
    let patch = world.engine.patch("pool").await.unwrap();
    assert!(matches!(patch.state, PatchState::Completed { .. }), "{:?}", patch.state);
    until(|| async { audited(&world.engine, "policy").await.len() == 2 }).await;
    let mut actions: Vec<_> = audited(&world.engine, "policy").await.into_iter().map(|r| r.action).collect();
    actions.sort();
    assert_eq!(actions, ["Logoff", "Update"]);
    assert_eq!(world.host.messages.lock().unwrap().len(), 1, "told once");
}

#[tokio::test]
async fn sessions_that_began_after_the_start_are_left_alone() {
    let world = World::new().await;
    let mut told = Told::default();
    schedule(&world, -60, 10, 0).await;
    let client = world.active("alice").await;
    look(&world, &mut told, 11).await;
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active);
    let patch = world.engine.patch("pool").await.unwrap();
    assert_eq!(patch.standing(world.engine.now()), Standing::Completed, "nobody older is left");
}

#[tokio::test]
async fn a_restart_warns_again_and_moves_no_deadline() {
    let world = World::new().await;
    let client = world.active("alice").await;
    schedule(&world, 0, 600, 300).await;
    look(&world, &mut Told::default(), 400).await;
    messages(&world, 1).await;
    let mut told = Told::default();
    look(&world, &mut told, 590).await;
    messages(&world, 2).await;
    let uid = client.session;
    let relay = client.obey();
    // told 400 s from when it was scheduled, so 700 s is when 300 s are over
    look(&world, &mut told, 701).await;
    relay.await.unwrap();
    until(|| async { world.session(uid).await.state.name() == StateName::Ended }).await;
}

#[tokio::test]
async fn an_update_is_called_off_and_one_at_a_time() {
    let world = World::new().await;
    let client = world.active("alice").await;
    assert!(matches!(world.engine.patch("pool").await, Err(EngineError::NotFound("update"))));
    assert!(matches!(world.engine.cancel_patch("pool").await, Err(EngineError::NotFound("update"))));
    let first = schedule(&world, 60, 120, 0).await;
    let now = world.engine.now();
    let times = (now, Timestamp(now.0 + 1000));
    let second = world.engine.schedule_patch("pool", times, PatchOrder { warning: 0 }, WHO).await;
    assert!(matches!(second, Err(EngineError::Store(StoreError::Conflict(_)))), "{second:?}");
    world.engine.cancel_patch("POOL").await.unwrap();
    assert!(matches!(world.engine.cancel_patch("pool").await, Err(EngineError::NotFound("update"))));
    let cancelled = world.engine.patch("pool").await.unwrap();
    assert_eq!((cancelled.id, cancelled.standing(now)), (first, Standing::Cancelled));
    look(&world, &mut Told::default(), 200).await;
    assert_eq!(world.session(client.session).await.state.name(), StateName::Active, "called off is off");
    assert_ne!(schedule(&world, 60, 120, 0).await, first);
    for (start, deadline) in [(20, 10), (-20, -10)] {
        let at = |seconds: i64| Timestamp(now.0 + seconds * 1000);
        let times = (at(start), at(deadline));
        let refused = world.engine.schedule_patch("pool", times, PatchOrder { warning: 0 }, WHO).await;
        assert!(matches!(refused, Err(EngineError::Invalid(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn the_task_keeps_a_deadline_by_itself() {
    let world = World::new().await;
    let client = world.active("alice").await;
    let uid = client.session;
    let service = running(&world.engine);
    schedule(&world, 1, 3, 2).await;
    client.obey().await.unwrap();
    until(|| async { world.session(uid).await.state.name() == StateName::Ended }).await;
    messages(&world, 1).await;
    killed(service).await;
}

#[tokio::test]
async fn a_job_that_goes_with_its_collection_leaves_a_record() {
    let world = World::new().await;
    begin(&world.engine, "<AddDesktops Count='3'/>").await;
    world.engine.delete_collection("pool").await.unwrap();
    let record = audited(&world.engine, WHO).await.remove(0);
    assert_eq!(record.action, "ProvisioningJob");
    assert!(
        matches!(record.outcome, Outcome::Failed(_)) && record.detail.contains("NotBegun 3"),
        "{record:?}"
    );
}
