//! `openrdms audit`

use super::Failure;
use super::args::AuditArgs;
use super::output::{Column, Output, second, text};
use super::remote::Remote;
use openrdms_cim::{Instance, Value, WmiCode};

const CLASS: &str = "OpenRDMS_Audit";

const COLUMNS: &[Column] = &[
    Column::made("TIME", &["Time"], |i| second(i.get("Time"))),
    Column::made("ACTOR", &["Actor"], |i| account(&text(i.get("Actor")))),
    Column::made("ACTION", &["Action"], |i| {
        let action = text(i.get("Action"));
        action.strip_prefix("OpenRDMS_").unwrap_or(&action).to_owned()
    }),
    Column::made("SUBJECT", &["Subject"], |i| account(&text(i.get("Subject")))),
    Column::made("RESULT", &["Result"], result),
    Column::new("DOOR", &["Door"]).wide(),
    Column::new("TARGET", &["Target"]).wide(),
    Column::new("DETAIL", &["Detail"]).wide(),
];

/// Without the domain, which is nearly always the deployment's: a line is short.
fn account(name: &str) -> String {
    name.rsplit_once('\\').map_or(name, |(_, account)| account).to_owned()
}

fn result(record: &Instance) -> String {
    match record.get("Result").as_int().and_then(|n| u32::try_from(n).ok()) {
        Some(0) => "done".to_owned(),
        Some(code) => WmiCode(code).to_string().trim_start_matches("WBEM_E_").to_owned(),
        None => "-".to_owned(),
    }
}

pub(super) async fn run(args: &AuditArgs, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    let since = args.since.map(|since| since.micros(jiff::Timestamp::now().as_microsecond()));
    let mut rows = remote.list(CLASS, Vec::new()).filter(|record| {
        args.actor.as_deref().is_none_or(|actor| is_actor(&text(record.get("Actor")), actor))
            && args.action.as_deref().is_none_or(|action| is_action(&text(record.get("Action")), action))
    });
    if let Some(since) = since {
        // They come newest first: from the first one that is too old on, all are.
        rows = rows.until(
            move |record| matches!(record.get("Time"), Value::Datetime { micros, .. } if *micros < since),
        );
    }
    output.list_some(COLUMNS, remote.class(CLASS), rows, limit).await
}

/// `anna` is any domain's anna.
fn is_actor(actor: &str, wanted: &str) -> bool {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    same(actor, wanted) || actor.rsplit_once('\\').is_some_and(|(_, name)| same(name, wanted))
}

/// `Disconnect` is any class's Disconnect.
fn is_action(action: &str, wanted: &str) -> bool {
    action.eq_ignore_ascii_case(wanted)
        || action.rsplit_once('.').is_some_and(|(_, method)| method.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_and_actions_are_found_by_their_short_names() {
        assert!(
            is_actor("LAB\\Ännä", "lab\\ännä") && is_actor("LAB\\anna", "ANNA") && is_actor("uid:0", "uid:0")
        );
        assert!(!is_actor("LAB\\anna", "lab") && !is_actor("LAB\\joanna", "anna"));
        assert!(is_action("OpenRDMS_Session.Disconnect", "disconnect") && is_action("Connect", "connect"));
        assert!(!is_action("OpenRDMS_Session.Disconnect", "connect"));
    }
}
