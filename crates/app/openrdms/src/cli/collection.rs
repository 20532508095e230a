//! `openrdms collection …`

use super::args::CollectionCommand;
use super::output::{Column, Output, confirm, text};
use super::{Failure, Remote};
use openrdms_cim::{ObjectPath, Params, Value};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Collection";

const COLUMNS: &[Column] = &[
    ("ALIAS", |i| text(i.get("Alias"))),
    ("NAME", |i| text(i.get("DisplayName"))),
    ("DESKTOPS", |i| text(i.get("Size"))),
    ("SESSIONS", |i| text(i.get("SessionCount"))),
    ("USERS", |i| if i.get("Users").is_null() { "everybody".to_owned() } else { text(i.get("Users")) }),
];

pub(super) async fn run(
    command: &CollectionCommand,
    remote: &Remote,
    output: &Output,
) -> Result<(), Failure> {
    let class = ObjectPath::class("root/openrdms", CLASS);
    match command {
        CollectionCommand::List => output.list(COLUMNS, &remote.list(CLASS, Vec::new()).await?),
        CollectionCommand::Show { alias } => {
            output.show(&remote.get(&class.with_key("Alias", alias.as_str())).await?)
        }
        CollectionCommand::Create { alias, size, name, users } => {
            let users = match users.as_slice() {
                [] => Value::Null,
                names => Value::Array(names.iter().map(|name| Value::from(name.as_str())).collect()),
            };
            let params = Params::default()
                .with("Alias", alias.as_str())
                .with("DisplayName", name.as_deref().unwrap_or(alias))
                .with("Size", *size)
                .with("Users", users);
            remote.invoke(&class, "CreateCollection", params, &[]).await?;
            let sentence = format!("collection {alias} with {size} desktop(s) is ready");
            output.done(&sentence, &[("Alias", json!(alias)), ("Result", json!("created"))])
        }
        CollectionCommand::Delete { alias, force } => {
            confirm(&format!("Delete the collection {alias} and its desktops? Homes are kept."), *force)?;
            let path = class.with_key("Alias", alias.as_str());
            remote.invoke(&path, "DeleteCollection", Params::default(), &[]).await?;
            output.done(
                &format!("collection {alias} is deleted"),
                &[("Alias", json!(alias)), ("Result", json!("deleted"))],
            )
        }
    }
}
