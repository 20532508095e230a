//! One file a CIM class.

mod audit;
mod collection;
mod desktop;
mod host;
mod node;
pub(crate) mod session;
mod user;
pub(crate) mod virtual_desktop_session;

use crate::error::MethodError;
use crate::provider::{Call, Provider, no_method};
use openrdms_broker::{Intake, Timestamp};
use openrdms_cim::Value;

/// Every provider there is.
pub(crate) fn all() -> Vec<Box<dyn Provider>> {
    vec![
        Box::new(virtual_desktop_session::VirtualDesktopSession),
        Box::new(session::OpenRdmsSession),
        Box::new(collection::OpenRdmsCollection),
        Box::new(desktop::OpenRdmsDesktop),
        Box::new(host::OpenRdmsHost),
        Box::new(node::OpenRdmsNode),
        Box::new(audit::OpenRdmsAudit),
        Box::new(user::OpenRdmsUser),
    ]
}

/// A point in time as CIM carries it: in microseconds, UTC.
fn datetime(at: Timestamp) -> Value {
    Value::utc(at.0.saturating_mul(1000))
}

/// What `Drain` and `Undrain` of a host or a node ask for.
fn intake(call: &Call<'_>) -> Result<Intake, MethodError> {
    match call.method {
        "Drain" => Ok(Intake::Drained),
        "Undrain" => Ok(Intake::Open),
        _ => Err(no_method(call)),
    }
}
