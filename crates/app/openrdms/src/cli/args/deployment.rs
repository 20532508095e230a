//! `openrdms assignment …`, `app …`, `setting …`, `job …`, `export` and `import`, as they are typed.

use super::{Watching, time};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum AssignmentCommand {
    /// List whose the desktops of personal collections are
    List {
        /// Only those of this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
        /// Only this user's: an account, or DOMAIN\account
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        #[command(flatten)]
        watching: Watching,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Offer an application, or change one that is offered; what is not given stays as it is
    Publish {
        #[command(flatten)]
        app: App,
        /// The program; has to be given for a new one
        #[arg(long, value_name = "PATH")]
        path: Option<String>,
        /// What people call it [default: the alias]
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Where users find it
        #[arg(long, value_name = "TEXT")]
        folder: Option<String>,
        /// Arguments that it is always started with
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        arguments: Option<String>,
    },
    /// List applications that collections offer
    List {
        /// Only those of this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
        #[command(flatten)]
        watching: Watching,
    },
    /// Show everything known of one application
    Show {
        #[command(flatten)]
        app: App,
    },
    /// Offer an application no longer; its file types go with it
    Withdraw {
        #[command(flatten)]
        app: App,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

/// An application of a collection.
#[derive(Debug, Args)]
pub(crate) struct App {
    /// The collection that offers it
    #[arg(value_name = "COLLECTION")]
    pub(crate) collection: String,
    /// Its alias
    #[arg(value_name = "APP")]
    pub(crate) alias: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingCommand {
    /// List settings that were written, of everybody or of one owner
    List {
        #[command(flatten)]
        owner: Owner,
        #[command(flatten)]
        watching: Watching,
    },
    /// Print a setting, of the deployment if no owner is given
    Get {
        /// Its name
        name: String,
        #[command(flatten)]
        owner: Owner,
    },
    /// Write a setting, of the deployment if no owner is given
    Set {
        /// Its name
        name: String,
        /// Its value; a list has several
        #[arg(required = true, allow_negative_numbers = true)]
        values: Vec<String>,
        /// What it is
        #[arg(long = "type", value_enum, default_value_t = SettingType::Text)]
        ty: SettingType,
        #[command(flatten)]
        owner: Owner,
    },
    /// Remove a setting, of the deployment if no owner is given
    Unset {
        /// Its name
        name: String,
        #[command(flatten)]
        owner: Owner,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// List jobs that are open or ended not long ago
    List {
        /// Only those of this collection
        #[arg(long, value_name = "ALIAS")]
        collection: Option<String>,
        #[command(flatten)]
        watching: Watching,
    },
    /// Show how far a job is, and each of its steps
    Show {
        /// Its identifier, as `job list` shows it
        job: String,
        /// Print the report as the service has it
        #[arg(long)]
        xml: bool,
    },
    /// Begin a job that adds and removes desktops
    Run {
        /// What is to be done, as XML; -: standard input
        file: PathBuf,
        /// Wait for its end; one that is not completed is a failure. Ctrl-C ends the waiting only
        #[arg(long)]
        wait: bool,
    },
    /// Begin no more steps of a job; what it has made stays
    Cancel {
        /// Its identifier, as `job list` shows it
        job: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Log off, by a deadline, who is in a desktop from before an update of the software
    Update {
        /// Alias of the collection
        alias: String,
        /// Sessions that began before are to end: how far ahead (2h), or a time [default: now]
        #[arg(long, value_name = "TIME", value_parser = time::when)]
        start: Option<time::When>,
        /// Until when they may end by themselves: how far ahead (2h), or a time (2026-05-01T08:00:00Z)
        #[arg(long, value_name = "TIME", value_parser = time::when)]
        deadline: time::When,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Show the update of a collection that is open, or was last
    ShowUpdate {
        /// Alias of the collection
        alias: String,
    },
    /// Call off an update; who was logged off stays so
    CancelUpdate {
        /// Alias of the collection
        alias: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
}

/// Whose a setting is.
#[derive(Debug, Args)]
pub(crate) struct Owner {
    /// Of this collection
    #[arg(long, value_name = "ALIAS", conflicts_with = "host")]
    pub(crate) collection: Option<String>,
    /// Of this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SettingType {
    /// Text
    Text,
    /// A whole number
    Number,
    /// Texts in order; the deployment's only
    List,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What `openrdms export` printed; -: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) force: bool,
}
