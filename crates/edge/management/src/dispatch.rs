//! From a WS-Management message and a principal to the service, and back to a message.

mod listing;

use crate::contexts::Granted;
use crate::shares::{Share, Shares};
use crate::{Config, Shared};
use openrdms_cim::{
    CimError, CimService, Class, Instance, Kind, ObjectPath, Params, Principal, Value, WmiCode,
};
use openrdms_wsman::{Family, Fault, Input, Limits, Operation, Rejected, Request, Subcode, bind, reply};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// What goes back over HTTP.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A message, with status 200.
    Message(Vec<u8>, &'static str),
    /// Nothing, with status 200.
    Nothing,
    /// A fault, with status 500.
    Fault(Vec<u8>, &'static str),
}

/// Who asks, and so how much Identify tells.
pub(crate) enum Caller<'a> {
    /// Somebody who may do nothing but ask who we are.
    Nobody,
    /// A principal, come through a door with these security profiles.
    Principal(&'a Principal, &'a [&'a str]),
}

/// Room for the methods that run. They outlive their callers, so administrators have room of their own.
pub(crate) struct Methods {
    admins: Arc<Semaphore>,
    users: Arc<Semaphore>,
    each: Shares<String>,
}

/// The place of a method that runs.
pub(crate) struct Place {
    _counted: OwnedSemaphorePermit,
    _share: Option<Share<String>>,
}

impl Methods {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            admins: Arc::new(Semaphore::new(config.max_methods)),
            users: Arc::new(Semaphore::new(config.max_user_methods)),
            each: Shares::new(config.max_user_methods_each),
        }
    }

    /// Waits until nothing runs any more. Cancel-safe.
    pub(crate) async fn ended(&self, config: &Config) {
        for (room, all) in [(&self.admins, config.max_methods), (&self.users, config.max_user_methods)] {
            let all = u32::try_from(all).unwrap_or(u32::MAX);
            // The semaphore is never closed, so the only answer is that all permits are back.
            drop(room.acquire_many(all).await);
        }
    }

    pub(crate) fn take(&self, who: &Principal) -> Option<Place> {
        let (room, share) = if who.admin {
            (&self.admins, None)
        } else {
            (&self.users, Some(self.each.take(who.name.to_lowercase())?))
        };
        let counted = Arc::clone(room).try_acquire_owned().ok()?;
        Some(Place { _counted: counted, _share: share })
    }
}

impl Shared {
    /// Reads a message.
    pub(crate) fn parse(&self, body: &[u8]) -> Result<Request, Rejected> {
        let limits = Limits { max_request: self.config.max_request, max_envelope: self.config.max_envelope };
        Request::parse(body, &limits)
    }

    /// The fault that answers a message that could not be read.
    pub(crate) fn refuse(&self, rejected: &Rejected) -> Outcome {
        let message =
            rejected.fault.message(&fresh_id(), rejected.message_id.as_deref(), &self.config.machine);
        Outcome::Fault(rejected.charset.encode(message), rejected.charset.content_type())
    }

    /// Answers a message. Dropping the future drops a read; a method runs on to its end.
    pub(crate) async fn answer(&self, request: &Request, caller: Caller<'_>) -> Outcome {
        let most = match &request.operation {
            Operation::Pull { max_time: Some(most), .. } => self.config.request_timeout.min(*most),
            _ => self.config.request_timeout,
        };
        let within = request.timeout.map_or(most, |t| t.min(most));
        let work = async {
            match (&request.operation, caller) {
                (Operation::Identify, caller) => Ok(identify(&caller)),
                (_, Caller::Nobody) => Err(Fault::new(Subcode::AccessDenied, "access denied")),
                (_, Caller::Principal(who, _)) => self.operate(request, who).await,
            }
        };
        let done = timeout(within, work).await.unwrap_or_else(|_| {
            Err(CimError::of(Kind::TimedOut, "the operation did not finish in time").into())
        });
        let (charset, length) = (request.charset, |m: &str| request.charset.encoded_len(m));
        match done {
            Ok(None) => Outcome::Nothing,
            Ok(Some(message)) if length(&message) <= request.max_envelope => {
                Outcome::Message(charset.encode(message), charset.content_type())
            }
            Ok(Some(_)) => self.fault(request, too_long()),
            Err(fault) => self.fault(request, fault),
        }
    }

    fn fault(&self, request: &Request, fault: Fault) -> Outcome {
        self.refuse(&Rejected {
            charset: request.charset,
            message_id: Some(request.message_id.clone()).filter(|id| !id.is_empty()),
            fault,
        })
    }

    async fn operate(&self, request: &Request, who: &Principal) -> Result<Option<String>, Fault> {
        let repository = self.service.repository();
        match &request.operation {
            Operation::Identify | Operation::End => Ok(None),
            Operation::Eventing(asked) => self.eventing(request, who, asked).await.map(Some),
            Operation::Get if is_about_declarations(request) => {
                let class = bind::declaration(request, repository)?;
                let declaration = reply::declaration(repository, class, bind::detail(request));
                Ok(Some(reply::get_declaration(request, &fresh_id(), &declaration)))
            }
            Operation::Get => {
                let class = bind::class(request, repository)?;
                let instance = self.service.get(who, &bind::instance(request, class)?).await?;
                self.instance(request, class, &instance).map(Some)
            }
            Operation::Put { properties } => {
                let class = bind::class(request, repository)?;
                let (path, properties) =
                    (bind::instance(request, class)?, bind::properties(class, properties)?);
                self.put(request, who, class, path, properties).await.map(Some)
            }
            Operation::Create { properties } => self.create(request, who, properties).await.map(Some),
            Operation::Delete => self.delete(request, who).await.map(Some),
            Operation::Invoke { method, input } => self.invoke(request, who, method, input).await.map(Some),
            Operation::Enumerate { optimize, max_elements, mode, filter, expires } => {
                let wanted = bind::listing(request, repository, filter.as_ref())?;
                let granted = expires.map(|expiry| Granted::new(expiry, &self.config)).transpose()?;
                // One is what a client gets that does not say (DSP0226 8.4).
                let first = optimize.then(|| max_elements.unwrap_or(1));
                self.enumerate(request, who, wanted, *mode, first, granted).await.map(Some)
            }
            Operation::Pull { context, max_elements, max_characters, .. } => {
                let most = (max_elements.unwrap_or(1), *max_characters);
                if let Some(events) = self.pull_events(request, who, context, most).await {
                    return events.map(Some);
                }
                self.pull(request, who, context, most).await.map(Some)
            }
            Operation::Status { context } => {
                let left = self.contexts.left(context, &who.name)?;
                Ok(Some(reply::expires(request, &fresh_id(), &left)))
            }
            Operation::Renew { context, expires } => {
                let granted = expires.map(|expiry| Granted::new(expiry, &self.config)).transpose()?;
                self.contexts.renew(context, &who.name, granted.as_ref().map(|granted| granted.end))?;
                let text = match granted {
                    Some(granted) => granted.text,
                    None => self.contexts.left(context, &who.name)?,
                };
                Ok(Some(reply::expires(request, &fresh_id(), &text)))
            }
            Operation::Release { context } => {
                if !self.release_events(who, context) {
                    self.contexts.release(context, &who.name)?;
                }
                Ok(Some(reply::empty(request, &fresh_id())))
            }
        }
    }

    /// Calls a method.
    async fn invoke(
        &self,
        request: &Request,
        who: &Principal,
        method: &str,
        input: &[(String, Input)],
    ) -> Result<String, Fault> {
        let class = bind::class(request, self.service.repository())?;
        let (method, path, params) = bind::invocation(request, class, method, input)?;
        let (name, options) = (method.name.clone(), request.options.clone());
        let result =
            self.run(who, |service, who| async move {
                service.invoke(&who, &path, &name, params, &options).await
            })
            .await??;
        Ok(reply::output(request, &fresh_id(), &class.name, &method.name, &result))
    }

    async fn put(
        &self,
        request: &Request,
        who: &Principal,
        class: &Class,
        path: ObjectPath,
        properties: Params,
    ) -> Result<String, Fault> {
        request.fragment.as_ref().map_or(Ok(()), bind::whole_property)?;
        let changed =
            self.run(who, |service, who| async move { service.put(&who, &path, properties).await }).await??;
        self.instance(request, class, &changed)
    }

    /// Makes an instance; a fragment is made by giving a value to a property that has none.
    async fn create(
        &self,
        request: &Request,
        who: &Principal,
        properties: &[(String, Input)],
    ) -> Result<String, Fault> {
        let class = bind::class(request, self.service.repository())?;
        let properties = bind::properties(class, properties)?;
        let path = match &request.fragment {
            Some(fragment) => {
                let path = bind::instance(request, class)?;
                let now = self.service.get(who, &path).await?;
                if !bind::fragment(class, &now, fragment)?.2.is_null() {
                    let reason = format!("{} has a value already", fragment.property);
                    return Err(Fault::new(Subcode::AlreadyExists, reason));
                }
                self.put(request, who, class, path.clone(), properties).await?;
                path
            }
            None => {
                let path = bind::class_path(request, class)?;
                self.run(who, |service, who| async move { service.create(&who, &path, properties).await })
                    .await??
            }
        };
        Ok(reply::created(request, &fresh_id(), &path))
    }

    /// Removes an instance; of a fragment, its value.
    async fn delete(&self, request: &Request, who: &Principal) -> Result<String, Fault> {
        let class = bind::class(request, self.service.repository())?;
        let path = bind::instance(request, class)?;
        match &request.fragment {
            Some(fragment) => {
                let properties = Params::default().with(&fragment.property, Value::Null);
                self.put(request, who, class, path, properties).await?;
            }
            None => {
                self.run(who, |service, who| async move { service.delete(&who, &path).await }).await??;
            }
        }
        Ok(reply::empty(request, &fresh_id()))
    }

    /// The reply with an instance of `class`, or with the part of it that was asked for.
    fn instance(&self, request: &Request, class: &Class, instance: &Instance) -> Result<String, Fault> {
        let Some(fragment) = &request.fragment else {
            return Ok(reply::get(request, &fresh_id(), self.service.repository(), instance));
        };
        let (name, array, value) = bind::fragment(class, instance, fragment)?;
        Ok(reply::fragment(request, &fresh_id(), class, fragment, (name, array, &value)))
    }

    /// Runs something that changes the world. It is a task of its own, so that a caller who goes away or waits no
    /// longer does not leave it half done and without its audit line. An error where it was not begun.
    pub(crate) async fn run<T, F>(
        &self,
        who: &Principal,
        work: impl FnOnce(Arc<dyn CimService>, Principal) -> F,
    ) -> Result<T, CimError>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let place = self
            .methods
            .take(who)
            .ok_or_else(|| CimError::new(WmiCode::WBEM_E_SERVER_TOO_BUSY, "too many methods are running"))?;
        let work = work(Arc::clone(&self.service), who.clone());
        let task = tokio::spawn(async move {
            let result = work.await;
            drop(place);
            result
        });
        task.await.map_err(|_| CimError::of(Kind::Bug, "the operation failed"))
    }
}

/// Whether it is about classes themselves.
fn is_about_declarations(request: &Request) -> bool {
    request.resource.as_ref().is_some_and(|resource| resource.family == Family::Declarations)
}

fn identify(caller: &Caller<'_>) -> Option<String> {
    let version = format!("OS: {} SP: 0.0 Stack: 3.0", env!("CARGO_PKG_VERSION"));
    let (version, profiles): (&str, &[&str]) = match caller {
        Caller::Nobody => ("OS: 0.0.0 SP: 0.0 Stack: 3.0", &[]),
        Caller::Principal(_, profiles) => (&version, profiles),
    };
    Some(reply::identify(&reply::Identity { vendor: "OpenRDMS", version, profiles }))
}

fn fresh_id() -> String {
    format!("uuid:{}", uuid::Uuid::new_v4())
}

fn too_long() -> Fault {
    Fault::new(Subcode::EncodingLimit, "the reply is longer than the client or the server takes")
        .detail("MaxEnvelopeSize")
}
