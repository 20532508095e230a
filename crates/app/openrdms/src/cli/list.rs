//! Lists, and with `--watch` what becomes of them. The classes of these have no events, so they are looked at again and
//! again, and compared by key.
//!
//! It holds one list, however long it watches, and does not end because the service is away.

mod known;

use super::Failure;
use super::args::Watching;
use super::output::{Column, Output, Printer, text};
use super::remote::Rows;
use super::watch::{Absence, row};
use known::Known;
use openrdms_cim::{Class, Instance, Value};
use std::time::Duration;

const DIFFERENCE: Column = Column::made("DIFFERENCE", &["Previous"], difference);

/// What a change has changed: not all of it has a column.
fn difference(told: &Instance) -> String {
    let Value::Object(previous) = told.get("Previous") else { return String::new() };
    let were = previous
        .properties
        .iter()
        .map(|(name, was)| format!("{name}={} (was {})", text(told.get(name)), text(was)));
    were.collect::<Vec<_>>().join(", ")
}

/// Prints what `look` finds, and with `--watch` every change of it until Ctrl-C. Without a class the first column is the
/// key.
pub(super) async fn run<'r>(
    output: &Output,
    columns: &[Column],
    class: Option<&Class>,
    watching: Watching,
    look: impl AsyncFn() -> Result<Rows<'r>, Failure>,
) -> Result<(), Failure> {
    let Some(every) = watching.every() else {
        return output.list(columns, class, look().await?).await;
    };
    tokio::select! {
        failed = follow(output, columns, class, every, look) => failed,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Goes on until it fails.
async fn follow<'r>(
    output: &Output,
    columns: &[Column],
    class: Option<&Class>,
    every: Duration,
    look: impl AsyncFn() -> Result<Rows<'r>, Failure>,
) -> Result<(), Failure> {
    let keys = match class {
        Some(class) => class.keys().map(|key| key.name.clone()).collect(),
        None => columns.first().map(Column::names).unwrap_or_default(),
    };
    let class = class.map(|class| row::class(class, &["Previous"]));
    let columns: Vec<Column> = row::columns(columns).into_iter().chain([DIFFERENCE]).collect();
    let mut known = Known::new(keys, output.chosen(&columns, class.as_ref())?);
    let mut printer = output.endless(&columns, class.as_ref())?;
    // A service that is not there at the beginning is as bad as for any list.
    compare(look().await?, &mut known, &mut printer).await?;
    let mut absence = Absence::default();
    tokio::time::sleep(every).await;
    loop {
        let looked = match look().await {
            Ok(rows) => compare(rows, &mut known, &mut printer).await,
            Err(failure) => Err(failure),
        };
        match looked {
            Ok(()) => {
                absence.is_over()?;
                absence = Absence::default();
                tokio::time::sleep(every).await;
            }
            Err(failure) if failure.may_pass() => {
                absence.tell(&failure)?;
                absence.pause().await;
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// One look at the list. One that breaks off has told nothing wrong: only a whole one says what is gone.
async fn compare(mut rows: Rows<'_>, known: &mut Known, printer: &mut Printer) -> Result<(), Failure> {
    let now = || Value::utc(jiff::Timestamp::now().as_microsecond());
    known.begin();
    while let Some(batch) = rows.next().await? {
        let told = known.batch(batch, &now())?;
        // at the beginning also nothing is told, below a heading
        if !told.is_empty() || known.is_first() {
            printer.batch(&told)?;
        }
    }
    let gone = known.end(&now());
    if gone.is_empty() { Ok(()) } else { printer.batch(&gone) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_what_is_and_what_was() {
        let host = Instance { class: "C".into(), namespace: "n".into(), properties: Vec::new() };
        let previous = host.clone().with("State", "Up").with("Users", Value::Null);
        let told = host.with("State", "Drained").with("Users", vec!["anna", "bert"]);
        assert_eq!(difference(&told), "");
        let told = told.with("Previous", Value::Object(Box::new(previous)));
        assert_eq!(difference(&told), "State=Drained (was Up), Users=anna, bert (was -)");
    }
}
