//! One page of a listing: of a class and of those that derive from it, one after the other, judged by the
//! condition. Never holds more than one page of one provider.
//!
//! Where the condition states every key, the provider is asked for that instance, and nothing is listed.

use super::Rdms;
use crate::provider::{Provider, Query, Wanted, cannot_continue};
use openrdms_cim::{
    CimError, Class, Condition, Enumeration, Limits, Listing, ObjectPath, Principal, Repository, WmiCode,
};

/// The longest page that is read to find a match.
const LONGEST: usize = 1000;

/// A class of the listing, and the provider that serves it.
type Served<'a> = (&'a Class, &'a dyn Provider);

/// What stays the same for all pages and classes of a listing.
#[derive(Clone, Copy)]
struct Asked<'a> {
    rdms: &'a Rdms,
    who: &'a Principal,
    condition: Option<&'a Condition>,
}

/// The next page with something in it, or the end.
pub(super) async fn page(
    rdms: &Rdms,
    who: &Principal,
    what: &Enumeration,
    after: Option<&str>,
    limits: Limits,
) -> Result<Listing, CimError> {
    let class = rdms.class(&what.class)?;
    let condition = what.condition.as_ref();
    if let Some(condition) = condition {
        condition.check(class, &rdms.repository)?;
    }
    let classes = served(rdms, class)?;
    let (mut at, mut cursor) = match after {
        None => (0, None),
        Some(after) => begin(&classes, after)?,
    };
    let asked = Asked { rdms, who, condition };
    let most = limits.max_elements.max(1);
    let mut size = most;
    loop {
        let mut listing = asked.page_of(classes[at], cursor.as_deref(), size).await?;
        if let Some(condition) = condition {
            let enough = judge(&mut listing, condition, &rdms.repository, most);
            // A cursor stands at the end of a page, so a page with too many matches is read again, shorter. The
            // few providers that list everything at once do so again.
            if let Some(enough) = enough.filter(|rows| *rows < size) {
                size = enough;
                continue;
            }
            // Where there are few matches, longer pages find them sooner.
            if listing.instances.is_empty() {
                size = size.saturating_mul(2).min(LONGEST.max(most));
            }
        }
        (at, cursor) = match listing.next {
            Some(next) => (at, Some(next)),
            None => (at + 1, None),
        };
        let more = classes.get(at);
        if !listing.instances.is_empty() || more.is_none() {
            let next = more.map(|(class, _)| match cursor {
                Some(cursor) => format!("{}/{cursor}", class.name),
                None => class.name.clone(),
            });
            return Ok(Listing { instances: listing.instances, next });
        }
    }
}

/// Leaves the matches. Where there are more than `most`, answers how many rows have just so many.
fn judge(
    listing: &mut Listing,
    condition: &Condition,
    repository: &Repository,
    most: usize,
) -> Option<usize> {
    let (mut rows, mut matches, mut enough) = (0, 0, 0);
    listing.instances.retain(|instance| {
        let holds = condition.holds(instance, repository).is_true();
        rows += 1;
        matches += usize::from(holds);
        if matches <= most {
            enough = rows;
        }
        holds
    });
    (matches > most).then_some(enough)
}

/// The class and those that derive from it, as far as they have a provider: the class first, then by name.
fn served<'a>(rdms: &'a Rdms, class: &'a Class) -> Result<Vec<Served<'a>>, CimError> {
    let derived = rdms
        .repository
        .classes(&class.namespace)
        .filter(|other| other.superclass.is_some() && other.name != class.name)
        .filter(|other| rdms.repository.is_a(other, &class.name));
    let all: Vec<_> = std::iter::once(class)
        .chain(derived)
        .filter_map(|class| Some((class, rdms.provider(class).ok()?)))
        .collect();
    if all.is_empty() {
        rdms.provider(class)?; // says why
    }
    Ok(all)
}

/// Where a cursor points: the class, and where its provider goes on.
fn begin(classes: &[Served<'_>], after: &str) -> Result<(usize, Option<String>), CimError> {
    let (name, cursor) = match after.split_once('/') {
        Some((name, cursor)) => (name, Some(cursor.to_owned())),
        None => (after, None),
    };
    let at = classes.iter().position(|(class, _)| class.name == name).ok_or_else(cannot_continue)?;
    Ok((at, cursor))
}

impl Asked<'_> {
    async fn page_of(
        &self,
        (class, provider): Served<'_>,
        after: Option<&str>,
        size: usize,
    ) -> Result<Listing, CimError> {
        let context = &self.rdms.context;
        let Some(path) = self.condition.and_then(|condition| keyed(class, condition)) else {
            let (Self { who, condition, .. }, limits) = (*self, Limits { max_elements: size });
            return provider.enumerate(context, &Query { who, class, condition, after, limits }).await;
        };
        let instances = match provider.get(context, &Wanted { who: self.who, class, path: &path }).await {
            Ok(instance) => vec![instance],
            Err(error) if error.code == WmiCode::WBEM_E_NOT_FOUND => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Listing { instances, next: None })
    }
}

/// The only instance that the condition may hold for, if it states all keys.
fn keyed(class: &Class, condition: &Condition) -> Option<ObjectPath> {
    let equalities = condition.equalities();
    let mut path = ObjectPath::class(&class.namespace, &class.name);
    for key in class.keys() {
        let (_, constant) = equalities.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name))?;
        path.keys.push((key.name.clone(), constant.value(key.ty)?));
    }
    (!path.keys.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests;
