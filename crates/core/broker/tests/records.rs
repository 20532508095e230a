//! What is read out of the rows of the store: changes of sessions, leases, changes of collections, times.

mod support;

use openrdms_broker::change::{Change, ChangeKind, Position, Span};
use openrdms_broker::limits::LimitsChange;
use openrdms_broker::session::{DetachReason, EndReason};
use openrdms_broker::{
    Collection, CollectionAlias, CollectionChange, HostName, Intake, KnownHost, KnownNode, Lease,
    LimitAction, Limits, NodeId, State, Timestamp, UserName,
};
use std::time::Duration;
use support::session;
use uuid::Uuid;

#[test]
fn a_session_comes_into_the_list_changes_in_it_and_leaves_it() {
    let since = Timestamp(0);
    let live = session(State::Disconnected { since, reason: DetachReason::ClientGone, attach: None });
    let over = session(State::Ended { at: since, reason: EndReason::LoggedOff });
    let (none, before_live, before_over) = (None, Some(live.clone()), Some(over.clone()));
    for (before, after, kind) in [
        (&none, &live, ChangeKind::Begun(&live)),
        (&before_live, &live, ChangeKind::Changed { before: &live, after: &live }),
        (&before_live, &over, ChangeKind::Ended { before: &live, after: &over }),
        (&before_over, &over, ChangeKind::Unlisted),
        (&none, &over, ChangeKind::Unlisted),
        (&before_over, &live, ChangeKind::Begun(&live)),
    ] {
        let (before, after) = (before.clone(), after.clone());
        assert_eq!(Change { position: Position(1), at: since, before, after }.kind(), kind);
    }
}

#[test]
fn a_log_reaches_from_where_it_was_forgotten_to_its_end() {
    let span = Span { forgotten: Position(10), last: Position(20) };
    for (after, reached) in [(9, false), (10, true), (20, true), (21, false)] {
        assert_eq!(span.reaches(Position(after)), reached, "{after}");
    }
}

#[test]
fn a_word_about_a_host_or_node_holds_until_its_time_and_not_at_it() {
    let lease = Lease {
        host: HostName::new("host").unwrap(),
        kind: "local".into(),
        boot_id: "boot".into(),
        node: NodeId(Uuid::from_u128(1)),
        version: "0".into(),
        until: Timestamp(1000),
    };
    let host = KnownHost { lease: lease.clone(), intake: Intake::Open };
    let node = KnownNode { lease, intake: Intake::Drained };
    for (now, up) in [(0, true), (999, true), (1000, false), (1001, false)] {
        assert_eq!((host.is_up(Timestamp(now)), node.is_up(Timestamp(now))), (up, up), "{now}");
    }
}

#[test]
fn a_change_of_a_collection_changes_what_it_names_and_nothing_else() {
    let limits = Limits { idle: 1, active: 2, disconnected: 3, action: LimitAction::Logoff, warning: 4 };
    let was = Collection {
        size: 3,
        limits,
        ..Collection::new(CollectionAlias::new("pool").unwrap(), Timestamp(5))
    };
    assert_eq!(CollectionChange::default().of(was.clone()), was);
    let named = CollectionChange { display_name: Some("New".into()), ..CollectionChange::default() };
    assert_eq!(named.of(was.clone()), Collection { display_name: "New".into(), ..was.clone() });
    let bob = Some(vec![UserName::new("LAB", "bob").unwrap()]);
    let only = CollectionChange { users: Some(bob.clone()), ..CollectionChange::default() };
    let bobs = only.of(was.clone());
    assert_eq!(bobs, Collection { users: bob, ..was.clone() });
    assert_eq!(CollectionChange::default().of(bobs.clone()), bobs);
    let everybody = CollectionChange { users: Some(None), ..CollectionChange::default() };
    assert_eq!(everybody.of(bobs), was);
    let changes = [
        (LimitsChange { idle: Some(9), ..Default::default() }, Limits { idle: 9, ..limits }),
        (LimitsChange { active: Some(9), ..Default::default() }, Limits { active: 9, ..limits }),
        (LimitsChange { disconnected: Some(9), ..Default::default() }, Limits { disconnected: 9, ..limits }),
        (LimitsChange { warning: Some(9), ..Default::default() }, Limits { warning: 9, ..limits }),
        (
            LimitsChange { action: Some(LimitAction::Disconnect), ..Default::default() },
            Limits { action: LimitAction::Disconnect, ..limits },
        ),
    ];
    for (change, limits) in changes {
        assert_eq!(CollectionChange::from(change).of(was.clone()), Collection { limits, ..was.clone() });
    }
}

#[test]
fn times_are_shown_in_utc_and_what_no_calendar_holds_as_its_end() {
    assert_eq!(Timestamp(1_500).to_string(), "1970-01-01T00:00:01.5Z");
    assert_eq!(Timestamp(i64::MAX).to_jiff(), jiff::Timestamp::MAX);
    assert_eq!(Timestamp(i64::MIN).to_jiff(), jiff::Timestamp::MIN);
}

#[test]
fn what_lies_in_the_future_was_no_time_ago() {
    assert_eq!(Timestamp(5_000).since(Timestamp(2_000)), Duration::from_secs(3));
    assert_eq!(Timestamp(2_000).since(Timestamp(5_000)), Duration::ZERO);
    assert_eq!(Timestamp(i64::MIN).since(Timestamp(i64::MAX)), Duration::ZERO);
}
