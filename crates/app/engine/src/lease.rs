//! This node's word for its host, and what follows when a host's word ends or begins again.
//!
//! ```text
//! renew   every second, for three: nobody else serves this host meanwhile
//! lose    sessions of hosts without a valid word are Lost; any node says so, generations make that harmless
//! tend    what was lost with this host's word comes back, or ends; desktops that no session knows are ended
//! ```
//!
//! While the store cannot be reached the word cannot be renewed, and still nothing is stopped here: the homes of
//! a `local` host are on this machine and nowhere else, so no other node can start a second writer of one, and
//! desktops run on and connections flow on. On this machine a second writer is kept out by looking, before a
//! desktop is started, for what the user may still have running. Must never mark this host's own sessions Lost.

use crate::{Engine, EngineError, now};
use futures_util::StreamExt as _;
use openrdms_broker::ports::{Host, StoreError};
use openrdms_broker::session::DetachReason;
use openrdms_broker::session::transition::Event;
use openrdms_broker::{
    Account, CollectionAlias, Desktop, DesktopHandle, Endpoint, Intake, KnownHost, KnownNode, Lease, NodeId,
    Session, Timestamp, machine,
};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How many sessions are made Lost in one go, and how many of them at once: they share commits.
const LOST_IN_ONE_GO: u32 = 2000;
const LOST_AT_ONCE: usize = 64;

/// Since when this node's own word has been taken without a break. Whoever was not heard for a while cannot tell
/// others' silence from the store's: everybody gets the time of a lease to be heard again first.
type HeardSince = Mutex<Option<Instant>>;

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

impl Engine {
    /// Keeps this node's word for its host and looks after what other words' ends mean, until `shutdown`; then
    /// takes the word back. Call [`Engine::recover`] first.
    ///
    /// # Errors
    /// `OtherNode` when another node serves the host: this one must stop then.
    pub async fn run_lease(&self, shutdown: CancellationToken) -> Result<(), EngineError> {
        let heard_since = Mutex::new(None);
        let (renewal, machines) = (self.inner.config.lease_renewal, self.inner.config.ask_machines);
        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            error = self.keep_renewing(&heard_since) => Err(error),
            () = self.keep("making sessions of silent hosts Lost", renewal, || self.lose(&heard_since)) => Ok(()),
            () = self.keep("looking after this host's desktops", renewal, || self.tend()) => Ok(()),
            () = self.keep("asking machines", machines, || self.ask_machines()) => Ok(()),
        };
        let host = self.inner.host.name();
        if let Err(error) = self.inner.store.release_lease(host, self.inner.config.node, now()).await {
            tracing::warn!(%error, "the host's lease was not given back and runs out by itself");
        }
        outcome
    }

    /// Opens or drains a host. A drained one keeps its sessions, and their users come back to them.
    ///
    /// # Errors
    /// `Store(NotFound)` for a host that was never served.
    pub async fn set_intake(&self, host: &str, intake: Intake) -> Result<KnownHost, EngineError> {
        Ok(self.inner.store.set_intake(host, intake).await?)
    }

    /// Opens or drains a node. A drained one begins no new sessions for clients that connect to it, on no host; users
    /// come back to those that are there.
    ///
    /// # Errors
    /// `Store(NotFound)` for a node that never gave its word.
    pub async fn set_node_intake(&self, node: NodeId, intake: Intake) -> Result<KnownNode, EngineError> {
        Ok(self.inner.store.set_node_intake(node, intake).await?)
    }

    pub(crate) async fn renew_lease(&self) -> Result<(), EngineError> {
        let (host, config) = (&self.inner.host, &self.inner.config);
        self.vouch_for(&**host, config.lease).await
    }

    /// Gives this node's word for a host.
    pub(crate) async fn vouch_for(&self, host: &dyn Host, holds: Duration) -> Result<(), EngineError> {
        let now = now();
        let lease = Lease {
            host: host.name().clone(),
            kind: host.kind().to_owned(),
            boot_id: host.boot_id().to_owned(),
            node: self.inner.config.node,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            until: Timestamp(now.0 + i64::try_from(holds.as_millis()).unwrap_or(0)),
        };
        match self.inner.store.renew_lease(&lease, now).await {
            Err(StoreError::Conflict(_)) => Err(EngineError::OtherNode(lease.host)),
            other => Ok(other?),
        }
    }

    /// Ends only when another node serves the host.
    async fn keep_renewing(&self, heard_since: &HeardSince) -> EngineError {
        let mut ticks = ticks(self.inner.config.lease_renewal);
        let mut silent = false;
        loop {
            ticks.tick().await;
            let renewed = self.renew_lease().await;
            let mut heard_since = heard_since.lock().unwrap_or_else(PoisonError::into_inner);
            match renewed {
                Ok(()) => {
                    heard_since.get_or_insert_with(Instant::now);
                    if std::mem::take(&mut silent) {
                        tracing::info!("the host's lease is renewed again");
                    }
                }
                Err(error @ EngineError::OtherNode(_)) => return error,
                Err(error) => {
                    *heard_since = None;
                    if !std::mem::replace(&mut silent, true) {
                        tracing::error!(%error, "the host's lease is not renewed; desktops and connections go on");
                    }
                }
            }
        }
    }

    /// Repeats what makes states true; a failure is told once and tried again.
    async fn keep<F, T>(&self, what: &'static str, every: Duration, mut attempt: F)
    where
        F: FnMut() -> T,
        T: Future<Output = Result<(), EngineError>>,
    {
        let mut ticks = ticks(every);
        let mut failing = false;
        loop {
            ticks.tick().await;
            match attempt().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(what, %error, "tried again every {every:?}");
                    }
                }
            }
        }
    }

    async fn lose(&self, heard_since: &HeardSince) -> Result<(), EngineError> {
        let heard_since = *heard_since.lock().unwrap_or_else(PoisonError::into_inner);
        if heard_since.is_none_or(|since| since.elapsed() < self.inner.config.lease) {
            return Ok(());
        }
        let own = self.inner.host.name();
        let limit = LOST_IN_ONE_GO.saturating_add(self.inner.connections.count());
        let mut silent = self.inner.store.sessions_of_silent_hosts(own, now(), limit).await?;
        // a machine that lets its user work is not lost, however slowly it answers others: its end is noticed there
        silent.retain(|session| self.inner.connections.attached(session.uid).is_none());
        let mut lost = futures_util::stream::iter(silent)
            .map(|session| async move { self.drive(session.uid, &Event::HostLost).await })
            .buffer_unordered(LOST_AT_ONCE);
        while let Some(session) = lost.next().await {
            session?;
        }
        Ok(())
    }

    /// Makes true what was lost with this host's word, and ends desktops that no session knows of.
    ///
    /// # Errors
    /// The last failure; the others are looked after all the same.
    pub(crate) async fn tend(&self) -> Result<(), EngineError> {
        let mut outcome = Ok(());
        for session in self.inner.store.lost_sessions(self.inner.host.name()).await? {
            // a start in flight says itself how it went, and then there is a handle to look at
            if !self.inner.starts.pending(&session.desktop) {
                outcome = self.recover_one(&session).await.map(|_| ()).and(outcome);
            }
        }
        for (desktop, handle) in self.orphans().await? {
            outcome = self.end_orphan(&desktop, &handle).await.and(outcome);
        }
        outcome
    }

    pub(crate) async fn end_orphan(
        &self,
        desktop: &Desktop,
        handle: &DesktopHandle,
    ) -> Result<(), EngineError> {
        tracing::warn!(desktop = %desktop.name, pid = handle.pid, "a desktop without a session is ended");
        self.inner.host.logoff(&desktop.name, handle, self.inner.config.logoff_grace).await?;
        Ok(self.inner.store.clear_desktop_handle(&desktop.name, handle).await?)
    }

    /// Desktops of this host that may run and belong to no session, as after a session was forgotten.
    async fn orphans(&self) -> Result<Vec<(Desktop, DesktopHandle)>, EngineError> {
        let orphans = self.inner.store.orphans(self.inner.host.name()).await?;
        Ok(orphans
            .into_iter()
            .filter(|desktop| !self.inner.starts.pending(&desktop.name))
            .filter_map(|desktop| desktop.handle.clone().map(|handle| (desktop, handle)))
            .collect())
    }

    /// The Lost session of this host is seen to run.
    pub(crate) async fn came_back(&self, session: &Session) -> Result<(), EngineError> {
        let attached = self.inner.connections.attached(session.uid);
        let live = self.inner.store.live_session(&session.user, &session.collection).await?;
        let event = match live {
            Some(other) if other.uid != session.uid => Event::Superseded(attached),
            Some(_) | None => Event::HostReturned(attached),
        };
        match self.drive(session.uid, &event).await {
            Ok(_) => {}
            // the user was quicker: it is superseded when it is looked at again
            Err(EngineError::Store(StoreError::Conflict(_))) => return Ok(()),
            Err(error) => return Err(error),
        }
        // whoever left while we looked said so to a Lost session, which did not listen
        if let Some(gone) = attached.filter(|c| !self.inner.connections.knows(*c)) {
            self.report_closed(session.uid, gone, DetachReason::ClientGone).await;
        }
        Ok(())
    }

    /// Says which hosts with desktops nobody serves: a machine that was renamed looks like that.
    pub(crate) async fn warn_of_silent_hosts(&self) -> Result<(), EngineError> {
        let (store, own) = (&self.inner.store, self.inner.host.name());
        for host in store.hosts().await? {
            let name = &host.lease.host;
            // of a machine it is said when it is asked
            let named = host.lease.kind != machine::KIND;
            if named && !name.is(own) && !host.is_up(now()) && store.count_desktops(name).await? > 0 {
                tracing::warn!(host = %name, serving = %own,
                    "nobody serves this host: its desktops cannot be used until a node does");
            }
        }
        Ok(())
    }

    /// Whether something of the user's may run on this host that no live session knows of: it has the home that
    /// a new desktop in this collection would have.
    pub(crate) async fn may_still_run(
        &self,
        account: &Account,
        collection: &CollectionAlias,
    ) -> Result<bool, EngineError> {
        let lost = self.inner.store.lost_sessions(self.inner.host.name()).await?;
        if lost.iter().any(|s| s.user == account.user && s.collection == *collection) {
            return Ok(true);
        }
        let of_user = |handle: &DesktopHandle| matches!(handle.endpoint, Endpoint::Unix { uid, .. } if uid == account.uid);
        Ok(self.orphans().await?.iter().any(|(_, handle)| of_user(handle)))
    }
}
