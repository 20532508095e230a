//! The one dispatch that WS-Man, JSON, the command line and the browser call, and what providers implement.

use crate::{CimError, Instance, ObjectPath, Params, Value};

/// Who is asking, proved by the door it came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `domain\name`, or `uid:0` on the local socket.
    pub name: String,
    /// Whether it may do everything.
    pub admin: bool,
    /// The door and the address, such as `wsman 127.0.0.1` or `local socket`.
    pub from: String,
}

/// How much of a listing to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many instances.
    pub max_elements: usize,
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Namespace, in canonical form (`root/cimv2/rdms`), and class, in any case.
    pub class: ObjectPath,
    /// Equality filters on properties (the SelectorFilter dialect), ANDed; empty: everything.
    pub equals: Vec<(String, String)>,
}

/// Part of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The instances.
    pub instances: Vec<Instance>,
    /// Where to go on; `None`: that was all. Opaque to front ends.
    pub next: Option<String>,
}

/// What a method gave back.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodResult {
    /// `ReturnValue`: 0, or a WMI code.
    pub return_value: Value,
    /// The OUT parameters.
    pub out: Params,
}

/// The management interface, whole: checks class, keys, parameters and authority, then calls the provider
/// and writes the audit line.
#[async_trait::async_trait]
pub trait CimService: Send + Sync + 'static {
    /// The classes that are served.
    fn repository(&self) -> &crate::Repository;

    /// One page of a listing. `after` is the `next` of the page before.
    async fn enumerate(
        &self,
        who: &Principal,
        what: &Enumeration,
        after: Option<&str>,
        limits: Limits,
    ) -> Result<Listing, CimError>;

    /// One instance by its keys.
    async fn get(&self, who: &Principal, path: &ObjectPath) -> Result<Instance, CimError>;

    /// A method: on an instance where `path` has keys, static where it has none. `options` are the
    /// caller's named options (such as `ExpectedUser`), prefixes stripped.
    async fn invoke(
        &self,
        who: &Principal,
        path: &ObjectPath,
        method: &str,
        params: Params,
        options: &[(String, String)],
    ) -> Result<MethodResult, CimError>;
}
