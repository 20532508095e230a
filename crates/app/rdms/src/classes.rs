//! One file a CIM class.

mod collection;
mod desktop;
mod host;
mod node;
mod session;
mod user;
mod virtual_desktop_session;

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
        Box::new(user::OpenRdmsUser),
    ]
}
