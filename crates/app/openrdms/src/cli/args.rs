//! What can be typed.

pub(crate) mod cim;
pub(crate) mod context;
pub(crate) mod deployment;
pub(crate) mod global;
pub(crate) mod list;
pub(crate) mod session;
pub(crate) mod time;

pub(crate) use cim::CimCommand;
pub(crate) use context::ContextCommand;
pub(crate) use deployment::{
    App, AppCommand, AssignmentCommand, ImportArgs, JobCommand, Owner, SettingCommand, SettingType,
};
pub(crate) use global::{Format, Global};
pub(crate) use list::Watching;
pub(crate) use session::{Act, Fixed, Narrow, SessionCommand, Target};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// Remote desktops for Linux: any RDP client gets a desktop that keeps running when the client goes.
#[derive(Debug, Parser)]
#[command(name = "openrdms", version, propagate_version = true, disable_help_subcommand = true)]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(ServeArgs),
    /// List sessions, and disconnect, log off or message them
    #[command(subcommand, arg_required_else_help = true)]
    Session(SessionCommand),
    /// Make, list and delete collections of desktops
    #[command(subcommand, arg_required_else_help = true)]
    Collection(CollectionCommand),
    /// List desktops, start, pause and stop them, and say whose they are
    #[command(subcommand, arg_required_else_help = true)]
    Desktop(DesktopCommand),
    /// List who owns which desktop
    #[command(subcommand, arg_required_else_help = true)]
    Assignment(AssignmentCommand),
    /// List, offer and withdraw applications
    #[command(subcommand, arg_required_else_help = true)]
    App(AppCommand),
    /// List, read and write settings of the deployment, of collections and of hosts
    #[command(subcommand, arg_required_else_help = true)]
    Setting(SettingCommand),
    /// Show, begin and cancel long work on collections
    #[command(subcommand, arg_required_else_help = true)]
    Job(JobCommand),
    /// Print collections, desktops, machines, applications, settings and more as one file
    ///
    /// Assignments and servers that were joined by name are in it too, and accounts are named. It does not hold
    /// passwords, entries that scripts keep in collections (KeyValueCompareAndSet), jobs and updates, sessions, homes
    /// and the audit trail.
    Export,
    /// Make collections, desktops, machines, applications, settings and more as a file says
    ///
    /// It adds and changes and removes nothing; where the file has a mistake it does nothing at all. Accounts and hosts
    /// that are not there are told, and what the file says of them is left out.
    Import(ImportArgs),
    /// List hosts and drain them; add, change and remove machines
    #[command(subcommand, arg_required_else_help = true)]
    Host(HostCommand),
    /// List nodes, and drain them
    #[command(subcommand, arg_required_else_help = true)]
    Node(NodeCommand),
    /// Add, list and delete local accounts
    #[command(subcommand, arg_required_else_help = true)]
    User(UserCommand),
    /// Show who did what to whom, newest first
    Audit(AuditArgs),
    /// Look at any management class, and call its methods
    #[command(subcommand, arg_required_else_help = true)]
    Cim(CimCommand),
    /// Remember other servers, and choose one
    #[command(subcommand, arg_required_else_help = true)]
    Context(ContextCommand),
    /// Check or show the configuration
    #[command(subcommand, arg_required_else_help = true)]
    Config(ConfigCommand),
    /// Print what makes a shell complete these commands
    Completion {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for every command
    #[command(hide = true)]
    Man {
        /// Write them into this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
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
        /// Whom its desktops are for
        #[arg(long, value_enum, default_value_t = KindArg::Pooled)]
        kind: KindArg,
        /// Throw away what a user writes when the session ends
        #[arg(long)]
        rollback: bool,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Make another desktop in a collection
    Add {
        /// Its alias
        alias: String,
        /// The desktop's name
        desktop: String,
    },
    /// Remove a desktop that has no session; homes are kept
    Remove {
        /// Its alias
        alias: String,
        /// The desktop's name
        desktop: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// List collections
    List(Watching),
    /// Show one collection
    Show {
        /// Its alias
        alias: String,
    },
    /// Show or change how long its sessions may last; changes hold for running sessions too
    Limits {
        /// Its alias
        alias: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Change who may use a collection; sessions that there are go on
    Change {
        /// Its alias
        alias: String,
        /// Who may use it from now on; may be repeated
        #[arg(long = "user", value_name = "NAME", required_unless_present = "everybody")]
        users: Vec<String>,
        /// Every account may
        #[arg(long, conflicts_with = "users")]
        everybody: bool,
    },
    /// Delete a collection that has no session; homes are kept
    Delete {
        /// Its alias
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
    #[arg(long, value_name = "TIME", value_parser = time::limit)]
    pub(crate) idle_limit: Option<u32>,
    /// How long a client may be attached without a break
    #[arg(long, value_name = "TIME", value_parser = time::limit)]
    pub(crate) active_limit: Option<u32>,
    /// How long a session may be without a client before it is logged off
    #[arg(long, value_name = "TIME", value_parser = time::limit)]
    pub(crate) disconnected_limit: Option<u32>,
    /// What the idle and the active limit do
    #[arg(long, value_enum)]
    pub(crate) limit_action: Option<LimitActionArg>,
    /// How long before those two the user is warned on the screen; at most half of the limit
    #[arg(long, value_name = "TIME", value_parser = time::limit)]
    pub(crate) limit_warning: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitActionArg {
    /// Take the client away; the desktop keeps running
    Disconnect,
    /// End the session and its programs
    Logoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// Whoever comes gets a free one
    Pooled,
    /// Each user has their own, which an administrator assigns
    Personal,
    /// Each user has their own, from the first logon on
    AutoPersonal,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DesktopCommand {
    /// List desktops
    List {
        /// Only those of this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
        /// Only those of this host
        #[arg(long, value_name = "NAME")]
        host: Option<String>,
        #[command(flatten)]
        watching: Watching,
    },
    /// Let a paused desktop run on, or start one for its owner
    Start {
        /// Its name
        name: String,
    },
    /// Freeze a desktop: it keeps its memory and computes nothing
    Pause {
        /// Its name
        name: String,
    },
    /// Log off whoever is logged on
    Stop {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Make a user the owner of a desktop of a personal collection
    Assign {
        /// Its name
        name: String,
        /// Whose it becomes
        user: String,
    },
    /// Take a desktop from its owner
    Unassign {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// List hosts
    List(Watching),
    /// Add a machine that speaks RDP already; it has to answer, and its certificate is pinned
    Add {
        /// What it is called
        name: String,
        #[command(flatten)]
        machine: MachineArgs,
    },
    /// Change a machine; what is not given stays as it is. One that leaves its collection is nobody's desktop any more
    Change {
        /// Its name
        name: String,
        #[command(flatten)]
        machine: MachineArgs,
        /// Take it out of its collection
        #[arg(long, conflicts_with = "collection")]
        no_collection: bool,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Remove a machine that has no sessions
    Remove {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Take no new sessions on a host; those it has stay, and their users can come back
    Drain {
        /// Its name
        name: String,
    },
    /// Take new sessions again
    Undrain {
        /// Its name
        name: String,
    },
}

/// What is said of a machine.
#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Where its RDP server is [default: its name, port 3389]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) address: Option<String>,
    /// SHA-256 of the certificate that it has to show [default: of the one that it shows when it is added]
    #[arg(long, value_name = "HEX")]
    pub(crate) pin: Option<String>,
    /// The collection that it is for
    #[arg(long, value_name = "ALIAS")]
    pub(crate) collection: Option<String>,
    /// What it is told of who connects: the name (ask), or the password too (forward) [default: ask]
    #[arg(long, value_name = "HOW", value_parser = ["ask", "forward"])]
    pub(crate) logon: Option<String>,
    /// How many sessions it holds at once [default: 999999]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) session_limit: Option<u32>,
    /// How many sessions it is given beside others: twice the weight, twice as many [default: 100]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) weight: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List nodes
    List(Watching),
    /// Begin no new sessions for clients of a node; those that are there stay, and their users can come back
    Drain {
        /// Its key, as `node list` shows it
        id: String,
    },
    /// Begin new sessions again
    Undrain {
        /// Its key, as `node list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Add a local account
    Add {
        /// Its name
        name: String,
        /// What it may do beyond its own sessions
        #[arg(long, value_enum, default_value_t = RoleArg::User)]
        role: RoleArg,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// List local accounts
    List(Watching),
    /// Set a password
    Passwd {
        /// Whose
        name: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Delete an account that has no session; its homes are kept
    Delete {
        /// Its name
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

/// Which records of the audit trail.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only what ended since then: how long ago (2h, 7d), or a time (2026-05-01T08:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = time::since)]
    pub(crate) since: Option<time::Since>,
    /// Only what this one did: an account, DOMAIN\account, uid:0 or policy
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Only this action: Disconnect, or in full OpenRDMS_Session.Disconnect
    #[arg(long, value_name = "NAME")]
    pub(crate) action: Option<String>,
    /// At most so many; 0: all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether the configuration is valid
    Check,
    /// Print every key with the value in force
    Show,
}
