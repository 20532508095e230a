//! What each method answers in each state: the table of the design, cell by cell, through the dispatch.

use crate::support::World;
use crate::{MICROSOFT, OURS, admin, rdms, user};
use openrdms_broker::session::reconnect::Reconnect;
use openrdms_broker::session::{Cause, DetachReason, EndReason, LostReason, StateName};
use openrdms_broker::{ConnectionId, HostName, Outcome, Route, Session, SessionUid, State, Timestamp};
use openrdms_cim::{CimService as _, ObjectPath, Params, Value, WmiCode};

fn documented(session: &Session) -> ObjectPath {
    ObjectPath::class(MICROSOFT, "Win32_VirtualDesktopSession")
        .with_key("VMHostName", session.host.as_str())
        .with_key("SessionId", session.session_id)
}

fn ours(uid: SessionUid) -> ObjectPath {
    ObjectPath::class(OURS, "OpenRDMS_Session").with_key("Uid", uid.to_string())
}

fn params(method: &str) -> Params {
    match method {
        "SendMessage" => Params::default().with("Title", "t").with("Message", "m"),
        _ => Params::default(),
    }
}

/// Alice's session with its desktop running and its row in a state. Active ones have a client that obeys.
async fn session_in(world: &World, name: StateName) -> Session {
    let client = world.active("alice").await;
    let uid = client.session;
    if name == StateName::Active {
        client.obey();
        return world.session(uid).await;
    }
    client.goes_away().await;
    let since = Timestamp(1);
    let session = world.session(uid).await;
    let state = match name {
        StateName::Starting => State::Starting { since, attach: ConnectionId(uuid::Uuid::from_u128(7)) },
        StateName::LoggingOff => State::LoggingOff { since, cause: Cause::Administrator },
        StateName::Lost => State::Lost { since, reason: LostReason::HostSilent },
        StateName::Disconnected | StateName::Active | StateName::Ended => return session,
    };
    world.engine.store().update_session(&Session { state, ..session }).await.unwrap()
}

#[tokio::test]
async fn every_method_answers_in_every_state_as_the_table_says() {
    use StateName::{Active, Disconnected, Ended, LoggingOff, Lost, Starting};
    let not_now = WmiCode::WBEM_E_INVALID_OPERATION.0;
    let nobody = WmiCode::WBEM_E_NOT_AVAILABLE.0;
    // method, state, code, state afterwards
    let table = [
        ("Disconnect", Starting, not_now, Starting),
        ("Disconnect", Active, 0, Disconnected),
        ("Disconnect", Disconnected, 0, Disconnected),
        ("Disconnect", LoggingOff, not_now, LoggingOff),
        ("Disconnect", Lost, nobody, Lost),
        ("Logoff", Starting, 0, Ended),
        ("Logoff", Active, 0, Ended),
        ("Logoff", Disconnected, 0, Ended),
        ("Logoff", LoggingOff, 0, Ended),
        ("Logoff", Lost, nobody, Lost),
        ("SendMessage", Starting, not_now, Starting),
        ("SendMessage", Active, 0, Active),
        ("SendMessage", Disconnected, 0, Disconnected),
        ("SendMessage", LoggingOff, not_now, LoggingOff),
        ("SendMessage", Lost, nobody, Lost),
    ];
    for (method, state, code, after) in table {
        let world = World::new().await;
        let rdms = rdms(&world.engine);
        let before = session_in(&world, state).await;
        assert_eq!(before.state.name(), state);
        let cell = format!("{method} while {}", state.as_str());
        let result = rdms.invoke(&admin(), &documented(&before), method, params(method), &[]).await;
        let result = result.expect(&cell);
        assert_eq!(result.return_value, Value::Uint32(code), "{cell}");
        assert_eq!(result.reason.is_some(), code != 0, "{cell}");
        let session = world.session(before.uid).await;
        assert_eq!(session.state.name(), after, "{cell}");
        if (method, state) == ("Disconnect", Disconnected) {
            // what it is for then: the client that is gone does not come back by itself
            assert_eq!(session.reconnect, Reconnect::Void { reason: DetachReason::Administrator });
            assert_eq!(session.state, before.state, "{cell} changes nothing else");
        } else if code != 0 || state == after {
            assert_eq!(session, before, "{cell} changes nothing");
        }
        if after == Ended {
            assert!(matches!(session.state, State::Ended { reason: EndReason::Administrator, .. }));
        }
        assert_eq!(
            world.host.messages.lock().unwrap().len(),
            usize::from(method == "SendMessage" && code == 0)
        );
        let audit = world.engine.store().audit(1).await.unwrap();
        let outcome = if code == 0 { Outcome::Done } else { Outcome::Failed(code) };
        assert_eq!((audit[0].outcome.clone(), audit[0].subject.as_str()), (outcome, "TEST\\alice"), "{cell}");

        // our class answers the same as a fault that says why
        let again = rdms.invoke(&admin(), &ours(before.uid), method, params(method), &[]).await;
        match (code, after) {
            (0, Ended) => assert_eq!(again.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND, "{cell}"),
            (0, _) => assert_eq!(again.unwrap().return_value, Value::Uint32(0), "{cell}"),
            (code, _) => {
                let again = again.unwrap_err();
                assert_eq!((again.code.0, Some(again.message)), (code, result.reason), "{cell}");
            }
        }
    }
}

#[tokio::test]
async fn only_what_is_lost_can_be_forgotten_and_only_by_an_administrator() {
    use StateName::{Active, Disconnected, LoggingOff, Starting};
    for state in [Starting, Active, Disconnected, LoggingOff] {
        let world = World::new().await;
        let before = session_in(&world, state).await;
        let refused =
            rdms(&world.engine).invoke(&admin(), &ours(before.uid), "Forget", params(""), &[]).await;
        assert_eq!(refused.unwrap_err().code, WmiCode::WBEM_E_INVALID_OPERATION, "{state:?}");
        assert_eq!(world.session(before.uid).await, before);
    }
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let lost = session_in(&world, StateName::Lost).await;
    // a host that this node does not serve
    let lost = Session { host: HostName::new("elsewhere").unwrap(), ..lost };
    let lost = world.engine.store().update_session(&lost).await.unwrap();
    let shown = rdms.get(&admin(), &ours(lost.uid)).await.unwrap();
    assert_eq!(shown.get("StateReason"), &Value::from("its host does not answer"));
    let alice = user("alice");
    let denied = rdms.invoke(&alice, &ours(lost.uid), "Forget", params(""), &[]).await;
    assert_eq!(denied.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    let documented = rdms.invoke(&admin(), &documented(&lost), "Forget", params(""), &[]).await;
    assert_eq!(documented.unwrap_err().code, WmiCode::WBEM_E_INVALID_METHOD, "Microsoft's class has no such");
    let expected = [("ExpectedUser".to_owned(), "bob".to_owned())];
    let other = rdms.invoke(&admin(), &ours(lost.uid), "Forget", params(""), &expected).await;
    assert_eq!(other.unwrap_err().code, WmiCode::WBEM_E_INVALID_OBJECT);
    assert_eq!(world.session(lost.uid).await, lost);
    let forgotten = rdms.invoke(&admin(), &ours(lost.uid), "Forget", params(""), &[]).await.unwrap();
    assert_eq!(forgotten.return_value, Value::Uint32(0));
    let session = world.session(lost.uid).await;
    assert!(matches!(session.state, State::Ended { reason: EndReason::Forgotten, .. }), "{session:?}");
    let audit = world.engine.store().audit(1).await.unwrap();
    assert_eq!((audit[0].action.as_str(), &audit[0].outcome), ("OpenRDMS_Session.Forget", &Outcome::Done));
    assert_eq!(audit[0].subject, "TEST\\alice");
}

#[tokio::test]
async fn a_host_is_drained_and_opened_through_its_class() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let host = ObjectPath::class(OURS, "OpenRDMS_Host").with_key("Name", "HOST");
    let state = || async {
        let host = rdms.get(&admin(), &host).await.unwrap();
        (host.get("State").clone(), host.get("Drained").clone(), host.get("Sessions").clone())
    };
    let _client = world.active("alice").await;
    assert_eq!(state().await, ("Up".into(), false.into(), 1_u32.into()));
    assert_eq!(rdms.get(&admin(), &host).await.unwrap().get("Desktops"), &Value::from(2_u32));
    rdms.invoke(&admin(), &host, "Drain", params(""), &[]).await.unwrap();
    assert_eq!(state().await, ("Drained".into(), true.into(), 1_u32.into()));
    assert!(world.attach("bob").await.is_err());
    rdms.invoke(&admin(), &host, "Undrain", params(""), &[]).await.unwrap();
    assert_eq!(state().await.0, "Up".into());
    assert!(world.attach_to("bob", Route::Default).await.is_ok());
    let audit = world.engine.store().audit(10).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "OpenRDMS_Host.Drain" && line.target == "HOST"));

    let alice = user("alice");
    let denied = rdms.invoke(&alice, &host, "Drain", params(""), &[]).await;
    assert_eq!(denied.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    assert_eq!(rdms.get(&alice, &host).await.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    let nowhere = ObjectPath::class(OURS, "OpenRDMS_Host").with_key("Name", "nowhere");
    let missing = rdms.invoke(&admin(), &nowhere, "Drain", params(""), &[]).await;
    assert_eq!(missing.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
}

#[tokio::test]
async fn a_node_is_drained_and_opened_through_its_class() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let path = |id: &str| ObjectPath::class(OURS, "OpenRDMS_Node").with_key("Id", id);
    let node = path(&uuid::Uuid::from_u128(1).to_string());
    let state = || async {
        let node = rdms.get(&admin(), &node).await.unwrap();
        assert_eq!(node.get("HostName"), &Value::from("host"));
        (node.get("State").clone(), node.get("Drained").clone())
    };
    assert_eq!(state().await, ("Up".into(), false.into()));
    rdms.invoke(&admin(), &node, "Drain", params(""), &[]).await.unwrap();
    assert_eq!(state().await, ("Drained".into(), true.into()));
    assert!(world.attach("bob").await.is_err());
    rdms.invoke(&admin(), &node, "Undrain", params(""), &[]).await.unwrap();
    assert!(world.attach("bob").await.is_ok());

    let alice = user("alice");
    let denied = rdms.invoke(&alice, &node, "Drain", params(""), &[]).await;
    assert_eq!(denied.unwrap_err().code, WmiCode::WBEM_E_ACCESS_DENIED);
    for nowhere in [path("no id"), path(&uuid::Uuid::from_u128(2).to_string())] {
        let missing = rdms.invoke(&admin(), &nowhere, "Drain", params(""), &[]).await;
        assert_eq!(missing.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
        assert_eq!(rdms.get(&admin(), &nowhere).await.unwrap_err().code, WmiCode::WBEM_E_NOT_FOUND);
    }
}

#[tokio::test]
async fn what_a_method_cannot_heed_is_refused_and_not_passed_over() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let client = world.active("alice").await;
    let uid = client.session;
    let before = world.session(uid).await;
    let bob = [("expecteduser".to_owned(), "bob".to_owned())];
    let active = [("ExpectedState".to_owned(), "Active".to_owned())];
    let pool = ObjectPath::class(OURS, "OpenRDMS_Collection").with_key("Alias", "pool");
    let settings = ObjectPath::class(MICROSOFT, "Win32_RDMSDeploymentSettings");
    let named = Params::default().with("Name", "extra");
    for options in [&bob, &active] {
        for (path, method, params) in
            [(&pool, "AddDesktop", named.clone()), (&settings, "GetSMBPath", Params::default())]
        {
            let refused = rdms.invoke(&admin(), path, method, params, options).await.unwrap_err();
            assert_eq!(refused.code, WmiCode::WBEM_E_INVALID_PARAMETER, "{method}");
            assert!(refused.message.contains("cannot heed ExpectedUser"), "{}", refused.message);
        }
    }
    assert_eq!(
        rdms.get(&admin(), &pool).await.unwrap().get("Size"),
        &Value::from(2_u32),
        "nothing was added"
    );

    // what ends the session that is in a desktop heeds whose it is
    let desktop = ObjectPath::class(MICROSOFT, "Win32_RDMSVirtualDesktop")
        .with_key("Name", before.desktop.as_str())
        .with_key("HostName", "host");
    let off = Params::default().with("VMState", 3_u32);
    let other = rdms.invoke(&admin(), &desktop, "SetVirtualDesktopState", off.clone(), &bob).await.unwrap();
    assert_eq!(other.return_value, Value::Uint32(WmiCode::WBEM_E_INVALID_OBJECT.0));
    let ours = ObjectPath::class(OURS, "OpenRDMS_Desktop").with_key("Name", before.desktop.as_str());
    for method in ["Start", "Stop", "Pause"] {
        let other = rdms.invoke(&admin(), &ours, method, Params::default(), &bob).await.unwrap_err();
        assert_eq!(other.code, WmiCode::WBEM_E_INVALID_OBJECT, "{method}");
    }
    assert_eq!(world.session(uid).await, before);
    client.obey();
    let alice = [("ExpectedUser".to_owned(), "alice".to_owned())];
    let done = rdms.invoke(&admin(), &desktop, "SetVirtualDesktopState", off, &alice).await.unwrap();
    assert_eq!(done.return_value, Value::Uint32(0));
    assert!(matches!(world.session(uid).await.state, State::Ended { .. }));
}

#[tokio::test]
async fn what_only_reads_leaves_no_record_unless_it_fails() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let records = async || world.engine.store().audit(100).await.unwrap();
    let settings = ObjectPath::class(MICROSOFT, "Win32_RDMSDeploymentSettings");
    let collection =
        ObjectPath::class(MICROSOFT, "Win32_RDMSVirtualDesktopCollection").with_key("Alias", "pool");
    let limit = Params::default().with("Key", "IdleSessionLimit");
    let completed = Params::default().with("JobType", 1_u32).with("CollectionAlias", "pool");
    let jobs = ObjectPath::class(MICROSOFT, "Win32_RDMSVirtualDesktopCollection");
    for (path, method, params) in [
        (&settings, "GetSMBPath", Params::default()),
        (&collection, "GetInt32Property", limit),
        (&jobs, "ProvisioningEnumerateJobs", completed),
    ] {
        let read = rdms.invoke(&admin(), path, method, params, &[]).await.unwrap();
        assert_eq!(read.return_value, Value::Uint32(0), "{method}");
        assert_eq!(records().await, [], "{method}");
    }

    let no_such = Params::default().with("Key", "no such");
    let missing = rdms.invoke(&admin(), &collection, "GetInt32Property", no_such, &[]).await.unwrap();
    assert_eq!(missing.return_value, Value::Uint32(WmiCode::WBEM_E_NOT_FOUND.0));
    let alice = user("alice");
    let denied = rdms.invoke(&alice, &settings, "GetSMBPath", Params::default(), &[]).await.unwrap_err();
    assert_eq!(denied.code, WmiCode::WBEM_E_ACCESS_DENIED);
    let failed: Vec<_> = records().await.into_iter().map(|record| (record.action, record.outcome)).collect();
    assert_eq!(
        failed,
        [
            (
                "Win32_RDMSDeploymentSettings.GetSMBPath".to_owned(),
                Outcome::Failed(WmiCode::WBEM_E_ACCESS_DENIED.0)
            ),
            (
                "Win32_RDMSVirtualDesktopCollection.GetInt32Property".to_owned(),
                Outcome::Failed(WmiCode::WBEM_E_NOT_FOUND.0)
            ),
        ]
    );
    let path = Params::default().with("DirectoryPath", r"\\server\share");
    rdms.invoke(&admin(), &settings, "SetSMBPath", path, &[]).await.unwrap();
    assert_eq!(records().await.len(), 3, "what writes is written down");
}
