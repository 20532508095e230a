//! `openrdms assignment …`

use super::Failure;
use super::args::AssignmentCommand;
use super::list;
use super::output::{Column, Output};
use super::remote::{KNOWN, Remote};

const CLASS: &str = "Win32_RDMSDesktopAssignment";

const COLUMNS: &[Column] = &[
    Column::new("COLLECTION", &["CollectionAlias"]),
    Column::new("DESKTOP", &["DesktopName"]),
    Column::new("USER", &["UserName"]),
    Column::new("DOMAIN", &["UserDomain"]),
];

pub(super) async fn run(
    command: &AssignmentCommand,
    remote: &Remote,
    output: &Output,
) -> Result<(), Failure> {
    let AssignmentCommand::List { collection, user, watching } = command;
    let user = user.as_deref();
    let (domain, name) = match user.and_then(|user| user.split_once('\\')) {
        Some((domain, name)) => (Some(domain), Some(name)),
        None => (None, user),
    };
    let equals = [("CollectionAlias", collection.as_deref()), ("UserDomain", domain), ("UserName", name)];
    let equals = equals.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let look = async || Ok(remote.list_in(KNOWN, CLASS, equals.clone().collect()));
    list::run(output, COLUMNS, remote.known(KNOWN, CLASS), *watching, look).await
}
