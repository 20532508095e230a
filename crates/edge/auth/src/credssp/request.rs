//! TSRequest (MS-CSSP 2.2.1): read with a size limit, exactly, and written.

use super::{Refusal, der, quiet::quiet};
use sspi::credssp::{NStatusCode, TsRequest};

/// A longer TSRequest is refused before it is read.
pub(crate) const MAX_REQUEST: usize = 64 * 1024;

/// The version that we speak, and say that we speak.
pub(crate) const OUR_VERSION: u32 = 6;

/// How many bytes the TSRequest has whose first bytes these are; `None` while they are too few to tell. The
/// client sends more right behind its last TSRequest: whoever reads must take exactly so many.
///
/// # Errors
/// When it is no TSRequest, or one of more than 64 KiB.
pub fn request_length(start: &[u8]) -> Result<Option<usize>, NotARequest> {
    if start.first().is_some_and(|tag| *tag != 0x30) {
        return Err(NotARequest);
    }
    match der::header(start).map_err(|_| NotARequest)? {
        Some((head, content)) if content > MAX_REQUEST - head => Err(NotARequest),
        Some((head, content)) => Ok(Some(head + content)),
        None => Ok(None),
    }
}

/// Not the start of a TSRequest, or of one that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a TSRequest of at most {MAX_REQUEST} bytes")]
pub struct NotARequest;

pub(crate) fn read(bytes: &[u8]) -> Result<TsRequest, Refusal> {
    match request_length(bytes) {
        Ok(Some(length)) if length == bytes.len() => {}
        _ => return Err(Refusal::Malformed("TSRequest")),
    }
    quiet(|| TsRequest::from_buffer(bytes))?.map_err(|_| Refusal::Malformed("TSRequest"))
}

pub(crate) fn write(mut request: TsRequest) -> Result<Vec<u8>, Refusal> {
    request.version = OUR_VERSION;
    let mut bytes = Vec::new();
    quiet(|| request.encode_ts_request(&mut bytes))?.map_err(|_| Refusal::Defect)?;
    Ok(bytes)
}

/// The answer that ends a handshake, where the client's version knows one: 3, 4 and from 6 on
/// (MS-CSSP 2.2.1, errorCode).
pub(crate) fn write_error(code: u32, peer_version: u32) -> Option<Vec<u8>> {
    let known = matches!(peer_version, 3 | 4 | OUR_VERSION..);
    let request = TsRequest { error_code: Some(NStatusCode(code)), ..TsRequest::default() };
    if known { write(request).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_is_known_from_the_header_and_bounded() {
        assert_eq!(request_length(&[]), Ok(None));
        assert_eq!(request_length(&[0x30]), Ok(None));
        assert_eq!(request_length(&[0x30, 0x82, 0x01]), Ok(None));
        assert_eq!(request_length(&[0x30, 0x82, 0x01, 0x02, 9, 9]), Ok(Some(0x106)));
        assert_eq!(request_length(&[0x30, 0x82, 0xff, 0xfc]), Ok(Some(MAX_REQUEST)));
        assert_eq!(request_length(&[0x30, 0x82, 0xff, 0xfd]), Err(NotARequest));
        assert_eq!(request_length(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(NotARequest));
        assert_eq!(request_length(b"GET / HTTP/1.1"), Err(NotARequest));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let framed = der::write(0x30, &bytes);
            let _ = (read(&bytes), read(&framed), request_length(&bytes));
        }
    }
}
