//! The port, call by call: writes through the queue, reads through the pool.

use crate::{SqliteStore, accounts, catalogue, changes, hosts, machines, nodes, sessions, trail};
use openrdms_broker::change::{Changes, Position, Span};
use openrdms_broker::{
    Account, AccountChange, AuditRecord, Collection, CollectionAlias, CollectionChange, Desktop,
    DesktopHandle, DesktopName, HostName, Intake, KnownHost, KnownNode, Lease, NodeId, Session, SessionUid,
    Timestamp, UserName,
    ports::{
        AuditCursor, AuditEntry, Page, Roomy, SessionCursor, SessionFilter, Store, StoreError,
        store::NewSession,
    },
};
use std::{ops::RangeInclusive, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long at most until changes of other nodes are seen.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

impl SqliteStore {
    /// Tells whoever waits in [`Store::changed`] of a session's committed change.
    fn tell(&self) -> impl FnOnce(&(Session, Position)) + Send + 'static {
        let last = Arc::clone(&self.last_change);
        move |(_, position)| {
            last.send_replace(*position);
        }
    }
}

#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn insert_session(&self, new: NewSession) -> Result<Session, StoreError> {
        let insert =
            self.queue.write_and(|connection| Box::pin(sessions::insert(connection, new)), self.tell());
        Ok(insert.await?.0)
    }

    async fn update_session(&self, session: &Session) -> Result<Session, StoreError> {
        let session = session.clone();
        let update =
            self.queue.write_and(|connection| Box::pin(sessions::update(connection, session)), self.tell());
        Ok(update.await?.0)
    }

    async fn session(&self, uid: SessionUid) -> Result<Option<Session>, StoreError> {
        sessions::by_uid(&self.readers, uid).await
    }

    async fn session_by_id(&self, host: &str, session_id: u32) -> Result<Option<Session>, StoreError> {
        sessions::by_id(&self.readers, host, session_id).await
    }

    async fn live_session(
        &self,
        user: &UserName,
        collection: &CollectionAlias,
    ) -> Result<Option<Session>, StoreError> {
        sessions::live(&self.readers, user, collection).await
    }

    async fn sessions(
        &self,
        filter: &SessionFilter,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> Result<Page<Session, SessionCursor>, StoreError> {
        sessions::list(&self.readers, filter, after, limit).await
    }

    async fn count_sessions(&self, filter: &SessionFilter) -> Result<u32, StoreError> {
        sessions::count(&self.readers, filter).await
    }

    async fn session_in_desktop(&self, desktop: &DesktopName) -> Result<Option<Session>, StoreError> {
        sessions::in_desktop(&self.readers, desktop).await
    }

    async fn insert_collection(
        &self,
        collection: &Collection,
        desktops: &[Desktop],
    ) -> Result<(), StoreError> {
        let (collection, desktops) = (collection.clone(), desktops.to_vec());
        self.queue.write(|connection| Box::pin(catalogue::insert(connection, collection, desktops))).await
    }

    async fn collection(&self, alias: &str) -> Result<Option<Collection>, StoreError> {
        catalogue::collection(&self.readers, alias).await
    }

    async fn collections(&self) -> Result<Vec<Collection>, StoreError> {
        catalogue::collections(&self.readers).await
    }

    async fn change_collection(&self, alias: &str, change: CollectionChange) -> Result<(), StoreError> {
        let key = crate::row::key(alias);
        self.queue.write(move |connection| Box::pin(catalogue::change(connection, key, change))).await
    }

    async fn delete_collection(&self, alias: &CollectionAlias) -> Result<(), StoreError> {
        let alias = alias.clone();
        self.queue.write(|connection| Box::pin(catalogue::delete(connection, alias))).await
    }

    async fn desktop(&self, name: &DesktopName) -> Result<Option<Desktop>, StoreError> {
        catalogue::desktop(&self.readers, name).await
    }

    async fn desktops(
        &self,
        collection: Option<&CollectionAlias>,
        after: Option<DesktopName>,
        limit: u32,
    ) -> Result<Page<Desktop, DesktopName>, StoreError> {
        catalogue::desktops(&self.readers, collection, after, limit).await
    }

    async fn free_desktops(
        &self,
        collection: &CollectionAlias,
        host: &HostName,
        owner: Option<&UserName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Desktop>, StoreError> {
        catalogue::free(&self.readers, collection, host, owner, now, limit).await
    }

    async fn roomy_machines(
        &self,
        collection: &CollectionAlias,
        owner: Option<&UserName>,
        now: Timestamp,
    ) -> Result<Vec<Roomy>, StoreError> {
        machines::roomy(&self.readers, collection, owner, now).await
    }

    async fn orphans(&self, host: &HostName) -> Result<Vec<Desktop>, StoreError> {
        hosts::orphans(&self.readers, host).await
    }

    async fn count_desktops(&self, host: &HostName) -> Result<u32, StoreError> {
        hosts::count_desktops(&self.readers, host).await
    }

    async fn insert_desktop(&self, desktop: &Desktop) -> Result<(), StoreError> {
        let desktop = desktop.clone();
        self.queue.write(|connection| Box::pin(catalogue::insert_desktop(connection, desktop))).await
    }

    async fn delete_desktop(&self, name: &DesktopName) -> Result<(), StoreError> {
        let name = name.clone();
        self.queue.write(|connection| Box::pin(catalogue::delete_desktop(connection, name))).await
    }

    async fn set_desktop_paused(
        &self,
        name: &DesktopName,
        handle: &DesktopHandle,
        paused: bool,
    ) -> Result<(), StoreError> {
        let (name, handle) = (name.clone(), handle.clone());
        let set = self
            .queue
            .write(move |connection| Box::pin(catalogue::set_paused(connection, name, handle, paused)));
        set.await
    }

    async fn pin_desktop(&self, name: &DesktopName, certificate_sha256: [u8; 32]) -> Result<(), StoreError> {
        let name = name.clone();
        let pin = self
            .queue
            .write(move |connection| Box::pin(catalogue::pin(connection, name, certificate_sha256)));
        pin.await
    }

    async fn set_desktop_handle(
        &self,
        name: &DesktopName,
        handle: Option<&DesktopHandle>,
    ) -> Result<(), StoreError> {
        let (name, handle) = (name.clone(), handle.cloned());
        self.queue.write(|connection| Box::pin(catalogue::set_handle(connection, name, handle))).await
    }

    async fn clear_desktop_handle(
        &self,
        name: &DesktopName,
        handle: &DesktopHandle,
    ) -> Result<(), StoreError> {
        let (name, handle) = (name.clone(), handle.clone());
        self.queue.write(|connection| Box::pin(catalogue::clear_handle(connection, name, handle))).await
    }

    async fn renew_lease(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.queue.write(move |connection| Box::pin(hosts::renew(connection, lease, now))).await
    }

    async fn release_lease(&self, host: &HostName, node: NodeId, now: Timestamp) -> Result<(), StoreError> {
        let host = host.clone();
        self.queue.write(move |connection| Box::pin(hosts::release(connection, host, node, now))).await
    }

    async fn hosts(&self) -> Result<Vec<KnownHost>, StoreError> {
        hosts::all(&self.readers).await
    }

    async fn host(&self, name: &str) -> Result<Option<KnownHost>, StoreError> {
        hosts::by_name(&self.readers, name).await
    }

    async fn delete_host(&self, name: &HostName) -> Result<(), StoreError> {
        let name = name.clone();
        self.queue.write(|connection| Box::pin(hosts::delete(connection, name))).await
    }

    async fn set_intake(&self, name: &str, intake: Intake) -> Result<KnownHost, StoreError> {
        let name = name.to_owned();
        self.queue.write(move |connection| Box::pin(hosts::set_intake(connection, name, intake))).await
    }

    async fn turn_intake(&self, name: &str, intake: Intake, now: Timestamp) -> Result<KnownHost, StoreError> {
        let name = name.to_owned();
        self.queue.write(move |connection| Box::pin(hosts::turn_intake(connection, name, intake, now))).await
    }

    async fn nodes(&self) -> Result<Vec<KnownNode>, StoreError> {
        nodes::all(&self.readers).await
    }

    async fn node(&self, id: NodeId) -> Result<Option<KnownNode>, StoreError> {
        nodes::by_id(&self.readers, id).await
    }

    async fn set_node_intake(&self, id: NodeId, intake: Intake) -> Result<KnownNode, StoreError> {
        self.queue.write(move |connection| Box::pin(nodes::set_intake(connection, id, intake))).await
    }

    async fn sessions_of_silent_hosts(
        &self,
        own: &HostName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError> {
        hosts::sessions_of_silent(&self.readers, own, now, limit).await
    }

    async fn lost_sessions(&self, host: &HostName) -> Result<Vec<Session>, StoreError> {
        hosts::lost_sessions(&self.readers, host).await
    }

    async fn insert_account(
        &self,
        account: &Account,
        uids: RangeInclusive<u32>,
    ) -> Result<Account, StoreError> {
        let account = account.clone();
        self.queue.write(|connection| Box::pin(accounts::insert(connection, account, uids))).await
    }

    async fn account(&self, user: &UserName) -> Result<Option<Account>, StoreError> {
        accounts::by_user(&self.readers, user).await
    }

    async fn accounts(&self, after: Option<String>, limit: u32) -> Result<Page<Account, String>, StoreError> {
        accounts::list(&self.readers, after, limit).await
    }

    async fn change_account(&self, user: &UserName, change: &AccountChange) -> Result<(), StoreError> {
        let (user, change) = (user.clone(), change.clone());
        self.queue.write(|connection| Box::pin(accounts::change(connection, user, change))).await
    }

    async fn delete_account(&self, user: &UserName) -> Result<(), StoreError> {
        let user = user.clone();
        self.queue.write(|connection| Box::pin(accounts::delete(connection, user))).await
    }

    async fn changes(
        &self,
        user: Option<&UserName>,
        after: Position,
        limit: u32,
    ) -> Result<Changes, StoreError> {
        changes::read(&self.readers, user, after, limit).await
    }

    async fn change_span(&self) -> Result<Span, StoreError> {
        changes::span(&self.readers).await
    }

    async fn changed(&self, after: Position) {
        let mut last = self.last_change.subscribe();
        // an error says that it was too long, or that the store is gone: a look tells
        let _ = timeout(LOOK_AGAIN, last.wait_for(|last| *last > after)).await;
    }

    async fn forget_changes(&self, before: Timestamp, keep: u64) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let forget = self.queue.write(move |c| Box::pin(changes::forget(c, before, keep)));
            let (count, more) = forget.await?;
            all += count;
            if !more {
                return Ok(all);
            }
        }
    }

    async fn append_audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let record = record.clone();
        self.queue.write(|connection| Box::pin(trail::append(connection, record))).await
    }

    async fn audit_page(
        &self,
        before: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Page<AuditEntry, AuditCursor>, StoreError> {
        trail::page(&self.readers, before, limit).await
    }

    async fn audit_entry(&self, number: u64) -> Result<Option<AuditEntry>, StoreError> {
        trail::entry(&self.readers, number).await
    }
}
