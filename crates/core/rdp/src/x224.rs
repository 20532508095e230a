//! The negotiation: X.224 Connection Request and Confirm (MS-RDPBCGR 2.2.1.1, 2.2.1.2).
//!
//! The request says where the client wants to go (a routing token or a cookie) and which security protocols it
//! knows; the confirm says which one is taken, or why none.

use crate::{
    cursor::Cursor,
    error::{RdpError, malformed},
};

/// Security protocols: a mask in requests, one bit in answers (MS-RDPBCGR 2.2.1.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols(pub u32);

impl Protocols {
    /// RDP's own encryption, which is never spoken here.
    pub const RDP: Protocols = Protocols(0);
    /// TLS.
    pub const SSL: Protocols = Protocols(1);
    /// TLS and CredSSP: network level authentication.
    pub const HYBRID: Protocols = Protocols(2);
    /// The same, followed by the early user authorization result.
    pub const HYBRID_EX: Protocols = Protocols(8);

    /// Whether all of `other` is in the mask.
    pub fn has(self, other: Protocols) -> bool {
        other.0 != 0 && self.0 & other.0 == other.0
    }
}

/// Where a client asks to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Nowhere in particular.
    None,
    /// `tsv://MS Terminal Services Plugin.1.<alias>`: a collection, with or without `Cookie: msts=` before it.
    Collection(String),
    /// `tsv://VMResource.1.<alias>`: a desktop of a collection, with or without `Cookie: msts=` before it.
    Desktop(String),
    /// `Cookie: mstshash=<user>`: only a hint for load balancers.
    User(String),
    /// `Cookie: msts=<token>` with another token: some other load balancer's.
    Other(String),
}

/// A Connection Request (MS-RDPBCGR 2.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionRequest {
    /// Where to go.
    pub routing: Routing,
    /// The protocols offered; `None` when the client sent no negotiation request at all, which means that it
    /// knows only RDP's own encryption.
    pub protocols: Option<Protocols>,
}

/// Why no protocol could be agreed on (MS-RDPBCGR 2.2.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegotiationFailure {
    /// `SSL_REQUIRED_BY_SERVER`
    SslRequired = 1,
    /// `HYBRID_REQUIRED_BY_SERVER`
    HybridRequired = 5,
}

/// A desktop's Connection Confirm (MS-RDPBCGR 2.2.1.2) that names a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionConfirm {
    /// The protocol taken.
    pub selected: Protocols,
    /// `EXTENDED_CLIENT_DATA_SUPPORTED`: monitor, message channel and multitransport blocks may be sent.
    pub extended_client_data: bool,
}

const REQUEST: &str = "connection request";
const CONFIRM: &str = "connection confirm";
const TYPE_REQUEST: u8 = 1;
const TYPE_RESPONSE: u8 = 2;
const TYPE_FAILURE: u8 = 3;
/// `EXTENDED_CLIENT_DATA_SUPPORTED | DYNVC_GFX_PROTOCOL_SUPPORTED`: the desktop is not known yet; both only
/// allow the client to offer more.
const CONFIRM_FLAGS: u8 = 0x03;

impl ConnectionRequest {
    /// Reads a whole TPKT frame.
    ///
    /// # Errors
    /// When it is not a Connection Request.
    pub fn parse(frame: &[u8]) -> Result<Self, RdpError> {
        let mut c = Cursor::new(REQUEST, tpkt(REQUEST, frame)?);
        let _length_indicator = c.u8()?;
        if c.u8()? & 0xf0 != 0xe0 {
            return Err(RdpError::Unexpected(REQUEST));
        }
        c.take(5)?; // destination, source, class
        let mut routing = Routing::None;
        if !c.is_empty() && !is_negotiation(c.rest()) {
            let rest = c.rest();
            let end = rest.windows(2).position(|w| w == b"\r\n");
            let line = c.take(end.unwrap_or(rest.len()))?;
            routing = Routing::parse(&String::from_utf8_lossy(line));
            c.take(if end.is_some() { 2 } else { 0 })?;
        }
        let mut protocols = None;
        if !c.is_empty() {
            if !is_negotiation(c.rest()) {
                return Err(malformed(REQUEST, "a negotiation request follows the token"));
            }
            c.take(4)?; // type, flags, length
            protocols = Some(Protocols(c.u32_le()?));
            // RDP_NEG_CORRELATION_INFO (2.2.1.1.2) may follow; it serves tracing within Microsoft's farms
        }
        Ok(Self { routing, protocols })
    }

    /// Writes the request for a desktop leg, with the user as the cookie.
    pub fn encode(user: &str, protocols: Protocols) -> Vec<u8> {
        // what the cookie cannot hold is left out: it is a hint only
        let user: String = user.chars().filter(|c| c.is_ascii_graphic()).take(64).collect();
        let mut variable = format!("Cookie: mstshash={user}\r\n").into_bytes();
        variable.extend_from_slice(&[TYPE_REQUEST, 0, 8, 0]);
        variable.extend_from_slice(&protocols.0.to_le_bytes());
        connection_tpdu(0xe0, &variable)
    }
}

impl Routing {
    /// Reads one token or cookie line, without its line end.
    pub fn parse(line: &str) -> Self {
        if let Some(user) = line.strip_prefix("Cookie: mstshash=") {
            return Routing::User(user.to_owned());
        }
        let token = line.strip_prefix("Cookie: msts=").unwrap_or(line);
        if let Some(alias) = token.strip_prefix("tsv://MS Terminal Services Plugin.1.") {
            Routing::Collection(alias.to_owned())
        } else if let Some(alias) = token.strip_prefix("tsv://VMResource.1.") {
            Routing::Desktop(alias.to_owned())
        } else {
            Routing::Other(token.to_owned())
        }
    }
}

impl ConnectionConfirm {
    /// Reads a whole TPKT frame.
    ///
    /// # Errors
    /// When it is not a confirm, names no protocol, or is a refusal.
    pub fn parse(frame: &[u8]) -> Result<Self, RdpError> {
        let mut c = Cursor::new(CONFIRM, tpkt(CONFIRM, frame)?);
        let _length_indicator = c.u8()?;
        if c.u8()? & 0xf0 != 0xd0 {
            return Err(RdpError::Unexpected(CONFIRM));
        }
        c.take(5)?;
        let (kind, flags) = (c.u8()?, c.u8()?);
        c.expect(&[8, 0], "its negotiation part is 8 bytes")?;
        let value = c.u32_le()?;
        match kind {
            TYPE_RESPONSE => Ok(Self { selected: Protocols(value), extended_client_data: flags & 0x01 != 0 }),
            TYPE_FAILURE => Err(RdpError::Refused { what: "security negotiation", code: value }),
            _ => Err(malformed(CONFIRM, "it holds a negotiation response or failure")),
        }
    }

    /// Writes the confirm that takes `selected` (MS-RDPBCGR 2.2.1.2.1).
    pub fn encode(selected: Protocols) -> Vec<u8> {
        negotiation(TYPE_RESPONSE, CONFIRM_FLAGS, selected.0)
    }

    /// Writes the confirm that refuses (MS-RDPBCGR 2.2.1.2.2).
    pub fn encode_failure(failure: NegotiationFailure) -> Vec<u8> {
        negotiation(TYPE_FAILURE, 0, failure as u32)
    }
}

/// The content of a TPKT frame, whose length field must agree with the frame's.
pub(crate) fn tpkt<'a>(what: &'static str, frame: &'a [u8]) -> Result<&'a [u8], RdpError> {
    let mut c = Cursor::new(what, frame);
    if c.u8()? != 3 {
        return Err(malformed(what, "it travels in a tpkt"));
    }
    c.u8()?;
    if usize::from(c.u16_be()?) != frame.len() {
        return Err(malformed(what, "the tpkt states its own length"));
    }
    Ok(c.rest())
}

fn is_negotiation(bytes: &[u8]) -> bool {
    matches!(bytes, [TYPE_REQUEST, _, 8, 0, _, _, _, _, ..])
}

fn negotiation(kind: u8, flags: u8, value: u32) -> Vec<u8> {
    let mut variable = vec![kind, flags, 8, 0];
    variable.extend_from_slice(&value.to_le_bytes());
    connection_tpdu(0xd0, &variable)
}

/// A connection TPDU in its TPKT. `variable` is at most 110 bytes: a cookie and a negotiation part.
fn connection_tpdu(code: u8, variable: &[u8]) -> Vec<u8> {
    let length = 11 + variable.len() as u8;
    [&[3, 0, 0, length, length - 5, code, 0, 0, 0, 0, 0], variable].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(variable: &[u8]) -> Result<ConnectionRequest, RdpError> {
        ConnectionRequest::parse(&connection_tpdu(0xe0, variable))
    }

    #[test]
    fn every_routing_form_is_read() {
        let negotiation = b"\x01\x00\x08\x00\x0b\x00\x00\x00";
        let correlation = [&b"\x06\x00\x24\x00"[..], &[7u8; 16], &[0u8; 16]].concat();
        let cases: [(&str, Routing); 8] = [
            ("", Routing::None),
            ("tsv://MS Terminal Services Plugin.1.Pool1\r\n", Routing::Collection("Pool1".into())),
            (
                "Cookie: msts=tsv://MS Terminal Services Plugin.1.Pool1\r\n",
                Routing::Collection("Pool1".into()),
            ),
            ("tsv://VMResource.1.Pool1\r\n", Routing::Desktop("Pool1".into())),
            ("Cookie: msts=tsv://VMResource.1.a\r\n", Routing::Desktop("a".into())),
            ("Cookie: mstshash=alice\r\n", Routing::User("alice".into())),
            ("Cookie: msts=3640205228.15629.0000\r\n", Routing::Other("3640205228.15629.0000".into())),
            ("nonsense\r\n", Routing::Other("nonsense".into())),
        ];
        for (line, routing) in cases {
            let bare = request(line.as_bytes()).unwrap();
            assert_eq!(bare, ConnectionRequest { routing: routing.clone(), protocols: None }, "{line:?}");
            let expected = ConnectionRequest { routing, protocols: Some(Protocols(0x0b)) };
            let with = [line.as_bytes(), negotiation].concat();
            assert_eq!(request(&with).unwrap(), expected, "{line:?}");
            assert_eq!(request(&[with, correlation.clone()].concat()).unwrap(), expected, "{line:?}");
        }
    }

    #[test]
    fn a_request_of_xfreerdp_is_read() {
        #[rustfmt::skip]
        let frame = [
            0x03, 0x00, 0x00, 0x29,                   // TPKT, 41 bytes
            0x24, 0xe0, 0x00, 0x00, 0x00, 0x00, 0x00, // length indicator, CR, destination, source, class 0
            b'C', b'o', b'o', b'k', b'i', b'e', b':', b' ', b'm', b's', b't', b's', b'h', b'a', b's', b'h', b'=',
            b'b', b'o', b'b', b'\r', b'\n',
            0x01, 0x00, 0x08, 0x00, 0x01, 0x00, 0x00, 0x00, // RDP_NEG_REQ, flags 0, 8 bytes, SSL
        ];
        let read = ConnectionRequest::parse(&frame).unwrap();
        assert_eq!(read.routing, Routing::User("bob".into()));
        assert_eq!(read.protocols, Some(Protocols::SSL));
        assert_eq!(ConnectionRequest::encode("bob", Protocols::SSL), frame);
    }

    #[test]
    fn a_confirm_is_read_as_written_and_a_failure_is_an_error() {
        let confirm = ConnectionConfirm::parse(&ConnectionConfirm::encode(Protocols::HYBRID)).unwrap();
        assert_eq!(confirm, ConnectionConfirm { selected: Protocols::HYBRID, extended_client_data: true });
        let refused =
            ConnectionConfirm::parse(&ConnectionConfirm::encode_failure(NegotiationFailure::HybridRequired));
        assert_eq!(refused, Err(RdpError::Refused { what: "security negotiation", code: 5 }));
    }

    #[test]
    fn what_follows_a_token_must_be_a_negotiation_request() {
        assert!(request(b"tsv://x\r\nrubbish").is_err());
    }

    #[test]
    fn a_token_without_a_line_end_is_all_that_there_is() {
        let read = request(b"Cookie: mstshash=bob").unwrap();
        assert_eq!(read, ConnectionRequest { routing: Routing::User("bob".into()), protocols: None });
    }

    #[test]
    fn a_mask_has_a_protocol_when_it_has_all_of_its_bits_and_rdps_own_is_never_asked_for() {
        let mask = Protocols(0x0b);
        assert!(mask.has(Protocols::SSL) && mask.has(Protocols::HYBRID) && mask.has(Protocols::HYBRID_EX));
        assert!(mask.has(Protocols(0x03)));
        assert!(!mask.has(Protocols(0x04)) && !mask.has(Protocols(0x05)));
        assert!(!mask.has(Protocols::RDP) && !Protocols::RDP.has(Protocols::RDP));
    }

    #[test]
    fn a_cookie_holds_what_it_can_of_a_name() {
        let long = "x".repeat(100);
        for (user, cookie) in [("bob", "bob"), ("a b\r\n\u{e9}c", "abc"), (&long, &long[..64])] {
            let read = ConnectionRequest::parse(&ConnectionRequest::encode(user, Protocols::SSL)).unwrap();
            assert_eq!(read.routing, Routing::User(cookie.into()));
            assert_eq!(read.protocols, Some(Protocols::SSL));
        }
    }

    #[test]
    fn a_frame_of_another_kind_or_length_is_refused() {
        let (request, confirm) =
            (ConnectionRequest::encode("bob", Protocols::SSL), ConnectionConfirm::encode(Protocols::SSL));
        assert_eq!(ConnectionRequest::parse(&confirm), Err(RdpError::Unexpected(REQUEST)));
        assert_eq!(ConnectionConfirm::parse(&request), Err(RdpError::Unexpected(CONFIRM)));
        for at in [0, 3] {
            let (mut request, mut confirm) = (request.clone(), confirm.clone());
            (request[at], confirm[at]) = (request[at] - 1, confirm[at] - 1);
            assert!(matches!(ConnectionRequest::parse(&request), Err(RdpError::Malformed { .. })), "{at}");
            assert!(matches!(ConnectionConfirm::parse(&confirm), Err(RdpError::Malformed { .. })), "{at}");
        }
        // the low half of the code is a credit, which nobody uses
        let (mut request, mut confirm) = (request, confirm);
        (request[5], confirm[5]) = (request[5] | 0x0f, confirm[5] | 0x0f);
        assert!(ConnectionRequest::parse(&request).is_ok() && ConnectionConfirm::parse(&confirm).is_ok());
    }

    #[test]
    #[rustfmt::skip]
    fn a_confirm_is_laid_out_as_specified() {
        let mut confirm = [
            0x03, 0x00, 0x00, 0x13,                   // TPKT, 19 bytes
            0x0e, 0xd0, 0x00, 0x00, 0x00, 0x00, 0x00, // length indicator, CC, destination, source, class 0
            0x02, 0x03, 0x08, 0x00, 0x08, 0x00, 0x00, 0x00, // RDP_NEG_RSP, flags, 8 bytes, HYBRID_EX
        ];
        assert_eq!(ConnectionConfirm::encode(Protocols::HYBRID_EX), confirm);
        confirm[12] = 0x02; // without EXTENDED_CLIENT_DATA_SUPPORTED
        let read = ConnectionConfirm::parse(&confirm).unwrap();
        assert_eq!(read, ConnectionConfirm { selected: Protocols::HYBRID_EX, extended_client_data: false });
        confirm[11] = 0x04;
        assert!(matches!(ConnectionConfirm::parse(&confirm), Err(RdpError::Malformed { .. })), "another kind");
    }
}
