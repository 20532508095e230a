//! The heart of OpenRDMS: what a collection, a desktop, a session and an account are, how a session
//! moves, and the ports through which the outside is reached.
//!
//! This crate does no I/O, reads no clock and draws no random numbers: `now` and fresh ids are arguments.
//! It speaks no protocol. It must never grow a dependency on a runtime.

pub mod account;
pub mod audit;
pub mod change;
pub mod client;
pub mod collection;
pub mod desktop;
pub mod document;
pub mod event;
pub mod ids;
pub mod job;
pub mod lease;
pub mod limits;
pub mod machine;
pub mod ports;
pub mod sddl;
pub mod session;
pub mod setting;
pub mod time;

pub use account::{Account, AccountChange, Credentials, Role};
pub use audit::{AuditRecord, Outcome};
pub use client::{ClientFacts, Password, Route};
pub use collection::{Collection, CollectionChange, CollectionKind};
pub use desktop::{Assignment, Desktop, DesktopHandle, Endpoint};
pub use event::{EventKind, OperatorEvent};
pub use ids::{CollectionAlias, ConnectionId, DesktopName, HostName, IdError, NodeId, SessionUid, UserName};
pub use lease::{Intake, KnownHost, KnownNode, Lease};
pub use limits::{Limit, LimitAction, Limits};
pub use machine::{Address, Machine, MachineLogon, MachineStart};
pub use sddl::{SddlError, SecurityDescriptor};
pub use session::reconnect::{Arrival, Cookie, CookieProof};
pub use session::{Session, State};
pub use setting::{Compared, Setting, SettingOwner, SettingValue};
pub use time::Timestamp;
