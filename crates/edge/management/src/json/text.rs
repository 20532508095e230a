//! Addresses as text: percent-encoding (RFC 3986 2.1) and what characters a text may have.

use super::problem::Problem;
use openrdms_cim::Value;
use openrdms_cim::path::ObjectPath;
use std::fmt::Write;

/// A part of a path, decoded.
pub(super) fn decode(part: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(Problem::wrong("a percent sign in the address is not followed by two digits"));
        };
        // two hexadecimal digits are a byte
        bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::wrong("the address is not UTF-8"))?;
    fit(&text).map(|()| text)
}

/// The same in a query, where `+` is a space.
pub(super) fn decode_query(part: &str) -> Result<String, Problem> {
    decode(&part.replace('+', "%20"))
}

/// Refuses what no other door could carry (XML 1.0 2.2), so that every text can be read through all of them.
pub(super) fn fit(text: &str) -> Result<(), Problem> {
    let unfit = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(unfit) {
        return Err(Problem::wrong("a text has control characters in it"));
    }
    Ok(())
}

/// The address of an instance.
pub(super) fn link(path: &ObjectPath) -> String {
    let mut link = format!("{}/{}", super::ROOT, path.class);
    for (_, value) in &path.keys {
        let text = match value {
            Value::Reference(path) => path.to_string(),
            other => other.text().unwrap_or_default(),
        };
        link.push('/');
        encode(&mut link, &text);
    }
    link
}

fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // writing to a string cannot fail
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_encoding_is_refused() {
        for wrong in ["%", "%4", "%zz", "a%", "%ff", "%+1", "%00", "%1b", "%EF%BF%BF"] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
        assert_eq!(decode("a%2fb%C3%A4+c").ok().as_deref(), Some("a/bä+c"));
        assert_eq!(decode_query("a+b%2B").ok().as_deref(), Some("a b+"));
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
            let mut encoded = String::new();
            encode(&mut encoded, &text);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(decode(&encoded).ok(), Some(text.clone()));
            prop_assert_eq!(decode_query(&encoded).ok(), Some(text));
        }
    }
}
