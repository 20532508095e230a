//! JSON: the properties by their CIM names, times as RFC 3339, numbers as numbers, references as object paths.

use super::text::{is_hostile, text};
use openrdms_cim::{Instance, Value};
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;

/// One array that is written as its items arrive.
#[derive(Debug)]
pub(crate) struct List {
    asked: Option<Vec<String>>,
    begun: bool,
}

impl List {
    pub(super) fn new(asked: Option<Vec<String>>) -> Self {
        Self { asked, begun: false }
    }

    pub(super) fn batch(&mut self, instances: &[Instance]) -> String {
        let mut written = String::new();
        for instance in instances {
            written.push_str(if self.begun { ",\n  " } else { "[\n  " });
            self.begun = true;
            let item = pretty(&object(instance, self.asked.as_deref()));
            written.push_str(&item.trim_end().replace('\n', "\n  "));
        }
        written
    }

    /// A list that broke off has no end: nobody takes it for a whole one.
    pub(super) fn end(&self) -> &'static str {
        if self.begun { "\n]\n" } else { "[]\n" }
    }
}

/// One object a line, for lists without an end.
#[derive(Debug)]
pub(crate) struct Lines {
    asked: Option<Vec<String>>,
}

impl Lines {
    pub(super) fn new(asked: Option<Vec<String>>) -> Self {
        Self { asked }
    }

    pub(super) fn batch(&self, instances: &[Instance]) -> String {
        instances.iter().map(|i| safe(&format!("{}\n", object(i, self.asked.as_deref())))).collect()
    }
}

/// The properties of an instance, all or those asked for.
pub(super) fn object(instance: &Instance, asked: Option<&[String]>) -> Json {
    Json::Object(match asked {
        Some(asked) => asked.iter().map(|name| (name.clone(), json(instance.get(name)))).collect(),
        None => {
            instance.properties.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>()
        }
    })
}

/// On several lines, with a line feed at the end and no character that a terminal would obey.
pub(super) fn pretty(json: &Json) -> String {
    safe(&format!("{json:#}\n"))
}

fn safe(written: &str) -> String {
    let mut safe = String::new();
    // Line feeds are ours: inside of strings they are escaped already.
    for c in written.chars() {
        match c {
            '\n' => safe.push(c),
            c if is_hostile(c) => write!(safe, "\\u{:04x}", u32::from(c)).expect("a string takes everything"),
            c => safe.push(c),
        }
    }
    safe
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(flag) => Json::Bool(*flag),
        Value::Uint64(n) => Json::from(*n),
        Value::Real32(n) => Json::from(*n),
        Value::Real64(n) => Json::from(*n),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Object(instance) => object(instance, None),
        other => other
            .as_int()
            .and_then(|n| i64::try_from(n).ok())
            .map_or_else(|| Json::String(text(other)), Json::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str) -> Instance {
        Instance { class: "C".into(), namespace: "n".into(), properties: Vec::new() }
            .with("Name", name)
            .with("Big", u64::MAX)
            .with("When", Value::utc(1_714_551_630_000_000))
            .with("Tags", vec!["a", "b"])
            .with("Nothing", Value::Null)
    }

    #[test]
    fn a_list_is_one_array_however_it_arrives() {
        let all = [instance("a"), instance("b"), instance("c")];
        let mut list = List::new(None);
        let said = list.batch(&all[..1]) + &list.batch(&[]) + &list.batch(&all[1..]) + list.end();
        let whole = Json::Array(all.iter().map(|i| object(i, None)).collect());
        assert_eq!(said, pretty(&whole));
        assert_eq!(List::new(None).end(), "[]\n");
    }

    #[test]
    fn values_are_what_they_are() {
        let expected = serde_json::json!({
            "Name": "a", "Big": u64::MAX, "When": "2024-05-01T08:20:30Z", "Tags": ["a", "b"], "Nothing": null
        });
        assert_eq!(object(&instance("a"), None), expected);
        let asked = ["Name".to_owned(), "None".to_owned()];
        assert_eq!(object(&instance("a"), Some(&asked)), serde_json::json!({ "Name": "a", "None": null }));
    }

    #[test]
    fn nothing_in_a_string_is_obeyed_by_a_terminal_and_it_reads_back() {
        let hostile = "a\u{9b}2J\u{202e}\x1b\n\u{7f}é";
        let said = pretty(&Json::from(hostile));
        assert_eq!(said, "\"a\\u009b2J\\u202e\\u001b\\n\\u007fé\"\n");
        assert_eq!(serde_json::from_str::<String>(&said).unwrap(), hostile);
    }
}
