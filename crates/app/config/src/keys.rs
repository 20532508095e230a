//! Every key there is: its default and what it means. `schema/config.md` is generated from this table.

#[cfg(test)]
use std::fmt::Write as _;

/// What a key's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    /// A list of texts; in the environment separated by commas.
    List,
    /// A program and its arguments; one text is run by `/bin/sh -c`.
    Command,
    Number,
    Switch,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) section: &'static str,
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// As it would stand in the file.
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    shape: Shape,
    default: &'static str,
    about: &'static str,
) -> Key {
    Key { section, name, shape, default, about }
}

impl Key {
    /// The environment variable that overrides it.
    pub(crate) fn variable(&self) -> String {
        format!("OPENRDMS_{}_{}", self.section, self.name).to_uppercase()
    }

    pub(crate) const ALL: &'static [Key] = &[
        key(
            "deployment",
            "name",
            Shape::Text,
            "\"OPENRDMS\"",
            "Name of the deployment: the domain of its local accounts.",
        ),
        key(
            "node",
            "data_dir",
            Shape::Text,
            "\"\"",
            "Where everything is kept. Empty: `/var/lib/openrdms` for root, `~/.local/share/openrdms` for others.",
        ),
        key(
            "node",
            "host_name",
            Shape::Text,
            "\"\"",
            "Name of this host in lists (`VMHostName`). Empty: the system's host name.",
        ),
        key("rdp", "listen", Shape::List, "[\"0.0.0.0:3389\", \"[::]:3389\"]", "Addresses for RDP clients."),
        key(
            "rdp",
            "security",
            Shape::List,
            "[\"nla\", \"tls\"]",
            "How users may log on: `nla` (CredSSP; what stock mstsc needs) and `tls` (password inside TLS).",
        ),
        key(
            "rdp",
            "certificate",
            Shape::Text,
            "\"\"",
            "PEM file with the certificate chain for RDP and HTTPS; read again on SIGHUP. Empty: a self-signed one is made at first start.",
        ),
        key("rdp", "private_key", Shape::Text, "\"\"", "PEM file with its private key."),
        key(
            "rdp",
            "max_handshakes",
            Shape::Number,
            "256",
            "How many connections may be on their way to a logon at once; more are shed.",
        ),
        key(
            "management",
            "http",
            Shape::Text,
            "\"127.0.0.1:5985\"",
            "Address for WS-Management over plain HTTP: a loopback address. Empty: none.",
        ),
        key(
            "management",
            "https",
            Shape::Text,
            "\"0.0.0.0:5986\"",
            "Address for WS-Management over HTTPS. Empty: none.",
        ),
        key(
            "management",
            "socket",
            Shape::Text,
            "\"\"",
            "Unix socket for the command line on this machine. Empty: `openrdms.sock` in the data directory.",
        ),
        key(
            "management",
            "push_to",
            Shape::List,
            "[]",
            "Where events may be pushed to subscribers: hosts (`collector.example`, `192.0.2.7:8443`) and networks (`192.0.2.0/24`). Empty: nowhere, and subscribers pull. Every account may subscribe, and this machine then connects to what is listed here.",
        ),
        key(
            "accounts",
            "keep_nt_hash",
            Shape::Switch,
            "true",
            "Keep the NT hash of passwords, sealed under the node's key: without it nobody can log on by NLA.",
        ),
        key(
            "accounts",
            "password_workers",
            Shape::Number,
            "2",
            "How many passwords are checked at once; each takes 19 MiB and about 25 ms.",
        ),
        key(
            "local",
            "session_command",
            Shape::Command,
            "[]",
            "What runs in a desktop; its end is the logoff. Empty: openbox with a panel and a terminal.",
        ),
        key(
            "local",
            "network",
            Shape::Text,
            "\"none\"",
            "Network of desktops: `none`, or `outbound` (by pasta).",
        ),
        key(
            "local",
            "uid_first",
            Shape::Number,
            "1900000000",
            "First of the unprivileged uids that local desktops run as, one a user. They must be nobody else's: neither accounts in `/etc/passwd` nor ranges in `/etc/subuid`. Used when started as root.",
        ),
        key("local", "uid_count", Shape::Number, "65536", "How many uids there are."),
        key("local", "max_starting", Shape::Number, "4", "How many desktops may be starting at once."),
        key("local", "start_timeout_seconds", Shape::Number, "20", "How long a desktop may take to start."),
        key(
            "local",
            "logoff_grace_seconds",
            Shape::Number,
            "5",
            "How long programs may take to end at a logoff before they are killed.",
        ),
        key(
            "machines",
            "ask_every_seconds",
            Shape::Number,
            "2",
            "How often each machine is asked whether it answers. One that has not answered for twice as long gets no sessions, and those without a client are Lost.",
        ),
        key(
            "machines",
            "closed_kept_minutes",
            Shape::Number,
            "15",
            "How long a session is kept whose machine has closed the connection without saying that its user has logged off, and to which nobody comes back.",
        ),
        key(
            "events",
            "hook",
            Shape::Command,
            "[]",
            "Program that is run for every operator event, one at a time and in order, with the event as a line of JSON on its standard input. Empty: none.",
        ),
        key(
            "events",
            "hook_timeout_seconds",
            Shape::Number,
            "10",
            "How long the hook may take before it is ended. Events that come faster than it can take them are dropped, oldest first, and counted in the log.",
        ),
        key(
            "changes",
            "keep_hours",
            Shape::Number,
            "24",
            "How long the store remembers what happened to sessions, for subscribers who come back with a bookmark.",
        ),
        key(
            "changes",
            "keep_most",
            Shape::Number,
            "100000",
            "How many changes it remembers at most; each takes about 1.5 kB.",
        ),
        key("log", "format", Shape::Text, "\"text\"", "`text` for people, `json` for machines."),
        key(
            "log",
            "level",
            Shape::Text,
            "\"info\"",
            "What to log, as a tracing filter: `info`, `debug`, `openrdms_relay=debug,info`.",
        ),
    ];
}

/// The page of documentation that stands in `schema/config.md`.
#[cfg(test)]
pub(crate) fn document() -> String {
    let mut page = String::from(
        "# Configuration\n\nGenerated from `crates/app/config/src/keys.rs`; do not edit. The file is \
         `/etc/openrdms/openrdms.toml` unless `--config` says otherwise; without a file every default holds. \
         A variable of the environment wins over the file; in it, lists are separated by commas.\n",
    );
    let mut section = "";
    for key in Key::ALL {
        if key.section != section {
            section = key.section;
            let _ = write!(
                page,
                "\n## [{section}]\n\n| key | default | environment | meaning |\n|---|---|---|---|\n"
            );
        }
        let _ =
            writeln!(page, "| `{}` | `{}` | `{}` | {} |", key.name, key.default, key.variable(), key.about);
    }
    page
}
