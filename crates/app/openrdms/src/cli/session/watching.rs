//! `openrdms session watch`: the sessions that there are, then every change.

use super::{CLASS, COLUMNS, Failure, Narrow, fixed, rows};
use crate::cli::args::session::Watched;
use crate::cli::output::{Output, Printer, remark};
use crate::cli::remote::{OURS, Remote};
use crate::cli::watch::row::{self, CREATED, DELETED, LISTED, MODIFIED, told};
use crate::cli::watch::{self, Seen, Watch};
use openrdms_cim::wql::Condition;
use openrdms_cim::{Instance, Value};

pub(super) async fn run(watched: &Watched, remote: &Remote, output: &Output) -> Result<(), Failure> {
    // Subscribed before it is listed: what happens between is told.
    let query = query(watched);
    let watch = Watch::begin(remote, OURS, &query).await?;
    let class = remote.class(CLASS).map(|class| row::class(class, &[]));
    let mut printer = output.endless(&row::columns(COLUMNS), class.as_ref())?;
    list(watched, remote, &mut printer).await?;
    watch
        .run(async |seen| match seen {
            Seen::Events(events) => {
                let told: Vec<Instance> = events.iter().filter_map(|event| change(event, watched)).collect();
                if told.is_empty() { Ok(()) } else { printer.batch(&told) }
            }
            Seen::Gap => {
                remark("openrdms: some changes were missed; this is how it is now")?;
                list(watched, remote, &mut printer).await
            }
        })
        .await
}

/// What there is.
async fn list(watched: &Watched, remote: &Remote, printer: &mut Printer) -> Result<(), Failure> {
    let narrow = Narrow { fixed: watched.fixed.clone(), state: watched.state.clone(), ..Narrow::default() };
    let mut rows = rows(&narrow, remote);
    while let Some(batch) = rows.next().await? {
        let listed: Vec<Instance> =
            batch.into_iter().map(|s| told(LISTED, s.get("AsOf").clone(), s)).collect();
        printer.batch(&listed)?;
    }
    Ok(())
}

/// What never changes of a session is asked of the service; its state is looked at here, before and after.
fn query(watched: &Watched) -> String {
    let mut query =
        format!("SELECT * FROM __InstanceOperationEvent WITHIN 1 WHERE TargetInstance ISA '{CLASS}'");
    for (name, value) in fixed(&watched.fixed) {
        query += &format!(" AND TargetInstance.{}", Condition::equal(name, value));
    }
    query
}

/// The change that an event tells of; `None` where it is about a state that nobody asked for.
fn change(event: &Instance, watched: &Watched) -> Option<Instance> {
    let Value::Object(target) = event.get("TargetInstance") else { return None };
    let is_in = |session: &Instance| {
        let state = session.get("State").as_str().unwrap_or_default();
        watched.state.as_deref().is_none_or(|wanted| state.eq_ignore_ascii_case(wanted))
    };
    let was_in = match event.get("PreviousInstance") {
        Value::Object(previous) => is_in(previous),
        _ => false,
    };
    if !(is_in(target) || was_in) {
        return None;
    }
    let word = match event.class.as_str() {
        "__InstanceCreationEvent" => CREATED,
        "__InstanceModificationEvent" => MODIFIED,
        "__InstanceDeletionEvent" => DELETED,
        other => other,
    };
    Some(told(word, watch::time(event), target.as_ref().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Fixed;
    use openrdms_cim::wql::Select;

    fn watched() -> Watched {
        Watched { fixed: Fixed::default(), state: None }
    }

    #[test]
    fn whatever_a_name_holds_the_query_is_one() {
        let hostile = r#"it's "x" \ y' OR 1=1"#;
        let fixed = Fixed {
            user: Some(hostile.replace('\\', "/")),
            host: Some(hostile.to_owned()),
            ..Fixed::default()
        };
        let watched = Watched { fixed, ..watched() };
        let select = Select::parse(&query(&watched)).expect("it parses");
        assert!(select.to_string().contains("OR 1=1"), "within a text");
        assert_eq!(Select::parse(&select.to_string()).map(|s| s.to_string()), Ok(select.to_string()));
    }

    #[test]
    fn a_state_is_watched_from_both_sides() {
        let session = |state: &str| {
            let it = Instance { class: CLASS.into(), namespace: OURS.into(), properties: Vec::new() };
            Value::Object(Box::new(it.with("State", state)))
        };
        let event = Instance {
            class: "__InstanceModificationEvent".into(),
            namespace: OURS.into(),
            properties: vec![],
        }
        .with("TargetInstance", session("Disconnected"))
        .with("PreviousInstance", session("Active"));
        let of = |state: &str| change(&event, &Watched { state: Some(state.to_owned()), ..watched() });
        assert_eq!(of("active").map(|c| c.get("Change").clone()), Some(Value::from(MODIFIED)));
        assert!(of("Disconnected").is_some() && of("Lost").is_none());
    }
}
