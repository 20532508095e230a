//! A page of a list: as many instances as are wanted and fit, and where to go on. Nothing stays open here, and memory
//! holds one page of the service's besides the reply.

use super::problem::Problem;
use super::query::{Asked, Pairs};
use super::write::Shown;
use super::{Answer, cursor, tag};
use crate::Shared;
use http::HeaderMap;
use openrdms_cim::value::time;
use openrdms_cim::{CimError, Class, Enumeration, Limits, ObjectPath, Principal, WmiCode};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most that the service is asked for at once.
const PAGE: usize = 250;
/// What stands around the items: the names, the cursor and the time.
const AROUND: usize = 300;

/// Items as text, and where the service goes on.
struct Page {
    text: Vec<u8>,
    next: Option<String>,
}

/// Why there is no page.
enum Unfit {
    /// Only so many fit.
    Only(usize),
    Problem(Problem),
}

impl Shared {
    pub(super) async fn list(
        &self,
        who: &Principal,
        class: &Class,
        pairs: &Pairs,
        headers: &HeaderMap,
    ) -> Result<Answer, Problem> {
        let as_of = now();
        let asked = pairs.of_list(class, self.service.repository(), self.config.max_batch)?;
        let what = Enumeration {
            class: ObjectPath::class(&class.namespace, &class.name),
            condition: asked.condition.clone(),
        };
        let after = asked.cursor.as_deref().map(|text| cursor::parse(&what, text)).transpose()?;
        let mut most = asked.limit;
        let page = loop {
            match self.page(who, &what, &asked, after.clone(), most).await {
                Ok(page) => break page,
                // a cursor is only at the end of a page: begin again, for just as many as fit
                Err(Unfit::Only(fit)) if fit > 0 => most = fit,
                Err(Unfit::Only(_)) => {
                    let detail = "an instance is longer than an answer may be";
                    return Err(CimError::new(WmiCode::WBEM_E_QUOTA_VIOLATION, detail).into());
                }
                Err(Unfit::Problem(problem)) => return Err(problem),
            }
        };
        let next = page.next.map(|next| cursor::print(&what, &next));
        let mut text = page.text;
        text.extend_from_slice(b"],\"next\":");
        text.extend(serde_json::Value::from(next).to_string().bytes());
        // the same list at another time is the same list
        let tag = tag::weak(&text);
        text.extend(format!(",\"asOf\":\"{as_of}\"}}\n").bytes());
        Ok(Answer::unless_known(headers, text.into(), tag))
    }

    /// Up to so many items.
    async fn page(
        &self,
        who: &Principal,
        what: &Enumeration,
        asked: &Asked,
        mut after: Option<String>,
        most: usize,
    ) -> Result<Page, Unfit> {
        let repository = self.service.repository();
        let longest = self.config.max_envelope.saturating_sub(AROUND);
        let mut text = b"{\"items\":[".to_vec();
        let mut count = 0;
        loop {
            let limits = Limits { max_elements: PAGE.min(most - count) };
            let listing = self.service.enumerate(who, what, after.as_deref(), limits).await;
            let listing = listing.map_err(|error| Unfit::Problem(error.into()))?;
            for instance in &listing.instances {
                if count > 0 {
                    text.push(b',');
                }
                let shown = Shown::new(repository, instance, &asked.fields);
                serde_json::to_writer(&mut text, &shown)
                    .map_err(|_| Unfit::Problem(Problem::bug("an instance cannot be written")))?;
                if text.len() > longest {
                    return Err(Unfit::Only(count));
                }
                count += 1;
            }
            after = listing.next;
            if after.is_none() || count >= most {
                return Ok(Page { text, next: after });
            }
        }
    }
}

/// The time, as text.
pub(super) fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    time::print(i64::try_from(now.as_micros() / 1000 * 1000).unwrap_or(i64::MAX), 0)
}
