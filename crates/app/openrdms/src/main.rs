//! The OpenRDMS binary: the service, its command line, and the two small programs inside a local desktop.

mod cli;
mod private_file;
mod serve;

use cli::Failure;
use cli::args::{Cli, Command, ConfigCommand};
use openrdms_config::Config;
use std::ffi::OsString;
use std::process::ExitCode;

/// Gives memory back when sessions are quiet; how soon stands in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match cli::manual::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // help and version come this way too, with exit code 0
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&cli) {
        Ok(exit) => exit,
        Err(failure) => {
            use std::io::Write as _;
            if !failure.message.is_empty() {
                let _ = writeln!(std::io::stderr(), "openrdms: {}", cli::printable(&failure.message));
            }
            ExitCode::from(failure.exit)
        }
    }
}

fn run(cli: &Cli) -> Result<ExitCode, Failure> {
    match &cli.command {
        // inside a desktop there is no configuration to read and no runtime to start
        Command::DesktopSupervisor { args } => return Ok(exit(openrdms_host_local::supervisor::main(args))),
        Command::DesktopMessage => return Ok(exit(openrdms_host_local::message_window::main())),
        // these are about the program itself, whatever the configuration
        Command::Completion { shell } => cli::manual::completion(*shell)?,
        Command::Man { dir } => cli::manual::man(dir.as_deref())?,
        Command::Config(ConfigCommand::Check) => {
            configuration(cli)?;
            say("the configuration is valid\n")?;
        }
        Command::Config(ConfigCommand::Show) => say(&configuration(cli)?.to_toml())?,
        Command::Serve(args) => runtime(tokio::runtime::Builder::new_multi_thread())?
            .block_on(serve::run(configuration(cli)?, args.ready_file.as_deref()))
            .map_err(|error| Failure::failed(format!("{error:#}")))?,
        Command::Session(_)
        | Command::Collection(_)
        | Command::Desktop(_)
        | Command::Assignment(_)
        | Command::App(_)
        | Command::Setting(_)
        | Command::Job(_)
        | Command::Export
        | Command::Import(_)
        | Command::Host(_)
        | Command::Node(_)
        | Command::User(_)
        | Command::Audit(_)
        | Command::Cim(_)
        | Command::Context(_) => {
            let config = configuration(cli)?;
            runtime(tokio::runtime::Builder::new_current_thread())?.block_on(cli::run(cli, &config))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The configuration, with what the command line says of it.
fn configuration(cli: &Cli) -> Result<Config, Failure> {
    let mut env: Vec<(String, String)> = std::env::vars_os().filter_map(text_pair).collect();
    if let Command::Serve(args) = &cli.command
        && let Some(dir) = &args.data_dir
    {
        let dir = std::path::absolute(dir)?;
        env.push(("OPENRDMS_NODE_DATA_DIR".into(), dir.to_string_lossy().into_owned()));
    }
    openrdms_config::load(cli.global.config.as_deref(), env)
        .map_err(|error| Failure::usage(format!("the configuration has mistakes:\n{error}")))
}

fn text_pair((name, value): (OsString, OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

fn runtime(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no runtime could be started: {error}")))
}

fn say(text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
