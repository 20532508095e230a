//! Enumerate and Pull: as many items as are wanted and fit, and where to go on.

use super::{fresh_id, too_long};
use crate::Shared;
use crate::contexts::{Context, Granted};
use openrdms_cim::wql::{Projection, count_of};
use openrdms_cim::{Enumeration, Instance, Limits, Principal};
use openrdms_wsman::bind::{Detail, Wanted};
use openrdms_wsman::{Fault, InstanceItems, Items, Mode, Request, items, reply};

/// Some items, and where to go on; `None`: that was all.
type Batch = (Items, Option<String>);

/// How many are asked for to learn how long they are, and the most that are asked for at once afterwards: memory
/// holds one such page besides the reply.
const FIRST_PAGE: usize = 100;
const PAGE: usize = 250;

impl Shared {
    /// Opens a listing; with `first`, the reply brings up to so many items.
    pub(super) async fn enumerate(
        &self,
        request: &Request,
        who: &Principal,
        wanted: Wanted,
        mode: Mode,
        first: Option<usize>,
        granted: Option<Granted>,
    ) -> Result<String, Fault> {
        let end = granted.as_ref().map(|granted| granted.end);
        let mut context = Context { owner: who.name.clone(), wanted, mode, cursor: None, end };
        let mut items = Items::within(request.charset, 0, None);
        if let Some(first) = first {
            (items, context.cursor) = self.batch(request, who, &context, (first, None)).await?;
            if context.cursor.is_none() {
                return Ok(reply::listing(request, &fresh_id(), &items, None));
            }
        }
        let id = self.contexts.open(who, context)?;
        let expires = granted.as_ref().map(|granted| granted.text.as_str());
        Ok(reply::listing_until(request, &fresh_id(), &items, Some(&id), expires))
    }

    /// Goes on with a listing.
    pub(super) async fn pull(
        &self,
        request: &Request,
        who: &Principal,
        context: &str,
        most: (usize, Option<usize>),
    ) -> Result<String, Fault> {
        let open = self.contexts.find(context, &who.name)?;
        let (items, next) = self.batch(request, who, &open, most).await?;
        let more = next.is_some().then_some(context);
        self.contexts.advance(context, next);
        Ok(reply::listing(request, &fresh_id(), &items, more))
    }

    /// The next items: at most so many, and so many characters.
    async fn batch(
        &self,
        request: &Request,
        who: &Principal,
        context: &Context,
        (elements, characters): (usize, Option<usize>),
    ) -> Result<Batch, Fault> {
        let charset = request.charset;
        let none = Items::within(charset, 0, None);
        let empty = reply::listing(request, &fresh_id(), &none, Some(&fresh_id()));
        // Besides, the elements around the items, and the time that the listing ends.
        let bytes = request.max_envelope.saturating_sub(charset.encoded_len(&empty) + 300);
        let room = || Items::within(charset, bytes, characters);
        let most = elements.clamp(1, self.config.max_batch);
        match &context.wanted {
            Wanted::Instances(what, projection) => {
                self.instances(request, who, context, (what, projection), most, room).await
            }
            Wanted::Count(what) => {
                let count = self.service.count(who, what).await?;
                counted(request, &count_of(&what.class.namespace, count), room())
            }
            Wanted::ClassCount { namespace, count } => counted(request, &count_of(namespace, *count), room()),
            Wanted::Classes { namespace, names, detail } => {
                self.classes(context, (namespace, names), *detail, most, room())
            }
        }
    }

    async fn instances(
        &self,
        request: &Request,
        who: &Principal,
        context: &Context,
        (what, projection): (&Enumeration, &Projection),
        mut most: usize,
        room: impl Fn() -> Items,
    ) -> Result<Batch, Fault> {
        let repository = self.service.repository();
        let mut instances = InstanceItems::new(request, context.mode, repository, projection);
        let (mut items, mut cursor) = (room(), context.cursor.clone());
        loop {
            // A little less than would fit by their mean length, for they are not all of one length.
            let page = items.would_fit().map_or(FIRST_PAGE, |fit| (fit - fit / 16).min(PAGE));
            let max_elements = page.min(most.saturating_sub(items.len()));
            if max_elements == 0 {
                return Ok((items, cursor));
            }
            let limits = Limits { max_elements };
            let listing = self.service.enumerate(who, what, cursor.as_deref(), limits).await?;
            if !listing.instances.iter().all(|instance| instances.push(&mut items, instance)) {
                // A cursor is only at the end of a page: begin again, for just as many as fit.
                if items.is_empty() || items.len() >= most {
                    return Err(too_long());
                }
                most = items.len();
                (items, cursor) = (room(), context.cursor.clone());
                continue;
            }
            cursor = listing.next;
            if cursor.is_none() {
                return Ok((items, None));
            }
        }
    }

    fn classes(
        &self,
        context: &Context,
        (namespace, names): (&str, &[String]),
        detail: Detail,
        most: usize,
        mut items: Items,
    ) -> Result<Batch, Fault> {
        let repository = self.service.repository();
        let mut at: usize = context.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        while let (Some(name), true) = (names.get(at), items.len() < most) {
            let item = reply::declaration(repository, repository.class(namespace, name)?, detail);
            if !items.push(&item) {
                break;
            }
            at += 1;
        }
        if items.is_empty() && at < names.len() {
            return Err(too_long());
        }
        Ok((items, (at < names.len()).then(|| at.to_string())))
    }
}

fn counted(request: &Request, number: &Instance, mut items: Items) -> Result<Batch, Fault> {
    if items::push_count(&mut items, request, number) { Ok((items, None)) } else { Err(too_long()) }
}
