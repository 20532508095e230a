//! Enumerate and Pull: as many items as are wanted and fit, and where to go on.

use super::{fresh_id, too_long};
use crate::Shared;
use crate::contexts::{Context, Granted};
use openrdms_cim::wql::{Projection, count_of};
use openrdms_cim::{Enumeration, Instance, Limits, Principal};
use openrdms_wsman::bind::{Detail, Wanted};
use openrdms_wsman::{Charset, Fault, Mode, Request, reply};

/// Some items, and where to go on; `None`: that was all.
type Batch = (Vec<String>, Option<String>);

/// What is left of a reply for items.
struct Room {
    charset: Charset,
    bytes: usize,
    characters: usize,
}

impl Room {
    /// Takes the place of an item, if there is that much.
    fn take(&mut self, item: &str) -> bool {
        let bytes = self.charset.encoded_len(item);
        let characters = item.chars().count();
        if bytes > self.bytes || characters > self.characters {
            return false;
        }
        self.bytes -= bytes;
        self.characters -= characters;
        true
    }
}

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
        let mut items = Vec::new();
        if let Some(first) = first {
            let (batch, next) = self.batch(request, who, &context, (first, None)).await?;
            if next.is_none() {
                return Ok(reply::listing(request, &fresh_id(), &batch, None));
            }
            (items, context.cursor) = (batch, next);
        }
        let id = self.contexts.open(context)?;
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
        let empty = reply::listing(request, &fresh_id(), &[], Some(&fresh_id()));
        // Besides, the elements around the items, and the time that the listing ends.
        let bytes = request.max_envelope.saturating_sub(request.charset.encoded_len(&empty) + 300);
        let characters = characters.unwrap_or(usize::MAX);
        let room = || Room { charset: request.charset, bytes, characters };
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
        most: usize,
        room: impl Fn() -> Room,
    ) -> Result<Batch, Fault> {
        let mut limit = most;
        loop {
            let limits = Limits { max_elements: limit };
            let listing = self.service.enumerate(who, what, context.cursor.as_deref(), limits).await?;
            let (mut room, mut items) = (room(), Vec::with_capacity(listing.instances.len()));
            for instance in &listing.instances {
                let repository = self.service.repository();
                let item = reply::item(request, context.mode, repository, instance, projection);
                if !room.take(&item) {
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

    fn classes(
        &self,
        context: &Context,
        (namespace, names): (&str, &[String]),
        detail: Detail,
        most: usize,
        mut room: Room,
    ) -> Result<Batch, Fault> {
        let repository = self.service.repository();
        let mut at: usize = context.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let mut items = Vec::new();
        while let (Some(name), true) = (names.get(at), items.len() < most) {
            let item = reply::declaration(repository, repository.class(namespace, name)?, detail);
            if !room.take(&item) {
                break;
            }
            items.push(item);
            at += 1;
        }
        if items.is_empty() && at < names.len() {
            return Err(too_long());
        }
        Ok((items, (at < names.len()).then(|| at.to_string())))
    }
}

fn counted(request: &Request, number: &Instance, mut room: Room) -> Result<Batch, Fault> {
    let item = reply::count_item(request, number);
    if room.take(&item) { Ok((vec![item], None)) } else { Err(too_long()) }
}
