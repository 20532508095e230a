//! Subscriptions (DSP0226 10). Each is a position in the service's log and a query: it holds no events, and what a
//! client is slow to take waits in the log. What the log has forgotten meanwhile is told, never passed over.
//!
//! They live in memory: after a restart a client subscribes again with its last bookmark and misses nothing.

mod pull;
mod push;
mod push_to;
mod sink;

pub use push_to::{PushTo, PushToError};

use crate::{Config, Shared};
use openrdms_cim::service::{Since, Watch};
use openrdms_cim::wql::Select;
use openrdms_cim::{CimError, Principal};
use openrdms_wsman::eventing::{Bookmark, Delivery, Eventing, Subscribe, reply};
use openrdms_wsman::{Expiry, Fault, Filter, Request, Subcode};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// The longest query, in bytes: it is kept as long as the subscription lives.
const MAX_QUERY: usize = 4096;

/// All subscriptions.
pub(crate) struct Subscriptions {
    open: Mutex<HashMap<Uuid, Arc<Subscription>>>,
    most: usize,
    most_each: usize,
    /// Cancelled when the server stops.
    closing: CancellationToken,
    /// What delivers events that are pushed.
    tasks: TaskTracker,
}

/// A subscription.
struct Subscription {
    identifier: String,
    /// Who made it, and alone may go on with it.
    owner: Principal,
    what: Watch,
    form: reply::Form,
    heartbeats: Option<Duration>,
    send_bookmarks: bool,
    pulled: bool,
    place: Mutex<Place>,
    /// How often it has been pulled: the last Pull is the one that is answered.
    pulls: watch::Sender<u64>,
    /// Cancelled when it ends.
    gone: CancellationToken,
}

/// How far a subscription has come.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Everything up to here has been told.
    position: u64,
    /// When the client last heard something.
    told: Instant,
    /// When it ends.
    until: Instant,
}

impl Subscriptions {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            open: Mutex::default(),
            most: config.max_subscriptions,
            most_each: config.max_subscriptions_each,
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Lets nobody wait any longer; those who are pushed events are told that it is over.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }

    /// Waits until everybody has been told. Cancel-safe.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Takes one in. Who is no administrator finds half of the room, so that users never keep administrators out.
    fn open(&self, subscription: Arc<Subscription>) -> Result<(), Fault> {
        let mut open = self.lock();
        let owner = &subscription.owner;
        let theirs = open.values().filter(|s| s.owner.name == owner.name).count();
        let users = open.values().filter(|s| !s.owner.admin).count();
        let full = open.len() >= self.most || (!owner.admin && users >= self.most / 2);
        if full || theirs >= self.most_each {
            return Err(Fault::new(Subcode::QuotaLimit, "there are too many subscriptions"));
        }
        let id = id(&subscription.identifier).ok_or_else(unknown_message)?;
        open.insert(id, subscription);
        Ok(())
    }

    /// The subscription of that name, if it is the caller's. It does not tell other people's from unknown ones.
    fn find(&self, identifier: &str, owner: &str) -> Option<Arc<Subscription>> {
        id(identifier).and_then(|id| self.lock().get(&id).cloned()).filter(|s| s.owner.name == owner)
    }

    fn end(&self, subscription: &Subscription) {
        if let Some(id) = id(&subscription.identifier) {
            self.lock().remove(&id);
        }
        subscription.gone.cancel();
    }

    /// The table, without those whose time is over.
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Subscription>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        open.retain(|_, subscription| {
            let lives = subscription.place().until > now;
            if !lives {
                subscription.gone.cancel();
            }
            lives
        });
        open
    }
}

impl Subscription {
    fn place(&self) -> Place {
        *self.lock()
    }

    /// Everything up to a position has been looked at; `told` where the client hears of it.
    fn advance(&self, position: u64, told: Option<Instant>) {
        let mut place = self.lock();
        place.position = position;
        place.told = told.unwrap_or(place.told);
    }

    fn bookmark(&self) -> Option<Bookmark> {
        self.send_bookmarks.then(|| Bookmark::After(self.place().position))
    }

    /// Resolves when its time is over. Cancel-safe.
    async fn expired(&self) {
        loop {
            let until = self.place().until;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// When the client is to hear that nothing has happened.
    fn heartbeat(&self) -> Option<Instant> {
        self.heartbeats.map(|every| self.place().told + every)
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Answers a request about subscriptions.
    pub(crate) async fn eventing(
        &self,
        request: &Request,
        who: &Principal,
        asked: &Eventing,
    ) -> Result<String, Fault> {
        let find = |identifier: &str| self.subscriptions.find(identifier, &who.name);
        match asked {
            Eventing::Subscribe(subscribe) => self.subscribe(request, who, subscribe).await,
            Eventing::Renew { identifier, expires } => {
                let unable =
                    || Fault::new(Subcode::UnableToRenew, "the subscription is unknown or has expired");
                let subscription = find(identifier).ok_or_else(unable)?;
                let granted = self.granted(*expires)?;
                subscription.lock().until = Instant::now() + granted;
                Ok(reply::renewed(request, &fresh_id(), granted))
            }
            Eventing::GetStatus { identifier } => {
                let left = find(identifier).ok_or_else(unknown_message)?.place().until - Instant::now();
                Ok(reply::status(request, &fresh_id(), left))
            }
            Eventing::Unsubscribe { identifier } => {
                let subscription = find(identifier).ok_or_else(unknown_message)?;
                self.subscriptions.end(&subscription);
                Ok(openrdms_wsman::reply::empty(request, &fresh_id()))
            }
        }
    }

    async fn subscribe(
        &self,
        request: &Request,
        who: &Principal,
        asked: &Subscribe,
    ) -> Result<String, Fault> {
        let resource = request.resource.as_ref().ok_or_else(unknown_message)?;
        let query = match &asked.filter {
            Filter::Wql(text) | Filter::Cql(text) if text.len() > MAX_QUERY => {
                let reason = format!("the query of a subscription has {MAX_QUERY} bytes at most");
                return Err(Fault::new(Subcode::CannotProcessFilter, reason));
            }
            Filter::Wql(text) => Select::parse(text),
            Filter::Cql(text) => Select::parse_cql(text),
            Filter::Selectors(_) => {
                let reason = "events are chosen by a query: offered are WQL and CQL";
                return Err(Fault::new(Subcode::FilterDialectRequestedUnavailable, reason));
            }
        };
        let query = query.map_err(CimError::from)?;
        let expires = self.granted(asked.expires)?;
        let sink = match &asked.delivery {
            Delivery::Pull => None,
            Delivery::Push(push) => Some(self.sink(who, push).await?),
        };
        let what = Watch { namespace: resource.namespace.clone(), query };
        let since = match asked.bookmark {
            None => Since::Now,
            Some(Bookmark::Earliest) => Since::Earliest,
            Some(Bookmark::After(position)) => Since::After(position),
        };
        let position = self.service.watch(who, &what, since).await?.ok_or_else(lost)?;
        let now = Instant::now();
        let subscription = Arc::new(Subscription {
            identifier: fresh_id(),
            // who made it with a password that is changed by now may have it for its life: Renew asks for the new one
            owner: Principal { proof: None, ..who.clone() },
            what,
            form: reply::Form::of(request),
            heartbeats: asked.heartbeats,
            send_bookmarks: asked.send_bookmarks,
            pulled: sink.is_none(),
            place: Mutex::new(Place { position, told: now, until: now + expires }),
            pulls: watch::Sender::new(0),
            gone: CancellationToken::new(),
        });
        self.subscriptions.open(Arc::clone(&subscription))?;
        let granted = reply::Granted {
            identifier: &subscription.identifier,
            expires,
            context: sink.is_none().then_some(subscription.identifier.as_str()),
            bookmark: subscription.bookmark(),
        };
        let answer = reply::subscribed(request, &fresh_id(), &granted);
        if let Some(sink) = sink {
            self.start_pushing(Arc::clone(&subscription), sink);
        }
        Ok(answer)
    }

    /// How long a subscription that asks for so long may live.
    fn granted(&self, expires: Option<Expiry>) -> Result<Duration, Fault> {
        let wanted = match expires {
            None => self.config.subscription_life,
            Some(Expiry::In(duration)) => duration,
            Some(Expiry::At(micros)) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let then = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                let left = then.checked_sub(now).filter(|left| !left.is_zero());
                left.ok_or_else(|| Fault::new(Subcode::InvalidExpiration, "Expires has passed"))?
            }
        };
        Ok(wanted.min(self.config.subscription_longest))
    }
}

fn id(identifier: &str) -> Option<Uuid> {
    identifier.strip_prefix("uuid:")?.parse().ok()
}

fn fresh_id() -> String {
    format!("uuid:{}", Uuid::new_v4())
}

fn unknown_message() -> Fault {
    Fault::new(Subcode::InvalidMessage, "the subscription is unknown or has expired")
}

/// Something that the client wants to hear of is forgotten, or was never here.
fn lost() -> Fault {
    let reason = "events after the bookmark are not known any more: list anew, and subscribe without it";
    Fault::new(Subcode::InvalidBookmark, reason).detail("Expired")
}
