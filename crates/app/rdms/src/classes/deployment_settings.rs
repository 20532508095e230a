//! `Win32_RDMSDeploymentSettings`: settings of the whole deployment. It has methods only, all static.
//!
//! `Key` names a setting; the documentation calls it a collection's alias, as in a page copied from another.
//! `SetBaseVHDPath` sets, though both of its pages say that it retrieves: its only parameter goes in.
//!
//! How the store is connected to is never told, because a connection string may hold a password: null says, as scripts
//! take it, that there is no database server.

use super::settings::{self, other_type};
use crate::error::MethodError;
use crate::provider::{Call, Context, Provider, admin_only};
use openrdms_broker::{HostName, Setting, SettingOwner, SettingValue};
use openrdms_cim::{CimError, Value, WmiCode};
use openrdms_engine::EngineError;

pub(crate) struct DeploymentSettings;

/// The setting behind the name that clients know the deployment by.
pub(crate) const CLIENT_ACCESS_NAME: &str = "DeploymentRedirectorServer";
/// Settings of how the store is connected to: read as null, never written.
const CONNECTIONS: [&str; 2] = ["DatabaseConnectionString", "DatabaseSecondaryConnectionString"];
/// Longest path, in characters.
const LONGEST_PATH: usize = 4096;
/// Most texts of a list, and most characters of all of them.
const MOST_TEXTS: usize = 1000;
const LONGEST_LIST: usize = 32_768;

/// A directory with methods of its own, and the setting that it is.
const PATHS: [&str; 4] = ["BaseVHDPath", "DiffVHDPath", "ExportPath", SHARE];
/// The one of them that is a share.
const SHARE: &str = "SMBPath";

#[async_trait::async_trait]
impl Provider for DeploymentSettings {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSDeploymentSettings")
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let owner = SettingOwner::Deployment;
        call.audit.target = owner.to_string();
        if let Some((verb, name)) = path_method(call.method) {
            return match verb {
                Verb::Get => answer(call, "DirectoryPath", text_of(cx, name).await?.into()),
                Verb::Set => set_text(cx, call, name, "DirectoryPath").await,
            };
        }
        match call.method {
            "GetConnectionString" => answer(call, "ConnectionString", Value::Null),
            "GetSecondaryConnectionString" => answer(call, "SecondaryConnectionString", Value::Null),
            "SetConnectionString" | "SetSecondaryConnectionString" => Err(set_in_the_file()),
            "SetStringProperty" => {
                let name = settings::name(call)?;
                set_text(cx, call, &name, "Value").await
            }
            "SetInt32Property" => {
                let name = settings::name(call)?;
                refuse_other_type(&name)?;
                settings::invoke(cx, call, &owner).await
            }
            "GetStringProperty" => {
                let name = settings::name(call)?;
                match rule_of(&name) {
                    // known, and so not missing where it is not set
                    Rule::Elsewhere => answer(call, "Value", Value::Null),
                    Rule::Name | Rule::Path => answer(call, "Value", text_of(cx, &name).await?.into()),
                    Rule::Free => settings::invoke(cx, call, &owner).await,
                }
            }
            "GetStringArrayDeploymentSetting" => {
                let name = settings::name(call)?;
                match settings::find(cx, &owner, &name).await? {
                    SettingValue::List(texts) => answer(call, "Value", texts.into()),
                    SettingValue::Int(_) | SettingValue::Text(_) => Err(other_type(&name, "a list")),
                }
            }
            "SetStringArrayDeploymentSetting" => {
                let name = settings::name(call)?;
                refuse_other_type(&name)?;
                let texts = list(call)?;
                settings::set(cx, &owner, name, SettingValue::List(texts)).await
            }
            "RemoveDeploymentSetting" => {
                let name = settings::name(call)?;
                if let Rule::Elsewhere = rule_of(&name) {
                    return Err(set_in_the_file());
                }
                // says that there is none, where that is so
                settings::find(cx, &owner, &name).await?;
                Ok(cx.engine.store().remove_setting(&owner, &name).await?)
            }
            _ => settings::invoke(cx, call, &owner).await,
        }
    }
}

enum Verb {
    Get,
    Set,
}

/// What may be written into a setting.
enum Rule {
    /// A name of DNS.
    Name,
    /// The path of a directory, or of a share.
    Path,
    /// Nothing: it stands in the configuration.
    Elsewhere,
    /// Anything: it means something to who wrote it.
    Free,
}

fn rule_of(name: &str) -> Rule {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    if is(&CLIENT_ACCESS_NAME) {
        Rule::Name
    } else if PATHS.iter().any(is) {
        Rule::Path
    } else if CONNECTIONS.iter().any(is) {
        Rule::Elsewhere
    } else {
        Rule::Free
    }
}

fn path_method(method: &str) -> Option<(Verb, &'static str)> {
    let named = |name: &str| PATHS.into_iter().find(|path| *path == name);
    if let Some(name) = method.strip_prefix("Get").and_then(named) {
        return Some((Verb::Get, name));
    }
    method.strip_prefix("Set").and_then(named).map(|name| (Verb::Set, name))
}

/// A setting that is a text wherever it is set.
pub(crate) async fn text_of(cx: &Context, name: &str) -> Result<Option<String>, MethodError> {
    match cx.engine.store().setting(&SettingOwner::Deployment, name).await? {
        Some(SettingValue::Text(text)) => Ok(Some(text)),
        Some(SettingValue::Int(_) | SettingValue::List(_)) | None => Ok(None),
    }
}

/// Writes a setting that is a text, checked by its rule.
pub(crate) async fn set_text(
    cx: &Context,
    call: &mut Call<'_>,
    name: &str,
    parameter: &str,
) -> Result<(), MethodError> {
    let text = settings::text(call, parameter)?;
    let wrong = |what: &str| MethodError::from(EngineError::Invalid(format!("{name} is {what}")));
    match rule_of(name) {
        Rule::Elsewhere => return Err(set_in_the_file()),
        Rule::Name if HostName::new(&text).is_err() => return Err(wrong("a name of DNS")),
        Rule::Path if name.eq_ignore_ascii_case(SHARE) && !is_share(&text) => {
            return Err(wrong(r"a share: \\server\share"));
        }
        Rule::Path if !is_directory(&text) => return Err(wrong("the absolute path of a directory")),
        // neither of them is a secret
        Rule::Name | Rule::Path => call.audit.detail = format!("{name}: {text}"),
        Rule::Free => {}
    }
    let setting = Setting { name: name.to_owned(), value: SettingValue::Text(text) };
    settings::set(cx, &SettingOwner::Deployment, setting.name, setting.value).await
}

/// Those that are checked are texts.
fn refuse_other_type(name: &str) -> Result<(), MethodError> {
    match rule_of(name) {
        Rule::Name | Rule::Path => {
            Err(MethodError::said(WmiCode::WBEM_E_TYPE_MISMATCH, format!("setting '{name}' is a text")))
        }
        Rule::Elsewhere => Err(set_in_the_file()),
        Rule::Free => Ok(()),
    }
}

/// An absolute path, in the way of hosts of either kind.
fn is_directory(path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    (path.starts_with('/') || drive || is_share(path)) && is_plain(path)
}

fn is_share(path: &str) -> bool {
    let parts = path.strip_prefix(r"\\").map(|rest| rest.splitn(2, '\\'));
    parts.is_some_and(|mut parts| parts.all(|part| !part.trim_matches('\\').is_empty()))
        && path[2..].contains('\\')
        && is_plain(path)
}

fn is_plain(path: &str) -> bool {
    path.chars().nth(LONGEST_PATH).is_none() && !path.chars().any(char::is_control)
}

fn list(call: &Call<'_>) -> Result<Vec<String>, MethodError> {
    let missing = || CimError::new(WmiCode::WBEM_E_MISSING_PARAMETER_ID, "parameter Value is missing");
    let texts = call.params.strings("Value")?.ok_or_else(missing)?;
    let length: usize = texts.iter().map(|text| text.chars().count()).sum();
    if texts.len() > MOST_TEXTS || length > LONGEST_LIST {
        let rule = format!("Value has at most {MOST_TEXTS} texts of {LONGEST_LIST} characters together");
        return Err(EngineError::Invalid(rule).into());
    }
    Ok(texts.into_iter().map(str::to_owned).collect())
}

fn set_in_the_file() -> MethodError {
    let text = "how the store is connected to is set in the configuration file, and changes with a restart";
    MethodError::said(WmiCode::WBEM_E_NOT_SUPPORTED, text)
}

pub(crate) fn answer(call: &mut Call<'_>, parameter: &str, value: Value) -> Result<(), MethodError> {
    call.answer(parameter, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_a_share_has_a_server_and_a_name() {
        for path in ["/", "/srv/vhd", r"C:\VHD", "d:/vhd", r"\\server\share", r"\\server\share\folder"] {
            assert!(is_directory(path), "{path}");
        }
        for path in
            ["", "srv", r"C:", r"\server", r"\\server", r"\\server\", r"\\\share", "/a\nb", "C\u{0}:/"]
        {
            assert!(!is_directory(path), "{path:?}");
        }
        assert!(!is_directory(&"/".repeat(LONGEST_PATH + 1)));
        assert!(!is_share("/srv") && !is_share(r"C:\VHD"));
    }
}
