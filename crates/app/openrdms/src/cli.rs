//! The command line: a WS-Management client of the service, through its Unix socket on the same machine and
//! through HTTPS from elsewhere.

mod app;
pub(crate) mod args;
mod assignment;
mod audit;
mod cim;
mod collection;
mod context;
mod deployment;
mod desktop;
mod failure;
mod host;
mod input;
mod job;
mod list;
pub(crate) mod manual;
mod node;
mod output;
mod remote;
mod session;
mod setting;
mod user;
mod watch;

pub(crate) use failure::Failure;

use args::{Cli, Command};
use openrdms_config::Config;
use output::Output;
use remote::Remote;

/// Lines of text without anything that a terminal would obey: part of them may come from a server.
pub(crate) fn printable(text: &str) -> String {
    text.lines().map(output::clean).collect::<Vec<_>>().join("\n")
}

/// Runs a command that talks to the service, or is about talking to it.
pub(crate) async fn run(cli: &Cli, config: &Config) -> Result<(), Failure> {
    let output = Output::new(&cli.global);
    let remote = || Remote::new(context::place(&cli.global, config)?);
    match &cli.command {
        Command::Session(command) => session::run(command, &remote()?, &output).await,
        Command::Collection(command) => collection::run(command, &remote()?, &output).await,
        Command::Desktop(command) => desktop::run(command, &remote()?, &output).await,
        Command::Assignment(command) => assignment::run(command, &remote()?, &output).await,
        Command::App(command) => app::run(command, &remote()?, &output).await,
        Command::Setting(command) => setting::run(command, &remote()?, &output).await,
        Command::Job(command) => job::run(command, &remote()?, &output).await,
        Command::Export => deployment::export(&remote()?).await,
        Command::Import(args) => deployment::import(args, &remote()?, &output).await,
        Command::Host(command) => host::run(command, &remote()?, &output).await,
        Command::Node(command) => node::run(command, &remote()?, &output).await,
        Command::User(command) => user::run(command, &remote()?, &output).await,
        Command::Audit(args) => audit::run(args, &remote()?, &output).await,
        Command::Cim(command) => cim::run(command, &mut remote()?, &output).await,
        Command::Context(command) => context::run(command, &cli.global, &output),
        Command::Serve(_)
        | Command::Config(_)
        | Command::Completion { .. }
        | Command::Man { .. }
        | Command::DesktopSupervisor { .. }
        | Command::DesktopMessage => Err(Failure::usage("this command does not talk to the service")),
    }
}
