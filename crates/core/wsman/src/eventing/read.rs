//! Requests about subscriptions, as the server reads them.

use super::{
    Acknowledged, Bookmark, Delivery, EVENTING, Endpoint, Eventing, GET_STATUS, PULL, PUSH, PUSH_WITH_ACK,
    Push, RENEW, SUBSCRIBE, Subscribe, UNSUBSCRIBE,
};
use crate::names::{ADDRESSING, SOAP, WSMAN};
use crate::request::body;
use crate::{Charset, Fault, Subcode, read};
use openrdms_cim::value::time;
use roxmltree::Node;
use std::time::Duration;

/// The shortest time between heartbeats that is promised.
const MIN_HEARTBEAT: Duration = Duration::from_secs(1);
/// Headers that come back with an event, and the most text of one, in bytes.
const MAX_HEADERS: usize = 8;
const MAX_TEXT: usize = 2048;

/// Reads a message with that action; `None` where it is not about subscriptions.
pub(crate) fn read<'a>(
    action: &str,
    header: Node<'a, 'a>,
    body: Node<'a, 'a>,
) -> Result<Option<Eventing>, Fault> {
    let element = |name: &str| {
        read::child(body, EVENTING, name)
            .ok_or_else(|| Fault::new(Subcode::InvalidMessage, format!("body has no {name}")))
    };
    let identifier = || {
        read::child_text(header, EVENTING, "Identifier")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| Fault::new(Subcode::InvalidMessage, "header Identifier is missing"))
    };
    Ok(Some(match action {
        SUBSCRIBE => Eventing::Subscribe(Box::new(subscribe(element("Subscribe")?)?)),
        RENEW => Eventing::Renew {
            identifier: identifier()?,
            expires: body::expires(element("Renew")?, EVENTING, Subcode::InvalidExpiration)?,
        },
        GET_STATUS => Eventing::GetStatus { identifier: identifier()? },
        UNSUBSCRIBE => Eventing::Unsubscribe { identifier: identifier()? },
        _ => return Ok(None),
    }))
}

fn subscribe<'a>(node: Node<'a, 'a>) -> Result<Subscribe, Fault> {
    let delivery = read::child(node, EVENTING, "Delivery")
        .ok_or_else(|| Fault::new(Subcode::InvalidMessage, "body has no Delivery"))?;
    let filter = read::child(node, WSMAN, "Filter").or_else(|| read::child(node, EVENTING, "Filter"));
    let filter = filter.ok_or_else(|| {
        Fault::new(Subcode::CannotProcessFilter, "a subscription needs a filter with a query of events")
    })?;
    let bookmark = read::child(node, WSMAN, "Bookmark").map(|bookmark| {
        Bookmark::parse(read::text(bookmark).trim()).ok_or_else(|| {
            Fault::new(Subcode::InvalidBookmark, "the bookmark is none of this server")
                .detail("InvalidFormat")
        })
    });
    Ok(Subscribe {
        filter: body::read_filter(filter)?,
        expires: body::expires(node, EVENTING, Subcode::InvalidExpiration)?,
        heartbeats: heartbeats(delivery)?,
        bookmark: bookmark.transpose()?,
        send_bookmarks: read::child(node, WSMAN, "SendBookmarks").is_some(),
        delivery: self::delivery(node, delivery)?,
    })
}

fn delivery<'a>(subscribe: Node<'a, 'a>, node: Node<'a, 'a>) -> Result<Delivery, Fault> {
    let charset = charset(node)?;
    // Push is what is meant where nothing is said (WS-Eventing 3.1).
    let acknowledged = match node.attribute("Mode").map_or(PUSH, str::trim) {
        // the encoding of a reply is always that of its Pull
        PULL => return Ok(Delivery::Pull),
        PUSH => Acknowledged::ByStatus,
        PUSH_WITH_ACK => Acknowledged::ByMessage,
        _ => {
            let reason = "the delivery mode is not offered; offered are Pull, Push and PushWithAck";
            return Err(Fault::new(Subcode::DeliveryModeRequestedUnavailable, reason));
        }
    };
    if read::child(node, WSMAN, "Auth").is_some() {
        let reason = "events are sent without authentication";
        return Err(Fault::new(Subcode::UnsupportedFeature, reason).detail("AuthorizationMode"));
    }
    let to = read::child(node, EVENTING, "NotifyTo")
        .ok_or_else(|| unusable("Delivery has no NotifyTo"))
        .and_then(endpoint)?;
    let end_to = read::child(subscribe, EVENTING, "EndTo").map(endpoint).transpose()?;
    Ok(Delivery::Push(Box::new(Push { to, end_to, acknowledged, retry: retry(node)?, charset })))
}

fn endpoint<'a>(node: Node<'a, 'a>) -> Result<Endpoint, Fault> {
    let address =
        read::child_text(node, ADDRESSING, "Address").filter(|a| !a.is_empty() && a.len() <= MAX_TEXT);
    let address =
        address.ok_or_else(|| unusable("the endpoint has no address, or a longer one than is taken"))?;
    let mut headers = Vec::new();
    let parts = ["ReferenceProperties", "ReferenceParameters"];
    for node in parts.iter().filter_map(|name| read::child(node, ADDRESSING, name)).flat_map(read::children) {
        let (namespace, name) = (node.tag_name().namespace().unwrap_or(""), node.tag_name().name());
        if [SOAP, ADDRESSING].contains(&namespace) {
            return Err(unusable("the endpoint's reference holds headers that are the sender's own"));
        }
        let text = read::text(node);
        let longest = namespace.len().max(name.len()).max(text.len());
        if headers.len() >= MAX_HEADERS || longest > MAX_TEXT || read::children(node).next().is_some() {
            return Err(unusable("the endpoint's reference holds more than a few plain texts"));
        }
        headers.push((namespace.to_owned(), name.to_owned(), text));
    }
    Ok(Endpoint { address, headers })
}

fn heartbeats<'a>(node: Node<'a, 'a>) -> Result<Option<Duration>, Fault> {
    let Some(every) = body::duration(node, WSMAN, "Heartbeats")? else { return Ok(None) };
    if every < MIN_HEARTBEAT {
        let reason = "heartbeats come once a second at most";
        return Err(Fault::new(Subcode::UnsupportedFeature, reason).detail("Heartbeats"));
    }
    Ok(Some(every))
}

fn retry<'a>(node: Node<'a, 'a>) -> Result<Option<(u32, Duration)>, Fault> {
    let Some(retry) = read::child(node, WSMAN, "ConnectionRetry") else { return Ok(None) };
    let every = time::parse_duration(read::text(retry).trim()).map(Duration::from_micros);
    let total = retry.attribute("Total").map_or(Some(1), |total| total.trim().parse().ok());
    total.zip(every).map(Some).ok_or_else(|| {
        Fault::new(Subcode::SchemaValidationError, "ConnectionRetry is not a number and a duration")
    })
}

fn charset<'a>(node: Node<'a, 'a>) -> Result<Charset, Fault> {
    match read::child_text(node, WSMAN, "ContentEncoding").as_deref().map(str::to_ascii_uppercase).as_deref()
    {
        None | Some("UTF-8") => Ok(Charset::Utf8),
        Some("UTF-16") => Ok(Charset::Utf16Le),
        Some(_) => {
            Err(Fault::new(Subcode::EncodingLimit, "events come in UTF-8 or UTF-16").detail("CharacterSet"))
        }
    }
}

fn unusable(reason: &str) -> Fault {
    Fault::new(Subcode::EventDeliverToUnusable, reason)
}
