//! `OpenRDMS_Audit`: who did what to whom, for administrators. It is read and never changed.

use super::session::datetime;
use crate::dispatch::limit;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, admin_only};
use openrdms_broker::ports::{AuditCursor, AuditEntry};
use openrdms_broker::{Outcome, Timestamp};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Principal, Value, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct OpenRdmsAudit;

#[async_trait::async_trait]
impl Provider for OpenRdmsAudit {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_Audit")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let store = cx.engine.store();
        if let Some(number) = query.equal("Number") {
            let number = number.parse().ok();
            let found = match number {
                Some(number) => store.audit_entry(number).await.map_err(fault)?,
                None => None,
            };
            let instances = found.iter().map(|entry| instance(query.class, entry)).collect();
            return Ok(Listing { instances, next: None });
        }
        let before = query.after.map(parse_cursor).transpose()?;
        let page = store.audit_page(before, limit(query.limits)).await.map_err(fault)?;
        Ok(Listing {
            instances: page.rows.iter().map(|entry| instance(query.class, entry)).collect(),
            next: page.next.map(|cursor| format!("{}/{}", cursor.at.0, cursor.number)),
        })
    }

    async fn get(
        &self,
        cx: &Context,
        who: &Principal,
        class: &Class,
        path: &ObjectPath,
    ) -> Result<Instance, CimError> {
        admin_only(who)?;
        let not_found = || fault(EngineError::NotFound("audit record"));
        let number = path.key("Number").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
        let number = number.ok_or_else(not_found)?;
        let entry = cx.engine.store().audit_entry(number).await.map_err(fault)?;
        Ok(instance(class, &entry.ok_or_else(not_found)?))
    }

    async fn invoke(&self, _: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        Err(crate::dispatch::no_method(call))
    }
}

fn parse_cursor(text: &str) -> Result<AuditCursor, CimError> {
    let parsed = text.split_once('/').and_then(|(at, number)| {
        Some(AuditCursor { at: Timestamp(at.parse().ok()?), number: number.parse().ok()? })
    });
    parsed.ok_or_else(|| {
        CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, "the list cannot be continued from there")
    })
}

fn instance(class: &Class, AuditEntry { number, record }: &AuditEntry) -> Instance {
    let shown = |text: &str| if text.is_empty() { Value::Null } else { Value::from(text) };
    let result = match record.outcome {
        Outcome::Done => 0,
        Outcome::Failed(code) => code,
    };
    Instance::of(class)
        .with("Number", *number)
        .with("Time", datetime(record.at))
        .with("Actor", record.actor.as_str())
        .with("Door", shown(&record.from))
        .with("Action", record.action.as_str())
        .with("Target", shown(&record.target))
        .with("Subject", shown(&record.subject))
        .with("Result", result)
        .with("Detail", shown(&record.detail))
}
