//! What happens to sessions, told as WMI tells it: `__InstanceCreationEvent`, `__InstanceModificationEvent` and
//! `__InstanceDeletionEvent`, and what that means for desktops as `Win32_SessionBrokerTargetEvent`; made of the store's log
//! of changes when they are read. Nothing is kept here.
//!
//! Authority is what the account has now, not when the subscription was made: it is looked up for every read. A password
//! that has been changed since it proved the caller proves nobody.

use crate::classes::{session, session_broker, virtual_desktop_session};
use crate::error::fault;
use crate::provider::Context;
use openrdms_broker::change::{Change, ChangeKind, Position};
use openrdms_broker::{Role, Session, State, Timestamp, UserName};
use openrdms_cim::service::{Happened, Since, Told, Watch};
use openrdms_cim::wql::{Condition, Projection};
use openrdms_cim::{CimError, Class, Instance, Limits, Principal, Repository, Value, WmiCode};

/// A class whose instances are sessions, and so change with them.
struct Watched {
    namespace: &'static str,
    class: &'static str,
    shown: fn(&Class, &Session, Timestamp) -> Instance,
    /// What differs from one look to the next without anything having happened.
    unsteady: &'static [&'static str],
    /// What says why an instance has left the list.
    reason: Option<&'static str>,
}

/// What changes of sessions are told as in a namespace. It is one thing in each: then a change is one event at most.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// What happens to instances of a class that are sessions.
    Instances(&'static Watched, &'a Class),
    /// What happens to desktops: events of this class.
    Desktops(&'a Class),
}

const WATCHED: [Watched; 2] = [
    Watched {
        namespace: "root/cimv2/rdms",
        class: "Win32_VirtualDesktopSession",
        shown: |class, session, _| virtual_desktop_session::instance(class, session),
        unsteady: &[],
        reason: None,
    },
    Watched {
        namespace: "root/openrdms",
        class: "OpenRDMS_Session",
        shown: |class, session, now| session::at(class, session, session.last_input, now),
        unsteady: &["AsOf", "IdleSeconds"],
        reason: Some("StateReason"),
    },
];

/// Most changes that are read from the store at once.
const PAGE: u32 = 256;

/// Checks a query of events, and finds where reading begins; `None` where that is not in the log (any more).
pub(crate) async fn watch(
    cx: &Context,
    repository: &Repository,
    who: &Principal,
    what: &Watch,
    since: Since,
) -> Result<Option<u64>, CimError> {
    check(repository, what)?;
    whose(cx, who).await?;
    let span = cx.engine.store().change_span().await.map_err(fault)?;
    Ok(match since {
        Since::Now => Some(span.last.0),
        Since::Earliest => Some(span.forgotten.0),
        Since::After(position) => Some(position).filter(|p| span.reaches(Position(*p))),
    })
}

/// The events after a position: some, or none up to the end of the log.
pub(crate) async fn changes(
    cx: &Context,
    repository: &Repository,
    who: &Principal,
    what: &Watch,
    after: u64,
    limits: Limits,
) -> Result<Told, CimError> {
    let source = check(repository, what)?;
    let user = whose(cx, who).await?;
    let mut limit = u32::try_from(limits.max_elements).unwrap_or(PAGE).clamp(1, PAGE);
    let mut at = Position(after);
    loop {
        let log = cx.engine.store().changes(user.as_ref(), at, limit).await.map_err(fault)?;
        if !log.span.reaches(at) {
            return Ok(Told::Lost);
        }
        let mut events = Vec::new();
        for change in &log.rows {
            let Some(event) = source.event(repository, change)? else { continue };
            if !wanted(repository, what, &event)? {
                continue;
            }
            let position = change.position.0;
            events.push(Happened { position, event: projected(what, event) });
            if events.len() >= limits.max_elements {
                return Ok(Told::Events { events, read_to: position });
            }
        }
        if !events.is_empty() || log.read_to >= log.span.last {
            return Ok(Told::Events { events, read_to: log.read_to.0 });
        }
        at = log.read_to;
        // what nobody asks for is passed over in larger steps
        limit = (limit * 4).min(PAGE);
    }
}

/// Refuses what would never, or not as asked, tell of anything.
fn check<'a>(repository: &'a Repository, what: &Watch) -> Result<Source<'a>, CimError> {
    let invalid = |text: String| CimError::new(WmiCode::WBEM_E_INVALID_QUERY, text);
    let unsupported = |text: String| CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text);
    let query = &what.query;
    let of_events = repository.class(&what.namespace, &query.from)?;
    if !repository.is_a(of_events, "__Event") {
        let offered = "__InstanceCreationEvent, __InstanceModificationEvent, __InstanceDeletionEvent or \
                       __InstanceOperationEvent";
        return Err(invalid(format!("{} is no class of events: ask for {offered}", of_events.name)));
    }
    query.check(repository, &what.namespace)?;
    if query.group.is_some() {
        return Err(unsupported("events are told one by one: GROUP is not offered".to_owned()));
    }
    match &query.projection {
        Projection::All => {}
        Projection::Count => return Err(invalid("events cannot be counted: ask for *".to_owned())),
        Projection::Properties(list) if list.iter().all(|p| p.name().is_some()) => {}
        Projection::Properties(_) => {
            return Err(unsupported(
                "parts of an instance cannot be chosen: ask for * or TargetInstance".to_owned(),
            ));
        }
    }
    if what.namespace == session_broker::NAMESPACE {
        let told = repository.class(&what.namespace, session_broker::EVENT)?;
        if repository.is_a(told, &query.from) {
            return Ok(Source::Desktops(told));
        }
        return Err(unsupported(format!("all that is told in {} is {}", what.namespace, told.name)));
    }
    let watched = WATCHED
        .iter()
        .find(|w| w.namespace == what.namespace)
        .ok_or_else(|| unsupported(format!("nothing in {} tells of changes", what.namespace)))?;
    let class = repository.class(watched.namespace, watched.class)?;
    if let Some(other) = query.condition.as_ref().and_then(|c| other_class(c, repository, class)) {
        return Err(unsupported(format!("{other} does not tell of changes: {} does", class.name)));
    }
    Ok(Source::Instances(watched, class))
}

/// A class that every event has to be about, and that `class` is not.
fn other_class<'q>(condition: &'q Condition, repository: &Repository, class: &Class) -> Option<&'q str> {
    match condition {
        Condition::And(all) => all.iter().find_map(|one| other_class(one, repository, class)),
        Condition::IsA { class: named, property } => {
            let is_instance = property.name().is_some_and(|name| {
                ["TargetInstance", "PreviousInstance"].iter().any(|known| known.eq_ignore_ascii_case(name))
            });
            (is_instance && !repository.is_a(class, named)).then_some(named.as_str())
        }
        Condition::Or(_)
        | Condition::Not(_)
        | Condition::Compare { .. }
        | Condition::Like { .. }
        | Condition::IsNull(_)
        | Condition::IsNotNull(_) => None,
    }
}

/// Whose sessions the caller may see now: one user's, or everybody's.
async fn whose(cx: &Context, who: &Principal) -> Result<Option<UserName>, CimError> {
    let gone = || CimError::new(WmiCode::WBEM_E_ACCESS_DENIED, "the account is not known any more");
    let Some(user) = Context::user_of(who) else {
        return if who.admin { Ok(None) } else { Err(gone()) };
    };
    let account = cx.engine.store().account(&user).await.map_err(fault)?.ok_or_else(gone)?;
    if who.proof.is_some_and(|proof| proof != account.credentials.mark()) {
        let text = "the password of the account was changed: ask again with the new one";
        return Err(CimError::new(WmiCode::WBEM_E_ACCESS_DENIED, text));
    }
    match account.role {
        Role::Admin if who.admin => Ok(None),
        Role::Admin | Role::User => Ok(Some(user)),
    }
}

impl Source<'_> {
    fn event(self, repository: &Repository, change: &Change) -> Result<Option<Instance>, CimError> {
        match self {
            Self::Instances(watched, class) => of_instance(repository, watched, class, change),
            Self::Desktops(class) => Ok(session_broker::event(class, change)
                .map(|event| event.with("TIME_CREATED", filetime(change.at)))),
        }
    }
}

/// The event that a change is to whoever lists that class.
fn of_instance(
    repository: &Repository,
    watched: &Watched,
    class: &Class,
    change: &Change,
) -> Result<Option<Instance>, CimError> {
    let shown = |session: &Session| (watched.shown)(class, session, change.at);
    let (kind, target, previous) = match change.kind() {
        ChangeKind::Begun(session) => ("__InstanceCreationEvent", shown(session), None),
        ChangeKind::Changed { before, after } => {
            let (before, after) = (shown(before), shown(after));
            if steady(watched, &before).eq(steady(watched, &after)) {
                return Ok(None);
            }
            ("__InstanceModificationEvent", after, Some(before))
        }
        ChangeKind::Ended { before, after } => {
            ("__InstanceDeletionEvent", ended(watched, shown(before), after), None)
        }
        ChangeKind::Unlisted => return Ok(None),
    };
    let created = filetime(change.at);
    let embedded = |instance| Value::Object(Box::new(instance));
    let mut event = Instance::of(repository.class(watched.namespace, kind)?)
        .with("TIME_CREATED", created)
        .with("TargetInstance", embedded(target));
    if let Some(previous) = previous {
        event = event.with("PreviousInstance", embedded(previous));
    }
    Ok(Some(event))
}

/// The properties that change only when something has happened.
fn steady<'a>(watched: &'a Watched, instance: &'a Instance) -> impl Iterator<Item = &'a (String, Value)> {
    instance.properties.iter().filter(|(name, _)| !watched.unsteady.contains(&name.as_str()))
}

/// The instance as it last was, with the reason for its end where the class has a place for one.
fn ended(watched: &Watched, mut last: Instance, after: &Session) -> Instance {
    if let (Some(name), State::Ended { reason, .. }) = (watched.reason, &after.state)
        && let Some((_, value)) = last.properties.iter_mut().find(|(n, _)| n == name)
    {
        *value = Value::from(reason.to_string());
    }
    last
}

fn wanted(repository: &Repository, what: &Watch, event: &Instance) -> Result<bool, CimError> {
    let class = repository.class(&event.namespace, &event.class)?;
    let holds = |condition: &Condition| condition.holds(event, repository).is_true();
    Ok(repository.is_a(class, &what.query.from) && what.query.condition.as_ref().is_none_or(holds))
}

fn projected(what: &Watch, mut event: Instance) -> Instance {
    if let Projection::Properties(list) = &what.query.projection {
        let named = |name: &str| list.iter().any(|p| p.name().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        event.properties.retain(|(name, _)| named(name));
    }
    event
}

/// Units of 100 nanoseconds since 1601.
fn filetime(at: Timestamp) -> u64 {
    const FROM_1601_TO_1970_MS: i64 = 11_644_473_600_000;
    u64::try_from(at.0.saturating_add(FROM_1601_TO_1970_MS)).unwrap_or(0).saturating_mul(10_000)
}
