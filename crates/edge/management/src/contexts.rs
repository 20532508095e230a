//! Open listings. Each is a cursor of the service and what was asked for: it does not grow with the answer.

use crate::Config;
use openrdms_cim::Enumeration;
use openrdms_wsman::{Fault, Mode, Subcode};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// An open listing.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Who opened it, and alone may go on with it.
    pub(crate) owner: String,
    /// What is listed.
    pub(crate) what: Enumeration,
    /// As what.
    pub(crate) mode: Mode,
    /// Where to go on; `None` at the beginning.
    pub(crate) cursor: Option<String>,
}

/// All open listings.
pub(crate) struct Contexts {
    open: Mutex<HashMap<Uuid, (Context, Instant)>>,
    most: usize,
    most_each: usize,
    idle: Duration,
}

impl Contexts {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            open: Mutex::default(),
            most: config.max_listings,
            most_each: config.max_listings_each,
            idle: config.listing_idle,
        }
    }

    /// Opens a listing; its name cannot be guessed.
    pub(crate) fn open(&self, context: Context) -> Result<String, Fault> {
        let (id, mut open) = (Uuid::new_v4(), self.lock());
        let theirs = open.values().filter(|(c, _)| c.owner == context.owner).count();
        if open.len() >= self.most || theirs >= self.most_each {
            return Err(Fault::new(Subcode::QuotaLimit, "too many listings are open"));
        }
        open.insert(id, (context, Instant::now() + self.idle));
        Ok(name(id))
    }

    /// The listing of that name, if it is the caller's. It does not tell other people's from unknown ones.
    pub(crate) fn find(&self, name: &str, owner: &str) -> Result<Context, Fault> {
        let open = self.lock();
        let found = id(name).and_then(|id| open.get(&id)).filter(|(context, _)| context.owner == owner);
        found.map(|(context, _)| context.clone()).ok_or_else(unknown)
    }

    /// After a reply: goes on at `cursor`, or ends. Two replies at once to the same listing leave the later one.
    pub(crate) fn advance(&self, name: &str, cursor: Option<String>) {
        let mut open = self.lock();
        let Some(id) = id(name) else { return };
        match cursor {
            None => {
                open.remove(&id);
            }
            Some(cursor) => {
                if let Some((context, until)) = open.get_mut(&id) {
                    context.cursor = Some(cursor);
                    *until = Instant::now() + self.idle;
                }
            }
        }
    }

    /// Drops a listing.
    pub(crate) fn release(&self, name: &str, owner: &str) -> Result<(), Fault> {
        self.find(name, owner)?;
        self.advance(name, None);
        Ok(())
    }

    /// The table, without those that have been idle for too long.
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (Context, Instant)>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        open.retain(|_, (_, until)| *until > now);
        open
    }
}

fn name(id: Uuid) -> String {
    format!("uuid:{id}")
}

fn id(name: &str) -> Option<Uuid> {
    name.strip_prefix("uuid:")?.parse().ok()
}

fn unknown() -> Fault {
    Fault::new(Subcode::InvalidEnumerationContext, "enumeration context is unknown or has expired")
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_cim::ObjectPath;

    fn contexts() -> Contexts {
        Contexts::new(&Config { max_listings: 3, max_listings_each: 2, ..Config::default() })
    }

    fn context(owner: &str) -> Context {
        let what = Enumeration { class: ObjectPath::class("root/a", "C"), equals: vec![] };
        Context { owner: owner.into(), what, mode: Mode::Object, cursor: None }
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_is_its_owners_alone() {
        let contexts = contexts();
        let id = contexts.open(context("anna")).unwrap();
        assert_eq!(contexts.find(&id, "berta").unwrap_err(), unknown());
        assert_eq!(contexts.release(&id, "berta").unwrap_err(), unknown());
        assert!(contexts.find(&id, "anna").is_ok());
        contexts.release(&id, "anna").unwrap();
        assert_eq!(contexts.find(&id, "anna").unwrap_err(), unknown());
    }

    #[tokio::test(start_paused = true)]
    async fn each_reply_keeps_it_open_for_a_minute() {
        let contexts = contexts();
        let id = contexts.open(context("anna")).unwrap();
        tokio::time::advance(Duration::from_secs(59)).await;
        contexts.advance(&id, Some("5".into()));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(contexts.find(&id, "anna").unwrap().cursor.as_deref(), Some("5"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contexts.find(&id, "anna").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_room_returns() {
        let contexts = contexts();
        let first = contexts.open(context("anna")).unwrap();
        contexts.open(context("anna")).unwrap();
        assert_eq!(contexts.open(context("anna")).unwrap_err().subcode, Some(Subcode::QuotaLimit));
        contexts.open(context("berta")).unwrap();
        assert_eq!(contexts.open(context("berta")).unwrap_err().subcode, Some(Subcode::QuotaLimit));
        contexts.advance(&first, None);
        contexts.open(context("berta")).unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(contexts.open(context("anna")).is_ok());
        assert_eq!(contexts.lock().len(), 1);
    }
}
