//! Measuring tools behind `script/bench`, each a subcommand that prints one line of JSON: a store filled with
//! sessions, clients that time what they do, the same for us and for peers, and what stands at either end of a relay.

mod fill;
mod http;
mod load;
mod rdp;
mod tls;

use anyhow::Result;
use clap::{Args, Parser};
use openrdms_auth::{KeepNtHash, NodeKey, passwords::make_credentials};
use openrdms_broker::UserName;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The allocator of the service, whose part `rdp-service` plays.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// Hash passwords as accounts keep them
    Hash {
        /// An empty directory
        dir: PathBuf,
        /// How many times
        #[arg(long)]
        count: usize,
    },
    /// Be a desktop; says {} when clients may come
    RdpDesktop {
        /// The socket to make
        socket: PathBuf,
        /// Its certificate, PEM
        #[arg(long)]
        certificate: PathBuf,
        /// Its key, PEM
        #[arg(long)]
        private_key: PathBuf,
    },
    /// Be the service in front of that desktop; says its address
    RdpService(rdp::service::Settings),
    /// Connect and leave, one client after the other
    RdpConnect {
        #[command(flatten)]
        target: rdp::load::Target,
        /// How many times
        #[arg(long)]
        count: usize,
    },
    /// Fetch output
    RdpTransfer {
        #[command(flatten)]
        target: rdp::load::Target,
        /// How much, in bytes
        #[arg(long)]
        bytes: u64,
        /// By how many clients
        #[arg(long)]
        connections: usize,
    },
    /// Have connections with output for a time, say how much there was, and keep them until standard input ends
    RdpHold {
        #[command(flatten)]
        target: rdp::load::Target,
        /// How many
        #[arg(long)]
        connections: usize,
        /// How long there is output
        #[arg(long)]
        seconds: u64,
    },
    /// Connect and leave, many clients at once
    RdpComeAndGo {
        #[command(flatten)]
        target: rdp::load::Target,
        /// How many users there are
        #[arg(long)]
        users: usize,
        /// How long
        #[arg(long)]
        seconds: u64,
    },
    /// Watch a busy desktop and be disconnected
    RdpDisconnect {
        #[command(flatten)]
        target: rdp::load::Target,
        /// How many times
        #[arg(long)]
        count: usize,
        /// Where the method is called
        #[arg(long)]
        management: String,
        /// The server's certificate, PEM
        #[arg(long)]
        certificate: PathBuf,
        /// The file with `user:password` for Basic authentication
        #[arg(long)]
        credentials: PathBuf,
        /// The file with the request
        #[arg(long)]
        body: PathBuf,
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

#[tokio::main]
async fn main() -> Result<()> {
    let figures = match Command::parse() {
        Command::Fill { data_dir, sessions } => fill::run(&data_dir, sessions).await?,
        Command::Enumerate { target, resource, max_elements, rounds } => {
            load::enumerate(&mut target.connect()?, &resource, max_elements, rounds)?
        }
        Command::Repeat { target, body, count } => {
            let body = body.map(std::fs::read).transpose()?;
            load::repeat(&mut target.connect()?, body.as_deref(), count)?
        }
        Command::Hash { dir, count } => hash(&dir, count)?,
        Command::RdpDesktop { socket, certificate, private_key } => {
            rdp::desktop::run(&socket, &certificate, &private_key, || say(&json!({}))).await?;
            return Ok(());
        }
        Command::RdpService(settings) => {
            return rdp::service::run(&settings, |address| say(&json!({ "address": address }))).await;
        }
        Command::RdpConnect { target, count } => rdp::load::connect(&target, count).await?,
        Command::RdpTransfer { target, bytes, connections } => {
            rdp::load::transfer(&target, bytes, connections).await?
        }
        Command::RdpHold { target, connections, seconds } => {
            let until_input_ends = |figures| {
                say(&figures);
                // an error ends the waiting as well
                let _ = std::io::stdin().read_to_end(&mut Vec::new());
            };
            rdp::load::hold(&target, connections, Duration::from_secs(seconds), until_input_ends).await?
        }
        Command::RdpComeAndGo { target, users, seconds } => {
            rdp::load::come_and_go(&target, users, Duration::from_secs(seconds)).await?
        }
        Command::RdpDisconnect { target, count, management, certificate, credentials, body } => {
            let credentials = std::fs::read(credentials)?;
            let management = http::Client::connect(&management, &certificate, Some(&credentials))?;
            rdp::load::disconnect(&target, count, management, &std::fs::read(body)?).await?
        }
    };
    say(&figures);
    Ok(())
}

fn hash(dir: &Path, count: usize) -> Result<Value> {
    let key = NodeKey::load_or_create(&dir.join("node.key"))?;
    let user = UserName::new("BENCH", "alice")?;
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        make_credentials(&key, &user, "a password", KeepNtHash::Never)?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    Ok(json!({ "seconds": seconds }))
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn say(figures: &Value) {
    println!("{figures}");
}

impl Target {
    fn connect(&self) -> Result<http::Client> {
        let credentials = self.credentials.as_ref().map(std::fs::read).transpose()?;
        http::Client::connect(&self.url, &self.certificate, credentials.as_deref())
    }
}
