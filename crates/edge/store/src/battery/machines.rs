//! Desktops that several users share.

use super::{NOW, Subject, alias, collection, desktop, ended, name, new_session, user};
use openrdms_broker::ports::{Existing, StoreError, store::NewSession};
use openrdms_broker::session::LostReason;
use openrdms_broker::{
    Address, Assignment, Desktop, HostName, Intake, Lease, Machine, NodeId, State, Timestamp, machine,
};
use tokio::task::JoinSet;
use uuid::Uuid;

fn shared(user: &str, desktop: &str, places: u32) -> NewSession {
    NewSession { places: Some(places), ..new_session(user, "p", desktop, "h") }
}

fn lease(host: &str, until: Timestamp) -> Lease {
    Lease {
        host: HostName::new(host).unwrap(),
        kind: machine::KIND.to_owned(),
        boot_id: String::new(),
        node: NodeId(Uuid::from_u128(1)),
        version: "1".to_owned(),
        until,
    }
}

pub(crate) async fn a_shared_desktop_has_as_many_live_sessions_as_it_may_and_no_more(store: Subject) {
    let mut tasks = JoinSet::new();
    for i in 0..32 {
        let store = store.clone();
        let spelling = if i % 2 == 0 { "desk" } else { "DESK" };
        tasks.spawn(async move { store.insert_session(shared(&format!("u{i}"), spelling, 5)).await });
    }
    let results = tasks.join_all().await;
    let made: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(made.len(), 5);
    let full =
        |result: &Result<_, _>| matches!(result, Err(StoreError::Conflict(Existing::SessionInDesktop)));
    assert_eq!(results.iter().filter(|result| full(result)).count(), 27);

    // a session that was lost comes back whoever came meanwhile; one that has ended leaves its place
    let lost = State::Lost { since: NOW, reason: LostReason::HostSilent };
    let mut away = made[0].clone();
    away.state = lost;
    let away = store.update_session(&away).await.unwrap();
    store.insert_session(shared("late", "desk", 5)).await.unwrap();
    let mut back = away;
    back.state = made[0].state.clone();
    store.update_session(&back).await.unwrap();
    assert!(full(&store.insert_session(shared("later", "desk", 6)).await));
    store.update_session(&ended(made[1].clone())).await.unwrap();
    store.insert_session(shared("later", "desk", 6)).await.unwrap();
}

pub(crate) async fn machines_with_room_are_those_that_are_up_open_and_not_full(store: Subject) {
    store.insert_collection(&collection("p", 0), &[]).await.unwrap();
    let later = Timestamp(NOW.0 + 1000);
    for host in ["m1", "m2", "m3", "m4", "m5"] {
        let address = Address::parse(host).unwrap();
        let machine = Machine {
            session_limit: 2,
            ..Machine::new(HostName::new(host).unwrap(), address, [7; 32]).unwrap()
        };
        (*store).insert_document(&machine).await.unwrap();
        let place = Desktop { host: machine.name, ..desktop(host, "p") };
        store.insert_desktop(&place).await.unwrap();
        store.renew_lease(&lease(host, if host == "m3" { NOW } else { later }), NOW).await.unwrap();
    }
    // of no machine
    store.insert_desktop(&desktop("d1", "p")).await.unwrap();
    store.set_intake("m4", Intake::Drained).await.unwrap();
    for who in ["alice", "bob"] {
        store
            .insert_session(NewSession { places: Some(2), ..new_session(who, "p", "m2", "m2") })
            .await
            .unwrap();
    }
    store
        .insert_session(NewSession { places: Some(2), ..new_session("carol", "p", "m1", "m1") })
        .await
        .unwrap();
    let roomy = |owner: Option<&'static str>| {
        let store = store.clone();
        async move {
            let owner = owner.map(user);
            let found = store.roomy_machines(&alias("P"), owner.as_ref(), NOW).await.unwrap();
            found.iter().map(|roomy| format!("{}:{}", roomy.machine.name, roomy.sessions)).collect::<Vec<_>>()
        }
    };
    assert_eq!(roomy(None).await, ["m1:1", "m5:0"]);
    let assignment =
        Assignment { desktop: name("m5"), collection: alias("p"), user: user("alice"), since: NOW };
    store.insert_assignment(&assignment).await.unwrap();
    assert_eq!(roomy(None).await, ["m1:1"]);
    assert_eq!(roomy(Some("Alice")).await, ["m5:0"]);
    store.delete_host(&HostName::new("M1").unwrap()).await.unwrap();
    assert!(roomy(None).await.is_empty(), "nobody vouches for it");
    let again = store.delete_host(&HostName::new("m1").unwrap()).await;
    assert!(matches!(again, Err(StoreError::NotFound("host"))), "{again:?}");
}

pub(crate) async fn a_word_for_a_machine_says_nothing_of_the_node(store: Subject) {
    let own = Lease { kind: "local".to_owned(), ..lease("own", Timestamp(NOW.0 + 1000)) };
    store.renew_lease(&own, NOW).await.unwrap();
    store.renew_lease(&lease("m1", Timestamp(NOW.0 + 9000)), NOW).await.unwrap();
    let node = store.node(own.node).await.unwrap().unwrap();
    assert_eq!(node.lease, own);
}
