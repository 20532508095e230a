//! What comes before TLS: a preconnection blob, and the negotiation, from clients and from desktops.

use crate::wire;
use openrdms_rdp::RdpError;
use openrdms_rdp::preconnection::{MAX_BLOB, PreconnectionBlob, blob_len};
use openrdms_rdp::x224::{ConnectionConfirm, ConnectionRequest, Protocols, Routing};

/// TPKT, length indicator, code, destination, source, class.
const HEAD: usize = 11;

/// What was read is what stands there, and written it reads back to the same; nothing that we write is longer than its
/// length indicator can say.
pub fn negotiation(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first_chunk() else { return false };
    let (blob, rest) = match blob_len(*first) {
        Ok(Some(length)) => {
            assert!((16..=MAX_BLOB).contains(&length));
            let Some((blob, rest)) = bytes.split_at_checked(length) else { return false };
            (PreconnectionBlob::parse(blob).inspect(|read| is_blob(blob, read)).is_ok(), rest)
        }
        Ok(None) => (false, bytes),
        Err(_) => return false,
    };
    let Some((_, content)) = rest.split_first_chunk::<4>() else { return blob };
    let frame = wire::tpkt(content);
    if let Ok(request) = ConnectionRequest::parse(&frame) {
        assert!(ConnectionConfirm::parse(&frame).is_err(), "it is a request");
        is_request(&frame, &request);
        return true;
    }
    match ConnectionConfirm::parse(&frame) {
        Ok(confirm) => is_confirm(&frame, confirm),
        Err(RdpError::Refused { code, .. }) => assert_eq!(frame[HEAD..][..8], part(3, frame[12], code)),
        Err(_) => return blob,
    }
    true
}

fn part(kind: u8, flags: u8, value: u32) -> [u8; 8] {
    let [a, b, c, d] = value.to_le_bytes();
    [kind, flags, 8, 0, a, b, c, d]
}

fn is_blob(bytes: &[u8], read: &PreconnectionBlob) {
    let mut content = [&[0; 4], &[if read.payload.is_some() { 2 } else { 1 }, 0, 0, 0][..]].concat();
    content.extend_from_slice(&read.id.to_le_bytes());
    if let Some(payload) = &read.payload {
        assert!(!payload.ends_with('\0') && payload.len() <= 2 * bytes.len());
        let text: Vec<u8> = payload.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        content.extend_from_slice(&(text.len() as u16 / 2).to_le_bytes());
        content.extend_from_slice(&text);
    }
    let size = content.len() as u32 + 4;
    let written = [&size.to_le_bytes()[..], &content].concat();
    assert_eq!(PreconnectionBlob::parse(&written).as_ref(), Ok(read));
}

fn is_request(frame: &[u8], request: &ConnectionRequest) {
    let negotiation = |protocols: Option<Protocols>| protocols.map(|p| part(1, 0, p.0));
    let variable = &frame[HEAD..];
    let line = line(&request.routing);
    // as it stands there
    let behind = match &line {
        None => variable,
        Some(line) => {
            let end = variable.windows(2).position(|w| w == b"\r\n");
            let there = String::from_utf8_lossy(&variable[..end.unwrap_or(variable.len())]);
            let token = there.strip_prefix("Cookie: msts=").unwrap_or(&there);
            assert!(there == *line || token == line, "{there:?} was read as {request:?}");
            &variable[end.map_or(variable.len(), |end| end + 2)..]
        }
    };
    match negotiation(request.protocols) {
        None => assert!(behind.is_empty(), "{behind:02x?} was passed over"),
        Some([kind, _, rest @ ..]) => assert!(behind[0] == kind && behind[2..].starts_with(&rest)),
    }
    // and written anew
    let cookie = match request.routing {
        Routing::None | Routing::User(_) => "",
        Routing::Collection(_) | Routing::Desktop(_) | Routing::Other(_) => "Cookie: msts=",
    };
    let line = line.map(|line| format!("{cookie}{line}\r\n")).unwrap_or_default();
    let mut written = [&[6, 0xe0, 0, 0, 0, 0, 0][..], line.as_bytes()].concat();
    written.extend(negotiation(request.protocols).into_iter().flatten());
    assert_eq!(ConnectionRequest::parse(&wire::tpkt(&written)).as_ref(), Ok(request), "{line:?}");
    // for a desktop: whatever the user is called
    let protocols = request.protocols.unwrap_or_default();
    let ours = ConnectionRequest::encode(&line, protocols);
    is_tpdu(&ours);
    let user: String = line.chars().filter(char::is_ascii_graphic).take(64).collect();
    let expected = ConnectionRequest { routing: Routing::User(user), protocols: Some(protocols) };
    assert_eq!(ConnectionRequest::parse(&ours), Ok(expected));
}

/// The line without `Cookie: msts=`.
fn line(routing: &Routing) -> Option<String> {
    match routing {
        Routing::None => None,
        Routing::Collection(alias) => Some(format!("tsv://MS Terminal Services Plugin.1.{alias}")),
        Routing::Desktop(alias) => Some(format!("tsv://VMResource.1.{alias}")),
        Routing::User(user) => Some(format!("Cookie: mstshash={user}")),
        Routing::Other(token) => Some(token.clone()),
    }
}

fn is_confirm(frame: &[u8], confirm: ConnectionConfirm) {
    let ConnectionConfirm { selected, extended_client_data } = confirm;
    assert_eq!(frame[HEAD..][..8], part(2, frame[12], selected.0));
    assert_eq!(frame[12] & 1 == 1, extended_client_data);
    let written = ConnectionConfirm::encode(selected);
    is_tpdu(&written);
    let expected = ConnectionConfirm { selected, extended_client_data: true };
    assert_eq!(ConnectionConfirm::parse(&written), Ok(expected));
}

#[track_caller]
fn is_tpdu(frame: &[u8]) {
    wire::is_frame(frame);
    assert_eq!(usize::from(frame[4]), frame.len() - 5, "the length indicator of {frame:02x?}");
}
