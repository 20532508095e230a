//! An engine on a real store, with a host that does what the test says.
#![expect(clippy::unwrap_used, reason = "test support: a failure here fails the test")]

pub(crate) mod network;

use openrdms_broker::ports::front::ConnectionEnd;
use openrdms_broker::ports::{
    Admission, AttachRequest, Front as _, Home, Host, HostError, KillSwitch, LogonEnd, Prepared, Refusal,
    StartDesktop, Store, Told,
};
use openrdms_broker::{
    Account, Arrival, ClientFacts, Collection, ConnectionId, Cookie, Credentials, DesktopHandle, DesktopName,
    Endpoint, HostName, NodeId, Role, Route, Session, SessionUid, Timestamp, UserName,
};
use openrdms_engine::{Engine, EngineConfig};
use openrdms_store::SqliteStore;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

type Ends = HashMap<i32, watch::Sender<Option<LogonEnd>>>;

pub(crate) struct FakeHost {
    name: HostName,
    boot_id: String,
    next_pid: AtomicI32,
    ends: Mutex<Ends>,
    /// Who was started last in which desktop.
    started: Mutex<HashMap<DesktopName, (UserName, DesktopHandle)>>,
    /// What was prepared, in this order; as many as this may be.
    pub(crate) prepared: Mutex<Vec<DesktopName>>,
    pub(crate) may_prepare: watch::Sender<usize>,
    pub(crate) fail_preparing: Mutex<HashSet<String>>,
    /// The files that desktops have, with their certificates; those that are made anew have this one.
    pub(crate) files: Mutex<HashMap<DesktopName, [u8; 32]>>,
    pub(crate) certificate: Mutex<[u8; 32]>,
    /// Starts wait until this is true.
    pub(crate) may_start: watch::Sender<bool>,
    pub(crate) fail_starts: std::sync::atomic::AtomicBool,
    /// These never start.
    pub(crate) broken: Mutex<HashSet<String>>,
    /// The homes that desktops were started with.
    pub(crate) homes: Mutex<Vec<Home>>,
    /// What stands still, by process id.
    pub(crate) frozen: Mutex<HashSet<i32>>,
    /// Freezing waits until this is true.
    pub(crate) may_pause: watch::Sender<bool>,
    pub(crate) fail_pauses: std::sync::atomic::AtomicBool,
    /// Messages are shown once this is true.
    pub(crate) may_show: watch::Sender<bool>,
    pub(crate) messages: Mutex<Vec<String>>,
}

impl FakeHost {
    /// A host in some boot, with nothing running.
    pub(crate) fn new(name: &str, boot_id: &str) -> Arc<Self> {
        Arc::new(Self {
            name: HostName::new(name).unwrap(),
            boot_id: boot_id.to_owned(),
            next_pid: AtomicI32::new(1),
            ends: Mutex::default(),
            started: Mutex::default(),
            prepared: Mutex::default(),
            may_prepare: watch::Sender::new(usize::MAX),
            fail_preparing: Mutex::default(),
            files: Mutex::default(),
            certificate: Mutex::new([7; 32]),
            may_start: watch::Sender::new(true),
            fail_starts: false.into(),
            broken: Mutex::default(),
            homes: Mutex::default(),
            frozen: Mutex::default(),
            may_pause: watch::Sender::new(true),
            fail_pauses: false.into(),
            may_show: watch::Sender::new(true),
            messages: Mutex::default(),
        })
    }

    pub(crate) fn end(&self, handle: &DesktopHandle, end: LogonEnd) {
        self.ends.lock().unwrap()[&handle.pid].send_replace(Some(end));
    }

    pub(crate) fn started(&self) -> usize {
        self.ends.lock().unwrap().len()
    }
}

#[async_trait::async_trait]
impl Host for FakeHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "fake"
    }

    fn boot_id(&self) -> &str {
        &self.boot_id
    }

    async fn prepare(&self, name: &DesktopName) -> Result<Prepared, HostError> {
        let mut may = self.may_prepare.subscribe();
        let _ = may.wait_for(|may| self.prepared.lock().unwrap().len() < *may).await;
        if self.fail_preparing.lock().unwrap().contains(name.as_str()) {
            return Err(HostError::Failed("no room on the disk".into()));
        }
        self.prepared.lock().unwrap().push(name.clone());
        let new = *self.certificate.lock().unwrap();
        let certificate_sha256 = *self.files.lock().unwrap().entry(name.clone()).or_insert(new);
        // others may do something meanwhile
        tokio::task::yield_now().await;
        Ok(Prepared { certificate_sha256 })
    }

    async fn prepared(&self) -> Result<Vec<DesktopName>, HostError> {
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    async fn start(&self, start: StartDesktop) -> Result<DesktopHandle, HostError> {
        let _ = self.may_start.subscribe().wait_for(|may| *may).await;
        let broken = self.broken.lock().unwrap().contains(start.desktop.as_str());
        if broken || self.fail_starts.load(Ordering::SeqCst) {
            return Err(HostError::Failed("no such thing".into()));
        }
        let pid = self.next_pid.fetch_add(1, Ordering::SeqCst);
        self.ends.lock().unwrap().insert(pid, watch::Sender::new(None));
        let endpoint = Endpoint::Unix { path: "/nowhere".into(), uid: start.uid };
        let handle = DesktopHandle { pid, start_time: 1, boot_id: self.boot_id.clone(), endpoint };
        self.homes.lock().unwrap().push(start.home);
        self.started.lock().unwrap().insert(start.desktop, (start.user, handle.clone()));
        Ok(handle)
    }

    async fn found(&self, desktop: &DesktopName, user: &UserName) -> Option<DesktopHandle> {
        let (whose, handle) = self.started.lock().unwrap().get(desktop).cloned()?;
        (whose == *user && self.running(&handle).await).then_some(handle)
    }

    async fn ended(&self, _: &DesktopName, handle: &DesktopHandle) -> LogonEnd {
        let Some(mut end) = self.ends.lock().unwrap().get(&handle.pid).map(watch::Sender::subscribe) else {
            return LogonEnd::Vanished;
        };
        let end = end.wait_for(Option::is_some).await.unwrap();
        end.clone().unwrap()
    }

    async fn running(&self, handle: &DesktopHandle) -> bool {
        self.ends.lock().unwrap().get(&handle.pid).is_some_and(|end| end.borrow().is_none())
    }

    async fn logoff(&self, _: &DesktopName, handle: &DesktopHandle, _: Duration) -> Result<(), HostError> {
        if self.running(handle).await {
            self.end(handle, LogonEnd::Asked);
        }
        Ok(())
    }

    async fn message(
        &self,
        _: &DesktopName,
        _: &DesktopHandle,
        title: &str,
        text: &str,
    ) -> Result<(), HostError> {
        let _ = self.may_show.subscribe().wait_for(|may| *may).await;
        self.messages.lock().unwrap().push(format!("{title}: {text}"));
        Ok(())
    }

    async fn pause(&self, _: &DesktopName, handle: &DesktopHandle) -> Result<(), HostError> {
        let _ = self.may_pause.subscribe().wait_for(|may| *may).await;
        if !self.running(handle).await {
            return Err(HostError::NotRunning);
        }
        if self.fail_pauses.load(Ordering::SeqCst) {
            return Err(HostError::Failed("something does not stop".into()));
        }
        self.frozen.lock().unwrap().insert(handle.pid);
        Ok(())
    }

    async fn resume(&self, _: &DesktopName, handle: &DesktopHandle) -> Result<(), HostError> {
        if !self.running(handle).await {
            return Err(HostError::NotRunning);
        }
        self.frozen.lock().unwrap().remove(&handle.pid);
        Ok(())
    }

    async fn remove(&self, name: &DesktopName) -> Result<(), HostError> {
        tokio::task::yield_now().await;
        self.files.lock().unwrap().remove(name);
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) host: Arc<FakeHost>,
    pub(crate) dir: tempfile::TempDir,
}

/// Every engine is the same node, its lease outlives every test, and its users wait as long as it takes here.
pub(crate) fn config() -> EngineConfig {
    EngineConfig {
        attach_limit: Duration::from_secs(60),
        node: NodeId(Uuid::from_u128(1)),
        lease: Duration::from_secs(3600),
        ..EngineConfig::default()
    }
}

impl World {
    /// A deployment with alice and bob, and a collection `pool` of two desktops.
    pub(crate) async fn new() -> Self {
        Self::with(config()).await
    }

    /// One whose users give up soon, for tests of desktops that do not start.
    pub(crate) async fn impatient() -> Self {
        Self::with(EngineConfig { attach_limit: Duration::from_millis(400), ..config() }).await
    }

    async fn with(config: EngineConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = FakeHost::new("host", "boot-1");
        let engine = engine(&dir, host.clone(), config).await;
        add_users(engine.store()).await;
        let alias = openrdms_broker::CollectionAlias::new("pool").unwrap();
        engine
            .create_collection(Collection { size: 2, ..Collection::new(alias, Timestamp(0)) })
            .await
            .unwrap();
        engine.recover().await.unwrap();
        Self { engine, host, dir }
    }

    /// Another engine on the same store and host: the service was started anew.
    pub(crate) async fn restarted(&self) -> Engine {
        engine(&self.dir, self.host.clone(), config()).await
    }

    pub(crate) async fn attach(&self, name: &str) -> Result<Client, Refusal> {
        self.attach_to(name, Route::Default).await
    }

    pub(crate) async fn attach_to(&self, name: &str, route: Route) -> Result<Client, Refusal> {
        attach(&self.engine, name, route).await
    }

    pub(crate) async fn active(&self, name: &str) -> Client {
        self.active_in(name, "pool").await
    }

    /// Attached to a collection that is named.
    pub(crate) async fn active_in(&self, name: &str, alias: &str) -> Client {
        let mut client = self.attach_to(name, Route::Collection(alias.to_owned())).await.unwrap();
        client.activated().await.unwrap();
        client
    }

    pub(crate) async fn session(&self, uid: SessionUid) -> Session {
        self.engine.store().session(uid).await.unwrap().unwrap()
    }

    pub(crate) async fn handle(&self, uid: SessionUid) -> DesktopHandle {
        let session = self.session(uid).await;
        self.engine.store().desktop(&session.desktop).await.unwrap().unwrap().handle.unwrap()
    }
}

pub(crate) async fn attach(engine: &Engine, name: &str, route: Route) -> Result<Client, Refusal> {
    arrive(engine, name, route, Arrival::Person).await
}

pub(crate) async fn arrive(
    engine: &Engine,
    name: &str,
    route: Route,
    arrival: Arrival,
) -> Result<Client, Refusal> {
    let connection = ConnectionId(Uuid::new_v4());
    let client = ClientFacts { machine: "PC".into(), width: 800, height: 600, ..ClientFacts::default() };
    let request = AttachRequest { connection, user: user(name), route, arrival, client };
    Ok(Client::new(engine.attach(request).await?))
}

async fn engine(dir: &tempfile::TempDir, host: Arc<FakeHost>, config: EngineConfig) -> Engine {
    let store = SqliteStore::open(dir.path()).await.unwrap();
    Engine::with_machines(Arc::new(store), host, Arc::new(network::Network::default()), config)
}

/// alice, bob and carol.
pub(crate) async fn add_users(store: &Arc<dyn Store>) {
    for name in ["alice", "bob", "carol"] {
        let account = Account {
            user: user(name),
            role: Role::User,
            credentials: Credentials { password_hash: String::new(), sealed_nt_hash: None },
            uid: 0,
            created: Timestamp(0),
        };
        store.insert_account(&account, 1000..=1010).await.unwrap();
    }
}

pub(crate) fn user(name: &str) -> UserName {
    UserName::new("TEST", name).unwrap()
}

/// The relay's part of a connection.
pub(crate) struct Client {
    pub(crate) session: SessionUid,
    pub(crate) kill: KillSwitch,
    pub(crate) admission: Admission,
}

impl Client {
    fn new(admission: Admission) -> Self {
        Self { session: admission.session, kill: admission.kill.clone(), admission }
    }

    /// The desktop is there: the client has this cookie from now on.
    pub(crate) async fn activated(&mut self) -> Result<Cookie, Refusal> {
        let cookie = Cookie::new(*Uuid::new_v4().as_bytes());
        self.admission.attachment.activated(&cookie).await?;
        Ok(cookie)
    }

    /// Obeys the order to go, as a relay does, in the background.
    pub(crate) fn obey(self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            self.kill.wait().await;
            self.admission.attachment.closed(ConnectionEnd::Ordered(Told::Told)).await;
        })
    }

    /// The client's TCP goes away.
    pub(crate) async fn goes_away(self) {
        self.admission.attachment.closed(ConnectionEnd::ClientGone).await;
    }
}

/// Waits until a condition holds; a test that waits for what never comes fails here.
pub(crate) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "what was waited for did not come");
        tokio::time::sleep(Duration::from_millis(5)).await; // polls a condition
    }
}
