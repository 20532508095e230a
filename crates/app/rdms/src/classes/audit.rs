//! `OpenRDMS_Audit`: who did what to whom, for administrators. It is read and never changed.

use super::datetime;
use crate::error::fault;
use crate::provider::{Context, Provider, Query, Wanted, admin_only, cannot_continue};
use openrdms_broker::ports::{AuditCursor, AuditEntry};
use openrdms_broker::{Outcome, Timestamp};
use openrdms_cim::{CimError, Class, Instance, Listing, Value};
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
        let page = store.audit_page(before, query.limit()).await.map_err(fault)?;
        Ok(Listing {
            instances: page.rows.iter().map(|entry| instance(query.class, entry)).collect(),
            next: page.next.map(|cursor| format!("{}/{}", cursor.at.0, cursor.number)),
        })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        let not_found = || fault(EngineError::NotFound("audit record"));
        let number = wanted.path.key("Number").and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
        let number = number.ok_or_else(not_found)?;
        let entry = cx.engine.store().audit_entry(number).await.map_err(fault)?;
        Ok(instance(wanted.class, &entry.ok_or_else(not_found)?))
    }
}

fn parse_cursor(text: &str) -> Result<AuditCursor, CimError> {
    let parsed = text.split_once('/').and_then(|(at, number)| {
        Some(AuditCursor { at: Timestamp(at.parse().ok()?), number: number.parse().ok()? })
    });
    parsed.ok_or_else(cannot_continue)
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
