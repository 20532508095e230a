//! The service as far as a connection meets it: engine, store and relay as `openrdms serve` puts them together, with a
//! host whose desktops are all one that runs already. Any password is good.

use anyhow::{Context, Result};
use openrdms_broker::ports::{Host, HostError, LogonEnd, Prepared, StartDesktop, Store};
use openrdms_broker::{
    Account, Collection, CollectionAlias, Credentials, DesktopHandle, DesktopName, Endpoint, HostName, Role,
    Timestamp, UserName,
};
use openrdms_engine::{Engine, EngineConfig};
use openrdms_relay::{
    Authenticator, Credssp, CredsspFailure, CredsspStep, LogonFailure, Relay, RelayConfig, SecurityPolicy,
    SharedIdentity, TlsIdentity, pin,
};
use openrdms_store::SqliteStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

const DEPLOYMENT: &str = "BENCH";
/// First of the uids that accounts get; nothing runs as them.
const UIDS: u32 = 1_900_000_000;

/// What to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Where the store is
    #[arg(long)]
    data_dir: PathBuf,
    /// The desktop's socket
    #[arg(long)]
    desktop: PathBuf,
    /// The desktop's certificate, PEM
    #[arg(long)]
    desktop_certificate: PathBuf,
    /// The certificate that clients see, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// Its key, PEM
    #[arg(long)]
    private_key: PathBuf,
    /// How many users there are, `user0` and so on, and as many desktops
    #[arg(long)]
    users: u32,
    /// Pass on what is inside of TLS, whatever it is, and do nothing else
    #[arg(long)]
    tls_alone: bool,
}

/// A host that has nothing to do.
struct Standing {
    name: HostName,
    endpoint: Endpoint,
    certificate_sha256: [u8; 32],
}

struct Everybody;

struct Nobody;

/// Serves until the process ends. `ready` is told the address.
pub(crate) async fn run(settings: &Settings, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let chain = CertificateDer::pem_file_iter(&settings.certificate)?.collect::<Result<Vec<_>, _>>()?;
    let identity = TlsIdentity::new(chain, PrivateKeyDer::from_pem_file(&settings.private_key)?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    if settings.tls_alone {
        ready(address);
        return pass_on(settings, &identity, listener).await;
    }
    let stop = CancellationToken::new();
    let engine = engine(settings, &stop).await?;
    let config = RelayConfig { security: SecurityPolicy { nla: false, tls: true }, ..RelayConfig::default() };
    let relay = Relay::new(config, SharedIdentity::new(identity), Arc::new(engine), Arc::new(Everybody));
    ready(address);
    relay.serve(listener, stop).await;
    Ok(())
}

async fn engine(settings: &Settings, stop: &CancellationToken) -> Result<Engine> {
    let sqlite = SqliteStore::open(&settings.data_dir).await.context("opening the store")?;
    let store: Arc<dyn Store> = Arc::new(sqlite);
    let engine = Engine::new(store.clone(), Arc::new(Standing::new(settings)?), EngineConfig::default());
    engine.recover().await?;
    let (lease, limits) = (engine.clone(), engine.clone());
    let (lease_stop, limits_stop) = (stop.clone(), stop.clone());
    tokio::spawn(async move { lease.run_lease(lease_stop).await });
    tokio::spawn(async move { limits.run_limits(limits_stop).await });

    for number in 0..settings.users {
        let user = UserName::new(DEPLOYMENT, &format!("user{number}"))?;
        let credentials = Credentials { password_hash: String::new(), sealed_nt_hash: None };
        let account = Account { user, role: Role::User, credentials, uid: 0, created: Timestamp(0) };
        store.insert_account(&account, UIDS..=UIDS + settings.users).await?;
    }
    let alias = CollectionAlias::new("bench")?;
    engine
        .create_collection(Collection { size: settings.users, ..Collection::new(alias, Timestamp(0)) })
        .await?;
    Ok(engine)
}

/// TLS on both legs as the relay has it, and nothing in between.
async fn pass_on(settings: &Settings, identity: &TlsIdentity, listener: TcpListener) -> Result<()> {
    let acceptor = TlsAcceptor::from(identity.config());
    let pinned = sha256(&settings.desktop_certificate)?;
    loop {
        let (tcp, _) = listener.accept().await?;
        let (acceptor, desktop) = (acceptor.clone(), settings.desktop.clone());
        tokio::spawn(async move {
            tcp.set_nodelay(true)?;
            let mut client = acceptor.accept(tcp).await?;
            let plain = UnixStream::connect(desktop).await?;
            // made for each leg, as the relay does it
            let connector = TlsConnector::from(Arc::new(pin::client_config(pinned)?));
            let mut desktop = connector.connect(ServerName::try_from("desktop")?, plain).await?;
            // an error is how a client goes
            let _ = copy_bidirectional(&mut client, &mut desktop).await;
            anyhow::Ok(())
        });
    }
}

fn sha256(certificate: &Path) -> Result<[u8; 32]> {
    let der = CertificateDer::from_pem_file(certificate)?;
    Ok(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der).as_ref().try_into()?)
}

impl Standing {
    fn new(settings: &Settings) -> Result<Self> {
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self {
            name: HostName::new("bench")?,
            endpoint: Endpoint::Unix { path: settings.desktop.clone(), uid },
            certificate_sha256: sha256(&settings.desktop_certificate)?,
        })
    }
}

#[async_trait::async_trait]
impl Host for Standing {
    fn name(&self) -> &HostName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "bench"
    }

    fn boot_id(&self) -> &str {
        "1"
    }

    async fn prepare(&self, _: &DesktopName) -> Result<Prepared, HostError> {
        Ok(Prepared { certificate_sha256: self.certificate_sha256 })
    }

    async fn start(&self, _: StartDesktop) -> Result<DesktopHandle, HostError> {
        Ok(DesktopHandle { pid: 1, start_time: 1, boot_id: "1".to_owned(), endpoint: self.endpoint.clone() })
    }

    async fn ended(&self, _: &DesktopName, _: &DesktopHandle) -> LogonEnd {
        std::future::pending().await
    }

    async fn running(&self, _: &DesktopHandle) -> bool {
        true
    }

    async fn logoff(&self, _: &DesktopName, _: &DesktopHandle, _: Duration) -> Result<(), HostError> {
        Err(HostError::NotSupported("log off"))
    }

    async fn message(&self, _: &DesktopName, _: &DesktopHandle, _: &str, _: &str) -> Result<(), HostError> {
        Err(HostError::NotSupported("show messages"))
    }

    async fn remove(&self, _: &DesktopName) -> Result<(), HostError> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl Authenticator for Everybody {
    async fn password(
        &self,
        _: &str,
        user: &str,
        _: Zeroizing<String>,
        _: IpAddr,
    ) -> Result<UserName, LogonFailure> {
        UserName::new(DEPLOYMENT, user).map_err(|_| LogonFailure::Denied)
    }

    fn credssp(&self, _: &[u8], _: IpAddr) -> Box<dyn Credssp> {
        Box::new(Nobody)
    }
}

#[async_trait::async_trait]
impl Credssp for Nobody {
    async fn step(&mut self, _: &[u8]) -> Result<CredsspStep, CredsspFailure> {
        Err(CredsspFailure { reply: None, message: "not offered".to_owned() })
    }
}
