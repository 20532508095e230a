//! SPNEGO (RFC 4178, MS-SPNG) around NTLM: the acceptor's envelope, which offers nothing but NTLM.
//!
//! ```text
//!  NegTokenInit  = 60 { OID spnego, A0 { 30 { A0 mechTypes, A1 reqFlags?, A2 mechToken?, A3 mechListMIC? } } }
//!  NegTokenResp  = A1 { 30 { A0 negState?, A1 supportedMech?, A2 responseToken?, A3 mechListMIC? } }
//! ```

use super::der::{self, Malformed};

/// 1.3.6.1.5.5.2.
const SPNEGO: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];
/// 1.3.6.1.4.1.311.2.2.10 (MS-NLMP 1.9).
const NTLM: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a];

const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
const APPLICATION: u8 = 0x60;
/// Context tags `[0]` to `[3]`, constructed.
const FIELDS: [u8; 4] = [0xa0, 0xa1, 0xa2, 0xa3];

/// How far the negotiation is (RFC 4178 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NegState {
    Completed = 0,
    Incomplete = 1,
    RequestMic = 3,
}

/// The client's first token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Init<'a> {
    /// The mechTypes as they were encoded: what the MICs are computed over.
    pub(crate) mech_list: &'a [u8],
    /// Whether NTLM is what the client would like best: then `token` is NTLM's.
    pub(crate) ntlm_first: bool,
    /// The optimistic token of the client's favourite mechanism.
    pub(crate) token: Option<&'a [u8]>,
}

/// Any later token of the client's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response<'a> {
    pub(crate) token: Option<&'a [u8]>,
    pub(crate) mic: Option<&'a [u8]>,
}

/// Whether a first token is SPNEGO, and not bare NTLM.
pub(crate) fn is_spnego(token: &[u8]) -> bool {
    token.first() == Some(&APPLICATION)
}

/// Reads the client's first token.
///
/// # Errors
/// `Malformed`, also where the client does not offer NTLM.
pub(crate) fn read_init(token: &[u8]) -> Result<Init<'_>, Malformed> {
    let oid = der::element(der::expect(token, APPLICATION)?)?;
    if (oid.tag, oid.content) != (OID, SPNEGO) {
        return Err(Malformed);
    }
    let [mech_list, _, mech_token, _] = fields(der::expect(oid.rest, FIELDS[0])?)?;
    let mech_list = mech_list.ok_or(Malformed)?;
    let mut mechs = der::expect(mech_list, SEQUENCE)?;
    let mut position = None;
    for index in 0.. {
        if mechs.is_empty() {
            break;
        }
        let mech = der::element(mechs)?;
        if position.is_none() && (mech.tag, mech.content) == (OID, NTLM) {
            position = Some(index);
        }
        mechs = mech.rest;
    }
    let ntlm_first = position.ok_or(Malformed)? == 0;
    Ok(Init { mech_list, ntlm_first, token: octets(mech_token)? })
}

/// Reads a later token.
///
/// # Errors
/// `Malformed`.
pub(crate) fn read_response(token: &[u8]) -> Result<Response<'_>, Malformed> {
    let [_, _, response_token, mic] = fields(der::expect(token, FIELDS[1])?)?;
    Ok(Response { token: octets(response_token)?, mic: octets(mic)? })
}

/// Which mechanism we take: said in the first answer, and only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mech {
    Ntlm,
    Unsaid,
}

/// An answer to the client.
pub(crate) fn write_response(
    state: NegState,
    mech: Mech,
    token: Option<&[u8]>,
    mic: Option<&[u8]>,
) -> Vec<u8> {
    let mut body = der::write(FIELDS[0], &der::write(ENUMERATED, &[state as u8]));
    if mech == Mech::Ntlm {
        body.extend(der::write(FIELDS[1], &der::write(OID, NTLM)));
    }
    for (field, octets) in [(FIELDS[2], token), (FIELDS[3], mic)] {
        if let Some(octets) = octets {
            body.extend(der::write(field, &der::write(OCTETS, octets)));
        }
    }
    der::write(FIELDS[1], &der::write(SEQUENCE, &body))
}

/// The optional fields `[0]` to `[3]` of a sequence, in their order, each at most once.
fn fields(sequence: &[u8]) -> Result<[Option<&[u8]>; 4], Malformed> {
    let mut bytes = der::expect(sequence, SEQUENCE)?;
    let mut found = [None; 4];
    for (field, found) in FIELDS.iter().zip(&mut found) {
        if bytes.first() == Some(field) {
            let element = der::element(bytes)?;
            *found = Some(element.content);
            bytes = element.rest;
        }
    }
    if bytes.is_empty() { Ok(found) } else { Err(Malformed) }
}

fn octets(field: Option<&[u8]>) -> Result<Option<&[u8]>, Malformed> {
    field.map(|field| der::expect(field, OCTETS)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn init(mechs: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
        let mechs: Vec<u8> = mechs.iter().flat_map(|mech| der::write(OID, mech)).collect();
        let mut body = der::write(FIELDS[0], &der::write(SEQUENCE, &mechs));
        if let Some(token) = token {
            body.extend(der::write(FIELDS[2], &der::write(OCTETS, token)));
        }
        let body = der::write(FIELDS[0], &der::write(SEQUENCE, &body));
        der::write(APPLICATION, &[der::write(OID, SPNEGO), body].concat())
    }

    #[test]
    fn ntlm_is_found_wherever_it_stands_in_the_list() {
        let kerberos: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02];
        let first = init(&[NTLM, kerberos], Some(b"token"));
        let read = read_init(&first).unwrap();
        assert_eq!((read.ntlm_first, read.token), (true, Some(&b"token"[..])));
        assert_eq!(read.mech_list[0], SEQUENCE, "the MIC covers the list with its own header");
        let second = init(&[kerberos, NTLM], Some(b"ticket"));
        assert!(!read_init(&second).unwrap().ntlm_first);
        assert_eq!(read_init(&init(&[kerberos], None)), Err(Malformed));
        assert_eq!(read_init(&init(&[], None)), Err(Malformed));
    }

    #[test]
    fn an_answer_has_the_fields_it_was_given() {
        let bytes = write_response(NegState::RequestMic, Mech::Ntlm, None, None);
        assert_eq!(bytes[..9], [0xa1, 0x15, 0x30, 0x13, 0xa0, 0x03, 0x0a, 0x01, 0x03]);
        assert_eq!(read_response(&bytes).unwrap(), Response { token: None, mic: None });
        let bytes = write_response(NegState::Completed, Mech::Unsaid, Some(b"t"), Some(b"m"));
        assert_eq!(read_response(&bytes).unwrap(), Response { token: Some(b"t"), mic: Some(b"m") });
    }

    #[test]
    fn fields_out_of_order_or_twice_are_refused() {
        let field = |tag: u8| der::write(tag, &der::write(OCTETS, b"x"));
        for body in [[field(0xa3), field(0xa2)].concat(), [field(0xa2), field(0xa2)].concat(), field(0xa4)] {
            let token = der::write(FIELDS[1], &der::write(SEQUENCE, &body));
            assert_eq!(read_response(&token), Err(Malformed), "{token:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read_init(&bytes), read_response(&bytes));
        }

        #[test]
        fn a_damaged_token_is_read_without_panic(at in 0_usize..60, to in any::<u8>()) {
            let mut bytes = init(&[NTLM, SPNEGO], Some(b"token"));
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = read_init(&bytes);
        }
    }
}
