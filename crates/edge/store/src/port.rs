//! The port, call by call: writes through the queue, reads through the pool.

use crate::{SqliteStore, accounts, catalogue, sessions, trail};
use openrdms_broker::{
    Account, AuditRecord, Collection, CollectionAlias, Desktop, DesktopHandle, DesktopName, Session,
    SessionUid, UserName,
    ports::{Page, SessionCursor, SessionFilter, Store, StoreError, store::NewSession},
};
use std::ops::RangeInclusive;

/// Every call is cancel-safe: a write whose caller goes away is done completely or not at all.
#[async_trait::async_trait]
impl Store for SqliteStore {
    async fn insert_session(&self, new: NewSession) -> Result<Session, StoreError> {
        self.queue.write(|connection| Box::pin(sessions::insert(connection, new))).await
    }

    async fn update_session(&self, session: &Session) -> Result<Session, StoreError> {
        let session = session.clone();
        self.queue.write(|connection| Box::pin(sessions::update(connection, session))).await
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
        limit: u32,
    ) -> Result<Vec<Desktop>, StoreError> {
        catalogue::free(&self.readers, collection, limit).await
    }

    async fn set_desktop_handle(
        &self,
        name: &DesktopName,
        handle: Option<&DesktopHandle>,
    ) -> Result<(), StoreError> {
        let (name, handle) = (name.clone(), handle.cloned());
        self.queue.write(|connection| Box::pin(catalogue::set_handle(connection, name, handle))).await
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

    async fn update_account(&self, account: &Account) -> Result<(), StoreError> {
        let account = account.clone();
        self.queue.write(|connection| Box::pin(accounts::update(connection, account))).await
    }

    async fn delete_account(&self, user: &UserName) -> Result<(), StoreError> {
        let user = user.clone();
        self.queue.write(|connection| Box::pin(accounts::delete(connection, user))).await
    }

    async fn append_audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let record = record.clone();
        self.queue.write(|connection| Box::pin(trail::append(connection, record))).await
    }

    async fn audit(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        trail::newest(&self.readers, limit).await
    }
}
