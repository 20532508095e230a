//! Measuring tools behind `script/bench`, each a subcommand that prints one line of JSON: a store filled with
//! sessions, and a client that times requests on one kept-alive TLS connection, the same for us and for peers.

mod fill;
mod http;
mod load;

use anyhow::Result;
use clap::{Args, Parser};
use std::path::PathBuf;

#[derive(Debug, Parser)]
enum Command {
    /// Put so many sessions into the store of a data directory whose service does not run
    Fill {
        /// The data directory
        data_dir: PathBuf,
        /// How many
        sessions: u32,
    },
    /// Enumerate a class, batch by batch, several times
    Enumerate {
        #[command(flatten)]
        target: Target,
        /// The resource URI of the class
        #[arg(long)]
        resource: String,
        /// Most instances in one reply
        #[arg(long, default_value_t = 1000)]
        max_elements: usize,
        /// How many times
        #[arg(long)]
        rounds: usize,
    },
    /// Send the same request again and again; without a body it is a GET
    Repeat {
        #[command(flatten)]
        target: Target,
        /// The file with the body
        #[arg(long)]
        body: Option<PathBuf>,
        /// How many times
        #[arg(long)]
        count: usize,
    },
}

/// Where to send requests.
#[derive(Debug, Args)]
struct Target {
    /// `https://ADDRESS:PORT/PATH`
    url: String,
    /// The server's certificate, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// The file with `user:password` for Basic authentication
    #[arg(long)]
    credentials: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn main() -> Result<()> {
    let figures = match Command::parse() {
        Command::Fill { data_dir, sessions } => fill::run(&data_dir, sessions)?,
        Command::Enumerate { target, resource, max_elements, rounds } => {
            load::enumerate(&mut target.connect()?, &resource, max_elements, rounds)?
        }
        Command::Repeat { target, body, count } => {
            let body = body.map(std::fs::read).transpose()?;
            load::repeat(&mut target.connect()?, body.as_deref(), count)?
        }
    };
    println!("{figures}");
    Ok(())
}

impl Target {
    fn connect(&self) -> Result<http::Client> {
        let credentials = self.credentials.as_ref().map(std::fs::read).transpose()?;
        http::Client::connect(&self.url, &self.certificate, credentials.as_deref())
    }
}
