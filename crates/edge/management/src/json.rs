//! JSON over HTTP at `/api/v1`, made of the class repository: no class has a handler of its own. What there is, is told
//! by the OpenAPI document ([`openapi`]) and in `docs/json-api.md`.
//!
//! A request is read in two steps, as a message of WS-Management is: [`route`] and [`body`] make typed calls of address
//! and body by the classes, then the service is called. Nothing that a browser can send to another site without asking
//! changes anything: whatever has a body has to be `application/json`.

mod act;
mod body;
mod cursor;
mod events;
mod list;
mod openapi;
mod problem;
mod query;
mod route;
mod tag;
mod text;
mod write;

pub(crate) use act::Turns;
pub(crate) use events::{Events, Streams};
pub(crate) use openapi::Document;
pub use openapi::openapi;

use crate::Shared;
use crate::http::Reply;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{Either, Full};
use openrdms_cim::{CimError, Instance, Kind, Principal, Repository, Value};
use problem::Problem;
use query::Pairs;
use route::Operation;
use serde_json::json;
use tokio::time::timeout;
use write::Fields;

/// Where it all is.
const ROOT: &str = "/api/v1";

/// What goes back when all went well.
enum Answer {
    /// 200 with JSON, and with its tag where it can be asked for again.
    Json(Bytes, Option<String>),
    /// 201 with JSON, and where that is.
    Created(Bytes, String),
    /// 204.
    Nothing,
    /// 304 with the tag.
    Unchanged(String),
    /// A stream of events.
    Events(Events),
}

/// Whether a path is one of this front's.
pub(crate) fn is_ours(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A refusal that says no more than its status.
pub(crate) fn refusal(code: StatusCode) -> Reply {
    Problem::of_status(code).reply()
}

impl Shared {
    /// Answers a request of somebody who is proved.
    pub(crate) async fn json(&self, head: &Parts, body: &[u8], who: &Principal) -> Reply {
        let answer = match timeout(self.config.request_timeout, self.carry_out(head, body, who)).await {
            Ok(answer) => answer,
            Err(_) => Err(CimError::of(Kind::TimedOut, "the operation did not finish in time").into()),
        };
        answer.map_or_else(|problem| problem.reply(), Answer::reply)
    }

    async fn carry_out(&self, head: &Parts, body: &[u8], who: &Principal) -> Result<Answer, Problem> {
        let repository = self.service.repository();
        let operation = route::route(repository, &head.method, head.uri.path())?;
        let instead = operation.instead();
        let answer = self.perform(operation, head, body, who).await;
        answer.map_err(|problem| instead.of(problem))
    }

    async fn perform(
        &self,
        operation: Operation<'_>,
        head: &Parts,
        body: &[u8],
        who: &Principal,
    ) -> Result<Answer, Problem> {
        let (repository, headers) = (self.service.repository(), &head.headers);
        let pairs = &Pairs::parse(head.uri.query().unwrap_or(""))?;
        if operation.takes_body() {
            body::require_json(headers, operation.is_patch())?;
        }
        match operation {
            Operation::Index => {
                pairs.none()?;
                Ok(Answer::tagged(headers, rendered(&index(repository))?))
            }
            Operation::OpenApi => {
                pairs.none()?;
                let (text, tag) = self.document.get(repository)?;
                Ok(Answer::unless_known(headers, text, tag))
            }
            Operation::Events => self.stream(who, headers, pairs).await.map(Answer::Events),
            Operation::List(class) => self.list(who, class, pairs, headers).await,
            Operation::Get(path, class) => {
                let fields = pairs.only_fields(class)?;
                let instance = self.service.get(who, &path).await?;
                Ok(Answer::tagged(headers, shown(repository, &instance, &fields)?))
            }
            Operation::Create(class) => {
                pairs.none()?;
                self.make(who, class, body).await
            }
            Operation::Patch(path, class) => {
                let (fields, seen) = (pairs.only_fields(class)?, list_of(headers, &IF_MATCH)?);
                self.patch(who, (path, class), body, fields, seen).await
            }
            Operation::Delete(path, class) => {
                let (fields, seen) = (pairs.only_fields(class)?, list_of(headers, &IF_MATCH)?);
                self.remove(who, path, fields, seen).await
            }
            Operation::Invoke(path, class, method) if method.is_static() => {
                pairs.none()?;
                self.call(who, (path, class, method), body, Vec::new()).await
            }
            Operation::Invoke(path, class, method) => {
                let options = pairs.options()?;
                self.call(who, (path, class, method), body, options).await
            }
        }
    }
}

/// The classes that there are, and where.
fn index(repository: &Repository) -> serde_json::Value {
    let classes: Vec<_> = route::classes(repository)
        .map(|class| {
            json!({
                "name": class.name,
                "namespace": class.namespace,
                "description": openapi::description(&class.qualifiers),
                "keys": class.keys().map(|key| &key.name).collect::<Vec<_>>(),
                "href": format!("{ROOT}/{}", class.name),
            })
        })
        .collect();
    let (openapi, events) = (format!("{ROOT}/{}", route::OPENAPI), format!("{ROOT}/{}", route::EVENTS));
    json!({ "classes": classes, "openapi": openapi, "events": events })
}

/// An instance as text.
fn shown(repository: &Repository, instance: &Instance, fields: &Fields) -> Result<Bytes, Problem> {
    rendered(&write::Shown::new(repository, instance, fields))
}

/// JSON text with a line feed at its end, for people.
fn rendered(value: &impl serde::Serialize) -> Result<Bytes, Problem> {
    let mut text = serde_json::to_vec(value).map_err(|_| Problem::bug("the answer cannot be written"))?;
    text.push(b'\n');
    Ok(text.into())
}

/// A header with a list, such as tags, as one text.
fn list_of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut all = Vec::new();
    for value in headers.get_all(name) {
        all.push(value.to_str().map_err(|_| Problem::wrong(format!("the header {name} is not text")))?);
    }
    Ok(if all.is_empty() { None } else { Some(all.join(",")) })
}

impl Answer {
    /// The text with its tag, or only the tag to whoever has the text.
    fn tagged(headers: &HeaderMap, text: Bytes) -> Self {
        let tag = tag::strong(&text);
        Self::unless_known(headers, text, tag)
    }

    fn unless_known(headers: &HeaderMap, text: Bytes, tag: String) -> Self {
        match list_of(headers, &IF_NONE_MATCH) {
            Ok(Some(known)) if tag::matches_weakly(&known, &tag) => Answer::Unchanged(tag),
            Ok(_) | Err(_) => Answer::Json(text, Some(tag)),
        }
    }

    fn reply(self) -> Reply {
        let (status, text, tag, location) = match self {
            Answer::Json(text, tag) => (StatusCode::OK, text, tag, None),
            Answer::Created(text, location) => (StatusCode::CREATED, text, None, Some(location)),
            Answer::Nothing => (StatusCode::NO_CONTENT, Bytes::new(), None, None),
            Answer::Unchanged(tag) => (StatusCode::NOT_MODIFIED, Bytes::new(), Some(tag), None),
            Answer::Events(events) => return events::reply(events),
        };
        let mut reply = json_reply(status, text, "application/json");
        for (name, value) in [(ETAG, tag), (LOCATION, location)] {
            // tags and addresses are made of visible ASCII
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                reply.headers_mut().insert(name, value);
            }
        }
        reply
    }
}

fn json_reply(status: StatusCode, text: Bytes, content_type: &'static str) -> Reply {
    let empty = text.is_empty();
    let mut reply = Response::new(Either::Left(Full::from(text)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if !empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// Whether a method said that it did it.
fn is_done(return_value: &Value) -> bool {
    return_value.as_int().is_none_or(|code| code == 0)
}
