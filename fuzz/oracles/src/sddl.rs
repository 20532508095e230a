//! Security descriptors as text.

use crate::text;
use openrdms_broker::SecurityDescriptor;
use openrdms_broker::sddl::{MAX_ACES, MAX_LENGTH};

/// A descriptor prints to one that is the same, within the same limits; a mistake has its place in the text. What has a
/// condition is never read.
pub fn sddl(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let read = match SecurityDescriptor::parse(&text) {
        Ok(read) => read,
        Err(error) => {
            assert!(text.is_char_boundary(error.at), "{error}");
            assert!(error.to_string().len() < 200, "{error}");
            return false;
        }
    };
    let printed = read.to_string();
    assert!(printed.len() <= MAX_LENGTH, "{} bytes", printed.len());
    assert_eq!(SecurityDescriptor::parse(&printed).as_ref(), Ok(&read), "{printed}");
    let aces = [read.dacl(), read.sacl()].into_iter().flatten().map(|acl| acl.aces().len()).sum::<usize>();
    assert!(aces <= MAX_ACES);
    assert_eq!(text.matches('(').count(), aces, "{text}");
    true
}
