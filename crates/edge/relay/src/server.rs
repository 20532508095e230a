//! The listener: takes connections, bounds their number, and ends them all when it is told to stop.

use crate::{
    config::RelayConfig,
    connection,
    ports::Authenticator,
    shares::{Share, Shares},
    tls::SharedIdentity,
};
use openrdms_broker::ports::Front;
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// An RDP relay. Cheap to make; one may serve several listeners.
#[derive(Clone)]
pub struct Relay {
    config: RelayConfig,
    name: Arc<str>,
    identity: SharedIdentity,
    front: Arc<dyn Front>,
    auth: Arc<dyn Authenticator>,
    unproved: Arc<Semaphore>,
    shares: Shares,
    connections: Arc<Semaphore>,
}

/// What every connection of a listener shares.
pub(crate) struct Shared {
    pub(crate) config: RelayConfig,
    /// What this relay calls itself towards machines, and nobody else does.
    pub(crate) name: Arc<str>,
    pub(crate) identity: SharedIdentity,
    pub(crate) front: Arc<dyn Front>,
    pub(crate) auth: Arc<dyn Authenticator>,
    pub(crate) shutdown: CancellationToken,
}

/// The places of a connection whose user is not proved yet: among all of them, and among those of its address.
pub(crate) struct Unproved {
    _counted: OwnedSemaphorePermit,
    _share: Share,
}

impl Relay {
    /// Makes a relay. The limits on the number of connections hold for all of its listeners together.
    pub fn new(
        config: RelayConfig,
        identity: SharedIdentity,
        front: Arc<dyn Front>,
        auth: Arc<dyn Authenticator>,
    ) -> Self {
        let unproved = Arc::new(Semaphore::new(config.limits.unauthenticated));
        let shares = Shares::new(config.limits.unauthenticated_per_address);
        let connections = Arc::new(Semaphore::new(config.limits.connections));
        let random = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("openrdms-{}", &random[..8]).into();
        Self { config, name, identity, front, auth, unproved, shares, connections }
    }

    /// Serves a listener until `shutdown`, then ends its connections (their clients are told) and returns when the
    /// last one is closed, which takes a few seconds at most. Not cancel-safe: dropping the future stops accepting but
    /// leaves connections running.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let shared = Arc::new(Shared {
            config: self.config,
            name: self.name,
            identity: self.identity,
            front: self.front,
            auth: self.auth,
            shutdown: shutdown.clone(),
        });
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let (tcp, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // most likely out of descriptors, and then the next try would fail at once as well
                    let _ = tokio::time::timeout(Duration::from_millis(100), shutdown.cancelled()).await;
                    continue;
                }
            };
            let peer = peer.ip().to_canonical();
            let permits =
                (self.unproved.clone().try_acquire_owned(), self.connections.clone().try_acquire_owned());
            let (Ok(unproved), Ok(counted)) = permits else {
                tracing::warn!(%peer, "a connection is shed: too many are open");
                continue;
            };
            let Some(share) = self.shares.take(peer) else {
                tracing::warn!(%peer, "a connection is shed: too many are open from its address");
                continue;
            };
            let unproved = Unproved { _counted: unproved, _share: share };
            let shared = shared.clone();
            tasks.spawn(async move {
                let _counted = counted;
                connection::run(shared, tcp, peer, unproved).await;
            });
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
    }
}
