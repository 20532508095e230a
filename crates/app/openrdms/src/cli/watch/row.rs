//! What a watch prints: an instance, with what happened to it and when. The same for every watch, so that who reads one
//! reads all.

use crate::cli::output::{Column, second};
use openrdms_cim::{Class, Instance, Property, Type, Value};

/// What there was at the beginning.
pub(in crate::cli) const LISTED: &str = "Listed";
/// What appeared.
pub(in crate::cli) const CREATED: &str = "Created";
/// What is another than it was.
pub(in crate::cli) const MODIFIED: &str = "Modified";
/// What went.
pub(in crate::cli) const DELETED: &str = "Deleted";

const TIME: Column =
    Column::made("TIME", &["Time"], |i| second(i.get("Time"))).at_least("2026-05-01T08:20:30Z".len());

const CHANGE: Column = Column::new("CHANGE", &["Change"]).coloured().at_least(MODIFIED.len());

/// The columns of a list with what happened before them.
pub(in crate::cli) fn columns(of: &[Column]) -> Vec<Column> {
    [TIME, CHANGE].into_iter().chain(of.iter().copied().map(roomy)).collect()
}

/// As wide as it may become: the first rows do not tell.
fn roomy(column: Column) -> Column {
    match column.heading() {
        "STATE" => column.at_least("Disconnected".len()),
        "IDLE" | "AGE" | "IN STATE" => column.at_least("59m59s".len()),
        "ALIAS" | "APP" | "COLLECTION" | "DESKTOP" | "HOST" | "NAME" | "OWNER" | "USER" => {
            column.at_least(10)
        }
        "JOB" => column.at_least("5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11".len()),
        "ID" => column.at_least(4),
        _ => column,
    }
}

/// A class with the properties that only what is told has.
pub(in crate::cli) fn class(of: &Class, more: &[&str]) -> Class {
    let property = |name: &&str| Property {
        name: (*name).to_owned(),
        ty: Type::String,
        array: false,
        size: None,
        reference: None,
        default: Value::Null,
        qualifiers: Vec::new(),
        origin: String::new(),
    };
    let mut class = of.clone();
    class.properties.extend(["Change", "Time"].iter().chain(more).map(property));
    class
}

/// An instance, with what happened to it.
pub(in crate::cli) fn told(change: &str, time: Value, instance: Instance) -> Instance {
    instance.with("Change", change).with("Time", time)
}
