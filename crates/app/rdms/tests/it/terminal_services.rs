//! The classes of `root/cimv2/terminalservices`: collections, desktops and hosts by the names that Windows Server gives
//! them, how long sessions last, and what happens to desktops. And the namespaces themselves.

use crate::support::World;
use crate::{MICROSOFT, OURS, admin, rdms, user};
use openrdms_broker::session::{EndReason, LostReason};
use openrdms_broker::{HostName, Lease, LimitAction, NodeId, Session, State, Timestamp};
use openrdms_cim::service::{Since, Told, Watch};
use openrdms_cim::wql::{Plan, Select};
use openrdms_cim::{
    CimError, CimService as _, Enumeration, Instance, Limits, ObjectPath, Params, Value, WmiCode,
};
use openrdms_rdms::Rdms;

const NAMESPACE: &str = "root/cimv2/terminalservices";
const FARM: &str = "Win32_SessionBrokerFarm";
const TARGET: &str = "Win32_SessionBrokerTarget";
const SETTING: &str = "Win32_TSSessionSetting";
const HOSTS: &str = "Win32_SessionDirectoryVirtualDesktopServer";
const HOST_SETTINGS: &str = "Win32_TSVirtualDesktopServerSettings";
const VM: &str = "Win32_TSVm";

fn of(class: &str) -> ObjectPath {
    ObjectPath::class(NAMESPACE, class)
}

fn none() -> Params {
    Params::default()
}

fn code<T: std::fmt::Debug>(result: Result<T, CimError>) -> WmiCode {
    result.expect_err("it is refused").code
}

/// What a query finds, read one by one.
async fn find(rdms: &Rdms, query: &str) -> Vec<Instance> {
    let Ok(Plan::Instances(what)) = Select::parse(query).unwrap().plan(rdms.repository(), NAMESPACE) else {
        panic!("{query} is about instances")
    };
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        let page =
            rdms.enumerate(&admin(), &what, after.as_deref(), Limits { max_elements: 1 }).await.unwrap();
        all.extend(page.instances);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

async fn names(rdms: &Rdms, query: &str, property: &str) -> Vec<String> {
    let found = find(rdms, query).await;
    found.iter().map(|instance| instance.get(property).as_str().unwrap().to_owned()).collect()
}

/// `ReturnValue`, where it is no fault.
async fn call(rdms: &Rdms, path: &ObjectPath, method: &str, params: Params) -> WmiCode {
    let done = rdms.invoke(&admin(), path, method, params, &[]).await.unwrap();
    assert!(done.out.0.iter().all(|(_, value)| value.is_null()), "{:?}", done.out);
    let Value::Uint32(code) = done.return_value else { panic!("{:?}", done.return_value) };
    WmiCode(code)
}

#[tokio::test]
async fn farms_are_collections_and_targets_are_their_desktops() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    world.engine.add_desktop("pool", "corner".parse().unwrap()).await.unwrap();
    let staff = openrdms_broker::CollectionAlias::new("staff").unwrap();
    let staff =
        openrdms_broker::Collection { size: 1, ..openrdms_broker::Collection::new(staff, Timestamp(0)) };
    world.engine.create_collection(staff).await.unwrap();

    // as the documentation's own examples ask
    let farms = format!("SELECT * FROM {FARM} WHERE PluginName = 'vmresource'");
    assert_eq!(names(&rdms, &farms, "FarmName").await, ["pool", "staff"]);
    let targets = format!("SELECT * FROM {TARGET} WHERE PluginName = 'VMResource' AND FarmName LIKE 'po%'");
    assert_eq!(names(&rdms, &targets, "TargetName").await, ["corner", "pool-001", "pool-002"]);
    let of_staff = format!("SELECT * FROM {TARGET} WHERE FarmName = 'STAFF'");
    assert_eq!(names(&rdms, &of_staff, "TargetName").await, ["staff-001"]);
    let other = format!("SELECT * FROM {TARGET} WHERE PluginName = 'MS Terminal Services Plugin'");
    assert_eq!(find(&rdms, &other).await, vec![], "no other part reports anything");

    let farm = of(FARM).with_key("PluginName", "VMRESOURCE").with_key("FarmName", "STAFF");
    assert_eq!(rdms.get(&admin(), &farm).await.unwrap().get("FarmName"), &"staff".into());
    let target = of(TARGET).with_key("PluginName", "VMResource").with_key("Guid", "CORNER");
    let target = rdms.get(&admin(), &target).await.unwrap();
    for (property, value) in [
        ("PluginName", "VMResource"),
        ("TargetName", "corner"),
        ("FarmName", "pool"),
        ("Guid", "corner"),
        ("Environment", "host"),
    ] {
        assert_eq!(target.get(property), &value.into(), "{property}");
    }
    for (class, key) in [(FARM, "FarmName"), (TARGET, "Guid")] {
        let half = of(class).with_key("PluginName", "VMResource");
        for wrong in [
            half.clone(),
            half.with_key(key, "nothing"),
            of(class).with_key("PluginName", "x").with_key(key, "pool"),
        ] {
            assert_eq!(code(rdms.get(&admin(), &wrong).await), WmiCode::WBEM_E_NOT_FOUND, "{wrong}");
        }
    }
}

#[tokio::test]
async fn how_long_sessions_last_is_read_and_said_for_each_collection() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let pool = of(SETTING).with_key("TerminalName", "POOL");
    let limits = async || world.engine.store().collection("pool").await.unwrap().unwrap().limits;
    let set = async |name: &str, value: u32| {
        let params = none().with("SessionLimitType", name).with("ValueLimit", value);
        call(&rdms, &pool, "TimeLimit", params).await
    };
    for (name, value) in [
        ("TerminalName", Value::from("pool")),
        ("IdleSessionLimit", 0_u32.into()),
        ("BrokenConnectionAction", 0_u32.into()),
        ("BrokenConnectionPolicy", 1_u32.into()),
        ("ReconnectionPolicy", 0_u32.into()),
        ("TimeLimitPolicy", 1_u32.into()),
        ("EnableTimeoutWarning", 1_u32.into()),
        ("PolicySourceIdleSessionLimit", 0_u32.into()),
    ] {
        assert_eq!(rdms.get(&admin(), &pool).await.unwrap().get(name), &value, "{name}");
    }

    let (ok, invalid) = (WmiCode(0), WmiCode::WBEM_E_INVALID_PARAMETER);
    assert_eq!(set("idlesessionlimit", 1_800_000).await, ok);
    assert_eq!(set("ActiveSessionLimit", 1).await, ok);
    assert_eq!(set("DisconnectedSessionLimit", u32::MAX).await, ok);
    assert_eq!(set("OtherSessionLimit", 1).await, invalid);
    let acting = async |action: u32| {
        call(&rdms, &pool, "BrokenConnection", none().with("BrokenConnectionAction", action)).await
    };
    assert_eq!((acting(1).await, acting(2).await), (ok, invalid));
    let now = limits().await;
    // a millisecond is a second at least: it was not never that was asked for
    assert_eq!((now.idle, now.active, now.disconnected), (1800, 1, 4_294_968));
    assert_eq!(now.action, LimitAction::Logoff);
    let shown = rdms.get(&admin(), &pool).await.unwrap();
    assert_eq!(shown.get("IdleSessionLimit"), &1_800_000_u32.into());
    assert_eq!(shown.get("ActiveSessionLimit"), &1000_u32.into());
    assert_eq!(shown.get("DisconnectedSessionLimit"), &u32::MAX.into(), "the longest there is room for");
    assert_eq!(shown.get("BrokenConnectionAction"), &1_u32.into());

    let put = async |name: &str, value: Value| rdms.put(&admin(), &pool, none().with(name, value)).await;
    put("EnableTimeoutWarning", 0_u32.into()).await.unwrap();
    assert_eq!(limits().await.warning, 0);
    let shown = put("EnableTimeoutWarning", 1_u32.into()).await.unwrap();
    assert_eq!((limits().await.warning, shown.get("EnableTimeoutWarning")), (60, &1_u32.into()));
    put("TimeLimitPolicy", 1_u32.into()).await.expect("it is so already");
    for (name, value, refused) in [
        ("TimeLimitPolicy", 0_u32.into(), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("BrokenConnectionPolicy", 0_u32.into(), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("ReconnectionPolicy", 1_u32.into(), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("ReconnectionPolicy", 2_u32.into(), invalid),
        ("EnableTimeoutWarning", 2_u32.into(), invalid),
        ("EnableTimeoutWarning", Value::Null, WmiCode::WBEM_E_ILLEGAL_NULL),
        ("IdleSessionLimit", 5_u32.into(), WmiCode::WBEM_E_READ_ONLY),
    ] {
        assert_eq!(code(put(name, value).await), refused, "{name}");
    }
    // all or nothing
    let both = none().with("EnableTimeoutWarning", 0_u32).with("ReconnectionPolicy", 1_u32);
    assert_eq!(code(rdms.put(&admin(), &pool, both).await), WmiCode::WBEM_E_NOT_SUPPORTED);
    assert_eq!(limits().await.warning, 60);

    let acting = none().with("BrokenConnectionAction", 0_u32);
    let console = of(SETTING).with_key("TerminalName", "console");
    assert_eq!(
        call(&rdms, &console, "BrokenConnection", acting.clone()).await,
        WmiCode::WBEM_E_NOT_SUPPORTED
    );
    let nowhere = of(SETTING).with_key("TerminalName", "nowhere");
    let unknown = rdms.invoke(&admin(), &nowhere, "BrokenConnection", acting, &[]).await;
    assert_eq!(code(unknown), WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn the_host_s_settings_are_one_instance_without_a_name() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let [listed] = &find(&rdms, &format!("SELECT * FROM {HOST_SETTINGS} WHERE Concurrency > 0")).await[..]
    else {
        panic!("there is one")
    };
    for path in [of(HOST_SETTINGS), ObjectPath::parse(&format!("{NAMESPACE}:{HOST_SETTINGS}=@")).unwrap()] {
        assert_eq!(&rdms.get(&admin(), &path).await.unwrap(), listed, "{path}");
    }
    assert_eq!(listed.get("SessionBrokerName"), &"host".into());
    assert_eq!(listed.get("PolicySourceSessionBrokerName"), &0_i32.into());
    let most = u32::try_from(openrdms_engine::PREPARED_AT_ONCE).unwrap();
    assert_eq!(listed.get("Concurrency"), &most.into());
    let put = async |params: Params| rdms.put(&admin(), &of(HOST_SETTINGS), params).await;
    put(none().with("Concurrency", most)).await.expect("nothing is changed");
    for other in [none().with("Concurrency", most + 1), none().with("SessionBrokerName", "other")] {
        assert_eq!(code(put(other).await), WmiCode::WBEM_E_NOT_SUPPORTED);
    }
}

#[tokio::test]
async fn hosts_with_a_desktop_for_each_user_are_told_from_others() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for (number, host, kind) in [(2, "cellar", "local"), (3, "attic", "machines")] {
        let lease = Lease {
            host: HostName::new(host).unwrap(),
            kind: kind.into(),
            boot_id: "boot".into(),
            node: NodeId(uuid::Uuid::from_u128(number)),
            version: "1".into(),
            until: Timestamp(1),
        };
        world.engine.store().renew_lease(&lease, Timestamp(0)).await.unwrap();
    }
    assert_eq!(names(&rdms, &format!("SELECT * FROM {HOSTS}"), "Name").await, ["cellar", "host"]);
    assert_eq!(
        names(&rdms, &format!("SELECT * FROM {HOSTS} WHERE Name = 'CELLAR'"), "Name").await,
        ["cellar"]
    );
    for other in ["attic", "nowhere"] {
        let path = of(HOSTS).with_key("Name", other);
        assert_eq!(code(rdms.get(&admin(), &path).await), WmiCode::WBEM_E_NOT_FOUND, "{other}");
    }
}

#[tokio::test]
async fn a_desktop_is_a_machine_without_an_image() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    assert_eq!(names(&rdms, &format!("SELECT * FROM {VM}"), "VmName").await, ["pool-001", "pool-002"]);
    let base = "SELECT * FROM CIM_LogicalElement WHERE Name LIKE '%1'";
    assert_eq!(names(&rdms, base, "VmName").await, ["pool-001"], "a base lists what derives from it");
    let made = rdms.create(&admin(), &of("CIM_LogicalElement"), none()).await;
    assert_eq!(code(made), WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE);
    let path = of(VM).with_key("VmName", "POOL-001");
    let desktop = rdms.get(&admin(), &path).await.unwrap();
    assert_eq!((desktop.get("Name"), desktop.get("Status")), (&"pool-001".into(), &"OK".into()));
    assert!(desktop.get("EnlightmentSettings").is_null());
    let unsupported = WmiCode::WBEM_E_NOT_SUPPORTED;
    let put = rdms.put(&admin(), &path, none().with("EnlightmentSettings", "<x/>")).await;
    assert_eq!(code(put), unsupported);
    assert_eq!(call(&rdms, &path, "DumpVmInfo", none()).await, unsupported);
    assert_eq!(call(&rdms, &path, "QueryOfflineInformation", none()).await, unsupported);
    let to = none().with("ExportFolderPath", "/srv/export");
    assert_eq!(call(&rdms, &path, "Export", to).await, unsupported);
    let nowhere = rdms.invoke(&admin(), &path, "Export", none(), &[]).await;
    assert_eq!(code(nowhere), WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    // as a call on the desktop that is not there
    let gone = of(VM).with_key("VmName", "gone");
    assert_eq!(
        code(rdms.invoke(&admin(), &gone, "DumpVmInfo", none(), &[]).await),
        WmiCode::WBEM_E_NOT_FOUND
    );
}

/// All that is told from the beginning.
async fn told(rdms: &Rdms, who: &openrdms_cim::Principal, query: &str) -> Result<Vec<Instance>, WmiCode> {
    let what = Watch { namespace: NAMESPACE.to_owned(), query: Select::parse(query).unwrap() };
    rdms.watch(who, &what, Since::Earliest).await.map_err(|error| error.code)?;
    match rdms.changes(who, &what, 0, Limits { max_elements: 100 }).await.map_err(|error| error.code)? {
        Told::Events { events, .. } => Ok(events.into_iter().map(|happened| happened.event).collect()),
        Told::Lost => panic!("nothing is forgotten"),
    }
}

#[tokio::test]
async fn what_happens_to_desktops_is_told_as_far_as_sessions_show_it() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let root =
        openrdms_cim::Principal { name: "uid:0".into(), admin: true, from: "test".into(), proof: None };
    let client = world.active("alice").await;
    let _bob = world.active("bob").await;
    let uid = client.session;
    let desktop = Value::from(world.session(uid).await.desktop.as_str());
    client.goes_away().await;
    world.engine.logoff(uid, &Default::default()).await.unwrap();

    let query =
        format!("SELECT * FROM Win32_SessionBrokerTargetEvent WHERE Guid = '{}'", desktop.as_str().unwrap());
    let events = told(&rdms, &root, &query).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.get("ChangeType").as_int().unwrap()).collect();
    // started, running, stopping, and nobody's; that the client went changed nothing of the desktop
    assert_eq!(kinds, [32, 32, 32, 64]);
    for event in &events {
        for (property, value) in [
            ("TargetName", desktop.clone()),
            ("Guid", desktop.clone()),
            ("PluginName", "VMResource".into()),
            ("FarmName", "pool".into()),
            ("Environment", "host".into()),
            ("SECURITY_DESCRIPTOR", Value::Null),
        ] {
            assert_eq!(event.get(property), &value, "{property}");
        }
        assert_eq!(
            (event.class.as_str(), event.namespace.as_str()),
            ("Win32_SessionBrokerTargetEvent", NAMESPACE)
        );
        assert!(event.get("TIME_CREATED").as_int().unwrap() > 0);
    }
    let all = told(&rdms, &root, "SELECT ChangeType FROM __ExtrinsicEvent WITHIN 2").await.unwrap();
    assert_eq!(all.len(), 6, "bob's too");
    assert!(all.iter().all(|event| event.properties.len() == 1));
    // a user is told of the desktops of their own sessions
    let own = told(&rdms, &user("alice"), "SELECT * FROM Win32_SessionBrokerTargetEvent").await.unwrap();
    assert_eq!(own, events);
    for (query, refused) in [
        ("SELECT * FROM __InstanceCreationEvent", WmiCode::WBEM_E_NOT_SUPPORTED),
        ("SELECT * FROM Win32_SessionBrokerTarget", WmiCode::WBEM_E_INVALID_QUERY),
        (
            "SELECT * FROM Win32_SessionBrokerTargetEvent WHERE TargetInstance ISA 'x'",
            WmiCode::WBEM_E_INVALID_QUERY,
        ),
    ] {
        assert_eq!(told(&rdms, &root, query).await.unwrap_err(), refused, "{query}");
    }
}

/// Nobody knows what became of a desktop whose session an administrator has given up.
#[tokio::test]
async fn a_forgotten_session_s_desktop_has_changed_somehow() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let root =
        openrdms_cim::Principal { name: "uid:0".into(), admin: true, from: "test".into(), proof: None };
    let client = world.active("alice").await;
    let uid = client.session;
    client.goes_away().await;
    let at = Timestamp(1);
    let lost = State::Lost { since: at, reason: LostReason::HostSilent };
    for state in [lost, State::Ended { at, reason: EndReason::Forgotten }] {
        let session = world.session(uid).await;
        world.engine.store().update_session(&Session { state, ..session }).await.unwrap();
    }
    let events = told(&rdms, &root, "SELECT * FROM Win32_SessionBrokerTargetEvent").await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.get("ChangeType").as_int().unwrap()).collect();
    assert_eq!(kinds, [32, 32, 32, 1]);
}

#[tokio::test]
async fn all_of_it_takes_an_administrator_and_is_made_and_removed_elsewhere() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let _client = world.active("alice").await;
    for class in [FARM, TARGET, SETTING, HOSTS, HOST_SETTINGS, VM] {
        let what = Enumeration { class: of(class), condition: None };
        let limits = Limits { max_elements: 1 };
        let listed = rdms.enumerate(&admin(), &what, None, limits).await.unwrap();
        let declared = rdms.repository().class(NAMESPACE, class).unwrap();
        let path = listed.instances[0].path(declared);
        let denied = WmiCode::WBEM_E_ACCESS_DENIED;
        assert_eq!(code(rdms.enumerate(&user("alice"), &what, None, limits).await), denied, "{class}");
        assert_eq!(code(rdms.get(&user("alice"), &path).await), denied, "{class}");
        for method in &declared.methods {
            assert_eq!(code(rdms.invoke(&user("alice"), &path, &method.name, none(), &[]).await), denied);
        }
        let incapable = WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE;
        assert_eq!(code(rdms.create(&admin(), &of(class), none()).await), incapable, "{class}");
        assert_eq!(code(rdms.delete(&admin(), &path).await), incapable, "{class}");
    }
}

#[tokio::test]
async fn namespaces_are_found_from_the_root_on_by_whoever_is_known() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for (namespace, below) in [
        ("root", &["cimv2", "openrdms"][..]),
        ("root/cimv2", &["rdms", "terminalservices"]),
        (MICROSOFT, &[]),
        (NAMESPACE, &[]),
        (OURS, &[]),
    ] {
        let class = ObjectPath::class(namespace, "__NAMESPACE");
        let what = Enumeration { class: class.clone(), condition: None };
        let listed = rdms.enumerate(&user("alice"), &what, None, Limits { max_elements: 10 }).await.unwrap();
        let mut found: Vec<_> =
            listed.instances.iter().map(|one| one.get("Name").as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, below, "{namespace}");
        for name in below {
            let one = rdms.get(&user("alice"), &class.clone().with_key("name", name.to_uppercase())).await;
            assert_eq!(one.unwrap().get("Name"), &Value::from(*name));
            let inside = format!("{namespace}/{name}");
            assert!(rdms.repository().namespaces().any(|known| known == inside), "{inside}");
        }
        assert_eq!(
            code(rdms.get(&admin(), &class.clone().with_key("Name", "x")).await),
            WmiCode::WBEM_E_NOT_FOUND
        );
        let made = rdms.create(&admin(), &class, none().with("Name", "x")).await;
        assert_eq!(code(made), WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE);
    }
}
