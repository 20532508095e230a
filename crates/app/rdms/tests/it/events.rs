//! What happens to sessions, as subscribers are told of it.

use crate::support::World;
use crate::{MICROSOFT, OURS, rdms, user};
use openrdms_broker::{AccountChange, Credentials, Role, Timestamp};
use openrdms_cim::service::{Since, Told, Watch};
use openrdms_cim::wql::Select;
use openrdms_cim::{CimError, CimService as _, Instance, Limits, Principal, Value, WmiCode};
use openrdms_rdms::Rdms;

const ALL: &str = "SELECT * FROM __InstanceOperationEvent WITHIN 5";

/// Who comes through the Unix socket as root: no account of the deployment.
fn root() -> Principal {
    Principal { name: "uid:0".into(), admin: true, from: "test".into(), proof: None }
}

fn watch(namespace: &str, query: &str) -> Watch {
    Watch { namespace: namespace.to_owned(), query: Select::parse(query).unwrap() }
}

async fn told(rdms: &Rdms, who: &Principal, what: &Watch, after: u64, most: usize) -> Result<Told, CimError> {
    rdms.changes(who, what, after, Limits { max_elements: most }).await
}

/// Everything after a position, read in small pages.
async fn all(rdms: &Rdms, who: &Principal, what: &Watch, mut after: u64) -> Vec<Instance> {
    let mut found = Vec::new();
    loop {
        match told(rdms, who, what, after, 3).await {
            Ok(Told::Events { events, read_to }) if events.is_empty() => {
                assert!(read_to >= after);
                return found;
            }
            Ok(Told::Events { events, read_to }) => {
                assert!(events.len() <= 3);
                assert!(events.is_sorted_by(|a, b| a.position < b.position));
                assert!(events.iter().all(|e| e.position > after && e.position <= read_to));
                after = read_to;
                found.extend(events.into_iter().map(|e| e.event));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn embedded<'a>(event: &'a Instance, name: &str) -> &'a Instance {
    match event.get(name) {
        Value::Object(instance) => instance,
        other => panic!("{name} is {other:?}"),
    }
}

fn told_of(events: &[Instance], property: &str) -> Vec<(String, Value)> {
    let of =
        |event: &Instance| (event.class.clone(), embedded(event, "TargetInstance").get(property).clone());
    events.iter().map(of).collect()
}

#[tokio::test]
async fn a_session_s_life_is_told_in_order_with_what_was_before() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let what = watch(MICROSOFT, ALL);
    let start = rdms.watch(&root(), &what, Since::Now).await.unwrap().unwrap();
    let client = world.active("alice").await;
    let uid = client.session;
    client.goes_away().await;
    world.engine.logoff(uid, &Default::default()).await.unwrap();

    let events = all(&rdms, &root(), &what, start).await;
    let (created, modified, deleted) =
        ("__InstanceCreationEvent", "__InstanceModificationEvent", "__InstanceDeletionEvent");
    // the second is the client's name, which comes with the attach
    let expected: [(&str, u32); 6] =
        [(created, 9), (modified, 9), (modified, 0), (modified, 4), (modified, 7), (deleted, 7)];
    let expected = expected.map(|(class, state)| (class.to_owned(), Value::from(state)));
    assert_eq!(told_of(&events, "ConnectState"), expected);
    for pair in events.windows(2).filter(|pair| pair[1].class == modified) {
        assert_eq!(embedded(&pair[0], "TargetInstance"), embedded(&pair[1], "PreviousInstance"));
    }
    for event in &events {
        let target = embedded(event, "TargetInstance");
        assert_eq!(
            (target.class.as_str(), target.namespace.as_str()),
            ("Win32_VirtualDesktopSession", MICROSOFT)
        );
        assert_eq!(target.get("UserName"), &Value::from("alice"));
        let at = event.get("TIME_CREATED").as_int().unwrap() / 10_000 - 11_644_473_600_000;
        assert!(world.engine.now().since(Timestamp(i64::try_from(at).unwrap())).as_secs() < 60, "{at}");
    }

    let ours = watch(OURS, ALL);
    let events = all(&rdms, &root(), &ours, start).await;
    let last = embedded(events.last().unwrap(), "TargetInstance");
    assert_eq!(last.get("Uid"), &Value::from(uid.to_string()));
    assert_eq!(last.get("StateReason"), &Value::from("logged off by an administrator"), "why it has ended");
}

#[tokio::test]
async fn what_nobody_can_see_is_no_event() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let what = watch(OURS, ALL);
    let client = world.active("alice").await;
    let session = world.session(client.session).await;
    let before = rdms.watch(&root(), &what, Since::Now).await.unwrap().unwrap();
    world.engine.store().update_session(&session).await.unwrap();
    let Told::Events { events, read_to } = told(&rdms, &root(), &what, before, 10).await.unwrap() else {
        panic!("nothing is lost")
    };
    assert_eq!((events.len(), read_to), (0, before + 1), "it is passed over, and not looked at again");
}

#[tokio::test]
async fn a_query_chooses_among_events() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let alice = world.active("alice").await;
    let bob = world.active("bob").await;
    alice.goes_away().await;
    world.engine.logoff(bob.session, &Default::default()).await.ok();
    for (query, expected) in [
        ("SELECT * FROM __InstanceCreationEvent WITHIN 5 WHERE TargetInstance ISA 'Win32_VirtualDesktopSession'", 2),
        ("select * from __instancecreationevent where targetinstance.username = 'ALICE'", 1),
        ("SELECT * FROM __InstanceModificationEvent WHERE TargetInstance.ConnectState = 4", 1),
        (
            "SELECT * FROM __InstanceModificationEvent WHERE PreviousInstance.ConnectState = 0
             AND TargetInstance.ConnectState <> PreviousInstance.ConnectState AND TargetInstance.UserName = 'alice'",
            1,
        ),
        ("SELECT * FROM __InstanceOperationEvent WHERE TargetInstance.UserName = 'carol'", 0),
        ("SELECT * FROM __InstanceOperationEvent WHERE __CLASS = '__InstanceCreationEvent'", 2),
        ("SELECT TargetInstance FROM __Event WHERE TargetInstance.ConnectState = 9", 4),
    ] {
        let found = all(&rdms, &root(), &watch(MICROSOFT, query), 0).await;
        assert_eq!(found.len(), expected, "{query}");
    }
}

/// However the pages fall among what is passed over and what is told.
#[tokio::test]
async fn a_rare_event_among_many_others_is_told_once() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let mut session = world.session(client.session).await;
    let mut expected = Vec::new();
    for n in 0..700_u32 {
        session = world.engine.store().update_session(&session).await.unwrap();
        if n % 97 == 0 || n > 690 {
            let mut facts = session.client.clone().unwrap();
            facts.machine = format!("PC{n}");
            expected.push(Value::from(facts.machine.clone()));
            session.client = Some(facts);
            session = world.engine.store().update_session(&session).await.unwrap();
        }
    }
    let what = watch(
        OURS,
        "SELECT * FROM __InstanceModificationEvent WHERE TargetInstance.ClientMachineName LIKE 'PC_%'",
    );
    for most in [1, 2, 3, 100] {
        let (mut after, mut found) = (0, Vec::new());
        while let Ok(Told::Events { events, read_to }) = told(&rdms, &root(), &what, after, most).await {
            assert!(events.len() <= most);
            if events.is_empty() {
                break;
            }
            found.extend(told_of(
                &events.iter().map(|e| e.event.clone()).collect::<Vec<_>>(),
                "ClientMachineName",
            ));
            after = read_to;
        }
        assert_eq!(found.into_iter().map(|(_, name)| name).collect::<Vec<_>>(), expected, "{most} at a time");
    }
}

#[tokio::test]
async fn what_could_never_tell_of_anything_is_refused() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let (invalid, unsupported) = (WmiCode::WBEM_E_INVALID_QUERY, WmiCode::WBEM_E_NOT_SUPPORTED);
    for (namespace, query, code) in [
        (MICROSOFT, "SELECT * FROM Win32_VirtualDesktopSession", invalid),
        (MICROSOFT, "SELECT * FROM __Nothing", WmiCode::WBEM_E_INVALID_CLASS),
        ("root/nowhere", ALL, WmiCode::WBEM_E_INVALID_NAMESPACE),
        (
            OURS,
            "SELECT * FROM __InstanceCreationEvent WHERE TargetInstance ISA 'OpenRDMS_Collection'",
            unsupported,
        ),
        (MICROSOFT, "SELECT COUNT(*) FROM __InstanceCreationEvent", invalid),
        (MICROSOFT, "SELECT * FROM __InstanceCreationEvent WITHIN 5 GROUP WITHIN 10", unsupported),
        (MICROSOFT, "SELECT TargetInstance.UserName FROM __InstanceCreationEvent", unsupported),
        (MICROSOFT, "SELECT * FROM __InstanceCreationEvent WHERE Nothing = 1", invalid),
    ] {
        let refused = rdms.watch(&root(), &watch(namespace, query), Since::Now).await.unwrap_err();
        assert_eq!(refused.code, code, "{query}: {refused}");
    }
}

#[tokio::test]
async fn everybody_is_told_of_their_own_sessions_and_administrators_of_all() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let what = watch(MICROSOFT, "SELECT * FROM __InstanceCreationEvent");
    let _clients = (world.active("alice").await, world.active("bob").await);
    let names = |events: Vec<Instance>| {
        told_of(&events, "UserName").into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(all(&rdms, &root(), &what, 0).await), ["alice".into(), "bob".into()]);
    assert_eq!(names(all(&rdms, &user("ALICE"), &what, 0).await), ["alice".into()]);

    // authority is that of now, whatever it was when the subscription was made
    let store = world.engine.store();
    store.change_account(&crate::support::user("bob"), &AccountChange::Role(Role::Admin)).await.unwrap();
    let bob = Principal { admin: true, ..user("bob") };
    assert_eq!(names(all(&rdms, &bob, &what, 0).await), ["alice".into(), "bob".into()]);
    store.change_account(&crate::support::user("bob"), &AccountChange::Role(Role::User)).await.unwrap();
    assert_eq!(names(all(&rdms, &bob, &what, 0).await), ["bob".into()], "demoted");
    store.delete_account(&crate::support::user("carol")).await.unwrap();
    let gone = Principal { admin: true, ..user("carol") };
    assert_eq!(told(&rdms, &gone, &what, 0, 9).await.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    let refused = rdms.watch(&gone, &what, Since::Now).await.unwrap_err();
    assert_eq!(refused.code, WmiCode::WBEM_E_ACCESS_DENIED);
}

#[tokio::test]
async fn whom_a_password_proved_that_is_changed_by_now_is_told_nothing() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let (what, name) = (watch(MICROSOFT, ALL), crate::support::user("alice"));
    let _client = world.active("alice").await;
    let stored = world.engine.store().account(&name).await.unwrap().expect("she has an account");
    let proved = Principal { proof: Some(stored.credentials.mark()), ..user("alice") };
    assert!(!all(&rdms, &proved, &what, 0).await.is_empty());
    let another = Credentials { password_hash: "another".to_owned(), sealed_nt_hash: None };
    let marked = another.mark();
    world.engine.store().change_account(&name, &AccountChange::Credentials(another)).await.unwrap();
    let refused = told(&rdms, &proved, &what, 0, 9).await.unwrap_err();
    assert_eq!(refused.code, WmiCode::WBEM_E_ACCESS_DENIED, "{refused}");
    let again = Principal { proof: Some(marked), ..user("alice") };
    assert!(!all(&rdms, &again, &what, 0).await.is_empty());
}

#[tokio::test]
async fn what_is_forgotten_is_lost_and_never_passed_over() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let what = watch(MICROSOFT, ALL);
    let client = world.active("alice").await;
    client.goes_away().await;
    let span = world.engine.store().change_span().await.unwrap();
    assert_eq!(rdms.watch(&root(), &what, Since::After(0)).await.unwrap(), Some(0));
    world.engine.store().forget_changes(Timestamp(0), 1).await.unwrap();
    assert_eq!(rdms.watch(&root(), &what, Since::After(0)).await.unwrap(), None);
    assert_eq!(told(&rdms, &root(), &what, 0, 9).await.unwrap(), Told::Lost);
    let kept = span.last.0 - 1;
    assert_eq!(rdms.watch(&root(), &what, Since::Earliest).await.unwrap(), Some(kept));
    assert_eq!(all(&rdms, &root(), &what, kept).await.len(), 1);
    // of another log, or of this one before a backup was put back
    assert_eq!(rdms.watch(&root(), &what, Since::After(span.last.0 + 1)).await.unwrap(), None);
    assert_eq!(told(&rdms, &root(), &what, span.last.0 + 1, 9).await.unwrap(), Told::Lost);
}
