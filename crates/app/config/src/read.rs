//! From file and environment to a checked [`Config`].

use super::keys::{Key, Shape};
use super::{Accounts, Changes, Config, Events, Local, Log, Machines, Management, Rdp};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Value;

/// Read if it exists and nothing else was named.
const DEFAULT_FILE: &str = "/etc/openrdms/openrdms.toml";

/// A configuration file larger than this is a mistake.
const MAX_FILE: u64 = 1 << 20;

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|m| format!("  - {m}")).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError(
    /// One line or more each; every one names its place.
    pub Vec<String>,
);

/// Reads the file (the default one may be absent, a named one may not) and the environment.
///
/// # Errors
/// Every mistake that was found.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let (path, text) = text_of(file).map_err(|mistake| ConfigError(vec![mistake]))?.unwrap_or_default();
    parse(&path, &text, env)
}

/// Reads the text of a file and the environment. `path` is what mistakes call the file.
///
/// # Errors
/// Every mistake that was found.
pub fn parse(
    path: &Path,
    text: &str,
    env: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let mut mistakes = Vec::new();
    let mut values = from_file(path, text, &mut mistakes);
    from_environment(env, &mut values, &mut mistakes);
    let config = build(&values, &mut mistakes);
    if mistakes.is_empty() { Ok(config) } else { Err(ConfigError(mistakes)) }
}

type Values = BTreeMap<(&'static str, &'static str), Value>;

fn text_of(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, String> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_FILE => return Err(format!("{}: larger than 1 MiB", path.display())),
        Ok(_) => {}
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some((path.to_owned(), text)))
}

fn from_file(path: &Path, text: &str, mistakes: &mut Vec<String>) -> Values {
    let mut values = Values::new();
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // the parser names the line of everything else
            let what = if error.span().is_none() { "a key has too many dots: " } else { "" };
            mistakes.push(format!("{}: {what}{error}", path.display()));
            return values;
        }
    };
    for (section, content) in table {
        let Value::Table(content) = content else {
            mistakes.push(format!("'{section}' stands outside a section such as [rdp]"));
            continue;
        };
        if content.is_empty() && !Key::ALL.iter().any(|key| key.section == section) {
            let mut known: Vec<&str> = Key::ALL.iter().map(|key| key.section).collect();
            known.dedup();
            mistakes.push(format!("[{section}]: there is no such section; there are {}", known.join(", ")));
        }
        for (name, value) in content {
            match Key::ALL.iter().find(|key| key.section == section && key.name == name) {
                Some(key) => drop(values.insert((key.section, key.name), value)),
                None => mistakes
                    .push(format!("[{section}] {name}: there is no such key{}", suggestion(&section, &name))),
            }
        }
    }
    values
}

fn suggestion(section: &str, name: &str) -> String {
    if let Some(key) = Key::ALL.iter().find(|key| key.name == name) {
        return format!("; did you mean [{}] {}?", key.section, key.name);
    }
    let known: Vec<&str> = Key::ALL.iter().filter(|key| key.section == section).map(|key| key.name).collect();
    if known.is_empty() { String::new() } else { format!("; [{section}] knows {}", known.join(", ")) }
}

/// Variables that are ours but no keys.
const OTHER_VARIABLES: [&str; 2] = ["OPENRDMS_SOCKET", "OPENRDMS_CONFIG"];

fn from_environment(
    env: impl IntoIterator<Item = (String, String)>,
    values: &mut Values,
    mistakes: &mut Vec<String>,
) {
    for (variable, text) in env {
        if !variable.starts_with("OPENRDMS_") || OTHER_VARIABLES.contains(&variable.as_str()) {
            continue;
        }
        let in_section =
            |key: &Key| variable.starts_with(&format!("OPENRDMS_{}_", key.section.to_uppercase()));
        match Key::ALL.iter().find(|key| key.variable() == variable) {
            Some(key) => match parse_text(key, &text) {
                Ok(value) => drop(values.insert((key.section, key.name), value)),
                Err(rule) => mistakes.push(format!("{variable}: {rule}")),
            },
            None if Key::ALL.iter().any(in_section) => {
                mistakes.push(format!("{variable}: there is no such key"));
            }
            None => {} // somebody else's, such as a test driver's
        }
    }
}

fn parse_text(key: &Key, text: &str) -> Result<Value, &'static str> {
    let list = |items: &mut dyn Iterator<Item = &str>| {
        Value::Array(items.map(str::trim).filter(|s| !s.is_empty()).map(Value::from).collect())
    };
    match key.shape {
        Shape::Text => Ok(Value::from(text)),
        Shape::List => Ok(list(&mut text.split(','))),
        Shape::Command if text.trim().is_empty() => Ok(Value::Array(Vec::new())),
        Shape::Command => Ok(Value::from(text)),
        Shape::Number => text.trim().parse::<i64>().map(Value::from).map_err(|_| "not a whole number"),
        Shape::Switch => text.trim().parse::<bool>().map(Value::from).map_err(|_| "neither true nor false"),
    }
}

/// Takes values out one by one and collects what is wrong with them.
struct Reader<'a> {
    values: &'a Values,
    mistakes: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn wrong(&mut self, section: &str, name: &str, rule: &str) {
        self.mistakes.push(format!("[{section}] {name}: {rule}"));
    }

    fn value(&self, section: &'static str, name: &'static str) -> Value {
        self.values.get(&(section, name)).cloned().unwrap_or_else(|| {
            let key = Key::ALL.iter().find(|key| (key.section, key.name) == (section, name));
            let text = format!("v = {}", key.map_or("\"\"", |key| key.default));
            text.parse::<toml::Table>().ok().and_then(|mut t| t.remove("v")).unwrap_or(Value::from(""))
        })
    }

    fn text(&mut self, section: &'static str, name: &'static str) -> String {
        match self.value(section, name) {
            Value::String(text) => text,
            _ => {
                self.wrong(section, name, "must be a text in quotes");
                String::new()
            }
        }
    }

    fn list(&mut self, section: &'static str, name: &'static str) -> Vec<String> {
        let value = self.value(section, name);
        let texts = match &value {
            Value::Array(items) => items.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
            Value::String(one) => Some(vec![one.clone()]),
            _ => None,
        };
        texts.unwrap_or_else(|| {
            self.wrong(section, name, "must be a list of texts");
            Vec::new()
        })
    }

    fn command(&mut self, section: &'static str, name: &'static str) -> Vec<String> {
        match self.value(section, name) {
            Value::String(line) => vec!["/bin/sh".into(), "-c".into(), line],
            _ => self.list(section, name),
        }
    }

    fn number<T: TryFrom<i64>>(
        &mut self,
        section: &'static str,
        name: &'static str,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<T> {
        let number = self.value(section, name).as_integer().filter(|n| range.contains(n));
        let fits = number.and_then(|n| T::try_from(n).ok());
        if fits.is_none() {
            self.wrong(section, name, &format!("must be a number from {} to {}", range.start(), range.end()));
        }
        fits
    }

    fn switch(&mut self, section: &'static str, name: &'static str) -> bool {
        self.value(section, name).as_bool().unwrap_or_else(|| {
            self.wrong(section, name, "must be true or false");
            false
        })
    }

    fn address(&mut self, section: &'static str, name: &'static str, text: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.wrong(
                section,
                name,
                &format!("'{text}' is not an address such as 127.0.0.1:5985 or [::]:3389"),
            );
        }
        address
    }

    fn optional_address(&mut self, section: &'static str, name: &'static str) -> Option<SocketAddr> {
        let text = self.text(section, name);
        if text.is_empty() { None } else { self.address(section, name, &text) }
    }

    fn one_of(&mut self, section: &'static str, name: &'static str, allowed: &[&str]) -> String {
        let text = self.text(section, name);
        if !allowed.contains(&text.as_str()) {
            self.wrong(section, name, &format!("'{text}' is not one of {}", allowed.join(", ")));
        }
        text
    }
}

fn build(values: &Values, mistakes: &mut Vec<String>) -> Config {
    let mut read = Reader { values, mistakes };
    let optional = |text: String| if text.is_empty() { None } else { Some(text) };
    let deployment_name = read.text("deployment", "name");
    if openrdms_broker::UserName::new(&deployment_name, "x").is_err() {
        read.wrong(
            "deployment",
            "name",
            "must be 1 to 64 characters without / \\ : * ? \" < > | @ , ; = + [ ]",
        );
    }
    let data_dir = optional(read.text("node", "data_dir")).map_or_else(default_data_dir, PathBuf::from);
    if !data_dir.is_absolute() {
        read.wrong("node", "data_dir", "must be an absolute path");
    }
    let host_name = optional(read.text("node", "host_name")).unwrap_or_else(system_host_name);
    if let Err(error) = openrdms_broker::HostName::new(&host_name) {
        read.wrong("node", "host_name", &error.to_string());
    }
    let rdp = build_rdp(&mut read);
    let http = read.optional_address("management", "http");
    if http.is_some_and(|address| !address.ip().is_loopback()) {
        read.wrong("management", "http", "plain HTTP is for loopback addresses only: use https for others");
    }
    let socket = optional(read.text("management", "socket"))
        .map_or_else(|| data_dir.join("openrdms.sock"), PathBuf::from);
    // as `bind` will: its limit counts bytes
    if let Err(error) = std::os::unix::net::SocketAddr::from_pathname(&socket) {
        let length = socket.as_os_str().len();
        read.wrong("management", "socket", &format!("{} ({length} bytes): {error}", socket.display()));
    }
    let push_to = read.list("management", "push_to");
    if let Err(error) = openrdms_management::PushTo::parse(&push_to) {
        read.wrong("management", "push_to", &error.to_string());
    }
    let management =
        Management { http, https: read.optional_address("management", "https"), socket, push_to };
    let accounts = Accounts {
        keep_nt_hash: read.switch("accounts", "keep_nt_hash"),
        password_workers: read.number("accounts", "password_workers", 1..=64).unwrap_or(1),
    };
    if rdp.nla && !rdp.tls && !accounts.keep_nt_hash {
        read.wrong(
            "accounts",
            "keep_nt_hash",
            "nobody could log on: NLA is the only way in and needs the NT hash",
        );
    }
    let local = Local {
        session_command: read.command("local", "session_command"),
        outbound_network: read.one_of("local", "network", &["none", "outbound"]) == "outbound",
        uid_first: read.number("local", "uid_first", 1000..=i64::from(i32::MAX)).unwrap_or(1000),
        uid_count: read.number("local", "uid_count", 1..=1_000_000).unwrap_or(1),
        max_starting: read.number("local", "max_starting", 1..=256).unwrap_or(1),
        start_timeout: seconds(read.number("local", "start_timeout_seconds", 1..=600)),
        logoff_grace: seconds(read.number("local", "logoff_grace_seconds", 0..=600)),
    };
    let closed_kept: Option<u64> = read.number("machines", "closed_kept_minutes", 1..=7 * 24 * 60);
    let machines = Machines {
        ask_every: seconds(read.number("machines", "ask_every_seconds", 1..=60)),
        closed_kept: seconds(closed_kept.map(|minutes| minutes * 60)),
    };
    let events = Events {
        hook: read.command("events", "hook"),
        hook_timeout: seconds(read.number("events", "hook_timeout_seconds", 1..=600)),
    };
    let hours: u64 = read.number("changes", "keep_hours", 1..=24 * 365).unwrap_or(1);
    let changes = Changes {
        keep: seconds(Some(hours * 3600)),
        keep_most: read.number("changes", "keep_most", 1000..=100_000_000).unwrap_or(1000),
    };
    let log = Log {
        json: read.one_of("log", "format", &["text", "json"]) == "json",
        level: read.text("log", "level"),
    };
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&log.level) {
        let level = &log.level;
        read.wrong("log", "level", &format!("'{level}' is not a filter such as info or debug ({error})"));
    }
    Config {
        deployment_name,
        data_dir,
        host_name,
        rdp,
        management,
        accounts,
        local,
        machines,
        events,
        changes,
        log,
    }
}

fn build_rdp(read: &mut Reader<'_>) -> Rdp {
    let listen: Vec<SocketAddr> =
        read.list("rdp", "listen").iter().filter_map(|text| read.address("rdp", "listen", text)).collect();
    if listen.is_empty() {
        read.wrong("rdp", "listen", "needs at least one address");
    }
    let security = read.list("rdp", "security");
    let (nla, tls) = (security.iter().any(|s| s == "nla"), security.iter().any(|s| s == "tls"));
    if let Some(other) = security.iter().find(|s| !matches!(s.as_str(), "nla" | "tls")) {
        read.wrong("rdp", "security", &format!("'{other}' is not one of nla, tls"));
    } else if security.is_empty() {
        read.wrong("rdp", "security", "needs nla, tls or both");
    }
    let path = |text: String| if text.is_empty() { None } else { Some(PathBuf::from(text)) };
    let certificate = path(read.text("rdp", "certificate"));
    let private_key = path(read.text("rdp", "private_key"));
    if certificate.is_some() != private_key.is_some() {
        read.wrong("rdp", "certificate", "certificate and private_key go together: give both or neither");
    }
    let max_handshakes = read.number("rdp", "max_handshakes", 1..=100_000).unwrap_or(1);
    Rdp { listen, nla, tls, certificate, private_key, max_handshakes }
}

fn seconds(number: Option<u64>) -> Duration {
    Duration::from_secs(number.unwrap_or(1))
}

fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/openrdms");
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    home.join(".local/share/openrdms")
}

fn system_host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
