//! Events that are pulled: a Pull waits until there is something to tell.

use super::{Subscription, fresh_id, lost};
use crate::Shared;
use openrdms_cim::service::{Happened, Told};
use openrdms_cim::{CimError, Kind, Limits, Principal};
use openrdms_wsman::eventing::{Bookmark, reply};
use openrdms_wsman::{Fault, Request, Subcode};
use std::future::pending;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

impl Shared {
    /// Answers a Pull, if its context is a subscription's. Dropping the future leaves the subscription where it was:
    /// what was not answered is told again.
    pub(crate) async fn pull_events(
        &self,
        request: &Request,
        who: &Principal,
        context: &str,
        most: (usize, Option<usize>),
    ) -> Option<Result<String, Fault>> {
        let subscription = self.subscriptions.find(context, &who.name).filter(|s| s.pulled)?;
        let answer = self.wait_for_events(request, who, &subscription, most).await;
        if matches!(&answer, Err(fault) if fault.subcode == Some(Subcode::InvalidBookmark)) {
            self.subscriptions.end(&subscription);
        }
        Some(answer)
    }

    /// Ends the subscription that is pulled with that context, if there is one.
    pub(crate) fn release_events(&self, who: &Principal, context: &str) -> bool {
        let found = self.subscriptions.find(context, &who.name).filter(|s| s.pulled);
        found.is_some_and(|subscription| {
            self.subscriptions.end(&subscription);
            true
        })
    }

    async fn wait_for_events(
        &self,
        request: &Request,
        who: &Principal,
        subscription: &Arc<Subscription>,
        (count, characters): (usize, Option<usize>),
    ) -> Result<String, Fault> {
        // a client that has lost its connection pulls again: the Pull that it does not hear any more gives way
        let mut mine = 0;
        subscription.pulls.send_modify(|pulls| {
            *pulls += 1;
            mine = *pulls;
        });
        let mut pulls = subscription.pulls.subscribe();
        let limits = Limits { max_elements: count.clamp(1, self.config.max_batch) };
        loop {
            let after = subscription.place().position;
            let told = self.service.changes(who, &subscription.what, after, limits).await?;
            if *pulls.borrow_and_update() != mine {
                return Err(overtaken());
            }
            match told {
                Told::Lost => return Err(lost()),
                Told::Events { events, read_to } if events.is_empty() => subscription.advance(read_to, None),
                Told::Events { events, read_to } => {
                    return self.tell(request, subscription, events, read_to, characters);
                }
            }
            tokio::select! {
                () = self.service.changed(subscription.place().position) => {}
                () = subscription.expired() => return Err(expired()),
                () = at(subscription.heartbeat()) => {
                    subscription.advance(subscription.place().position, Some(Instant::now()));
                    let (context, bookmark) = (&subscription.identifier, subscription.bookmark());
                    return Ok(reply::events(request, &fresh_id(), context, &[], bookmark));
                }
                () = subscription.gone.cancelled() => return Err(expired()),
                _ = pulls.changed() => return Err(overtaken()),
                () = self.subscriptions.closing.cancelled() => {
                    return Err(CimError::of(Kind::TimedOut, "the service is stopping").into());
                }
            }
        }
    }

    /// The reply with as many events as fit into it. Nothing awaits in here: either the subscription has gone on and
    /// the client is answered, or neither.
    fn tell(
        &self,
        request: &Request,
        subscription: &Subscription,
        events: Vec<Happened>,
        read_to: u64,
        characters: Option<usize>,
    ) -> Result<String, Fault> {
        let context = &subscription.identifier;
        let length = |text: &str| request.charset.encoded_len(text);
        let empty = reply::events(request, &fresh_id(), context, &[], Some(Bookmark::After(u64::MAX)));
        let room = request.max_envelope.saturating_sub(length(&empty) + 200);
        let (mut items, mut used, mut position, all) = (Vec::new(), 0, 0, events.len());
        for happened in events {
            let item = subscription.form.event(self.service.repository(), &happened.event);
            used += length(&item);
            let too_many = characters.is_some_and(|most| used > most) && !items.is_empty();
            if used > room || too_many {
                break;
            }
            position = happened.position;
            items.push(item);
        }
        if items.is_empty() {
            return Err(Fault::new(Subcode::EncodingLimit, "an event is longer than a reply may be")
                .detail("MaxEnvelopeSize"));
        }
        let reached = if items.len() == all { read_to } else { position };
        subscription.advance(reached, Some(Instant::now()));
        Ok(reply::events(request, &fresh_id(), context, &items, subscription.bookmark()))
    }
}

/// Resolves at a time, if there is one.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

fn overtaken() -> Fault {
    Fault::new(Subcode::Concurrency, "a later Pull of the same subscription is answered instead")
}

fn expired() -> Fault {
    Fault::new(Subcode::InvalidEnumerationContext, "the subscription has ended")
}
