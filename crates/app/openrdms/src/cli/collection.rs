//! `openrdms collection …`

use super::Failure;
use super::args::{CollectionCommand, KindArg, LimitActionArg, LimitArgs};
use super::list;
use super::output::{Column, Output, confirm, duration, text};
use super::remote::{OURS, Remote};
use openrdms_cim::{Instance, ObjectPath, Params, Value};
use serde_json::json;

const CLASS: &str = "OpenRDMS_Collection";

const COLUMNS: &[Column] = &[
    Column::new("ALIAS", &["Alias"]),
    Column::new("NAME", &["DisplayName"]),
    Column::new("KIND", &["Kind"]),
    Column::new("DESKTOPS", &["Size"]),
    Column::new("SESSIONS", &["SessionCount"]),
    Column::new("CREATED", &["Created"]).wide(),
    Column::made("IDLE LIMIT", &["IdleLimitSeconds"], |i| time(i, "IdleLimitSeconds")).wide(),
    Column::made("ACTIVE LIMIT", &["ActiveLimitSeconds"], |i| time(i, "ActiveLimitSeconds")).wide(),
    Column::made("DISCONNECTED LIMIT", &["DisconnectedLimitSeconds"], |i| {
        time(i, "DisconnectedLimitSeconds")
    })
    .wide(),
    Column::made("USERS", &["Users"], |i| {
        if i.get("Users").is_null() { "everybody".to_owned() } else { text(i.get("Users")) }
    }),
];

const LIMITS: &[Column] = &[
    Column::made("IDLE", &["IdleLimitSeconds"], |i| time(i, "IdleLimitSeconds")),
    Column::made("ACTIVE", &["ActiveLimitSeconds"], |i| time(i, "ActiveLimitSeconds")),
    Column::made("DISCONNECTED", &["DisconnectedLimitSeconds"], |i| time(i, "DisconnectedLimitSeconds")),
    Column::new("ACTION", &["LimitAction"]),
    Column::made("WARNING", &["LimitWarningSeconds"], |i| time(i, "LimitWarningSeconds")),
];

fn time(collection: &Instance, property: &str) -> String {
    match collection.get(property).as_int().and_then(|n| u64::try_from(n).ok()) {
        Some(0) => "never".to_owned(),
        Some(seconds) => duration(seconds),
        None => "-".to_owned(),
    }
}

impl LimitArgs {
    /// What was given, as the methods take it.
    fn add_to(&self, params: Params) -> Params {
        let action = self.limit_action.map(|action| match action {
            LimitActionArg::Disconnect => "Disconnect",
            LimitActionArg::Logoff => "Logoff",
        });
        [
            ("IdleLimitSeconds", self.idle_limit.map(Value::from)),
            ("ActiveLimitSeconds", self.active_limit.map(Value::from)),
            ("DisconnectedLimitSeconds", self.disconnected_limit.map(Value::from)),
            ("LimitAction", action.map(Value::from)),
            ("LimitWarningSeconds", self.limit_warning.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(params, |params, (name, value)| params.with(name, value))
    }
}

impl KindArg {
    fn name(self) -> &'static str {
        match self {
            Self::Pooled => "Pooled",
            Self::Personal => "Personal",
            Self::AutoPersonal => "AutoPersonal",
        }
    }
}

/// Who may use a collection; where nobody is named, everybody.
fn listed(users: &[String]) -> Value {
    match users {
        [] => Value::Null,
        names => Value::Array(names.iter().map(|name| Value::from(name.as_str())).collect()),
    }
}

pub(super) async fn run(
    command: &CollectionCommand,
    remote: &Remote,
    output: &Output,
) -> Result<(), Failure> {
    let class = ObjectPath::class(OURS, CLASS);
    match command {
        CollectionCommand::List(watching) => {
            let look = async || Ok(remote.list(CLASS, Vec::new()));
            list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await
        }
        CollectionCommand::Show { alias } => {
            let path = class.with_key("Alias", alias.as_str());
            output.show(&remote.get(&path).await?, remote.class(CLASS))
        }
        CollectionCommand::Create { alias, size, name, users, kind, rollback, limits } => {
            let params = Params::default()
                .with("Alias", alias.as_str())
                .with("DisplayName", name.as_deref().unwrap_or(alias))
                .with("Size", *size)
                .with("Users", listed(users))
                .with("Kind", kind.name())
                .with("Rollback", *rollback);
            let params = limits.add_to(params);
            remote.invoke(&class, "CreateCollection", params, &[]).await?;
            let sentence = format!("collection {alias} with {size} desktop(s) is ready");
            output.done(&sentence, &[("Alias", json!(alias)), ("Result", json!("created"))])
        }
        CollectionCommand::Add { alias, desktop } => {
            let path = class.with_key("Alias", alias.as_str());
            let name = Params::default().with("Name", desktop.as_str());
            remote.invoke(&path, "AddDesktop", name, &[]).await?;
            output.done(
                &format!("collection {alias} has a desktop {desktop}"),
                &[("Alias", json!(alias)), ("Name", json!(desktop)), ("Result", json!("added"))],
            )
        }
        CollectionCommand::Remove { alias, desktop, force } => {
            confirm(&format!("Remove the desktop {desktop} from {alias}? Homes are kept."), *force)?;
            let path = class.with_key("Alias", alias.as_str());
            let name = Params::default().with("Name", desktop.as_str());
            remote.invoke(&path, "RemoveDesktop", name, &[]).await?;
            output.done(
                &format!("desktop {desktop} is removed"),
                &[("Alias", json!(alias)), ("Name", json!(desktop)), ("Result", json!("removed"))],
            )
        }
        CollectionCommand::Limits { alias, limits } => {
            let path = class.with_key("Alias", alias.as_str());
            let params = limits.add_to(Params::default());
            if !params.0.is_empty() {
                remote.invoke(&path, "SetLimits", params, &[]).await?;
            }
            output.all(LIMITS, remote.class(CLASS), &[remote.get(&path).await?])
        }
        CollectionCommand::Change { alias, users, everybody: _ } => {
            let path = class.with_key("Alias", alias.as_str());
            remote.put(&path, &Params::default().with("Users", listed(users))).await?;
            let whom = if users.is_empty() { "everybody".to_owned() } else { users.join(", ") };
            output.done(
                &format!("collection {alias} is for {whom}"),
                &[("Alias", json!(alias)), ("Result", json!("changed"))],
            )
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
