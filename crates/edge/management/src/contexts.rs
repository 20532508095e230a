//! Open listings. Each is a cursor of the service and what was asked for: it does not grow with the answer.

use crate::Config;
use openrdms_cim::Principal;
use openrdms_cim::value::time;
use openrdms_wsman::bind::Wanted;
use openrdms_wsman::{Expiry, Fault, Mode, Subcode};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use uuid::Uuid;

/// An open listing.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Who opened it, and alone may go on with it.
    pub(crate) owner: String,
    /// What is listed.
    pub(crate) wanted: Wanted,
    /// As what.
    pub(crate) mode: Mode,
    /// Where to go on; `None` at the beginning.
    pub(crate) cursor: Option<String>,
    /// When it ends, where that was asked for; `None`: a while after its last reply.
    pub(crate) end: Option<Instant>,
}

/// A lifetime that was asked for, and how much of it is given.
pub(crate) struct Granted {
    /// When it ends.
    pub(crate) end: Instant,
    /// The same in the form that it was asked in.
    pub(crate) text: String,
}

impl Granted {
    /// As long as asked for, but not too long.
    pub(crate) fn new(expiry: Expiry, config: &Config) -> Result<Self, Fault> {
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        match expiry {
            Expiry::In(asked) => {
                let given = asked.min(config.listing_longest);
                Ok(Self { end: Instant::now() + given, text: time::print_duration(micros(given)) })
            }
            Expiry::At(at) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
                let left = u64::try_from(at.saturating_sub(now)).ok().filter(|left| *left > 0);
                let left =
                    left.ok_or_else(|| Fault::new(Subcode::InvalidExpirationTime, "Expires has passed"))?;
                let given = Duration::from_micros(left).min(config.listing_longest);
                let until = now.saturating_add(i64::try_from(given.as_micros()).unwrap_or(i64::MAX));
                Ok(Self { end: Instant::now() + given, text: time::print(until, 0) })
            }
        }
    }
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

    /// Opens a listing; its name cannot be guessed. Who is no administrator finds room in the first half only, so that
    /// users never keep administrators out.
    pub(crate) fn open(&self, who: &Principal, context: Context) -> Result<String, Fault> {
        let (id, mut open) = (Uuid::new_v4(), self.lock());
        let theirs = open.values().filter(|(c, _)| c.owner == context.owner).count();
        let most = if who.admin { self.most } else { self.most / 2 };
        if open.len() >= most || theirs >= self.most_each {
            return Err(Fault::new(Subcode::QuotaLimit, "too many listings are open"));
        }
        let until = context.end.unwrap_or(Instant::now() + self.idle);
        open.insert(id, (context, until));
        Ok(name(id))
    }

    /// How long it stays open, as a duration.
    pub(crate) fn left(&self, name: &str, owner: &str) -> Result<String, Fault> {
        self.find(name, owner)?;
        let open = self.lock();
        let (_, until) = id(name).and_then(|id| open.get(&id)).ok_or_else(unknown)?;
        let left = until.saturating_duration_since(Instant::now());
        Ok(time::print_duration(u64::try_from(left.as_micros()).unwrap_or(u64::MAX)))
    }

    /// Gives it another end; `None`: a while after its last reply.
    pub(crate) fn renew(&self, name: &str, owner: &str, end: Option<Instant>) -> Result<(), Fault> {
        self.find(name, owner)?;
        let mut open = self.lock();
        let (context, until) = id(name).and_then(|id| open.get_mut(&id)).ok_or_else(unknown)?;
        context.end = end;
        *until = end.unwrap_or(Instant::now() + self.idle);
        Ok(())
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
                    *until = context.end.unwrap_or(Instant::now() + self.idle);
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
    use openrdms_cim::wql::Projection;
    use openrdms_cim::{Enumeration, ObjectPath};

    fn contexts() -> Contexts {
        Contexts::new(&Config { max_listings: 3, max_listings_each: 2, ..Config::default() })
    }

    fn context(owner: &str) -> Context {
        let what = Enumeration { class: ObjectPath::class("root/a", "C"), condition: None };
        let wanted = Wanted::Instances(what, Projection::All);
        Context { owner: owner.into(), wanted, mode: Mode::Object, cursor: None, end: None }
    }

    fn admin(name: &str) -> Principal {
        Principal { name: name.to_owned(), admin: true, from: String::new(), proof: None }
    }

    fn open(contexts: &Contexts, owner: &str) -> Result<String, Fault> {
        contexts.open(&admin(owner), context(owner))
    }

    #[tokio::test(start_paused = true)]
    async fn a_listing_is_its_owners_alone() {
        let contexts = contexts();
        let id = open(&contexts, "anna").unwrap();
        assert_eq!(contexts.find(&id, "berta").unwrap_err(), unknown());
        assert_eq!(contexts.release(&id, "berta").unwrap_err(), unknown());
        assert!(contexts.find(&id, "anna").is_ok());
        contexts.release(&id, "anna").unwrap();
        assert_eq!(contexts.find(&id, "anna").unwrap_err(), unknown());
    }

    #[tokio::test(start_paused = true)]
    async fn each_reply_keeps_it_open_for_a_minute() {
        let contexts = contexts();
        let id = open(&contexts, "anna").unwrap();
        tokio::time::advance(Duration::from_secs(59)).await;
        contexts.advance(&id, Some("5".into()));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(contexts.find(&id, "anna").unwrap().cursor.as_deref(), Some("5"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(contexts.find(&id, "anna").is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_was_asked_for_holds_whatever_is_pulled() {
        let contexts = contexts();
        let granted = |expiry| Granted::new(expiry, &Config::default());
        let given = granted(Expiry::In(Duration::from_secs(90))).unwrap();
        assert_eq!(given.text, "P0DT0H1M30S");
        let id = contexts.open(&admin("anna"), Context { end: Some(given.end), ..context("anna") }).unwrap();
        tokio::time::advance(Duration::from_secs(80)).await;
        contexts.advance(&id, Some("5".into()));
        assert_eq!(contexts.left(&id, "anna").unwrap(), "P0DT0H0M10S");
        assert!(contexts.left(&id, "berta").is_err());
        contexts.renew(&id, "anna", Some(Instant::now() + Duration::from_secs(30))).unwrap();
        assert_eq!(contexts.left(&id, "anna").unwrap(), "P0DT0H0M30S");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(contexts.left(&id, "anna").unwrap_err(), unknown());
        assert_eq!(contexts.renew(&id, "anna", None).unwrap_err(), unknown());

        let long = granted(Expiry::In(Duration::from_secs(1_000_000))).unwrap();
        assert_eq!(long.text, "P0DT0H10M0S", "no longer than the server likes");
        let passed = granted(Expiry::At(0)).map(|g| g.text).unwrap_err();
        assert_eq!(passed.subcode, Some(Subcode::InvalidExpirationTime));
        let far = granted(Expiry::At(i64::MAX)).unwrap();
        assert!(far.text.ends_with('Z') && far.end <= Instant::now() + Duration::from_secs(600));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_room_returns() {
        let contexts = contexts();
        let first = open(&contexts, "anna").unwrap();
        open(&contexts, "anna").unwrap();
        assert_eq!(open(&contexts, "anna").unwrap_err().subcode, Some(Subcode::QuotaLimit));
        open(&contexts, "berta").unwrap();
        assert_eq!(open(&contexts, "berta").unwrap_err().subcode, Some(Subcode::QuotaLimit));
        contexts.advance(&first, None);
        open(&contexts, "berta").unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(open(&contexts, "anna").is_ok());
        assert_eq!(contexts.lock().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn users_keep_no_administrator_out() {
        let contexts = Contexts::new(&Config { max_listings: 4, ..Config::default() });
        let user = |name: &str| Principal { admin: false, ..admin(name) };
        for name in ["anna", "berta"] {
            contexts.open(&user(name), context(name)).unwrap();
        }
        let full = contexts.open(&user("carl"), context("carl")).unwrap_err();
        assert_eq!(full.subcode, Some(Subcode::QuotaLimit));
        open(&contexts, "root").unwrap();
        open(&contexts, "root").unwrap();
        assert_eq!(open(&contexts, "root").unwrap_err().subcode, Some(Subcode::QuotaLimit));
    }
}
