//! Where a list goes on: the service's own cursor, and what list that is. It holds no secret and gives no right: whoever
//! makes one up gets what the service shows them anyway, or a refusal.

use super::problem::Problem;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openrdms_cim::{CimError, Enumeration, WmiCode};

/// How it is written. Others are refused.
const VERSION: u8 = 1;

pub(super) fn print(what: &Enumeration, next: &str) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(scope(what));
    bytes.extend(next.bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The service's cursor.
pub(super) fn parse(what: &Enumeration, cursor: &str) -> Result<String, Problem> {
    read(what, cursor).ok_or_else(|| {
        let detail = "the cursor is not one of this list with this filter: begin anew";
        CimError::new(WmiCode::WBEM_E_INVALID_CONTEXT, detail).into()
    })
}

fn read(what: &Enumeration, cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (version, rest) = bytes.split_first()?;
    let (of, next) = rest.split_first_chunk()?;
    (*version == VERSION && *of == scope(what)).then(|| String::from_utf8(next.to_vec()).ok())?
}

/// What tells one list from another.
fn scope(what: &Enumeration) -> [u8; 8] {
    let condition = what.condition.as_ref().map(ToString::to_string).unwrap_or_default();
    let text = format!("{}\0{}", what.class, condition);
    let mut short = [0; 8];
    short.iter_mut().zip(digest(&SHA256, text.as_bytes()).as_ref()).for_each(|(to, from)| *to = *from);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_cim::{Condition, ObjectPath};
    use proptest::prelude::*;

    fn of(class: &str, condition: Option<Condition>) -> Enumeration {
        Enumeration { class: ObjectPath::class("root/a", class), condition }
    }

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let all = of("C", None);
        let cursor = print(&all, "host/7");
        assert_eq!(parse(&all, &cursor), Ok("host/7".to_owned()));
        let filtered = of("C", Some(Condition::equal("Name", "x")));
        for other in [of("D", None), filtered.clone(), of("C", Some(Condition::equal("Name", "y")))] {
            assert!(parse(&other, &cursor).is_err());
        }
        assert!(parse(&all, &print(&filtered, "host/7")).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_no_cursor_is_refused(text in ".{0,40}") {
            prop_assert!(parse(&of("C", None), &text).is_err());
        }
    }
}
