//! The rules of a session, one test each, and random histories against a model of what a user could observe.

use openrdms_broker::session::transition::{Denied, Effect, Event, apply};
use openrdms_broker::session::{Cause, DetachReason, EndReason, LostReason, StateName};
use openrdms_broker::{ConnectionId, Limit, State, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

const A: ConnectionId = ConnectionId(Uuid::from_u128(1));
const B: ConnectionId = ConnectionId(Uuid::from_u128(2));
const T0: Timestamp = Timestamp(0);
const T1: Timestamp = Timestamp(1);

fn active() -> State {
    State::Active { since: T0, connection: A }
}

fn detached(attach: Option<ConnectionId>) -> State {
    State::Disconnected { since: T0, reason: DetachReason::ClientGone, attach }
}

#[test]
fn a_client_that_goes_away_never_ends_a_session() {
    for state in [active(), State::Starting { since: T0, attach: A }, detached(Some(A))] {
        let (next, effects) = apply(&state, &Event::Closed(A, DetachReason::ClientGone), T1).unwrap();
        assert_eq!(next.name(), StateName::Disconnected);
        assert_eq!(next.connection(), None);
        assert!(effects.is_empty());
    }
}

#[test]
fn the_close_of_an_old_connection_does_not_touch_the_new_one() {
    let (next, _) = apply(&active(), &Event::Closed(B, DetachReason::ClientGone), T1).unwrap();
    assert_eq!(next, active());
}

#[test]
fn a_second_connection_takes_over_and_the_first_is_told() {
    let (next, effects) = apply(&active(), &Event::Attach(B), T1).unwrap();
    assert_eq!(next.connection(), Some(B));
    assert_eq!(effects, [Effect::Detach(A, DetachReason::TakenOver)]);
    let (next, _) = apply(&next, &Event::Attached(B), T1).unwrap();
    assert_eq!(next, State::Active { since: T1, connection: B });
}

#[test]
fn disconnect_cancels_an_attach_in_flight() {
    let (next, effects) = apply(&detached(Some(A)), &Event::Disconnect(Cause::Administrator), T1).unwrap();
    assert_eq!(next, detached(None));
    assert_eq!(effects, [Effect::Detach(A, DetachReason::Administrator)]);
    assert_eq!(apply(&next, &Event::Attached(A), T1), Err(Denied::Superseded));
}

#[test]
fn the_methods_answer_by_state() {
    let all = |event: Event| {
        [
            State::Starting { since: T0, attach: A },
            active(),
            detached(None),
            State::LoggingOff { since: T0, cause: Cause::Administrator },
            State::Lost { since: T0, reason: LostReason::HostSilent },
        ]
        .map(|state| apply(&state, &event, T1).map(|(next, _)| next.name()))
    };
    use StateName::{Disconnected, LoggingOff, Starting};
    assert_eq!(
        all(Event::Disconnect(Cause::Administrator)),
        [
            Err(Denied::State(Starting)),
            Ok(Disconnected),
            Ok(Disconnected),
            Err(Denied::State(LoggingOff)),
            Err(Denied::HostLost)
        ]
    );
    assert_eq!(
        all(Event::Logoff(Cause::Administrator)),
        [Ok(LoggingOff), Ok(LoggingOff), Ok(LoggingOff), Ok(LoggingOff), Err(Denied::HostLost)]
    );
}

#[test]
fn a_limit_is_named_to_the_client_to_lists_and_to_history() {
    let idle = Cause::Limit(Limit::Idle);
    let (next, effects) = apply(&active(), &Event::Disconnect(idle), T1).unwrap();
    let reason = DetachReason::Limit(Limit::Idle);
    assert_eq!(next, State::Disconnected { since: T1, reason, attach: None });
    assert_eq!(effects, [Effect::Detach(A, reason)]);

    let (next, effects) = apply(&active(), &Event::Logoff(idle), T1).unwrap();
    assert_eq!(next, State::LoggingOff { since: T1, cause: idle });
    assert_eq!(effects, [Effect::Detach(A, reason), Effect::EndLogon]);
    // somebody who asks for the same later does not take it over
    let (next, _) = apply(&next, &Event::Logoff(Cause::Administrator), T1).unwrap();
    let ended = |reason| apply(&next, &Event::LogonEnded(reason), T1).unwrap().0;
    let limit = EndReason::Limit(Limit::Idle);
    assert_eq!(ended(EndReason::Administrator), State::Ended { at: T1, reason: limit });
    // what the desktop did by itself meanwhile is not the limit's
    let failed = EndReason::Failed("X died".into());
    assert_eq!(ended(failed.clone()), State::Ended { at: T1, reason: failed });
}

#[test]
fn a_client_is_told_why_its_session_ended() {
    let idle = Limit::Idle;
    for (reason, told) in [
        (EndReason::LoggedOff, DetachReason::Logoff),
        (EndReason::Administrator, DetachReason::Logoff),
        (EndReason::Forgotten, DetachReason::Logoff),
        (EndReason::Limit(idle), DetachReason::Limit(idle)),
        (EndReason::StartFailed("no room".into()), DetachReason::DesktopClosed),
        (EndReason::Failed("X died".into()), DetachReason::DesktopClosed),
        (EndReason::HostRestarted, DetachReason::DesktopClosed),
    ] {
        let ended = State::Ended { at: T1, reason: reason.clone() };
        let outcome = apply(&active(), &Event::LogonEnded(reason), T1);
        assert_eq!(outcome, Ok((ended, vec![Effect::Detach(A, told)])));
    }
}

#[test]
fn a_lost_session_comes_back_with_the_client_that_never_left_it() {
    let lost = State::Lost { since: T0, reason: LostReason::HostSilent };
    let (back, _) = apply(&lost, &Event::HostReturned(Some(A)), T1).unwrap();
    assert_eq!(back, State::Active { since: T1, connection: A });
    let (back, _) = apply(&lost, &Event::HostReturned(None), T1).unwrap();
    assert_eq!(back, State::Disconnected { since: T1, reason: DetachReason::Service, attach: None });
}

#[test]
fn a_superseded_session_is_kept_until_somebody_ends_it_really() {
    let lost = State::Lost { since: T0, reason: LostReason::HostSilent };
    let (kept, effects) = apply(&lost, &Event::Superseded(Some(A)), T1).unwrap();
    assert_eq!(kept, State::Lost { since: T0, reason: LostReason::Superseded });
    assert_eq!(effects, [Effect::Detach(A, DetachReason::TakenOver)]);
    for event in [Event::Logoff(Cause::Administrator), Event::Forget] {
        // it ends when its programs have, not when somebody says so
        assert_eq!(apply(&kept, &event, T1), Ok((kept.clone(), vec![Effect::EndLogon])));
    }
    let (forgotten, effects) = apply(&lost, &Event::Forget, T1).unwrap();
    assert_eq!(forgotten, State::Ended { at: T1, reason: EndReason::Forgotten });
    assert!(effects.is_empty(), "there is nobody to ask");
}

fn connection() -> impl Strategy<Value = ConnectionId> {
    (1u128..5).prop_map(|n| ConnectionId(Uuid::from_u128(n)))
}

fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Administrator),
        Just(Cause::Limit(Limit::Idle)),
        Just(Cause::Limit(Limit::Active))
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => connection().prop_map(Event::Attach),
        4 => connection().prop_map(Event::Attached),
        4 => connection().prop_map(|c| Event::Closed(c, DetachReason::ClientGone)),
        2 => cause().prop_map(Event::Disconnect),
        1 => cause().prop_map(Event::Logoff),
        1 => Just(Event::LogonEnded(EndReason::LoggedOff)),
        1 => Just(Event::LogonEnded(EndReason::Administrator)),
        1 => Just(Event::HostLost),
        1 => prop::option::of(connection()).prop_map(Event::HostReturned),
        1 => Just(Event::Superseded(None)),
        1 => Just(Event::NodeRestarted),
        1 => Just(Event::Forget),
    ]
}

/// What an onlooker knows without the state: which connection was let in last and not told to go since.
#[derive(Default)]
struct Onlooker {
    wanted: Option<ConnectionId>,
    logging_off: bool,
    lost: bool,
    superseded: bool,
    over: bool,
}

impl Onlooker {
    fn sees(&mut self, event: &Event, ok: bool) {
        match event {
            Event::Attach(c) if ok => self.wanted = Some(*c),
            Event::Closed(c, _) if self.wanted == Some(*c) => self.wanted = None,
            Event::Disconnect(_) if ok => self.wanted = None,
            // asked of one that was kept, its end is reported later
            Event::Logoff(_) | Event::Forget if self.superseded && !self.over => {}
            Event::Logoff(_) if ok => (self.wanted, self.logging_off) = (None, true),
            Event::LogonEnded(_) => (self.wanted, self.over) = (None, true),
            Event::HostLost if !self.over => {
                (self.wanted, self.lost, self.logging_off, self.superseded) = (None, true, false, false);
            }
            Event::HostReturned(c) if !self.over && self.lost => {
                (self.wanted, self.lost, self.superseded) = (*c, false, false);
            }
            Event::Superseded(_) if !self.over => self.superseded = self.lost,
            Event::NodeRestarted => self.wanted = None,
            Event::Forget if ok => self.over = true,
            Event::Attach(_)
            | Event::Attached(_)
            | Event::Closed(..)
            | Event::Disconnect(_)
            | Event::Logoff(_)
            | Event::HostLost
            | Event::HostReturned(_)
            | Event::Superseded(_)
            | Event::Forget => {}
        }
    }
}

proptest! {
    #[test]
    fn any_history_agrees_with_an_onlooker(events in prop::collection::vec(event(), 0..60)) {
        let first = ConnectionId(Uuid::from_u128(1));
        let mut state = State::Starting { since: T0, attach: first };
        let mut seen = Onlooker { wanted: Some(first), ..Onlooker::default() };
        for (n, event) in events.iter().enumerate() {
            let now = Timestamp(i64::try_from(n).unwrap());
            let before = state.clone();
            let outcome = apply(&state, event, now);
            let ok = outcome.is_ok();
            if let Ok((next, effects)) = outcome {
                // whoever is put out is told, and nobody else is
                let put_out = before.connection().filter(|c| {
                    next.connection() != Some(*c)
                        && !matches!(event, Event::Closed(gone, _) if gone == c)
                        && !matches!(event, Event::NodeRestarted)
                });
                let told: Vec<ConnectionId> = effects
                    .iter()
                    .filter_map(|e| match e { Effect::Detach(c, _) => Some(*c), Effect::EndLogon => None })
                    .collect();
                prop_assert_eq!(told, put_out.into_iter().collect::<Vec<_>>());
                // the same event again changes nothing more
                if let Ok((again, _)) = apply(&next, event, now) {
                    prop_assert_eq!(again.name(), next.name());
                    prop_assert_eq!(again.connection(), next.connection());
                }
                state = next;
            }
            seen.sees(event, ok);
            prop_assert_eq!(state.connection(), seen.wanted, "after {:?}", event);
            prop_assert_eq!(state.name() == StateName::Ended, seen.over);
            if !seen.over {
                prop_assert_eq!(state.name() == StateName::Lost, seen.lost);
                prop_assert_eq!(state.name() == StateName::LoggingOff, seen.logging_off);
            }
        }
    }
}
