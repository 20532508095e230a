//! One file a CIM class.

mod audit;
mod collection;
mod desktop;
mod host;
mod node;
pub(crate) mod session;
mod user;
pub(crate) mod virtual_desktop_session;

use crate::provider::Provider;

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
