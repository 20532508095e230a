//! Printing instances: tables for people, JSON for programs. Nothing that came from outside reaches the
//! terminal as a control character.

use super::Failure;
use super::args::Format;
use openrdms_cim::{Instance, Value};
use serde_json::{Map, Value as Json};
use std::io::{IsTerminal as _, Write as _};

/// A column: its heading and how it is read off an instance.
pub(crate) type Column = (&'static str, fn(&Instance) -> String);

pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// A list, with these columns as a table and every property as JSON.
    pub(crate) fn list(&self, columns: &[Column], instances: &[Instance]) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => table(columns, instances),
            Format::Json => pretty(&Json::Array(instances.iter().map(object).collect()))?,
        };
        print(&text)
    }

    /// One instance, every property.
    pub(crate) fn show(&self, instance: &Instance) -> Result<(), Failure> {
        let text = match self.format {
            Format::Table => properties(instance),
            Format::Json => pretty(&object(instance))?,
        };
        print(&text)
    }

    /// What was done: a sentence, or an object.
    pub(crate) fn done(&self, sentence: &str, facts: &[(&str, Json)]) -> Result<(), Failure> {
        match self.format {
            Format::Table => print(&format!("{}\n", clean(sentence))),
            Format::Json => {
                let object: Map<String, Json> =
                    facts.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
                print(&pretty(&Json::Object(object))?)
            }
        }
    }
}

/// Asks on the terminal; without one, says that `--force` is needed.
pub(crate) fn confirm(question: &str, force: bool) -> Result<(), Failure> {
    if force {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("this needs a yes, and there is no terminal to ask on: add --force"));
    }
    let mut err = std::io::stderr();
    write!(err, "{} [y/N] ", clean(question))?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") { Ok(()) } else { Err(Failure::failed("nothing was done")) }
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // a reader such as `head` that has seen enough is no failure
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

fn pretty(json: &Json) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(json).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(text + "\n")
}

fn object(instance: &Instance) -> Json {
    Json::Object(instance.properties.iter().map(|(name, value)| (name.clone(), json(value))).collect())
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(b) => Json::Bool(*b),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Object(instance) => object(instance),
        other => other
            .as_int()
            .and_then(|n| i64::try_from(n).ok())
            .map_or_else(|| Json::String(text(other)), Json::from),
    }
}

/// A value as people read it: `-` for null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        other => other.text().unwrap_or_else(|| "-".to_owned()),
    }
}

fn text_of(value: &Value) -> String {
    text(value)
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn table(columns: &[Column], instances: &[Instance]) -> String {
    let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows = instances.iter().map(|i| columns.iter().map(|(_, read)| clean(&read(i))).collect::<Vec<_>>());
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
    }
    line.truncate(line.trim_end().len());
    line + "\n"
}

fn properties(instance: &Instance) -> String {
    let width = instance.properties.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    instance
        .properties
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", clean(&text(value))))
        .collect()
}

/// `75` as `1m15s`: at most two units, the way people say it.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes, rest) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m{rest:02}s"),
        (0, _, _) => format!("{hours}h{minutes:02}m"),
        (_, _, _) => format!("{days}d{hours:02}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let said: Vec<String> = [0, 59, 75, 3661, 90_000].into_iter().map(duration).collect();
        assert_eq!(said, ["0s", "59s", "1m15s", "1h01m", "1d01h"]);
    }

    #[test]
    fn a_client_name_cannot_write_on_the_terminal() {
        let properties = vec![("N".to_owned(), Value::from("a\x1b[2Jb\nc"))];
        let instance = Instance { class: "C".into(), namespace: "n".into(), properties };
        let table = table(&[("NAME", |i| text(i.get("N")))], &[instance]);
        assert_eq!(table, "NAME\na?[2Jb?c\n");
    }
}
