//! The words and numbers by which states, reasons and events are known outside: none stands for two things.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

use openrdms_broker::ports::Existing;
use openrdms_broker::session::reconnect::Reconnect;
use openrdms_broker::session::{Cause, DetachReason, EndReason, LostReason, StateName};
use openrdms_broker::{
    ClientFacts, CollectionAlias, ConnectionId, DesktopName, EventKind, HostName, Limit, LimitAction,
    OperatorEvent, Session, SessionUid, State, Timestamp, UserName,
};
use std::collections::BTreeSet;
use uuid::Uuid;

const C: ConnectionId = ConnectionId(Uuid::from_u128(1));
const THEN: Timestamp = Timestamp(1000);
const NOW: Timestamp = Timestamp(2000);

fn states() -> [State; 6] {
    let since = THEN;
    [
        State::Starting { since, attach: C },
        State::Active { since, connection: C },
        State::Disconnected { since, reason: DetachReason::ClientGone, attach: None },
        State::LoggingOff { since, cause: Cause::Administrator },
        State::Lost { since, reason: LostReason::HostSilent },
        State::Ended { at: since, reason: EndReason::LoggedOff },
    ]
}

fn session(state: State) -> Session {
    Session {
        uid: SessionUid(Uuid::from_u128(7)),
        generation: 1,
        session_id: 17,
        host: HostName::new("host").unwrap(),
        boot_id: "boot".into(),
        desktop: DesktopName::new("pool-001").unwrap(),
        collection: CollectionAlias::new("pool").unwrap(),
        user: UserName::new("TEST", "alice").unwrap(),
        created: THEN,
        client: Some(ClientFacts { address: "10.0.0.9".into(), ..ClientFacts::default() }),
        last_input: None,
        reconnect: Reconnect::Never,
        closed: None,
        state,
    }
}

/// That there are as many words as things, and no empty one.
fn told_apart(words: &[String]) {
    let different: BTreeSet<&String> = words.iter().collect();
    assert!(different.len() == words.len() && words.iter().all(|word| word.len() > 1), "{words:?}");
}

#[test]
fn a_state_says_what_the_management_interface_shows_of_it() {
    // WTS_CONNECTSTATE_CLASS; what has ended is in no list
    let shown = [
        (StateName::Starting, Some(9), true, Some(C)),
        (StateName::Active, Some(0), true, Some(C)),
        (StateName::Disconnected, Some(4), true, None),
        (StateName::LoggingOff, Some(7), true, None),
        (StateName::Lost, Some(8), false, None),
        (StateName::Ended, None, false, None),
    ];
    for ((state, name), (expected, number, live, connection)) in
        states().iter().zip(StateName::ALL).zip(shown)
    {
        assert_eq!((state.name(), name), (expected, expected));
        assert_eq!((state.connect_state(), state.is_live()), (number, live), "{name:?}");
        assert_eq!((state.connection(), state.since()), (connection, THEN), "{name:?}");
        assert_eq!(name.as_str(), format!("{name:?}"));
    }
}

#[test]
fn every_reason_and_limit_reads_differently() {
    let limits = [Limit::Idle, Limit::Active, Limit::Disconnected];
    told_apart(&limits.map(|limit| limit.as_str().to_owned()));
    told_apart(&[LimitAction::Disconnect, LimitAction::Logoff].map(|action| action.as_str().to_owned()));
    told_apart(&[LostReason::HostSilent, LostReason::Superseded].map(|reason| reason.as_str().to_owned()));
    let detached = [
        DetachReason::ClientGone,
        DetachReason::Administrator,
        DetachReason::TakenOver,
        DetachReason::Logoff,
        DetachReason::DesktopClosed,
        DetachReason::Service,
        DetachReason::Limit(Limit::Idle),
    ];
    told_apart(&detached.map(|reason| reason.as_str().to_owned()));
    let failed = ["X died".to_owned(), "no room".to_owned()];
    let ended = [
        EndReason::LoggedOff,
        EndReason::Administrator,
        EndReason::StartFailed(failed[0].clone()),
        EndReason::StartFailed(failed[1].clone()),
        EndReason::Failed(failed[0].clone()),
        EndReason::HostRestarted,
        EndReason::Forgotten,
        EndReason::Limit(Limit::Idle),
    ];
    told_apart(&ended.map(|reason| reason.to_string()));
}

#[test]
fn what_is_there_already_is_told_apart() {
    let existing = [
        Existing::SessionOfUser,
        Existing::SessionInDesktop,
        Existing::SessionInCollection,
        Existing::SessionId,
        Existing::Session,
        Existing::Collection,
        Existing::Desktop,
        Existing::Account,
        Existing::Uid,
        Existing::LeaseOfHost,
        Existing::AssignmentOfDesktop,
        Existing::AssignmentOfUser,
        Existing::Document,
        Existing::Row,
    ];
    told_apart(&existing.map(|what| what.to_string()));
}

#[test]
fn a_step_from_one_state_to_another_is_an_event_with_its_reason() {
    let expected = [
        (EventKind::SessionStarted, None),
        (EventKind::SessionConnected, None),
        (EventKind::SessionDisconnected, Some(DetachReason::ClientGone.as_str())),
        (EventKind::SessionLoggingOff, None),
        (EventKind::SessionLost, None),
        (EventKind::SessionEnded, Some("logged off by the user")),
    ];
    for (after, (kind, reason)) in states().into_iter().zip(expected) {
        let after = session(after);
        for before in states() {
            let event = OperatorEvent::of_step(&before, &after, NOW);
            if before.name() == after.state.name() {
                assert_eq!(event, None, "{before:?}");
                continue;
            }
            let event = event.unwrap();
            assert_eq!((event.event, event.id, event.at), (kind, kind.id(), NOW));
            assert_eq!(event.reason.as_deref(), reason);
            assert_eq!((event.user, event.session_id), (after.user.clone(), Some(17)));
            assert_eq!(event.session, Some(after.uid.to_string()));
            let places = [event.host, event.desktop, event.collection, event.client];
            assert_eq!(places, ["host", "pool-001", "pool", "10.0.0.9"].map(|text| Some(text.to_owned())));
        }
    }
    let limit = session(State::LoggingOff { since: NOW, cause: Cause::Limit(Limit::Idle) });
    let event = OperatorEvent::of_step(&states()[1], &limit, NOW).unwrap();
    assert_eq!(event.reason.as_deref(), Some(Limit::Idle.as_str()));
}

#[test]
fn a_beginning_and_a_refusal_are_events_too() {
    let started = OperatorEvent::started(&session(states()[0].clone()), NOW);
    assert_eq!((started.event, started.id, started.session_id), (EventKind::SessionStarted, 1000, Some(17)));
    let client = ClientFacts { address: "10.0.0.9".into(), ..ClientFacts::default() };
    let user = UserName::new("TEST", "alice").unwrap();
    let refused = OperatorEvent::refused(&user, &client, "no desktop is free".into(), NOW);
    assert_eq!((refused.event, refused.id, refused.at), (EventKind::ConnectionRefused, 1100, NOW));
    assert_eq!((refused.client.as_deref(), refused.session), (Some("10.0.0.9"), None));
    assert_eq!(refused.reason.as_deref(), Some("no desktop is free"));
}

#[test]
fn a_number_of_an_event_never_changes_its_meaning() {
    let known = [
        (1000, "session-started"),
        (1001, "session-connected"),
        (1002, "session-disconnected"),
        (1003, "session-logging-off"),
        (1004, "session-ended"),
        (1005, "session-lost"),
        (1100, "connection-refused"),
    ];
    assert_eq!(EventKind::ALL.map(|kind| (kind.id(), kind.name())), known);
    assert_eq!(EventKind::ALL.map(<&str>::from), known.map(|(_, name)| name));
}
