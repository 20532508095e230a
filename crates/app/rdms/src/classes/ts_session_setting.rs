//! `Win32_TSSessionSetting`: how long sessions last. Windows has these for each listener; here they are those of a
//! collection, and all collections share the listeners, so a collection is what stands for one: `TerminalName` is its
//! alias. They are the collection's own limits, the same that its other classes show.
//!
//! Users have no settings of their own, so the collection's always go before them; and a user may come back from any
//! client. Saying otherwise is refused. What happens at a limit is said by `BrokenConnectionAction`; a client that is lost
//! leaves its session running whatever that is.

use super::collection::named;
use super::datetime;
use super::virtual_desktop_collection::{action, limit};
use crate::changes;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::limits::LimitsChange;
use openrdms_broker::{Collection, LimitAction, Limits};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct SessionSetting;

/// Values of the policies: the server's settings go before the user's, and any client may come back.
const SERVER_OVERRIDES: u32 = 1;
const ANY_CLIENT: u32 = 0;
/// `PolicySource…`: the server's own setting, and no policy of a domain.
const SERVER: u32 = 0;
/// The terminal of the machine itself, whose settings cannot be changed (as documented).
const CONSOLE: &str = "Console";
/// Longest `Caption`.
const CAPTION: usize = 64;

#[async_trait::async_trait]
impl Provider for SessionSetting {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/terminalservices", "Win32_TSSessionSetting")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let collections = cx.engine.store().collections().await.map_err(fault)?;
        let instances = collections.iter().map(|collection| instance(query.class, collection)).collect();
        Ok(Listing { instances, next: None })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &named(cx, terminal(wanted.path)).await?))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let collection = named(cx, terminal(call.path)).await?;
        call.audit.target = collection.alias.to_string();
        let users = "users have no settings of their own";
        fixed(call, "BrokenConnectionPolicy", users)?;
        fixed(call, "TimeLimitPolicy", users)?;
        fixed(call, "ReconnectionPolicy", "a user may come back from any client")?;
        let Some(warned) = switch(call, "EnableTimeoutWarning")? else { return Ok(()) };
        let warning = Some(if warned { Limits::default().warning } else { 0 });
        call.audit.detail = format!("{warning:?} s");
        let change = LimitsChange { warning, ..LimitsChange::default() };
        Ok(cx.engine.change_collection(collection.alias.as_str(), change).await?)
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        terminal(call.path).clone_into(&mut call.audit.target);
        let known = cx.engine.store().collection(terminal(call.path)).await?;
        let Some(collection) = known else {
            if terminal(call.path).eq_ignore_ascii_case(CONSOLE) {
                let text = "there are no sessions at the machine's own console";
                return Err(MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text));
            }
            return Err(EngineError::NotFound("collection").into());
        };
        let change = match call.method {
            "BrokenConnection" => {
                let value = call.params.required_uint32("BrokenConnectionAction")?;
                call.audit.detail = format!("BrokenConnectionAction: {value}");
                action(value).ok_or("BrokenConnectionAction is 0 (disconnect) or 1 (log off)")
            }
            "TimeLimit" => {
                let name = call.params.required_string("SessionLimitType")?;
                let value = call.params.required_uint32("ValueLimit")?;
                call.audit.detail = format!("{name}: {value} ms");
                let rule =
                    "SessionLimitType is ActiveSessionLimit, DisconnectedSessionLimit or IdleSessionLimit";
                limit(name, value).ok_or(rule)
            }
            _ => return Err(no_method(call)),
        };
        let change = change.map_err(|rule| MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, rule))?;
        Ok(cx.engine.change_collection(collection.alias.as_str(), change).await?)
    }
}

fn terminal(path: &ObjectPath) -> &str {
    path.key("TerminalName").and_then(Value::as_str).unwrap_or_default()
}

/// A switch that was given, 0 or 1.
fn switch(call: &Call<'_>, property: &str) -> Result<Option<bool>, CimError> {
    match changes::given(call.params, property)?.map(Value::as_int) {
        None => Ok(None),
        Some(Some(0)) => Ok(Some(false)),
        Some(Some(1)) => Ok(Some(true)),
        Some(_) => {
            let text = format!("{property} is 0 or 1");
            Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, text))
        }
    }
}

/// Refuses another value than the one there is.
fn fixed(call: &Call<'_>, property: &str, why: &str) -> Result<(), CimError> {
    match switch(call, property)? {
        None => Ok(()),
        Some(_) => Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, format!("{property}: {why}"))),
    }
}

/// Seconds as they are told here. What is longer than there is room for is told as the longest.
fn milliseconds(seconds: u32) -> u32 {
    seconds.saturating_mul(1000)
}

fn instance(class: &Class, collection: &Collection) -> Instance {
    let limits = collection.limits;
    Instance::of(class)
        .with("Caption", collection.display_name.chars().take(CAPTION).collect::<String>())
        .with("Description", collection.description.as_deref())
        .with("InstallDate", datetime(collection.created))
        .with("Name", collection.alias.as_str())
        .with("Status", Value::Null)
        .with("TerminalName", collection.alias.as_str())
        .with("ActiveSessionLimit", milliseconds(limits.active))
        .with("BrokenConnectionAction", u32::from(limits.action == LimitAction::Logoff))
        .with("BrokenConnectionPolicy", SERVER_OVERRIDES)
        .with("DisconnectedSessionLimit", milliseconds(limits.disconnected))
        .with("IdleSessionLimit", milliseconds(limits.idle))
        .with("PolicySourceActiveSessionLimit", SERVER)
        .with("PolicySourceBrokenConnectionAction", SERVER)
        .with("PolicySourceDisconnectedSessionLimit", SERVER)
        .with("PolicySourceIdleSessionLimit", SERVER)
        .with("PolicySourceReconnectionPolicy", SERVER)
        .with("ReconnectionPolicy", ANY_CLIENT)
        .with("TimeLimitPolicy", SERVER_OVERRIDES)
        .with("EnableTimeoutWarning", u32::from(limits.warning > 0))
}
