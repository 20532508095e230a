//! Being told of what happens: a subscription that pulls (`openrdms_wsman::eventing`), kept up over restarts of the
//! service by its bookmark.

mod absence;
pub(super) mod row;

pub(super) use absence::Absence;

use super::Failure;
use super::remote::Remote;
use openrdms_cim::{CimError, Instance, Kind, Value, WmiCode};
use openrdms_wsman::client::{AnswerError, Call};
use openrdms_wsman::eventing::client::{
    Subscribed, Wanted, read_events, read_renewed, read_subscribed, read_unsubscribed,
};
use std::time::{Duration, Instant};

/// How long one Pull waits for an event.
const PULL: Duration = Duration::from_secs(30);
/// How long any other message may take.
const SOON: Duration = Duration::from_secs(10);
/// How long a subscription is to live; it is renewed at half of that.
const LIFE: Duration = Duration::from_secs(600);
/// How long a server that does not wait for events is left alone.
const BREATH: Duration = Duration::from_millis(250);
const BATCH: usize = 100;

/// A query of events that is being watched.
pub(super) struct Watch<'r> {
    remote: &'r Remote,
    namespace: &'r str,
    query: &'r str,
    /// The place behind everything that was told.
    bookmark: Option<String>,
    /// `None` while the service is away or has started anew.
    subscription: Option<Subscription>,
}

struct Subscription {
    identifier: String,
    context: String,
    renew_at: Option<Instant>,
}

/// What a watch tells.
pub(super) enum Seen {
    /// These events, in order.
    Events(Vec<Instance>),
    /// The service no longer knows all that happened: what is true has to be looked up.
    Gap,
}

/// Why a message had no answer to go on with.
enum Trouble {
    /// The subscription is not known, or no longer: subscribe again.
    Unknown,
    /// What follows the bookmark is forgotten.
    Forgotten,
    /// Nobody answers now.
    Away(Failure),
    /// There is nothing to be done.
    Fatal(Failure),
}

impl<'r> Watch<'r> {
    /// Subscribes: what happens from now on is told.
    pub(super) async fn begin(
        remote: &'r Remote,
        namespace: &'r str,
        query: &'r str,
    ) -> Result<Self, Failure> {
        let mut watch = Self { remote, namespace, query, bookmark: None, subscription: None };
        match watch.subscribe().await {
            Ok(()) => Ok(watch),
            Err(Trouble::Away(failure) | Trouble::Fatal(failure)) => Err(failure),
            Err(Trouble::Unknown | Trouble::Forgotten) => {
                Err(Failure::failed("the service does not keep the subscription"))
            }
        }
    }

    /// Tells `hear` all that happens, until Ctrl-C.
    pub(super) async fn run(
        mut self,
        mut hear: impl AsyncFnMut(Seen) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let outcome = loop {
            let seen = tokio::select! {
                seen = self.next() => seen,
                _ = &mut interrupted => break Ok(()),
            };
            let heard = match seen {
                Ok(seen) => hear(seen).await,
                Err(failure) => Err(failure),
            };
            if heard.is_err() {
                break heard;
            }
        };
        self.end().await;
        outcome
    }

    /// Waits for events.
    async fn next(&mut self) -> Result<Seen, Failure> {
        let mut absence = Absence::default();
        loop {
            let ready = match self.subscription {
                Some(_) => Ok(()),
                None => self.subscribe().await,
            };
            if ready.is_ok() {
                absence.is_over()?;
            }
            let looked = match ready {
                Ok(()) => self.look().await,
                Err(trouble) => Err(trouble),
            };
            let trouble = match looked {
                Ok(events) => {
                    absence = Absence::default();
                    if events.is_empty() {
                        // what happens meanwhile is in the server's log
                        tokio::time::sleep(BREATH).await;
                        continue;
                    }
                    return Ok(Seen::Events(events));
                }
                Err(trouble) => trouble,
            };
            self.subscription = None;
            match trouble {
                Trouble::Unknown => {}
                Trouble::Forgotten => {
                    self.bookmark = None;
                    return Ok(Seen::Gap);
                }
                Trouble::Fatal(failure) => return Err(failure),
                Trouble::Away(failure) => absence.tell(&failure)?,
            }
            absence.pause().await;
        }
    }

    /// One Pull, after a Renew where it is time for that.
    async fn look(&mut self) -> Result<Vec<Instance>, Trouble> {
        let Some(subscription) = &mut self.subscription else { return Err(Trouble::Unknown) };
        if subscription.renew_at.is_some_and(|at| at <= Instant::now()) {
            let renew = |call: &Call<'_>| call.renew(self.namespace, &subscription.identifier, LIFE);
            let bytes = self.remote.wait(SOON, renew).await.map_err(Trouble::from)?;
            subscription.renew_at = half_of(read_renewed(&bytes)?);
        }
        let pull = |call: &Call<'_>| call.pull_events(self.namespace, &subscription.context, BATCH);
        let bytes = self.remote.wait(PULL, pull).await?;
        let events = read_events(&bytes, self.namespace, self.remote.repository())?;
        if let Some(context) = events.context {
            subscription.context = context;
        }
        if let Some(bookmark) = events.bookmark {
            self.bookmark = Some(bookmark);
        }
        Ok(events.events)
    }

    async fn subscribe(&mut self) -> Result<(), Trouble> {
        let wanted = Wanted {
            namespace: self.namespace,
            query: self.query,
            expires: LIFE,
            heartbeats: None,
            bookmark: self.bookmark.as_deref(),
        };
        let bytes = self.remote.wait(SOON, |call| call.subscribe(&wanted)).await?;
        let Subscribed { identifier, context, expires, bookmark } = read_subscribed(&bytes)?;
        if self.bookmark.is_none() {
            self.bookmark = bookmark;
        }
        self.subscription = Some(Subscription { identifier, context, renew_at: half_of(expires) });
        Ok(())
    }

    /// Unsubscribes. The service would find out by itself after a while.
    async fn end(self) {
        if let Some(subscription) = &self.subscription {
            let say = |call: &Call<'_>| call.unsubscribe(self.namespace, &subscription.identifier);
            let said = tokio::time::timeout(Duration::from_secs(2), self.remote.wait(SOON, say)).await;
            if let Ok(Ok(bytes)) = said {
                let _ = read_unsubscribed(&bytes);
            }
        }
    }
}

fn half_of(life: Option<Duration>) -> Option<Instant> {
    Some(Instant::now() + life? / 2)
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        if failure.may_pass() { Trouble::Away(failure) } else { Trouble::Fatal(failure) }
    }
}

impl From<AnswerError> for Trouble {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Fault(CimError { code: WmiCode::WBEM_E_INVALID_CONTEXT, .. }) => Trouble::Unknown,
            AnswerError::Fault(CimError { code: WmiCode::WBEM_E_QUEUE_OVERFLOW, .. }) => Trouble::Forgotten,
            AnswerError::Fault(error) if matches!(error.kind, Kind::Unavailable | Kind::TimedOut) => {
                Trouble::Away(error.into())
            }
            AnswerError::Fault(error) => Trouble::Fatal(error.into()),
            AnswerError::Malformed(_) => Trouble::Fatal(Failure::failed(error.to_string())),
        }
    }
}

/// When an event happened; null where it does not say.
pub(super) fn time(event: &Instance) -> Value {
    /// From 1601 to 1970.
    const EPOCHS: i64 = 11_644_473_600_000_000;
    let ticks = event.get("TIME_CREATED").as_int().and_then(|n| i64::try_from(n / 10).ok());
    ticks.map_or(Value::Null, |micros| Value::utc(micros.saturating_sub(EPOCHS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_event_is_a_time_as_everybody_has_it() {
        let event = Instance { class: "__Event".into(), namespace: "n".into(), properties: Vec::new() };
        assert_eq!(time(&event), Value::Null);
        let event = event.with("TIME_CREATED", 116_444_736_050_000_000u64);
        assert_eq!(time(&event), Value::utc(5_000_000));
    }
}
