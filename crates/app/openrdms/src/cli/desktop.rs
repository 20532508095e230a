//! `openrdms desktop …`

use super::args::DesktopCommand;
use super::output::{Column, Output, text};
use super::{Failure, Remote};

const COLUMNS: &[Column] = &[
    ("DESKTOP", |i| text(i.get("Name"))),
    ("COLLECTION", |i| text(i.get("CollectionAlias"))),
    ("HOST", |i| text(i.get("HostName"))),
    (
        "RUNNING",
        |i| if i.get("Running").as_bool() == Some(true) { "yes".to_owned() } else { "no".to_owned() },
    ),
    ("USER", |i| text(i.get("UserName"))),
];

pub(super) async fn run(command: &DesktopCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let DesktopCommand::List { collection } = command;
    let equals = collection.iter().map(|alias| ("CollectionAlias", alias.as_str())).collect();
    output.list(COLUMNS, &remote.list("OpenRDMS_Desktop", equals).await?)
}
