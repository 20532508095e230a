//! The OpenRDMS binary: the service, its command line, and the two small programs inside a local desktop.

mod cli;
mod config;
mod serve;

use cli::Failure;
use cli::args::{Cli, Command, ConfigCommand};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::manual::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => {
            // help and version come this way too, with exit code 0
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // inside a desktop there is no configuration to read and no runtime to start
    match &cli.command {
        Command::DesktopSupervisor { args } => return exit(openrdms_host_local::supervisor::main(args)),
        Command::DesktopMessage => return exit(openrdms_host_local::message_window::main()),
        Command::Serve(_)
        | Command::Session(_)
        | Command::Collection(_)
        | Command::Desktop(_)
        | Command::Host(_)
        | Command::Node(_)
        | Command::User(_)
        | Command::Audit(_)
        | Command::Cim(_)
        | Command::Context(_)
        | Command::Completion { .. }
        | Command::Man { .. }
        | Command::Config(_) => {}
    }
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            use std::io::Write as _;
            if !failure.message.is_empty() {
                let _ = writeln!(std::io::stderr(), "openrdms: {}", cli::printable(&failure.message));
            }
            ExitCode::from(failure.exit)
        }
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn run(cli: Cli) -> Result<(), Failure> {
    let mut env: Vec<(String, String)> = std::env::vars_os().filter_map(text_pair).collect();
    if let Command::Serve(args) = &cli.command
        && let Some(dir) = &args.data_dir
    {
        let dir = std::path::absolute(dir)?;
        env.push(("OPENRDMS_NODE_DATA_DIR".into(), dir.to_string_lossy().into_owned()));
    }
    // these are about the program itself, whatever the configuration
    match &cli.command {
        Command::Completion { shell } => return cli::manual::completion(*shell),
        Command::Man { dir } => return cli::manual::man(dir.as_deref()),
        _ => {}
    }
    let config = config::load(cli.global.config.as_deref(), env)
        .map_err(|error| Failure::usage(format!("the configuration has mistakes:\n{error}")))?;
    match &cli.command {
        Command::Serve(args) => runtime(tokio::runtime::Builder::new_multi_thread())?
            .block_on(serve::run(config, args.ready_file.as_deref()))
            .map_err(|error| Failure::failed(format!("{error:#}"))),
        Command::Config(ConfigCommand::Check) => say("the configuration is valid\n"),
        Command::Config(ConfigCommand::Show) => say(&config.to_toml()),
        Command::Session(_)
        | Command::Collection(_)
        | Command::Desktop(_)
        | Command::Host(_)
        | Command::Node(_)
        | Command::User(_)
        | Command::Audit(_)
        | Command::Cim(_)
        | Command::Context(_) => {
            runtime(tokio::runtime::Builder::new_current_thread())?.block_on(cli::run(&cli, &config))
        }
        Command::Completion { .. }
        | Command::Man { .. }
        | Command::DesktopSupervisor { .. }
        | Command::DesktopMessage => Ok(()),
    }
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
