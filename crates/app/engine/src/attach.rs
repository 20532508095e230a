//! A proved user asks for a desktop.

use crate::leg::Leg;
use crate::{Engine, EngineError, now};
use openrdms_broker::ports::front::{ConnectionEnd, DesktopLogon};
use openrdms_broker::ports::store::NewSession;
use openrdms_broker::ports::{Admission, AttachRequest, Existing, Front, Refusal, Standing, StoreError};
use openrdms_broker::session::DetachReason;
use openrdms_broker::session::reconnect::With;
use openrdms_broker::session::transition::{Denied, Event};
use openrdms_broker::{
    Account, Arrival, AuditRecord, Collection, CollectionKind, ConnectionId, Desktop, Endpoint, Intake,
    MachineLogon, OperatorEvent, Outcome, Route, Session, SessionUid, State, UserName,
};
use uuid::Uuid;

/// How many free desktops are tried at once: another node may take the first one meanwhile.
const CANDIDATES: u32 = 8;
/// How many desktops are tried for one client when they do not start.
const STARTS: u32 = 3;

/// WBEM_E_ACCESS_DENIED, _NOT_FOUND, _NOT_AVAILABLE, _FAILED: what the audit trail says of a refusal.
fn code(refusal: Refusal) -> u32 {
    match refusal {
        Refusal::NotAllowed | Refusal::Automatic(_) => 0x8004_1003,
        Refusal::NotFound => 0x8004_1002,
        Refusal::Unavailable => 0x8004_1009,
        Refusal::NoneFree | Refusal::Ordered(_) => 0x8004_1001,
    }
}

#[async_trait::async_trait]
impl Front for Engine {
    async fn attach(&self, request: AttachRequest) -> Result<Admission, Refusal> {
        let mut leg = Leg::enter(self, request.connection);
        let limit = self.inner.config.attach_limit;
        let kill = leg.kill();
        // an order that comes while we wait for somebody else to go must not wait itself
        let place = async {
            tokio::select! {
                biased;
                reason = kill.wait() => Err(Failed::from(refused_by(reason))),
                placed = self.place(&mut leg, &request) => placed,
            }
        };
        let placed = tokio::time::timeout(limit, place).await;
        let (result, session, detail) = match placed {
            Ok(Ok((session, admission))) => (Ok(admission), Some(session), String::new()),
            Ok(Err(Failed { refusal, why })) => (Err(refusal), None, why),
            Err(_) => {
                (Err(Refusal::NoneFree), None, format!("no desktop within {limit:?}; it goes on starting"))
            }
        };
        self.audit_attach(&request, session.as_ref(), result.as_ref().err().copied(), detail).await;
        result.map(|Bound { endpoint, certificate_sha256, logon }| Admission {
            session: session.as_ref().map_or(SessionUid(Uuid::nil()), |s| s.uid),
            endpoint,
            certificate_sha256,
            desktop_user: request.user.name().to_owned(),
            logon,
            kill: leg.kill(),
            attachment: Box::new(leg),
        })
    }
}

/// What an order to end means to a client that has not been admitted yet.
fn refused_by(reason: DetachReason) -> Refusal {
    match reason {
        DetachReason::DesktopClosed | DetachReason::ClientGone => Refusal::NoneFree,
        DetachReason::Administrator
        | DetachReason::TakenOver
        | DetachReason::Logoff
        | DetachReason::Service
        | DetachReason::Limit(_) => Refusal::Ordered(reason),
    }
}

struct Failed {
    refusal: Refusal,
    why: String,
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Failed { refusal, why: String::new() }
    }
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        let refusal = match &error {
            EngineError::Store(StoreError::Unavailable(_)) => Refusal::Unavailable,
            _ => Refusal::NoneFree,
        };
        Failed { refusal, why: error.to_string() }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

/// Where the desktop is, and what it is told.
struct Bound {
    endpoint: Endpoint,
    certificate_sha256: [u8; 32],
    logon: DesktopLogon,
}

/// A desktop that a session may begin in, and how many it holds if that is not one.
struct Free {
    desktop: Desktop,
    places: Option<u32>,
}

impl Engine {
    async fn place(&self, leg: &mut Leg, request: &AttachRequest) -> Result<(Session, Bound), Failed> {
        let account = self
            .inner
            .store
            .account(&request.user)
            .await?
            .ok_or_else(|| Failed { refusal: Refusal::NotAllowed, why: "the account is gone".into() })?;
        let collection = self.route(request).await?;
        let mut more = STARTS;
        loop {
            let session = self.session_for(leg, request, &account, &collection).await?;
            let Some(session) = session else { continue };
            match self.bind(&session, &account, request).await {
                Ok(Some(bound)) => return Ok((session, bound)),
                Ok(None) => {}
                Err(failed) => {
                    more -= 1;
                    let broken = self.inner.failing.contains(&session.desktop);
                    if more == 0 || !broken || !self.another_is_free(&collection, &request.user).await {
                        return Err(failed);
                    }
                }
            }
        }
    }

    /// Whether the user could have a desktop in which no logon has just failed.
    async fn another_is_free(&self, collection: &Collection, user: &UserName) -> bool {
        let free = self.free_for(collection, user).await;
        // the first one: those that fail are the last
        let first = free.ok().flatten().and_then(|free| free.into_iter().next());
        first.is_some_and(|first| !self.inner.failing.contains(&first.desktop.name))
    }

    /// The user's own session wins over choosing a desktop. `None`: the world moved; look again.
    async fn session_for(
        &self,
        leg: &mut Leg,
        request: &AttachRequest,
        account: &Account,
        collection: &Collection,
    ) -> Result<Option<Session>, Failed> {
        if let Some(own) = self.inner.store.live_session(&request.user, &collection.alias).await? {
            if self.host_of(&own.host).is_none() {
                return Err(EngineError::OtherNode(own.host).into());
            }
            if matches!(own.state, State::LoggingOff { .. }) {
                self.wait_until(own.uid, |s| !s.state.is_live()).await?;
                return Ok(None);
            }
            leg.bind(own.uid);
            let event = Event::Attach(request.connection);
            return match self
                .drive_with(own.uid, &event, With::Client(&request.client, request.arrival))
                .await
            {
                Ok(session) => Ok(Some(session)),
                Err(EngineError::Denied(Denied::Automatic(reason))) => Err(Refusal::Automatic(reason).into()),
                Err(EngineError::Denied(_)) => Ok(None), // it ended or is ending: look again
                Err(error) => Err(error.into()),
            };
        }
        if self.may_still_run(account, &collection.alias).await? {
            // what counts is what is left; its failures are told where it is repeated
            let _ = self.tend().await;
            if self.may_still_run(account, &collection.alias).await? {
                let why = "an earlier session of the user's may still run here".into();
                return Err(Failed { refusal: Refusal::NoneFree, why });
            }
            return Ok(None);
        }
        let node = self.inner.config.node;
        if self.inner.store.node(node).await?.is_some_and(|node| node.intake == Intake::Drained) {
            return Err(Failed { refusal: Refusal::NoneFree, why: format!("node {node} is drained") });
        }
        let Some(free) = self.free_for(collection, &request.user).await? else { return Ok(None) };
        for Free { desktop, places } in free {
            let Some(host) = self.host_of(&desktop.host) else { continue };
            let uid = SessionUid(Uuid::now_v7());
            leg.bind(uid);
            let new = NewSession {
                uid,
                desktop: desktop.name,
                places,
                host: desktop.host,
                boot_id: host.boot_id().to_owned(),
                collection: collection.alias.clone(),
                user: request.user.clone(),
                created: now(),
                state: State::Starting { since: now(), attach: request.connection },
            };
            match self.insert_session(new, request.connection).await {
                Ok(session) => {
                    self.tell(OperatorEvent::started(&session, now()));
                    // a cookie of a session that is over counts for nothing in a new one
                    let client = With::Client(&request.client, Arrival::Person);
                    return Ok(Some(
                        self.drive_with(session.uid, &Event::Attach(request.connection), client).await?,
                    ));
                }
                Err(StoreError::Conflict(Existing::SessionInDesktop)) => {}
                Err(StoreError::Conflict(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Desktops that a session of the user's may begin in. `None`: the world moved; look again.
    async fn free_for(&self, collection: &Collection, user: &UserName) -> Result<Option<Vec<Free>>, Failed> {
        let (store, host) = (&self.inner.store, self.inner.host.name());
        let own = match collection.kind {
            CollectionKind::Pooled => None,
            CollectionKind::ManualPersonal | CollectionKind::AutomaticPersonal => {
                store.assignment_of_user(&collection.alias, user).await?
            }
        };
        if own.is_none() && collection.kind == CollectionKind::ManualPersonal {
            let why = format!("no desktop of collection {} is assigned to {user}", collection.alias);
            return Err(Failed { refusal: Refusal::NoneFree, why });
        }
        let owner = own.is_some().then_some(user);
        let machines = self.machines_for(&collection.alias, owner).await?.into_iter();
        let mut free: Vec<_> = machines
            .map(|roomy| Free { desktop: roomy.desktop, places: Some(roomy.machine.session_limit) })
            .collect();
        let failing = &self.inner.failing;
        let most = CANDIDATES.saturating_add(u32::try_from(failing.len()).unwrap_or(u32::MAX));
        let local = store.free_desktops(&collection.alias, host, owner, now(), most).await?;
        free.extend(local.into_iter().map(|desktop| Free { desktop, places: None }));
        // asked once for each: what fails may change meanwhile
        free.sort_by_cached_key(|free| failing.contains(&free.desktop.name));
        if !free.is_empty() {
            if own.is_none() && collection.kind == CollectionKind::AutomaticPersonal {
                return self.assign_one_of(free, user).await.map(|()| None);
            }
            return Ok(Some(free));
        }
        let own_desktop = own.as_ref().map(|own| &own.desktop);
        if self.knows_machines() && self.want_a_machine(&collection.alias, own_desktop).await? {
            let why = format!("no machine of collection {} has room and answers", collection.alias);
            return Err(Failed { refusal: Refusal::NoneFree, why });
        }
        let known = store.host(host.as_str()).await?;
        let (refusal, why) = match (known, own) {
            (Some(known), _) if known.intake == Intake::Drained => {
                (Refusal::NoneFree, format!("host {host} is drained"))
            }
            (Some(known), Some(own)) if known.is_up(now()) => (
                Refusal::NoneFree,
                format!("the user's desktop {} cannot be used on host {host}", own.desktop),
            ),
            (Some(known), None) if known.is_up(now()) => {
                (Refusal::NoneFree, format!("every desktop on host {host} is taken"))
            }
            // the store was away for longer than the lease, and is back just now: it is ours to renew
            (Some(_) | None, _) if self.renew_lease().await.is_ok() => return Ok(None),
            (Some(_) | None, _) => (Refusal::Unavailable, format!("nobody has the lease of host {host} now")),
        };
        Err(Failed { refusal, why })
    }

    /// Makes the user the owner of the first of these that is still nobody's.
    async fn assign_one_of(&self, free: Vec<Free>, user: &UserName) -> Result<(), Failed> {
        for Free { desktop, .. } in free {
            match self.insert_assignment(desktop.collection, desktop.name, user).await {
                Err(EngineError::Store(StoreError::Conflict(Existing::AssignmentOfDesktop))) => {}
                // another logon of theirs was faster
                Ok(()) | Err(EngineError::Store(StoreError::Conflict(Existing::AssignmentOfUser))) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Inserts a session, also if the client leaves meanwhile, and then says that it left: the row would wait for
    /// it otherwise.
    async fn insert_session(&self, new: NewSession, connection: ConnectionId) -> Result<Session, StoreError> {
        let engine = self.clone();
        let insert = self.inner.tasks.spawn(async move {
            let session = engine.inner.store.insert_session(new).await?;
            if !engine.inner.connections.knows(connection) {
                let (reason, end) = (DetachReason::ClientGone, ConnectionEnd::ClientGone);
                engine.report_end(session.uid, connection, reason, end).await;
            }
            Ok(session)
        });
        insert.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Waits for the client before us to be gone, and for the desktop to run. `None`: the session is over.
    async fn bind(
        &self,
        session: &Session,
        account: &Account,
        request: &AttachRequest,
    ) -> Result<Option<Bound>, Failed> {
        // first: a frozen desktop closes no leg
        self.run_on(&session.desktop).await?;
        for old in self.inner.connections.leaving(session.uid, Some(request.connection)) {
            old.gone().await;
        }
        if let Some(Standing { endpoint, certificate_sha256, logon }) = self.standing(&session.host) {
            let logon = match logon {
                MachineLogon::Ask => DesktopLogon::Ask,
                MachineLogon::Forward => DesktopLogon::Password,
            };
            return Ok(Some(Bound { endpoint, certificate_sha256, logon }));
        }
        // before the row: a start is in flight until its handle is in the row, and a running desktop is watched
        // until its session has ended
        let pending = self.inner.starts.pending(&session.desktop);
        let watched = self.inner.starts.watched(&session.desktop);
        let desktop = self.desktop_of(session).await?;
        let running = match desktop.handle {
            Some(handle) if self.inner.host.running(&handle).await => Some(handle),
            Some(_) | None => None,
        };
        let (handle, certificate_sha256) = match running {
            Some(handle) => (handle, desktop.certificate_sha256),
            // Not watched: the start was never begun, because the store or the client went away before it.
            None if pending || !watched || matches!(session.state, State::Starting { .. }) => {
                let size = (request.client.width, request.client.height);
                let started = self.running_desktop(session, account.uid, size).await;
                match started {
                    // which may have found another certificate
                    Ok(handle) => (handle, self.desktop_of(session).await?.certificate_sha256),
                    Err(error) if matches!(*error, EngineError::EndedMeanwhile) => return Ok(None),
                    Err(error) => {
                        return Err(Failed { refusal: Refusal::NoneFree, why: error.to_string() });
                    }
                }
            }
            // The desktop is gone and its watcher is about to say so: this session cannot be come back to.
            None => {
                self.wait_until(session.uid, |s| !s.state.is_live()).await?;
                return Ok(None);
            }
        };
        Ok(Some(Bound { endpoint: handle.endpoint, certificate_sha256, logon: DesktopLogon::Nothing }))
    }

    async fn route(&self, request: &AttachRequest) -> Result<Collection, Failed> {
        let not_found = |why: String| Failed { refusal: Refusal::NotFound, why };
        let allowed = |c: &Collection| c.users.as_ref().is_none_or(|users| users.contains(&request.user));
        match &request.route {
            Route::Collection(alias) | Route::Desktop(alias) => {
                let found = self.inner.store.collection(alias).await?;
                let collection = found.ok_or_else(|| not_found(format!("no collection '{alias}'")))?;
                if allowed(&collection) {
                    Ok(collection)
                } else {
                    Err(Failed { refusal: Refusal::NotAllowed, why: format!("not a user of '{alias}'") })
                }
            }
            Route::Default => {
                let all = self.inner.store.collections().await?;
                let any = !all.is_empty();
                let mut own = all.into_iter().filter(allowed);
                match (own.next(), own.next()) {
                    (Some(only), None) => Ok(only),
                    (Some(_), Some(_)) => {
                        Err(not_found("no collection was named, and the user has several".into()))
                    }
                    (None, _) if any => {
                        Err(Failed { refusal: Refusal::NotAllowed, why: "a user of no collection".into() })
                    }
                    (None, _) => Err(not_found("there is no collection".into())),
                }
            }
        }
    }

    async fn audit_attach(
        &self,
        request: &AttachRequest,
        session: Option<&Session>,
        refusal: Option<Refusal>,
        detail: String,
    ) {
        let record = AuditRecord {
            at: now(),
            actor: request.user.to_string(),
            from: format!("rdp {}", request.client.address),
            action: "Connect".into(),
            target: session.map_or_else(
                || format!("{:?}", request.route),
                |s| format!("{} {} {}", s.host, s.session_id, s.desktop),
            ),
            subject: request.user.to_string(),
            outcome: refusal.map_or(Outcome::Done, |r| Outcome::Failed(code(r))),
            detail,
        };
        if let Some(refusal) = refusal {
            let why = if record.detail.is_empty() { refusal.to_string() } else { record.detail.clone() };
            self.tell(OperatorEvent::refused(&request.user, &request.client, why, now()));
        }
        self.audit(record).await;
    }
}
