//! `openrdms host …`

use super::args::HostCommand;
use super::output::{Column, Output, text};
use super::{Failure, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Host";

const COLUMNS: &[Column] = &[
    ("HOST", |i| text(i.get("Name"))),
    ("KIND", |i| text(i.get("Kind"))),
    ("STATE", |i| text(i.get("State"))),
    ("SESSIONS", |i| text(i.get("Sessions"))),
    ("DESKTOPS", |i| text(i.get("Desktops"))),
    ("VERSION", |i| text(i.get("Version"))),
];

pub(super) async fn run(command: &HostCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (name, method, result) = match command {
        HostCommand::List => return output.list(COLUMNS, &remote.list(CLASS, Vec::new()).await?),
        HostCommand::Drain { name } => (name, "Drain", "drained"),
        HostCommand::Undrain { name } => (name, "Undrain", "open"),
    };
    let path = ObjectPath::class("root/openrdms", CLASS).with_key("Name", name.as_str());
    remote.invoke(&path, method, Params::default(), &[]).await?;
    let sentence = match command {
        HostCommand::Drain { .. } => format!("host {name} takes no new sessions; those it has stay"),
        HostCommand::Undrain { .. } | HostCommand::List => format!("host {name} takes new sessions"),
    };
    output.done(&sentence, &[("Name", json!(name)), ("Result", json!(result))])
}
