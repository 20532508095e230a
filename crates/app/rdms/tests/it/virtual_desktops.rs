//! Collections, desktops and their owners as Windows Server's classes have them.

use crate::support::{World, until, user as named};
use crate::{MICROSOFT, OURS, admin, rdms, user};
use openrdms_broker::ports::Refusal;
use openrdms_broker::{LimitAction, Limits, Route};
use openrdms_cim::{CimError, CimService as _, Enumeration, Instance, ObjectPath, Params, Value, WmiCode};
use openrdms_rdms::Rdms;

fn path(class: &str) -> ObjectPath {
    ObjectPath::class(MICROSOFT, class)
}

fn collection(alias: &str) -> ObjectPath {
    path("Win32_RDMSVirtualDesktopCollection").with_key("Alias", alias)
}

fn desktop(name: &str) -> ObjectPath {
    path("Win32_RDMSVirtualDesktop").with_key("Name", name)
}

fn none() -> Params {
    Params::default()
}

fn person(name: &str) -> Params {
    none().with("UserName", name).with("UserDomain", "TEST")
}

fn owner(alias: &str, desktop: &str, name: &str) -> Params {
    person(name).with("CollectionAlias", alias).with("DesktopName", desktop)
}

/// `ReturnValue` and OUT parameters.
async fn call(rdms: &Rdms, path: &ObjectPath, method: &str, params: Params) -> (u32, Params) {
    let done = rdms.invoke(&admin(), path, method, params, &[]).await.unwrap();
    let Value::Uint32(code) = done.return_value else { panic!("{method} answers no uint32") };
    (code, done.out)
}

fn code<T: std::fmt::Debug>(result: Result<T, CimError>) -> WmiCode {
    result.expect_err("it is refused").code
}

async fn create(rdms: &Rdms, alias: &str, kind: u32) {
    let class = path("Win32_RDMSVirtualDesktopCollection");
    let properties = none().with("Alias", alias).with("Type", kind).with("Name", alias);
    rdms.create(&admin(), &class, properties).await.unwrap();
}

async fn get(rdms: &Rdms, path: &ObjectPath) -> Instance {
    rdms.get(&admin(), path).await.unwrap()
}

#[tokio::test]
async fn a_collection_is_made_with_its_properties_filled_and_emptied() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let class = path("Win32_RDMSVirtualDesktopCollection");
    let sddl = "O:BAG:BAD:(A;;GA;;;BA)";
    let lab = none()
        .with("Alias", "lab")
        .with("Type", 2u32)
        .with("IsManaged", false)
        .with("Name", "Laboratory")
        .with("CollectionDescription", "for measuring")
        .with("SecurityDescriptor", sddl)
        .with("UserVHDSetting", "<disk/>")
        .with("IconContents", vec![1u8, 2, 3])
        .with("ShowInPortal", false)
        .with("RollbackEnabled", true);
    let made = rdms.create(&admin(), &class, lab.clone()).await.unwrap();
    assert!(made.same(&collection("LAB")), "{made}");
    let instance = get(&rdms, &made).await;
    for (name, value) in &lab.0 {
        assert!(instance.get(name).same(value), "{name} is {:?}", instance.get(name));
    }
    assert_eq!(code(rdms.create(&admin(), &class, lab).await), WmiCode::WBEM_E_ALREADY_EXISTS);
    assert_eq!(call(&rdms, &made, "AddVirtualDesktop", none().with("VMName", "lab-a")).await.0, 0);
    let ours = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", "lab");
    assert_eq!(get(&rdms, &ours).await.get("Size"), &Value::Uint32(1));
    let exists = WmiCode::WBEM_E_ALREADY_EXISTS.0;
    let twice = call(&rdms, &collection("pool"), "AddVirtualDesktop", none().with("VMName", "LAB-A")).await;
    assert_eq!(twice.0, exists, "a desktop is in one collection");
    let elsewhere =
        call(&rdms, &collection("pool"), "RemoveVirtualDesktop", none().with("VMName", "lab-a")).await;
    assert_eq!(elsewhere.0, WmiCode::WBEM_E_NOT_FOUND.0);
    assert_eq!(call(&rdms, &made, "RemoveVirtualDesktop", none().with("VMName", "lab-a")).await.0, 0);
    assert_eq!(get(&rdms, &ours).await.get("Size"), &Value::Uint32(0));
    rdms.delete(&admin(), &made).await.unwrap();
    assert_eq!(code(rdms.get(&admin(), &made).await), WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn a_collection_changes_where_it_can_and_says_where_it_cannot() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let put = async |params: Params| rdms.put(&admin(), &collection("pool"), params).await;
    let changed = put(none().with("RollbackEnabled", true).with("CollectionDescription", "x")).await.unwrap();
    assert_eq!(changed.get("RollbackEnabled"), &Value::Boolean(true));
    let cleared = put(none().with("CollectionDescription", Value::Null)).await.unwrap();
    assert_eq!(cleared.get("CollectionDescription"), &Value::Null);
    assert_eq!(cleared.get("RollbackEnabled"), &Value::Boolean(true), "what was not named stays");
    for impossible in [none().with("IsHA", true), none().with("IsUserAdmin", true), none().with("Type", 3u32)]
    {
        assert_eq!(code(put(impossible).await), WmiCode::WBEM_E_NOT_SUPPORTED);
    }
    let garbage = "x".repeat(20_000);
    for wrong in [
        none().with("SecurityDescriptor", "D:(everybody)"),
        none().with("UserVHDSetting", garbage.as_str()),
        none().with("Name", garbage.as_str()),
    ] {
        assert_eq!(code(put(wrong).await), WmiCode::WBEM_E_INVALID_PARAMETER);
    }
    assert_eq!(get(&rdms, &collection("pool")).await, cleared, "nothing was changed");
}

#[tokio::test]
async fn the_limits_that_scripts_know_by_name_are_the_collections_own() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let pool = collection("pool");
    let set = |key: &'static str, value: i32| none().with("Key", key).with("Value", Value::Sint32(value));
    for (key, value) in [
        ("IdleSessionLimit", 1_800_000),
        ("activesessionlimit", 1_500),
        ("DisconnectedSessionLimit", 0),
        ("BrokenConnectionAction", 1),
    ] {
        assert_eq!(call(&rdms, &pool, "SetInt32Property", set(key, value)).await.0, 0, "{key}");
    }
    let limits = world.engine.store().collection("pool").await.unwrap().unwrap().limits;
    let expected = Limits { idle: 1800, active: 2, action: LimitAction::Logoff, ..Limits::default() };
    assert_eq!(limits, expected, "milliseconds, never shorter than asked for");
    let (code, out) = call(&rdms, &pool, "GetInt32Property", none().with("Key", "IDLESESSIONLIMIT")).await;
    assert_eq!((code, out.get("Value")), (0, &Value::Sint32(1_800_000)));
    let invalid = WmiCode::WBEM_E_INVALID_PARAMETER.0;
    assert_eq!(call(&rdms, &pool, "SetInt32Property", set("IdleSessionLimit", -1)).await.0, invalid);
    assert_eq!(call(&rdms, &pool, "SetInt32Property", set("BrokenConnectionAction", 2)).await.0, invalid);
    let mismatch = WmiCode::WBEM_E_TYPE_MISMATCH.0;
    assert_eq!(
        call(&rdms, &pool, "GetStringProperty", none().with("Key", "IdleSessionLimit")).await.0,
        mismatch
    );
}

#[tokio::test]
async fn other_settings_are_kept_by_name_and_type_and_go_with_the_collection() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    create(&rdms, "lab", 1).await;
    let lab = collection("lab");
    let missing = WmiCode::WBEM_E_NOT_FOUND.0;
    assert_eq!(call(&rdms, &lab, "GetStringProperty", none().with("Key", "Colour")).await.0, missing);
    let red = none().with("Key", "Colour").with("Value", "red");
    assert_eq!(call(&rdms, &lab, "SetStringProperty", red).await.0, 0);
    let (code, out) = call(&rdms, &lab, "GetStringProperty", none().with("Key", "COLOUR")).await;
    assert_eq!((code, out.get("Value")), (0, &Value::from("red")));
    let mismatch = WmiCode::WBEM_E_TYPE_MISMATCH.0;
    assert_eq!(call(&rdms, &lab, "GetInt32Property", none().with("Key", "Colour")).await.0, mismatch);
    for key in ["", "   ", "a\u{7}", &"k".repeat(10_000)] {
        let params = none().with("Key", key).with("Value", "v");
        let refused = call(&rdms, &lab, "SetStringProperty", params).await.0;
        assert_eq!(refused, WmiCode::WBEM_E_INVALID_PARAMETER.0, "{key:.10}");
    }
    rdms.delete(&admin(), &lab).await.unwrap();
    create(&rdms, "lab", 1).await;
    assert_eq!(call(&rdms, &lab, "GetStringProperty", none().with("Key", "Colour")).await.0, missing);
}

#[tokio::test]
async fn what_is_said_of_a_template_is_written_down_and_goes_with_the_collection() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    create(&rdms, "lab", 1).await;
    let lab = path("Win32_RDMSCollectionProperties").with_key("Alias", "LAB");
    assert_eq!(get(&rdms, &lab).await.get("ReferenceVirtualDesktopName"), &Value::Null);
    let said = none()
        .with("ReferenceVirtualDesktopName", "gold")
        .with("ReferenceVirtualDesktopRamsizeMB", 4096u32)
        .with("ReferenceVirtualDesktopAdapters", vec!["eth0", "eth1"]);
    let changed = rdms.put(&admin(), &lab, said.clone()).await.unwrap();
    for (name, value) in &said.0 {
        assert_eq!(changed.get(name), value, "{name}");
    }
    let more = none().with("ReferenceVirtualDesktopRamsizeMB", 8192u32);
    let again = rdms.put(&admin(), &lab, more).await.unwrap();
    assert_eq!(again.get("ReferenceVirtualDesktopName"), &Value::from("gold"), "the rest stays");
    let wrong = none().with("ReferenceVirtualDesktopGuid", "g".repeat(10_000));
    assert_eq!(code(rdms.put(&admin(), &lab, wrong).await), WmiCode::WBEM_E_INVALID_PARAMETER);
    let impossible = none().with("ReferenceVirtualDesktopRemoteFX", true);
    assert_eq!(code(rdms.put(&admin(), &lab, impossible).await), WmiCode::WBEM_E_NOT_SUPPORTED);
    let (code, out) = call(&rdms, &lab, "GetProvisioningProperties", none()).await;
    assert_eq!((code, out.get("NamePrefix"), out.get("ProductKey")), (0, &Value::from("lab-"), &Value::Null));
    rdms.delete(&admin(), &collection("lab")).await.unwrap();
    create(&rdms, "lab", 1).await;
    assert_eq!(get(&rdms, &lab).await.get("ReferenceVirtualDesktopName"), &Value::Null);
}

#[tokio::test]
async fn a_manual_personal_desktop_is_its_owners_alone() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    create(&rdms, "own", 2).await;
    for name in ["own-a", "own-b"] {
        assert_eq!(
            call(&rdms, &collection("own"), "AddVirtualDesktop", none().with("VMName", name)).await.0,
            0
        );
    }
    let route = || Route::Collection("own".to_owned());
    assert_eq!(world.attach_to("alice", route()).await.err(), Some(Refusal::NoneFree), "none is assigned");
    assert_eq!(call(&rdms, &desktop("own-b"), "SetUserAssignment", person("alice")).await.0, 0);
    assert_eq!(call(&rdms, &desktop("own-b"), "SetUserAssignment", person("ALICE")).await.0, 0, "as it was");
    let taken = WmiCode::WBEM_E_ALREADY_EXISTS.0;
    assert_eq!(call(&rdms, &desktop("own-b"), "SetUserAssignment", person("bob")).await.0, taken);
    assert_eq!(
        call(&rdms, &desktop("own-a"), "SetUserAssignment", person("alice")).await.0,
        taken,
        "one each"
    );
    let unknown = call(&rdms, &desktop("own-a"), "SetUserAssignment", person("nobody")).await.0;
    assert_eq!(unknown, WmiCode::WBEM_E_INVALID_PARAMETER.0);
    let pooled = call(&rdms, &desktop("pool-001"), "SetUserAssignment", person("bob")).await.0;
    assert_eq!(pooled, WmiCode::WBEM_E_INVALID_OPERATION.0);

    let mut client = world.attach_to("alice", route()).await.unwrap();
    client.activated().await.unwrap();
    assert_eq!(world.session(client.session).await.desktop.as_str(), "own-b");
    assert_eq!(world.attach_to("bob", route()).await.err(), Some(Refusal::NoneFree), "own-a is nobody's");
    let seen = get(&rdms, &desktop("own-b")).await;
    assert_eq!((seen.get("UserName"), seen.get("UserDomain")), (&Value::from("alice"), &Value::from("TEST")));
    assert_eq!(seen.get("SessionState"), &Value::from("Active"));
    assert_eq!(seen.get("VMState"), &Value::Uint32(2));

    let class = path("Win32_RDMSVirtualDesktop");
    let wanted = person("alice").with("CollectionAlias", "OWN");
    let (code, out) = call(&rdms, &class, "GetVirtualDesktopAssignedToUser", wanted).await;
    assert_eq!((code, out.get("VMName")), (0, &Value::from("own-b")));
    let (code, out) = call(&rdms, &desktop("own-b"), "GetUserAssignment", none()).await;
    assert_eq!((code, out.get("UserName")), (0, &Value::from("alice")));
    assert_eq!(call(&rdms, &class, "RemoveUserAssignment", none().with("VMName", "own-b")).await.0, 0);
    let again = call(&rdms, &class, "RemoveUserAssignment", none().with("VMName", "own-b")).await.0;
    assert_eq!(again, WmiCode::WBEM_E_NOT_FOUND.0);
    let (code, out) = call(&rdms, &desktop("own-b"), "GetUserAssignment", none()).await;
    assert_eq!((code, out.get("UserName")), (0, &Value::Null));
    // her session goes on
    assert_eq!(client.kill.thrown(), None);
}

#[tokio::test]
async fn an_automatic_personal_desktop_becomes_its_first_users() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    create(&rdms, "auto", 3).await;
    for name in ["auto-a", "auto-b"] {
        assert_eq!(
            call(&rdms, &collection("auto"), "AddVirtualDesktop", none().with("VMName", name)).await.0,
            0
        );
    }
    let route = || Route::Collection("auto".to_owned());
    let mut desktops = Vec::new();
    for name in ["alice", "bob"] {
        let mut client = world.attach_to(name, route()).await.unwrap();
        client.activated().await.unwrap();
        desktops.push(world.session(client.session).await.desktop);
        client.goes_away().await;
    }
    assert_ne!(desktops[0], desktops[1]);
    assert_eq!(world.attach_to("carol", route()).await.err(), Some(Refusal::NoneFree), "all are somebody's");
    // it stays hers when her session is over
    let alice = world.engine.store().live_session(&named("alice"), &"auto".parse().unwrap()).await.unwrap();
    let uid = alice.unwrap().uid;
    world.engine.logoff(uid, &Default::default()).await.unwrap();
    until(|| async { !world.session(uid).await.state.is_live() }).await;
    assert_eq!(world.attach_to("carol", route()).await.err(), Some(Refusal::NoneFree));
    let mut client = world.attach_to("alice", route()).await.unwrap();
    client.activated().await.unwrap();
    assert_eq!(world.session(client.session).await.desktop, desktops[0]);
}

#[tokio::test]
async fn assignments_are_rows_that_are_made_listed_and_removed() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    create(&rdms, "own", 2).await;
    assert_eq!(
        call(&rdms, &collection("own"), "AddVirtualDesktop", none().with("VMName", "own-a")).await.0,
        0
    );
    let class = path("Win32_RDMSDesktopAssignment");
    let add = async |keys: Params| call(&rdms, &class, "AddDesktopAssignment", keys).await.0;
    assert_eq!(
        add(owner("pool", "own-a", "alice")).await,
        WmiCode::WBEM_E_NOT_FOUND.0,
        "in its own collection"
    );
    assert_eq!(add(owner("own", "own-a", "alice")).await, 0);
    let what = Enumeration { class: class.clone(), condition: None };
    let listed =
        rdms.enumerate(&admin(), &what, None, openrdms_cim::Limits { max_elements: 10 }).await.unwrap();
    assert_eq!(listed.instances.len(), 1);
    let keys = Params(listed.instances[0].properties.clone());
    let same = ObjectPath { keys: keys.0.clone(), ..class.clone() };
    assert_eq!(get(&rdms, &same).await, listed.instances[0]);
    let bobs = ObjectPath { keys: owner("own", "own-a", "bob").0, ..class.clone() };
    assert_eq!(code(rdms.delete(&admin(), &bobs).await), WmiCode::WBEM_E_NOT_FOUND, "whose it is not");
    rdms.delete(&admin(), &same).await.unwrap();
    let made = rdms.create(&admin(), &class, owner("own", "own-a", "bob")).await.unwrap();
    assert!(made.same(&bobs), "{made}");
    let remove = async |keys: Params| call(&rdms, &class, "RemoveDesktopAssignment", keys).await.0;
    assert_eq!(remove(owner("own", "own-a", "alice")).await, WmiCode::WBEM_E_NOT_FOUND.0);
    assert_eq!(remove(owner("own", "own-a", "bob")).await, 0);
    // with the account, and with the desktop
    assert_eq!(add(owner("own", "own-a", "bob")).await, 0);
    world.engine.store().delete_account(&named("bob")).await.unwrap();
    assert_eq!(code(rdms.get(&admin(), &bobs).await), WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(add(owner("own", "own-a", "alice")).await, 0);
    assert_eq!(
        call(&rdms, &collection("own"), "RemoveVirtualDesktop", none().with("VMName", "own-a")).await.0,
        0
    );
    assert_eq!(code(rdms.get(&admin(), &same).await), WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn a_desktop_with_a_session_stays_and_is_turned_off_by_its_state() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let name = world.session(client.session).await.desktop.to_string();
    client.obey();
    let remove = none().with("VMName", name.as_str());
    let busy = WmiCode::WBEM_E_INVALID_OPERATION.0;
    assert_eq!(call(&rdms, &collection("pool"), "RemoveVirtualDesktop", remove.clone()).await.0, busy);
    let to = |state: u32| none().with("VMState", state);
    let set = async |state: u32| call(&rdms, &desktop(&name), "SetVirtualDesktopState", to(state)).await.0;
    assert_eq!(set(2).await, 0, "it is on");
    assert_eq!(set(32769).await, WmiCode::WBEM_E_NOT_SUPPORTED.0);
    for transitional in [0, 1, 32770, 32774, u32::MAX] {
        assert_eq!(set(transitional).await, WmiCode::WBEM_E_INVALID_PARAMETER.0, "{transitional}");
    }
    assert_eq!(set(3).await, 0);
    let (code, out) = call(&rdms, &desktop(&name), "GetVirtualDesktopState", none()).await;
    assert_eq!((code, out.get("VMState")), (0, &Value::Uint32(3)));
    assert_eq!(call(&rdms, &collection("pool"), "RemoveVirtualDesktop", remove).await.0, 0);
}

#[tokio::test]
async fn only_administrators_see_and_change_them() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let denied = WmiCode::WBEM_E_ACCESS_DENIED;
    for path in [collection("pool"), desktop("pool-001")] {
        assert_eq!(code(rdms.get(&user("alice"), &path).await), denied);
        assert_eq!(code(rdms.delete(&user("alice"), &path).await).0 & 0x8000_0000, 0x8000_0000);
    }
    let (who, whose) = (user("alice"), desktop("pool-001"));
    let assigned = rdms.invoke(&who, &whose, "SetUserAssignment", person("alice"), &[]).await;
    assert_eq!(code(assigned), denied);
}
