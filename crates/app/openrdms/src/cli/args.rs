//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

const GLOBAL: &str = "Global options";

/// Remote desktops for Linux: any RDP client gets a desktop that keeps running when the client goes.
#[derive(Debug, Parser)]
#[command(name = "openrdms", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 not allowed, \
                        5 service not reached, 6 not possible in the present state, 7 timed out.")]
pub(crate) struct Cli {
    /// Configuration file [default: /etc/openrdms/openrdms.toml, which may be absent]
    #[arg(long, global = true, env = "OPENRDMS_CONFIG", value_name = "FILE", help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// Unix socket of the service [default: as configured]
    #[arg(long, global = true, env = "OPENRDMS_SOCKET", value_name = "PATH", help_heading = GLOBAL)]
    pub(crate) socket: Option<PathBuf>,
    /// How to print: a table for people, or one JSON document for programs
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = GLOBAL)]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(ServeArgs),
    /// List sessions, and disconnect, log off or message them
    #[command(subcommand)]
    Session(SessionCommand),
    /// Make, list and delete collections of desktops
    #[command(subcommand)]
    Collection(CollectionCommand),
    /// List desktops
    #[command(subcommand)]
    Desktop(DesktopCommand),
    /// List hosts, and drain them
    #[command(subcommand)]
    Host(HostCommand),
    /// List nodes, and drain them
    #[command(subcommand)]
    Node(NodeCommand),
    /// Add, list and delete local accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Process 1 of a local desktop; started by the service
    #[command(hide = true)]
    DesktopSupervisor {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// The window of a message; started inside a local desktop
    #[command(hide = true)]
    DesktopMessage,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where everything is kept [default: as configured]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Write the addresses in use to this file, as JSON, once ready
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

/// Which session: by id, with the host before it where there are several; by user; or by its own key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Target {
    /// Session id, or host and session id
    #[arg(value_name = "[HOST] ID", num_args = 1..=2)]
    pub(crate) id: Vec<String>,
    /// The only session of this user
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The session with this key
    #[arg(long, value_name = "UID")]
    pub(crate) uid: Option<String>,
}

/// How to act on people's sessions.
#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do nothing unless the session is this user's
    #[arg(long, value_name = "NAME")]
    pub(crate) expect_user: Option<String>,
    /// Do nothing unless the session is in this state
    #[arg(long, value_name = "STATE")]
    pub(crate) expect_state: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions
    List {
        /// Only this user's
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Only those in this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
        /// Only those in this state
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
    },
    /// Show everything known of one session
    Show(Target),
    /// Detach the client; the desktop keeps running
    Disconnect(Act),
    /// End the session and its programs
    Logoff(Act),
    /// Show a message on the desktop's screen
    Message {
        #[command(flatten)]
        act: Act,
        /// Title of the window
        #[arg(long, default_value = "Message from your administrator")]
        title: String,
        /// The message
        #[arg(long, short)]
        text: String,
    },
    /// End a lost session whose host will never return
    Forget(Act),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionCommand {
    /// Make a collection and its desktops
    Create {
        /// Its alias: 1 to 32 characters of A-Z a-z 0-9 - _
        alias: String,
        /// How many desktops
        #[arg(long, default_value_t = 1)]
        size: u32,
        /// What people call it [default: the alias]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Who may use it; may be repeated [default: every account]
        #[arg(long = "user", value_name = "NAME")]
        users: Vec<String>,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// List collections
    List,
    /// Show one collection
    Show { alias: String },
    /// Show or change how long its sessions may last; changes hold for running sessions too
    Limits {
        alias: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Delete a collection that has no session; homes are kept
    Delete {
        alias: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

/// How long sessions may last. A time is a number and a unit, such as 30s, 15m, 8h or 2d, or `never`.
#[derive(Debug, Default, Args)]
pub(crate) struct LimitArgs {
    /// How long a client may be attached without key or pointer input
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) idle_limit: Option<u32>,
    /// How long a client may be attached without a break
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) active_limit: Option<u32>,
    /// How long a session may be without a client before it is logged off
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) disconnected_limit: Option<u32>,
    /// What the idle and the active limit do
    #[arg(long, value_enum)]
    pub(crate) limit_action: Option<LimitActionArg>,
    /// How long before those two the user is warned on the screen; at most half of the limit
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) limit_warning: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitActionArg {
    /// Take the client away; the desktop keeps running
    Disconnect,
    /// End the session and its programs
    Logoff,
}

/// A time as people write it, in seconds; `never` is 0.
fn seconds(text: &str) -> Result<u32, String> {
    if text == "never" {
        return Ok(0);
    }
    let wrong = || "a time is a number and a unit, such as 30s, 15m, 8h or 2d, or 'never'".to_owned();
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        Some(_) | None => return Err(wrong()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    digits
        .parse::<u32>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| "that is too long: up to 49710d".into())
}

#[derive(Debug, Subcommand)]
pub(crate) enum DesktopCommand {
    /// List desktops
    List {
        /// Only those of this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List hosts
    List,
    /// Take no new sessions on a host; those it has stay, and their users can come back
    Drain { name: String },
    /// Take new sessions again
    Undrain { name: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List nodes
    List,
    /// Begin no new sessions for clients of a node; those that are there stay, and their users can come back
    Drain { id: String },
    /// Begin new sessions again
    Undrain { id: String },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a local account
    Add {
        name: String,
        /// What it may do beyond its own sessions
        #[arg(long, value_enum, default_value_t = RoleArg::User)]
        role: RoleArg,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List local accounts
    List,
    /// Set a password
    Passwd {
        name: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Delete an account that has no session; its homes are kept
    Delete {
        name: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Own sessions only
    User,
    /// Everything
    Admin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is valid
    Check,
    /// Print every key with the value in force
    Show,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_are_numbers_with_a_unit_or_never() {
        let read: Vec<_> = ["never", "30s", "15m", "8h", "2d"].map(seconds).into_iter().flatten().collect();
        assert_eq!(read, [0, 30, 900, 28_800, 172_800]);
        for wrong in ["", "s", "30", "-5m", "+5m", "1.5h", "1h30m", "5 m", "9999999999s", "49711d", "5µ"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_target_is_named_in_one_way_only() {
        assert!(Cli::try_parse_from(["openrdms", "session", "show"]).is_err());
        assert!(Cli::try_parse_from(["openrdms", "session", "show", "1", "--user", "a"]).is_err());
        assert!(Cli::try_parse_from(["openrdms", "session", "show", "host", "1"]).is_ok());
        assert!(Cli::try_parse_from(["openrdms", "session", "show", "--uid", "x"]).is_ok());
    }
}
