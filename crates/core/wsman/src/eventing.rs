//! Subscriptions (WS-Eventing of August 2004, DSP0226 10): being told of what happens.
//!
//! A client that pulls, which is what every client can:
//!
//! 1. Subscribe, to all classes of a namespace (`.../wbem/wscim/1/*` and the selector `__cimnamespace`, or
//!    `.../wmi/<namespace>/*`), with a WQL query such as `SELECT * FROM __InstanceOperationEvent WITHIN 5 WHERE
//!    TargetInstance ISA 'Win32_VirtualDesktopSession'`. The answer has an enumeration context to pull with, an
//!    identifier to manage the subscription by, when it expires, and a first bookmark.
//! 2. List what there is: what happens from the Subscribe on is told, so nothing falls in between.
//! 3. Pull, again and again. Each waits at the server for an event, a heartbeat or the OperationTimeout, which is the
//!    fault `w:TimedOut` and no reason to stop. Each answer with events carries the bookmark behind the last of them.
//! 4. Unsubscribe by the identifier, or let it expire; Renew before that to stay.
//!
//! A subscription does not outlive the server's process. Then the context is unknown
//! (`n:InvalidEnumerationContext`): subscribe anew with the last bookmark, and go on without a gap. When the server
//! has forgotten what follows a bookmark the fault is `w:InvalidBookmark`: list anew.
//!
//! [`client`] has the messages of that client; [`Subscribe`] and [`reply`] are the server's side.

pub mod client;
mod read;
pub mod reply;

pub(crate) use read::read;

use crate::{Charset, Expiry, Filter};
use std::time::Duration;

/// WS-Eventing.
pub(crate) const EVENTING: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing";
pub(crate) const SUBSCRIBE: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe";
pub(crate) const RENEW: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/Renew";
pub(crate) const GET_STATUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/GetStatus";
pub(crate) const UNSUBSCRIBE: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/Unsubscribe";
const SUBSCRIPTION_END: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/SubscriptionEnd";
/// Delivery modes (WS-Eventing 3.1, DSP0226 10.2.9).
const PUSH: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/DeliveryModes/Push";
const PUSH_WITH_ACK: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/PushWithAck";
const PULL: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull";
/// The action of an event that has none of its own, of a heartbeat and of an acknowledgement.
const EVENT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Event";
const HEARTBEAT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Heartbeat";
const ACK: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack";
/// The bookmark of everything that is still known (DSP0226 10.2.6).
const EARLIEST: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest";

/// What is asked about a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Eventing {
    /// Make one.
    Subscribe(Box<Subscribe>),
    /// Let it live on.
    Renew {
        /// Which.
        identifier: String,
        /// For how long.
        expires: Option<Expiry>,
    },
    /// How long will it live.
    GetStatus {
        /// Which.
        identifier: String,
    },
    /// End it.
    Unsubscribe {
        /// Which.
        identifier: String,
    },
}

/// A subscription that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// How events come to the client.
    pub delivery: Delivery,
    /// Which events.
    pub filter: Filter,
    /// How long it is to live.
    pub expires: Option<Expiry>,
    /// After how long without an event the client wants to hear that there is none.
    pub heartbeats: Option<Duration>,
    /// Where to begin; `None`: with what happens from now on.
    pub bookmark: Option<Bookmark>,
    /// Whether events are to come with bookmarks.
    pub send_bookmarks: bool,
}

/// How events come to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It asks for them.
    Pull,
    /// They are sent to it.
    Push(Box<Push>),
}

/// Where events are sent, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where to.
    pub to: Endpoint,
    /// Who is told of the end of the subscription.
    pub end_to: Option<Endpoint>,
    /// Whether each is to be acknowledged by a message, rather than by the HTTP status alone.
    pub acknowledged: Acknowledged,
    /// How often, and at what distance, a failed delivery is tried again; `None`: as the server likes.
    pub retry: Option<(u32, Duration)>,
    /// The encoding of the events.
    pub charset: Charset,
}

/// How a delivery is known to have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// By a status of success.
    ByStatus,
    /// By the message that says so (DSP0226 10.2.9.2).
    ByMessage,
}

/// An address, with what has to come back in the headers of messages to it (WS-Addressing 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http://` or `https://`.
    pub address: String,
    /// Namespace, name and text of each header.
    pub headers: Vec<(String, String, String)>,
}

/// A place in the sequence of events, opaque to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bookmark {
    /// Before everything that is still known.
    Earliest,
    /// Behind the event of that position.
    After(u64),
}

impl Bookmark {
    /// Reads what a client gives back. `None`: it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text == EARLIEST {
            return Some(Bookmark::Earliest);
        }
        let digits = text.strip_prefix("change:")?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
        digits.parse().ok().filter(|_| plain).map(Bookmark::After)
    }
}

impl std::fmt::Display for Bookmark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bookmark::Earliest => f.write_str(EARLIEST),
            Bookmark::After(position) => write!(f, "change:{position}"),
        }
    }
}

#[cfg(test)]
mod tests;
