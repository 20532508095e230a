//! Oracles: what has to hold for any bytes whatever that reach a parser of the management side. Each panics where it
//! does not. The fuzz targets call them with what libFuzzer makes up, `tests/replay.rs` with the corpora.
//!
//! The common rule: what was read, printed and read again, is the same. Beside it, what is printed is bounded by what
//! was read, counted in bytes and values and never by a clock; libFuzzer's own limits of time and memory catch the rest.

mod answer;
mod cim_xml;
mod datetime;
mod envelope;
mod eventing;
mod mof;
mod object_path;
mod query;
mod soap;
mod world;

pub use answer::answer;
pub use cim_xml::cim_xml;
pub use datetime::datetime;
pub use eventing::eventing;
pub use mof::mof;
pub use object_path::object_path;
pub use query::{cql, wql};
pub use soap::soap;

/// Panics where something does not hold for these bytes; tells whether anything was read of them.
pub type Oracle = fn(&[u8]) -> bool;

/// All oracles, by the names of their fuzz targets.
pub const ALL: [(&str, Oracle); 9] = [
    ("answer", answer),
    ("cim_xml", cim_xml),
    ("cql", cql),
    ("datetime", datetime),
    ("eventing", eventing),
    ("mof", mof),
    ("object_path", object_path),
    ("soap", soap),
    ("wql", wql),
];

/// Bytes as text for the parsers that take text: a fuzzer is not to lose its time on what is no UTF-8.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// That a text which was made of `input` bytes is not many times as long.
#[track_caller]
fn bounded(what: &str, made: &str, input: usize, times: usize) {
    let most = times * input + 4096;
    assert!(made.len() <= most, "{what} of {input} bytes has {}, more than {most}", made.len());
}
