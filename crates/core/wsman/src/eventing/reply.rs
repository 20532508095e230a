//! Answers about subscriptions, and what is sent to whoever wants events pushed.

use super::{ACK, Acknowledged, Bookmark, EVENT, EVENTING, Endpoint, HEARTBEAT, SUBSCRIPTION_END};
use crate::instance::Style;
use crate::names::{self, ADDRESSING, ANONYMOUS, SOAP};
use crate::reply::{self, wrap};
use crate::xml::Xml;
use crate::{Charset, Family, Request, guard, read};
use openrdms_cim::value::time;
use openrdms_cim::{Instance, Repository};
use std::time::Duration;

/// How the events of a subscription are written: as its Subscribe was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    family: Family,
    precise_arrays: bool,
}

/// A subscription that is granted.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// What it is managed by.
    pub identifier: &'a str,
    /// How long it lives.
    pub expires: Duration,
    /// What its events are pulled with, if they are.
    pub context: Option<&'a str>,
    /// The place where it begins, where bookmarks are wanted.
    pub bookmark: Option<Bookmark>,
}

/// Why a subscription ended before its time (WS-Eventing 3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing came through to the client.
    DeliveryFailure,
    /// The server stops.
    SourceShuttingDown,
    /// The server does not want to go on with it.
    SourceCanceling,
}

/// A message to whoever wants events pushed.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Where to.
    pub to: &'a Endpoint,
    /// A fresh `uuid:...`.
    pub message_id: &'a str,
    /// Whether it is to be acknowledged by a message.
    pub acknowledged: Acknowledged,
    /// The place behind it, where bookmarks are wanted.
    pub bookmark: Option<Bookmark>,
}

impl Form {
    /// As that request is written.
    pub fn of(request: &Request) -> Self {
        let family = request.resource.as_ref().map_or(Family::Cim, |r| r.family);
        Self { family, precise_arrays: request.precise_arrays() }
    }

    /// One event.
    pub fn event(&self, repository: &Repository, event: &Instance) -> String {
        let style = Style { family: self.family, precise_arrays: self.precise_arrays };
        let mut xml = Xml::default();
        style.instance(&mut xml, repository, event);
        xml.0
    }
}

/// The reply to Subscribe.
pub fn subscribed(request: &Request, message_id: &str, granted: &Granted<'_>) -> String {
    reply::respond(request, message_id, |xml| {
        xml.element("e:SubscribeResponse", &[("xmlns:e", EVENTING)], |xml| {
            xml.element("e:SubscriptionManager", &[], |xml| manager(xml, request, granted.identifier));
            xml.leaf("e:Expires", &[], &duration(granted.expires));
            write_bookmark(xml, granted.bookmark);
            if let Some(context) = granted.context {
                xml.leaf("n:EnumerationContext", &[], context);
            }
        });
    })
}

/// The reply to Renew.
pub fn renewed(request: &Request, message_id: &str, expires: Duration) -> String {
    lives(request, message_id, "e:RenewResponse", expires)
}

/// The reply to GetStatus.
pub fn status(request: &Request, message_id: &str, expires: Duration) -> String {
    lives(request, message_id, "e:GetStatusResponse", expires)
}

/// The reply to a Pull of events, which [`Form::event`] has written; none is a heartbeat. There is no bookmark in
/// the body of a Pull's reply: it is a header, as with events that are pushed.
pub fn events(
    request: &Request,
    message_id: &str,
    context: &str,
    events: &[String],
    bookmark: Option<Bookmark>,
) -> String {
    reply::respond_with(
        request,
        message_id,
        |xml| write_bookmark(xml, bookmark),
        |xml| {
            xml.element("n:PullResponse", &[], |xml| {
                xml.leaf("n:EnumerationContext", &[], context);
                xml.element("n:Items", &[], |xml| {
                    events.iter().for_each(|event| xml.0.push_str(event));
                    if events.is_empty() {
                        xml.empty("w:Event", &[("Action", HEARTBEAT)]);
                    }
                });
            });
        },
    )
}

impl Notice<'_> {
    /// An event, which [`Form::event`] has written.
    pub fn event(&self, event: &str) -> String {
        self.message(EVENT, |xml| xml.0.push_str(event))
    }

    /// That nothing has happened.
    pub fn heartbeat(&self) -> String {
        self.message(HEARTBEAT, |_| {})
    }

    /// That the subscription has ended, and why; `reason` is for people.
    pub fn ended(&self, identifier: &str, why: Ended, reason: &str) -> String {
        let status = match why {
            Ended::DeliveryFailure => "DeliveryFailure",
            Ended::SourceShuttingDown => "SourceShuttingDown",
            Ended::SourceCanceling => "SourceCanceling",
        };
        self.message(SUBSCRIPTION_END, |xml| {
            xml.element("e:SubscriptionEnd", &[("xmlns:e", EVENTING)], |xml| {
                xml.element("e:SubscriptionManager", &[], |xml| {
                    xml.leaf("a:Address", &[], ANONYMOUS);
                    xml.element("a:ReferenceParameters", &[], |xml| {
                        xml.leaf("e:Identifier", &[], identifier);
                    });
                });
                xml.leaf("e:Status", &[], &format!("{EVENTING}/{status}"));
                xml.leaf("e:Reason", &[("xml:lang", "en-US")], reason);
            });
        })
    }

    fn message(&self, action: &str, body: impl FnOnce(&mut Xml)) -> String {
        let header = |xml: &mut Xml| {
            xml.leaf("a:To", &[], &self.to.address);
            xml.leaf("a:Action", &[], action);
            xml.leaf("a:MessageID", &[], self.message_id);
            xml.element("a:ReplyTo", &[], |xml| xml.leaf("a:Address", &[], ANONYMOUS));
            for (namespace, name, text) in &self.to.headers {
                match namespace.as_str() {
                    "" => xml.leaf(name, &[], text),
                    _ => xml.leaf(&format!("r:{name}"), &[("xmlns:r", namespace)], text),
                }
            }
            if self.acknowledged == Acknowledged::ByMessage {
                xml.empty("w:AckRequested", &[]);
            }
            write_bookmark(xml, self.bookmark);
        };
        wrap(header, body)
    }
}

/// Whether what came back for an event is the message that acknowledges it.
pub fn is_acknowledged(bytes: &[u8], message_id: &str) -> bool {
    let Some(text) = Charset::detect(bytes).decode(bytes) else { return false };
    let Some(document) = guard::parse(&text, guard::REQUEST) else { return false };
    let Some(header) = read::child(document.root_element(), SOAP, "Header") else { return false };
    let says = |name: &str| read::child_text(header, ADDRESSING, name);
    says("Action").as_deref() == Some(ACK) && says("RelatesTo").as_deref() == Some(message_id)
}

fn lives(request: &Request, message_id: &str, name: &str, expires: Duration) -> String {
    reply::respond(request, message_id, |xml| {
        xml.element(name, &[("xmlns:e", EVENTING)], |xml| xml.leaf("e:Expires", &[], &duration(expires)));
    })
}

/// The endpoint by which a subscription is managed: this one, with the identifier.
fn manager(xml: &mut Xml, request: &Request, identifier: &str) {
    xml.leaf("a:Address", &[], ANONYMOUS);
    xml.element("a:ReferenceParameters", &[], |xml| {
        if let Some(resource) = &request.resource {
            xml.leaf("w:ResourceURI", &[], &resource.family.uri(&resource.namespace, &resource.class));
            xml.element("w:SelectorSet", &[], |xml| {
                xml.leaf("w:Selector", &[("Name", names::NAMESPACE_SELECTOR)], &resource.namespace);
            });
        }
        xml.leaf("e:Identifier", &[], identifier);
    });
}

fn write_bookmark(xml: &mut Xml, bookmark: Option<Bookmark>) {
    if let Some(bookmark) = bookmark {
        xml.leaf("w:Bookmark", &[], &bookmark.to_string());
    }
}

fn duration(duration: Duration) -> String {
    time::print_duration(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}
