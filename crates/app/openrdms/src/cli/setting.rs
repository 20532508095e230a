//! `openrdms setting …`: named values of the deployment, of collections and of hosts.

use super::Failure;
use super::args::{Owner, SettingCommand, SettingType};
use super::list;
use super::output::{Column, Output, text};
use super::remote::{KNOWN, OURS, Remote};
use openrdms_cim::{CimError, Instance, ObjectPath, Params, Value, WmiCode};
use serde_json::{Value as Json, json};

const CLASS: &str = "OpenRDMS_Setting";

const COLUMNS: &[Column] = &[
    Column::new("OWNER", &["Owner"]),
    Column::new("NAME", &["Name"]),
    Column::new("TYPE", &["Kind"]),
    Column::made("VALUE", &["Number", "Text", "List"], |i| text(value(i))),
];

/// The value that a setting has, of whichever type.
pub(super) fn value(setting: &Instance) -> &Value {
    let values = ["Number", "Text", "List"].map(|name| setting.get(name));
    values.into_iter().find(|value| !value.is_null()).unwrap_or(&Value::Null)
}

impl Owner {
    /// As `OpenRDMS_Setting` writes it; `None` where nobody is named.
    fn named(&self) -> Option<String> {
        match (&self.collection, &self.host) {
            (Some(alias), _) => Some(format!("collection {alias}")),
            (None, Some(name)) => Some(format!("host {name}")),
            (None, None) => None,
        }
    }

    fn name(&self) -> String {
        self.named().unwrap_or_else(|| "deployment".to_owned())
    }
}

/// The object whose methods read and write the settings of an owner; `None` where that is nobody.
pub(super) fn of(owner: &str) -> Option<ObjectPath> {
    let class = |name: &str| ObjectPath::class(KNOWN, name);
    match owner.split_once(' ') {
        None if owner.eq_ignore_ascii_case("deployment") => Some(class("Win32_RDMSDeploymentSettings")),
        Some((kind, alias)) if kind.eq_ignore_ascii_case("collection") => {
            Some(class("Win32_RDMSVirtualDesktopCollection").with_key("Alias", alias))
        }
        Some((kind, name)) if kind.eq_ignore_ascii_case("host") => {
            Some(class("Win32_RDSHServer").with_key("Name", name))
        }
        None | Some(_) => None,
    }
}

/// The method that writes a value; `None` where the owner's settings are not of that type.
pub(super) fn writing(owner: &ObjectPath, value: &Value) -> Option<&'static str> {
    match value {
        Value::Sint32(_) => Some("SetInt32Property"),
        Value::String(_) => Some("SetStringProperty"),
        Value::Array(_) if owner.keys.is_empty() => Some("SetStringArrayDeploymentSetting"),
        _ => None,
    }
}

pub(super) async fn run(command: &SettingCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    match command {
        SettingCommand::List { owner, watching } => {
            let owner = owner.named();
            let equals = owner.iter().map(|owner| ("Owner", owner.as_str()));
            let look = async || Ok(remote.list(CLASS, equals.clone().collect()));
            list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await
        }
        SettingCommand::Get { name, owner } => {
            let value = read(name, &path(owner)?, remote).await?;
            output.done(&text(&value), &[("Name", json!(name)), ("Value", as_json(&value))])
        }
        SettingCommand::Set { name, values, ty, owner } => {
            let (path, value) = (path(owner)?, typed(values, *ty)?);
            let method = writing(&path, &value)
                .ok_or_else(|| Failure::usage("only the deployment has settings that are lists"))?;
            let params = Params::default().with("Key", name.as_str()).with("Value", value.clone());
            remote.invoke(&path, method, params, &[]).await?;
            output.done(
                &format!("{name} of {} is {}", owner.name(), text(&value)),
                &[("Name", json!(name)), ("Value", as_json(&value)), ("Result", json!("set"))],
            )
        }
        SettingCommand::Unset { name, owner } => {
            let path = ObjectPath::class(OURS, CLASS).with_key("Owner", owner.name());
            remote.delete(&path.with_key("Name", name.as_str())).await?;
            let sentence = format!("{name} of {} is removed", owner.name());
            output.done(&sentence, &[("Name", json!(name)), ("Result", json!("removed"))])
        }
    }
}

fn path(owner: &Owner) -> Result<ObjectPath, Failure> {
    of(&owner.name()).ok_or_else(|| Failure::usage("there is no such owner of settings"))
}

/// A setting, whichever type it is of: the methods tell only the one that they are for.
async fn read(name: &str, path: &ObjectPath, remote: &Remote) -> Result<Value, Failure> {
    let methods = ["GetStringProperty", "GetInt32Property", "GetStringArrayDeploymentSetting"];
    let methods = if path.keys.is_empty() { &methods[..] } else { &methods[..2] };
    let params = Params::default().with("Key", name);
    for method in methods {
        let result = remote.invoke_any(path, method, &params, &[]).await?;
        match result.return_value {
            Value::Uint32(0) => return Ok(result.out.get("Value").clone()),
            Value::Uint32(code) if WmiCode(code) == WmiCode::WBEM_E_TYPE_MISMATCH => {}
            Value::Uint32(code) => {
                return Err(CimError::new(WmiCode(code), format!("there is no setting '{name}'")).into());
            }
            _ => break,
        }
    }
    Err(Failure::failed(format!("'{name}' is of a type that cannot be read")))
}

fn typed(values: &[String], ty: SettingType) -> Result<Value, Failure> {
    match (ty, values) {
        (SettingType::List, values) => {
            Ok(Value::Array(values.iter().map(|v| Value::from(v.as_str())).collect()))
        }
        (SettingType::Text, [one]) => Ok(Value::from(one.as_str())),
        (SettingType::Number, [one]) => one
            .parse()
            .map(Value::Sint32)
            .map_err(|_| Failure::usage(format!("'{one}' is not a whole number of 32 bits"))),
        (SettingType::Text | SettingType::Number, _) => {
            Err(Failure::usage("one value, or --type list for several"))
        }
    }
}

fn as_json(value: &Value) -> Json {
    match value {
        Value::Sint32(number) => json!(number),
        Value::String(text) => json!(text),
        Value::Array(items) => Json::Array(items.iter().map(as_json).collect()),
        _ => Json::Null,
    }
}
