//! What every command takes: where the service is, and how to print.

use crate::cli::remote::Fingerprint;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

const GLOBAL: &str = "Global options";

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Configuration file [default: /etc/openrdms/openrdms.toml, which may be absent]
    #[arg(long, global = true, env = "OPENRDMS_CONFIG", hide_env_values = true, value_name = "FILE")]
    #[arg(help_heading = GLOBAL)]
    pub(crate) config: Option<PathBuf>,
    /// Unix socket of the service on this machine [env: OPENRDMS_SOCKET] [default: as configured]
    #[arg(long, global = true, value_name = "PATH", help_heading = GLOBAL)]
    #[arg(conflicts_with_all = ["server", "context"])]
    pub(crate) socket: Option<PathBuf>,
    /// Service on another machine: https://HOST[:5986]
    #[arg(long, global = true, value_name = "URL", help_heading = GLOBAL, conflicts_with = "context")]
    pub(crate) server: Option<String>,
    /// Context to use: see `openrdms context` [env: OPENRDMS_CONTEXT]
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    pub(crate) context: Option<String>,
    /// Account on the other machine; its password is asked for, or read from the file that
    /// OPENRDMS_PASSWORD_FILE names
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    pub(crate) username: Option<String>,
    /// SHA-256 fingerprint of the other machine's certificate: accept this one and no other
    #[arg(long, global = true, value_name = "HEX", help_heading = GLOBAL)]
    pub(crate) certificate_sha256: Option<Fingerprint>,
    /// Accept a certificate that nobody vouches for, and remember it
    #[arg(long, global = true, help_heading = GLOBAL, conflicts_with = "certificate_sha256")]
    pub(crate) trust_on_first_use: bool,
    /// How to print: tables for people, json and csv with every property for programs
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, help_heading = GLOBAL)]
    pub(crate) output: Format,
    /// Only these columns of a list, by heading or property name, separated by commas
    #[arg(long, global = true, value_name = "A,B", value_delimiter = ',', help_heading = GLOBAL)]
    pub(crate) columns: Vec<String>,
}

/// How to print. The variants have no help of their own, so that everybody's help stays short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    // more columns, and nothing is cut
    Wide,
    // one document, every property by name
    Json,
    // every property by name
    Csv,
}
