//! Who may come back without a person, one test a rule, and random histories.

#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

mod support;

use openrdms_broker::session::reconnect::{Reconnect, With, after};
use openrdms_broker::session::transition::{Denied, Event, apply};
use openrdms_broker::session::{Cause, DetachReason, EndReason};
use openrdms_broker::{
    Arrival, ClientFacts, ConnectionId, Cookie, CookieProof, Limit, Session, State, Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

const ID: u32 = 9;
const ADMINISTRATOR: Event = Event::Disconnect(Cause::Administrator);

fn connection(n: u128) -> ConnectionId {
    ConnectionId(Uuid::from_u128(n))
}

fn cookie(n: u8) -> Cookie {
    Cookie::new([n; 16])
}

/// What the client with the n-th cookie of the session says.
fn by(n: u8) -> Arrival {
    Arrival::Automatic(CookieProof { session_id: ID, verifier: cookie(n).verifier() })
}

fn session() -> Session {
    let starting = State::Starting { since: Timestamp(0), attach: connection(1) };
    Session { session_id: ID, ..support::session(starting) }
}

/// As the engine does it.
fn step(session: &mut Session, event: &Event, with: With<'_>) -> Result<(), Denied> {
    let (state, _) = apply(&session.state, event, Timestamp(1))?;
    session.reconnect = after(session, &state, event, with)?;
    session.state = state;
    Ok(())
}

fn comes(session: &mut Session, n: u128, arrival: Arrival) -> Result<(), Denied> {
    let facts = ClientFacts::default();
    step(session, &Event::Attach(connection(n)), With::Client(&facts, arrival))
}

/// The n-th client is in and has the n-th cookie.
fn is_in(session: &mut Session, n: u8) {
    step(session, &Event::Attached(connection(n.into())), With::Cookie(&cookie(n))).unwrap();
}

fn goes(session: &mut Session, n: u128) {
    step(session, &Event::Closed(connection(n), DetachReason::ClientGone), With::Nothing).unwrap();
}

/// The first client is in, with the first cookie.
fn first() -> Session {
    let mut session = session();
    comes(&mut session, 1, Arrival::Person).unwrap();
    is_in(&mut session, 1);
    session
}

#[test]
fn the_proof_is_an_hmac_md5_over_32_zero_bytes() {
    // by another implementation: python3 -c "import hmac; print(hmac.new(key, bytes(32), 'md5').hexdigest())"
    let known = [
        (*b"sixteen bytes...", 0x0556_fe44_ea8d_d8b1_85a4_b897_a3cd_51d7_u128),
        (std::array::from_fn(|n| n as u8), 0xb639_c873_1638_618b_7079_72aa_6e96_cf90),
        ([0; 16], 0x3a7f_6f43_485d_9596_45c3_10f8_0fe7_7fe8),
    ];
    for (random, verifier) in known {
        let (cookie, verifier) = (Cookie::new(random), verifier.to_be_bytes());
        assert_eq!(cookie.verifier(), verifier);
        assert!(cookie.proved_by(&CookieProof { session_id: ID, verifier }));
        for bit in 0..128 {
            let mut verifier = verifier;
            verifier[bit / 8] ^= 1 << (bit % 8);
            assert!(!cookie.proved_by(&CookieProof { session_id: ID, verifier }), "{bit}");
        }
    }
}

#[test]
fn a_client_whose_network_failed_comes_back_whether_that_was_noticed_or_not() {
    let mut session = first();
    comes(&mut session, 2, by(1)).unwrap();
    is_in(&mut session, 2);
    goes(&mut session, 2);
    comes(&mut session, 3, by(2)).unwrap();
}

#[test]
fn it_may_come_by_the_same_cookie_until_it_uses_the_next() {
    let mut session = first();
    for n in 2..4 {
        // it was given the n-th cookie, and that did not arrive
        comes(&mut session, n, by(1)).unwrap();
        is_in(&mut session, n as u8);
    }
    comes(&mut session, 4, by(3)).unwrap();
    is_in(&mut session, 4);
    assert_eq!(comes(&mut session, 5, by(1)), Err(Denied::Automatic(DetachReason::TakenOver)));
    assert_eq!(comes(&mut session, 5, by(2)), Err(Denied::Automatic(DetachReason::TakenOver)));
    assert_eq!(session.state.connection(), Some(connection(4)), "and nothing has changed");
}

#[test]
fn who_was_disconnected_comes_back_as_a_person_only() {
    let reasons = [
        (Cause::Administrator, DetachReason::Administrator),
        (Cause::Limit(Limit::Idle), DetachReason::Limit(Limit::Idle)),
        (Cause::Limit(Limit::Active), DetachReason::Limit(Limit::Active)),
    ];
    for (cause, reason) in reasons {
        let mut session = first();
        step(&mut session, &Event::Disconnect(cause), With::Nothing).unwrap();
        for _ in 0..2 {
            assert_eq!(comes(&mut session, 2, by(1)), Err(Denied::Automatic(reason)));
        }
        comes(&mut session, 3, Arrival::Person).unwrap();
        assert_eq!(comes(&mut session, 2, by(1)), Err(Denied::Automatic(DetachReason::TakenOver)));
        is_in(&mut session, 3);
        assert_eq!(comes(&mut session, 2, by(1)), Err(Denied::Automatic(DetachReason::TakenOver)));
    }
}

#[test]
fn a_disconnect_holds_for_a_client_that_was_gone_or_just_coming_back_too() {
    let mut gone = first();
    goes(&mut gone, 1);
    let mut coming = gone.clone();
    comes(&mut coming, 2, by(1)).unwrap();
    for mut session in [gone, coming] {
        step(&mut session, &ADMINISTRATOR, With::Nothing).unwrap();
        let after = session.clone();
        assert_eq!(comes(&mut session, 3, by(1)), Err(Denied::Automatic(DetachReason::Administrator)));
        step(&mut session, &ADMINISTRATOR, With::Nothing).unwrap();
        assert_eq!(session, after, "a second one changes nothing");
    }
}

#[test]
fn who_was_taken_over_does_not_take_the_session_back_by_itself() {
    let mut session = first();
    comes(&mut session, 2, Arrival::Person).unwrap();
    assert_eq!(comes(&mut session, 3, by(1)), Err(Denied::Automatic(DetachReason::TakenOver)));
    is_in(&mut session, 2);
    assert_eq!(comes(&mut session, 3, by(1)), Err(Denied::Automatic(DetachReason::TakenOver)));
    assert_eq!(session.state.connection(), Some(connection(2)));
}

#[test]
fn a_restart_of_the_service_or_a_silence_of_the_host_voids_nothing() {
    for events in [&[Event::NodeRestarted][..], &[Event::HostLost, Event::HostReturned(None)]] {
        let mut session = first();
        for event in events {
            step(&mut session, event, With::Nothing).unwrap();
        }
        comes(&mut session, 2, by(1)).unwrap();
    }
}

#[test]
fn who_was_being_logged_off_when_the_host_fell_silent_comes_back_as_a_person_only() {
    let mut session = first();
    let events = [Event::Logoff(Cause::Administrator), Event::HostLost, Event::HostReturned(None)];
    for event in events {
        step(&mut session, &event, With::Nothing).unwrap();
    }
    assert_eq!(comes(&mut session, 2, by(1)), Err(Denied::Automatic(DetachReason::Logoff)));
    comes(&mut session, 3, Arrival::Person).unwrap();
}

#[test]
fn a_cookie_of_another_session_does_not_help_where_somebody_has_been_or_is_coming() {
    let other = |session_id| CookieProof { session_id, verifier: cookie(1).verifier() };
    let refused = Err(Denied::Automatic(DetachReason::TakenOver));
    let mut used = first();
    goes(&mut used, 1);
    assert_eq!(comes(&mut used, 2, Arrival::Automatic(other(ID + 1))), refused, "even with the same cookie");
    let mut starting = session();
    assert_eq!(comes(&mut starting, 2, by(7)), refused);
    // nobody has been in it: the client began it itself and gave up before it was there
    goes(&mut starting, 1);
    comes(&mut starting, 2, by(7)).unwrap();
}

#[test]
fn no_cookie_is_kept_of_a_session_that_has_ended() {
    let mut session = first();
    step(&mut session, &Event::LogonEnded(EndReason::LoggedOff), With::Nothing).unwrap();
    assert_eq!(session.reconnect, Reconnect::Never);
}

#[test]
fn nothing_shows_a_cookie_or_its_proof() {
    let session = first();
    let shown = format!("{session:?} {:?} {:?}", by(1), With::Cookie(&cookie(1)));
    for secret in [format!("{:?}", [1; 16]), format!("{:?}", cookie(1).verifier())] {
        let bytes = secret.trim_matches(['[', ']']);
        assert!(!shown.contains(bytes), "{shown}");
    }
    assert!(
        shown.contains("cookie: Cookie") && shown.contains("CookieProof { session_id: 9"),
        "what may be shown is: {shown}"
    );
}

#[test]
fn a_cookie_that_is_given_a_second_time_changes_nothing() {
    let mut session = first();
    comes(&mut session, 2, by(1)).unwrap();
    is_in(&mut session, 2);
    let given = session.clone();
    assert_eq!(given.reconnect, Reconnect::By { cookie: cookie(2), before: Some(cookie(1)) });
    is_in(&mut session, 2);
    assert_eq!(session, given, "and the one before is still good");
    assert_eq!(cookie(2).bytes(), &[2; 16]);
}

#[test]
fn the_client_that_a_session_is_started_for_may_ask_again_with_its_old_cookie() {
    let mut session = session();
    comes(&mut session, 1, by(7)).unwrap();
    assert_eq!(session.reconnect, Reconnect::Never);
    is_in(&mut session, 1);
}

proptest! {
    /// Whatever happens: only whoever was let in last comes back by itself, and not after having been sent away.
    #[test]
    fn any_history(events in prop::collection::vec((0u8..6, 1u8..20), 0..60)) {
        let mut session = first();
        let (mut newest, mut sent_away) = (1, false);
        for (n, (what, old)) in events.into_iter().enumerate() {
            let next = n as u8 + 100;
            let before = session.clone();
            match what {
                0 => {
                    comes(&mut session, next.into(), Arrival::Person).unwrap();
                    is_in(&mut session, next);
                    (newest, sent_away) = (next, false);
                }
                1 => {
                    let came = comes(&mut session, next.into(), by(newest));
                    prop_assert_eq!(came.is_ok(), !sent_away);
                    if came.is_ok() {
                        is_in(&mut session, next);
                        newest = next;
                    }
                }
                2 => {
                    step(&mut session, &ADMINISTRATOR, With::Nothing).unwrap();
                    sent_away = true;
                }
                3 => goes(&mut session, newest.into()),
                4 => step(&mut session, &Event::NodeRestarted, With::Nothing).unwrap(),
                // a cookie that was never given
                _ => {
                    prop_assert!(comes(&mut session, next.into(), by(old + 200)).is_err());
                    prop_assert_eq!(&session, &before);
                }
            }
        }
    }
}
