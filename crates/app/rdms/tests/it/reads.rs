//! What a query costs: the store is asked for the row where the condition says which, and for no more than the
//! condition lets it choose.

use crate::support::{World, config};
use crate::{MICROSOFT, OURS, admin, rdms};
use openrdms_broker::change::{Changes, Position, Span};
use openrdms_broker::document::Stored;
use openrdms_broker::ports::store::{AuditCursor, AuditEntry, NewSession};
use openrdms_broker::ports::{
    Assignments, DocumentRow, Documents, Page, Roomy, SessionCursor, SessionFilter, Settings, Store,
    StoreError,
};
use openrdms_broker::{
    Account, AccountChange, Assignment, AuditRecord, Collection, CollectionAlias, CollectionChange, Compared,
    Desktop, DesktopHandle, DesktopName, HostName, Intake, KnownHost, KnownNode, Lease, NodeId, Session,
    SessionUid, Setting, SettingOwner, SettingValue, Timestamp, UserName,
};
use openrdms_cim::wql::{Plan, Select};
use openrdms_cim::{CimService as _, Instance, Limits, Principal, Value};
use openrdms_engine::Engine;
use openrdms_rdms::Rdms;
use std::sync::{Arc, Mutex};

type Done<T> = Result<T, StoreError>;

/// A store that remembers what it was asked.
struct Counting {
    inner: Arc<dyn Store>,
    asked: Arc<Mutex<Vec<String>>>,
}

macro_rules! passed_on {
    ($port:ident: $($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)* $({ $more:item })?) => {
        #[async_trait::async_trait]
        impl $port for Counting {
            $(async fn $name(&self, $($arg: $ty),*) -> $out {
                self.asked.lock().unwrap().push(stringify!($name).to_owned());
                self.inner.$name($($arg),*).await
            })*

            $($more)?
        }
    };
}

passed_on! { Settings:
    setting(owner: &SettingOwner, name: &str) -> Done<Option<SettingValue>>;
    settings(owner: &SettingOwner) -> Done<Vec<Setting>>;
    count_settings(owner: &SettingOwner) -> Done<u32>;
    set_setting(owner: &SettingOwner, setting: &Setting) -> Done<()>;
    remove_setting(owner: &SettingOwner, name: &str) -> Done<()>;
    compare_and_set(owner: &SettingOwner, name: &str, expected: Option<&str>, new: &str) -> Done<Compared>;
}

passed_on! { Documents:
    document_row(kind: &'static str, key: &str) -> Done<Option<Stored<String>>>;
    document_rows(kind: &'static str, within: &str, after: Option<String>, limit: u32) -> Done<Page<Stored<String>, String>>;
    insert_document_row(row: DocumentRow) -> Done<()>;
    update_document_row(row: DocumentRow, generation: u64) -> Done<()>;
    delete_document_row(kind: &'static str, key: &str, owned: Option<&'static str>) -> Done<()>;
}

passed_on! { Assignments:
    insert_assignment(assignment: &Assignment) -> Done<()>;
    delete_assignment(desktop: &DesktopName) -> Done<()>;
    assignment(desktop: &DesktopName) -> Done<Option<Assignment>>;
    assignment_of_user(collection: &CollectionAlias, user: &UserName) -> Done<Option<Assignment>>;
    assignments(of: Option<&CollectionAlias>, after: Option<DesktopName>, limit: u32) -> Done<Page<Assignment, DesktopName>>;
}

passed_on! { Store:
    insert_session(new: NewSession) -> Done<Session>;
    update_session(session: &Session) -> Done<Session>;
    session(uid: SessionUid) -> Done<Option<Session>>;
    session_by_id(host: &str, id: u32) -> Done<Option<Session>>;
    live_session(user: &UserName, collection: &CollectionAlias) -> Done<Option<Session>>;
    count_sessions(filter: &SessionFilter) -> Done<u32>;
    session_in_desktop(desktop: &DesktopName) -> Done<Option<Session>>;
    insert_collection(collection: &Collection, desktops: &[Desktop]) -> Done<()>;
    collection(alias: &str) -> Done<Option<Collection>>;
    collections() -> Done<Vec<Collection>>;
    change_collection(alias: &str, change: CollectionChange) -> Done<()>;
    delete_collection(alias: &CollectionAlias) -> Done<()>;
    desktop(name: &DesktopName) -> Done<Option<Desktop>>;
    desktops(of: Option<&CollectionAlias>, after: Option<DesktopName>, limit: u32) -> Done<Page<Desktop, DesktopName>>;
    free_desktops(of: &CollectionAlias, host: &HostName, owner: Option<&UserName>, now: Timestamp, limit: u32) -> Done<Vec<Desktop>>;
    roomy_machines(of: &CollectionAlias, owner: Option<&UserName>, now: Timestamp) -> Done<Vec<Roomy>>;
    insert_desktop(desktop: &Desktop) -> Done<()>;
    delete_desktop(name: &DesktopName) -> Done<()>;
    set_desktop_paused(name: &DesktopName, handle: &DesktopHandle, paused: bool) -> Done<()>;
    orphans(host: &HostName) -> Done<Vec<Desktop>>;
    count_desktops(host: &HostName) -> Done<u32>;
    pin_desktop(name: &DesktopName, certificate_sha256: [u8; 32]) -> Done<()>;
    set_desktop_handle(name: &DesktopName, handle: Option<&DesktopHandle>) -> Done<()>;
    clear_desktop_handle(name: &DesktopName, handle: &DesktopHandle) -> Done<()>;
    renew_lease(lease: &Lease, now: Timestamp) -> Done<()>;
    release_lease(host: &HostName, node: NodeId, now: Timestamp) -> Done<()>;
    hosts() -> Done<Vec<KnownHost>>;
    host(name: &str) -> Done<Option<KnownHost>>;
    delete_host(name: &HostName) -> Done<()>;
    set_intake(name: &str, intake: Intake) -> Done<KnownHost>;
    turn_intake(name: &str, intake: Intake, now: Timestamp) -> Done<KnownHost>;
    nodes() -> Done<Vec<KnownNode>>;
    node(id: NodeId) -> Done<Option<KnownNode>>;
    set_node_intake(id: NodeId, intake: Intake) -> Done<KnownNode>;
    sessions_of_silent_hosts(own: &HostName, now: Timestamp, limit: u32) -> Done<Vec<Session>>;
    lost_sessions(host: &HostName) -> Done<Vec<Session>>;
    insert_account(account: &Account, uids: std::ops::RangeInclusive<u32>) -> Done<Account>;
    account(user: &UserName) -> Done<Option<Account>>;
    accounts(after: Option<String>, limit: u32) -> Done<Page<Account, String>>;
    change_account(user: &UserName, change: &AccountChange) -> Done<()>;
    delete_account(user: &UserName) -> Done<()>;
    changes(user: Option<&UserName>, after: Position, limit: u32) -> Done<Changes>;
    change_span() -> Done<Span>;
    changed(after: Position) -> ();
    forget_changes(before: Timestamp, keep: u64) -> Done<u64>;
    append_audit(record: &AuditRecord) -> Done<()>;
    audit_page(before: Option<AuditCursor>, limit: u32) -> Done<Page<AuditEntry, AuditCursor>>;
    audit_entry(number: u64) -> Done<Option<AuditEntry>>;
    {
        async fn sessions(
            &self,
            filter: &SessionFilter,
            after: Option<SessionCursor>,
            limit: u32,
        ) -> Done<Page<Session, SessionCursor>> {
            let page = self.inner.sessions(filter, after, limit).await?;
            self.asked.lock().unwrap().push(format!("{} sessions", page.rows.len()));
            Ok(page)
        }
    }
}

/// alice's and bob's session in `pool`, carol's in `staff`.
struct Fixture {
    world: World,
    rdms: Rdms,
    asked: Arc<Mutex<Vec<String>>>,
    alice: SessionUid,
}

impl Fixture {
    async fn new() -> Self {
        let world = World::new().await;
        let staff = CollectionAlias::new("staff").unwrap();
        world
            .engine
            .create_collection(Collection { size: 1, ..Collection::new(staff, Timestamp(0)) })
            .await
            .unwrap();
        let alice = world.active("alice").await.session;
        world.active("bob").await;
        world.active_in("carol", "staff").await;
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let store = Counting { inner: world.engine.store().clone(), asked: asked.clone() };
        let engine = Engine::new(Arc::new(store), world.host.clone(), config());
        let rdms = rdms(&engine);
        Self { world, rdms, asked, alice }
    }

    /// The users of the sessions that a query finds, and what the store was asked for it.
    async fn find(&self, who: &str, namespace: &str, query: &str) -> (Vec<String>, Vec<String>) {
        let Plan::Instances(what) =
            Select::parse(query).unwrap().plan(self.rdms.repository(), namespace).unwrap()
        else {
            panic!("{query} is about instances")
        };
        let who = Principal {
            name: format!("TEST\\{who}"),
            admin: who == "root",
            from: "test".into(),
            proof: None,
        };
        self.asked.lock().unwrap().clear();
        let listing = self.rdms.enumerate(&who, &what, None, Limits { max_elements: 100 }).await.unwrap();
        assert_eq!(listing.next, None);
        let user = |i: &Instance| i.get("UserName").as_str().unwrap().to_owned();
        (listing.instances.iter().map(user).collect(), self.asked.lock().unwrap().clone())
    }
}

#[tokio::test]
async fn a_condition_that_states_the_key_reads_one_row() {
    let fixture = Fixture::new().await;
    let alice = fixture.world.session(fixture.alice).await;
    let (uid, id) = (alice.uid, alice.session_id);
    for (namespace, query, found, read) in [
        (
            MICROSOFT,
            format!("SELECT * FROM Win32_VirtualDesktopSession WHERE VMHostName='HOST' AND SessionId={id}"),
            vec!["alice"],
            "session_by_id",
        ),
        (
            MICROSOFT,
            format!(
                "SELECT UserName FROM Win32_VirtualDesktopSession WHERE '{id}' = SessionId AND UserName LIKE 'b%' \
                 AND vmhostname='host'"
            ),
            vec![],
            "session_by_id",
        ),
        (
            OURS,
            format!("SELECT * FROM OpenRDMS_Session WHERE HostName='host' AND SessionId={id}"),
            vec!["alice"],
            "session_by_id",
        ),
        (OURS, format!("SELECT * FROM OpenRDMS_Session WHERE Uid='{uid}'"), vec!["alice"], "session"),
        (
            OURS,
            "SELECT * FROM OpenRDMS_User WHERE DomainName='test' AND UserName='BOB'".into(),
            vec!["bob"],
            "account",
        ),
        (
            OURS,
            "SELECT * FROM OpenRDMS_User WHERE DomainName='x' AND UserName='BOB'".into(),
            vec![],
            "account",
        ),
    ] {
        let (users, asked) = fixture.find("root", namespace, &query).await;
        assert_eq!(
            (users, asked),
            (found.into_iter().map(str::to_owned).collect(), vec![read.to_owned()]),
            "{query}"
        );
    }
    // and it shows nobody what they may not see
    for query in [
        format!("SELECT * FROM OpenRDMS_Session WHERE HostName='host' AND SessionId={id}"),
        format!("SELECT * FROM OpenRDMS_Session WHERE Uid='{uid}'"),
    ] {
        assert!(fixture.find("bob", OURS, &query).await.0.is_empty(), "{query}");
        assert_eq!(fixture.find("alice", OURS, &query).await.0, ["alice"], "{query}");
    }
    let unknown = "SELECT * FROM OpenRDMS_Session WHERE Uid='not a uid'";
    assert_eq!(fixture.find("root", OURS, unknown).await, (vec![], vec![]), "no such thing needs no store");
}

#[tokio::test]
async fn the_store_chooses_by_collection_host_and_user() {
    let fixture = Fixture::new().await;
    for (condition, found, rows) in [
        ("CollectionAlias = 'STAFF'", vec!["carol"], 1),
        ("CollectionAlias = 'pool' AND UserName <> 'alice'", vec!["bob"], 2),
        ("HostName = 'elsewhere'", vec![], 0),
        ("UserName = 'Bob' AND DomainName = 'test'", vec!["bob"], 1),
        ("UserName = 'Bob'", vec!["bob"], 3),
        ("CollectionAlias = 'staff' OR UserName = 'bob'", vec!["bob", "carol"], 3),
        ("NOT CollectionAlias = 'staff'", vec!["alice", "bob"], 3),
        ("CollectionAlias = 'pool' AND CollectionAlias = 'staff'", vec![], 2),
    ] {
        let query = format!("SELECT * FROM OpenRDMS_Session WHERE {condition}");
        let (mut users, asked) = fixture.find("root", OURS, &query).await;
        users.sort();
        assert_eq!(
            (users, asked),
            (found.into_iter().map(str::to_owned).collect(), vec![format!("{rows} sessions")])
        );
    }
    // a user's list is their own, whomever the condition names
    let query = "SELECT * FROM OpenRDMS_Session WHERE UserName = 'alice' AND DomainName = 'TEST'";
    assert_eq!(fixture.find("bob", OURS, query).await, (vec![], vec!["1 sessions".to_owned()]));
}

#[tokio::test]
async fn sessions_are_counted() {
    let fixture = Fixture::new().await;
    let root = admin();
    let query = "SELECT COUNT(*) FROM OpenRDMS_Session WHERE SessionId > 0 AND CollectionAlias LIKE '[^s]%'";
    let Ok(Plan::Count(what)) = Select::parse(query).unwrap().plan(fixture.rdms.repository(), OURS) else {
        panic!("it counts")
    };
    let count = fixture.rdms.count(&root, &what).await.unwrap();
    assert_eq!(openrdms_cim::wql::count_of(OURS, count).get("count"), &Value::Uint64(2));
}
