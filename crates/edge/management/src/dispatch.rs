//! From a WS-Management message and a principal to the service, and back to a message.

use crate::contexts::Context;
use crate::shares::{Share, Shares};
use crate::{Config, Shared};
use openrdms_cim::{CimError, Kind, Principal};
use openrdms_wsman::{
    Fault, Filter, Input, Limits, Mode, Operation, Rejected, Request, Subcode, bind, reply,
};
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
struct Place {
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

    fn take(&self, who: &Principal) -> Option<Place> {
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
        Outcome::Fault(rejected.charset.encode(&message), rejected.charset.content_type())
    }

    /// Answers a message. Dropping the future drops a read; a method runs on to its end.
    pub(crate) async fn answer(&self, request: &Request, caller: Caller<'_>) -> Outcome {
        let within =
            request.timeout.map_or(self.config.request_timeout, |t| t.min(self.config.request_timeout));
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
                Outcome::Message(charset.encode(&message), charset.content_type())
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
            Operation::Get => {
                let path = bind::instance(request, bind::class(request, repository)?)?;
                let instance = self.service.get(who, &path).await?;
                Ok(Some(reply::get(request, &fresh_id(), repository, &instance)))
            }
            Operation::Invoke { method, input } => self.invoke(request, who, method, input).await.map(Some),
            Operation::Enumerate { optimize, max_elements, mode, filter } => {
                let wanted = optimize.then(|| max_elements.unwrap_or(1));
                let none = Filter::new();
                self.enumerate(request, who, wanted, *mode, filter.as_ref().unwrap_or(&none)).await.map(Some)
            }
            Operation::Pull { context, max_elements } => {
                let open = self.contexts.find(context, &who.name)?;
                // One is what a client gets that does not say (DSP0226 8.4).
                let (items, next) = self.batch(request, who, &open, max_elements.unwrap_or(1)).await?;
                let more = next.is_some().then_some(context.as_str());
                self.contexts.advance(context, next);
                Ok(Some(reply::listing(request, &fresh_id(), &items, more)))
            }
            Operation::Release { context } => {
                self.contexts.release(context, &who.name)?;
                Ok(Some(reply::empty(request, &fresh_id())))
            }
        }
    }

    /// Opens a listing; with `wanted`, the reply brings up to so many items.
    async fn enumerate(
        &self,
        request: &Request,
        who: &Principal,
        wanted: Option<usize>,
        mode: Mode,
        filter: &Filter,
    ) -> Result<String, Fault> {
        let class = bind::class(request, self.service.repository())?;
        let what = bind::enumeration(request, class, filter)?;
        let mut context = Context { owner: who.name.clone(), what, mode, cursor: None };
        let mut items = Vec::new();
        if let Some(wanted) = wanted {
            let (first, next) = self.batch(request, who, &context, wanted).await?;
            if next.is_none() {
                return Ok(reply::listing(request, &fresh_id(), &first, None));
            }
            (items, context.cursor) = (first, next);
        }
        let id = self.contexts.open(context)?;
        Ok(reply::listing(request, &fresh_id(), &items, Some(&id)))
    }

    /// The next items of a listing, as many as are wanted and fit into the reply, and where to go on.
    async fn batch(
        &self,
        request: &Request,
        who: &Principal,
        context: &Context,
        wanted: usize,
    ) -> Result<(Vec<String>, Option<String>), Fault> {
        let repository = self.service.repository();
        let empty = reply::listing(request, &fresh_id(), &[], Some(&fresh_id()));
        // Besides, the elements around the items.
        let room = request.max_envelope.saturating_sub(request.charset.encoded_len(&empty) + 200);
        let mut limit = wanted.clamp(1, self.config.max_batch);
        loop {
            let limits = openrdms_cim::Limits { max_elements: limit };
            let listing =
                self.service.enumerate(who, &context.what, context.cursor.as_deref(), limits).await?;
            let mut used = 0;
            let mut items = Vec::with_capacity(listing.instances.len());
            for instance in &listing.instances {
                let item = reply::item(request, context.mode, repository, instance);
                used += request.charset.encoded_len(&item);
                if used > room {
                    break;
                }
                items.push(item);
            }
            if items.len() == listing.instances.len() {
                return Ok((items, listing.next));
            }
            // A cursor is only at the end of a page: ask again for just as many as fit.
            if items.is_empty() || items.len() >= limit {
                return Err(too_long());
            }
            limit = items.len();
        }
    }

    /// Calls a method. It runs as a task of its own, so that a caller who goes away or waits no longer does
    /// not leave it half done and without its audit line.
    async fn invoke(
        &self,
        request: &Request,
        who: &Principal,
        method: &str,
        input: &[(String, Input)],
    ) -> Result<String, Fault> {
        let class = bind::class(request, self.service.repository())?;
        let (method, path, params) = bind::invocation(request, class, method, input)?;
        let (class, method) = (class.name.clone(), method.name.clone());
        let place = self
            .methods
            .take(who)
            .ok_or_else(|| Fault::new(Subcode::QuotaLimit, "too many methods are running"))?;
        let (service, who, options) = (Arc::clone(&self.service), who.clone(), request.options.clone());
        let name = method.clone();
        let task = tokio::spawn(async move {
            let result = service.invoke(&who, &path, &name, params, &options).await;
            drop(place);
            result
        });
        let result = task.await.map_err(|_| Fault::new(Subcode::InternalError, "the method failed"))??;
        Ok(reply::output(request, &fresh_id(), &class, &method, &result))
    }
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
