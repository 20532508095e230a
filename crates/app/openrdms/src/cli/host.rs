//! `openrdms host …`

use super::Failure;
use super::args::{HostCommand, MachineArgs};
use super::list;
use super::output::{Column, Output, confirm, text};
use super::remote::{KNOWN, OURS, Remote};
use openrdms_cim::{ObjectPath, Params, Value};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Host";

const COLUMNS: &[Column] = &[
    Column::new("HOST", &["Name"]),
    Column::new("KIND", &["Kind"]),
    Column::new("STATE", &["State"]).coloured(),
    Column::new("SESSIONS", &["Sessions"]),
    Column::new("DESKTOPS", &["Desktops"]),
    Column::new("COLLECTION", &["CollectionAlias"]),
    Column::new("ADDRESS", &["Address"]),
    Column::new("LIMIT", &["SessionLimit"]).wide(),
    Column::new("WEIGHT", &["RelativeWeight"]).wide(),
    Column::new("LOGON", &["Logon"]).wide(),
    Column::new("LEASE UNTIL", &["LeaseUntil"]).wide(),
    Column::new("BOOT", &["BootId"]).wide(),
    Column::new("VERSION", &["Version"]),
];

pub(super) async fn run(command: &HostCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let class = ObjectPath::class(OURS, CLASS);
    let path = |name: &str| class.clone().with_key("Name", name);
    let (name, said, result) = match command {
        HostCommand::List(watching) => {
            let look = async || Ok(remote.list(CLASS, Vec::new()));
            return list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await;
        }
        HostCommand::Add { name, machine } => {
            remote.create(&class, &properties(machine).with("Name", name.as_str())).await?;
            let pin = remote.get(&path(name)).await?.get("CertificateSha256").text().unwrap_or_default();
            (name, format!("added; it has to show the certificate with the SHA-256 {pin}"), "added")
        }
        HostCommand::Change { name, machine, no_collection, force } => {
            let given = properties(machine);
            let given = if *no_collection { given.with("CollectionAlias", Value::Null) } else { given };
            if given.0.is_empty() {
                return Err(Failure::usage("say what is to change: see --help".to_owned()));
            }
            if let Some(owner) = left(remote, name, &given).await? {
                confirm(&format!("Move host {name}? It is no longer the desktop of {owner} then."), *force)?;
            }
            remote.put(&path(name), &given).await?;
            (name, "changed".to_owned(), "changed")
        }
        HostCommand::Remove { name, force } => {
            confirm(&format!("Remove host {name}? Users are led there no longer."), *force)?;
            remote.delete(&path(name)).await?;
            (name, "removed".to_owned(), "removed")
        }
        HostCommand::Drain { name } => {
            remote.invoke(&path(name), "Drain", Params::default(), &[]).await?;
            (name, "takes no new sessions; those it has stay".to_owned(), "drained")
        }
        HostCommand::Undrain { name } => {
            remote.invoke(&path(name), "Undrain", Params::default(), &[]).await?;
            (name, "takes new sessions".to_owned(), "open")
        }
    };
    output.done(&format!("host {name} {said}"), &[("Name", json!(name)), ("Result", json!(result))])
}

/// Who owns the desktop of a machine, and will not, as it leaves its collection.
async fn left(remote: &Remote, name: &str, given: &Params) -> Result<Option<String>, Failure> {
    let Some((_, collection)) = given.0.iter().find(|(name, _)| name == "CollectionAlias") else {
        return Ok(None);
    };
    let owned = remote.list_in(KNOWN, "Win32_RDMSDesktopAssignment", vec![("DesktopName", name)]);
    let owned = owned.all().await?.into_iter().find(|row| !row.get("CollectionAlias").same(collection));
    Ok(owned.map(|row| format!("{}\\{}", text(row.get("UserDomain")), text(row.get("UserName")))))
}

/// What is said of a machine, as properties of the class.
fn properties(machine: &MachineArgs) -> Params {
    let MachineArgs { address, pin, collection, logon, session_limit, weight } = machine;
    let texts =
        [("Address", address), ("CertificateSha256", pin), ("CollectionAlias", collection), ("Logon", logon)];
    let numbers = [("SessionLimit", session_limit), ("RelativeWeight", weight)];
    let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Value::from(text.as_deref()?))));
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, Value::from((*number)?))));
    texts.chain(numbers).fold(Params::default(), |params, (name, value)| params.with(name, value))
}
