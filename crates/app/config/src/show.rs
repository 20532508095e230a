//! The configuration in force, as a file that would say the same.

use super::Config;
use super::keys::Key;
use std::fmt::Write as _;

impl Config {
    /// Every key with the value in force.
    pub fn to_toml(&self) -> String {
        let path = |path: &Option<std::path::PathBuf>| {
            path.as_ref().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let address =
            |address: Option<std::net::SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
        let listen: Vec<String> = self.rdp.listen.iter().map(ToString::to_string).collect();
        let security: Vec<&str> =
            [("nla", self.rdp.nla), ("tls", self.rdp.tls)].into_iter().filter(|s| s.1).map(|s| s.0).collect();
        let network = if self.local.outbound_network { "outbound" } else { "none" };
        let format = if self.log.json { "json" } else { "text" };
        let values: [(&str, &str, String); 29] = [
            ("deployment", "name", quote(&self.deployment_name)),
            ("node", "data_dir", quote(&self.data_dir.to_string_lossy())),
            ("node", "host_name", quote(&self.host_name)),
            ("rdp", "listen", list(&listen)),
            ("rdp", "security", list(&security)),
            ("rdp", "certificate", quote(&path(&self.rdp.certificate))),
            ("rdp", "private_key", quote(&path(&self.rdp.private_key))),
            ("rdp", "max_handshakes", self.rdp.max_handshakes.to_string()),
            ("management", "http", quote(&address(self.management.http))),
            ("management", "https", quote(&address(self.management.https))),
            ("management", "socket", quote(&self.management.socket.to_string_lossy())),
            ("management", "push_to", list(&self.management.push_to)),
            ("accounts", "keep_nt_hash", self.accounts.keep_nt_hash.to_string()),
            ("accounts", "password_workers", self.accounts.password_workers.to_string()),
            ("local", "session_command", list(&self.local.session_command)),
            ("local", "network", quote(network)),
            ("local", "uid_first", self.local.uid_first.to_string()),
            ("local", "uid_count", self.local.uid_count.to_string()),
            ("local", "max_starting", self.local.max_starting.to_string()),
            ("local", "start_timeout_seconds", self.local.start_timeout.as_secs().to_string()),
            ("local", "logoff_grace_seconds", self.local.logoff_grace.as_secs().to_string()),
            ("machines", "ask_every_seconds", self.machines.ask_every.as_secs().to_string()),
            ("machines", "closed_kept_minutes", (self.machines.closed_kept.as_secs() / 60).to_string()),
            ("events", "hook", list(&self.events.hook)),
            ("events", "hook_timeout_seconds", self.events.hook_timeout.as_secs().to_string()),
            ("changes", "keep_hours", (self.changes.keep.as_secs() / 3600).to_string()),
            ("changes", "keep_most", self.changes.keep_most.to_string()),
            ("log", "format", quote(format)),
            ("log", "level", quote(&self.log.level)),
        ];
        let (mut text, mut section) = (String::new(), "");
        for (in_section, name, value) in values {
            if in_section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}[{in_section}]");
                section = in_section;
            }
            if let Some(key) = Key::ALL.iter().find(|key| (key.section, key.name) == (in_section, name)) {
                let _ = writeln!(text, "# {}", key.about);
            }
            let _ = writeln!(text, "{name} = {value}");
        }
        text
    }
}

fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn list<T: AsRef<str>>(items: &[T]) -> String {
    toml::Value::Array(items.iter().map(|i| toml::Value::from(i.as_ref())).collect()).to_string()
}
