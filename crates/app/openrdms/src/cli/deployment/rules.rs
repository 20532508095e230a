//! What the values of a file may be. The service refuses others, but only when part of the file is done already: so
//! everything is looked at before. Asks nobody.

use super::section::{Section, says, text};
use openrdms_broker::machine::MOST_WEIGHT;
use openrdms_broker::sddl::Sid;
use openrdms_broker::{Address, CollectionAlias, DesktopName, HostName, LimitAction, SecurityDescriptor};
use openrdms_cim::{Instance, Value};

/// Settings of a collection that act: numbers only.
const LIMITS: [&str; 3] = ["IdleSessionLimit", "ActiveSessionLimit", "DisconnectedSessionLimit"];
/// Settings of the deployment that are paths, and those that stand in its configuration.
const PATHS: [&str; 4] = ["BaseVHDPath", "DiffVHDPath", "ExportPath", SHARE];
const SHARE: &str = "SMBPath";
const CONNECTIONS: [&str; 2] = ["DatabaseConnectionString", "DatabaseSecondaryConnectionString"];

type Checked = Result<(), String>;

/// Whether every value of a row can be, and all is there that a new one needs.
pub(super) fn check(section: &Section, row: &Instance, now: Option<&Instance>) -> Checked {
    let needed: &[&str] = match section.name {
        "desktop" => &["CollectionAlias"],
        "application" => &["AppPath"],
        _ => &[],
    };
    if let Some(name) = needed.iter().find(|name| now.is_none() && !says(row, name)) {
        return Err(format!("{name} is missing"));
    }
    // keys that several sections share are looked at once
    let is_looked_at = |name: &str| section.is_first() || !section.keys.contains(&name);
    for (name, value) in row.properties.iter().filter(|(name, value)| !value.is_null() && is_looked_at(name))
    {
        one(section.name, name, value)?;
    }
    if section.name == "setting" { setting(row) } else { Ok(()) }
}

/// Whether a property of one such thing can have that value.
fn one(thing: &str, name: &str, value: &Value) -> Checked {
    let text = value.as_str().unwrap_or_default();
    match (thing, name) {
        ("collection", "Alias") => CollectionAlias::new(text).map(drop).map_err(told),
        ("collection", "Kind") => among(name, text, &["Pooled", "Personal", "AutoPersonal"]),
        ("collection", "LimitAction") => {
            among(name, text, &[LimitAction::Disconnect, LimitAction::Logoff].map(LimitAction::as_str))
        }
        ("collection", "DisplayName") => short(name, text, 256),
        ("collection" | "application", "SecurityDescriptor") if !text.is_empty() => {
            short(name, text, 16_384)?;
            SecurityDescriptor::parse(text).map(drop).map_err(|error| format!("{name}: {error}"))
        }
        ("collection", "VmFarmSettings" | "UserVHDSetting") => short(name, text, 16_384),
        ("collection", "ReferenceVirtualDesktopRemoteFX") if value == &Value::Boolean(true) => {
            Err(format!("{name}: no desktop here has such an adapter"))
        }
        ("collection", "ReferenceVirtualDesktopAdapters") => list(name, value, 64, 1024),
        ("collection", name) if name.starts_with("Reference") => short(name, text, 1024),
        ("desktop", "Name") => DesktopName::new(text).map(drop).map_err(told),
        ("machine", "Name") => {
            HostName::new(text).map_err(told)?;
            DesktopName::new(text).map(drop).map_err(told)
        }
        ("machine", "Address") => Address::parse(text).map(drop).map_err(told),
        ("machine", "CertificateSha256") => {
            let digits: Vec<char> = text.chars().filter(|c| *c != ':').collect();
            let is_digest = digits.len() == 64 && digits.iter().all(char::is_ascii_hexdigit);
            rule(is_digest, || format!("{name} is 64 hexadecimal digits, with or without colons"))
        }
        ("machine", "Logon") => among(name, text, &["Ask", "Forward"]),
        ("machine", "SessionLimit") => between(name, value, 1, u32::MAX),
        ("machine", "RelativeWeight") => between(name, value, 1, MOST_WEIGHT),
        ("account", "Role") => among(name, text, &["user", "admin"]),
        ("server", "FQDN") => HostName::new(text).map(drop).map_err(told),
        ("server", "SID") => Sid::parse(text).map(drop).map_err(|error| format!("{name}: {error}")),
        ("server", "OSVersion") => plain(name, text, 64),
        ("application" | "file_type", "AppAlias") => label(name, text),
        ("application", "DisplayName") => filled(name, text, 256),
        ("application", "AppPath") => filled(name, text, 4096),
        ("application", "CommandLineSetting") => between(name, value, 0, 2),
        ("application" | "file_type", "VirtualPath" | "RequiredCommandLine" | "IconPath") => {
            plain(name, text, 4096)
        }
        ("application", "Folder") | ("file_type", "ProgIdHint") => plain(name, text, 256),
        ("file_type", "ExtName") => {
            label(name, text)?;
            let is_extension = text.starts_with('.') && text.len() > 1 && !text.contains(' ');
            rule(is_extension, || format!("{name} is a dot and what follows it in a file's name"))
        }
        (_, "IconContents") => match value {
            Value::Array(bytes) => rule(bytes.len() <= 12_288, || format!("{name} has at most 12288 bytes")),
            _ => Ok(()),
        },
        ("setting", "Name") => filled(name, text, 256),
        ("setting", "Text") => short(name, text, 32_768),
        ("setting", "List") => list(name, value, 1000, 32_768),
        _ => Ok(()),
    }
}

/// Settings that mean something to the service.
fn setting(row: &Instance) -> Checked {
    let (name, number, value) = (text(row, "Name"), row.get("Number").as_int(), text(row, "Text"));
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let owner = text(row, "Owner").split(' ').next().unwrap_or_default().to_ascii_lowercase();
    match owner.as_str() {
        "collection" if LIMITS.iter().any(is) => rule(number.is_some_and(|n| n >= 0), || {
            format!("{name} is a number of milliseconds, 0 for never")
        }),
        "collection" if is(&"BrokenConnectionAction") => {
            rule(matches!(number, Some(0 | 1)), || format!("{name} is 0 (disconnect) or 1 (log off)"))
        }
        "host" if is(&"DrainMode") => rule(matches!(number, Some(0 | 2)), || {
            format!("{name} is 0 (takes new sessions) or 2 (takes none)")
        }),
        "deployment" if is(&"DeploymentRedirectorServer") => {
            rule(HostName::new(value).is_ok(), || format!("{name} is a name of DNS"))
        }
        "deployment" if CONNECTIONS.iter().any(is) => {
            Err(format!("{name} is set in the configuration of the service"))
        }
        "deployment" if PATHS.iter().any(is) => {
            let is_share = value.strip_prefix(r"\\").is_some_and(|rest| {
                rest.split_once('\\').is_some_and(|(server, share)| !server.is_empty() && !share.is_empty())
            });
            let has_drive =
                matches!(value.as_bytes(), [l, b':', b'\\' | b'/', ..] if l.is_ascii_alphabetic());
            let fits = is_share || !is(&SHARE) && (value.starts_with('/') || has_drive);
            rule(fits, || format!("{name} is the absolute path of a directory, SMBPath a share"))?;
            plain(name, value, 4096)
        }
        _ => Ok(()),
    }
}

fn told(error: openrdms_broker::IdError) -> String {
    error.to_string()
}

fn rule(holds: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn among(name: &str, text: &str, words: &[&str]) -> Checked {
    let known = words.iter().any(|word| word.eq_ignore_ascii_case(text));
    rule(known, || format!("{name} is {}, not '{text}'", words.join(" or ")))
}

fn between(name: &str, value: &Value, least: u32, most: u32) -> Checked {
    let fits = value.as_int().is_none_or(|n| i128::from(least) <= n && n <= i128::from(most));
    rule(fits, || format!("{name} is {least} to {most}"))
}

fn short(name: &str, text: &str, longest: usize) -> Checked {
    rule(text.chars().nth(longest).is_none(), || format!("{name} has at most {longest} characters"))
}

fn plain(name: &str, text: &str, longest: usize) -> Checked {
    short(name, text, longest)?;
    rule(!text.chars().any(char::is_control), || format!("{name} has no control characters"))
}

fn filled(name: &str, text: &str, longest: usize) -> Checked {
    rule(!text.trim().is_empty(), || format!("{name} is empty"))?;
    plain(name, text, longest)
}

/// A short name: part of paths, of files and of what clients ask for.
fn label(name: &str, text: &str) -> Checked {
    filled(name, text, 128)?;
    let fits = text.trim() == text && !text.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|']);
    rule(fits, || format!("{name} has none of \\ / : * ? \" < > |, and no space at its ends"))
}

/// A list of at most so many texts, of so many characters together.
fn list(name: &str, value: &Value, most: usize, longest: usize) -> Checked {
    let Value::Array(items) = value else { return Ok(()) };
    let length: usize = items.iter().filter_map(Value::as_str).map(|text| text.chars().count()).sum();
    rule(items.len() <= most && length <= longest, || {
        format!("{name} has at most {most} texts of {longest} characters together")
    })
}
