//! The file: TOML, with a list of tables a section. A null is not written, and what is not written stays as it is.

use super::section::{Rows, SECTIONS, Section, says};
use crate::cli::remote::Remote;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use openrdms_cim::{Class, Instance, Property, Type, Value};
use toml::{Table, Value as Toml};

/// The only one there is so far.
const FORMAT: i64 = 1;

const HEAD: &str = "\
# Written by `openrdms export`; `openrdms import` makes a deployment so. The names are those of the management
# classes. Accounts are named only: there are no passwords here. What is not said stays as it is.
";

/// The file of these rows, one list a section.
pub(super) fn write(all: &[Rows]) -> String {
    let mut text = format!("{HEAD}format = {FORMAT}\n");
    for (at, section) in SECTIONS.iter().enumerate() {
        if first(section.name) != Some(at) {
            continue;
        }
        for row in all.get(at).into_iter().flatten() {
            let mut table = Table::new();
            for (other, rows) in SECTIONS.iter().zip(all).filter(|(other, _)| other.name == section.name) {
                let same = rows.iter().find(|same| other.identity(same) == section.identity(row));
                for (name, value) in same.iter().flat_map(|same| told(other, same)) {
                    table.insert(name.to_owned(), value);
                }
            }
            text.push_str(&format!("\n[[{}]]\n{table}", section.name));
        }
    }
    text
}

fn first(name: &str) -> Option<usize> {
    SECTIONS.iter().position(|section| section.name == name)
}

fn told<'r>(section: &Section, row: &'r Instance) -> impl Iterator<Item = (&'static str, Toml)> + use<'r> {
    let names: Vec<&'static str> = section.all().collect();
    names.into_iter().filter_map(|name| Some((name, to_toml(row.get(name))?)))
}

fn to_toml(value: &Value) -> Option<Toml> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Toml::String(text.clone())),
        Value::Boolean(flag) => Some(Toml::Boolean(*flag)),
        Value::Array(items) if matches!(items.first(), Some(Value::Uint8(_))) => {
            let bytes = items.iter().filter_map(|item| u8::try_from(item.as_int()?).ok());
            Some(Toml::String(BASE64_STANDARD.encode(bytes.collect::<Vec<u8>>())))
        }
        Value::Array(items) => Some(Toml::Array(items.iter().filter_map(to_toml).collect())),
        other => other.as_int().and_then(|number| i64::try_from(number).ok()).map(Toml::Integer),
    }
}

/// The rows of a file, one list a section; or all its mistakes.
pub(super) fn read(text: &str, remote: &Remote) -> Result<Vec<Rows>, Vec<String>> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| vec![error.to_string()])?;
    let mut reader = Reader { remote, mistakes: Vec::new() };
    match table.remove("format") {
        Some(Toml::Integer(FORMAT)) => {}
        _ => reader
            .mistakes
            .push(format!("format = {FORMAT} is not there: is it a file of `openrdms export`?")),
    }
    for name in table.keys().filter(|name| first(name).is_none()) {
        reader.mistakes.push(format!("there is no section '{name}'"));
    }
    let all: Vec<Rows> =
        SECTIONS.iter().map(|section| reader.section(section, table.get(section.name))).collect();
    if reader.mistakes.is_empty() { Ok(all) } else { Err(reader.mistakes) }
}

struct Reader<'a> {
    remote: &'a Remote,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    fn section(&mut self, section: &Section, tables: Option<&Toml>) -> Rows {
        let Some(tables) = tables else { return Vec::new() };
        // several sections look at the same tables: what is wrong with a table is told by the first
        let is_first = section.is_first();
        let Some(tables) = tables.as_array() else {
            if is_first {
                self.mistakes.push(format!("'{}' is a list: write [[{0}]]", section.name));
            }
            return Vec::new();
        };
        let Some(class) = self.remote.known(section.namespace, section.class) else { return Vec::new() };
        let mut rows = Rows::new();
        let mut known = std::collections::HashSet::new();
        for (at, table) in tables.iter().enumerate() {
            let place = format!("{} {}", section.name, at + 1);
            let Some(table) = table.as_table() else {
                if is_first {
                    self.mistakes.push(format!("{place} is not a table"));
                }
                continue;
            };
            let Some(row) = self.row(section, class, table, &place) else { continue };
            if !known.insert(section.identity(&row)) && is_first {
                self.mistakes.push(format!("{place}: {} is there twice", section.describe(&row)));
            }
            rows.push(row);
        }
        rows
    }

    /// A row as its class has it. The first of the sections of a name looks at the keys, and for what none of them has.
    fn row(&mut self, section: &Section, class: &Class, table: &Table, place: &str) -> Option<Instance> {
        let before = self.mistakes.len();
        let is_first = section.is_first();
        let mut row = Instance {
            class: class.name.clone(),
            namespace: class.namespace.clone(),
            properties: Vec::new(),
        };
        for (name, value) in table {
            let of_section = section.all().find(|known| known == name);
            let of_any =
                SECTIONS.iter().any(|s| s.name == section.name && s.all().any(|known| known == name));
            match of_section.and_then(|name| class.property(name)) {
                Some(property) => match typed(property, value) {
                    Some(value) => row.properties.push((property.name.clone(), value)),
                    None if is_first || !property.is_key() => {
                        self.mistakes.push(format!("{place}: {name} is not a {}", shape(property)));
                    }
                    None => {}
                },
                None if is_first && !of_any => {
                    self.mistakes.push(format!("{place}: there is no '{name}'"));
                }
                None => {}
            }
        }
        for key in section.keys.iter().filter(|key| is_first && !says(&row, key)) {
            self.mistakes.push(format!("{place}: {key} is missing"));
        }
        (self.mistakes.len() == before).then_some(row)
    }
}

fn shape(property: &Property) -> &'static str {
    match (property.ty, property.array) {
        (Type::Uint8, true) => "text of base64",
        (_, true) => "list of texts",
        (Type::String, false) => "text",
        (Type::Boolean, false) => "true or false",
        (_, false) => "number",
    }
}

fn typed(property: &Property, value: &Toml) -> Option<Value> {
    match (property.ty, property.array, value) {
        (Type::Uint8, true, Toml::String(text)) => {
            let bytes = BASE64_STANDARD.decode(text).ok()?;
            Some(Value::Array(bytes.into_iter().map(Value::Uint8).collect()))
        }
        (_, true, Toml::Array(items)) if items.is_empty() => Some(Value::Array(Vec::new())),
        (Type::String, true, Toml::Array(items)) => {
            items.iter().map(|item| item.as_str().map(Value::from)).collect::<Option<_>>().map(Value::Array)
        }
        (Type::String, false, Toml::String(text)) => Some(Value::from(text.as_str())),
        (Type::Boolean, false, Toml::Boolean(flag)) => Some(Value::Boolean(*flag)),
        (ty, false, Toml::Integer(number)) if !matches!(ty, Type::String | Type::Boolean) => {
            Value::parse(ty, &number.to_string()).ok()
        }
        _ => None,
    }
}
