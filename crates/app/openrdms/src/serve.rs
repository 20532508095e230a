//! `openrdms serve`: puts the parts together, opens the doors, and waits for signals.

mod accounts;
mod certificates;
mod changes;
mod hook;
pub(crate) mod identity;
mod local_socket;
mod passed;
mod uids;
mod watchdog;

use accounts::Accounts;
use anyhow::{Context as _, Result, bail, ensure};
use certificates::Certificates;
use openrdms_auth::{KeepNtHash, LocalAccounts, NodeKey, PasswordChecker, Realm, RecentProofs};
use openrdms_broker::HostName;
use openrdms_broker::ports::Store;
use openrdms_config::Config;
use openrdms_engine::{Engine, EngineConfig};
use openrdms_host_local::{LocalConfig, LocalHost, Network};
use openrdms_host_machines::RdpMachines;
use openrdms_management::{PeerPolicy, PushTo, Server, Tls};
use openrdms_rdms::Rdms;
use openrdms_relay::{Relay, RelayConfig, SecurityPolicy, SharedIdentity, TlsIdentity};
use openrdms_store::SqliteStore;
use passed::Passed;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many password checks may wait for a worker; more are shed.
const WAITING_CHECKS: usize = 64;

/// How long the stop waits for management methods that are running.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(15);

/// How long the stop waits for the store to take the host's lease back; it runs out by itself otherwise.
const LEASE_STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(3);

/// How long the stop waits for the store to be one file; where it is not, the next start makes up for it.
const STORE_STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the service until it is told to stop.
pub(crate) async fn run(config: Config, ready_file: Option<&Path>) -> Result<()> {
    start_log(&config)?;
    make_dir(&config.data_dir, 0o711)?;
    let _only = lock(&config.data_dir)?;
    let identity = identity::load(&config)?;
    let https = Tls::new(identity.server_config()?);
    let relay_identity = SharedIdentity::new(TlsIdentity::new(identity.chain, identity.key)?);

    let sqlite = Arc::new(SqliteStore::open(&config.data_dir).await.context("opening the store")?);
    let store: Arc<dyn Store> = sqlite.clone();
    let host = Arc::new(local_host(&config)?);
    let engine_config = EngineConfig {
        logoff_grace: config.local.logoff_grace,
        node: identity::node(&config.data_dir)?,
        ask_machines: config.machines.ask_every,
        // at least as long as two machines may take to answer
        machine_lease: (config.machines.ask_every * 2).max(std::time::Duration::from_secs(4)),
        closed_kept: config.machines.closed_kept,
        ..EngineConfig::default()
    };
    let engine = Engine::with_machines(store.clone(), host, Arc::new(RdpMachines), engine_config);

    let key_file = config.data_dir.join("node.key");
    let key = Arc::new(NodeKey::load_or_create(&key_file)?);
    accounts::look_at_seals(&*store, &key, &key_file).await.context("reading the accounts")?;
    let workers = NonZeroUsize::new(config.accounts.password_workers).unwrap_or(NonZeroUsize::MIN);
    let checker = PasswordChecker::new(workers, WAITING_CHECKS)?;
    let keep = if config.accounts.keep_nt_hash { KeepNtHash::Sealed } else { KeepNtHash::Never };
    let realm = Realm { deployment: config.deployment_name.clone(), computer: config.host_name.clone() };
    let recent = Arc::new(RecentProofs::new()?);
    let accounts = Arc::new(Accounts { local: LocalAccounts { store, key, checker, realm, recent }, keep });

    let uids = config.local.uid_first..=config.local.uid_first.saturating_add(config.local.uid_count - 1);
    if rustix::process::geteuid().is_root() {
        uids::check(&uids)?;
    }
    let rdms = Rdms::new(engine.clone(), accounts.clone(), config.deployment_name.clone(), uids)?;
    let limits = openrdms_management::Config {
        machine: config.host_name.clone(),
        push_to: Arc::new(PushTo::parse(&config.management.push_to)?),
        ..Default::default()
    };
    let server = Server::new(Arc::new(rdms), accounts.clone(), limits);

    // every door is open before anybody is told, and no door before the sessions are true
    let (adopted, ended) = engine.recover().await.context("looking after the sessions of before")?;
    if adopted + ended > 0 {
        tracing::info!(adopted, ended, "sessions of before were looked after");
    }
    let (doors, _socket) = Doors::open(&config).await?;
    let addresses = doors.addresses(&config)?;
    let stop = CancellationToken::new();
    let security = SecurityPolicy { nla: config.rdp.nla, tls: config.rdp.tls };
    let mut relay_config = RelayConfig { security, ..RelayConfig::default() };
    relay_config.limits.unauthenticated = config.rdp.max_handshakes;
    // one address may not take every place
    relay_config.limits.unauthenticated_per_address = (config.rdp.max_handshakes / 4).max(1);
    let relay = Relay::new(relay_config, relay_identity.clone(), Arc::new(engine.clone()), accounts);
    let mut tasks = doors.serve(&relay, &server, &https, &stop);

    // outside of `tasks`: the host's lease is given back when everything else has ended
    let lease_stop = CancellationToken::new();
    let mut lease = tokio::spawn({
        let (engine, stop) = (engine.clone(), lease_stop.clone());
        async move { engine.run_lease(stop).await }
    });

    let forgetting = changes::run(engine.store().clone(), config.changes.clone(), stop.child_token());
    tasks.spawn(async move {
        forgetting.await;
        Ok(())
    });

    let (limits, limits_stop) = (engine.clone(), stop.child_token());
    tasks.spawn(async move {
        limits.run_limits(limits_stop).await;
        Ok(())
    });

    let (jobs, jobs_stop) = (engine.clone(), stop.child_token());
    tasks.spawn(async move {
        jobs.run_jobs(jobs_stop).await;
        Ok(())
    });

    let listening = engine.events();
    let hook = tokio::spawn(hook::run(config.events.clone(), listening, stop.child_token()));

    // before anybody is told: whoever hears that we are ready may stop us at once
    let signals = Signals::take()?;
    announce(&addresses, ready_file)?;
    watchdog::ready();
    let outcome = tokio::select! {
        () = signals.stop(Certificates::new(&config, &relay_identity, &https)) => Ok(()),
        ended = tasks.join_next() => Err(match ended {
            Some(Ok(Err(error))) => error.context("an essential task ended"),
            _ => anyhow::anyhow!("an essential task ended by itself"),
        }),
        never = watchdog::run() => match never {},
        ended = &mut lease => Err(match ended {
            Ok(Err(error)) => anyhow::Error::from(error).context("the host's lease"),
            _ => anyhow::anyhow!("the host's lease ended by itself"),
        }),
        () = sqlite.writer_ended() => Err(anyhow::anyhow!("the store's writer ended by itself")),
    };
    tracing::info!("stopping; desktops keep running");
    watchdog::stopping();
    stop.cancel();
    let _ = hook.await;
    while tasks.join_next().await.is_some() {}
    if tokio::time::timeout(STOP_LIMIT, server.subscriptions_ended()).await.is_err() {
        tracing::warn!("not all subscribers were told of the stop");
    }
    // methods run on when their caller has gone: a logoff that was begun is finished and audited
    if tokio::time::timeout(STOP_LIMIT, server.methods_ended()).await.is_err() {
        tracing::warn!("methods were still running at the stop");
    }
    lease_stop.cancel();
    if !lease.is_finished() && tokio::time::timeout(LEASE_STOP_LIMIT, lease).await.is_err() {
        tracing::warn!("the host's lease was not given back in time");
    }
    if tokio::time::timeout(STORE_STOP_LIMIT, sqlite.close()).await.is_err() {
        tracing::warn!("the store was not closed in time: a copy of it needs openrdms.sqlite-wal too");
    }
    outcome
}

fn start_log(config: &Config) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log.level).with_context(|| {
        format!("[log] level: '{}' is not a filter such as info or debug", config.log.level)
    })?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if config.log.json {
        log.json().init()
    } else {
        log.with_ansi(false).init()
    }
    Ok(())
}

/// One service a data directory: two would both believe that they own the desktops.
fn lock(data_dir: &Path) -> Result<std::fs::File> {
    let path = data_dir.join("lock");
    // nobody else may hold it: whoever can open a file can lock it
    let open = || {
        let file = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        Ok::<_, std::io::Error>(file)
    };
    let file = open().with_context(|| format!("opening the lock {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        anyhow::anyhow!(
            "another openrdms serves {}: stop it, or choose another data directory",
            data_dir.display()
        )
    })?;
    Ok(file)
}

/// Makes a directory and its parents, and sets the mode of the last one.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<()> {
    let make = || {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    make().with_context(|| format!("making the directory {}", path.display()))
}

fn local_host(config: &Config) -> Result<LocalHost> {
    let binary = std::env::current_exe().context("finding the program's own file")?;
    let name = HostName::new(&config.host_name)?;
    let mut local = LocalConfig::new(name, config.data_dir.clone(), binary);
    if !config.local.session_command.is_empty() {
        local.session_command.clone_from(&config.local.session_command);
    }
    local.network = if config.local.outbound_network { Network::Outbound } else { Network::None };
    local.max_starting = config.local.max_starting;
    local.start_timeout = config.local.start_timeout;
    local.grace = config.local.logoff_grace;
    local.build().context("local desktops cannot be had")
}

/// The listeners, open and not yet served.
struct Doors {
    rdp: Vec<TcpListener>,
    http: Option<TcpListener>,
    https: Option<TcpListener>,
    socket: UnixListener,
}

/// What the service can be told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Doors {
    /// Opens them all. The Unix socket goes away with what comes beside them.
    async fn open(config: &Config) -> Result<(Self, local_socket::Made)> {
        let mut passed = Passed::take()?;
        let mut rdp = passed.named("rdp");
        if rdp.is_empty() {
            for address in &config.rdp.listen {
                rdp.push(listen(*address).await?);
            }
        }
        let mut optional = [None, None];
        let configured = [("http", config.management.http), ("https", config.management.https)];
        for (door, (name, address)) in optional.iter_mut().zip(configured) {
            *door = match (passed.named(name), address) {
                (mut one, _) if one.len() == 1 => one.pop(),
                (none, Some(address)) if none.is_empty() => Some(listen(address).await?),
                (none, None) if none.is_empty() => None,
                (several, _) => bail!("{} listeners '{name}' were passed: one is enough", several.len()),
            };
        }
        let [http, https] = optional;
        passed.none_left()?;
        if let Some(listener) = &http {
            let address = listener.local_addr()?;
            ensure!(
                address.ip().is_loopback(),
                "http was to listen on {address}: without TLS only on loopback"
            );
        }
        let (socket, made) = local_socket::listen(&config.management.socket).await?;
        Ok((Self { rdp, http, https, socket }, made))
    }

    fn addresses(&self, config: &Config) -> Result<serde_json::Value> {
        let of = |listener: &Option<TcpListener>, scheme: &str| -> Result<Option<String>> {
            let Some(listener) = listener else { return Ok(None) };
            Ok(Some(format!("{scheme}://{}/wsman", listener.local_addr()?)))
        };
        let rdp = self.rdp.first().map(TcpListener::local_addr).transpose()?.map(|a| a.to_string());
        Ok(serde_json::json!({
            "rdp": rdp,
            "wsman_http": of(&self.http, "http")?,
            "wsman_https": of(&self.https, "https")?,
            "socket": config.management.socket,
        }))
    }

    fn serve(
        self,
        relay: &Relay,
        server: &Server,
        tls: &Tls,
        stop: &CancellationToken,
    ) -> JoinSet<Result<()>> {
        let mut tasks = JoinSet::new();
        for listener in self.rdp {
            let (relay, stop) = (relay.clone(), stop.child_token());
            tasks.spawn(async move {
                relay.serve(listener, stop).await;
                Ok(())
            });
        }
        for (listener, tls) in [(self.http, None), (self.https, Some(tls.clone()))] {
            let Some(listener) = listener else { continue };
            let (server, stop) = (server.clone(), stop.child_token());
            tasks.spawn(async move { Ok(server.serve_tcp(listener, tls, stop).await?) });
        }
        let (server, stop) = (server.clone(), stop.child_token());
        let policy: PeerPolicy = Arc::new(accounts::socket_peer);
        tasks.spawn(async move {
            server.serve_unix(self.socket, policy, stop).await;
            Ok(())
        });
        tasks
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let opened = if address.is_ipv6() { listen_v6_only(address) } else { TcpListener::bind(address).await };
    opened.with_context(|| format!("listening on {address}"))
}

/// `[::]` without the IPv4 addresses, so that it can stand beside `0.0.0.0`.
fn listen_v6_only(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None)?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

fn announce(addresses: &serde_json::Value, ready_file: Option<&Path>) -> Result<()> {
    tracing::info!(%addresses, "ready");
    if let Some(path) = ready_file {
        crate::private_file::write(path, addresses.to_string().as_bytes())?;
    }
    Ok(())
}

impl Signals {
    /// From now on they no longer end the process by themselves, and none is lost.
    fn take() -> Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; SIGHUP reads the certificate again.
    async fn stop(mut self, mut certificates: Certificates<'_>) {
        let mut looks = tokio::time::interval(certificates::LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => certificates.read_again(),
                _ = looks.tick() => certificates.look(),
            }
        }
    }
}
