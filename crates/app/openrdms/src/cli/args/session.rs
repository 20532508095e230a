//! `openrdms session …`, as it is typed.

use super::time;
use clap::{Args, Subcommand};

/// Whose sessions, and where: what never changes of a session.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Fixed {
    /// Only this user's: an account, or DOMAIN\account
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Only those on this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
    /// Only those in this collection
    #[arg(long, value_name = "ALIAS")]
    pub(crate) collection: Option<String>,
}

/// Which sessions: all that fit everything that is given.
#[derive(Debug, Default, Args)]
pub(crate) struct Narrow {
    #[command(flatten)]
    pub(crate) fixed: Fixed,
    /// Only those in this state: Starting, Active, Disconnected, LoggingOff or Lost
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(crate) state: Option<String>,
    /// Only those that began longer ago than this (the AGE in the list), such as 2h
    #[arg(long, value_name = "TIME", value_parser = time::span)]
    pub(crate) older_than: Option<u32>,
    /// Only those that have been in their present state for longer than this, such as 2h
    #[arg(long, value_name = "TIME", value_parser = time::span)]
    pub(crate) in_state_for: Option<u32>,
}

impl Narrow {
    /// Whether nothing is given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { fixed: Fixed { user, host, collection }, state, older_than, in_state_for } = self;
        [user, host, collection, state].iter().all(|f| f.is_none())
            && older_than.is_none()
            && in_state_for.is_none()
    }
}

/// Which sessions to watch.
#[derive(Debug, Args)]
pub(crate) struct Watched {
    #[command(flatten)]
    pub(crate) fixed: Fixed,
    /// Only those that are in this state, come into it or leave it
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(crate) state: Option<String>,
}

/// One session: by id, with the host before it where there are several; by its own key; or by what only it fits.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Session id, or host and session id
    #[arg(value_name = "[HOST] ID", num_args = 1..=2)]
    #[arg(conflicts_with_all = ["uid", "user", "host", "collection", "state", "older_than", "in_state_for"])]
    pub(crate) id: Vec<String>,
    /// The session with this key
    #[arg(long, value_name = "UID")]
    #[arg(conflicts_with_all = ["user", "host", "collection", "state", "older_than", "in_state_for"])]
    pub(crate) uid: Option<String>,
    #[command(flatten)]
    pub(crate) narrow: Narrow,
}

/// How to act on people's sessions.
#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Every session that fits, where several do
    #[arg(long, conflicts_with_all = ["id", "uid"])]
    pub(crate) all: bool,
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
    #[arg(long, value_name = "STATE", value_parser = state)]
    pub(crate) expect_state: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions
    List {
        #[command(flatten)]
        narrow: Narrow,
        /// Then tell every change, until Ctrl-C: the same as `session watch`
        // time passes without an event, so nobody would be told of who has become older than something
        #[arg(long, conflicts_with_all = ["older_than", "in_state_for"])]
        watch: bool,
    },
    /// List sessions, then tell every change until Ctrl-C
    Watch(Watched),
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

const STATES: [&str; 5] = ["Starting", "Active", "Disconnected", "LoggingOff", "Lost"];

fn state(text: &str) -> Result<String, String> {
    let found = STATES.iter().find(|s| s.eq_ignore_ascii_case(text));
    found.map(|s| (*s).to_owned()).ok_or_else(|| format!("it is one of {}", STATES.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::cli::args::Cli;
    use clap::Parser as _;

    #[test]
    fn a_session_is_named_or_narrowed_down_but_not_both() {
        let parses = |words: &str| {
            let line = ["openrdms", "session"].into_iter().chain(words.split(' '));
            Cli::try_parse_from(line).is_ok()
        };
        assert!(parses("show 1") && parses("show host 1") && parses("show --uid x"));
        assert!(parses("disconnect --user a --state disconnected --all"));
        for wrong in [
            "show 1 --user a",
            "show --uid x --host h",
            "show 1 2 3",
            "disconnect 1 --all",
            "disconnect --uid x --all",
            "list --state asleep",
            "list --older-than 5",
            "list --watch --older-than 2h",
            "list --watch --in-state-for 2h",
        ] {
            assert!(!parses(wrong), "{wrong}");
        }
    }
}
