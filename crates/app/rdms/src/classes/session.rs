//! `OpenRDMS_Session`: a session with everything known of it. Also the listing, the scope and the actions
//! that `Win32_VirtualDesktopSession` shares.

use super::datetime;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, cannot_continue, no_method};
use openrdms_broker::ports::{SessionCursor, SessionFilter};
use openrdms_broker::session::Cause;
use openrdms_broker::{CollectionAlias, HostName, Session, SessionUid, State, Timestamp, UserName};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Principal, Value, WmiCode};

pub(crate) struct OpenRdmsSession;

#[async_trait::async_trait]
impl Provider for OpenRdmsSession {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Session")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        list(cx, query, instance).await
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        Ok(instance(cx, wanted.class, &find(cx, wanted.who, wanted.path).await?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        let session = find(cx, call.who, call.path).await?;
        act(cx, call, &session).await
    }
}

async fn find(cx: &Context, who: &Principal, path: &ObjectPath) -> Result<Session, CimError> {
    let uid = path.key("Uid").and_then(Value::as_str).and_then(|text| text.parse().ok()).map(SessionUid);
    let found = match uid {
        Some(uid) => cx.engine.store().session(uid).await.map_err(fault)?,
        None => None,
    };
    in_scope(who, found.filter(|s| !matches!(s.state, State::Ended { .. })))
}

/// A session that the caller may not see does not exist for them.
pub(crate) fn in_scope(who: &Principal, session: Option<Session>) -> Result<Session, CimError> {
    session.filter(|s| who.admin || Context::user_of(who).is_some_and(|user| user == s.user)).ok_or_else(
        || {
            CimError::new(
                WmiCode::WBEM_E_NOT_FOUND,
                "no such session: list the sessions to see which there are",
            )
        },
    )
}

/// A page of the sessions that the caller may see, each made an instance by `to`.
pub(crate) async fn list(
    cx: &Context,
    query: &Query<'_>,
    to: impl Fn(&Context, &Class, &Session) -> Instance,
) -> Result<Listing, CimError> {
    // The two classes have these by different names.
    let equal = |ours: &str, theirs: &str| query.equal(ours).or_else(|| query.equal(theirs));
    let mut filter = SessionFilter {
        user: query
            .equal("DomainName")
            .zip(query.equal("UserName"))
            .and_then(|(domain, name)| UserName::new(&domain, &name).ok()),
        collection: equal("CollectionAlias", "CollectionId")
            .and_then(|text| CollectionAlias::new(&text).ok()),
        host: equal("HostName", "VMHostName").and_then(|text| HostName::new(&text).ok()),
    };
    if !query.who.admin {
        let Some(user) = Context::user_of(query.who) else {
            return Ok(Listing { instances: Vec::new(), next: None });
        };
        filter.user = Some(user);
    }
    // Our class has another key, but a host and a number are just as good.
    let id = equal("SessionId", "SessionId").and_then(|text| text.trim().parse().ok());
    if let Some((host, id)) = filter.host.as_ref().zip(id) {
        let found = cx.engine.store().session_by_id(host.as_str(), id).await.map_err(fault)?;
        let instances = in_scope(query.who, found).ok().iter().map(|s| to(cx, query.class, s)).collect();
        return Ok(Listing { instances, next: None });
    }
    let after = query.after.map(parse_cursor).transpose()?;
    let page = cx.engine.store().sessions(&filter, after, query.limit()).await.map_err(fault)?;
    Ok(Listing {
        instances: page.rows.iter().map(|session| to(cx, query.class, session)).collect(),
        next: page.next.map(|c| format!("{}/{}", c.host, c.session_id)),
    })
}

fn parse_cursor(text: &str) -> Result<SessionCursor, CimError> {
    text.split_once('/')
        .and_then(|(host, id)| {
            Some(SessionCursor { host: HostName::new(host).ok()?, session_id: id.parse().ok()? })
        })
        .ok_or_else(cannot_continue)
}

/// The three methods that both session classes have, and `Forget`, which only ours has.
pub(crate) async fn act(cx: &Context, call: &mut Call<'_>, session: &Session) -> Result<(), MethodError> {
    call.audit.target = format!("{} {} {}", session.host, session.session_id, session.desktop);
    call.audit.subject = session.user.to_string();
    match call.method {
        "Disconnect" => {
            let told = cx.engine.disconnect(session.uid, &call.expected).await?;
            call.audit.detail = match told {
                None => "no client was attached".to_owned(),
                Some(told) => format!("client: {told:?}"),
            };
        }
        "Logoff" => cx.engine.logoff(session.uid, &call.expected).await?,
        "Forget" => {
            admin_only(call.who)?;
            cx.engine.forget(session.uid, &call.expected).await?;
        }
        "SendMessage" => {
            let title = call.params.string("Title")?.unwrap_or_default();
            let text = call.params.required_string("Message")?;
            cx.engine.message(session.uid, title, text, &call.expected).await?;
        }
        _ => return Err(no_method(call)),
    }
    Ok(())
}

fn instance(cx: &Context, class: &Class, session: &Session) -> Instance {
    at(class, session, cx.engine.last_input(session.uid).max(session.last_input), cx.engine.now())
}

/// A session as it was at a time.
pub(crate) fn at(
    class: &Class,
    session: &Session,
    last_input: Option<Timestamp>,
    now: Timestamp,
) -> Instance {
    let client = session.client.as_ref().filter(|_| session.state.connection().is_some());
    let shown = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let idle = last_input.map(|at| u32::try_from(now.since(at).as_secs()).unwrap_or(u32::MAX));
    Instance::of(class)
        .with("Uid", session.uid.to_string())
        .with("SessionId", session.session_id)
        .with("HostName", session.host.as_str())
        .with("DesktopName", session.desktop.as_str())
        .with("CollectionAlias", session.collection.as_str())
        .with("UserName", session.user.name())
        .with("DomainName", session.user.domain())
        .with("State", session.state.name().as_str())
        .with("ConnectState", session.state.connect_state())
        .with("StateReason", reason(&session.state))
        .with("Created", datetime(session.created))
        .with("StateSince", datetime(session.state.since()))
        .with("LastInput", last_input.map_or(Value::Null, datetime))
        .with("IdleSeconds", idle)
        .with("ClientMachineName", client.map_or(Value::Null, |c| shown(&c.machine)))
        .with("ClientAddress", client.map_or(Value::Null, |c| shown(&c.address)))
        .with("ClientBuild", client.map(|c| c.build))
        .with("ClientSecurity", client.map_or(Value::Null, |c| shown(&c.security)))
        .with("DesktopWidth", client.map(|c| c.width))
        .with("DesktopHeight", client.map(|c| c.height))
        .with("KeyboardLayout", client.map(|c| c.keyboard_layout))
        .with("AsOf", datetime(now))
}

fn reason(state: &State) -> Value {
    match state {
        State::Disconnected { attach: Some(_), .. } => Value::from("a client is being attached"),
        State::Disconnected { reason, .. } => Value::from(reason.as_str()),
        State::LoggingOff { cause: Cause::Limit(limit), .. } => Value::from(limit.as_str()),
        State::Lost { reason, .. } => Value::from(reason.as_str()),
        State::Starting { .. }
        | State::Active { .. }
        | State::LoggingOff { cause: Cause::Administrator, .. }
        | State::Ended { .. } => Value::Null,
    }
}
