//! Answers about subscriptions, and what comes back for an event, as our own client and server read them.

use crate::answer::is_no_more;
use crate::world::{self, NS};
use openrdms_cim::{Repository, Value};
use openrdms_wsman::eventing::Bookmark;
use openrdms_wsman::eventing::client::{
    Events, read_events, read_renewed, read_subscribed, read_unsubscribed,
};
use openrdms_wsman::eventing::reply::is_acknowledged;

/// What is read is no more than what came; a bookmark reads back.
pub fn eventing(bytes: &[u8]) -> bool {
    let bookmark = |text: Option<&str>| {
        let Some(bookmark) = text.and_then(Bookmark::parse) else { return };
        assert_eq!(Some(bookmark.to_string().as_str()), text);
    };
    if let Ok(subscribed) = read_subscribed(bytes) {
        assert!(!subscribed.context.is_empty());
        bookmark(subscribed.bookmark.as_deref());
    }
    let is_fault = read_unsubscribed(bytes).is_err();
    assert!(!is_fault || read_renewed(bytes).is_err(), "what is no answer at all is no Renew's");
    for repository in [world::repository(), &Repository::default()] {
        let Ok(Events { events, bookmark: last, .. }) = read_events(bytes, NS, repository) else { continue };
        bookmark(last.as_deref());
        let values: Vec<&Value> = events.iter().flat_map(|e| &e.properties).map(|(_, value)| value).collect();
        is_no_more(bytes.len(), values.into_iter());
    }
    is_acknowledged(bytes, "") || !is_fault
}
