//! Entity tags (RFC 9110 8.8.3): a digest of what is sent.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The tag of these very bytes.
pub(super) fn strong(text: &[u8]) -> String {
    let hash = digest(&SHA256, text);
    let (short, _) = hash.as_ref().split_at(16);
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(short))
}

/// The tag of what says the same as these bytes.
pub(super) fn weak(text: &[u8]) -> String {
    format!("W/{}", strong(text))
}

/// Whether `If-None-Match` has the tag, or says any.
pub(super) fn matches_weakly(list: &str, tag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    each(list).any(|one| one == "*" || opaque(one) == opaque(tag))
}

/// Whether `If-Match` has the tag, or says any. Weak tags match nothing (RFC 9110 13.1.1).
pub(super) fn matches_strongly(list: &str, tag: &str) -> bool {
    each(list).any(|one| one == "*" || (!one.starts_with("W/") && one == tag))
}

/// Our tags have no commas; those of others match nothing anyway.
fn each(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_as_the_header_asks() {
        let (tag, other) = (strong(b"a"), strong(b"b"));
        assert_ne!(tag, other);
        let both = format!("{other}, W/{tag}");
        assert!(matches_weakly(&both, &tag) && !matches_strongly(&both, &tag));
        assert!(matches_weakly(&tag, &weak(b"a")) && matches_strongly(&format!("x ,{tag}"), &tag));
        assert!(matches_strongly("*", &tag) && matches_weakly(" * ", &tag));
        assert!(!matches_strongly(&other, &tag) && !matches_weakly("", &tag));
    }
}
