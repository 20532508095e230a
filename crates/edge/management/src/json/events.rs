//! Events as they happen, as server-sent events (WHATWG HTML 9.2). A stream is a query and a position in the service's
//! log, as a subscription is: it holds no events, is told of what its account may see at each look, and ends when that is
//! nothing any more, when the account has another password than the one that it began with, or when the service stops.
//!
//! It is the one reply without a length: chunked, or to HTTP/1.0 until the connection's end, and the last of its
//! connection.

use super::problem::Problem;
use super::query::Pairs;
use super::route;
use super::write::{Fields, Shown, ShownValue};
use crate::http::Reply;
use crate::shares::{Share, Shares};
use crate::{Config, Shared};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt, unfold};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{Either, StreamBody};
use hyper::body::Frame;
use openrdms_cim::service::{Happened, Since, Told, Watch};
use openrdms_cim::wql::Select;
use openrdms_cim::{
    CimError, CimService, Condition, Instance, Limits, Principal, Repository, Value, WmiCode,
};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The longest query, in bytes: it is kept as long as the stream lives.
const MAX_QUERY: usize = 4096;
/// Most events that are held at once.
const BATCH: usize = 100;
/// How long a client waits before it comes back, in milliseconds.
const RETRY: u32 = 2000;

/// The body of a stream.
pub(crate) type Events = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// All streams.
pub(crate) struct Streams {
    all: Arc<Semaphore>,
    users: Arc<Semaphore>,
    each: Shares<String>,
    closing: CancellationToken,
}

/// The place of a stream, given back on drop.
struct Place {
    _counted: OwnedSemaphorePermit,
    _as_user: Option<OwnedSemaphorePermit>,
    _share: Share<String>,
}

/// A stream that goes on.
struct Telling {
    service: Arc<dyn CimService>,
    who: Principal,
    what: Watch,
    /// Everything up to here has been told.
    position: u64,
    heartbeat: Duration,
    /// When the client is to hear that nothing has happened.
    quiet_until: Instant,
    stage: Stage,
    closing: CancellationToken,
    _place: Place,
}

/// How far a stream is.
#[derive(Clone, Copy)]
enum Stage {
    /// Nothing has been said.
    First,
    Telling,
    /// The last has been said.
    Over,
}

impl Streams {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            all: Arc::new(Semaphore::new(config.max_streams)),
            users: Arc::new(Semaphore::new(config.max_streams / 2)),
            each: Shares::new(config.max_streams_each),
            closing: CancellationToken::new(),
        }
    }

    /// Ends all of them.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    fn take(&self, who: &Principal) -> Option<Place> {
        let share = self.each.take(who.name.to_lowercase())?;
        let permit = |room: &Arc<Semaphore>| Arc::clone(room).try_acquire_owned().ok();
        let as_user = if who.admin { None } else { Some(permit(&self.users)?) };
        Some(Place { _counted: permit(&self.all)?, _as_user: as_user, _share: share })
    }
}

impl Shared {
    pub(super) async fn stream(
        &self,
        who: &Principal,
        headers: &HeaderMap,
        pairs: &Pairs,
    ) -> Result<Events, Problem> {
        let what = wanted(self.service.repository(), pairs)?;
        let since = since(headers)?;
        let place = self.streams.take(who).ok_or_else(|| {
            CimError::new(WmiCode::WBEM_E_QUOTA_VIOLATION, "there are too many streams of events")
        })?;
        let position = self.service.watch(who, &what, since).await?.ok_or_else(Problem::lost)?;
        let telling = Telling {
            service: Arc::clone(&self.service),
            who: who.clone(),
            what,
            position,
            heartbeat: self.config.stream_heartbeat,
            quiet_until: Instant::now() + self.config.stream_heartbeat,
            stage: Stage::First,
            closing: self.streams.closing.clone(),
            _place: place,
        };
        let parts = unfold(telling, Telling::next);
        Ok(StreamBody::new(parts.map(|text| Ok(Frame::data(Bytes::from(text)))).boxed()))
    }
}

impl Telling {
    /// What is to be said next; `None` at the end. Dropping it loses nothing: a client that comes back says how far it
    /// had come.
    async fn next(mut self) -> Option<(String, Self)> {
        match self.stage {
            Stage::Over => return None,
            Stage::First => {
                self.stage = Stage::Telling;
                let first = format!("retry: {RETRY}\nid: {}\n: listening\n\n", self.position);
                return Some((first, self));
            }
            Stage::Telling => {}
        }
        let closing = self.closing.clone();
        loop {
            let limits = Limits { max_elements: BATCH };
            let told = tokio::select! {
                told = self.service.changes(&self.who, &self.what, self.position, limits) => told,
                () = closing.cancelled() => return None,
            };
            match told {
                Ok(Told::Events { events, read_to }) => {
                    self.position = read_to;
                    if !events.is_empty() {
                        self.quiet_until = Instant::now() + self.heartbeat;
                        let repository = self.service.repository();
                        let text = events.iter().map(|happened| told_of(repository, happened)).collect();
                        return Some((text, self));
                    }
                }
                Ok(Told::Lost) => return Some(self.last("lost", &Problem::lost())),
                Err(error) => return Some(self.last("problem", &error.into())),
            }
            tokio::select! {
                () = self.service.changed(self.position) => {}
                () = sleep_until(self.quiet_until) => {
                    self.quiet_until = Instant::now() + self.heartbeat;
                    // without data it is no event, but the client comes back from here
                    return Some((format!("id: {}\n: nothing new\n\n", self.position), self));
                }
                () = closing.cancelled() => return None,
            }
        }
    }

    /// Why nothing more is told.
    fn last(mut self, event: &str, problem: &Problem) -> (String, Self) {
        self.stage = Stage::Over;
        (format!("event: {event}\ndata: {}\n\n", problem.body()), self)
    }
}

/// What is asked for: all of a class, or what a query says.
fn wanted(repository: &Repository, pairs: &Pairs) -> Result<Watch, Problem> {
    pairs.only(&["class", "query", "namespace"])?;
    match (pairs.one("class")?, pairs.one("query")?, pairs.one("namespace")?) {
        (Some(class), None, None) => {
            let class = route::class(repository, class)?;
            let text =
                format!("SELECT * FROM __InstanceOperationEvent WHERE TargetInstance ISA \"{}\"", class.name);
            let query = Select::parse(&text).map_err(CimError::from)?;
            Ok(Watch { namespace: class.namespace.clone(), query })
        }
        (None, Some(text), _) if text.len() > MAX_QUERY => {
            let detail = format!("a query has {MAX_QUERY} bytes at most");
            Err(CimError::new(WmiCode::WBEM_E_INVALID_QUERY, detail).into())
        }
        (None, Some(text), namespace) => {
            let query = Select::parse(text).map_err(CimError::from)?;
            let named = query.condition.as_ref().and_then(class_of);
            let namespace = match (namespace, named) {
                (Some(namespace), _) => openrdms_cim::path::canonical_namespace(namespace),
                (None, Some(name)) => route::class(repository, name)?.namespace.clone(),
                (None, None) => {
                    let detail = "say which class (TargetInstance ISA \"…\") or which namespace";
                    return Err(Problem::wrong(detail));
                }
            };
            Ok(Watch { namespace, query })
        }
        _ => Err(Problem::wrong("say either class, or query and perhaps namespace")),
    }
}

/// The class that every event has to be about.
fn class_of(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::And(all) => all.iter().find_map(class_of),
        Condition::IsA { class, .. } => Some(class),
        Condition::Or(_)
        | Condition::Not(_)
        | Condition::Compare { .. }
        | Condition::Like { .. }
        | Condition::IsNull(_)
        | Condition::IsNotNull(_) => None,
    }
}

fn since(headers: &HeaderMap) -> Result<Since, Problem> {
    let Some(last) = headers.get("last-event-id") else { return Ok(Since::Now) };
    match last.to_str().map(str::trim) {
        Ok("") => Ok(Since::Now),
        Ok(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            text.parse().map(Since::After).map_err(|_| Problem::lost())
        }
        Ok(_) | Err(_) => Err(Problem::wrong("Last-Event-ID is not one of ours")),
    }
}

/// One event as text.
fn told_of(repository: &Repository, happened: &Happened) -> String {
    let event = &happened.event;
    let object = |name: &str| match event.get(name) {
        Value::Object(_) => serde_json::to_value(ShownValue(repository, event.get(name))).unwrap_or_default(),
        _ => serde_json::Value::Null,
    };
    let is = |base: &str| is_a(repository, event, base);
    if !is("__InstanceOperationEvent") {
        // it is about no instance: the event is all there is
        let data = json!({ "event": Shown::new(repository, event, &Fields::All) });
        return format!("id: {}\nevent: happened\ndata: {data}\n\n", happened.position);
    }
    let (kind, before, after) = if is("__InstanceCreationEvent") {
        ("created", serde_json::Value::Null, object("TargetInstance"))
    } else if is("__InstanceDeletionEvent") {
        ("deleted", object("TargetInstance"), serde_json::Value::Null)
    } else {
        ("modified", object("PreviousInstance"), object("TargetInstance"))
    };
    let data = json!({ "before": before, "after": after });
    format!("id: {}\nevent: {kind}\ndata: {data}\n\n", happened.position)
}

fn is_a(repository: &Repository, event: &Instance, base: &str) -> bool {
    repository.class(&event.namespace, &event.class).is_ok_and(|class| repository.is_a(class, base))
}

pub(super) fn reply(events: Events) -> Reply {
    let mut reply = Response::new(Either::Right(events));
    for (name, value) in [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONNECTION, "close"),
    ] {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is neither made, changed nor removed: nothing would be said of it.
    #[test]
    fn an_event_about_no_instance_is_told_whole() {
        let mut repository = Repository::default();
        let text = "class __Event { }; class Rang : __Event { string Place; };";
        repository.load("root/a", text).unwrap();
        let event = Instance::of(repository.class("root/a", "Rang").unwrap()).with("Place", "door");
        let told = told_of(&repository, &Happened { position: 7, event });
        let data = r#"{"event":{"@type":"Rang","Place":"door"}}"#;
        assert_eq!(told, format!("id: 7\nevent: happened\ndata: {data}\n\n"));
    }
}
