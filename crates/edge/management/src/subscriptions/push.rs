//! Events that are pushed: one task a subscription reads the log and sends what it finds, one message an event. While
//! the other end is slow the log waits, not this process.

use super::pull::at;
use super::push_to::PushTo;
use super::sink::Sink;
use super::{Subscription, fresh_id};
use crate::Shared;
use openrdms_cim::service::Told;
use openrdms_cim::{CimService, Kind, Limits, Principal};
use openrdms_wsman::eventing::reply::{self, Ended, Notice};
use openrdms_wsman::eventing::{Acknowledged, Bookmark, Push};
use openrdms_wsman::{Charset, Fault, Subcode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Events that are read at once. What is sent late because the other end is slow is still what the account may see
/// then, not what it could when the first of many was read; for the same reason an event is read anew before it is
/// sent again.
const BATCH: usize = 1;
/// How often a failed delivery is tried again, and at what distance, where the client does not say; and the most.
const RETRY: (u32, Duration) = (3, Duration::from_secs(5));
const MOST_RETRIES: (u32, Duration) = (20, Duration::from_secs(60));
/// How long until the store is asked again that did not answer.
const STORE_RETRY: Duration = Duration::from_secs(2);
/// How long the end may take to be told.
const FAREWELL: Duration = Duration::from_secs(2);

/// Where the events of a subscription go.
pub(super) struct Pushing {
    to: Sink,
    end_to: Option<Sink>,
    acknowledged: Acknowledged,
    charset: Charset,
    retry: (u32, Duration),
}

/// A message that did not arrive. It may have arrived all the same, so it keeps its id.
struct Undelivered {
    behind: Bookmark,
    message_id: String,
    /// How often it was sent.
    times: u32,
}

/// Why there is nothing more to push.
enum Over {
    /// Its time is over, or the client has ended it: nothing to tell.
    Asked,
    /// The client has to hear of it.
    Told(Ended, &'static str),
}

impl Shared {
    /// Looks whether events may be pushed as is asked. This takes a method's place until it is done, whoever still
    /// waits: one user's names that nobody answers for do not keep others from being looked up.
    pub(super) async fn sink(&self, who: &Principal, asked: &Push) -> Result<Pushing, Fault> {
        let place = self.methods.take(who);
        let place =
            place.ok_or_else(|| Fault::new(Subcode::QuotaLimit, "too many addresses are being looked up"))?;
        let (asked, policy) = (asked.clone(), Arc::clone(&self.config.push_to));
        let looking = tokio::spawn(async move {
            let found = Pushing::to(&asked, &policy).await;
            drop(place);
            found
        });
        looking.await.map_err(|_| Fault::new(Subcode::InternalError, "the address cannot be looked up"))?
    }

    pub(super) fn start_pushing(&self, subscription: Arc<Subscription>, mut pushing: Pushing) {
        let (service, subscriptions) = (Arc::clone(&self.service), Arc::clone(&self.subscriptions));
        let closing = subscriptions.closing.clone();
        self.subscriptions.tasks.spawn(async move {
            tracing::info!(
                owner = subscription.owner.name,
                to = pushing.to.endpoint.address,
                "events are pushed"
            );
            let over = tokio::select! {
                over = pushing.run(&*service, &subscription) => over,
                () = subscription.gone.cancelled() => Over::Asked,
                () = subscription.expired() => Over::Asked,
                () = closing.cancelled() => Over::Told(Ended::SourceShuttingDown, "the service is stopping"),
            };
            subscriptions.end(&subscription);
            if let Over::Told(why, reason) = over {
                tracing::info!(owner = subscription.owner.name, reason, "events are not pushed any more");
                let _ = timeout(FAREWELL, pushing.farewell(&subscription, why, reason)).await;
            }
        });
    }
}

impl Pushing {
    async fn to(asked: &Push, policy: &Arc<PushTo>) -> Result<Self, Fault> {
        if policy.is_empty() {
            let reason = "events are not pushed here: pull them, or let an administrator list the address in \
                          [management] push_to";
            return Err(Fault::new(Subcode::DeliveryModeRequestedUnavailable, reason));
        }
        let to = Sink::new(asked.to.clone(), Arc::clone(policy)).await?;
        let end_to = match &asked.end_to {
            Some(end_to) => Some(Sink::new(end_to.clone(), Arc::clone(policy)).await?),
            None => None,
        };
        let (total, every) = asked.retry.unwrap_or(RETRY);
        let retry = (total.min(MOST_RETRIES.0), every.min(MOST_RETRIES.1));
        Ok(Pushing { to, end_to, acknowledged: asked.acknowledged, charset: asked.charset, retry })
    }

    async fn run(&mut self, service: &dyn CimService, subscription: &Subscription) -> Over {
        let mut undelivered = None;
        loop {
            let after = subscription.place().position;
            let limits = Limits { max_elements: BATCH };
            match service.changes(&subscription.owner, &subscription.what, after, limits).await {
                Ok(Told::Lost) => return Over::Told(Ended::SourceCanceling, "events were lost"),
                Ok(Told::Events { events, read_to }) => {
                    let Some(happened) = events.into_iter().next() else {
                        subscription.advance(read_to, None);
                        match self.wait(service, subscription, &mut undelivered).await {
                            Ok(()) => continue,
                            Err(over) => return over,
                        }
                    };
                    let event = subscription.form.event(service.repository(), &happened.event);
                    let behind = Bookmark::After(happened.position);
                    match self.deliver(subscription, Some(&event), behind, &mut undelivered).await {
                        Ok(true) => subscription.advance(happened.position, Some(Instant::now())),
                        Ok(false) => {}
                        Err(over) => return over,
                    }
                }
                Err(error) if error.kind == Kind::Denied => {
                    return Over::Told(Ended::SourceCanceling, "the account may not be told any more");
                }
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read now");
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }

    /// Waits until something may have happened, or until a heartbeat has arrived or has to be sent again.
    async fn wait(
        &mut self,
        service: &dyn CimService,
        subscription: &Subscription,
        undelivered: &mut Option<Undelivered>,
    ) -> Result<(), Over> {
        let place = subscription.place();
        tokio::select! {
            () = service.changed(place.position) => return Ok(()),
            () = at(subscription.heartbeat()) => {}
        }
        let behind = Bookmark::After(place.position);
        if self.deliver(subscription, None, behind, undelivered).await? {
            subscription.advance(place.position, Some(Instant::now()));
        }
        Ok(())
    }

    /// Sends an event, or a heartbeat, once, and answers whether it has arrived; if not, it is time to try again. It
    /// may arrive twice: the message id is the same then.
    async fn deliver(
        &mut self,
        subscription: &Subscription,
        event: Option<&str>,
        behind: Bookmark,
        undelivered: &mut Option<Undelivered>,
    ) -> Result<bool, Over> {
        let (total, every) = self.retry;
        let before = undelivered.take().filter(|before| before.behind == behind);
        let Undelivered { message_id, times, .. } =
            before.unwrap_or_else(|| Undelivered { behind, message_id: fresh_id(), times: 0 });
        let notice = Notice {
            to: &self.to.endpoint.clone(),
            message_id: &message_id,
            acknowledged: self.acknowledged,
            bookmark: subscription.send_bookmarks.then_some(behind),
        };
        let message = event.map_or_else(|| notice.heartbeat(), |event| notice.event(event));
        match self.to.send(&message, self.charset).await {
            Ok(answer) => match self.acknowledged {
                Acknowledged::ByStatus => return Ok(true),
                Acknowledged::ByMessage if reply::is_acknowledged(&answer, &message_id) => return Ok(true),
                Acknowledged::ByMessage => tracing::debug!("an event was not acknowledged"),
            },
            Err(error) => tracing::debug!(%error, times, "an event was not delivered"),
        }
        if times >= total {
            return Err(Over::Told(Ended::DeliveryFailure, "events could not be delivered"));
        }
        *undelivered = Some(Undelivered { behind, message_id, times: times + 1 });
        sleep(every).await;
        Ok(false)
    }

    async fn farewell(&mut self, subscription: &Subscription, why: Ended, reason: &str) {
        let Some(end_to) = &mut self.end_to else { return };
        let message_id = fresh_id();
        let notice = Notice {
            to: &end_to.endpoint.clone(),
            message_id: &message_id,
            acknowledged: Acknowledged::ByStatus,
            bookmark: subscription.bookmark(),
        };
        let message = notice.ended(&subscription.identifier, why, reason);
        if let Err(error) = end_to.send(&message, self.charset).await {
            tracing::debug!(%error, "the end of a subscription could not be told");
        }
    }
}
