//! The engine: the only caller of the broker's transition function. It saves what the function decides,
//! runs the effects, watches desktops and owns every timer of a session.
//!
//! It must never keep a truth of its own: what is in memory here (live connections, starts in flight) is
//! either about this process's own sockets or can be lost without anybody being told something wrong.
//!
//! Whoever drops a method that changes something leaves it where it was: what is durable stays, its effects run on by
//! themselves, and only the answer is lost. So no method is cancel-safe in the sense that nothing has happened.
//!
//! ```text
//! relay ──Front──▶ attach ─┐
//! providers ─▶ actions ────┤─▶ drive: load ▶ apply ▶ save (generation) ▶ effects
//! desktops (ended) ────────┘
//! ```

mod actions;
mod assignments;
mod attach;
mod audit;
mod collections;
mod connections;
mod desktops;
mod drive;
mod error;
mod failing;
mod jobs;
mod lease;
mod leg;
mod limits;
mod machines;
mod power;
mod recover;
mod turns;

pub use actions::Expected;
pub use collections::PREPARED_AT_ONCE;
pub use error::EngineError;
pub use jobs::{JobFilter, Told};
pub use limits::Warned;
pub use machines::{MachineChange, NewMachine};
pub use power::{Power, PowerState};

use connections::Connections;
use desktops::Starts;
use openrdms_broker::ports::{Host, Machines, Store};
use openrdms_broker::{NodeId, OperatorEvent, SessionUid, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::task::TaskTracker;
use turns::Turns;

/// Which node this is, and how long things may take.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// From the proved logon to the admission: FreeRDP gives up 9 s after Client Info, so the whole bind has
    /// 6 s, and the desktop leg's own handshake needs its part of that.
    pub attach_limit: Duration,
    /// How long a session's programs may take to end by themselves.
    pub logoff_grace: Duration,
    /// How long a management method may wait for the world.
    pub method_limit: Duration,
    /// This node.
    pub node: NodeId,
    /// How long this node's word for its host holds. With the renewal it is the time until the sessions of a
    /// host that is gone are Lost.
    pub lease: Duration,
    /// How often it is given anew, and how often others' are looked at.
    pub lease_renewal: Duration,
    /// How often machines are asked whether they answer.
    pub ask_machines: Duration,
    /// How long this node's word for a machine holds that has answered.
    pub machine_lease: Duration,
    /// How long a session is kept whose machine has closed the connection, and to which nobody comes back: it has
    /// most likely ended, which nobody here can know.
    pub closed_kept: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            attach_limit: Duration::from_millis(4500),
            logoff_grace: Duration::from_secs(5),
            method_limit: Duration::from_secs(30),
            node: NodeId(uuid::Uuid::new_v4()),
            lease: Duration::from_secs(3),
            lease_renewal: Duration::from_secs(1),
            ask_machines: Duration::from_secs(2),
            machine_lease: Duration::from_secs(4),
            closed_kept: Duration::from_secs(15 * 60),
        }
    }
}

/// Brokers sessions on one node. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    /// The host that this node runs on.
    host: Arc<dyn Host>,
    machines: machines::Known,
    config: EngineConfig,
    connections: Connections,
    starts: Starts,
    /// To make or throw away the files of a desktop.
    files: Turns,
    failing: failing::Failing,
    /// To change the power of a desktop.
    turns: Turns,
    jobs: jobs::Jobs,
    inputs: Mutex<HashMap<SessionUid, Timestamp>>,
    /// Counts committed changes of sessions, so that waiting is on a condition.
    commits: watch::Sender<u64>,
    /// Nobody waits for whoever listens: a listener that is too slow loses the oldest.
    events: broadcast::Sender<OperatorEvent>,
    /// Audit records that wait for the store.
    audits_waiting: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// How many operator events a listener may be behind.
const EVENTS_KEPT: usize = 1024;

impl Engine {
    /// An engine on this store and host, without machines. Call [`Engine::recover`] before the first connection.
    pub fn new(store: Arc<dyn Store>, host: Arc<dyn Host>, config: EngineConfig) -> Self {
        Self::made(store, host, None, config)
    }

    /// The same, which leads clients to machines too.
    pub fn with_machines(
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        machines: Arc<dyn Machines>,
        config: EngineConfig,
    ) -> Self {
        Self::made(store, host, Some(machines), config)
    }

    fn made(
        store: Arc<dyn Store>,
        host: Arc<dyn Host>,
        machines: Option<Arc<dyn Machines>>,
        config: EngineConfig,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                host,
                machines: machines::Known::new(machines),
                config,
                connections: Connections::default(),
                starts: Starts::default(),
                files: Turns::default(),
                failing: failing::Failing::default(),
                turns: Turns::default(),
                jobs: jobs::Jobs::default(),
                inputs: Mutex::default(),
                commits: watch::Sender::new(0),
                events: broadcast::Sender::new(EVENTS_KEPT),
                audits_waiting: Arc::new(Semaphore::new(audit::WAITING)),
                tasks: TaskTracker::new(),
            }),
        }
    }

    /// The store that holds the truth.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The host that this node runs on.
    pub fn host(&self) -> &Arc<dyn Host> {
        &self.inner.host
    }

    /// What happens to users from now on. A receiver that is too slow loses the oldest and is told how many.
    pub fn events(&self) -> broadcast::Receiver<OperatorEvent> {
        self.inner.events.subscribe()
    }

    /// Tells operators: the log always, and whoever listens.
    pub(crate) fn tell(&self, event: OperatorEvent) {
        let kind = event.event;
        tracing::info!(id = event.id, event = kind.name(), user = %event.user, session = event.session_id,
            desktop = event.desktop, client = event.client, reason = event.reason, "operator event");
        // an error says that nobody listens
        let _ = self.inner.events.send(event);
    }

    /// The time by the system's clock.
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// When the session's user last gave input, as this node has seen it.
    pub fn last_input(&self, session: SessionUid) -> Option<Timestamp> {
        self.inner.inputs.lock().ok()?.get(&session).copied()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
