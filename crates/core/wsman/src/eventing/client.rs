//! The client's side of a subscription that pulls: requests as text, and what the answers say. How they follow one
//! another is told in [`super`].

use super::{EVENTING, HEARTBEAT, PULL, RENEW, SUBSCRIBE, UNSUBSCRIBE};
use crate::client::{AnswerError, Call, fault};
use crate::instance::{Members, read_instance};
use crate::names::{self, ENUMERATION, SOAP, WSMAN, XSI};
use crate::{Charset, guard, read};
use openrdms_cim::value::time;
use openrdms_cim::{Instance, Kind, ObjectPath, Repository, Type, Value};
use roxmltree::{Document, Node};
use std::time::Duration;

/// What a client wants to be told.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The namespace of the classes.
    pub namespace: &'a str,
    /// A query of events, in WQL.
    pub query: &'a str,
    /// How long the subscription is to live.
    pub expires: Duration,
    /// After how long without an event a heartbeat is wanted.
    pub heartbeats: Option<Duration>,
    /// The last bookmark of an earlier subscription; `None`: from now on.
    pub bookmark: Option<&'a str>,
}

/// A subscription as it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// What it is managed by.
    pub identifier: String,
    /// What events are pulled with.
    pub context: String,
    /// How long it lives; `None` where the server did not say.
    pub expires: Option<Duration>,
    /// The place where it begins.
    pub bookmark: Option<String>,
}

/// What a Pull brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Events {
    /// Instances of classes of events, in order; none in a heartbeat, or when the time was over.
    pub events: Vec<Instance>,
    /// The place behind them.
    pub bookmark: Option<String>,
    /// What the next Pull is made with, where it has changed.
    pub context: Option<String>,
    /// Whether the server said that nothing has happened.
    pub heartbeat: bool,
}

impl Call<'_> {
    /// Subscribe.
    pub fn subscribe(&self, wanted: &Wanted<'_>) -> String {
        let duration = |d: Duration| time::print_duration(u64::try_from(d.as_micros()).unwrap_or(u64::MAX));
        self.message_with(
            SUBSCRIBE,
            &all(wanted.namespace),
            |_| {},
            |xml| {
                xml.element("e:Subscribe", &[("xmlns:e", EVENTING)], |xml| {
                    xml.element("e:Delivery", &[("Mode", PULL)], |xml| {
                        if let Some(every) = wanted.heartbeats {
                            xml.leaf("w:Heartbeats", &[], &duration(every));
                        }
                    });
                    xml.leaf("e:Expires", &[], &duration(wanted.expires));
                    xml.leaf("w:Filter", &[("Dialect", names::WQL)], wanted.query);
                    if let Some(bookmark) = wanted.bookmark {
                        xml.leaf("w:Bookmark", &[], bookmark);
                    }
                    xml.empty("w:SendBookmarks", &[]);
                });
            },
        )
    }

    /// Pull: waits for events, at most as long as the call's timeout.
    pub fn pull_events(&self, namespace: &str, context: &str, max_elements: usize) -> String {
        self.pull(&all(namespace), context, max_elements)
    }

    /// Renew: lets the subscription live on.
    pub fn renew(&self, namespace: &str, identifier: &str, expires: Duration) -> String {
        let micros = u64::try_from(expires.as_micros()).unwrap_or(u64::MAX);
        let header =
            |xml: &mut crate::xml::Xml| xml.leaf("e:Identifier", &[("xmlns:e", EVENTING)], identifier);
        self.message_with(RENEW, &all(namespace), header, |xml| {
            xml.element("e:Renew", &[("xmlns:e", EVENTING)], |xml| {
                xml.leaf("e:Expires", &[], &time::print_duration(micros));
            });
        })
    }

    /// Unsubscribe.
    pub fn unsubscribe(&self, namespace: &str, identifier: &str) -> String {
        let header =
            |xml: &mut crate::xml::Xml| xml.leaf("e:Identifier", &[("xmlns:e", EVENTING)], identifier);
        self.message_with(UNSUBSCRIBE, &all(namespace), header, |xml| {
            xml.empty("e:Unsubscribe", &[("xmlns:e", EVENTING)]);
        })
    }
}

/// Reads the answer to Subscribe.
///
/// # Errors
/// As for any answer, see [`AnswerError`]; and where it tells no context to pull with.
pub fn read_subscribed(bytes: &[u8]) -> Result<Subscribed, AnswerError> {
    answer(bytes, |_, body| {
        let answer = body
            .filter(|n| n.has_tag_name((EVENTING, "SubscribeResponse")))
            .ok_or(AnswerError::Malformed("no subscription"))?;
        let identifier = answer.descendants().find(|n| n.has_tag_name((EVENTING, "Identifier")));
        let context = read::child_text(answer, ENUMERATION, "EnumerationContext").filter(|c| !c.is_empty());
        Ok(Subscribed {
            identifier: identifier.map(|n| read::text(n).trim().to_owned()).unwrap_or_default(),
            context: context.ok_or(AnswerError::Malformed("no context to pull events with"))?,
            expires: lives(answer),
            bookmark: read::child_text(answer, WSMAN, "Bookmark"),
        })
    })
}

/// Reads the answer to Renew: how long the subscription lives on, where the server said.
///
/// # Errors
/// As for any answer, see [`AnswerError`].
pub fn read_renewed(bytes: &[u8]) -> Result<Option<Duration>, AnswerError> {
    answer(bytes, |_, body| Ok(body.and_then(lives)))
}

/// Reads the answer to Unsubscribe.
///
/// # Errors
/// As for any answer, see [`AnswerError`].
pub fn read_unsubscribed(bytes: &[u8]) -> Result<(), AnswerError> {
    answer(bytes, |_, _| Ok(()))
}

/// Reads the answer to a Pull of events of a namespace. That the time was over is no error: pull again. Instances
/// within events have the types of their classes, where `repository` knows them.
///
/// # Errors
/// As for any answer, see [`AnswerError`]; a subscription that has ended is a fault.
pub fn read_events(bytes: &[u8], namespace: &str, repository: &Repository) -> Result<Events, AnswerError> {
    let read = answer(bytes, |header, body| {
        let answer = body
            .filter(|n| n.has_tag_name((ENUMERATION, "PullResponse")))
            .ok_or(AnswerError::Malformed("no events"))?;
        let items = read::child(answer, ENUMERATION, "Items").into_iter().flat_map(read::children);
        let (notes, events): (Vec<_>, Vec<_>) = items.partition(|n| n.has_tag_name((WSMAN, "Event")));
        Ok(Events {
            events: events.into_iter().map(|node| event(node, namespace, repository)).collect(),
            bookmark: header.and_then(|header| read::child_text(header, WSMAN, "Bookmark")),
            context: read::child_text(answer, ENUMERATION, "EnumerationContext").filter(|c| !c.is_empty()),
            heartbeat: notes.iter().any(|note| note.attribute("Action") == Some(HEARTBEAT)),
        })
    });
    match read {
        Err(AnswerError::Fault(error)) if error.kind == Kind::TimedOut => Ok(Events::default()),
        read => read,
    }
}

/// Header and first element of the body of an answer that is no fault.
fn answer<T>(
    bytes: &[u8],
    read: impl for<'a> FnOnce(Option<Node<'a, 'a>>, Option<Node<'a, 'a>>) -> Result<T, AnswerError>,
) -> Result<T, AnswerError> {
    let text = Charset::detect(bytes).decode(bytes).ok_or(AnswerError::Malformed("not text"))?;
    let document: Document<'_> =
        guard::parse(&text, guard::REPLY).ok_or(AnswerError::Malformed("not xml, or too large"))?;
    let root = document.root_element();
    let body = read::child(root, SOAP, "Body").ok_or(AnswerError::Malformed("no body"))?;
    let first = read::children(body).next();
    if let Some(node) = first.filter(|n| n.has_tag_name((SOAP, "Fault"))) {
        return Err(AnswerError::Fault(fault(node)));
    }
    read(read::child(root, SOAP, "Header"), first)
}

fn lives(node: Node<'_, '_>) -> Option<Duration> {
    let text = read::children(node).find(|n| n.has_tag_name((EVENTING, "Expires"))).map(read::text)?;
    time::parse_duration(text.trim()).map(Duration::from_micros)
}

fn event<'a>(node: Node<'a, 'a>, namespace: &str, repository: &Repository) -> Instance {
    let class = repository.class(namespace, node.tag_name().name()).ok();
    let (mut event, members) = (read_instance(node, namespace, class), Members::of(node));
    for (name, value) in &mut event.properties {
        let is_object = class.and_then(|c| c.property(name)).is_some_and(|p| p.ty == Type::Object);
        if let (true, Value::Object(_), [node, ..]) = (is_object, &value, members.named(name)) {
            *value = Value::Object(Box::new(embedded(*node, namespace, repository)));
        }
    }
    event
}

/// An instance within an event: its type says of which class, as `<prefix>:<Class>_Type`.
fn embedded<'a>(node: Node<'a, 'a>, namespace: &str, repository: &Repository) -> Instance {
    let ty = node.attribute((XSI, "type")).unwrap_or_default();
    let name = ty.rsplit(':').next().and_then(|ty| ty.strip_suffix("_Type")).unwrap_or_default();
    let mut instance = read_instance(node, namespace, repository.class(namespace, name).ok());
    if !name.is_empty() {
        instance.class = name.to_owned();
    }
    instance
}

/// All classes of a namespace.
fn all(namespace: &str) -> ObjectPath {
    ObjectPath::class(namespace, "*")
}
