//! `openrdms host …`

use super::Failure;
use super::args::HostCommand;
use super::list;
use super::output::{Column, Output};
use super::remote::{OURS, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Host";

const COLUMNS: &[Column] = &[
    Column::new("HOST", &["Name"]),
    Column::new("KIND", &["Kind"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::new("SESSIONS", &["Sessions"]),
    Column::new("DESKTOPS", &["Desktops"]),
    Column::new("LEASE UNTIL", &["LeaseUntil"]).wide(),
    Column::new("BOOT", &["BootId"]).wide(),
    Column::new("VERSION", &["Version"]),
];

pub(super) async fn run(command: &HostCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (name, method, result) = match command {
        HostCommand::List(watching) => {
            let look = async || Ok(remote.list(CLASS, Vec::new()));
            return list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await;
        }
        HostCommand::Drain { name } => (name, "Drain", "drained"),
        HostCommand::Undrain { name } => (name, "Undrain", "open"),
    };
    let path = ObjectPath::class(OURS, CLASS).with_key("Name", name.as_str());
    remote.invoke(&path, method, Params::default(), &[]).await?;
    let sentence = match command {
        HostCommand::Drain { .. } => format!("host {name} takes no new sessions; those it has stay"),
        HostCommand::Undrain { .. } | HostCommand::List(_) => format!("host {name} takes new sessions"),
    };
    output.done(&sentence, &[("Name", json!(name)), ("Result", json!(result))])
}
