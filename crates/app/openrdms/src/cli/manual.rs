//! Help, manual pages and completion: all made of the same commands, examples and exit codes.

mod examples;

use super::Failure;
use super::args::Cli;
use super::failure::EXITS;
use super::output::print;
use clap::{Command, CommandFactory as _, FromArgMatches as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::ffi::OsString;
use std::path::Path;

/// The commands, with examples and exit codes in their help.
pub(crate) fn command() -> Command {
    let codes: Vec<String> = EXITS.iter().map(|(code, means)| format!("{code} {means}")).collect();
    let about = format!("Exit codes: {}.", codes.join(", "));
    with_examples(Cli::command(), &mut Vec::new()).after_help(about)
}

fn with_examples(mut command: Command, path: &mut Vec<String>) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        path.push(name.clone());
        command = command.mut_subcommand(name, |inner| with_examples(inner, path));
        path.pop();
    }
    match examples::of(&path.join(" ")) {
        [] => command,
        lines => {
            let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
            command.after_help(format!("Examples:{lines}"))
        }
    }
}

/// What was typed.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(asking(words.into_iter().collect()))?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// `openrdms help session list` is `openrdms session list --help`. A command of its own would be in every list, and have
/// manual pages.
fn asking(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Prints a script that completes these commands.
pub(crate) fn completion(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "openrdms", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the whole, or writes one for every command into a directory.
pub(crate) fn man(dir: Option<&Path>) -> Result<(), Failure> {
    let mut command = command().disable_help_flag(true);
    command.build();
    let Some(dir) = dir else {
        return print(&String::from_utf8_lossy(&page(&command, "")?));
    };
    std::fs::create_dir_all(dir)?;
    write_pages(&command, &mut Vec::new(), dir)
}

fn write_pages(command: &Command, path: &mut Vec<String>, dir: &Path) -> Result<(), Failure> {
    // `openrdms-session-list`, as building the command has named it
    let name = command.get_display_name().unwrap_or(command.get_name());
    std::fs::write(dir.join(format!("{name}.1")), page(command, &path.join(" "))?)?;
    for inner in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        path.push(inner.get_name().to_owned());
        write_pages(inner, path, dir)?;
        path.pop();
    }
    Ok(())
}

fn page(command: &Command, path: &str) -> Result<Vec<u8>, Failure> {
    let has_subcommands = command.get_subcommands().any(|c| !c.is_hide_set());
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if let lines @ [_, ..] = examples::of(path) {
        rest.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in lines {
            rest.text([roman(*line)]);
        }
        rest.control("fi", []);
    }
    rest.control("SH", ["EXIT STATUS"]);
    for (code, means) in EXITS {
        rest.control("TP", []).text([bold(code.to_string())]).text([roman(means)]);
    }
    rest.to_writer(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests;
