//! The encodings that messages come in. A reply is sent in the encoding of its request: clients that write
//! UTF-16 read the answer as UTF-16 whatever it says, and the others cannot read a byte order mark.

use std::borrow::Cow;

/// An encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8.
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

impl Charset {
    /// Tells the encoding by the byte order mark, else by the first character, which is `<` in XML.
    pub fn detect(bytes: &[u8]) -> Self {
        match bytes {
            [0xFF, 0xFE, ..] | [b'<', 0, ..] => Charset::Utf16Le,
            [0xFE, 0xFF, ..] | [0, b'<', ..] => Charset::Utf16Be,
            _ => Charset::Utf8,
        }
    }

    /// The text; `None` where the bytes are none in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let units = |unit: fn([u8; 2]) -> u16| -> Option<String> {
            let (pairs, rest) = bytes.as_chunks::<2>();
            let text = String::from_utf16(&pairs.iter().map(|pair| unit(*pair)).collect::<Vec<_>>()).ok()?;
            rest.is_empty().then_some(text)
        };
        let text = match self {
            Charset::Utf8 => std::str::from_utf8(bytes).ok()?.to_owned(),
            Charset::Utf16Le => units(u16::from_le_bytes)?,
            Charset::Utf16Be => units(u16::from_be_bytes)?,
        };
        Some(match text.strip_prefix('\u{feff}') {
            Some(text) => text.to_owned(),
            None => text,
        })
    }

    /// The bytes of `text`, with a byte order mark in UTF-16.
    pub fn encode<'a>(self, text: impl Into<Cow<'a, str>>) -> Vec<u8> {
        let text = text.into();
        let units = |bytes: fn(u16) -> [u8; 2]| {
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(bytes).collect()
        };
        match self {
            Charset::Utf8 => text.into_owned().into_bytes(),
            Charset::Utf16Le => units(u16::to_le_bytes),
            Charset::Utf16Be => units(u16::to_be_bytes),
        }
    }

    /// How many bytes [`Charset::encode`] makes.
    pub fn encoded_len(self, text: &str) -> usize {
        match self {
            Charset::Utf8 => text.len(),
            Charset::Utf16Le | Charset::Utf16Be => 2 + 2 * text.encode_utf16().count(),
        }
    }

    /// The `Content-Type` of a message in it.
    pub fn content_type(self) -> &'static str {
        match self {
            Charset::Utf8 => "application/soap+xml;charset=UTF-8",
            Charset::Utf16Le | Charset::Utf16Be => "application/soap+xml;charset=UTF-16",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(Charset::Utf8.decode(&[b'<', 0xFF]), None);
        assert_eq!(Charset::Utf16Le.decode(&[b'<', 0, 0]), None);
        assert_eq!(Charset::Utf16Be.decode(&[0xD8, 0]), None);
    }

    proptest! {
        #[test]
        fn texts_read_back(text in "<\\PC{0,40}") {
            for charset in [Charset::Utf8, Charset::Utf16Le, Charset::Utf16Be] {
                let bytes = charset.encode(&text);
                prop_assert_eq!(Charset::detect(&bytes), charset);
                prop_assert_eq!(bytes.len(), charset.encoded_len(&text));
                prop_assert_eq!(charset.decode(&bytes), Some(text.clone()));
            }
        }
    }
}
