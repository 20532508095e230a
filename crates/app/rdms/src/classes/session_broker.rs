//! `Win32_SessionBrokerFarm` and `-Target`: collections and their desktops, as a part of the broker reports them that
//! knows where to send users; and `Win32_SessionBrokerTargetEvent`, what happens to desktops.
//!
//! All are reported by one part, which has the name by which clients ask for a collection
//! (`tsv://VMResource.1.<alias>`). A target's `Guid` is the desktop's name, because it is a key and no desktop has a GUID.
//!
//! Events are made of the changes of sessions, the only thing that is logged: a desktop without a session comes, goes and
//! stands still untold, and no address of a desktop is told of.

use super::collection::named;
use super::desktop;
use crate::error::fault;
use crate::provider::{Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::change::{Change, ChangeKind};
use openrdms_broker::session::EndReason;
use openrdms_broker::{Collection, CollectionAlias, Desktop, DesktopName, HostName, State};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value};
use openrdms_engine::EngineError;

pub(crate) struct Farm;
pub(crate) struct Target;

/// Where the events are.
pub(crate) const NAMESPACE: &str = "root/cimv2/terminalservices";
/// Their class.
pub(crate) const EVENT: &str = "Win32_SessionBrokerTargetEvent";
/// The part of the broker that reports everything.
const PLUGIN: &str = "VMResource";

/// Values of `ChangeType` (`TARGET_CHANGE_TYPE`).
const CHANGED_SOMEHOW: u32 = 1;
const STATE_CHANGED: u32 = 32;
const IDLE: u32 = 64;

#[async_trait::async_trait]
impl Provider for Farm {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionBrokerFarm")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let collections = cx.engine.store().collections().await.map_err(fault)?;
        let instances = collections.iter().map(|collection| farm(query.class, collection)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let alias = reported(wanted.path, "FarmName", "farm")?;
        Ok(farm(wanted.class, &named(cx, alias).await?))
    }
}

#[async_trait::async_trait]
impl Provider for Target {
    fn serves(&self) -> (&'static str, &'static str) {
        (NAMESPACE, "Win32_SessionBrokerTarget")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let farm = query.equal("FarmName").and_then(|alias| CollectionAlias::new(&alias).ok());
        let after = query.after.and_then(|name| DesktopName::new(name).ok());
        let page = cx.engine.store().desktops(farm.as_ref(), after, query.limit()).await.map_err(fault)?;
        let instances = page.rows.iter().map(|desktop| target(query.class, desktop)).collect();
        Ok(Listing { instances, next: page.next.map(String::from) })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let name = reported(wanted.path, "Guid", "target")?;
        Ok(target(wanted.class, &desktop::named(cx, name).await?))
    }
}

/// The other key, where the first is the part that reports everything.
fn reported<'a>(path: &'a ObjectPath, key: &str, what: &'static str) -> Result<&'a str, CimError> {
    let text = |name: &str| path.key(name).and_then(Value::as_str);
    let plugin = text("PluginName").filter(|plugin| plugin.eq_ignore_ascii_case(PLUGIN));
    plugin.and_then(|_| text(key)).ok_or_else(|| fault(EngineError::NotFound(what)))
}

fn farm(class: &Class, collection: &Collection) -> Instance {
    Instance::of(class).with("PluginName", PLUGIN).with("FarmName", collection.alias.as_str())
}

fn target(class: &Class, desktop: &Desktop) -> Instance {
    named_by(Instance::of(class), &desktop.name, &desktop.collection, &desktop.host)
}

fn named_by(
    instance: Instance,
    desktop: &DesktopName,
    collection: &CollectionAlias,
    host: &HostName,
) -> Instance {
    instance
        .with("PluginName", PLUGIN)
        .with("TargetName", desktop.as_str())
        .with("FarmName", collection.as_str())
        .with("Guid", desktop.as_str())
        .with("Environment", host.as_str())
}

/// What a change of a session says of its desktop; `None` where that is as it was. That a client comes or goes changes
/// the session and not the desktop.
pub(crate) fn event(class: &Class, change: &Change) -> Option<Instance> {
    let (kind, session) = match change.kind() {
        ChangeKind::Begun(session) => (STATE_CHANGED, session),
        ChangeKind::Changed { before, after } => {
            if Runs::of(&before.state) == Runs::of(&after.state) {
                return None;
            }
            (STATE_CHANGED, after)
        }
        ChangeKind::Ended { after, .. } => match &after.state {
            // nobody knows whether something still runs there
            State::Ended { reason: EndReason::Forgotten, .. } => (CHANGED_SOMEHOW, after),
            State::Ended { .. }
            | State::Starting { .. }
            | State::Active { .. }
            | State::Disconnected { .. }
            | State::LoggingOff { .. }
            | State::Lost { .. } => (IDLE, after),
        },
        ChangeKind::Unlisted => return None,
    };
    let event = Instance::of(class).with("ChangeType", kind);
    Some(named_by(event, &session.desktop, &session.collection, &session.host))
}

/// Whether a desktop runs, as the session in it shows.
#[derive(PartialEq)]
enum Runs {
    NotYet,
    Yes,
    NotForLong,
    NobodyKnows,
    NoMore,
}

impl Runs {
    fn of(state: &State) -> Self {
        match state {
            State::Starting { .. } => Self::NotYet,
            State::Active { .. } | State::Disconnected { .. } => Self::Yes,
            State::LoggingOff { .. } => Self::NotForLong,
            State::Lost { .. } => Self::NobodyKnows,
            State::Ended { .. } => Self::NoMore,
        }
    }
}
