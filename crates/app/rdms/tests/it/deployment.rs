//! The classes of the deployment itself: its settings, its environment, its servers, and what it publishes.

use crate::support::World;
use crate::{MICROSOFT, admin, rdms, user};
use openrdms_broker::document::{JoinedNode, Publication, PublishedApplication};
use openrdms_broker::{HostName, Lease, NodeId, Outcome, Setting, SettingOwner, SettingValue, Timestamp};
use openrdms_cim::{
    CimError, CimService as _, Enumeration, Instance, Limits, MethodResult, ObjectPath, Params, Value,
    WmiCode,
};
use openrdms_rdms::Rdms;

const SETTINGS: &str = "Win32_RDMSDeploymentSettings";
const ENVIRONMENT: &str = "Win32_RDMSEnvironment";
const NODES: &str = "Win32_RDMSJoinedNode";
const DATA: &str = "Win32_RDMSManagementData";
const APPLICATIONS: &str = "Win32_RDMSPublishedApplication";
const TYPES: &str = "Win32_RDMSFileTypeAssociation";

fn of(class: &str) -> ObjectPath {
    ObjectPath::class(MICROSOFT, class)
}

fn none() -> Params {
    Params::default()
}

async fn invoke(
    rdms: &Rdms,
    path: &ObjectPath,
    method: &str,
    params: Params,
) -> Result<MethodResult, CimError> {
    rdms.invoke(&admin(), path, method, params, &[]).await
}

/// What a static method answers: the code, and the named OUT parameter.
async fn ask(rdms: &Rdms, class: &str, method: &str, params: Params, out: &str) -> (Value, Value) {
    let result = invoke(rdms, &of(class), method, params).await.unwrap();
    (result.return_value, result.out.get(out).clone())
}

async fn code(rdms: &Rdms, class: &str, method: &str, params: Params) -> WmiCode {
    match ask(rdms, class, method, params, "").await.0 {
        Value::Uint32(code) => WmiCode(code),
        other => panic!("ReturnValue is {other:?}"),
    }
}

async fn list(rdms: &Rdms, class: &str) -> Vec<Instance> {
    let what = Enumeration { class: of(class), condition: None };
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

const OK: WmiCode = WmiCode(0);

#[tokio::test]
async fn settings_of_every_type_are_kept_by_names_without_case() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let key = |name: &str| none().with("Key", name);
    let not_found = Value::from(WmiCode::WBEM_E_NOT_FOUND);
    let mismatch = Value::from(WmiCode::WBEM_E_TYPE_MISMATCH);
    let get = async |method: &str, name: &str| ask(&rdms, SETTINGS, method, key(name), "Value").await;

    assert_eq!(get("GetInt32Property", "Weight").await, (not_found.clone(), Value::Null));
    assert_eq!(code(&rdms, SETTINGS, "SetInt32Property", key("Weight").with("Value", -7_i32)).await, OK);
    assert_eq!(get("GetInt32Property", "WEIGHT").await, (0_u32.into(), Value::Sint32(-7)));
    assert_eq!(get("GetStringProperty", "weight").await, (mismatch.clone(), Value::Null));
    assert_eq!(get("GetStringArrayDeploymentSetting", "weight").await, (mismatch.clone(), Value::Null));

    // whoever writes it last decides what it is
    assert_eq!(
        code(&rdms, SETTINGS, "SetStringProperty", key("weight").with("Value", "ä heavy one")).await,
        OK
    );
    assert_eq!(get("GetStringProperty", "Weight").await, (0_u32.into(), "ä heavy one".into()));
    assert_eq!(get("GetInt32Property", "Weight").await, (mismatch, Value::Null));
    let texts = Value::from(vec!["b", "", "a"]);
    let set = key("List").with("Value", texts.clone());
    assert_eq!(code(&rdms, SETTINGS, "SetStringArrayDeploymentSetting", set).await, OK);
    assert_eq!(get("GetStringArrayDeploymentSetting", "list").await, (0_u32.into(), texts));
    assert_eq!(get("GetInt32Property", "List").await.0, Value::from(WmiCode::WBEM_E_TYPE_MISMATCH));

    assert_eq!(code(&rdms, SETTINGS, "RemoveDeploymentSetting", key("LIST")).await, OK);
    assert_eq!(get("GetStringArrayDeploymentSetting", "List").await, (not_found, Value::Null));
    assert_eq!(
        code(&rdms, SETTINGS, "RemoveDeploymentSetting", key("List")).await,
        WmiCode::WBEM_E_NOT_FOUND
    );

    let trail = world.engine.store().audit(50).await.unwrap();
    let line = trail.iter().find(|line| line.action.ends_with(".SetStringProperty")).unwrap();
    assert_eq!((line.target.as_str(), line.detail.as_str()), ("deployment", "weight"));
    assert!(!format!("{trail:?}").contains("heavy"), "a value may be a secret");
}

#[tokio::test]
async fn the_directories_are_settings_with_methods_of_their_own() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for (name, path) in [
        ("BaseVHDPath", "/srv/base"),
        ("DiffVHDPath", r"C:\Diff"),
        ("ExportPath", r"\\server\export"),
        ("SMBPath", r"\\server\desktops$"),
    ] {
        let get = format!("Get{name}");
        assert_eq!(ask(&rdms, SETTINGS, &get, none(), "DirectoryPath").await, (0_u32.into(), Value::Null));
        // a setting that is known is null where it is not set, and not missing
        let key = || none().with("Key", name);
        let unset = (0_u32.into(), Value::Null);
        assert_eq!(ask(&rdms, SETTINGS, "GetStringProperty", key(), "Value").await, unset, "{name}");
        let set = none().with("DirectoryPath", path);
        assert_eq!(code(&rdms, SETTINGS, &format!("Set{name}"), set).await, OK, "{name}");
        let is_set = (0_u32.into(), Value::from(path));
        assert_eq!(ask(&rdms, SETTINGS, &get, none(), "DirectoryPath").await, is_set);
        assert_eq!(ask(&rdms, SETTINGS, "GetStringProperty", key(), "Value").await, is_set);
        for wrong in ["", "relative", r"\\server", "/a\u{7}"] {
            let set = none().with("DirectoryPath", wrong);
            let refused = code(&rdms, SETTINGS, &format!("Set{name}"), set).await;
            assert_eq!(refused, WmiCode::WBEM_E_INVALID_PARAMETER, "{name} {wrong:?}");
            let refused = code(&rdms, SETTINGS, "SetStringProperty", key().with("Value", wrong)).await;
            assert_eq!(refused, WmiCode::WBEM_E_INVALID_PARAMETER, "{name} {wrong:?}");
        }
        let number = code(&rdms, SETTINGS, "SetInt32Property", key().with("Value", 1_i32)).await;
        assert_eq!(number, WmiCode::WBEM_E_TYPE_MISMATCH);
        assert_eq!(ask(&rdms, SETTINGS, &get, none(), "DirectoryPath").await, is_set, "nothing was changed");
        assert_eq!(code(&rdms, SETTINGS, "RemoveDeploymentSetting", key()).await, OK);
        assert_eq!(ask(&rdms, SETTINGS, &get, none(), "DirectoryPath").await.1, Value::Null);
    }
    let set = none().with("DirectoryPath", "/srv");
    assert_eq!(code(&rdms, SETTINGS, "SetSMBPath", set).await, WmiCode::WBEM_E_INVALID_PARAMETER, "no share");
}

#[tokio::test]
async fn how_the_store_is_connected_to_is_neither_told_nor_changed() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for (method, parameter) in
        [("ConnectionString", "ConnectionString"), ("SecondaryConnectionString", "SecondaryConnectionString")]
    {
        let told = ask(&rdms, SETTINGS, &format!("Get{method}"), none(), parameter).await;
        assert_eq!(told, (0_u32.into(), Value::Null));
        let set = none().with(parameter, "Server=db;Password=x");
        let refused = code(&rdms, SETTINGS, &format!("Set{method}"), set).await;
        assert_eq!(refused, WmiCode::WBEM_E_NOT_SUPPORTED);
    }
    for name in ["DatabaseConnectionString", "databasesecondaryconnectionstring"] {
        let key = || none().with("Key", name);
        // what public scripts take for "not in high availability mode"
        let told = ask(&rdms, SETTINGS, "GetStringProperty", key(), "Value").await;
        assert_eq!(told, (0_u32.into(), Value::Null));
        for (method, params) in [
            ("SetStringProperty", key().with("Value", "x")),
            ("SetInt32Property", key().with("Value", 1_i32)),
            ("SetStringArrayDeploymentSetting", key().with("Value", vec!["x"])),
            ("RemoveDeploymentSetting", key()),
        ] {
            let refused = code(&rdms, SETTINGS, method, params).await;
            assert_eq!(refused, WmiCode::WBEM_E_NOT_SUPPORTED, "{method}");
        }
    }
    assert_eq!(world.engine.store().settings(&SettingOwner::Deployment).await.unwrap(), []);
    assert!(!format!("{:?}", world.engine.store().audit(50).await.unwrap()).contains("Password"));
}

#[tokio::test]
async fn settings_are_limited_in_name_length_and_number() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    for (key, value) in [
        (Value::from(""), Value::from("x")),
        (" ".into(), "x".into()),
        ("a\nb".into(), "x".into()),
        ("x".repeat(257).into(), "x".into()),
        ("long".into(), "x".repeat(32_769).into()),
    ] {
        let set = none().with("Key", key).with("Value", value);
        assert_eq!(code(&rdms, SETTINGS, "SetStringProperty", set).await, WmiCode::WBEM_E_INVALID_PARAMETER);
    }
    let many = Value::from(vec!["x"; 1001]);
    let set = none().with("Key", "many").with("Value", many);
    let refused = code(&rdms, SETTINGS, "SetStringArrayDeploymentSetting", set).await;
    assert_eq!(refused, WmiCode::WBEM_E_INVALID_PARAMETER);
    for missing in [none().with("Key", "k"), none().with("Value", "v"), none().with("Key", Value::Null)] {
        let refused = invoke(&rdms, &of(SETTINGS), "SetStringProperty", missing).await.unwrap_err();
        assert_eq!(refused.code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    }
    let wrong = none().with("Key", "k").with("Value", true);
    let refused = invoke(&rdms, &of(SETTINGS), "SetInt32Property", wrong).await.unwrap_err();
    assert_eq!(refused.code, WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS);
    assert_eq!(world.engine.store().settings(&SettingOwner::Deployment).await.unwrap(), []);
    // a thousand, and the thousand and first is one too many, while those that are there can still be written
    for number in 0..1000 {
        let setting = Setting { name: format!("s{number}"), value: SettingValue::Int(number) };
        world.engine.store().set_setting(&SettingOwner::Deployment, &setting).await.unwrap();
    }
    let set = |key: &str| none().with("Key", key).with("Value", 1_i32);
    assert_ne!(code(&rdms, SETTINGS, "SetInt32Property", set("one more")).await, OK);
    assert_eq!(code(&rdms, SETTINGS, "SetInt32Property", set("S999")).await, OK);
}

#[tokio::test]
async fn the_server_that_answers_is_active_and_clients_know_the_deployment_by_one_name() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let active = ask(&rdms, ENVIRONMENT, "GetActiveServer", none(), "ServerName").await;
    assert_eq!(active, (0_u32.into(), "host".into()));
    assert_eq!(code(&rdms, ENVIRONMENT, "SetActiveServer", none()).await, OK);
    let audit = world.engine.store().audit(1).await.unwrap();
    assert_eq!(
        (audit[0].action.as_str(), audit[0].target.as_str()),
        ("Win32_RDMSEnvironment.SetActiveServer", "host")
    );
    assert_eq!(audit[0].outcome, Outcome::Done);

    let told = async || ask(&rdms, ENVIRONMENT, "GetClientAccessName", none(), "ClientAccessName").await;
    assert_eq!(told().await, (0_u32.into(), Value::Null));
    let name = none().with("ClientAccessName", "desktops.example.com");
    assert_eq!(code(&rdms, ENVIRONMENT, "SetClientAccessName", name).await, OK);
    assert_eq!(told().await, (0_u32.into(), "desktops.example.com".into()));
    // the same by the key that public scripts write
    let key = || none().with("Key", "DeploymentRedirectorServer");
    let read = ask(&rdms, SETTINGS, "GetStringProperty", key(), "Value").await;
    assert_eq!(read, (0_u32.into(), "desktops.example.com".into()));
    assert_eq!(code(&rdms, SETTINGS, "SetStringProperty", key().with("Value", "rds.example.com")).await, OK);
    assert_eq!(told().await.1, "rds.example.com".into());
    for wrong in ["", "a b", "ä.example.com", "a/b"] {
        let name = none().with("ClientAccessName", wrong);
        let refused = code(&rdms, ENVIRONMENT, "SetClientAccessName", name).await;
        assert_eq!(refused, WmiCode::WBEM_E_INVALID_PARAMETER, "{wrong:?}");
    }
    let missing = invoke(&rdms, &of(ENVIRONMENT), "SetClientAccessName", none()).await.unwrap_err();
    assert_eq!(missing.code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    assert_eq!(told().await.1, "rds.example.com".into(), "nothing was changed");
}

/// A node that was heard until some time.
async fn heard(world: &World, number: u128, host: &str, until: Timestamp) {
    let lease = Lease {
        host: HostName::new(host).unwrap(),
        kind: "local".into(),
        boot_id: "boot".into(),
        node: NodeId(uuid::Uuid::from_u128(number)),
        version: "1".into(),
        until,
    };
    world.engine.store().renew_lease(&lease, Timestamp(0)).await.unwrap();
}

#[tokio::test]
async fn servers_join_before_they_are_heard_and_leave_when_they_are_silent() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let path = |name: &str| of(NODES).with_key("FQDN", name);
    let names = async || {
        let servers = list(&rdms, NODES).await;
        servers.iter().map(|server| server.get("FQDN").as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let count = async |roles: u32| {
        ask(&rdms, NODES, "GetJoinedNodeCount", none().with("roleType", roles), "Count").await
    };
    assert_eq!(names().await, ["host"]);
    let server = rdms.get(&admin(), &path("HOST")).await.unwrap();
    for (property, value) in [("IsRdcb", true), ("IsRdvh", true), ("IsRdsh", false), ("IsRdg", false)] {
        assert_eq!(server.get(property), &Value::from(value), "{property}");
    }
    assert_eq!(server.get("IsRedirectorCertificateInstalled"), &true.into());
    assert_eq!((server.get("SID"), server.get("OSVersion")), (&Value::Null, &Value::Null));

    let join = |name: &str, sid: &str| none().with("NodeFQDN", name).with("NodeSID", sid);
    assert_eq!(code(&rdms, NODES, "Join", join("Two.example.com", "S-1-5-21-1-2-3-1001")).await, OK);
    assert_eq!(names().await, ["host", "Two.example.com"]);
    let two = rdms.get(&admin(), &path("two.EXAMPLE.com")).await.unwrap();
    assert_eq!((two.get("SID"), two.get("IsRdcb")), (&"S-1-5-21-1-2-3-1001".into(), &false.into()));
    for (name, sid, why) in [
        ("two.example.COM", "", WmiCode::WBEM_E_ALREADY_EXISTS),
        ("host", "", WmiCode::WBEM_E_ALREADY_EXISTS),
        ("", "", WmiCode::WBEM_E_INVALID_PARAMETER),
        ("a b", "", WmiCode::WBEM_E_INVALID_PARAMETER),
        ("three", "nobody", WmiCode::WBEM_E_INVALID_PARAMETER),
        ("three", "S-1-5-18 ", WmiCode::WBEM_E_INVALID_PARAMETER),
    ] {
        assert_eq!(code(&rdms, NODES, "Join", join(name, sid)).await, why, "{name} {sid}");
    }
    let missing = invoke(&rdms, &of(NODES), "Join", none()).await.unwrap_err();
    assert_eq!(missing.code, WmiCode::WBEM_E_MISSING_PARAMETER_ID);
    for (roles, number) in [(0, 2_u32), (1, 1), (2, 0), (4, 1), (3, 1), (7, 1)] {
        assert_eq!(count(roles).await, (0_u32.into(), number.into()), "{roles}");
    }
    assert_eq!(count(8).await, (Value::from(WmiCode::WBEM_E_INVALID_PARAMETER), Value::Null));

    // one that was heard, and is silent
    heard(&world, 5, "three", Timestamp(7)).await;
    assert_eq!(count(0).await.1, 3_u32.into());
    let unjoin = async |name: &str| {
        let result = invoke(&rdms, &path(name), "Unjoin", none()).await;
        result.map(|result| result.return_value)
    };
    assert_eq!(unjoin("host").await, Ok(Value::from(WmiCode::WBEM_E_INVALID_OPERATION)), "it is up");
    assert_eq!(unjoin("two.example.com").await, Ok(0_u32.into()));
    assert_eq!(unjoin("two.example.com").await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(unjoin("THREE").await, Ok(0_u32.into()));
    assert_eq!(names().await, ["host"]);
    assert_eq!(rdms.get(&admin(), &path("three")).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    // it is part of the deployment once more when it is named, or heard
    assert_eq!(code(&rdms, NODES, "Join", join("three", "")).await, OK);
    assert_eq!(names().await, ["host", "three"]);
    assert_eq!(unjoin("three").await, Ok(0_u32.into()));
    heard(&world, 5, "three", Timestamp(world.engine.now().0 + 60_000)).await;
    assert_eq!(names().await, ["host", "three"]);
    assert_eq!(unjoin("three").await, Ok(Value::from(WmiCode::WBEM_E_INVALID_OPERATION)));
}

#[tokio::test]
async fn of_a_server_its_system_can_be_written_and_its_roles_cannot() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let path = of(NODES).with_key("FQDN", "host");
    let version = async || rdms.get(&admin(), &path).await.unwrap().get("OSVersion").clone();
    let changed = rdms.put(&admin(), &path, none().with("OSVersion", "Debian 12")).await.unwrap();
    assert_eq!(changed.get("OSVersion"), &"Debian 12".into());
    for (property, value, why) in [
        ("IsRdg", Value::from(true), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("IsPublishingCertificateInstalled", true.into(), WmiCode::WBEM_E_NOT_SUPPORTED),
        ("SID", "S-1-5-18".into(), WmiCode::WBEM_E_READ_ONLY),
        ("FQDN", "other".into(), WmiCode::WBEM_E_READ_ONLY),
        ("OSVersion", "x".repeat(65).into(), WmiCode::WBEM_E_INVALID_PARAMETER),
        ("OSVersion", 12_u32.into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("Colour", "red".into(), WmiCode::WBEM_E_INVALID_PARAMETER),
    ] {
        let refused = rdms.put(&admin(), &path, none().with(property, value)).await.unwrap_err();
        assert_eq!(refused.code, why, "{property}");
    }
    assert_eq!(version().await, "Debian 12".into());
    rdms.put(&admin(), &path, none().with("OSVersion", Value::Null)).await.unwrap();
    assert_eq!(version().await, Value::Null);
    assert_eq!(list(&rdms, NODES).await.len(), 1, "what was said of it is of the server that there is");
    let stored = world.engine.store().document::<JoinedNode>("HOST").await.unwrap().unwrap();
    assert_eq!(stored.document.fqdn, "host");
}

fn application(alias: &str) -> Params {
    none().with("AppAlias", alias).with("PoolName", "POOL").with("AppPath", "/usr/bin/editor")
}

fn application_path(alias: &str) -> ObjectPath {
    of(APPLICATIONS).with_key("AppAlias", alias).with_key("PoolName", "pool")
}

#[tokio::test]
async fn an_application_is_made_changed_and_removed() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let made = rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    assert!(made.same(&application_path("Editor")), "{made}");
    assert_eq!(made.key("PoolName"), Some(&"pool".into()), "as the collection spells it");
    let first = rdms.get(&admin(), &application_path("eDITOR")).await.unwrap();
    for (property, value) in [
        ("AppAlias", Value::from("Editor")),
        ("DisplayName", "Editor".into()),
        ("ShowInPortal", true.into()),
        ("SecurityDescriptor", Value::Null),
        ("AppPath", "/usr/bin/editor".into()),
        ("CommandLineSetting", 0_u32.into()),
        ("IconIndex", 0_i32.into()),
        ("IconContents", Value::Null),
    ] {
        assert_eq!(first.get(property), &value, "{property}");
    }
    let whole = application("Paint")
        .with("DisplayName", "Bilder ändern")
        .with("ShowInPortal", false)
        .with("SecurityDescriptor", "D:(A;;GX;;;S-1-5-21-1-2-3-513)")
        .with("VirtualPath", "%BIN%/paint")
        .with("CommandLineSetting", 2_u32)
        .with("RequiredCommandLine", "--safe")
        .with("Folder", "Tools")
        .with("IconPath", "/usr/share/paint.png")
        .with("IconIndex", -3_i32)
        .with("IconContents", vec![0_u8, 255]);
    rdms.create(&admin(), &of(APPLICATIONS), whole.clone()).await.unwrap();
    let shown = rdms.get(&admin(), &application_path("paint")).await.unwrap();
    for (property, value) in &whole.0 {
        assert!(shown.get(property).same(value), "{property}: {:?}", shown.get(property));
    }
    let again = rdms.create(&admin(), &of(APPLICATIONS), application("EDITOR")).await.unwrap_err();
    assert_eq!(again.code, WmiCode::WBEM_E_ALREADY_EXISTS);
    assert_eq!(list(&rdms, APPLICATIONS).await.len(), 2);

    // an instance comes back whole, with what is to be changed
    let mut back = Params(shown.properties.clone());
    back.0.iter_mut().find(|(name, _)| name == "Folder").unwrap().1 = Value::Null;
    let back = back.with("displayname", "twice");
    let twice = rdms.put(&admin(), &application_path("paint"), back.clone()).await.unwrap_err();
    assert_eq!(twice.code, WmiCode::WBEM_E_INVALID_PARAMETER);
    let back = Params(back.0.into_iter().filter(|(name, _)| name != "displayname").collect());
    let changed = rdms.put(&admin(), &application_path("paint"), back).await.unwrap();
    assert_eq!((changed.get("Folder"), changed.get("IconIndex")), (&Value::Null, &Value::Sint32(-3)));
    let audit = world.engine.store().audit(1).await.unwrap();
    assert_eq!((audit[0].target.as_str(), audit[0].detail.as_str()), ("pool/paint", "Folder"));

    rdms.delete(&admin(), &application_path("PAINT")).await.unwrap();
    let gone = rdms.delete(&admin(), &application_path("paint")).await.unwrap_err();
    assert_eq!(gone.code, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(
        rdms.get(&admin(), &application_path("paint")).await.unwrap_err().code,
        WmiCode::WBEM_E_NOT_FOUND
    );
    assert_eq!(list(&rdms, APPLICATIONS).await.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_an_application_is_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    let before = list(&rdms, APPLICATIONS).await;
    let invalid = WmiCode::WBEM_E_INVALID_PARAMETER;
    let long = || "x".repeat(10_000);
    let wrong = [
        ("AppAlias", Value::from("a/b"), invalid),
        ("AppAlias", "".into(), invalid),
        ("AppAlias", long().into(), invalid),
        ("AppAlias", "a\u{1f}b".into(), invalid),
        ("AppAlias", Value::Null, WmiCode::WBEM_E_ILLEGAL_NULL),
        ("AppAlias", 5_u32.into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("PoolName", "nowhere".into(), WmiCode::WBEM_E_NOT_FOUND),
        ("PoolName", long().into(), invalid),
        ("PoolName", Value::Null, WmiCode::WBEM_E_ILLEGAL_NULL),
        ("AppPath", Value::Null, WmiCode::WBEM_E_ILLEGAL_NULL),
        ("AppPath", " ".into(), invalid),
        ("AppPath", long().into(), invalid),
        ("DisplayName", "".into(), invalid),
        ("DisplayName", "a\nb".into(), invalid),
        ("DisplayName", long().into(), invalid),
        ("SecurityDescriptor", "everybody".into(), invalid),
        ("SecurityDescriptor", long().into(), invalid),
        ("SecurityDescriptor", "D:(XA;;FX;;;WD;(a))".into(), invalid),
        ("VirtualPath", long().into(), invalid),
        ("CommandLineSetting", 3_u32.into(), invalid),
        ("CommandLineSetting", "Allow".into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("RequiredCommandLine", long().into(), invalid),
        ("Folder", long().into(), invalid),
        ("IconPath", long().into(), invalid),
        ("IconIndex", true.into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("IconContents", vec![7_u8; 12_289].into(), invalid),
        ("IconContents", vec!["x"].into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("ShowInPortal", "yes".into(), WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS),
        ("Colour", "red".into(), invalid),
    ];
    for (property, value, why) in wrong {
        let told = format!("{property} {:.40?}", value.text());
        let mut given = application("New");
        given.0.retain(|(name, _)| name != property);
        let refused = rdms.create(&admin(), &of(APPLICATIONS), given.with(property, value.clone())).await;
        assert_eq!(refused.unwrap_err().code, why, "{told}");
        // and the same in a change, but for what says which it is
        let of_key = ["AppAlias", "PoolName"].contains(&property);
        let refused = rdms.put(&admin(), &application_path("Editor"), none().with(property, value)).await;
        let why = if of_key { WmiCode::WBEM_E_READ_ONLY } else { why };
        assert_eq!(refused.unwrap_err().code, why, "{told}");
    }
    for wrong in ["a/b", "", "a\u{1f}b", &long()] {
        let missing = rdms.get(&admin(), &application_path(wrong)).await.unwrap_err();
        assert_eq!(missing.code, WmiCode::WBEM_E_NOT_FOUND);
    }
    assert_eq!(list(&rdms, APPLICATIONS).await, before);
}

fn association(extension: &str) -> Params {
    none().with("AppAlias", "EDITOR").with("PoolName", "pool").with("ExtName", extension)
}

fn association_path(extension: &str) -> ObjectPath {
    of(TYPES).with_key("AppAlias", "editor").with_key("PoolName", "pool").with_key("ExtName", extension)
}

#[tokio::test]
async fn file_types_belong_to_an_application_and_go_with_it() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let create = async |params: Params| rdms.create(&admin(), &of(TYPES), params).await;
    assert_eq!(
        create(association(".txt")).await.unwrap_err().code,
        WmiCode::WBEM_E_NOT_FOUND,
        "no application"
    );
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor2")).await.unwrap();
    let made =
        create(association(".Txt").with("ProgIdHint", "Text.File").with("IsPrimaryHandler", true)).await;
    assert_eq!(made.unwrap().key("AppAlias"), Some(&"Editor".into()), "as the application is spelled");
    create(association(".md").with("AppAlias", "editor2")).await.unwrap_err();
    let of_other = none().with("AppAlias", "editor2").with("PoolName", "pool").with("ExtName", ".md");
    create(of_other).await.unwrap();
    let shown = rdms.get(&admin(), &association_path(".TXT")).await.unwrap();
    assert_eq!((shown.get("IsPublished"), shown.get("IsPrimaryHandler")), (&true.into(), &true.into()));
    assert_eq!(create(association(".TXT")).await.unwrap_err().code, WmiCode::WBEM_E_ALREADY_EXISTS);
    let invalid = WmiCode::WBEM_E_INVALID_PARAMETER;
    for (params, why) in [
        (association("txt"), invalid),
        (association("."), invalid),
        (association(".a b"), invalid),
        (association(&"x".repeat(10_000)), invalid),
        (association(".c").with("ProgIdHint", "x".repeat(10_000)), invalid),
        (association(".c").with("IconContents", vec![1_u8; 20_000]), invalid),
        (none().with("AppAlias", "editor").with("PoolName", "pool"), WmiCode::WBEM_E_ILLEGAL_NULL),
    ] {
        assert_eq!(create(params).await.unwrap_err().code, why);
    }
    let change = none().with("IsPublished", false).with("IconContents", vec![1_u8]);
    let changed = rdms.put(&admin(), &association_path(".txt"), change).await.unwrap();
    assert_eq!(
        (changed.get("IsPublished"), changed.get("IconContents")),
        (&false.into(), &vec![1_u8].into())
    );
    for (property, value) in [("ProgIdHint", "other"), ("ExtName", ".c")] {
        let fixed = rdms.put(&admin(), &association_path(".txt"), none().with(property, value)).await;
        assert_eq!(fixed.unwrap_err().code, WmiCode::WBEM_E_READ_ONLY, "{property}");
    }
    let null = rdms.put(&admin(), &association_path(".txt"), none().with("IsPublished", Value::Null)).await;
    assert_eq!(null.unwrap_err().code, WmiCode::WBEM_E_ILLEGAL_NULL);
    assert_eq!(list(&rdms, TYPES).await.len(), 2);
    rdms.delete(&admin(), &application_path("editor")).await.unwrap();
    let left = list(&rdms, TYPES).await;
    assert_eq!(left.iter().map(|left| left.get("ExtName").clone()).collect::<Vec<_>>(), [Value::from(".md")]);
    let gone = rdms.delete(&admin(), &association_path(".txt")).await.unwrap_err();
    assert_eq!(gone.code, WmiCode::WBEM_E_NOT_FOUND);
    world.engine.delete_collection("pool").await.unwrap();
    assert!(list(&rdms, TYPES).await.is_empty() && list(&rdms, APPLICATIONS).await.is_empty());
}

#[tokio::test]
async fn what_is_served_changes_with_a_synchronisation_and_not_before() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let served = async || world.engine.store().document::<Publication>("").await.unwrap().map(|s| s.document);
    let aliases = |p: &Publication| p.applications.iter().map(|a| a.alias.clone()).collect::<Vec<_>>();
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    rdms.create(&admin(), &of(APPLICATIONS), application("Hidden").with("ShowInPortal", false))
        .await
        .unwrap();
    for (extension, published) in [(".txt", true), (".md", false)] {
        let association = association(extension).with("IsPublished", published);
        rdms.create(&admin(), &of(TYPES), association).await.unwrap();
    }
    let of_hidden = none().with("AppAlias", "Hidden").with("PoolName", "pool").with("ExtName", ".x");
    rdms.create(&admin(), &of(TYPES), of_hidden).await.unwrap();
    assert_eq!(served().await, None);
    assert_eq!(code(&rdms, DATA, "SynchronizeAllPublishingData", none()).await, OK);
    let first = served().await.unwrap();
    assert_eq!((first.version, aliases(&first)), (1, vec!["Editor".to_owned()]));
    assert_eq!(first.collections.iter().map(|c| c.alias.as_str()).collect::<Vec<_>>(), ["pool"]);
    let types: Vec<_> = first.associations.iter().map(|found| found.extension.as_str()).collect();
    assert_eq!(types, [".txt"], "those that are published, of applications that are shown");

    // nothing differs: the same version
    assert_eq!(code(&rdms, DATA, "SynchronizeAllPublishingData", none()).await, OK);
    assert_eq!(served().await.unwrap(), first);

    let lab = none().with("Alias", "lab").with("Size", 0_u32);
    rdms.create(&admin(), &ObjectPath::class(crate::OURS, "OpenRDMS_Collection"), lab).await.unwrap();
    let of_lab = none().with("AppAlias", "Paint").with("PoolName", "lab").with("AppPath", "/bin/paint");
    rdms.create(&admin(), &of(APPLICATIONS), of_lab).await.unwrap();
    rdms.delete(&admin(), &application_path("editor")).await.unwrap();
    assert_eq!(served().await.unwrap(), first, "what is edited is not served yet");
    let part = |context: &str| none().with("Context", context);
    assert_eq!(code(&rdms, DATA, "SynchronizePublishingData", part("LAB")).await, OK);
    let second = served().await.unwrap();
    assert_eq!((second.version, aliases(&second)), (2, vec!["Paint".to_owned(), "Editor".to_owned()]));
    assert_eq!(code(&rdms, DATA, "SynchronizePublishingData", none()).await, OK);
    let third = served().await.unwrap();
    assert_eq!((third.version, aliases(&third)), (3, vec!["Paint".to_owned()]));
    assert!(third.associations.is_empty());

    for (context, why) in
        [("nowhere", WmiCode::WBEM_E_NOT_FOUND), (&*"x".repeat(10_000), WmiCode::WBEM_E_NOT_FOUND)]
    {
        assert_eq!(code(&rdms, DATA, "SynchronizePublishingData", part(context)).await, why);
    }
    let wrong = invoke(&rdms, &of(DATA), "SynchronizePublishingData", none().with("Context", 5_u32)).await;
    assert_eq!(wrong.unwrap_err().code, WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS);
    assert_eq!(served().await.unwrap(), third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn synchronisations_at_the_same_time_lose_nothing() {
    let world = World::new().await;
    let rdms = std::sync::Arc::new(rdms(&world.engine));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6 {
        let rdms = rdms.clone();
        tasks.spawn(async move {
            rdms.create(&admin(), &of(APPLICATIONS), application(&format!("App{number}"))).await.unwrap();
            // one that others were always faster than says so, and is called again
            while code(&rdms, DATA, "SynchronizeAllPublishingData", none()).await != OK {}
        });
    }
    tasks.join_all().await;
    let served = world.engine.store().document::<Publication>("").await.unwrap().unwrap().document;
    assert_eq!(served.applications.len(), 6);
    assert!(served.version <= 6, "{}", served.version);
}

#[tokio::test]
async fn too_much_is_not_published() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let pool = world.engine.store().collection("pool").await.unwrap().unwrap().alias;
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    let store = world.engine.store();
    let one = store.document::<PublishedApplication>("pool\u{1f}editor").await.unwrap().unwrap().document;
    // icons of more bytes than one instance may have: few are enough
    for number in 0..3 {
        let mut one =
            PublishedApplication { alias: format!("a{number}"), collection: pool.clone(), ..one.clone() };
        one.icon.contents = Some(vec![0; 3 << 20]);
        store.insert_document(&one).await.unwrap();
    }
    let refused = code(&rdms, DATA, "SynchronizeAllPublishingData", none()).await;
    assert_eq!(refused, WmiCode::WBEM_E_QUOTA_VIOLATION);
    assert_eq!(store.document::<Publication>("").await.unwrap(), None);
}

#[tokio::test]
async fn only_administrators_see_or_change_the_deployment() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    rdms.create(&admin(), &of(APPLICATIONS), application("Editor")).await.unwrap();
    let alice = user("alice");
    let denied = WmiCode::WBEM_E_ACCESS_DENIED;
    for class in [SETTINGS, ENVIRONMENT, NODES, DATA, APPLICATIONS, TYPES] {
        let what = Enumeration { class: of(class), condition: None };
        let listed = rdms.enumerate(&alice, &what, None, Limits { max_elements: 9 }).await;
        assert_eq!(listed.unwrap_err().code, denied, "{class}");
        let declared = rdms.repository().class(MICROSOFT, class).unwrap();
        let named = declared.keys().fold(of(class), |path, key| path.with_key(&key.name, "x"));
        assert_eq!(rdms.get(&alice, &named).await.unwrap_err().code, denied, "{class}");
        for method in &declared.methods {
            let on = if method.is_static() { of(class) } else { named.clone() };
            let refused = rdms.invoke(&alice, &on, &method.name, none(), &[]).await;
            assert_eq!(refused.unwrap_err().code, denied, "{class}.{}", method.name);
        }
    }
    assert_eq!(rdms.create(&alice, &of(APPLICATIONS), application("New")).await.unwrap_err().code, denied);
    assert_eq!(rdms.create(&alice, &of(TYPES), association(".c")).await.unwrap_err().code, denied);
    let change = none().with("Folder", "x");
    assert_eq!(rdms.put(&alice, &application_path("Editor"), change).await.unwrap_err().code, denied);
    assert_eq!(rdms.delete(&alice, &application_path("Editor")).await.unwrap_err().code, denied);
    // classes of methods have no instances to make or remove
    let not_capable = WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE;
    assert_eq!(rdms.create(&admin(), &of(SETTINGS), none()).await.unwrap_err().code, not_capable);
    assert_eq!(rdms.delete(&admin(), &of(ENVIRONMENT)).await.unwrap_err().code, not_capable);
    assert_eq!(rdms.get(&admin(), &of(DATA)).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    assert!(list(&rdms, SETTINGS).await.is_empty());
}
