//! The pump, between two legs that give and take as the input says: everything at once, byte by byte, or later.
//!
//! An input is a plan and two streams. The plan cuts the streams, and says who closes, whether channel ids differ,
//! whether the client is spoken to, and when an order to end comes. What has to come out is told by [`model`], which
//! sees each stream whole; so any two ways to cut the same streams give the same.

mod guarded;
mod leg;
mod model;

use leg::{Leg, Turns};
use model::{Model, boundary};
use openrdms_rdp::{ChannelIds, ChannelMap};
use openrdms_relay::pump::{Event, Pump};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use zeroize::Zeroizing;

/// What is said to the client behind the connection sequence: two frames of a kind that no stream is likely to have.
const ASIDE: &[u8] = &[0x3c, 0x06, 0xaa, 0xaa, 0xaa, 0xaa, 0x3c, 0x80, 0x05, 0xaa, 0xaa];
/// The I/O channel as the client knows it.
const IO: u16 = ChannelIds::IO;
/// Streams are not repeated beyond this length, in bytes.
const STREAM_MAX: usize = 96 * 1024;

/// All that an input decides.
struct Plan<'a> {
    client_closes: bool,
    desktop_closes: bool,
    speaks: bool,
    map: Option<ChannelMap>,
    /// How many turns the pump has before the order to end comes, if it comes.
    order: Option<usize>,
    turns: &'a [u8],
    up: Vec<u8>,
    down: Vec<u8>,
}

/// How the pump came to its end.
#[derive(Debug)]
enum End {
    /// Nothing moves any more, and nobody would wake it.
    Idle,
    Ordered,
    Stopped(Event),
}

impl<'a> Plan<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let ([flags, repeat, order, turns, up_low, up_high], rest) = bytes.split_first_chunk()?;
        let (turns, streams) = rest.split_at_checked(usize::from(*turns))?;
        let up_len = usize::from(u16::from_le_bytes([*up_low, *up_high]));
        let (up, down) = streams.split_at_checked(up_len)?;
        let times = |n: u8, stream: &[u8]| {
            stream.repeat(usize::from(n).clamp(1, STREAM_MAX.checked_div(stream.len()).unwrap_or(1).max(1)))
        };
        Some(Self {
            client_closes: flags & 1 != 0,
            desktop_closes: flags & 2 != 0,
            speaks: flags & 4 != 0,
            map: map(flags >> 3 & 3),
            order: (flags & 0x20 != 0).then_some(usize::from(*order)),
            turns,
            up: times(repeat & 0x0f, up),
            down: times(repeat >> 4, down),
        })
    }
}

/// What is between the ids of the two legs: nothing, some ids, some ids that swap, or all.
fn map(choice: u8) -> Option<ChannelMap> {
    let desktop = match choice {
        0 => return None,
        1 => ChannelIds { io: 1003, user: 1010, statics: vec![1004, 1020, 1006] },
        2 => ChannelIds { io: 1003, user: 1004, statics: vec![1007, 1006, 1005] },
        _ => ChannelIds { io: 1004, user: 1001, statics: vec![1005, 1006, 1003] },
    };
    ChannelMap::new(&ChannelIds::ours(3), &desktop)
}

/// However the streams are cut: what comes out is what the model says, and so is what is noticed; the client is spoken to
/// between frames only, and can be brought to the end of a frame at any moment; nothing of what it must not see comes out.
pub fn pump(bytes: &[u8]) -> bool {
    let Some(plan) = Plan::read(bytes) else { return false };
    let up = Model::up(&plan.up, plan.map.as_ref(), IO);
    let down = Model::down(&plan.down, plan.map.as_ref(), IO, if plan.speaks { ASIDE } else { &[] });

    let turns = Rc::new(RefCell::new(Turns::new(plan.turns)));
    let client = Leg::new(&plan.up, plan.client_closes, &turns);
    let desktop = Leg::new(&plan.down, plan.desktop_closes, &turns);
    let mut pump = Pump::new(client, desktop, plan.map.clone(), IO);

    let mut noticed = Vec::new();
    let end = pass(&mut pump, &plan, &turns, &mut noticed, (&up, &down));
    let (seen_up, seen_down) = (up.events_up(&noticed), down.events_down(&noticed));
    let to_client = |pump: &Pump<Leg<'_>, Leg<'_>>| pump.client.taken.clone();
    let to_desktop = |pump: &Pump<Leg<'_>, Leg<'_>>| pump.desktop.taken.clone();
    assert!(up.out.starts_with(&to_desktop(&pump)), "the desktop gets what the client sent");
    assert!(down.begins_with(&to_client(&pump)), "the client gets what the desktop sent");
    assert_eq!(pump.client_had_any(), !to_client(&pump).is_empty());

    match end {
        End::Idle => {
            assert!(up.broken.is_none() && down.broken.is_none(), "what is broken is noticed");
            assert!(!plan.client_closes && !plan.desktop_closes, "that somebody closed is noticed");
            assert!(to_desktop(&pump) == up.out, "all that is there goes to the desktop");
            assert!(to_client(&pump) == down.out, "all that is there goes to the client");
            assert!(seen_up && seen_down, "{noticed:?}");
            assert_eq!(pump.share_id(), down.share_id);
        }
        End::Stopped(Event::ClientGone) => {
            assert!(plan.client_closes && up.broken.is_none());
            assert!(seen_up, "{noticed:?}");
            finish(&turns, pump.empty_to_desktop()).expect("it always ends").expect("the desktop is there");
            assert!(to_desktop(&pump) == up.out, "what the client sent before it closed arrives");
        }
        End::Stopped(Event::DesktopGone) => {
            assert!(plan.desktop_closes && down.broken.is_none());
            assert!(seen_down, "{noticed:?}");
            assert_eq!(pump.share_id(), down.share_id);
            finish(&turns, pump.empty_to_client()).expect("it always ends").expect("the client is there");
            let got = to_client(&pump);
            assert!(
                got == down.out || got == down.unspoken,
                "what the desktop sent before it closed arrives"
            );
        }
        End::Stopped(Event::ClientBroke(error)) => {
            assert_eq!(Some(error.into()), up.broken);
            assert!(seen_up, "{noticed:?}");
            to_boundary(pump, &turns, &plan, &down);
        }
        End::Stopped(Event::DesktopBroke(error)) => {
            assert_eq!(Some(error), down.broken);
            assert!(seen_down, "{noticed:?}");
            to_boundary(pump, &turns, &plan, &down);
        }
        End::Ordered => to_boundary(pump, &turns, &plan, &down),
        End::Stopped(Event::Activated | Event::Ready | Event::Input) => unreachable!("the pump goes on"),
    }
    up.frames + down.frames > 0
}

/// Runs the pump as a connection does, until there is nothing more to do.
fn pass(
    pump: &mut Pump<Leg<'_>, Leg<'_>>,
    plan: &Plan<'_>,
    turns: &RefCell<Turns<'_>>,
    noticed: &mut Vec<Event>,
    (up, down): (&Model, &Model),
) -> End {
    let mut cx = Context::from_waker(Waker::noop());
    for turn in 0.. {
        if plan.order.is_some_and(|order| turn >= order) {
            return End::Ordered;
        }
        turns.borrow_mut().wakes = false;
        let event = match pump.poll(&mut cx) {
            Poll::Pending if turns.borrow().wakes => continue,
            Poll::Pending => return End::Idle,
            Poll::Ready(event) => event,
        };
        match event {
            Event::Activated | Event::Ready => {
                let begins = if event == Event::Ready { down.ready_at } else { down.activated_at };
                assert!(pump.client.taken.len() <= begins.expect("the model knows it"), "not passed on yet");
                assert!(pump.share_id().is_some());
                if event == Event::Ready && plan.speaks {
                    pump.say_to_client(Zeroizing::new(ASIDE.to_vec()));
                }
            }
            Event::Input => {
                let first = !noticed.contains(&Event::Input);
                let begins = up.input_at.expect("the model knows it");
                assert!(!first || pump.desktop.taken.len() <= begins, "reported at once");
            }
            Event::ClientGone | Event::DesktopGone | Event::ClientBroke(_) | Event::DesktopBroke(_) => {
                return End::Stopped(event);
            }
        }
        noticed.push(event);
    }
    unreachable!("the streams end")
}

/// Brings the client to the end of a frame, which works unless the desktop does not send the rest of it.
fn to_boundary(mut pump: Pump<Leg<'_>, Leg<'_>>, turns: &RefCell<Turns<'_>>, plan: &Plan<'_>, down: &Model) {
    let finished = finish(turns, pump.finish_client_frame());
    let got = &pump.client.taken;
    assert!(down.begins_with(got), "the client gets what the desktop sent");
    match finished {
        Some(Ok(())) => assert!(boundary(got), "the client is at the end of a frame"),
        Some(Err(_)) => assert!(plan.desktop_closes && down.ends_within_a_frame, "the rest was there"),
        None => assert!(!plan.desktop_closes && down.ends_within_a_frame, "the rest was there"),
    }
}

/// Runs something to its end; `None` where nobody would wake it any more.
fn finish<T>(turns: &RefCell<Turns<'_>>, work: impl Future<Output = T>) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut work = pin!(work);
    loop {
        turns.borrow_mut().wakes = false;
        match work.as_mut().poll(&mut cx) {
            Poll::Ready(done) => return Some(done),
            Poll::Pending if turns.borrow().wakes => {}
            Poll::Pending => return None,
        }
    }
}
