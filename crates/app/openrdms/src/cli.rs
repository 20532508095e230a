//! The command line: a WS-Management client of the service on this machine, through its Unix socket.

pub(crate) mod args;
mod collection;
mod desktop;
mod failure;
mod host;
mod node;
mod output;
mod remote;
mod session;
mod user;

pub(crate) use failure::Failure;

use crate::config::Config;
use args::{Cli, Command};
use output::Output;
use remote::Remote;

/// Runs a command that talks to the service.
pub(crate) async fn run(cli: &Cli, config: &Config) -> Result<(), Failure> {
    let socket = cli.socket.clone().unwrap_or_else(|| config.management.socket.clone());
    let remote = Remote::new(socket, config.deployment_name.clone());
    let output = Output::new(cli.output);
    match &cli.command {
        Command::Session(command) => session::run(command, &remote, &output).await,
        Command::Collection(command) => collection::run(command, &remote, &output).await,
        Command::Desktop(command) => desktop::run(command, &remote, &output).await,
        Command::Host(command) => host::run(command, &remote, &output).await,
        Command::Node(command) => node::run(command, &remote, &output).await,
        Command::User(command) => user::run(command, &remote, &output).await,
        Command::Serve(_)
        | Command::Config(_)
        | Command::DesktopSupervisor { .. }
        | Command::DesktopMessage => Err(Failure::usage("this command does not talk to the service")),
    }
}
