//! Create, Put and Delete behind the dispatch: what can be changed, by whom, and what is written down of it.

use crate::support::World;
use crate::{OURS, admin, rdms, user};
use openrdms_broker::ports::Refusal;
use openrdms_broker::{Intake, Outcome, Role, Route};
use openrdms_cim::{CimError, CimService as _, Instance, ObjectPath, Params, Value, WmiCode};

fn collection(alias: &str) -> ObjectPath {
    ObjectPath::class(OURS, "openrdms_collection").with_key("Alias", alias)
}

/// An instance as a client sends it back: all of it.
fn whole(instance: &Instance) -> Params {
    Params(instance.properties.clone())
}

/// The same with one value edited in place.
fn edited(instance: &Instance, name: &str, value: impl Into<Value>) -> Params {
    let mut params = whole(instance);
    let (_, old) = params.0.iter_mut().find(|(n, _)| n == name).expect("the instance has it");
    *old = value.into();
    params
}

fn code<T: std::fmt::Debug>(result: Result<T, CimError>) -> WmiCode {
    result.expect_err("it is refused").code
}

/// What the trail says of changes, the latest first.
async fn trail(world: &World) -> Vec<(String, String, Outcome)> {
    let records = world.engine.store().audit(50).await.expect("the store is there");
    records.into_iter().map(|r| (r.action, r.target + &r.subject, r.outcome)).collect()
}

#[tokio::test]
async fn a_collection_is_made_changed_and_removed() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let class = ObjectPath::class(OURS, "OpenRDMS_Collection");
    let lab = Params::default()
        .with("Alias", "lab")
        .with("DisplayName", "Laboratory")
        .with("Size", 2u32)
        .with("IdleLimitSeconds", 900u32)
        .with("Created", Value::Null)
        .with("Users", vec!["alice"]);
    let path = rdms.create(&admin(), &class, lab.clone()).await.unwrap();
    assert!(path.same(&collection("lab")), "{path}");
    let made = rdms.get(&admin(), &path).await.unwrap();
    assert_eq!(made.get("DisplayName"), &Value::from("Laboratory"));
    assert_eq!((made.get("Size"), made.get("IdleLimitSeconds")), (&Value::Uint32(2), &Value::Uint32(900)));
    assert_eq!(code(rdms.create(&admin(), &class, lab.clone()).await), WmiCode::WBEM_E_ALREADY_EXISTS);
    assert_eq!(code(rdms.create(&user("alice"), &class, lab).await), WmiCode::WBEM_E_ACCESS_DENIED);
    let computed = Params::default().with("Alias", "x").with("SessionCount", 7u32);
    assert_eq!(code(rdms.create(&admin(), &class, computed).await), WmiCode::WBEM_E_READ_ONLY);
    let unknown = Params::default().with("Alias", "x").with("Colour", "red");
    assert_eq!(code(rdms.create(&admin(), &class, unknown).await), WmiCode::WBEM_E_INVALID_PARAMETER);

    // two changes at once, in an instance that comes back whole
    let mut both = edited(&made, "DisplayName", "LABORATORY");
    both = Params(both.0.into_iter().filter(|(n, _)| n != "ActiveLimitSeconds").collect());
    let changed = rdms.put(&admin(), &path, both.with("ActiveLimitSeconds", 60u32)).await.unwrap();
    assert_eq!(changed.get("DisplayName"), &Value::from("LABORATORY"));
    assert_eq!(changed.get("ActiveLimitSeconds"), &Value::Uint32(60));
    assert_eq!(changed.get("IdleLimitSeconds"), &Value::Uint32(900), "what is not given stays");

    let endless = Params::default().with("DisplayName", "x".repeat(257));
    assert_eq!(code(rdms.put(&admin(), &path, endless).await), WmiCode::WBEM_E_INVALID_PARAMETER);

    rdms.delete(&admin(), &path).await.unwrap();
    assert_eq!(code(rdms.get(&admin(), &path).await), WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(code(rdms.delete(&admin(), &path).await), WmiCode::WBEM_E_NOT_FOUND);

    let trail = trail(&world).await;
    let done = |action: &str| {
        let action = format!("OpenRDMS_Collection.{action}");
        trail.iter().filter(|(a, t, o)| *a == action && t == "lab" && *o == Outcome::Done).count()
    };
    assert_eq!((done("Create"), done("Put"), done("Delete")), (1, 1, 1), "one record a change: {trail:?}");
    let failed = trail.iter().filter(|(_, _, outcome)| matches!(outcome, Outcome::Failed(_))).count();
    assert_eq!(failed, 5, "what is refused by the class or its provider is told too: {trail:?}");
}

#[tokio::test]
async fn what_cannot_be_written_stays_and_changes_nothing() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let pool = collection("pool");
    let now = rdms.get(&admin(), &pool).await.unwrap();
    assert_eq!(rdms.put(&admin(), &pool, whole(&now)).await, Ok(now.clone()), "it may come back as it is");
    assert_eq!(trail(&world).await.len(), 0, "which is no change");
    for (name, value) in [
        ("Alias", Value::from("other")),
        ("Size", 99u32.into()),
        ("SessionCount", 5u32.into()),
        ("Created", Value::Null),
    ] {
        let change = edited(&now, name, value).with("x", 1u32);
        let change = Params(change.0.into_iter().filter(|(n, _)| n != "x").collect());
        assert_eq!(code(rdms.put(&admin(), &pool, change).await), WmiCode::WBEM_E_READ_ONLY, "{name}");
    }
    // a good change beside a bad one is not made
    let mixed = edited(&now, "IdleLimitSeconds", 5u32).with("Nothing", 1u32);
    assert_eq!(code(rdms.put(&admin(), &pool, mixed).await), WmiCode::WBEM_E_INVALID_PARAMETER);
    let mixed = Params::default().with("IdleLimitSeconds", 5u32).with("LimitAction", "Shout");
    assert_eq!(code(rdms.put(&admin(), &pool, mixed).await), WmiCode::WBEM_E_INVALID_PARAMETER);
    let null = Params::default().with("IdleLimitSeconds", Value::Null);
    assert_eq!(code(rdms.put(&admin(), &pool, null).await), WmiCode::WBEM_E_ILLEGAL_NULL);
    assert_eq!(rdms.get(&admin(), &pool).await.unwrap(), now);
    assert_eq!(code(rdms.put(&user("alice"), &pool, whole(&now)).await), WmiCode::WBEM_E_ACCESS_DENIED);
    assert_eq!(code(rdms.put(&admin(), &collection("no"), whole(&now)).await), WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn who_may_use_a_collection_changes_and_who_is_there_stays() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active_in("alice", "pool").await;
    let uid = client.session;
    let session = world.session(uid).await;
    let pool = collection("pool");
    let put = async |users: Value| rdms.put(&admin(), &pool, Params::default().with("Users", users)).await;
    for wrong in [vec!["ghost"], vec!["alice", ""], vec![]] {
        let refused = put(Value::from(wrong.clone())).await;
        assert_eq!(code(refused), WmiCode::WBEM_E_INVALID_PARAMETER, "{wrong:?}");
    }
    let lab = Params::default().with("Alias", "lab").with("Users", Value::Array(vec![]));
    let class = ObjectPath::class(OURS, "OpenRDMS_Collection");
    assert_eq!(code(rdms.create(&admin(), &class, lab).await), WmiCode::WBEM_E_INVALID_PARAMETER);
    assert!(rdms.get(&admin(), &pool).await.unwrap().get("Users").is_null(), "nothing was changed");

    let bobs = put(vec!["bob"].into()).await.unwrap();
    assert_eq!(bobs.get("Users"), &Value::from(vec!["TEST\\bob"]));
    assert_eq!(world.session(uid).await, session, "it goes on");
    let route = || Route::Collection("pool".to_owned());
    assert_eq!(world.attach_to("alice", route()).await.err(), Some(Refusal::NotAllowed));
    assert_eq!(world.attach_to("carol", route()).await.err(), Some(Refusal::NotAllowed));
    assert!(world.attach_to("bob", route()).await.is_ok());
    let record = world.engine.store().audit(50).await.unwrap();
    let record = record.iter().find(|r| r.action == "OpenRDMS_Collection.Put" && r.outcome == Outcome::Done);
    let record = record.expect("it is written down");
    assert!(record.target == "pool" && record.detail.contains("bob"), "{record:?}");

    assert_eq!(code(rdms.put(&user("bob"), &pool, Params::default()).await), WmiCode::WBEM_E_ACCESS_DENIED);
    let now = rdms.get(&admin(), &pool).await.unwrap();
    let back = rdms.put(&admin(), &pool, edited(&now, "DisplayName", "Bob's")).await.unwrap();
    assert_eq!(back.get("Users"), bobs.get("Users"), "what is sent back as it is stays");
    let old = Params::default().with("Users", Value::Null).with("DisplayName", "Old");
    let refused = rdms.put(&admin(), &pool, old).await.unwrap_err();
    assert_eq!(refused.code, WmiCode::WBEM_E_INVALID_PARAMETER, "as it was before somebody closed it");
    assert_eq!(rdms.get(&admin(), &pool).await.unwrap(), back, "nothing was changed");
    assert!(put(Value::Null).await.unwrap().get("Users").is_null());
    client.obey();
    assert!(world.attach_to("alice", route()).await.is_ok());
}

#[tokio::test]
async fn a_session_lives_in_a_collection_that_is_not_removed() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let _client = world.active_in("alice", "pool").await;
    assert_eq!(code(rdms.delete(&admin(), &collection("pool")).await), WmiCode::WBEM_E_INVALID_OPERATION);
    rdms.get(&admin(), &collection("pool")).await.unwrap();
}

#[tokio::test]
async fn accounts_get_roles_and_go_and_are_not_made_without_a_password() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let users = ObjectPath::class(OURS, "OpenRDMS_User");
    let dora = Params::default().with("UserName", "dora").with("Password", "pw");
    rdms.invoke(&admin(), &users, "AddUser", dora, &[]).await.unwrap();
    let path = users.clone().with_key("DomainName", "test").with_key("UserName", "DORA");
    let shown = rdms.put(&admin(), &path, Params::default().with("role", "admin")).await.unwrap();
    assert_eq!(shown.get("Role"), &Value::from("admin"));
    let stored = world.engine.store().account(&crate::support::user("dora")).await.unwrap().unwrap();
    assert_eq!(stored.role, Role::Admin);
    for role in [Value::from("king"), Value::Null] {
        assert!(rdms.put(&admin(), &path, Params::default().with("Role", role)).await.is_err());
    }
    let own = users.clone().with_key("DomainName", "TEST").with_key("UserName", "alice");
    let promote = Params::default().with("Role", "admin");
    assert_eq!(code(rdms.put(&user("alice"), &own, promote).await), WmiCode::WBEM_E_ACCESS_DENIED);
    assert_eq!(code(rdms.delete(&user("alice"), &path).await), WmiCode::WBEM_E_ACCESS_DENIED);
    rdms.delete(&admin(), &path).await.unwrap();
    assert_eq!(code(rdms.get(&admin(), &path).await), WmiCode::WBEM_E_NOT_FOUND);
    let new = Params::default().with("UserName", "emil");
    assert_eq!(code(rdms.create(&admin(), &users, new).await), WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE);
    let trail = trail(&world).await;
    let refused = |(action, target, outcome): &&(String, String, Outcome)| {
        action == "OpenRDMS_User.Put"
            && target.contains("alice")
            && *outcome == Outcome::Failed(WmiCode::WBEM_E_ACCESS_DENIED.0)
    };
    assert_eq!(
        trail.iter().filter(refused).count(),
        1,
        "who tried to become admin is written down: {trail:?}"
    );
    for (action, subject) in [("Put", "TEST\\dora"), ("Delete", "TEST\\dora")] {
        let action = format!("OpenRDMS_User.{action}");
        assert!(
            trail.iter().any(|(a, t, o)| *a == action && t.ends_with(subject) && *o == Outcome::Done),
            "{action}: {trail:?}"
        );
    }
}

#[tokio::test]
async fn a_host_is_drained_by_its_property() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let hosts = world.engine.store().hosts().await.unwrap();
    let name = hosts.first().expect("it serves one").lease.host.clone();
    let path = ObjectPath::class(OURS, "OpenRDMS_Host").with_key("Name", name.as_str());
    for (drained, intake) in [(true, Intake::Drained), (false, Intake::Open)] {
        let shown = rdms.put(&admin(), &path, Params::default().with("Drained", drained)).await.unwrap();
        assert_eq!(shown.get("Drained"), &Value::Boolean(drained));
        let stored = world.engine.store().host(name.as_str()).await.unwrap().unwrap();
        assert_eq!(stored.intake, intake);
    }
    let state = Params::default().with("State", "Lost");
    assert_eq!(code(rdms.put(&admin(), &path, state).await), WmiCode::WBEM_E_READ_ONLY);
    assert_eq!(code(rdms.delete(&admin(), &path).await), WmiCode::WBEM_E_NOT_SUPPORTED, "it is a node's own");
}

#[tokio::test]
async fn classes_that_only_tell_refuse_every_change() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let _client = world.active_in("alice", "pool").await;
    for (namespace, class) in [
        ("root/cimv2/rdms", "Win32_VirtualDesktopSession"),
        (OURS, "OpenRDMS_Session"),
        (OURS, "OpenRDMS_Desktop"),
    ] {
        let path = ObjectPath::class(namespace, class);
        let not_capable = WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE;
        assert_eq!(code(rdms.create(&admin(), &path, Params::default()).await), not_capable, "{class}");
        assert_eq!(code(rdms.put(&admin(), &path, Params::default()).await), not_capable, "{class}");
        assert_eq!(code(rdms.delete(&admin(), &path).await), not_capable, "{class}");
    }
    assert_eq!(
        code(rdms.delete(&admin(), &ObjectPath::class(OURS, "Nothing")).await),
        WmiCode::WBEM_E_INVALID_CLASS
    );
}
