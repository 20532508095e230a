//! What Windows Server 2008's broker told, of the same sessions and hosts.

use crate::support::World;
use crate::{MICROSOFT, admin, rdms, user};
use openrdms_cim::{CimService as _, Enumeration, Instance, Limits, ObjectPath, Params, Value, WmiCode};
use openrdms_rdms::Rdms;

const NAMESPACE: &str = "root/cimv2";

fn of(class: &str) -> ObjectPath {
    ObjectPath::class(NAMESPACE, class)
}

async fn list(rdms: &Rdms, who: &openrdms_cim::Principal, class: &str) -> Result<Vec<Instance>, WmiCode> {
    let what = Enumeration { class: of(class), condition: None };
    let page = rdms.enumerate(who, &what, None, Limits { max_elements: 100 }).await;
    page.map(|page| page.instances).map_err(|error| error.code)
}

#[tokio::test]
async fn a_session_is_active_while_a_client_is_attached_and_disconnected_otherwise() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let _bob = world.active("bob").await;
    let sessions = list(&rdms, &user("ALICE"), "Win32_SessionDirectorySession").await.unwrap();
    let [session] = &sessions[..] else { panic!("alice sees {}", sessions.len()) };
    for (property, value) in [
        ("ServerName", Value::from("host")),
        ("UserName", "alice".into()),
        ("DomainName", "TEST".into()),
        ("TSProtocol", 2_u32.into()),
        ("SessionState", 0_u32.into()),
        ("DisconnectTime", Value::Null),
    ] {
        assert_eq!(session.get(property), &value, "{property}");
    }
    let path = of("Win32_SessionDirectorySession")
        .with_key("ServerName", "HOST")
        .with_key("SessionID", session.get("SessionID").clone());
    assert_eq!(rdms.get(&user("bob"), &path).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    client.goes_away().await;
    let session = rdms.get(&admin(), &path).await.unwrap();
    // not 4, as ConnectState says it
    assert_eq!(session.get("SessionState"), &1_u32.into());
    assert!(!session.get("DisconnectTime").is_null() && !session.get("CreateTime").is_null());
    assert_eq!(session.get("ResolutionWidth"), &Value::Null);
    let half = of("Win32_SessionDirectorySession").with_key("ServerName", "host");
    for missing in [half.clone(), half.with_key("SessionID", 4_000_000_000_u32)] {
        assert_eq!(rdms.get(&admin(), &missing).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    }
}

#[tokio::test]
async fn hosts_are_servers_of_one_farm() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let _client = world.active("alice").await;
    let servers = list(&rdms, &admin(), "Win32_SessionDirectoryServer").await.unwrap();
    let [server] = &servers[..] else { panic!("there are {}", servers.len()) };
    for (property, value) in [
        ("ServerName", Value::from("host")),
        ("ClusterName", "TEST".into()),
        ("NumberOfSessions", 1_u32.into()),
        ("SingleSessionMode", 1_u32.into()),
        ("NumPendRedir", 0_u32.into()),
    ] {
        assert_eq!(server.get(property), &value, "{property}");
    }
    let farms = list(&rdms, &admin(), "Win32_SessionDirectoryCluster").await.unwrap();
    let [farm] = &farms[..] else { panic!("there are {}", farms.len()) };
    assert_eq!((farm.get("ClusterName"), farm.get("NumberOfServers")), (&"TEST".into(), &1_u32.into()));
    let by_name = of("Win32_SessionDirectoryCluster").with_key("ClusterName", "test");
    assert_eq!(&rdms.get(&admin(), &by_name).await.unwrap(), farm);
    for (class, key) in [("Cluster", "ClusterName"), ("Server", "ServerName")] {
        let class = format!("Win32_SessionDirectory{class}");
        let path = of(&class).with_key(key, "nowhere");
        assert_eq!(rdms.get(&admin(), &path).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
        assert_eq!(rdms.get(&user("alice"), &path).await.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
        assert_eq!(list(&rdms, &user("alice"), &class).await, Err(WmiCode::WBEM_E_ACCESS_DENIED));
        let refused = rdms.create(&admin(), &of(&class), Params::default()).await.unwrap_err();
        assert_eq!(refused.code, WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE);
    }
    // and in no other namespace
    let elsewhere = ObjectPath::class(MICROSOFT, "Win32_SessionDirectoryCluster");
    assert_eq!(rdms.get(&admin(), &elsewhere).await.unwrap_err().code, WmiCode::WBEM_E_INVALID_CLASS);
}
