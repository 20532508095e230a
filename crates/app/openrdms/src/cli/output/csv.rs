//! Comma-separated values (RFC 4180): a heading of property names, then a record a line, ended by CR LF. Null is
//! an empty field; the elements of an array are separated by `;`.
//!
//! Clients choose some of the texts themselves, and people open such files with programs that calculate: a text
//! that such a program would take for a formula gets an apostrophe before it.

use super::text::{is_hostile, text};
use openrdms_cim::{Instance, Value};
use serde_json::Value as Json;

/// A list that is written as its records arrive.
#[derive(Debug)]
pub(crate) struct List {
    /// `None`: every property of the first instance.
    names: Option<Vec<String>>,
    begun: bool,
}

impl List {
    pub(super) fn new(names: Option<Vec<String>>) -> Self {
        Self { names, begun: false }
    }

    /// Some more records; with the first batch, if only an empty one, comes the heading.
    pub(super) fn batch(&mut self, instances: &[Instance]) -> String {
        if self.names.is_none() {
            let Some(first) = instances.first() else { return String::new() };
            self.names = Some(first.properties.iter().map(|(name, _)| name.clone()).collect());
        }
        let names = self.names.as_deref().unwrap_or_default();
        let mut lines = String::new();
        if !self.begun {
            self.begun = true;
            lines.push_str(&record(names.iter().cloned()));
        }
        for instance in instances {
            lines.push_str(&record(names.iter().map(|name| field(instance.get(name)))));
        }
        lines
    }
}

/// What was done, one record each.
pub(super) fn facts(all: &[&[(&str, Json)]]) -> String {
    let heading = all.first().map(|facts| record(facts.iter().map(|(name, _)| (*name).to_owned())));
    let value = |json: &Json| match json {
        Json::Null => String::new(),
        Json::String(text) => tame(text),
        other => other.to_string(),
    };
    let records = all.iter().map(|facts| record(facts.iter().map(|(_, json)| value(json))));
    heading.into_iter().chain(records).collect()
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => tame(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            tame(&items.join(";"))
        }
        Value::Object(_) | Value::Reference(_) => tame(&text(value)),
        number => text(number),
    }
}

/// A text that nobody calculates.
fn tame(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn record(fields: impl Iterator<Item = String>) -> String {
    fields.map(|field| quoted(&field)).collect::<Vec<_>>().join(",") + "\r\n"
}

fn quoted(field: &str) -> String {
    let safe: String = field.chars().map(|c| if is_hostile(c) && c != '\n' { '?' } else { c }).collect();
    if safe.contains(['"', ',', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(text: &str) -> Instance {
        Instance { class: "C".into(), namespace: "n".into(), properties: Vec::new() }
            .with("Text", text)
            .with("Number", -5i32)
            .with("None", Value::Null)
            .with("Many", vec!["a", "b,c"])
    }

    #[test]
    fn records_are_those_of_rfc_4180() {
        let mut list = List::new(None);
        let said = list.batch(&[instance("a \"b\"\nc")]) + &list.batch(&[instance("plain")]);
        let expected = "Text,Number,None,Many\r\n\"a \"\"b\"\"\nc\",-5,,\"a;b,c\"\r\nplain,-5,,\"a;b,c\"\r\n";
        assert_eq!(said, expected);
    }

    #[test]
    fn an_empty_list_has_its_heading() {
        let mut list = List::new(Some(vec!["A".into(), "B".into()]));
        assert_eq!(list.batch(&[]) + &list.batch(&[]), "A,B\r\n");
    }

    #[test]
    fn no_text_is_a_formula_or_obeyed_by_a_terminal() {
        for (text, said) in
            [("=1+1", "'=1+1"), ("@x", "'@x"), ("-x", "'-x"), ("\t=1", "'?=1"), ("a\x1b\rb", "a??b")]
        {
            assert_eq!(quoted(&field(&Value::from(text))), said);
        }
    }
}
