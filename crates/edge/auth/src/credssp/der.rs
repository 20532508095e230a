//! As much of DER (X.690) as SPNEGO and TSRequest lengths need: definite lengths, one-byte tags.

/// One element: its tag, its content, and what follows it.
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) rest: &'a [u8],
}

/// Length of an element's header and of its content, from its first bytes; `None` while they are too few.
///
/// # Errors
/// `Malformed` for an indefinite length, or one of more than four bytes.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let Some(&first) = bytes.get(1) else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    if count == 0 || count > 4 {
        return Err(Malformed);
    }
    let length = bytes
        .get(2..2 + count)
        .map(|length| length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
    Ok(length.map(|length| (2 + count, length)))
}

/// The first element of some bytes.
pub(crate) fn element(bytes: &[u8]) -> Result<Element<'_>, Malformed> {
    let (head, length) = header(bytes)?.ok_or(Malformed)?;
    let end = head.checked_add(length).ok_or(Malformed)?;
    let content = bytes.get(head..end).ok_or(Malformed)?;
    Ok(Element { tag: bytes[0], content, rest: &bytes[end..] })
}

/// The content of the first element, which must have this tag.
pub(crate) fn expect(bytes: &[u8], tag: u8) -> Result<&[u8], Malformed> {
    let element = element(bytes)?;
    if element.tag == tag { Ok(element.content) } else { Err(Malformed) }
}

/// An element.
pub(crate) fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().position(|b| *b != 0).unwrap_or(length.len() - 1)..];
    let mut out = vec![tag];
    if content.len() >= 0x80 {
        out.push(0x80 | significant.len() as u8);
    }
    out.extend_from_slice(significant);
    out.extend_from_slice(content);
    out
}

/// Not the DER that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub(crate) struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(tag in 0_u8..0x1f, content in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let mut bytes = write(tag, &content);
            bytes.extend_from_slice(b"rest");
            let element = element(&bytes).unwrap();
            prop_assert_eq!((element.tag, element.content, element.rest), (tag, &content[..], &b"rest"[..]));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = element(&bytes);
        }
    }

    #[test]
    fn lengths_are_in_their_shortest_form() {
        assert_eq!(write(4, b""), [4, 0]);
        assert_eq!(write(4, &[0; 0x7f])[..2], [4, 0x7f]);
        assert_eq!(write(4, &[0; 0x80])[..3], [4, 0x81, 0x80]);
        assert_eq!(write(4, &[0; 0x100])[..4], [4, 0x82, 1, 0]);
    }

    #[test]
    fn indefinite_and_huge_lengths_are_refused() {
        assert_eq!(header(&[0x30, 0x80, 0, 0]), Err(Malformed));
        assert_eq!(header(&[0x30, 0x85, 0, 0, 0, 0, 1]), Err(Malformed));
        assert!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
