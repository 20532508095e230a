//! Machines: users are led to them, and nothing is said of them that nobody knows.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::limits::LimitsChange;
use openrdms_broker::ports::front::{ConnectionEnd, DesktopLogon};
use openrdms_broker::ports::{Existing, HostError, Refusal, StoreError};
use openrdms_broker::session::{DetachReason, EndReason, LostReason, StateName};
use openrdms_broker::{
    Address, Collection, CollectionAlias, CollectionKind, DesktopName, Endpoint, HostName, Limit,
    LimitAction, Machine, MachineLogon, Route, Session, SessionUid, Setting, SettingOwner, SettingValue,
    State, Timestamp,
};
use openrdms_engine::{Engine, EngineConfig, EngineError, Expected, MachineChange, NewMachine, Warned};
use openrdms_store::SqliteStore;
use std::sync::Arc;
use std::time::Duration;
use support::network::{Network, PIN};
use support::{Client, FakeHost, until};
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine to be asked in time, short enough for a test to wait for its end.
const LEASE: Duration = Duration::from_millis(1500);

/// A node with the collection `farm`, and the network that it is on.
struct Farm {
    engine: Engine,
    network: Network,
    dir: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn alias() -> CollectionAlias {
    CollectionAlias::new("farm").unwrap()
}

fn name(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

async fn engine(dir: &tempfile::TempDir, network: &Network, config: EngineConfig) -> Engine {
    let store = SqliteStore::open(dir.path()).await.unwrap();
    let host = FakeHost::new("host", "boot-1");
    Engine::with_machines(Arc::new(store), host, Arc::new(network.clone()), config)
}

impl Farm {
    /// With these machines, which answer and are in the collection.
    async fn with(machines: &[&str]) -> Self {
        let config = EngineConfig {
            ask_machines: Duration::from_millis(50),
            machine_lease: LEASE,
            lease_renewal: Duration::from_millis(50),
            // nobody is Lost before this node was heard for so long
            lease: Duration::from_millis(300),
            ..support::config()
        };
        let (dir, network) = (tempfile::tempdir().unwrap(), Network::default());
        let engine = engine(&dir, &network, config).await;
        support::add_users(engine.store()).await;
        engine.create_collection(Collection::new(alias(), Timestamp(0))).await.unwrap();
        engine.recover().await.unwrap();
        let farm = Self { engine, network, dir, stop: CancellationToken::new() };
        for machine in machines {
            farm.add(machine, MachineChange::default()).await.unwrap();
        }
        farm
    }

    /// Asks machines all the time, from now on.
    fn keep_asking(&self) {
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        tokio::spawn(async move { engine.run_lease(stop).await });
    }

    async fn add(&self, machine: &str, change: MachineChange) -> Result<Machine, EngineError> {
        self.network.put(machine, PIN);
        let address = Address::parse(machine).unwrap();
        let (name, collection) = (name(machine), Some(alias()));
        self.engine
            .add_machine(NewMachine { name, address, certificate_sha256: None, collection, change })
            .await
    }

    async fn attach(&self, user: &str) -> Result<Client, Refusal> {
        support::attach(&self.engine, user, Route::Collection("farm".into())).await
    }

    async fn active(&self, user: &str) -> Client {
        let mut client = self.attach(user).await.unwrap();
        client.activated().await.unwrap();
        client
    }

    async fn session(&self, uid: SessionUid) -> Session {
        self.engine.store().session(uid).await.unwrap().unwrap()
    }

    async fn until_session(&self, uid: SessionUid, holds: impl Fn(&State) -> bool) {
        until(|| async { holds(&self.session(uid).await.state) }).await;
    }
}

fn limit(session_limit: u32) -> MachineChange {
    MachineChange { session_limit: Some(session_limit), ..MachineChange::default() }
}

#[tokio::test]
async fn users_are_spread_by_weight_and_a_full_machine_gets_none() {
    let farm = Farm::with(&["a"]).await;
    farm.add("b", MachineChange { weight: Some(200), ..limit(2) }).await.unwrap();
    let first = farm.active("alice").await;
    assert_eq!(
        farm.session(first.session).await.host,
        name("a"),
        "both are empty, and the first has the first name"
    );
    let second = farm.active("bob").await;
    assert_eq!(farm.session(second.session).await.host, name("b"));
    let third = farm.active("carol").await;
    assert_eq!(farm.session(third.session).await.host, name("b"), "it is twice as heavy");
    let session = farm.session(third.session).await;
    assert_eq!(session.desktop.as_str(), "b", "the desktop of a machine has its name");
    assert_eq!((second.admission.logon, third.admission.logon), (DesktopLogon::Ask, DesktopLogon::Ask));
    assert_eq!(second.admission.endpoint, Endpoint::Tcp(Address::parse("b").unwrap()));
    assert_eq!(second.admission.certificate_sha256, PIN);

    // a limit below what is there takes nobody away, and lets nobody in
    farm.engine.change_machine(&name("a"), limit(1), None).await.unwrap();
    farm.engine.set_intake("b", openrdms_broker::Intake::Drained).await.unwrap();
    first.goes_away().await;
    assert!(farm.attach("alice").await.is_ok(), "whoever has a session comes back to it");
    let full = Farm::with(&[]).await;
    full.add("a", limit(1)).await.unwrap();
    let (one, other) = tokio::join!(full.attach("alice"), full.attach("bob"));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|is| **is).count(), 1);
    assert_eq!([one.err(), other.err()].into_iter().flatten().next(), Some(Refusal::NoneFree));
}

#[tokio::test]
async fn a_machine_that_answers_and_lets_nobody_in_is_the_last_to_be_chosen() {
    let farm = Farm::with(&["a", "b"]).await;
    let refused = farm.attach("alice").await.unwrap();
    let session = farm.session(refused.session).await;
    assert_eq!(session.host, name("a"));
    refused.admission.attachment.closed(ConnectionEnd::DesktopFailed).await;
    farm.until_session(session.uid, |state| matches!(state, State::Ended { .. })).await;
    for user in ["alice", "bob", "carol"] {
        let client = farm.active(user).await;
        assert_eq!(farm.session(client.session).await.host, name("b"), "though it is more laden by now");
    }
    // and chosen when there is no other
    farm.engine.set_intake("b", openrdms_broker::Intake::Drained).await.unwrap();
    let account = openrdms_broker::Account {
        user: support::user("dora"),
        ..farm.engine.store().account(&support::user("alice")).await.unwrap().unwrap()
    };
    farm.engine.store().insert_account(&account, 1000..=1010).await.unwrap();
    let client = farm.active("dora").await;
    assert_eq!(farm.session(client.session).await.host, name("a"));
    client.goes_away().await;
}

#[tokio::test]
async fn a_machine_that_is_trusted_with_passwords_gets_them() {
    let farm = Farm::with(&[]).await;
    let forward = MachineChange { logon: Some(MachineLogon::Forward), ..MachineChange::default() };
    farm.add("a", forward).await.unwrap();
    assert_eq!(farm.attach("alice").await.unwrap().admission.logon, DesktopLogon::Password);
}

#[tokio::test]
async fn a_session_on_a_machine_is_disconnected_and_come_back_to_and_nothing_else() {
    let farm = Farm::with(&["a"]).await;
    let client = farm.active("alice").await;
    let uid = client.session;
    let not = |error: Result<(), EngineError>| {
        assert!(matches!(error, Err(EngineError::Host(HostError::NotSupported(_)))), "{error:?}");
    };
    let anybody = Expected::default();
    not(farm.engine.logoff(uid, &anybody).await);
    not(farm.engine.message(uid, "t", "m", &anybody).await);
    assert_eq!(farm.session(uid).await.state.name(), StateName::Active, "nothing was done");
    assert_eq!(client.kill.thrown(), None);

    let obeys = client.obey();
    farm.engine.disconnect(uid, &anybody).await.unwrap();
    obeys.await.unwrap();
    let reason = |session: &Session| match session.state {
        State::Disconnected { reason, .. } => reason,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(reason(&farm.session(uid).await), DetachReason::Administrator);
    farm.add("b", MachineChange { weight: Some(10_000), ..MachineChange::default() }).await.unwrap();
    let back = farm.active("alice").await;
    assert_eq!(back.session, uid, "however heavy another machine is");
    let desktop = DesktopName::new("a").unwrap();
    not(farm.engine.set_power(&desktop, openrdms_engine::Power::Off, &anybody).await);

    // a service that was started anew finds what stands
    let again = engine(&farm.dir, &farm.network, support::config()).await;
    assert_eq!(again.recover().await.unwrap(), (1, 0));
    assert_eq!(reason(&farm.session(uid).await), DetachReason::Service);
    assert!(support::attach(&again, "alice", Route::Default).await.is_ok());
}

#[tokio::test]
async fn a_silent_machine_loses_its_sessions_and_has_them_back_when_it_answers() {
    let farm = Farm::with(&["a", "b"]).await;
    farm.keep_asking();
    let gone = farm.active("alice").await;
    let uid = gone.session;
    assert_eq!(farm.session(uid).await.host, name("a"));
    gone.goes_away().await;
    let watching = farm.active("bob").await;
    farm.network.silence("a");
    farm.network.silence("b");
    farm.until_session(uid, |state| matches!(state, State::Lost { reason: LostReason::HostSilent, .. }))
        .await;
    let session = farm.session(watching.session).await;
    assert_eq!(session.state.name(), StateName::Active, "whoever is served is not cut off");
    assert_eq!(watching.kill.thrown(), None);
    assert_eq!(farm.attach("alice").await.err(), Some(Refusal::NoneFree));

    farm.network.put("a", PIN);
    farm.until_session(uid, |state| matches!(state, State::Disconnected { .. })).await;
    assert_eq!(farm.attach("alice").await.unwrap().session, uid);

    // one that shows another certificate is as good as silent
    farm.network.put("b", [8; 32]);
    watching.goes_away().await;
    let lost = |state: &State| matches!(state, State::Lost { .. });
    farm.until_session(session.uid, lost).await;
    let elsewhere = farm.active("bob").await;
    assert_eq!(farm.session(elsewhere.session).await.host, name("a"), "a lost session blocks nobody");
    farm.network.put("b", PIN);
    let kept = |state: &State| matches!(state, State::Lost { reason: LostReason::Superseded, .. });
    farm.until_session(session.uid, kept).await;
    farm.engine.forget(session.uid, &Expected::default()).await.unwrap();
    let state = farm.session(session.uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Forgotten, .. }), "{state:?}");
}

#[tokio::test]
async fn what_the_end_of_a_connection_means_is_what_the_machine_has_said() {
    let farm = Farm::with(&[]).await;
    farm.add("a", limit(1)).await.unwrap();
    // nobody has seen a desktop: there is no session, and its place is free
    let client = farm.attach("alice").await.unwrap();
    let uid = client.session;
    client.admission.attachment.closed(ConnectionEnd::DesktopFailed).await;
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::StartFailed(_), .. }), "{state:?}");

    // it says that its user has logged off
    let client = farm.active("bob").await;
    let uid = client.session;
    client.admission.attachment.closed(ConnectionEnd::LoggedOff).await;
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::LoggedOff, .. }), "{state:?}");

    // it says nothing: nobody knows
    let client = farm.active("alice").await;
    let uid = client.session;
    client.admission.attachment.closed(ConnectionEnd::DesktopGone).await;
    let State::Disconnected { since, reason: DetachReason::DesktopClosed, .. } =
        farm.session(uid).await.state
    else {
        panic!("{:?}", farm.session(uid).await);
    };
    let kept = i64::try_from(EngineConfig::default().closed_kept.as_millis()).unwrap();
    let (mut warned, over) = (Warned::default(), Timestamp(since.0 + kept));
    let next = farm.engine.look_at_limits(&mut warned, Timestamp(over.0 - 1)).await.unwrap();
    assert_eq!(next, Some(over));
    assert_eq!(farm.session(uid).await.state.name(), StateName::Disconnected);
    farm.engine.look_at_limits(&mut warned, over).await.unwrap();
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Presumed, .. }), "{state:?}");

    // nobody knows either when the machine was silent meanwhile: the time goes on
    let client = farm.active("bob").await;
    let uid = client.session;
    client.admission.attachment.closed(ConnectionEnd::DesktopGone).await;
    farm.network.silence("a");
    farm.keep_asking();
    farm.until_session(uid, |state| matches!(state, State::Lost { .. })).await;
    farm.network.put("a", PIN);
    farm.until_session(uid, |state| matches!(state, State::Disconnected { .. })).await;
    let over = Timestamp(farm.session(uid).await.closed.unwrap().0 + kept);
    farm.engine.look_at_limits(&mut warned, over).await.unwrap();
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Presumed, .. }), "{state:?}");

    // the word of a connection that another has replaced is about nothing
    let old = farm.active("carol").await;
    let uid = old.session;
    let new = tokio::spawn({
        let engine = farm.engine.clone();
        async move { support::attach(&engine, "carol", Route::Default).await.unwrap() }
    });
    old.kill.wait().await;
    old.admission.attachment.closed(ConnectionEnd::LoggedOff).await;
    assert_eq!(new.await.unwrap().session, uid);
    assert!(farm.session(uid).await.state.is_live());
}

#[tokio::test]
async fn limits_disconnect_on_machines_and_forget_and_log_nobody_off() {
    let farm = Farm::with(&["a"]).await;
    let limits = LimitsChange {
        active: Some(60),
        disconnected: Some(60),
        action: Some(LimitAction::Logoff),
        ..LimitsChange::default()
    };
    farm.engine.change_collection("farm", limits).await.unwrap();
    let client = farm.active("alice").await;
    let uid = client.session;
    let State::Active { since, .. } = farm.session(uid).await.state else { panic!("it is active") };
    let (mut warned, reached) = (Warned::default(), Timestamp(since.0 + 60_000));
    let obeys = client.obey();
    // whoever has not been warned gets the time of a warning, though nobody can be told there
    let at = farm.engine.look_at_limits(&mut warned, reached).await.unwrap().unwrap();
    assert_eq!(farm.session(uid).await.state.name(), StateName::Active);
    farm.engine.look_at_limits(&mut warned, at).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), obeys).await.unwrap().unwrap();
    let State::Disconnected { since, reason, .. } = farm.session(uid).await.state else {
        panic!("it is not")
    };
    assert_eq!(reason, DetachReason::Limit(Limit::Active));
    farm.engine.look_at_limits(&mut warned, Timestamp(since.0 + 60_000)).await.unwrap();
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Limit(Limit::Disconnected), .. }), "{state:?}");
}

#[tokio::test]
async fn a_machine_is_added_only_where_it_shows_what_it_has_to() {
    let farm = Farm::with(&["a"]).await;
    let new = |of: &str, pin: Option<[u8; 32]>| NewMachine {
        name: name(of),
        address: Address::parse(of).unwrap(),
        certificate_sha256: pin,
        collection: Some(alias()),
        change: MachineChange::default(),
    };
    let refused = farm.engine.add_machine(new("b", None)).await;
    assert!(
        matches!(refused, Err(EngineError::Host(HostError::Unreachable(_)))),
        "nobody is there: {refused:?}"
    );
    farm.network.put("b", [8; 32]);
    let refused = farm.engine.add_machine(new("b", Some(PIN))).await;
    assert!(
        matches!(&refused, Err(EngineError::Invalid(why)) if why.contains(&"08".repeat(32))),
        "{refused:?}"
    );
    for taken in ["a", "A", "host"] {
        farm.network.put(taken, PIN);
        let refused = farm.engine.add_machine(new(taken, None)).await;
        let conflict = matches!(refused, Err(EngineError::Store(StoreError::Conflict(Existing::Host))));
        assert!(conflict, "{taken}: {refused:?}");
    }
    let pool = Collection { size: 1, ..Collection::new(CollectionAlias::new("pool").unwrap(), Timestamp(0)) };
    farm.engine.create_collection(pool).await.unwrap();
    let refused = farm.engine.add_machine(NewMachine { name: name("pool-001"), ..new("b", None) }).await;
    let conflict = matches!(refused, Err(EngineError::Store(StoreError::Conflict(Existing::Desktop))));
    assert!(conflict, "a local desktop is called so: {refused:?}");
    let refused = farm.engine.add_desktop("pool", DesktopName::new("a").unwrap()).await;
    assert!(
        matches!(refused, Err(EngineError::Store(StoreError::Conflict(Existing::Desktop)))),
        "{refused:?}"
    );
    let nowhere = NewMachine { collection: Some(CollectionAlias::new("no").unwrap()), ..new("b", None) };
    assert!(matches!(farm.engine.add_machine(nowhere).await, Err(EngineError::NotFound("collection"))));
    assert!(farm.engine.store().host("b").await.unwrap().is_none(), "and nothing of it is left");
    for bad in [limit(0), MachineChange { weight: Some(0), ..MachineChange::default() }] {
        assert!(matches!(
            farm.engine.change_machine(&name("a"), bad, None).await,
            Err(EngineError::Invalid(_))
        ));
    }
    let heavy = || MachineChange { weight: Some(9), ..MachineChange::default() };
    let nowhere = CollectionAlias::new("no").unwrap();
    let refused = farm.engine.change_machine(&name("a"), heavy(), Some(Some(&nowhere))).await;
    assert!(matches!(refused, Err(EngineError::NotFound("collection"))), "{refused:?}");
    assert_ne!(farm.engine.machine(&name("a")).await.unwrap().weight, 9, "all or nothing");
    // the certificate was renewed, and the administrator says so
    farm.network.put("a", [9; 32]);
    let wrong = MachineChange { certificate_sha256: Some(PIN), ..MachineChange::default() };
    assert!(matches!(
        farm.engine.change_machine(&name("a"), wrong, None).await,
        Err(EngineError::Invalid(_))
    ));
    let right = MachineChange { certificate_sha256: Some([9; 32]), ..MachineChange::default() };
    farm.engine.change_machine(&name("a"), right, None).await.unwrap();
    assert_eq!(farm.attach("alice").await.unwrap().admission.certificate_sha256, [9; 32]);
    let desktop = farm.engine.store().desktop(&DesktopName::new("a").unwrap()).await.unwrap().unwrap();
    assert_eq!(farm.engine.pinned(&desktop), [9; 32], "which is what is told of it");
}

#[tokio::test]
async fn a_machine_leaves_with_all_that_was_known_of_it_and_never_under_its_users() {
    let farm = Farm::with(&["a"]).await;
    farm.keep_asking();
    let owner = SettingOwner::Host(name("a"));
    let setting = Setting { name: "Shelf".into(), value: SettingValue::Int(3) };
    farm.engine.store().set_setting(&owner, &setting).await.unwrap();
    let client = farm.active("alice").await;
    let uid = client.session;
    let busy = |refused: Result<(), EngineError>| {
        let conflict = EngineError::Store(StoreError::Conflict(Existing::SessionInDesktop)).to_string();
        assert_eq!(refused.unwrap_err().to_string(), conflict);
    };
    busy(farm.engine.remove_machine(&name("a")).await);
    busy(farm.engine.place_machine(&name("a"), None).await.map(|_| ()));
    client.goes_away().await;
    farm.engine.forget(uid, &Expected::default()).await.unwrap();
    let state = farm.session(uid).await.state;
    assert!(matches!(state, State::Ended { reason: EndReason::Forgotten, .. }), "{state:?}");
    assert_eq!(farm.engine.place_machine(&name("a"), None).await.unwrap(), Some(alias()));
    assert_eq!(farm.attach("alice").await.err(), Some(Refusal::NoneFree));
    farm.engine.place_machine(&name("a"), Some(&alias())).await.unwrap();
    farm.engine.remove_machine(&name("a")).await.unwrap();
    let store = farm.engine.store();
    assert!(store.settings(&owner).await.unwrap().is_empty());
    assert!(store.desktop(&DesktopName::new("a").unwrap()).await.unwrap().is_none());
    until(|| async { store.host("a").await.unwrap().is_none() }).await;
    assert!(matches!(farm.engine.remove_machine(&name("a")).await, Err(EngineError::NotFound("machine"))));
    // a service that is killed in the middle of it leaves nothing that could not be taken away
    farm.add("b", MachineChange::default()).await.unwrap();
    let store = farm.engine.store();
    store.delete_document::<Machine>("b").await.unwrap();
    store.delete_desktop(&DesktopName::new("b").unwrap()).await.unwrap();
    farm.engine.remove_machine(&name("b")).await.unwrap();
    until(|| async { farm.engine.store().host("b").await.unwrap().is_none() }).await;
    farm.add("a", MachineChange::default()).await.unwrap();
    assert!(
        farm.session(farm.attach("alice").await.unwrap().session).await.session_id > 1,
        "no id is given twice"
    );
}

#[tokio::test]
async fn an_owner_wakes_the_own_machine_and_no_other() {
    let farm = Farm::with(&[]).await;
    let own = CollectionAlias::new("own").unwrap();
    let personal =
        Collection { kind: CollectionKind::ManualPersonal, ..Collection::new(own.clone(), Timestamp(0)) };
    farm.engine.create_collection(personal).await.unwrap();
    for machine in ["a", "b"] {
        farm.add(machine, limit(1)).await.unwrap();
        farm.engine.place_machine(&name(machine), Some(&own)).await.unwrap();
    }
    farm.keep_asking();
    farm.engine.assign(&DesktopName::new("b").unwrap(), &support::user("alice")).await.unwrap();
    let arrive = || support::attach(&farm.engine, "alice", Route::Collection("own".into()));
    let client = arrive().await.unwrap();
    assert_eq!(farm.session(client.session).await.host, name("b"));
    client.goes_away().await;
    for machine in ["a", "b"] {
        farm.network.silence(machine);
    }
    until(|| async {
        let hosts = farm.engine.store().hosts().await.unwrap();
        hosts.iter().filter(|host| host.is_up(farm.engine.now())).count() == 1
    })
    .await;
    for _ in 0..3 {
        assert_eq!(arrive().await.err(), Some(Refusal::NoneFree));
    }
    assert_eq!(farm.engine.machines_to_start(9).await.unwrap(), [name("b")]);
}

#[tokio::test]
async fn whoever_starts_machines_is_told_of_each_that_is_wanted_once() {
    let farm = Farm::with(&["a", "b"]).await;
    farm.keep_asking();
    assert!(farm.engine.machines_to_start(9).await.unwrap().is_empty(), "nobody was refused");
    let all_up = || async {
        let hosts = farm.engine.store().hosts().await.unwrap();
        hosts.iter().filter(|host| host.is_up(farm.engine.now())).count()
    };
    farm.network.silence("a");
    farm.network.silence("b");
    until(|| async { all_up().await == 1 }).await;
    farm.engine.set_intake("b", openrdms_broker::Intake::Drained).await.unwrap();
    for user in ["alice", "bob"] {
        assert_eq!(farm.attach(user).await.err(), Some(Refusal::NoneFree));
    }
    assert!(farm.engine.machines_to_start(0).await.unwrap().is_empty());
    assert_eq!(farm.engine.machines_to_start(9).await.unwrap(), [name("a")], "the other takes no sessions");
    assert_eq!(farm.attach("carol").await.err(), Some(Refusal::NoneFree));
    assert!(farm.engine.machines_to_start(9).await.unwrap().is_empty(), "it is on its way");
    farm.network.put("a", PIN);
    until(|| async { all_up().await == 2 }).await;
    assert!(farm.attach("alice").await.is_ok());
    farm.network.silence("a");
    until(|| async { all_up().await == 1 }).await;
    assert_eq!(farm.attach("bob").await.err(), Some(Refusal::NoneFree));
    assert_eq!(farm.engine.machines_to_start(9).await.unwrap(), [name("a")], "it is wanted again");
}
