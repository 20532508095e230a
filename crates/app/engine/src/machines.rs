//! Machines: hosts whose system is somebody else's. They are named by administrators, asked every two seconds whether they
//! answer with the certificate that is pinned, and have this node's word for as long as they do.
//!
//! ```text
//! look    every two seconds at each: answers ▶ its lease is given anew, and what was lost with it comes back
//!         does not ▶ the lease runs out, and with it the machine gets no new sessions and those it has are Lost
//! ```
//!
//! What is kept in memory is what the store says of them, and whose word they have; both are looked at again each time.
//! Must never say that a logon on a machine has ended because nobody is connected to it: nobody here knows.

mod change;

pub use change::{MachineChange, NewMachine};

use crate::{Engine, EngineError, now};
use openrdms_broker::document::Stored;
use openrdms_broker::ports::{Host, HostError, Machines, Roomy, SessionFilter, Standing};
use openrdms_broker::session::EndReason;
use openrdms_broker::session::transition::Event;
use openrdms_broker::{
    Address, CollectionAlias, Desktop, DesktopName, HostName, Intake, Machine, MachineStart, Session, State,
    Timestamp, UserName,
};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

const PAGE: u32 = 500;
/// How long a machine may take to answer after somebody was told to start it.
const START_TAKES: Duration = Duration::from_secs(600);
/// Why a session has ended that no client had seen.
const UNDER_WAY: &str = "the service stopped while its client was on its way";

/// The machines that this node knows, by name in lower case.
pub(crate) struct Known {
    port: Option<Arc<dyn Machines>>,
    machines: RwLock<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    machine: Machine,
    host: Arc<dyn Host>,
    word: Word,
    /// It is being asked, and has not answered yet.
    asked: bool,
}

/// What this node's word for a machine was the last time that it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// It was not asked yet.
    Unknown,
    /// It answers, and this node vouches for it.
    Given,
    /// It does not answer.
    Silent,
    /// Another node vouches for it.
    Others,
}

impl Known {
    pub(crate) fn new(port: Option<Arc<dyn Machines>>) -> Self {
        Self { port, machines: RwLock::default() }
    }

    fn port(&self) -> Result<&Arc<dyn Machines>, HostError> {
        self.port.as_ref().ok_or(HostError::NotSupported("have machines"))
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<String, Entry>) -> T) -> T {
        f(&mut self.machines.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn find(&self, name: &HostName) -> Option<Entry> {
        let machines = self.machines.read().unwrap_or_else(PoisonError::into_inner);
        machines.get(&key(name)).cloned()
    }

    fn all(&self) -> Vec<Entry> {
        self.machines.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn is_empty(&self) -> bool {
        self.machines.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes down how it went; answers how it was before, where the machine is still known.
    fn note(&self, name: &HostName, word: Word) -> Option<Word> {
        self.with(|machines| {
            machines.get_mut(&key(name)).map(|entry| std::mem::replace(&mut entry.word, word))
        })
    }
}

fn key(name: &HostName) -> String {
    name.as_str().to_ascii_lowercase()
}

impl Engine {
    /// The host of that name, if this node serves it: its own, or a machine that no other node vouches for.
    pub(crate) fn host_of(&self, name: &HostName) -> Option<Arc<dyn Host>> {
        if name.is(self.inner.host.name()) {
            return Some(Arc::clone(&self.inner.host));
        }
        let entry = self.inner.machines.find(name)?;
        (entry.word != Word::Others).then_some(entry.host)
    }

    /// Where the desktop of that host stands, if it is a machine of this node's.
    pub(crate) fn standing(&self, name: &HostName) -> Option<Standing> {
        self.host_of(name)?.standing()
    }

    /// The SHA-256 of the certificate that a desktop has to show: that of its machine, where it stands on one.
    pub fn pinned(&self, desktop: &Desktop) -> [u8; 32] {
        let machine = self.inner.machines.find(&desktop.host).map(|entry| entry.machine);
        machine.map_or(desktop.certificate_sha256, |machine| machine.certificate_sha256)
    }

    /// Whether this node knows any machine.
    pub(crate) fn knows_machines(&self) -> bool {
        !self.inner.machines.is_empty()
    }

    /// The names of all machines that this node knows.
    pub(crate) fn machine_names(&self) -> Vec<HostName> {
        self.inner.machines.all().into_iter().map(|entry| entry.machine.name).collect()
    }

    /// Takes over what the store says of machines.
    pub(crate) async fn read_machines(&self) -> Result<(), EngineError> {
        let Ok(port) = self.inner.machines.port() else { return Ok(()) };
        let (mut read, mut after) = (HashMap::new(), None);
        loop {
            let page = self.inner.store.documents::<Machine>("", after, PAGE).await?;
            read.extend(page.rows.into_iter().map(|Stored { document, .. }| (key(&document.name), document)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.inner.machines.with(|machines| {
            machines.retain(|name, _| read.contains_key(name));
            for (name, machine) in read {
                match machines.get_mut(&name) {
                    Some(entry) if entry.machine == machine => {}
                    Some(entry) => {
                        entry.host = port.host(&machine);
                        entry.machine = machine;
                    }
                    None => {
                        let host = port.host(&machine);
                        machines.insert(name, Entry { machine, host, word: Word::Unknown, asked: false });
                    }
                }
            }
        });
        Ok(())
    }

    /// Begins to ask every machine that is not being asked still, each by itself: one that is slow holds up no other.
    /// Those that answer have this node's word then.
    ///
    /// # Errors
    /// When the store cannot be read. What becomes of a single machine is logged.
    pub(crate) async fn ask_machines(&self) -> Result<(), EngineError> {
        self.read_machines().await?;
        let due = self.inner.machines.with(|machines| {
            let due: Vec<_> = machines.values_mut().filter(|entry| !entry.asked).collect();
            due.into_iter()
                .map(|entry| {
                    entry.asked = true;
                    entry.clone()
                })
                .collect::<Vec<_>>()
        });
        for entry in due {
            let engine = self.clone();
            self.inner.tasks.spawn(async move {
                let name = entry.machine.name.clone();
                engine.ask_machine(entry).await;
                engine.inner.machines.with(|machines| {
                    if let Some(entry) = machines.get_mut(&key(&name)) {
                        entry.asked = false;
                    }
                });
            });
        }
        Ok(())
    }

    async fn ask_machine(&self, Entry { machine, host, .. }: Entry) {
        let name = &machine.name;
        let answer = host.answers().await;
        let word = match &answer {
            Err(_) => Word::Silent,
            Ok(()) => match self.vouch_for_machine(&machine, &*host).await {
                Ok(word) => word,
                Err(error) => {
                    tracing::debug!(machine = %name, %error, "a machine's lease is not renewed");
                    return;
                }
            },
        };
        match (self.inner.machines.note(name, word), word) {
            // taken out of the deployment while we asked
            (None, _) => {
                if let Err(error) = self.inner.store.delete_host(name).await {
                    tracing::debug!(machine = %name, %error, "a removed machine has no host to forget");
                }
            }
            (Some(before), Word::Given) if before != word => {
                tracing::info!(machine = %name, address = %machine.address, "a machine answers");
            }
            (Some(before), Word::Silent) if before != word => {
                let error = answer.err().map(|error| error.to_string());
                tracing::warn!(machine = %name, error, "a machine does not answer: it gets no sessions");
            }
            (Some(_), Word::Given | Word::Silent | Word::Others | Word::Unknown) => {}
        }
    }

    /// Gives this node's word for a machine that answers. What was lost with it comes back before, so that nobody takes its
    /// places meanwhile; and nobody has to start it any more.
    async fn vouch_for_machine(&self, machine: &Machine, host: &dyn Host) -> Result<Word, EngineError> {
        let known = self.inner.store.host(machine.name.as_str()).await?;
        if known.is_some_and(|known| known.is_up(now()) && known.lease.node != self.inner.config.node) {
            return Ok(Word::Others);
        }
        for session in self.inner.store.lost_sessions(&machine.name).await? {
            self.came_back(&session).await?;
        }
        match self.vouch_for(host, self.inner.config.machine_lease).await {
            Err(EngineError::OtherNode(_)) => return Ok(Word::Others),
            vouched => vouched?,
        }
        if machine.start != MachineStart::NotAsked {
            self.change_stored(&machine.name, |machine| machine.start = MachineStart::NotAsked).await?;
        }
        Ok(Word::Given)
    }

    /// After a restart: clients of before are gone, what they were logged on to stands. Machines that another node
    /// vouches for are its own to look after.
    pub(crate) async fn recover_machines(&self) -> Result<usize, EngineError> {
        // asked in the background: a network that is down keeps no door closed
        self.ask_machines().await?;
        let (mut adopted, node) = (0, self.inner.config.node);
        for Entry { machine, .. } in self.inner.machines.all() {
            let host = self.inner.store.host(machine.name.as_str()).await?;
            if host.is_some_and(|host| host.is_up(now()) && host.lease.node != node) {
                continue;
            }
            let filter = SessionFilter { host: Some(machine.name), ..SessionFilter::default() };
            let mut after = None;
            loop {
                let page = self.inner.store.sessions(&filter, after, PAGE).await?;
                for session in &page.rows {
                    let event = match session.state {
                        // nobody has seen it: there is nothing to come back to
                        State::Starting { .. } => {
                            Event::LogonEnded(EndReason::StartFailed(UNDER_WAY.to_owned()))
                        }
                        State::Active { .. }
                        | State::Disconnected { .. }
                        | State::LoggingOff { .. }
                        | State::Lost { .. }
                        | State::Ended { .. } => Event::NodeRestarted,
                    };
                    self.drive(session.uid, &event).await?;
                }
                adopted += page.rows.len();
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(adopted)
    }

    /// Machines of a collection on which a session of the user's may begin, and that this node serves: the least laden
    /// for its weight first.
    pub(crate) async fn machines_for(
        &self,
        collection: &CollectionAlias,
        owner: Option<&UserName>,
    ) -> Result<Vec<Roomy>, EngineError> {
        if !self.knows_machines() {
            return Ok(Vec::new());
        }
        let mut roomy = self.inner.store.roomy_machines(collection, owner, now()).await?;
        roomy.retain(|roomy| self.host_of(&roomy.desktop.host).is_some());
        roomy.sort_by(|a, b| {
            let load = |of: &Roomy, other: &Roomy| u64::from(of.sessions) * u64::from(other.machine.weight);
            load(a, b).cmp(&load(b, a))
        });
        Ok(roomy)
    }

    /// A user got no place in a collection, or not the one that is theirs: a silent machine that could have served them, and
    /// is not drained, is wanted, unless one is already. Answers whether nothing but machines could have.
    pub(crate) async fn want_a_machine(
        &self,
        collection: &CollectionAlias,
        own: Option<&DesktopName>,
    ) -> Result<bool, EngineError> {
        let store = &self.inner.store;
        let hosts: HashMap<_, _> =
            store.hosts().await?.into_iter().map(|host| (key(&host.lease.host), host)).collect();
        let (mut only_machines, mut any, mut wanted, mut after) = (true, false, None, None);
        loop {
            let page = store.desktops(Some(collection), after, PAGE).await?;
            for desktop in page.rows.iter().filter(|desktop| own.is_none_or(|own| *own == desktop.name)) {
                let Some(Entry { machine, .. }) = self.inner.machines.find(&desktop.host) else {
                    only_machines = false;
                    continue;
                };
                any = true;
                let silent = hosts
                    .get(&key(&desktop.host))
                    .is_none_or(|host| !host.is_up(now()) && host.intake == Intake::Open);
                if !silent || own.is_none() && store.assignment(&desktop.name).await?.is_some() {
                    continue;
                }
                match machine.start {
                    MachineStart::Wanted => return Ok(only_machines),
                    MachineStart::Told { at } if now().since(at) < START_TAKES => return Ok(only_machines),
                    MachineStart::NotAsked | MachineStart::Told { .. } => {
                        wanted.get_or_insert(machine.name);
                    }
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if let Some(name) = wanted {
            self.change_stored(&name, |machine| machine.start = MachineStart::Wanted).await?;
        }
        Ok(any && only_machines)
    }

    /// At most so many machines that somebody should start; none is named twice before it has answered, or was wanted
    /// again after ten minutes.
    ///
    /// # Errors
    /// The store's.
    pub async fn machines_to_start(&self, most: usize) -> Result<Vec<HostName>, EngineError> {
        self.read_machines().await?;
        let mut wanted: Vec<_> = self.inner.machines.all();
        wanted.retain(|entry| entry.machine.start == MachineStart::Wanted);
        wanted.sort_by(|a, b| a.machine.name.cmp(&b.machine.name));
        let mut told = Vec::new();
        for Entry { machine, .. } in wanted {
            if told.len() >= most {
                break;
            }
            let mut ours = false;
            let changed = self.change_stored(&machine.name, |machine| {
                ours = machine.start == MachineStart::Wanted;
                if ours {
                    machine.start = MachineStart::Told { at: now() };
                }
            });
            match changed.await {
                Ok(_) if ours => told.push(machine.name),
                Ok(_) | Err(EngineError::NotFound(_)) => {}
                // those that are told already would never be told again
                Err(error) if told.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(told)
    }

    /// When a session is presumed to have ended that its machine has closed, if nobody comes back to it.
    pub(crate) fn presumed_over(&self, session: &Session) -> Option<Timestamp> {
        let (State::Disconnected { attach: None, .. }, Some(closed)) = (&session.state, session.closed)
        else {
            return None;
        };
        let kept = i64::try_from(self.inner.config.closed_kept.as_millis()).unwrap_or(i64::MAX);
        Some(Timestamp(closed.0.saturating_add(kept)))
    }

    async fn certificate_at(&self, address: &Address) -> Result<[u8; 32], EngineError> {
        Ok(self.inner.machines.port()?.certificate_at(address).await?)
    }
}
