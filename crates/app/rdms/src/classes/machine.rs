//! Machines among the hosts: what `OpenRDMS_Host` and `Win32_RDSHServer` tell of them and change.

use crate::error::{MethodError, fault};
use crate::provider::Context;
use openrdms_broker::document::Stored;
use openrdms_broker::ports::StoreError;
use openrdms_broker::{
    Address, CollectionAlias, DesktopName, HostName, KnownHost, Machine, MachineLogon, machine,
};
use openrdms_cim::{CimError, Params, WmiCode};
use openrdms_engine::{EngineError, MachineChange};
use std::collections::HashMap;
use std::fmt::Write as _;

const PAGE: u32 = 500;

/// Whether a host is a machine, of which more is known than of others.
pub(super) fn is_machine(host: &KnownHost) -> bool {
    host.lease.kind == machine::KIND
}

/// All machines, by name in lower case.
pub(super) async fn all(cx: &Context) -> Result<HashMap<String, Machine>, CimError> {
    let (mut machines, mut after) = (HashMap::new(), None);
    loop {
        let page = cx.engine.store().documents::<Machine>("", after, PAGE).await.map_err(fault)?;
        machines.extend(page.rows.into_iter().map(|Stored { document, .. }| (key(&document.name), document)));
        after = page.next;
        if after.is_none() {
            return Ok(machines);
        }
    }
}

/// The key in [`all`] of a host's machine.
pub(super) fn key(host: &HostName) -> String {
    host.as_str().to_ascii_lowercase()
}

/// The collection that a machine is in.
pub(super) async fn placed(cx: &Context, name: &HostName) -> Result<Option<CollectionAlias>, StoreError> {
    let Ok(desktop) = DesktopName::new(name.as_str()) else { return Ok(None) };
    let found = cx.engine.store().desktop(&desktop).await?;
    Ok(found.filter(|desktop| desktop.host.is(name)).map(|desktop| desktop.collection))
}

/// A collection by its alias; null and empty are none.
pub(super) fn collection(params: &Params) -> Result<Option<CollectionAlias>, MethodError> {
    let alias = params.string("CollectionAlias")?.filter(|alias| !alias.is_empty());
    // whatever is no alias is the alias of nothing
    let alias =
        alias.map(|alias| CollectionAlias::new(alias).map_err(|_| EngineError::NotFound("collection")));
    Ok(alias.transpose()?)
}

/// The name of a host that is to be.
pub(super) fn new_name(params: &Params) -> Result<HostName, MethodError> {
    HostName::new(params.required_string("Name")?).map_err(|error| invalid(error.to_string()).into())
}

/// What the properties of `OpenRDMS_Host` say of a machine; null ones say nothing.
pub(super) fn change(params: &Params) -> Result<MachineChange, CimError> {
    let parsed = |error: openrdms_broker::IdError| invalid(error.to_string());
    Ok(MachineChange {
        address: params.string("Address")?.map(Address::parse).transpose().map_err(parsed)?,
        certificate_sha256: params.string("CertificateSha256")?.map(digest).transpose()?,
        logon: params.string("Logon")?.map(logon).transpose()?,
        session_limit: params.uint32("SessionLimit")?,
        weight: params.uint32("RelativeWeight")?,
    })
}

fn digest(text: &str) -> Result<[u8; 32], CimError> {
    let rule = || invalid("CertificateSha256 is 64 hexadecimal digits, with or without colons".to_owned());
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    if digits.len() != 64 {
        return Err(rule());
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
        let digit = |of: u8| char::from(of).to_digit(16).ok_or_else(rule);
        // two digits of four bits
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(digest)
}

fn logon(text: &str) -> Result<MachineLogon, CimError> {
    match text.to_ascii_lowercase().as_str() {
        "ask" => Ok(MachineLogon::Ask),
        "forward" => Ok(MachineLogon::Forward),
        _ => Err(invalid(format!("there is no Logon '{text}': it is Ask or Forward"))),
    }
}

/// As `OpenRDMS_Host.Logon` has it.
pub(super) fn logon_name(logon: MachineLogon) -> &'static str {
    match logon {
        MachineLogon::Ask => "Ask",
        MachineLogon::Forward => "Forward",
    }
}

/// As classes show a pin.
pub(super) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A setting of `Win32_RDSHServer` that is a property of a machine.
pub(super) fn is_number(setting: &str) -> bool {
    ["SessionLimit", "RelativeWeight"].iter().any(|name| name.eq_ignore_ascii_case(setting))
}

/// Its value.
pub(super) fn number(machine: &Machine, setting: &str) -> Option<u32> {
    let value = if is_weight(setting) { machine.weight } else { machine.session_limit };
    is_number(setting).then_some(value)
}

fn is_weight(setting: &str) -> bool {
    setting.eq_ignore_ascii_case("RelativeWeight")
}

/// The change of it.
pub(super) fn number_change(name: &str, value: i32) -> Result<MachineChange, CimError> {
    let number =
        u32::try_from(value).map_err(|_| invalid(format!("{name} is not {value}: it counts up from 1")))?;
    let weight = is_weight(name);
    Ok(MachineChange {
        session_limit: (!weight).then_some(number),
        weight: weight.then_some(number),
        ..MachineChange::default()
    })
}

/// What a host that is no machine cannot be told.
pub(super) fn no_machine() -> MethodError {
    let text = "this host belongs to the node that runs on it, and may have desktops of every collection: only a \
                machine is added, changed or removed";
    CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, text).into()
}

fn invalid(message: String) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
}

/// Whether a property was given, if only as null.
pub(super) fn says(params: &Params, name: &str) -> bool {
    params.0.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_tools_print_it_and_nothing_else_is() {
        let plain = hex(&[0xa5; 32]);
        assert_eq!(digest(&plain).unwrap(), [0xa5; 32]);
        let colons: Vec<_> = plain.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair)).collect();
        assert_eq!(digest(&colons.join(":").to_uppercase()).unwrap(), [0xa5; 32]);
        for bad in ["", "a5", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g"), &"é".repeat(32)] {
            assert_eq!(digest(bad).unwrap_err().code, WmiCode::WBEM_E_INVALID_PARAMETER, "{bad}");
        }
    }
}
