//! What the classes list, show and do.

use crate::support::World;
use crate::{MICROSOFT, OURS, admin, rdms, user};
use openrdms_broker::session::StateName;
use openrdms_broker::{Collection, CollectionKind, Outcome, Timestamp};
use openrdms_cim::{
    CimError, CimService as _, Enumeration, Instance, Limits, ObjectPath, Params, Principal, Type, Value,
    WmiCode,
};
use openrdms_rdms::Rdms;

async fn list(rdms: &Rdms, who: &Principal, namespace: &str, class: &str) -> Result<Vec<Instance>, CimError> {
    let what = Enumeration { class: ObjectPath::class(namespace, class), condition: None };
    let (mut all, mut after) = (Vec::new(), None::<String>);
    loop {
        // one at a time, so that every cursor is tried
        let page = rdms.enumerate(who, &what, after.as_deref(), Limits { max_elements: 1 }).await?;
        all.extend(page.instances);
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

fn session_path(session: &Instance) -> ObjectPath {
    ObjectPath::class(MICROSOFT, "win32_virtualdesktopsession")
        .with_key("VMHostName", session.get("VMHostName").clone())
        .with_key("SessionId", session.get("SessionId").clone())
}

async fn call(
    rdms: &Rdms,
    who: &Principal,
    path: &ObjectPath,
    method: &str,
    params: Params,
) -> Result<u32, CimError> {
    let result = rdms.invoke(who, path, method, params, &[]).await?;
    match result.return_value {
        Value::Uint32(code) => Ok(code),
        other => panic!("ReturnValue is {other:?}"),
    }
}

fn type_of(value: &Value) -> Option<Type> {
    match value {
        Value::Boolean(_) => Some(Type::Boolean),
        Value::Uint8(_) => Some(Type::Uint8),
        Value::Uint16(_) => Some(Type::Uint16),
        Value::Uint32(_) => Some(Type::Uint32),
        Value::Uint64(_) => Some(Type::Uint64),
        Value::Sint32(_) => Some(Type::Sint32),
        Value::String(_) => Some(Type::String),
        Value::Datetime { .. } => Some(Type::Datetime),
        Value::Array(items) => items.first().and_then(type_of),
        other => panic!("no provider has given {other:?} so far"),
    }
}

#[tokio::test]
async fn what_providers_give_is_what_the_schema_declares() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let alias = openrdms_broker::CollectionAlias::new("staff").unwrap();
    world
        .engine
        .create_collection(Collection {
            size: 1,
            users: Some(vec![crate::support::user("bob")]),
            ..Collection::new(alias, Timestamp(0))
        })
        .await
        .unwrap();
    let own = Collection {
        kind: CollectionKind::ManualPersonal,
        size: 1,
        ..Collection::new("own".parse().unwrap(), Timestamp(0))
    };
    world.engine.create_collection(own).await.unwrap();
    world.engine.assign(&"own-001".parse().unwrap(), &crate::support::user("bob")).await.unwrap();
    let application =
        Params::default().with("AppAlias", "a").with("PoolName", "pool").with("AppPath", "/bin/a");
    for (class, params) in [
        ("Win32_RDMSPublishedApplication", application.clone().with("IconContents", vec![1_u8])),
        ("Win32_RDMSFileTypeAssociation", Params(application.0[..2].to_vec()).with("ExtName", ".a")),
    ] {
        rdms.create(&admin(), &ObjectPath::class(MICROSOFT, class), params).await.unwrap();
    }
    let settings = ObjectPath::class(MICROSOFT, "Win32_RDMSDeploymentSettings");
    let setting = Params::default().with("Key", "Name").with("Value", "value");
    rdms.invoke(&admin(), &settings, "SetStringProperty", setting, &[]).await.unwrap();
    let _client = world.active_in("alice", "pool").await;
    for namespace in rdms.repository().namespaces() {
        // system classes have no instances of their own, and abstract ones neither
        let own = |class: &&openrdms_cim::Class| !class.name.starts_with("__") && !class.is_abstract();
        for class in rdms.repository().classes(namespace).filter(own) {
            let instances = match list(&rdms, &admin(), namespace, &class.name).await {
                // events have no list
                Err(error) if error.code == WmiCode::WBEM_E_NOT_SUPPORTED => continue,
                listed => listed.unwrap(),
            };
            // a class without properties has methods only
            let some = !instances.is_empty();
            assert_eq!(some, !class.properties.is_empty(), "{} has no instance to look at", class.name);
            for instance in &instances {
                assert_eq!(
                    (instance.class.as_str(), instance.namespace.as_str()),
                    (class.name.as_str(), namespace)
                );
                for (name, value) in &instance.properties {
                    let property = class.property(name).unwrap_or_else(|| panic!("{}.{name}", class.name));
                    let fits = value.is_null() || type_of(value).is_none_or(|ty| ty == property.ty);
                    assert!(fits, "{}.{name} is {value:?}", class.name);
                    assert_eq!(matches!(value, Value::Array(_)), property.array && !value.is_null());
                    assert!(
                        !(property.is_key() && value.is_null()),
                        "{}.{name} is a key and null",
                        class.name
                    );
                }
                // and every instance is found by its own path
                let path = instance.path(class);
                assert_eq!(rdms.get(&admin(), &path).await.unwrap().path(class), path);
            }
        }
    }
}

#[tokio::test]
async fn disconnect_through_the_documented_class() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let uid = client.session;
    let relay = client.obey();
    let sessions = list(&rdms, &admin(), MICROSOFT, "Win32_VirtualDesktopSession").await.unwrap();
    assert_eq!(sessions[0].get("ConnectState"), &Value::Uint32(0));
    assert_eq!(sessions[0].get("ClientMachineName"), &Value::from("PC"));
    let path = session_path(&sessions[0]);
    assert_eq!(call(&rdms, &admin(), &path, "disconnect", Params::default()).await.unwrap(), 0);
    relay.await.unwrap();
    let after = rdms.get(&admin(), &path).await.unwrap();
    assert_eq!(after.get("ConnectState"), &Value::Uint32(4));
    assert_eq!(after.get("ClientMachineName"), &Value::Null);
    let audit = world.engine.store().audit(10).await.unwrap();
    let line = audit.iter().find(|line| line.action == "Win32_VirtualDesktopSession.Disconnect").unwrap();
    assert_eq!((line.outcome.clone(), line.subject.as_str()), (Outcome::Done, "TEST\\alice"));
    assert_eq!(line.detail, "client: Told");
    assert_eq!(world.session(uid).await.state.name(), StateName::Disconnected);
}

#[tokio::test]
async fn users_see_and_end_their_own_sessions_and_no_others() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let alice = world.active("alice").await;
    let bob = world.active("bob").await;
    let class = "Win32_VirtualDesktopSession";
    let seen = list(&rdms, &user("bob"), MICROSOFT, class).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].get("UserName"), &Value::from("bob"));
    let all = list(&rdms, &admin(), MICROSOFT, class).await.unwrap();
    let of_alice = all.iter().find(|s| s.get("UserName") == &Value::from("alice")).unwrap();
    let path = session_path(of_alice);
    let error = rdms.get(&user("bob"), &path).await.unwrap_err();
    assert_eq!(error.code, WmiCode::WBEM_E_NOT_FOUND);
    let missing =
        ObjectPath::class(MICROSOFT, class).with_key("VMHostName", "host").with_key("SessionId", 999_u32);
    let nothing = rdms.get(&user("bob"), &missing).await.unwrap_err();
    assert_eq!(error.message, nothing.message, "a caller must not be told that another's session exists");
    let error = call(&rdms, &user("bob"), &path, "Disconnect", Params::default()).await.unwrap_err();
    assert_eq!(error.code, WmiCode::WBEM_E_NOT_FOUND);
    assert_eq!(alice.kill.thrown(), None);
    let relay = bob.obey();
    assert_eq!(
        call(&rdms, &user("bob"), &session_path(&seen[0]), "Disconnect", Params::default()).await.unwrap(),
        0
    );
    relay.await.unwrap();
    for class in ["OpenRDMS_User", "OpenRDMS_Desktop", "OpenRDMS_Collection"] {
        let error = list(&rdms, &user("bob"), OURS, class).await.unwrap_err();
        assert_eq!(error.code, WmiCode::WBEM_E_ACCESS_DENIED, "{class}");
    }
}

#[tokio::test]
async fn failures_are_return_values_in_their_classes_and_faults_in_ours() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let sessions = list(&rdms, &admin(), MICROSOFT, "Win32_VirtualDesktopSession").await.unwrap();
    let path = session_path(&sessions[0]);
    let long = Params::default().with("Title", "t").with("Message", "x".repeat(5000));
    let code = call(&rdms, &admin(), &path, "SendMessage", long.clone()).await.unwrap();
    assert_eq!(WmiCode(code), WmiCode::WBEM_E_INVALID_PARAMETER);
    let ours = ObjectPath::class(OURS, "OpenRDMS_Session").with_key("Uid", client.session.to_string());
    let error = call(&rdms, &admin(), &ours, "SendMessage", long).await.unwrap_err();
    assert_eq!(error.code, WmiCode::WBEM_E_INVALID_PARAMETER);
    let options = [("expecteduser".to_owned(), "bob".to_owned())];
    let result = rdms.invoke(&admin(), &path, "Disconnect", Params::default(), &options).await.unwrap();
    assert_eq!(result.return_value, Value::from(WmiCode::WBEM_E_INVALID_OBJECT));
    assert_eq!(client.kill.thrown(), None);
}

#[tokio::test]
async fn wrong_calls_are_told_apart() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let _client = world.active("alice").await;
    let sessions = list(&rdms, &admin(), MICROSOFT, "Win32_VirtualDesktopSession").await.unwrap();
    let path = session_path(&sessions[0]);
    let invoke = |path: ObjectPath, method: &'static str, params: Params| {
        let rdms = &rdms;
        async move { call(rdms, &admin(), &path, method, params).await.unwrap_err().code }
    };
    assert_eq!(invoke(path.clone(), "Explode", Params::default()).await, WmiCode::WBEM_E_INVALID_METHOD);
    let extra = Params::default().with("Force", true);
    assert_eq!(invoke(path.clone(), "Disconnect", extra).await, WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS);
    let class = ObjectPath::class(MICROSOFT, "Win32_VirtualDesktopSession");
    assert_eq!(invoke(class, "Disconnect", Params::default()).await, WmiCode::WBEM_E_INVALID_OBJECT_PATH);
    let unknown = ObjectPath::class(MICROSOFT, "Win32_Nothing");
    assert_eq!(rdms.get(&admin(), &unknown).await.unwrap_err().code, WmiCode::WBEM_E_INVALID_CLASS);
    let nowhere = ObjectPath::class("root/nowhere", "Win32_VirtualDesktopSession");
    assert_eq!(rdms.get(&admin(), &nowhere).await.unwrap_err().code, WmiCode::WBEM_E_INVALID_NAMESPACE);
}

#[tokio::test]
async fn accounts_and_collections_through_their_classes() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let users = ObjectPath::class(OURS, "OpenRDMS_User");
    let dora = Params::default().with("UserName", "dora").with("Password", "pw").with("Role", "admin");
    call(&rdms, &admin(), &users, "AddUser", dora.clone()).await.unwrap();
    let again = call(&rdms, &admin(), &users, "AddUser", dora).await.unwrap_err();
    assert_eq!(again.code, WmiCode::WBEM_E_ALREADY_EXISTS);
    let path = users.clone().with_key("DomainName", "test").with_key("UserName", "DORA");
    assert_eq!(rdms.get(&admin(), &path).await.unwrap().get("Role"), &Value::from("admin"));
    call(&rdms, &admin(), &path, "SetPassword", Params::default().with("Password", "new")).await.unwrap();
    let stored = world.engine.store().account(&crate::support::user("dora")).await.unwrap().unwrap();
    assert_eq!(stored.credentials.password_hash, "new");
    let empty = call(&rdms, &admin(), &path, "SetPassword", Params::default().with("Password", "")).await;
    assert_eq!(empty.unwrap_err().code, WmiCode::WBEM_E_INVALID_PARAMETER);
    call(&rdms, &admin(), &path, "DeleteUser", Params::default()).await.unwrap();
    assert_eq!(rdms.get(&admin(), &path).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);

    let collections = ObjectPath::class(OURS, "OpenRDMS_Collection");
    let create =
        |users: Value| Params::default().with("Alias", "lab").with("Size", 2_u32).with("Users", users);
    let ghost = create(Value::Array(vec![Value::from("ghost")]));
    let error = call(&rdms, &admin(), &collections, "CreateCollection", ghost).await.unwrap_err();
    assert!(error.message.contains("ghost"), "{error}");
    call(&rdms, &admin(), &collections, "CreateCollection", create(Value::Null)).await.unwrap();
    assert_eq!(list(&rdms, &admin(), OURS, "OpenRDMS_Desktop").await.unwrap().len(), 4);
    // no password is in the audit trail
    let trail = format!("{:?}", world.engine.store().audit(50).await.unwrap());
    assert!(!trail.contains("\"pw\"") && !trail.contains("\"new\""), "{trail}");
    let denied = call(&rdms, &user("alice"), &collections, "CreateCollection", create(Value::Null)).await;
    assert_eq!(denied.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
}

#[tokio::test]
async fn limits_are_parameters_and_properties_of_a_collection() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let pool = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", "POOL");
    let set = |params: Params| {
        let (rdms, pool) = (&rdms, &pool);
        async move { call(rdms, &admin(), pool, "SetLimits", params).await }
    };
    let first = Params::default().with("IdleLimitSeconds", 1800_u32).with("LimitAction", "logoff");
    assert_eq!(set(first).await.unwrap(), 0);
    let second = Params::default().with("ActiveLimitSeconds", 28_800_u32).with("LimitAction", Value::Null);
    assert_eq!(set(second).await.unwrap(), 0);
    let shown = rdms.get(&admin(), &pool).await.unwrap();
    let pool_limits: Vec<_> = [
        "IdleLimitSeconds",
        "ActiveLimitSeconds",
        "DisconnectedLimitSeconds",
        "LimitAction",
        "LimitWarningSeconds",
    ]
    .map(|name| shown.get(name).clone())
    .into();
    let expected: [Value; 5] =
        [1800_u32.into(), 28_800_u32.into(), 0_u32.into(), "Logoff".into(), 60_u32.into()];
    assert_eq!(pool_limits, expected);
    let wrong = set(Params::default().with("LimitAction", "Shout")).await.unwrap_err();
    assert_eq!(wrong.code, WmiCode::WBEM_E_INVALID_PARAMETER);
    let none = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", "nowhere");
    let error = call(&rdms, &admin(), &none, "SetLimits", Params::default()).await.unwrap_err();
    assert_eq!(error.code, WmiCode::WBEM_E_NOT_FOUND);
    let denied = call(&rdms, &user("alice"), &pool, "SetLimits", Params::default()).await.unwrap_err();
    assert_eq!(denied.code, WmiCode::WBEM_E_ACCESS_DENIED);
    let audit = world.engine.store().audit(10).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "OpenRDMS_Collection.SetLimits" && line.target == "POOL"));
    // and a collection may be made with them
    let collections = ObjectPath::class(OURS, "OpenRDMS_Collection");
    let create = Params::default().with("Alias", "lab").with("DisconnectedLimitSeconds", 60_u32);
    call(&rdms, &admin(), &collections, "CreateCollection", create).await.unwrap();
    let lab = world.engine.store().collection("lab").await.unwrap().unwrap();
    assert_eq!((lab.limits.disconnected, lab.limits.warning), (60, 60));
}
