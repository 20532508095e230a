//! Named values, which several classes read and write by the same methods.

use crate::error::MethodError;
use crate::provider::{Call, Context, no_method};
use openrdms_broker::{Setting, SettingOwner, SettingValue};
use openrdms_cim::{Value, WmiCode};

/// How long a name may be, in characters.
const LONGEST_NAME: usize = 256;
/// How long a text may be, in characters.
const LONGEST_TEXT: usize = 32_768;
/// How many settings an owner may have.
const MOST: u32 = 1000;

/// `GetInt32Property`, `GetStringProperty`, `SetInt32Property` and `SetStringProperty` of an owner's settings.
pub(crate) async fn invoke(
    cx: &Context,
    call: &mut Call<'_>,
    owner: &SettingOwner,
) -> Result<(), MethodError> {
    let name = name(call)?;
    match call.method {
        "GetInt32Property" => match find(cx, owner, &name).await? {
            SettingValue::Int(value) => answer(call, Value::Sint32(value)),
            SettingValue::Text(_) | SettingValue::List(_) => Err(other_type(&name, "a number")),
        },
        "GetStringProperty" => match find(cx, owner, &name).await? {
            SettingValue::Text(value) => answer(call, Value::String(value)),
            SettingValue::Int(_) | SettingValue::List(_) => Err(other_type(&name, "a text")),
        },
        "SetInt32Property" => {
            let value = call.params.required_sint32("Value")?;
            set(cx, owner, name, SettingValue::Int(value)).await
        }
        "SetStringProperty" => {
            let value = text(call, "Value")?;
            set(cx, owner, name, SettingValue::Text(value)).await
        }
        _ => Err(no_method(call)),
    }
}

/// The setting's name, from the parameter `Key`.
pub(crate) fn name(call: &mut Call<'_>) -> Result<String, MethodError> {
    let name = call.params.required_string("Key")?.to_owned();
    let long = name.chars().nth(LONGEST_NAME).is_some();
    if name.trim().is_empty() || long || name.chars().any(char::is_control) {
        let rule = format!("a Key has 1 to {LONGEST_NAME} characters, none of them a control character");
        return Err(MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, rule));
    }
    call.audit.detail.clone_from(&name);
    Ok(name)
}

/// A text that must be there, within the limit.
pub(crate) fn text(call: &Call<'_>, parameter: &str) -> Result<String, MethodError> {
    let text = call.params.required_string(parameter)?;
    if text.chars().nth(LONGEST_TEXT).is_some() {
        let rule = format!("{parameter} has {LONGEST_TEXT} characters at most");
        return Err(MethodError::said(WmiCode::WBEM_E_INVALID_PARAMETER, rule));
    }
    Ok(text.to_owned())
}

/// The value of a setting, or that there is none.
pub(crate) async fn find(
    cx: &Context,
    owner: &SettingOwner,
    name: &str,
) -> Result<SettingValue, MethodError> {
    let found = cx.engine.store().setting(owner, name).await?;
    found.ok_or_else(|| {
        MethodError::said(WmiCode::WBEM_E_NOT_FOUND, format!("there is no setting '{name}' of {owner}"))
    })
}

/// Writes a setting.
pub(crate) async fn set(
    cx: &Context,
    owner: &SettingOwner,
    name: String,
    value: SettingValue,
) -> Result<(), MethodError> {
    room(cx, owner, &name).await?;
    Ok(cx.engine.store().set_setting(owner, &Setting { name, value }).await?)
}

/// Refuses one more setting where there are many.
pub(crate) async fn room(cx: &Context, owner: &SettingOwner, name: &str) -> Result<(), MethodError> {
    let store = cx.engine.store();
    if store.count_settings(owner).await? >= MOST && store.setting(owner, name).await?.is_none() {
        let text = format!("{owner} has {MOST} settings already: remove one first");
        return Err(MethodError::said(WmiCode::WBEM_E_INVALID_OPERATION, text));
    }
    Ok(())
}

/// A setting that is of another type than it is read as.
pub(crate) fn other_type(name: &str, what: &str) -> MethodError {
    MethodError::said(WmiCode::WBEM_E_TYPE_MISMATCH, format!("setting '{name}' is not {what}"))
}

fn answer(call: &mut Call<'_>, value: Value) -> Result<(), MethodError> {
    call.answer("Value", value);
    Ok(())
}
