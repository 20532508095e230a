//! `openrdms context …`, as it is typed.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; `local` is the service on this machine
    List,
    /// Print the name of the one in use
    Current,
    /// Remember a server; --server, --username and --certificate-sha256 say which
    Add {
        /// Its name: letters, digits, - and _
        name: String,
        /// Read the password from this file instead of asking for it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Use this one from now on
    Use {
        /// Its name
        name: String,
    },
    /// Forget a context
    Remove {
        /// Its name
        name: String,
    },
    /// Forget the certificate that was accepted for a server on first use
    Distrust {
        /// HOST:PORT, as the refusal named it
        address: String,
    },
}
