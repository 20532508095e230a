//! `openrdms desktop …`

use super::Failure;
use super::args::DesktopCommand;
use super::list;
use super::output::{Column, Output, confirm};
use super::remote::{OURS, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Desktop";

const COLUMNS: &[Column] = &[
    Column::new("DESKTOP", &["Name"]),
    Column::new("COLLECTION", &["CollectionAlias"]),
    Column::new("HOST", &["HostName"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::new("USER", &["UserName"]),
    Column::new("OWNER", &["Owner"]),
    Column::new("CERTIFICATE", &["CertificateSha256"]).wide(),
];

pub(super) async fn run(command: &DesktopCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let none = Params::default;
    let (name, method, params, result) = match command {
        DesktopCommand::List { collection, host, watching } => {
            let equals = [("CollectionAlias", collection), ("HostName", host)];
            let equals = equals.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
            let look = async || Ok(remote.list(CLASS, equals.clone().collect()));
            return list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await;
        }
        DesktopCommand::Start { name } => (name, "Start", none(), "on"),
        DesktopCommand::Pause { name } => (name, "Pause", none(), "paused"),
        DesktopCommand::Stop { name, force } => {
            confirm(&format!("Stop the desktop {name}? Whoever is logged on is logged off."), *force)?;
            (name, "Stop", none(), "off")
        }
        DesktopCommand::Assign { name, user } => {
            (name, "Assign", none().with("UserName", user.as_str()), "assigned")
        }
        DesktopCommand::Unassign { name } => (name, "Unassign", none(), "nobody's"),
    };
    let path = ObjectPath::class(OURS, CLASS).with_key("Name", name.as_str());
    remote.invoke(&path, method, params, &[]).await?;
    output.done(&format!("desktop {name} is {result}"), &[("Name", json!(name)), ("Result", json!(result))])
}
