//! `openrdms node …`

use super::Failure;
use super::args::NodeCommand;
use super::list;
use super::output::{Column, Output};
use super::remote::{OURS, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Node";

const COLUMNS: &[Column] = &[
    Column::new("NODE", &["Id"]),
    Column::new("HOST", &["HostName"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::new("LEASE UNTIL", &["LeaseUntil"]).wide(),
    Column::new("VERSION", &["Version"]),
];

pub(super) async fn run(command: &NodeCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (id, method, result) = match command {
        NodeCommand::List(watching) => {
            let look = async || Ok(remote.list(CLASS, Vec::new()));
            return list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await;
        }
        NodeCommand::Drain { id } => (id, "Drain", "drained"),
        NodeCommand::Undrain { id } => (id, "Undrain", "open"),
    };
    let path = ObjectPath::class(OURS, CLASS).with_key("Id", id.as_str());
    remote.invoke(&path, method, Params::default(), &[]).await?;
    let sentence = match command {
        NodeCommand::Drain { .. } => format!("node {id} begins no new sessions; those that are there stay"),
        NodeCommand::Undrain { .. } | NodeCommand::List(_) => format!("node {id} begins new sessions"),
    };
    output.done(&sentence, &[("Id", json!(id)), ("Result", json!(result))])
}
