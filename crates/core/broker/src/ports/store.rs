//! The Store port: the only truth that survives.

pub mod assignments;
pub mod documents;
pub mod settings;

pub use assignments::Assignments;
pub use documents::{DocumentRow, Documents};
pub use settings::Settings;

use crate::change::{Changes, Position, Span};
use crate::{
    Account, AccountChange, AuditRecord, Collection, CollectionAlias, CollectionChange, Desktop,
    DesktopHandle, DesktopName, HostName, Intake, KnownHost, KnownNode, Lease, Machine, NodeId, Session,
    SessionUid, State, Timestamp, UserName, ids,
};
use std::fmt;

/// What is there already, where there may be one only, or what stands in the way of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// A live session of the user in the collection, or for a deletion any of theirs that has not ended.
    SessionOfUser,
    /// A live session in the desktop.
    SessionInDesktop,
    /// A session in the collection that has not ended.
    SessionInCollection,
    /// A session of the host with that `SessionId`.
    SessionId,
    /// The session.
    Session,
    /// The collection.
    Collection,
    /// The desktop.
    Desktop,
    /// The account.
    Account,
    /// A uid that was given to somebody else.
    Uid,
    /// Another node's word for the host.
    LeaseOfHost,
    /// An owner of the desktop.
    AssignmentOfDesktop,
    /// A desktop of the user's in the collection.
    AssignmentOfUser,
    /// A document with that key.
    Document,
    /// A host of that name.
    Host,
    /// Anything else.
    Row,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with that key, or one that a unique index forbids beside it, is there already.
    #[error("{0} already exists")]
    Conflict(Existing),
    /// The row changed since it was read: read it again and decide again.
    #[error("the row changed meanwhile")]
    Stale,
    /// No such row.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The store cannot be reached or written now.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A row does not read back as what was written.
    #[error("the store holds a row that cannot be read: {0}")]
    Corrupt(String),
}

impl fmt::Display for Existing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SessionOfUser => "session of this user",
            Self::SessionInDesktop => "session in this desktop",
            Self::SessionInCollection => "session in this collection",
            Self::SessionId => "session id",
            Self::Session => "session",
            Self::Collection => "collection",
            Self::Desktop => "desktop",
            Self::Account => "account",
            Self::Uid => "uid",
            Self::LeaseOfHost => "lease of this host",
            Self::AssignmentOfDesktop => "owner of this desktop",
            Self::AssignmentOfUser => "desktop of this user in the collection",
            Self::Document => "one of that name",
            Self::Host => "host of that name",
            Self::Row => "row",
        })
    }
}

impl From<ids::IdError> for StoreError {
    fn from(error: ids::IdError) -> Self {
        StoreError::Corrupt(error.to_string())
    }
}

/// Where a page of sessions ended: they are listed by host and session id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCursor {
    /// The last row's host.
    pub host: HostName,
    /// The last row's session id.
    pub session_id: u32,
}

/// Which sessions to list. Ended ones never are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only this user's.
    pub user: Option<UserName>,
    /// Only this collection's.
    pub collection: Option<CollectionAlias>,
    /// Only this host's.
    pub host: Option<HostName>,
}

/// Part of a list, and where to go on (`None`: that was all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins.
    pub next: Option<C>,
}

/// Where a page of the audit trail ended: it is read by time, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCursor {
    /// When the last record's action ended.
    pub at: Timestamp,
    /// Its number.
    pub number: u64,
}

/// A record of the audit trail with the number it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Never given to another record.
    pub number: u64,
    /// The record.
    pub record: AuditRecord,
}

/// A machine that takes another session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roomy {
    /// Its desktop.
    pub desktop: Desktop,
    /// The machine.
    pub machine: Machine,
    /// How many live sessions it has.
    pub sessions: u32,
}

/// A session that does not have its `SessionId` yet.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its key.
    pub uid: SessionUid,
    /// The desktop, already reserved by nobody: the store decides.
    pub desktop: DesktopName,
    /// How many live sessions may be in it at once; `None`: it is one user's at a time, and a unique index decides.
    pub places: Option<u32>,
    /// The host that runs the desktop.
    pub host: HostName,
    /// That host's boot.
    pub boot_id: String,
    /// The collection.
    pub collection: CollectionAlias,
    /// The user.
    pub user: UserName,
    /// When.
    pub created: crate::Timestamp,
    /// The first state.
    pub state: State,
}

/// The only truth that survives. Writes return when they are durable.
///
/// Every call is cancel-safe: a write whose caller goes away is done completely or not at all. Any call may answer
/// [`StoreError::Unavailable`], and one that reads [`StoreError::Corrupt`]; what else it may answer stands at it.
#[async_trait::async_trait]
pub trait Store: Settings + Documents + Assignments + Send + Sync + 'static {
    /// Inserts a session, giving it the host's next `SessionId` and generation 1.
    /// [`Existing::SessionOfUser`] or [`Existing::SessionInDesktop`] where a live one is, or as many as there may be.
    async fn insert_session(&self, new: NewSession) -> Result<Session, StoreError>;

    /// Replaces a session's row if it still has generation `session.generation`; answers the row with
    /// the next generation, or `Stale`.
    async fn update_session(&self, session: &Session) -> Result<Session, StoreError>;

    /// A session by key, ended or not.
    async fn session(&self, uid: SessionUid) -> Result<Option<Session>, StoreError>;

    /// A session that has not ended, by host and id; the host name compares without case.
    async fn session_by_id(&self, host: &str, session_id: u32) -> Result<Option<Session>, StoreError>;

    /// The user's live session (Starting, Active, Disconnected or LoggingOff) in a collection.
    async fn live_session(
        &self,
        user: &UserName,
        collection: &CollectionAlias,
    ) -> Result<Option<Session>, StoreError>;

    /// A page of the sessions that have not ended.
    async fn sessions(
        &self,
        filter: &SessionFilter,
        after: Option<SessionCursor>,
        limit: u32,
    ) -> Result<Page<Session, SessionCursor>, StoreError>;

    /// How many sessions of this filter have not ended.
    async fn count_sessions(&self, filter: &SessionFilter) -> Result<u32, StoreError>;

    /// The live session in a desktop.
    async fn session_in_desktop(&self, desktop: &DesktopName) -> Result<Option<Session>, StoreError>;

    /// Inserts a collection and its desktops, all or nothing.
    async fn insert_collection(
        &self,
        collection: &Collection,
        desktops: &[Desktop],
    ) -> Result<(), StoreError>;

    /// A collection; the alias compares without case.
    async fn collection(&self, alias: &str) -> Result<Option<Collection>, StoreError>;

    /// All collections by alias: there are few.
    async fn collections(&self) -> Result<Vec<Collection>, StoreError>;

    /// Changes a collection.
    async fn change_collection(&self, alias: &str, change: CollectionChange) -> Result<(), StoreError>;

    /// Deletes a collection and its desktops; [`Existing::SessionInCollection`] while one has not ended.
    async fn delete_collection(&self, alias: &CollectionAlias) -> Result<(), StoreError>;

    /// A desktop.
    async fn desktop(&self, name: &DesktopName) -> Result<Option<Desktop>, StoreError>;

    /// A page of desktops by name, optionally of one collection.
    async fn desktops(
        &self,
        collection: Option<&CollectionAlias>,
        after: Option<DesktopName>,
        limit: u32,
    ) -> Result<Page<Desktop, DesktopName>, StoreError>;

    /// Desktops of a collection on a host that may be started, at most `limit`, in a stable order. None where
    /// the host is drained or nobody has its lease `now`; none in which something may still run: one with a session,
    /// Lost ones too, or with a handle; and only those that are assigned to `owner`, or to nobody where that is
    /// `None`.
    async fn free_desktops(
        &self,
        collection: &CollectionAlias,
        host: &HostName,
        owner: Option<&UserName>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Desktop>, StoreError>;

    /// Machines of a collection that take another session, by name: those that are up `now` and open, have fewer live
    /// sessions than their limit, and are assigned to `owner`, or to nobody where that is `None`.
    async fn roomy_machines(
        &self,
        collection: &CollectionAlias,
        owner: Option<&UserName>,
        now: Timestamp,
    ) -> Result<Vec<Roomy>, StoreError>;

    /// Desktops of a host with a handle and no session: what became of them is not known to any session.
    async fn orphans(&self, host: &HostName) -> Result<Vec<Desktop>, StoreError>;

    /// How many desktops a host has.
    async fn count_desktops(&self, host: &HostName) -> Result<u32, StoreError>;

    /// Adds a desktop to its collection, which counts it; `NotFound` where the collection is not.
    async fn insert_desktop(&self, desktop: &Desktop) -> Result<(), StoreError>;

    /// Takes a desktop and its assignment away, and counts it no longer; [`Existing::SessionInDesktop`] while a session
    /// in it has not ended.
    async fn delete_desktop(&self, name: &DesktopName) -> Result<(), StoreError>;

    /// Says that a desktop is frozen or not, if it still has that handle, or `Stale`.
    async fn set_desktop_paused(
        &self,
        name: &DesktopName,
        handle: &DesktopHandle,
        paused: bool,
    ) -> Result<(), StoreError>;

    /// Says which certificate a desktop has to show from now on.
    async fn pin_desktop(&self, name: &DesktopName, certificate_sha256: [u8; 32]) -> Result<(), StoreError>;

    /// Remembers where a desktop runs. It is not paused then.
    async fn set_desktop_handle(
        &self,
        name: &DesktopName,
        handle: Option<&DesktopHandle>,
    ) -> Result<(), StoreError>;

    /// Forgets where a desktop ran, if that is still what is remembered.
    async fn clear_desktop_handle(
        &self,
        name: &DesktopName,
        handle: &DesktopHandle,
    ) -> Result<(), StoreError>;

    /// Gives or renews a node's word for a host; [`Existing::LeaseOfHost`] while another node's word
    /// holds `now`. A host that is new takes new sessions.
    async fn renew_lease(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a node's word back; nothing where another node's holds.
    async fn release_lease(&self, host: &HostName, node: NodeId, now: Timestamp) -> Result<(), StoreError>;

    /// All hosts by name: there are few.
    async fn hosts(&self) -> Result<Vec<KnownHost>, StoreError>;

    /// A host; the name compares without case.
    async fn host(&self, name: &str) -> Result<Option<KnownHost>, StoreError>;

    /// Forgets a host. Its `SessionId`s go on where they were, should it come back.
    async fn delete_host(&self, name: &HostName) -> Result<(), StoreError>;

    /// Opens or drains a host.
    async fn set_intake(&self, name: &str, intake: Intake) -> Result<KnownHost, StoreError>;

    /// Opens or drains a host that is up at `now` and not so yet, in one step; answers the host as it was before.
    async fn turn_intake(&self, name: &str, intake: Intake, now: Timestamp) -> Result<KnownHost, StoreError>;

    /// All nodes that have ever given their word, by id: there are few.
    async fn nodes(&self) -> Result<Vec<KnownNode>, StoreError>;

    /// A node.
    async fn node(&self, id: NodeId) -> Result<Option<KnownNode>, StoreError>;

    /// Opens or drains a node. One that is new is open.
    async fn set_node_intake(&self, id: NodeId, intake: Intake) -> Result<KnownNode, StoreError>;

    /// Live sessions of hosts other than `own` that have nobody's word `now`, or never had; at most `limit`.
    async fn sessions_of_silent_hosts(
        &self,
        own: &HostName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>, StoreError>;

    /// All Lost sessions of a host.
    async fn lost_sessions(&self, host: &HostName) -> Result<Vec<Session>, StoreError>;

    /// Inserts an account; its `uid` field is ignored and given: the lowest of `uids` never given before.
    /// `Unavailable` when the range is used up.
    async fn insert_account(
        &self,
        account: &Account,
        uids: std::ops::RangeInclusive<u32>,
    ) -> Result<Account, StoreError>;

    /// An account; the user compares without case.
    async fn account(&self, user: &UserName) -> Result<Option<Account>, StoreError>;

    /// A page of accounts by key.
    async fn accounts(&self, after: Option<String>, limit: u32) -> Result<Page<Account, String>, StoreError>;

    /// Changes an account.
    async fn change_account(&self, user: &UserName, change: &AccountChange) -> Result<(), StoreError>;

    /// Deletes an account and its assignments; [`Existing::SessionOfUser`] while one has not ended.
    async fn delete_account(&self, user: &UserName) -> Result<(), StoreError>;

    /// The changes of sessions after a position, in order, at most `limit`; of everybody's or of one user's. Every
    /// change that a write answered is among them, and no change that was not committed.
    async fn changes(
        &self,
        user: Option<&UserName>,
        after: Position,
        limit: u32,
    ) -> Result<Changes, StoreError>;

    /// How far the log of changes goes.
    async fn change_span(&self) -> Result<Span, StoreError>;

    /// Resolves once there is a change after a position, and every few seconds in any case: another node's are
    /// seen only by looking. Cancel-safe.
    async fn changed(&self, after: Position);

    /// Forgets changes older than `before`, and all but the last `keep`, from the beginning on. Answers how many.
    async fn forget_changes(&self, before: Timestamp, keep: u64) -> Result<u64, StoreError>;

    /// Appends to the audit trail.
    async fn append_audit(&self, record: &AuditRecord) -> Result<(), StoreError>;

    /// A page of the audit trail by time, newest first: what was written down late, because the store was away, stands
    /// where it belongs.
    async fn audit_page(
        &self,
        before: Option<AuditCursor>,
        limit: u32,
    ) -> Result<Page<AuditEntry, AuditCursor>, StoreError>;

    /// The record of that number.
    async fn audit_entry(&self, number: u64) -> Result<Option<AuditEntry>, StoreError>;

    /// The newest records, newest first.
    async fn audit(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let left = limit.saturating_sub(u32::try_from(all.len()).unwrap_or(u32::MAX));
            let page = self.audit_page(before, left).await?;
            all.extend(page.rows.into_iter().map(|entry| entry.record).take(left as usize));
            before = page.next;
            if before.is_none() || all.len() >= limit as usize {
                return Ok(all);
            }
        }
    }
}
