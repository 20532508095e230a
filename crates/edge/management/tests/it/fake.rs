//! A service with as many sessions as asked for, and two people who know their passwords.

use crate::notes::{self, Notes};
use async_trait::async_trait;
use openrdms_cim::{
    CimError, CimService, Enumeration, Instance, Kind, Limits, Listing, MethodResult, ObjectPath, Params,
    Principal, Repository, Value, WmiCode,
};
use openrdms_management::{AuthFailure, Authenticate, Config, Server, Tls};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub(crate) const NAMESPACE: &str = "root/cimv2/rdms";
pub(crate) const CLASS: &str = "Win32_VirtualDesktopSession";

/// What was done to whom: caller, path, method, parameters, options.
pub(crate) type Call = (String, String, String, Params, Vec<(String, String)>);

pub(crate) struct Fake {
    repository: Repository,
    pub(crate) notes: Notes,
    sessions: u32,
    pub(crate) calls: Mutex<Vec<Call>>,
    /// Holds methods up until it is opened.
    pub(crate) gate: tokio::sync::Semaphore,
    /// Has a permit for each method that came as far as the gate.
    pub(crate) entered: tokio::sync::Semaphore,
}

pub(crate) struct People;

/// A running server; stops with the test.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) fake: Arc<Fake>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Fake {
    pub(crate) fn new(sessions: u32) -> Arc<Self> {
        let mut repository = Repository::default();
        repository
            .load(NAMESPACE, include_str!("../../../../../schema/RDManagement.mof"))
            .expect("the schema is good");
        let notes = Notes::load(&mut repository);
        let gate = tokio::sync::Semaphore::new(1000);
        let entered = tokio::sync::Semaphore::new(0);
        Arc::new(Self { repository, notes, sessions, calls: Mutex::default(), gate, entered })
    }

    fn session(&self, id: u32) -> Instance {
        let class = self.repository.class(NAMESPACE, CLASS).expect("the schema has it");
        Instance::of(class)
            .with("VMHostName", "host1")
            .with("SessionId", id)
            .with("VMName", format!("desk<{id}>"))
            .with("ConnectState", 4 * (id % 2))
            .with("UserName", "änna")
            .with("DomainName", "LAB")
            .with("CollectionId", "office")
    }
}

#[async_trait]
impl CimService for Fake {
    fn repository(&self) -> &Repository {
        &self.repository
    }

    async fn enumerate(
        &self,
        _who: &Principal,
        what: &Enumeration,
        after: Option<&str>,
        limits: Limits,
    ) -> Result<Listing, CimError> {
        let after: u32 = after.map_or(0, |a| a.parse().expect("the cursor comes back as it was given"));
        let keep = |i: &Instance| {
            what.condition.as_ref().is_none_or(|condition| condition.holds(i, &self.repository).is_true())
        };
        let mut all =
            (after + 1..=self.sessions).map(|id| (id, self.session(id))).filter(|(_, i)| keep(i)).peekable();
        let mut listing = Listing { instances: vec![], next: None };
        while let Some((id, instance)) = all.next() {
            listing.instances.push(instance);
            if listing.instances.len() == limits.max_elements && all.peek().is_some() {
                listing.next = Some(id.to_string());
                break;
            }
        }
        Ok(listing)
    }

    async fn get(&self, _who: &Principal, path: &ObjectPath) -> Result<Instance, CimError> {
        if path.namespace == notes::NAMESPACE {
            return self.notes.get(path);
        }
        let id = path.key("SessionId").and_then(Value::as_int).and_then(|id| u32::try_from(id).ok());
        id.filter(|id| (1..=self.sessions).contains(id))
            .map(|id| self.session(id))
            .ok_or_else(|| CimError::new(WmiCode::WBEM_E_NOT_FOUND, "no such session"))
    }

    async fn create(
        &self,
        _who: &Principal,
        class: &ObjectPath,
        properties: Params,
    ) -> Result<ObjectPath, CimError> {
        if class.namespace != notes::NAMESPACE {
            return Err(openrdms_cim::service::not_capable(&class.class, "made"));
        }
        self.notes.create(class, properties)
    }

    async fn put(
        &self,
        _who: &Principal,
        path: &ObjectPath,
        properties: Params,
    ) -> Result<Instance, CimError> {
        if path.namespace != notes::NAMESPACE {
            return Err(openrdms_cim::service::not_capable(&path.class, "changed"));
        }
        self.notes.put(path, properties)
    }

    async fn delete(&self, _who: &Principal, path: &ObjectPath) -> Result<(), CimError> {
        if path.namespace != notes::NAMESPACE {
            return Err(openrdms_cim::service::not_capable(&path.class, "removed"));
        }
        self.notes.delete(path)
    }

    async fn invoke(
        &self,
        who: &Principal,
        path: &ObjectPath,
        method: &str,
        params: Params,
        options: &[(String, String)],
    ) -> Result<MethodResult, CimError> {
        self.entered.add_permits(1);
        let _open = self.gate.acquire().await.expect("the gate is never closed");
        self.get(who, path).await?;
        if !who.admin {
            return Err(CimError::of(Kind::Denied, "only administrators may"));
        }
        let call = (who.name.clone(), path.to_string(), method.to_owned(), params, options.to_vec());
        self.calls.lock().unwrap().push(call);
        if method == "Logoff" {
            let (code, reason) =
                (WmiCode::WBEM_E_INVALID_OPERATION.0, Some("it is being started".to_owned()));
            return Ok(MethodResult { return_value: code.into(), out: Params::default(), reason });
        }
        Ok(MethodResult { return_value: 0_u32.into(), out: Params::default(), reason: None })
    }
}

#[async_trait]
impl Authenticate for People {
    async fn basic(
        &self,
        user: &str,
        password: Zeroizing<String>,
        from: &str,
    ) -> Result<Principal, AuthFailure> {
        let admin = match (user, password.as_str()) {
            ("LAB\\root", "secret") => true,
            ("anna", "geheim:ä") => false,
            ("broken", _) => return Err(AuthFailure::Unavailable),
            _ => return Err(AuthFailure::Denied),
        };
        Ok(Principal { name: user.to_owned(), admin, from: from.to_owned(), proof: None })
    }
}

impl Running {
    pub(crate) async fn start(fake: Arc<Fake>, config: Config, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(fake.clone(), Arc::new(People), config);
        let shutdown = CancellationToken::new();
        let task = tokio::spawn({
            let (server, stop) = (server.clone(), shutdown.clone());
            async move { server.serve_tcp(listener, tls, stop).await.unwrap() }
        });
        Self { address, server, fake, shutdown, task }
    }

    pub(crate) async fn plain(sessions: u32) -> Self {
        Self::start(Fake::new(sessions), Config::default(), None).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
