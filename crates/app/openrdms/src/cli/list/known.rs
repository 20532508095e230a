//! What was listed, by key, and how it differs from what is listed next. Asks nobody and prints nothing.

use crate::cli::Failure;
use crate::cli::output::text;
use crate::cli::remote::limited;
use crate::cli::watch::row::{CREATED, DELETED, LISTED, MODIFIED, told};
use openrdms_cim::{Instance, Value};
use std::collections::BTreeMap;

/// Times that move on by themselves: nothing has happened when they have. Chosen by name they count.
const MOVING: [&str; 2] = ["AsOf", "LeaseUntil"];

/// The list as it was at the last look.
#[derive(Debug)]
pub(super) struct Known {
    keys: Vec<String>,
    /// The properties that count; `None`: all but those that move.
    heeded: Option<Vec<String>>,
    rows: BTreeMap<Vec<String>, Row>,
    look: u64,
}

#[derive(Debug)]
struct Row {
    instance: Instance,
    /// The last look that saw it.
    seen: u64,
}

impl Known {
    /// Nothing has been looked at yet.
    pub(super) fn new(keys: Vec<String>, heeded: Option<Vec<String>>) -> Self {
        Self { keys, heeded, rows: BTreeMap::new(), look: 0 }
    }

    /// Another look begins.
    pub(super) fn begin(&mut self) {
        self.look += 1;
    }

    /// Whether this is the first look.
    pub(super) fn is_first(&self) -> bool {
        self.look == 1
    }

    /// What of these has appeared or changed, as it is told. An error when the list is longer than any that is held.
    pub(super) fn batch(&mut self, batch: Vec<Instance>, now: &Value) -> Result<Vec<Instance>, Failure> {
        let mut all = Vec::new();
        for instance in batch {
            let key = self.keys.iter().map(|name| text(instance.get(name))).collect();
            let new = Row { instance: instance.clone(), seen: self.look };
            let (change, previous) = match self.rows.insert(key, new) {
                None if self.is_first() => (LISTED, Value::Null),
                None => (CREATED, Value::Null),
                Some(old) => match self.previous(&old.instance, &instance) {
                    None => continue,
                    Some(previous) => (MODIFIED, Value::Object(Box::new(previous))),
                },
            };
            limited(self.rows.len())?;
            all.push(told(change, now.clone(), instance).with("Previous", previous));
        }
        Ok(all)
    }

    /// The look was a whole one: what it has not seen is gone.
    pub(super) fn end(&mut self, now: &Value) -> Vec<Instance> {
        let look = self.look;
        let gone = self.rows.extract_if(.., |_, row| row.seen != look);
        gone.map(|(_, row)| told(DELETED, now.clone(), row.instance).with("Previous", Value::Null)).collect()
    }

    /// What was otherwise before; `None`: nothing that counts.
    fn previous(&self, old: &Instance, new: &Instance) -> Option<Instance> {
        let names: Vec<&str> = match &self.heeded {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => {
                let all = new.properties.iter().map(|(name, _)| name.as_str());
                all.filter(|name| !MOVING.contains(name)).collect()
            }
        };
        let were = names.into_iter().filter(|name| old.get(name) != new.get(name));
        let properties: Vec<_> = were.map(|name| (name.to_owned(), old.get(name).clone())).collect();
        if properties.is_empty() { None } else { Some(Instance { properties, ..bare(old) }) }
    }
}

fn bare(of: &Instance) -> Instance {
    Instance { class: of.class.clone(), namespace: of.namespace.clone(), properties: Vec::new() }
}

#[cfg(test)]
mod tests;
