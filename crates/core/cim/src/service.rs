//! The one dispatch that WS-Man, JSON, the command line and the browser call, and what providers implement.

use crate::wql::Select;
use crate::{CimError, Condition, Instance, ObjectPath, Params, Value, WmiCode};

/// Who is asking, proved by the door it came through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// `domain\name`, or `uid:0` on the local socket.
    pub name: String,
    /// Whether it may do everything.
    pub admin: bool,
    /// The door and the address, such as `wsman 127.0.0.1` or `local socket`.
    pub from: String,
    /// The mark of the password that proved it. Whoever goes on for longer than a request hears nothing more once the
    /// account has another; `None`: no password did.
    pub proof: Option<u64>,
}

/// How much of a listing to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// At most so many instances.
    pub max_elements: usize,
}

/// What to list.
#[derive(Clone, Debug, PartialEq)]
pub struct Enumeration {
    /// Namespace, in canonical form (`root/cimv2/rdms`), and class, in any case.
    pub class: ObjectPath,
    /// Which of its instances; `None`: all.
    pub condition: Option<Condition>,
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
    /// The OUT parameters, also beside a code.
    pub out: Params,
    /// Why it is a code, for people; `None` where it is 0 or nobody said.
    pub reason: Option<String>,
}

/// What somebody wants to be told of.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// Namespace, in canonical form.
    pub namespace: String,
    /// A query whose class is one of events, such as `__InstanceModificationEvent`.
    pub query: Select,
}

/// From when on to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From now on.
    Now,
    /// From the first that is still known.
    Earliest,
    /// From behind a position that was told before.
    After(u64),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// Its position: positions grow, through every restart.
    pub position: u64,
    /// An instance of a class of events.
    pub event: Instance,
}

/// What has happened after a position.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// These, in order.
    Events {
        /// What was asked for; may be nothing.
        events: Vec<Happened>,
        /// Everything up to here is among them.
        read_to: u64,
    },
    /// Nobody can tell: something of it is forgotten.
    Lost,
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

    /// How many instances there are, counted page by page: what comes or goes meanwhile may be counted or not.
    async fn count(&self, who: &Principal, what: &Enumeration) -> Result<u64, CimError> {
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let page = self.enumerate(who, what, after.as_deref(), Limits { max_elements: 1000 }).await?;
            count += page.instances.len() as u64;
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

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

    /// Makes an instance of the class that `class` names. `properties` are those that were given; the others get
    /// their defaults.
    async fn create(
        &self,
        who: &Principal,
        class: &ObjectPath,
        properties: Params,
    ) -> Result<ObjectPath, CimError> {
        let _ = (who, properties);
        Err(not_capable(&class.class, "made"))
    }

    /// Changes an instance, all or nothing. `properties` are those that were given, changed or not; the others stay
    /// as they are. Gives back the instance as it is then.
    async fn put(
        &self,
        who: &Principal,
        path: &ObjectPath,
        properties: Params,
    ) -> Result<Instance, CimError> {
        let _ = (who, properties);
        Err(not_capable(&path.class, "changed"))
    }

    /// Removes an instance.
    async fn delete(&self, who: &Principal, path: &ObjectPath) -> Result<(), CimError> {
        let _ = who;
        Err(not_capable(&path.class, "removed"))
    }

    /// Checks what the caller wants to be told of, and finds the position behind which that begins. `None`: the log
    /// does not reach back to there.
    async fn watch(&self, who: &Principal, what: &Watch, since: Since) -> Result<Option<u64>, CimError> {
        let _ = (who, what, since);
        Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, "nothing here tells of changes"))
    }

    /// What has happened after a position, as far as the caller may see it now: some of it, or nothing up to the end.
    async fn changes(
        &self,
        who: &Principal,
        what: &Watch,
        after: u64,
        limits: Limits,
    ) -> Result<Told, CimError> {
        let _ = (who, what, after, limits);
        Err(CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, "nothing here tells of changes"))
    }

    /// Resolves once something has happened after a position, to whomever, and every few seconds in any case.
    /// Cancel-safe.
    async fn changed(&self, after: u64) {
        let _ = after;
        std::future::pending().await
    }
}

/// The instances of a class cannot be made, changed or removed: whichever `what` says.
pub fn not_capable(class: &str, what: &str) -> CimError {
    let message = format!("instances of {class} cannot be {what} this way");
    CimError::new(WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE, message)
}
