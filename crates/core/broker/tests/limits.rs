//! What limits ask for, rule by rule, and any way of looking at a session again and again.

mod support;

use openrdms_broker::limits::{Due, Warning, due};
use openrdms_broker::session::{Cause, DetachReason, EndReason, LostReason};
use openrdms_broker::{ConnectionId, Limit, LimitAction, Limits, Session, State, Timestamp};
use proptest::prelude::*;
use support::session;
use uuid::Uuid;

const C: ConnectionId = ConnectionId(Uuid::from_u128(1));
const LIMITS: Limits =
    Limits { idle: 600, active: 3600, disconnected: 7200, action: LimitAction::Disconnect, warning: 60 };

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn active(since: i64) -> Session {
    session(State::Active { since: at(since), connection: C })
}

fn disconnected(attach: Option<ConnectionId>) -> Session {
    session(State::Disconnected { since: at(0), reason: DetachReason::ClientGone, attach })
}

fn warning(limit: Limit, reached: i64, told_until: i64) -> Warning {
    Warning { limit, reached: at(reached), at: at(told_until), action: LimitAction::Disconnect }
}

#[test]
fn the_user_is_warned_before_the_idle_limit_and_then_disconnected() {
    let look = |warned, now| due(&active(0), &LIMITS, Some(at(100)), warned, at(now));
    let told = warning(Limit::Idle, 700, 700);
    assert_eq!(look(None, 639), Due::Nothing(Some(at(640))));
    assert_eq!(look(None, 640), Due::Warn(told));
    assert_eq!(look(Some(&told), 699), Due::Warn(told), "the same warning: it is shown once");
    assert_eq!(look(Some(&told), 700), Due::Act(Limit::Idle, LimitAction::Disconnect));
}

#[test]
fn input_withdraws_the_warning() {
    let told = warning(Limit::Idle, 700, 700);
    let look = |now| due(&active(0), &LIMITS, Some(at(690)), Some(&told), at(now));
    assert_eq!(look(700), Due::Nothing(Some(at(1230))));
    assert_eq!(look(1230), Due::Warn(warning(Limit::Idle, 1290, 1290)), "the next approach is told again");
}

#[test]
fn without_input_idleness_counts_from_the_coming_of_the_client() {
    // input of an earlier connection does not make a client idle that has just come
    for input in [None, Some(at(5))] {
        assert_eq!(due(&active(1000), &LIMITS, input, None, at(1000)), Due::Nothing(Some(at(1540))));
    }
}

#[test]
fn input_does_not_move_the_active_limit() {
    let told = warning(Limit::Active, 3600, 3600);
    let look = |warned, now| due(&active(0), &LIMITS, Some(at(now)), warned, at(now));
    assert_eq!(look(None, 3500), Due::Nothing(Some(at(3540))));
    assert_eq!(look(None, 3540), Due::Warn(told));
    assert_eq!(look(Some(&told), 3600), Due::Act(Limit::Active, LimitAction::Disconnect));
}

#[test]
fn whoever_was_not_warned_in_time_is_warned_first() {
    // such as after a shorter limit was set, or after the service was down
    let late = warning(Limit::Idle, 600, 2060);
    assert_eq!(due(&active(0), &LIMITS, None, None, at(2000)), Due::Warn(late));
    assert_eq!(due(&active(0), &LIMITS, None, Some(&late), at(2059)), Due::Warn(late));
    let act = Due::Act(Limit::Idle, LimitAction::Disconnect);
    assert_eq!(due(&active(0), &LIMITS, None, Some(&late), at(2060)), act);
    // told of a disconnect, a user is not logged off
    let logoff = Limits { action: LimitAction::Logoff, ..LIMITS };
    assert!(matches!(due(&active(0), &logoff, None, Some(&late), at(2060)), Due::Warn(_)));
    let silent = Limits { warning: 0, ..LIMITS };
    assert_eq!(due(&active(0), &silent, None, None, at(2000)), act);
}

#[test]
fn a_warning_takes_at_most_half_of_the_limit() {
    let short = Limits { idle: 5, active: 0, ..LIMITS };
    assert_eq!(due(&active(0), &short, None, None, at(0)), Due::Nothing(Some(Timestamp(2500))));
}

#[test]
fn the_disconnected_limit_always_logs_off() {
    let look = |attach, now| due(&disconnected(attach), &LIMITS, None, None, at(now));
    assert_eq!(look(None, 7199), Due::Nothing(Some(at(7200))));
    assert_eq!(look(None, 7200), Due::Act(Limit::Disconnected, LimitAction::Logoff));
    assert_eq!(look(Some(C), 9999), Due::Nothing(None), "the user is on the way back");
}

#[test]
fn no_limit_touches_a_session_that_starts_ends_or_is_lost() {
    let since = at(0);
    for state in [
        State::Starting { since, attach: C },
        State::LoggingOff { since, cause: Cause::Administrator },
        State::Lost { since, reason: LostReason::HostSilent },
        State::Ended { at: since, reason: EndReason::LoggedOff },
    ] {
        assert_eq!(due(&session(state), &LIMITS, None, None, at(1_000_000)), Due::Nothing(None));
    }
    let never = Limits { idle: 0, active: 0, disconnected: 0, ..LIMITS };
    for session in [active(0), disconnected(None)] {
        assert_eq!(due(&session, &never, None, None, at(1_000_000)), Due::Nothing(None));
    }
}

#[test]
fn a_collection_has_no_limits_unless_it_is_given_some() {
    for session in [active(0), disconnected(None)] {
        assert_eq!(due(&session, &Limits::default(), None, None, at(1_000_000)), Due::Nothing(None));
    }
}

/// What happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Input,
    Limits(Limits),
}

fn limits() -> impl Strategy<Value = Limits> {
    let action = prop_oneof![Just(LimitAction::Disconnect), Just(LimitAction::Logoff)];
    (0u32..50, 0u32..200, action, 0u32..30).prop_map(|(idle, active, action, warning)| Limits {
        idle,
        active,
        disconnected: 0,
        action,
        warning,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1i64..20_000).prop_map(Step::Wait),
        2 => Just(Step::Input),
        1 => limits().prop_map(Step::Limits),
    ]
}

proptest! {
    /// Whoever is put out has been at the limit, and had the whole warning, with what was done, and without any input
    /// after it if it was about idleness.
    #[test]
    fn nobody_is_put_out_early_or_unwarned(first in limits(), steps in prop::collection::vec(step(), 1..80)) {
        let session = active(0);
        let (mut limits, mut input, mut warned) = (first, None, None);
        let mut told: Option<(Timestamp, Warning, Limits)> = None;
        let mut now = at(0);
        for step in steps {
            match step {
                Step::Wait(millis) => now = Timestamp(now.0 + millis),
                Step::Input => input = Some(now),
                Step::Limits(new) => limits = new,
            }
            let answer = due(&session, &limits, input, warned.as_ref(), now);
            warned = match answer {
                Due::Nothing(next) => {
                    prop_assert!(next.is_none_or(|next| next > now), "a look that is overdue");
                    prop_assert_eq!(next.is_none(), limits.idle == 0 && limits.active == 0);
                    None
                }
                Due::Warn(warning) => {
                    if warned != Some(warning) {
                        told = Some((now, warning, limits));
                    }
                    prop_assert!(warning.at > now);
                    Some(warning)
                }
                Due::Act(limit, action) => {
                    let (from, seconds) = match limit {
                        Limit::Idle => (input.unwrap_or(at(0)), limits.idle),
                        Limit::Active => (at(0), limits.active),
                        Limit::Disconnected => panic!("the session is active"),
                    };
                    prop_assert!(seconds > 0 && now.since(from).as_millis() >= u128::from(seconds) * 1000);
                    prop_assert_eq!(action, limits.action);
                    if limits.warning > 0 {
                        let (when, what, then) = told.expect("a warning");
                        let seconds = match limit {
                            Limit::Idle => then.idle,
                            Limit::Active => then.active,
                            Limit::Disconnected => panic!("the session is active"),
                        };
                        let promised = i64::from(then.warning.min(seconds)) * 1000;
                        prop_assert_eq!((what.limit, what.action), (limit, action));
                        prop_assert!(now.0 - when.0 >= promised.min(i64::from(seconds) * 500));
                        prop_assert!(limit != Limit::Idle || input.is_none_or(|input| input <= when));
                    }
                    return Ok(());
                }
            };
        }
    }
}
