//! The ports: what the broker needs from the store and from hosts, and what it offers to the relay.
//! Adapters live in `crates/edge`; they know these traits and not each other.

pub mod front;
pub mod host;
pub mod store;

pub use front::{Admission, AttachRequest, Attached, Attachment, Front, KillSwitch, Refusal, Told};
pub use host::{Home, Host, HostError, LogonEnd, Machines, Prepared, Standing, StartDesktop};
pub use store::{
    Assignments, AuditCursor, AuditEntry, DocumentRow, Documents, Existing, Page, Roomy, SessionCursor,
    SessionFilter, Settings, Store, StoreError,
};
