//! Collections and their entries as Windows Server's management of session hosts knows them.

use crate::support::World;
use crate::{MICROSOFT, OURS, admin, rdms, user};
use openrdms_broker::{CollectionKind, SettingOwner};
use openrdms_cim::{CimService as _, Enumeration, Limits, ObjectPath, Params, Value, WmiCode};
use openrdms_rdms::Rdms;
use std::sync::Arc;

fn class() -> ObjectPath {
    ObjectPath::class(MICROSOFT, "Win32_RDSHCollection")
}

fn of(alias: &str) -> ObjectPath {
    class().with_key("Alias", alias)
}

fn none() -> Params {
    Params::default()
}

/// The code, and the named OUT parameter.
async fn ask(rdms: &Rdms, alias: &str, method: &str, params: Params, out: &str) -> (WmiCode, Value) {
    let result = rdms.invoke(&admin(), &of(alias), method, params, &[]).await.unwrap();
    let Value::Uint32(code) = result.return_value else { panic!("{:?}", result.return_value) };
    (WmiCode(code), result.out.get(out).clone())
}

const OK: WmiCode = WmiCode(0);

#[tokio::test]
async fn an_entry_is_set_where_it_is_the_expected_one_and_always_told() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let set = async |key: &str, comparand: Value, new: &str| {
        let params = none().with("Key", key).with("Comparand", comparand).with("NewValue", new);
        ask(&rdms, "POOL", "KeyValueCompareAndSet", params, "InitialValue").await
    };
    let get = async |key: &str| ask(&rdms, "pool", "KeyValueGet", none().with("Key", key), "Value").await;
    let differs = WmiCode::WBEM_E_INVALID_OBJECT;
    assert_eq!(get("Lock").await, (WmiCode::WBEM_E_NOT_FOUND, Value::Null));
    assert_eq!(set("Lock", "free".into(), "mine").await, (OK, Value::Null), "a missing one is made");
    assert_eq!(get("LOCK").await, (OK, "mine".into()));
    assert_eq!(set("lock", "free".into(), "theirs").await, (differs, "mine".into()));
    assert_eq!(
        set("lock", "MINE".into(), "theirs").await,
        (differs, "mine".into()),
        "values compare with case"
    );
    assert_eq!(set("lock", Value::Null, "theirs").await, (differs, "mine".into()), "null is no value");
    assert_eq!(get("Lock").await, (OK, "mine".into()));
    assert_eq!(set("lock", "mine".into(), "").await, (OK, "mine".into()));
    assert_eq!(get("Lock").await, (OK, "".into()));

    // a setting of that name is another thing
    let params = none().with("Key", "Lock");
    let setting = ask(&rdms, "pool", "GetStringProperty", params.clone(), "Value").await;
    assert_eq!(setting, (WmiCode::WBEM_E_NOT_FOUND, Value::Null));
    let other = none().with("Key", "Lock").with("Value", "other");
    assert_eq!(ask(&rdms, "pool", "SetStringProperty", other, "").await.0, OK);
    assert_eq!(get("Lock").await, (OK, "".into()));

    assert_eq!(ask(&rdms, "pool", "KeyValueDelete", params.clone(), "").await.0, OK);
    assert_eq!(ask(&rdms, "pool", "KeyValueDelete", params, "").await.0, WmiCode::WBEM_E_NOT_FOUND);
    for (key, new) in [("", "x"), ("a\nb", "x"), (&*"x".repeat(257), "x"), ("k", &*"x".repeat(32_769))] {
        assert_eq!(set(key, "x".into(), new).await, (WmiCode::WBEM_E_INVALID_PARAMETER, Value::Null));
    }
    let missing =
        rdms.invoke(&admin(), &of("pool"), "KeyValueCompareAndSet", none().with("Key", "k"), &[]).await;
    assert_eq!(missing.unwrap_err().code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    let nowhere = rdms.invoke(&admin(), &of("nowhere"), "KeyValueGet", none().with("Key", "k"), &[]).await;
    assert_eq!(nowhere.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    let pool = world.engine.store().collection("pool").await.unwrap().unwrap().alias;
    assert_eq!(world.engine.store().settings(&SettingOwner::Entries(pool)).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_compare_and_set_an_entry_one_wins_each_time() {
    let world = World::new().await;
    let rdms = Arc::new(rdms(&world.engine));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        let rdms = rdms.clone();
        tasks.spawn(async move {
            let params =
                none().with("Key", "Leader").with("Comparand", "nobody").with("NewValue", number.to_string());
            (number.to_string(), ask(&rdms, "pool", "KeyValueCompareAndSet", params, "InitialValue").await)
        });
    }
    let answers = tasks.join_all().await;
    let winners: Vec<_> = answers.iter().filter(|(_, (code, _))| *code == OK).collect();
    let [(winner, (_, before))] = &winners[..] else { panic!("{winners:?}") };
    assert_eq!(before, &Value::Null);
    let lost = answers
        .iter()
        .filter(|(_, answer)| *answer == (WmiCode::WBEM_E_INVALID_OBJECT, winner.as_str().into()));
    assert_eq!(lost.count(), 15);
}

#[tokio::test]
async fn a_collection_is_the_same_in_every_class() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let what = Enumeration { class: class(), condition: None };
    let listed = rdms.enumerate(&admin(), &what, None, Limits { max_elements: 9 }).await.unwrap().instances;
    assert_eq!(listed.iter().map(|c| c.get("Alias").clone()).collect::<Vec<_>>(), [Value::from("pool")]);
    assert_eq!(listed[0].get("Type"), &0_u32.into());
    let given = none().with("Alias", "own").with("Name", "Ours").with("Description", "d").with("Type", 4_u32);
    rdms.create(&admin(), &class(), given.clone()).await.unwrap();
    let stored = world.engine.store().collection("own").await.unwrap().unwrap();
    assert_eq!((stored.kind, stored.display_name.as_str()), (CollectionKind::ManualPersonal, "Ours"));
    let shown = rdms.get(&admin(), &of("OWN")).await.unwrap();
    for (property, value) in &given.0 {
        assert_eq!(shown.get(property), value, "{property}");
    }
    let desktops =
        ObjectPath::class(MICROSOFT, "Win32_RDMSVirtualDesktopCollection").with_key("Alias", "own");
    assert_eq!(rdms.get(&admin(), &desktops).await.unwrap().get("Type"), &2_u32.into(), "counted otherwise");
    assert_eq!(
        rdms.create(&admin(), &class(), given).await.unwrap_err().code,
        WmiCode::WBEM_E_ALREADY_EXISTS
    );
    let invalid = WmiCode::WBEM_E_INVALID_PARAMETER;
    for number in [1_u32, 2, 3, 6] {
        let wrong = none().with("Alias", "new").with("Type", number);
        assert_eq!(rdms.create(&admin(), &class(), wrong).await.unwrap_err().code, invalid, "{number}");
    }
    let changed = none().with("Name", "Theirs").with("Description", Value::Null);
    let changed = rdms.put(&admin(), &of("own"), changed).await.unwrap();
    assert_eq!((changed.get("Name"), changed.get("Description")), (&"Theirs".into(), &Value::Null));
    for (property, value, why) in [
        ("Type", Value::from(5_u32), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("Alias", "other".into(), WmiCode::WBEM_E_READ_ONLY),
        ("Name", "x".repeat(10_000).into(), invalid),
        ("Description", "x".repeat(10_000).into(), invalid),
    ] {
        let refused = rdms.put(&admin(), &of("own"), none().with(property, value)).await;
        assert_eq!(refused.unwrap_err().code, why, "{property}");
    }
    // limits by the names that scripts know
    let set = none().with("Key", "idlesessionlimit").with("Value", 60_001_i32);
    assert_eq!(ask(&rdms, "own", "SetInt32Property", set, "").await.0, OK);
    assert_eq!(
        world.engine.store().collection("own").await.unwrap().unwrap().limits.idle,
        61,
        "never shorter"
    );
    let alice = user("alice");
    for refused in [
        rdms.get(&alice, &of("own")).await.unwrap_err(),
        rdms.delete(&alice, &of("own")).await.unwrap_err(),
        rdms.invoke(&alice, &of("own"), "KeyValueGet", none().with("Key", "k"), &[]).await.unwrap_err(),
    ] {
        assert_eq!(refused.code, WmiCode::WBEM_E_ACCESS_DENIED);
    }
    rdms.delete(&admin(), &of("own")).await.unwrap();
    let gone = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", "own");
    assert_eq!(rdms.get(&admin(), &gone).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn a_server_is_drained_and_opened_by_who_knows_its_state() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let class = ObjectPath::class(MICROSOFT, "Win32_RDSHServer");
    let server = class.clone().with_key("Name", "HOST");
    let shown = async |property: &str| rdms.get(&admin(), &server).await.unwrap().get(property).clone();
    let call = async |method: &str, params: Params, out: &str| {
        let result = rdms.invoke(&admin(), &server, method, params, &[]).await.unwrap();
        let Value::Uint32(code) = result.return_value else { panic!("{:?}", result.return_value) };
        (WmiCode(code), result.out.get(out).clone())
    };
    let turn = async |comparand: u32, new: u32| {
        let params = none().with("Comparand", comparand).with("NewState", new);
        call("TestAndSetState", params, "InitState").await
    };
    assert_eq!((shown("Name").await, shown("ConnectionBroker").await), ("host".into(), "host".into()));
    assert_eq!((shown("ServerState").await, shown("CollectionAlias").await), (3_u32.into(), Value::Null));
    let (differs, unsupported) = (WmiCode::WBEM_E_INVALID_OBJECT, WmiCode::WBEM_E_NOT_SUPPORTED);
    assert_eq!(turn(10, 3).await, (differs, 3_u32.into()));
    assert_eq!(turn(3, 3).await, (OK, 3_u32.into()), "it is so already");
    assert_eq!(turn(3, 9).await, (unsupported, 3_u32.into()));
    assert_eq!(turn(3, 7).await, (WmiCode::WBEM_E_INVALID_PARAMETER, Value::Null));
    assert_eq!(shown("ServerState").await, 3_u32.into());
    assert_eq!(turn(3, 10).await, (OK, 3_u32.into()));
    assert_eq!(turn(3, 10).await, (differs, 10_u32.into()), "somebody else has turned it");
    assert_eq!(shown("ServerState").await, 10_u32.into());
    assert!(world.attach("alice").await.is_err(), "no new sessions");

    // the same by the setting that scripts know
    let mode = || none().with("Key", "drainmode");
    assert_eq!(call("GetInt32Property", mode(), "Value").await, (OK, 2_i32.into()));
    assert_eq!(call("SetInt32Property", mode().with("Value", 0_i32), "").await.0, OK);
    assert_eq!(shown("ServerState").await, 3_u32.into());
    assert_eq!(call("GetInt32Property", mode(), "Value").await, (OK, 0_i32.into()));
    assert_eq!(call("SetInt32Property", mode().with("Value", 1_i32), "").await.0, unsupported);
    assert_eq!(
        call("SetInt32Property", mode().with("Value", 3_i32), "").await.0,
        WmiCode::WBEM_E_INVALID_PARAMETER
    );
    let text = call("SetStringProperty", mode().with("Value", "0"), "").await.0;
    assert_eq!(text, WmiCode::WBEM_E_TYPE_MISMATCH);
    assert!(world.attach("alice").await.is_ok());
    // what only machines have is not kept as if something came of it
    let weight = || none().with("Key", "RelativeWeight");
    assert_eq!(call("SetInt32Property", weight().with("Value", 50_i32), "").await.0, unsupported);
    assert_eq!(call("GetInt32Property", weight(), "Value").await, (WmiCode::WBEM_E_NOT_FOUND, Value::Null));
    // and any other is kept
    let shelf = || none().with("Key", "Shelf");
    assert_eq!(call("SetInt32Property", shelf().with("Value", 50_i32), "").await.0, OK);
    assert_eq!(call("GetInt32Property", shelf(), "Value").await, (OK, 50_i32.into()));

    let most = none().with("maxServers", 5_u32);
    let pending = rdms.invoke(&admin(), &class, "GetPendingStartServerList", most, &[]).await.unwrap();
    assert_eq!(
        (pending.return_value, pending.out.get("ServerFQDNs").clone()),
        (0_u32.into(), Value::Array(vec![]))
    );
    let missing = rdms.invoke(&admin(), &class, "GetPendingStartServerList", none(), &[]).await.unwrap_err();
    assert_eq!(missing.code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    let moved = rdms.put(&admin(), &server, none().with("CollectionAlias", "pool")).await.unwrap_err();
    assert_eq!(moved.code, unsupported);
    let nowhere = class.clone().with_key("Name", "nowhere");
    assert_eq!(rdms.get(&admin(), &nowhere).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(rdms.get(&user("alice"), &server).await.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    assert_eq!(rdms.delete(&admin(), &server).await.unwrap_err().code, unsupported, "it is a node's own");
}
