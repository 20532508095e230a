//! Oracles: what has to hold for any bytes whatever that reach a parser. Each panics where it does not. The fuzz
//! targets call them with what libFuzzer makes up, `tests/replay.rs` with the corpora.
//!
//! The common rule: what was read, printed and read again, is the same. Beside it, what is printed is bounded by what
//! was read, counted in bytes and values and never by a clock; libFuzzer's own limits of time and memory catch the rest.

mod answer;
mod cim_xml;
mod client_info;
mod config;
mod connect_initial;
mod credssp;
mod datetime;
mod desktop_replies;
mod envelope;
mod eventing;
mod frame_heads;
mod http;
mod job;
mod json;
mod mof;
mod negotiation;
mod object_path;
mod pump;
mod query;
mod sddl;
mod soap;
mod supervisor;
mod wire;
mod world;

pub use answer::answer;
pub use cim_xml::cim_xml;
pub use client_info::client_info;
pub use config::config;
pub use connect_initial::connect_initial;
pub use credssp::credssp;
pub use datetime::datetime;
pub use desktop_replies::desktop_replies;
pub use eventing::eventing;
pub use frame_heads::frame_heads;
pub use http::http;
pub use job::job;
pub use json::json;
pub use mof::mof;
pub use negotiation::negotiation;
pub use object_path::object_path;
pub use pump::pump;
pub use query::{cql, wql};
pub use sddl::sddl;
pub use soap::soap;
pub use supervisor::supervisor;

/// Panics where something does not hold for these bytes; tells whether anything was read of them.
pub type Oracle = fn(&[u8]) -> bool;

/// All oracles, by the names of their fuzz targets.
pub const ALL: [(&str, Oracle); 22] = [
    ("answer", answer),
    ("cim_xml", cim_xml),
    ("client_info", client_info),
    ("config", config),
    ("connect_initial", connect_initial),
    ("cql", cql),
    ("credssp", credssp),
    ("datetime", datetime),
    ("desktop_replies", desktop_replies),
    ("eventing", eventing),
    ("frame_heads", frame_heads),
    ("http", http),
    ("job", job),
    ("json", json),
    ("mof", mof),
    ("negotiation", negotiation),
    ("object_path", object_path),
    ("pump", pump),
    ("sddl", sddl),
    ("soap", soap),
    ("supervisor", supervisor),
    ("wql", wql),
];

/// Runs something to its end that nobody but itself keeps waiting.
fn run<T>(work: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without input and output needs nothing");
    }
    RUNTIME.with(|runtime| runtime.block_on(work))
}

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
