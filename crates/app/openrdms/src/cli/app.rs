//! `openrdms app …`: applications that collections offer. What is offered is served at once.

use super::Failure;
use super::args::{App, AppCommand};
use super::list;
use super::output::{Column, Output, confirm};
use super::remote::{KNOWN, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;

const CLASS: &str = "Win32_RDMSPublishedApplication";

/// How a command ends where there is no such object.
const NOT_FOUND: u8 = 3;

const COLUMNS: &[Column] = &[
    Column::new("COLLECTION", &["PoolName"]),
    Column::new("APP", &["AppAlias"]),
    Column::new("NAME", &["DisplayName"]),
    Column::new("FOLDER", &["Folder"]),
    Column::new("ARGUMENTS", &["RequiredCommandLine"]).wide(),
    Column::new("SHOWN", &["ShowInPortal"]).wide(),
    Column::new("PROGRAM", &["AppPath"]),
];

fn path(app: &App) -> ObjectPath {
    ObjectPath::class(KNOWN, CLASS)
        .with_key("AppAlias", app.alias.as_str())
        .with_key("PoolName", app.collection.as_str())
}

pub(super) async fn run(command: &AppCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let (app, said, result) = match command {
        AppCommand::List { collection, watching } => {
            let equals = collection.iter().map(|alias| ("PoolName", alias.as_str()));
            let look = async || Ok(remote.list_in(KNOWN, CLASS, equals.clone().collect()));
            return list::run(output, COLUMNS, remote.known(KNOWN, CLASS), *watching, look).await;
        }
        AppCommand::Show { app } => {
            return output.show(&remote.get(&path(app)).await?, remote.known(KNOWN, CLASS));
        }
        AppCommand::Publish { app, path: program, name, folder, arguments } => {
            let given = [
                ("AppPath", program),
                ("DisplayName", name),
                ("Folder", folder),
                ("RequiredCommandLine", arguments),
            ];
            let given = given
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_deref()?)))
                .fold(Params::default(), |params, (name, value)| params.with(name, value));
            // always started with these: what a client says is replaced
            let given = if arguments.is_some() { given.with("CommandLineSetting", 2u32) } else { given };
            publish(app, given, remote).await?;
            (app, "is offered", "published")
        }
        AppCommand::Withdraw { app, force } => {
            confirm(&format!("Offer {} of {} no longer?", app.alias, app.collection), *force)?;
            remote.delete(&path(app)).await?;
            (app, "is offered no longer", "withdrawn")
        }
    };
    let data = ObjectPath::class(KNOWN, "Win32_RDMSManagementData");
    let context = Params::default().with("Context", app.collection.as_str());
    remote.invoke(&data, "SynchronizePublishingData", context, &[]).await?;
    output.done(
        &format!("{} of {} {said}", app.alias, app.collection),
        &[("PoolName", json!(app.collection)), ("AppAlias", json!(app.alias)), ("Result", json!(result))],
    )
}

/// Makes an application, or changes the one that is there.
async fn publish(app: &App, given: Params, remote: &Remote) -> Result<(), Failure> {
    match remote.get(&path(app)).await {
        Ok(_) if given.0.is_empty() => Ok(()),
        Ok(_) => remote.put(&path(app), &given).await,
        Err(failure) if failure.exit == NOT_FOUND => {
            if given.get("AppPath").is_null() {
                return Err(Failure::usage(format!("{} is new: say which program, --path PATH", app.alias)));
            }
            let keyed = given.with("AppAlias", app.alias.as_str()).with("PoolName", app.collection.as_str());
            remote.create(&ObjectPath::class(KNOWN, CLASS), &keyed).await
        }
        Err(failure) => Err(failure),
    }
}
