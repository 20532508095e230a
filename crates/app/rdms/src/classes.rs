//! One file a CIM class.

mod audit;
mod collection;
mod collection_properties;
mod deployment_settings;
mod desktop;
mod desktop_assignment;
mod environment;
mod file_type_association;
mod host;
mod jobs;
mod joined_node;
mod machine;
mod management_data;
mod namespace;
mod node;
mod published;
mod published_application;
mod rdsh_collection;
mod rdsh_server;
pub(crate) mod session;
pub(crate) mod session_broker;
mod session_directory;
mod setting;
mod settings;
mod ts_session_setting;
mod ts_vm;
mod user;
mod virtual_desktop;
mod virtual_desktop_collection;
mod virtual_desktop_server;
pub(crate) mod virtual_desktop_session;

use crate::dispatch::SCHEMAS;
use crate::error::MethodError;
use crate::provider::{Call, Provider, no_method};
use openrdms_broker::{Intake, Timestamp};
use openrdms_cim::Value;

/// Every provider there is.
pub(crate) fn all() -> Vec<Box<dyn Provider>> {
    let mut all: Vec<Box<dyn Provider>> = vec![
        Box::new(virtual_desktop_session::VirtualDesktopSession),
        Box::new(virtual_desktop_collection::VirtualDesktopCollection),
        Box::new(collection_properties::CollectionProperties),
        Box::new(virtual_desktop::VirtualDesktop),
        Box::new(desktop_assignment::DesktopAssignment),
        Box::new(deployment_settings::DeploymentSettings),
        Box::new(environment::Environment),
        Box::new(joined_node::Node),
        Box::new(management_data::ManagementData),
        Box::new(published_application::Application),
        Box::new(file_type_association::Association),
        Box::new(rdsh_collection::RdshCollection),
        Box::new(rdsh_server::RdshServer),
        Box::new(session_directory::DirectorySession),
        Box::new(session_directory::DirectoryServer),
        Box::new(session_directory::DirectoryCluster),
        Box::new(session_broker::Farm),
        Box::new(session_broker::Target),
        Box::new(virtual_desktop_server::Server),
        Box::new(virtual_desktop_server::Settings),
        Box::new(ts_session_setting::SessionSetting),
        Box::new(ts_vm::Vm),
        Box::new(session::OpenRdmsSession),
        Box::new(collection::OpenRdmsCollection),
        Box::new(desktop::OpenRdmsDesktop),
        Box::new(host::OpenRdmsHost),
        Box::new(node::OpenRdmsNode),
        Box::new(setting::OpenRdmsSetting),
        Box::new(audit::OpenRdmsAudit),
        Box::new(user::OpenRdmsUser),
    ];
    for (namespace, _) in SCHEMAS {
        all.push(Box::new(namespace::Namespace(namespace)));
    }
    all
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
