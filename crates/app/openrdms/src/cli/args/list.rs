//! What every list takes.

use clap::{Args, value_parser};
use std::time::Duration;

/// Whether a list goes on.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Watching {
    /// Then tell every change, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How often to look for changes: 1 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch")]
    #[arg(value_parser = value_parser!(u64).range(1..=3600))]
    every: u64,
}

impl Watching {
    /// How long to wait before each further look; `None`: one look is all.
    pub(crate) fn every(self) -> Option<Duration> {
        self.watch.then(|| Duration::from_secs(self.every))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::args::Cli;
    use clap::{CommandFactory as _, Parser as _};

    /// Every command that lists, `audit` and `cim` aside, which do not call themselves so.
    fn lists() -> Vec<String> {
        let command = Cli::command();
        let has_list = |c: &&clap::Command| c.find_subcommand("list").is_some();
        command.get_subcommands().filter(has_list).map(|c| c.get_name().to_owned()).collect()
    }

    fn parses(words: &str) -> bool {
        Cli::try_parse_from(["openrdms"].into_iter().chain(words.split(' '))).is_ok()
    }

    #[test]
    fn every_list_of_the_service_can_be_watched() {
        let lists = lists();
        assert!(lists.len() >= 10, "{lists:?}");
        for of in lists {
            // contexts are of this machine: nobody else changes them
            assert_eq!(parses(&format!("{of} list --watch")), of != "context", "{of}");
            // sessions tell of themselves, so that nobody looks every so often
            let polled = of != "context" && of != "session";
            assert_eq!(parses(&format!("{of} list --watch --every 1")), polled, "{of}");
        }
    }

    #[test]
    fn how_often_is_said_within_reason_and_only_of_a_watch() {
        assert!(parses("user list --watch --every 3600"));
        for wrong in ["user list --every 2", "user list --watch --every 0", "user list --watch --every 3601"]
        {
            assert!(!parses(wrong), "{wrong}");
        }
    }
}
