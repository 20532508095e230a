//! What is timed.

use super::client::{Client, Clients, Door, Speech, is_ultimatum, read_frame};
use super::orders::{Order, PONG, pattern};
use crate::http;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A pause in which what the last client left behind is put away, so that it is not in the next one's figure.
const SETTLE: Duration = Duration::from_millis(150);
/// Nothing that is measured takes as long.
const LONG: Duration = Duration::from_secs(60);
/// Clients that come at once.
const AT_ONCE: usize = 16;

/// Where clients go, and as whom.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Target {
    /// `ADDRESS:PORT` of a relay, or the socket of a desktop
    door: String,
    /// Begin with TLS, as peers have it that know nothing of RDP
    #[arg(long)]
    tls: bool,
    /// The user; with several clients a number follows
    #[arg(long, default_value = "user")]
    user: String,
    /// The file with the password
    #[arg(long)]
    password: Option<std::path::PathBuf>,
}

/// The clients of a target.
struct Group {
    clients: Clients,
    user: String,
    password: String,
}

impl Target {
    fn group(&self) -> Result<Group> {
        let speech = if self.tls { Speech::Tls } else { Speech::Rdp };
        let Ok(door) = self.door.parse::<Door>();
        let password = self.password.as_ref().map(std::fs::read_to_string).transpose()?;
        let password = password.as_deref().unwrap_or("none").trim().to_owned();
        Ok(Group { clients: Clients::new(door, speech)?, user: self.user.clone(), password })
    }
}

impl Group {
    async fn one(&self) -> Result<Client> {
        timeout(LONG, self.clients.connect(&self.user, &self.password)).await?
    }

    async fn numbered(&self, number: usize) -> Result<Client> {
        let user = format!("{}{number}", self.user);
        timeout(LONG, self.clients.connect(&user, &self.password)).await?
    }
}

/// Times from the first packet to Demand Active, one client after the other.
pub(crate) async fn connect(target: &Target, count: usize) -> Result<Value> {
    let group = target.group()?;
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        let client = group.one().await?;
        seconds.push(begun.elapsed().as_secs_f64());
        drop(client);
        sleep(SETTLE).await;
    }
    Ok(json!({ "seconds": seconds }))
}

/// Fetches about `bytes` from the desktop over `connections` clients together.
pub(crate) async fn transfer(target: &Target, bytes: u64, connections: usize) -> Result<Value> {
    let group = target.group()?;
    let mut clients = Vec::new();
    for number in 0..connections {
        let mut client = group.numbered(number).await?;
        // the first megabytes make everything warm
        fetch(&mut client, 64 << 20).await?;
        clients.push(client);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let share = bytes / connections as u64;
        tasks.spawn(async move { fetch(&mut client, share).await });
    }
    let mut total = 0;
    while let Some(fetched) = tasks.join_next().await {
        total += fetched??;
    }
    Ok(
        json!({ "bytes": total, "warmed": connections * (64 << 20), "seconds": begun.elapsed().as_secs_f64() }),
    )
}

async fn fetch(client: &mut Client, bytes: u64) -> Result<u64> {
    let one = pattern().len() as u64;
    let patterns = bytes.div_ceil(one);
    client.order(Order::Patterns(patterns)).await?;
    let mut left = patterns * one;
    let mut buffer = vec![0; 256 << 10];
    while left > 0 {
        let n = client.stream.read(&mut buffer).await? as u64;
        ensure!(n > 0 && n <= left, "{n} bytes where {left} were to come");
        left -= n;
    }
    Ok(patterns * one)
}

/// Opens connections that have heavy output for some time and none afterwards. `quiet` is called then; they stay
/// open until it returns.
pub(crate) async fn hold(
    target: &Target,
    connections: usize,
    output: Duration,
    quiet: impl FnOnce(Value),
) -> Result<Value> {
    let group = Arc::new(target.group()?);
    let (next, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let mut opening = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (group, next) = (group.clone(), next.clone());
        opening.spawn(async move {
            let mut clients = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= connections {
                    return anyhow::Ok(clients);
                }
                clients.push(ping(group.numbered(number).await?).await?);
            }
        });
    }
    let mut clients = Vec::new();
    while let Some(opened) = opening.join_next().await {
        clients.extend(opened??);
    }
    let mut reading = JoinSet::new();
    for mut client in clients {
        let received = received.clone();
        reading.spawn(async move {
            client.order(Order::Stream(output)).await?;
            let mut buffer = vec![0; 16 << 10];
            loop {
                let n = client.stream.read(&mut buffer).await?;
                ensure!(n > 0, "a connection was closed");
                received.fetch_add(n as u64, Ordering::Relaxed);
            }
        });
    }
    sleep(output).await;
    let mut before = 0;
    while before != received.load(Ordering::Relaxed) {
        before = received.load(Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
    }
    let figures = json!({ "connections": connections, "bytes": before });
    tokio::task::block_in_place(|| quiet(figures));
    // only one that was closed has ended
    if let Some(ended) = reading.try_join_next() {
        let nothing: Result<()> = ended?;
        nothing?;
    }
    Ok(json!({ "held": reading.len() }))
}

async fn ping(mut client: Client) -> Result<Client> {
    client.order(Order::Ping).await?;
    let answer = read_frame(&mut client.stream).await?;
    ensure!(answer == PONG, "a ping was answered by {answer:02x?}");
    Ok(client)
}

/// How many clients come and are served in so much time. They come from `users`, in turn, so that nobody comes
/// before their last connection is put away.
pub(crate) async fn come_and_go(target: &Target, users: usize, time: Duration) -> Result<Value> {
    let group = Arc::new(target.group()?);
    let next = Arc::new(AtomicUsize::new(0));
    let run = |until: Until| {
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (group, next) = (group.clone(), next.clone());
            tasks.spawn(async move {
                let mut served = 0;
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if until.is_over(number) {
                        return anyhow::Ok(served);
                    }
                    ping(group.numbered(number % users).await?).await?;
                    served += 1;
                }
            });
        }
        tasks
    };
    // everybody has a session afterwards
    let mut first = run(Until::Number(users));
    while let Some(served) = first.join_next().await {
        served??;
    }
    sleep(SETTLE).await;
    next.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let mut tasks = run(Until::Time(begun + time));
    let mut served = 0;
    while let Some(more) = tasks.join_next().await {
        served += more??;
    }
    Ok(json!({ "before": users, "served": served, "seconds": begun.elapsed().as_secs_f64() }))
}

#[derive(Clone, Copy)]
enum Until {
    Number(usize),
    Time(Instant),
}

impl Until {
    fn is_over(self, number: usize) -> bool {
        match self {
            Until::Number(count) => number >= count,
            Until::Time(end) => Instant::now() >= end,
        }
    }
}

/// Has a client that watches a busy desktop disconnected again and again: how long the method takes, by the caller's
/// clock. The client closes as soon as it is told, so what is timed is the server's part.
pub(crate) async fn disconnect(
    target: &Target,
    count: usize,
    mut management: http::Client,
    message: &[u8],
) -> Result<Value> {
    /// So much output that the screen must be busy.
    const BUSY: usize = 256 << 10;
    let group = target.group()?;
    let (mut seconds, mut told) = (Vec::with_capacity(count), 0);
    for _ in 0..count {
        let mut client = group.one().await?;
        client.activate().await?;
        let mut seen = 0;
        while seen < BUSY {
            seen += timeout(LONG, read_frame(&mut client.stream)).await.context("there is no output")??.len();
        }
        let watching = tokio::spawn(async move {
            loop {
                let frame = read_frame(&mut client.stream).await?;
                if is_ultimatum(&frame) {
                    return anyhow::Ok(());
                }
            }
        });
        let begun = Instant::now();
        let answer = tokio::task::block_in_place(|| management.request(Some(message)).map(<[u8]>::to_vec))?;
        seconds.push(begun.elapsed().as_secs_f64());
        if !String::from_utf8_lossy(&answer).contains("ReturnValue>0<") {
            bail!("Disconnect answered {}", String::from_utf8_lossy(&answer));
        }
        told += usize::from(watching.is_finished());
        watching.await?.context("the client was not told")?;
        sleep(SETTLE).await;
    }
    Ok(json!({ "seconds": seconds, "gone_at_the_answer": told }))
}
