//! MCS: connecting, attaching a user, joining channels, sending data (T.125; MS-RDPBCGR 2.2.1.3 to 2.2.1.9).

use crate::{
    ChannelIds, RdpError,
    cursor::{Cursor, put_ber, put_per_length},
    error::malformed,
    gcc::{ClientBlocks, put_user_data},
    x224::{Protocols, tpkt},
};

/// First byte of a Send Data Request.
pub const SEND_DATA_REQUEST: u8 = 0x64;
/// First byte of a Send Data Indication.
pub const SEND_DATA_INDICATION: u8 = 0x68;

const ERECT_DOMAIN_REQUEST: u8 = 0x04;
const ATTACH_USER_REQUEST: u8 = 0x28;
const ATTACH_USER_CONFIRM: u8 = 0x2e; // with the user id present
const CHANNEL_JOIN_REQUEST: u8 = 0x38;
const CHANNEL_JOIN_CONFIRM: u8 = 0x3e; // with the channel id present

/// Ids on the wire are counted from here (T.125: `UserId ::= DynamicChannelId`, 1001 and up).
const BASE: u16 = 1001;

/// A client's Connect Initial (MS-RDPBCGR 2.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectInitial {
    /// The client's settings.
    pub blocks: ClientBlocks,
    /// The elements before the user data (selectors, domain parameters), as they came.
    prefix: Vec<u8>,
}

impl ConnectInitial {
    /// Reads a whole frame.
    ///
    /// # Errors
    /// When it is not a Connect Initial.
    pub fn parse(frame: &[u8]) -> Result<Self, RdpError> {
        const WHAT: &str = "connect initial";
        let body = Cursor::new(WHAT, data(WHAT, frame)?).ber(&[0x7f, 0x65])?;
        let mut c = Cursor::new(WHAT, body);
        c.ber(&[0x04])?; // calling domain selector
        c.ber(&[0x04])?; // called domain selector
        c.ber(&[0x01])?; // upward flag
        for _target_minimum_maximum in 0..3 {
            c.ber(&[0x30])?;
        }
        let prefix = body[..body.len() - c.rest().len()].to_vec();
        Ok(Self { blocks: ClientBlocks::parse(c.ber(&[0x04])?)?, prefix })
    }

    /// The frame for the desktop: see [`ClientBlocks::for_desktop`].
    ///
    /// # Errors
    /// When the result would be over 16 KiB.
    pub fn for_desktop(&self, extended: bool, selected: Protocols) -> Result<Vec<u8>, RdpError> {
        let mut body = self.prefix.clone();
        put_user_data(&mut body, &self.blocks.for_desktop(extended, selected)?)?;
        let mut pdu = Vec::new();
        put_ber(&mut pdu, &[0x7f, 0x65], &body)?;
        frame(&pdu)
    }
}

/// Writes a Connect Response (MS-RDPBCGR 2.2.1.4) with this user data.
///
/// # Errors
/// When the user data is over 16 KiB.
pub fn connect_response(user_data: &[u8]) -> Result<Vec<u8>, RdpError> {
    #[rustfmt::skip]
    let mut body = vec![
        0x0a, 0x01, 0x00, // result: successful
        0x02, 0x01, 0x00, // called connect id
        0x30, 0x1a,       // domain parameters
        0x02, 0x01, 0x22,             // 34 channels: user, I/O, 31 static, one to spare
        0x02, 0x01, 0x03,             // users
        0x02, 0x01, 0x00,             // tokens
        0x02, 0x01, 0x01,             // priorities
        0x02, 0x01, 0x00,             // throughput
        0x02, 0x01, 0x01,             // height
        0x02, 0x03, 0x00, 0xff, 0xf8, // PDU size
        0x02, 0x01, 0x02,             // protocol version
    ];
    put_user_data(&mut body, user_data)?;
    let mut pdu = Vec::new();
    put_ber(&mut pdu, &[0x7f, 0x66], &body)?;
    frame(&pdu)
}

/// Reads a Connect Response: its user data.
///
/// # Errors
/// When it is not one, or refuses.
pub fn parse_connect_response(bytes: &[u8]) -> Result<&[u8], RdpError> {
    const WHAT: &str = "connect response";
    let mut c = Cursor::new(WHAT, Cursor::new(WHAT, data(WHAT, bytes)?).ber(&[0x7f, 0x66])?);
    match c.ber(&[0x0a])? {
        [0] => {}
        [code] => return Err(RdpError::Refused { what: "mcs connection", code: (*code).into() }),
        _ => return Err(malformed(WHAT, "its result is one byte")),
    }
    c.ber(&[0x02])?;
    c.ber(&[0x30])?;
    c.ber(&[0x04])
}

/// Writes Erect Domain Request (2.2.1.5) and Attach User Request (2.2.1.6), which need no answer in between.
pub fn erect_and_attach() -> Vec<u8> {
    let mut frames = small(&[ERECT_DOMAIN_REQUEST, 1, 0, 1, 0]); // height 0, interval 0
    frames.extend_from_slice(&small(&[ATTACH_USER_REQUEST]));
    frames
}

/// Whether the frame is an Erect Domain Request.
///
/// # Errors
/// When the frame is no MCS frame.
pub fn is_erect_domain(frame: &[u8]) -> Result<bool, RdpError> {
    Ok(data("erect domain request", frame)?.first() == Some(&ERECT_DOMAIN_REQUEST))
}

/// Whether the frame is an Attach User Request.
///
/// # Errors
/// When the frame is no MCS frame.
pub fn is_attach_user(frame: &[u8]) -> Result<bool, RdpError> {
    Ok(data("attach user request", frame)?.first() == Some(&ATTACH_USER_REQUEST))
}

/// Writes an Attach User Confirm (2.2.1.7).
pub fn attach_user_confirm(user: u16) -> Vec<u8> {
    let [high, low] = user.wrapping_sub(BASE).to_be_bytes();
    small(&[ATTACH_USER_CONFIRM, 0, high, low])
}

/// Reads an Attach User Confirm: the user id.
///
/// # Errors
/// When it is not one, or refuses.
pub fn parse_attach_user_confirm(frame: &[u8]) -> Result<u16, RdpError> {
    const WHAT: &str = "attach user confirm";
    let mut c = Cursor::new(WHAT, data(WHAT, frame)?);
    confirmed(&mut c, WHAT, ATTACH_USER_CONFIRM)?;
    c.u16_be()?.checked_add(BASE).ok_or(malformed(WHAT, "a user id is under 65536"))
}

/// Writes a Channel Join Request (2.2.1.8).
pub fn channel_join_request(user: u16, channel: u16) -> Vec<u8> {
    let ([u0, u1], [c0, c1]) = (user.wrapping_sub(BASE).to_be_bytes(), channel.to_be_bytes());
    small(&[CHANNEL_JOIN_REQUEST, u0, u1, c0, c1])
}

/// Reads a Channel Join Request: the channel; `None` when the frame is something else.
///
/// # Errors
/// When the frame is no MCS frame or is cut short.
pub fn parse_channel_join(frame: &[u8]) -> Result<Option<u16>, RdpError> {
    const WHAT: &str = "channel join request";
    let mut c = Cursor::new(WHAT, data(WHAT, frame)?);
    if c.u8()? != CHANNEL_JOIN_REQUEST {
        return Ok(None);
    }
    c.u16_be()?;
    c.u16_be().map(Some)
}

/// Writes a Channel Join Confirm (2.2.1.9).
pub fn channel_join_confirm(user: u16, channel: u16) -> Vec<u8> {
    let ([u0, u1], [c0, c1]) = (user.wrapping_sub(BASE).to_be_bytes(), channel.to_be_bytes());
    small(&[CHANNEL_JOIN_CONFIRM, 0, u0, u1, c0, c1, c0, c1])
}

/// Reads a Channel Join Confirm: the channel joined.
///
/// # Errors
/// When it is not one, or refuses.
pub fn parse_channel_join_confirm(frame: &[u8]) -> Result<u16, RdpError> {
    const WHAT: &str = "channel join confirm";
    let mut c = Cursor::new(WHAT, data(WHAT, frame)?);
    confirmed(&mut c, WHAT, CHANNEL_JOIN_CONFIRM)?;
    c.u16_be()?; // initiator
    c.u16_be()?; // requested
    c.u16_be()
}

/// Writes data from a client to a channel.
///
/// # Errors
/// When `content` is over 16 KiB.
pub fn send_data_request(user: u16, channel: u16, content: &[u8]) -> Result<Vec<u8>, RdpError> {
    send_data(SEND_DATA_REQUEST, user, channel, content)
}

/// Writes data from the server to the client's I/O channel.
///
/// # Errors
/// When `content` is over 16 KiB.
pub fn send_data_indication(content: &[u8]) -> Result<Vec<u8>, RdpError> {
    send_data(SEND_DATA_INDICATION, ChannelIds::SERVER, ChannelIds::IO, content)
}

/// Reads data sent by a client: channel and content.
///
/// # Errors
/// When the frame is something else.
pub fn parse_send_data_request(frame: &[u8]) -> Result<(u16, &[u8]), RdpError> {
    const WHAT: &str = "send data request";
    let (channel, length, rest) = parse_send_data(WHAT, SEND_DATA_REQUEST, data(WHAT, frame)?)?;
    Ok((channel, rest.get(..length).ok_or(RdpError::Truncated(WHAT))?))
}

/// Reads the MCS part of Send Data: the channel, how long the content is, and all that is there from where it begins.
/// `mcs` may be the head of a longer frame.
pub(crate) fn parse_send_data<'a>(
    what: &'static str,
    kind: u8,
    mcs: &'a [u8],
) -> Result<(u16, usize, &'a [u8]), RdpError> {
    let mut c = Cursor::new(what, mcs);
    if c.u8()? != kind {
        return Err(RdpError::Unexpected(what));
    }
    c.u16_be()?; // initiator
    let channel = c.u16_be()?;
    c.u8()?; // priority, segmentation
    let length = c.per_length()?;
    Ok((channel, length, c.rest()))
}

/// The MCS PDU in a frame: TPKT, then an X.224 data TPDU (MS-RDPBCGR 2.2.1.3: `02 f0 80`).
pub(crate) fn data<'a>(what: &'static str, frame: &'a [u8]) -> Result<&'a [u8], RdpError> {
    let mut c = Cursor::new(what, tpkt(what, frame)?);
    c.expect(&[0x02, 0xf0, 0x80], "it travels in an x.224 data tpdu")?;
    Ok(c.rest())
}

/// Puts an MCS PDU into its frame.
///
/// # Errors
/// When it is too long for one.
pub(crate) fn frame(pdu: &[u8]) -> Result<Vec<u8>, RdpError> {
    let length = u16::try_from(pdu.len() + 7).map_err(|_| malformed("mcs pdu", "it fits into a tpkt"))?;
    let [high, low] = length.to_be_bytes();
    Ok([&[3, 0, high, low, 0x02, 0xf0, 0x80], pdu].concat())
}

/// As [`frame`], for PDUs of a few bytes.
pub(crate) fn small(pdu: &[u8]) -> Vec<u8> {
    [&[3, 0, 0, pdu.len() as u8 + 7, 0x02, 0xf0, 0x80], pdu].concat()
}

fn send_data(kind: u8, user: u16, channel: u16, content: &[u8]) -> Result<Vec<u8>, RdpError> {
    let mut pdu = vec![kind];
    pdu.extend_from_slice(&user.wrapping_sub(BASE).to_be_bytes());
    pdu.extend_from_slice(&channel.to_be_bytes());
    pdu.push(0x70); // high priority, begin and end of segment
    put_per_length(&mut pdu, content.len())?;
    pdu.extend_from_slice(content);
    frame(&pdu)
}

fn confirmed(c: &mut Cursor<'_>, what: &'static str, kind: u8) -> Result<(), RdpError> {
    // the low two bits of the kind say which optional fields follow
    if c.u8()? & 0xfc != kind & 0xfc {
        return Err(RdpError::Unexpected(what));
    }
    match c.u8()? {
        0 => Ok(()),
        code => Err(RdpError::Refused { what, code: code.into() }),
    }
}
