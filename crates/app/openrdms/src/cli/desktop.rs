//! `openrdms desktop …`

use super::Failure;
use super::args::DesktopCommand;
use super::output::{Column, Output};
use super::remote::Remote;

const CLASS: &str = "OpenRDMS_Desktop";

const COLUMNS: &[Column] = &[
    Column::new("DESKTOP", &["Name"]),
    Column::new("COLLECTION", &["CollectionAlias"]),
    Column::new("HOST", &["HostName"]),
    Column::made("RUNNING", &["Running"], |i| {
        if i.get("Running").as_bool() == Some(true) { "yes".to_owned() } else { "no".to_owned() }
    }),
    Column::new("USER", &["UserName"]),
    Column::new("CERTIFICATE", &["CertificateSha256"]).wide(),
];

pub(super) async fn run(command: &DesktopCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let DesktopCommand::List { collection, host } = command;
    let equals = [("CollectionAlias", collection), ("HostName", host)];
    let equals = equals.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect();
    output.list(COLUMNS, remote.class(CLASS), remote.list(CLASS, equals)).await
}
