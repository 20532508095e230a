//! The GCC conference blocks that ride in the MCS Connect PDUs: the client's settings and the server's
//! (MS-RDPBCGR 2.2.1.3, 2.2.1.4).
//!
//! The client's blocks are kept as they came, for the desktop leg: there they are replayed with the few changes
//! that a broker in the middle must make ([`ClientBlocks::for_desktop`]). The server's blocks towards the client
//! are our own, because the client is answered before a desktop has been chosen.

use crate::{
    ChannelIds, RdpError,
    cursor::{Cursor, put_ber, put_per_length},
    error::malformed,
    x224::Protocols,
};

/// `RNS_UD_CS_SUPPORT_ERRINFO_PDU`: the client understands Set Error Info.
pub const EARLY_ERROR_INFO: u16 = 0x0001;
/// Auto-detection (0x0080) and heartbeat (0x0400) need a message channel, which is not offered; channel joins
/// are never skipped (0x0800).
const EARLY_CLEARED: u16 = 0x0c80;

/// Static channels in a CS_NET block: at most 31 (2.2.1.3.4).
const MAX_CHANNELS: u32 = 31;

const CS_CORE: u16 = 0xc001;
const CS_NET: u16 = 0xc003;
const CS_CLUSTER: u16 = 0xc004;
const CS_MONITOR: u16 = 0xc005;
const CS_MCS_MSGCHANNEL: u16 = 0xc006;
const CS_MONITOR_EX: u16 = 0xc008;
const CS_MULTITRANSPORT: u16 = 0xc00a;
const SC_CORE: u16 = 0x0c01;
const SC_SECURITY: u16 = 0x0c02;
const SC_NET: u16 = 0x0c03;

/// RDP 5.0 and later; what each side can do is said in flags and capabilities, not here.
const SERVER_VERSION: u32 = 0x0008_0004;

// Offsets within CS_CORE, its four byte header included (2.2.1.3.2).
const CORE_EARLY_FLAGS: usize = 144;
const CORE_SELECTED_PROTOCOL: usize = 212;

/// What the client says of itself in CS_CORE (2.2.1.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCore {
    /// Desktop width in pixels.
    pub width: u16,
    /// Desktop height in pixels.
    pub height: u16,
    /// Keyboard layout (a Windows input locale).
    pub keyboard_layout: u32,
    /// Build number of the client.
    pub build: u32,
    /// Name of the client computer, at most 15 characters; control characters are replaced.
    pub name: String,
    /// `earlyCapabilityFlags`; zero when absent.
    pub early_flags: u16,
    /// `serverSelectedProtocol`; zero (RDP's own encryption) when absent, as the specification has it.
    pub selected_protocol: u32,
}

/// The client's blocks, as they came and as far as they are understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientBlocks {
    /// CS_CORE.
    pub core: ClientCore,
    /// Names of the static virtual channels in the order of their ids, zero-padded.
    pub channels: Vec<[u8; 8]>,
    raw: Vec<u8>,
}

impl ClientBlocks {
    /// Reads the user data of an MCS Connect Initial.
    ///
    /// # Errors
    /// When it is malformed or has no CS_CORE block.
    pub fn parse(user_data: &[u8]) -> Result<Self, RdpError> {
        let raw = blocks_behind(b"Duca", "client conference data", user_data)?;
        let (mut core, mut channels) = (None, Vec::new());
        for block in Blocks::new("client blocks", raw) {
            let (kind, block) = block?;
            match kind {
                CS_CORE => core = Some(ClientCore::parse(block)?),
                CS_NET => channels = parse_channels(block)?,
                _ => {}
            }
        }
        let core = core.ok_or(malformed("client conference data", "a core block is there"))?;
        Ok(Self { core, channels, raw: raw.to_vec() })
    }

    /// The user data for the Connect Initial towards the desktop: the client's own blocks, except that
    ///
    /// - the selected protocol is the desktop leg's;
    /// - channel joins are not skipped, and what needs a message channel is not announced;
    /// - redirection is not supported: the desktop must not send the client elsewhere, past the broker;
    /// - message channel and multitransport blocks are left out: the client was not offered a message channel
    ///   (which keeps all channel ids equal to those of a desktop that has none, as xrdp), and UDP would go past
    ///   the broker;
    /// - monitor blocks are left out if the desktop did not say that it understands them (`extended`).
    ///
    /// # Errors
    /// When the result would be over 16 KiB.
    pub fn for_desktop(&self, extended: bool, selected: Protocols) -> Result<Vec<u8>, RdpError> {
        let mut blocks = Vec::with_capacity(self.raw.len());
        for block in Blocks::new("client blocks", &self.raw) {
            let (kind, block) = block?;
            let at = blocks.len();
            match kind {
                CS_MCS_MSGCHANNEL | CS_MULTITRANSPORT => continue,
                CS_MONITOR | CS_MONITOR_EX if !extended => continue,
                _ => blocks.extend_from_slice(block),
            }
            let copy = &mut blocks[at..];
            match kind {
                CS_CORE => {
                    if let Some(flags) = copy.get_mut(CORE_EARLY_FLAGS..).and_then(|b| b.first_chunk_mut()) {
                        *flags = (u16::from_le_bytes(*flags) & !EARLY_CLEARED).to_le_bytes();
                    }
                    if let Some(field) =
                        copy.get_mut(CORE_SELECTED_PROTOCOL..).and_then(|b| b.first_chunk_mut())
                    {
                        *field = selected.0.to_le_bytes();
                    }
                }
                // flags: REDIRECTION_SUPPORTED, REDIRECTED_SESSIONID_FIELD_VALID; then the session id (2.2.1.3.5)
                CS_CLUSTER => {
                    copy.iter_mut().skip(4).take(1).for_each(|flags| *flags &= !0x03);
                    copy.iter_mut().skip(8).take(4).for_each(|id| *id = 0);
                }
                _ => {}
            }
        }
        // ConnectGCCPDU: T.124's object id 0.0.20.124.0.1, then ConferenceCreateRequest (2.2.1.3.1)
        const CREATE: &[u8] = b"\x00\x08\x00\x10\x00\x01\xc0\x00Duca";
        conference(CREATE, &blocks)
    }
}

impl ClientCore {
    fn parse(block: &[u8]) -> Result<Self, RdpError> {
        let mut c = Cursor::new("core block", block);
        c.take(8)?; // header, version
        let (width, height) = (c.u16_le()?, c.u16_le()?);
        c.take(4)?; // colour depth, secure attention sequence
        let (keyboard_layout, build) = (c.u32_le()?, c.u32_le()?);
        let units = c.take(32)?.as_chunks::<2>().0.iter().map(|u| u16::from_le_bytes(*u));
        let name = char::decode_utf16(units.take_while(|u| *u != 0).take(15))
            .map(|c| c.ok().filter(|c| !c.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        let early = block.get(CORE_EARLY_FLAGS..).and_then(|b| b.first_chunk());
        let selected = block.get(CORE_SELECTED_PROTOCOL..).and_then(|b| b.first_chunk());
        Ok(Self {
            width,
            height,
            keyboard_layout,
            build,
            name,
            early_flags: early.map_or(0, |b| u16::from_le_bytes(*b)),
            selected_protocol: selected.map_or(0, |b| u32::from_le_bytes(*b)),
        })
    }
}

/// The user data of our Connect Response: SC_CORE, SC_SECURITY and SC_NET (2.2.1.4.2 to 2.2.1.4.4), and no
/// message channel.
///
/// # Errors
/// Never for as many channels as [`ClientBlocks`] holds.
pub fn server_user_data(requested: Protocols, ids: &ChannelIds) -> Result<Vec<u8>, RdpError> {
    let mut core = SERVER_VERSION.to_le_bytes().to_vec();
    // clients may compare this with what they had asked for
    core.extend_from_slice(&requested.0.to_le_bytes());
    core.extend_from_slice(&0u32.to_le_bytes()); // early capability flags: none
    let mut net = ids.io.to_le_bytes().to_vec();
    let count = u16::try_from(ids.statics.len()).map_err(|_| malformed("network block", "31 channels"))?;
    net.extend_from_slice(&count.to_le_bytes());
    ids.statics.iter().for_each(|id| net.extend_from_slice(&id.to_le_bytes()));
    if ids.statics.len() % 2 == 1 {
        net.extend_from_slice(&[0, 0]);
    }
    let mut blocks = Vec::new();
    put_block(&mut blocks, SC_CORE, &core);
    put_block(&mut blocks, SC_SECURITY, &[0; 8]); // no method, no level: TLS protects
    put_block(&mut blocks, SC_NET, &net);
    // ConnectGCCPDU: ConferenceCreateResponse, node 31219, tag 1, success (2.2.1.4.1)
    const CREATED: &[u8] = b"\x14\x76\x0a\x01\x01\x00\x01\xc0\x00McDn";
    conference(CREATED, &blocks)
}

/// Reads the desktop's blocks: the ids of its I/O channel and of the static channels.
///
/// # Errors
/// When they are malformed, ask for RDP's own encryption, or do not give `channels` channels.
pub fn parse_server(user_data: &[u8], channels: usize) -> Result<(u16, Vec<u16>), RdpError> {
    let mut net = None;
    for block in Blocks::new("server blocks", blocks_behind(b"McDn", "server conference data", user_data)?) {
        let (kind, block) = block?;
        let mut c = Cursor::new("server block", block);
        c.take(4)?;
        match kind {
            SC_SECURITY if c.u32_le()? != 0 => {
                return Err(malformed("server security block", "no encryption method within tls"));
            }
            SC_NET => {
                let (io, count) = (c.u16_le()?, c.u16_le()?);
                let ids = (0..count).map(|_| c.u16_le()).collect::<Result<Vec<_>, _>>()?;
                net = Some((io, ids));
            }
            _ => {}
        }
    }
    net.filter(|(_, ids)| ids.len() == channels)
        .ok_or(malformed("server network block", "every channel asked for gets an id"))
}

fn parse_channels(block: &[u8]) -> Result<Vec<[u8; 8]>, RdpError> {
    let mut c = Cursor::new("network block", block);
    c.take(4)?;
    let count = c.u32_le()?;
    if count > MAX_CHANNELS {
        return Err(malformed("network block", "at most 31 channels"));
    }
    let mut channels = Vec::new();
    for _ in 0..count {
        channels.push(c.array()?);
        c.take(4)?; // options
    }
    Ok(channels)
}

/// The blocks stand behind a four letter key ("Duca" from clients, "McDn" from servers) and a PER length; what is
/// before the key never varies in a way that matters.
fn blocks_behind<'a>(key: &[u8; 4], what: &'static str, data: &'a [u8]) -> Result<&'a [u8], RdpError> {
    let at = data.windows(4).position(|w| w == key).ok_or(malformed(what, "its h.221 key is there"))?;
    let mut c = Cursor::new(what, &data[at + 4..]);
    let length = c.per_length()?;
    c.take(length)
}

fn conference(before: &[u8], blocks: &[u8]) -> Result<Vec<u8>, RdpError> {
    let mut inner = before.to_vec();
    put_per_length(&mut inner, blocks.len())?;
    inner.extend_from_slice(blocks);
    let mut out = b"\x00\x05\x00\x14\x7c\x00\x01".to_vec();
    put_per_length(&mut out, inner.len())?;
    out.extend_from_slice(&inner);
    Ok(out)
}

/// Appends one of our own blocks, which are under 100 bytes.
fn put_block(out: &mut Vec<u8>, kind: u16, content: &[u8]) {
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(content.len() as u16 + 4).to_le_bytes());
    out.extend_from_slice(content);
}

/// Walks the blocks: kind, and the whole block with its header (2.2.1.3.1: the length counts the header).
struct Blocks<'a>(Cursor<'a>);

impl<'a> Blocks<'a> {
    fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self(Cursor::new(what, bytes))
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<(u16, &'a [u8]), RdpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut header = self.0;
        let block = header.u16_le().and_then(|kind| match header.u16_le()? {
            0..4 => Err(malformed("settings block", "its length counts its header")),
            length => Ok((kind, self.0.take(length.into())?)),
        });
        if block.is_err() {
            self.0 = Cursor::new("", &[]);
        }
        Some(block)
    }
}

/// Writes a BER octet string around user data.
pub(crate) fn put_user_data(out: &mut Vec<u8>, user_data: &[u8]) -> Result<(), RdpError> {
    put_ber(out, &[0x04], user_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Client user data of these blocks.
    fn client(blocks: &[&[u8]]) -> Vec<u8> {
        let mut data = b"Duca".to_vec();
        put_per_length(&mut data, blocks.concat().len()).unwrap();
        data.extend_from_slice(&blocks.concat());
        data
    }

    /// A core block of this length, with this name.
    fn core(length: u16, name: &str) -> Vec<u8> {
        let mut block = [CS_CORE.to_le_bytes(), length.to_le_bytes()].concat();
        block.resize(24, 0);
        block.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
        block.resize(usize::from(length), 0xff);
        block
    }

    #[test]
    fn what_an_old_client_does_not_say_is_zero() {
        let read = |length| ClientBlocks::parse(&client(&[&core(length, "PC\0")])).map(|blocks| blocks.core);
        let said = |early_flags, selected_protocol| {
            let core = read(if selected_protocol > 0 { 216 } else { 146 }).unwrap();
            assert_eq!((core.early_flags, core.selected_protocol), (early_flags, selected_protocol));
        };
        said(0xffff, 0xffff_ffff);
        said(0xffff, 0);
        assert_eq!(read(145).unwrap().early_flags, 0);
        assert_eq!(read(215).unwrap().selected_protocol, 0);
        assert_eq!(read(56).unwrap().name, "PC");
        assert_eq!(read(55), Err(RdpError::Truncated("core block")));
    }

    #[test]
    fn a_clients_name_is_safe_to_show_and_at_most_15_characters() {
        let name = |name: &str| ClientBlocks::parse(&client(&[&core(56, name)])).unwrap().core.name;
        assert_eq!(name("0123456789abcdef"), "0123456789abcde");
        assert_eq!(name("a\x1b[2J\n\u{e9}\0junk"), "a\u{fffd}[2J\u{fffd}\u{e9}");
        // the second half of a pair is the 16th unit
        assert_eq!(name("0123456789abcd\u{1f600}"), "0123456789abcd\u{fffd}");
    }

    #[test]
    fn a_cluster_block_loses_its_redirection_however_long_it_is() {
        let core = core(56, "\0");
        let came = [0x04, 0xc0, 0, 0, 0x1f, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        let goes = [0x04, 0xc0, 0, 0, 0x1c, 1, 2, 3, 0, 0, 0, 0, 8, 9];
        for length in 4..=came.len() {
            let of_length = |mut block: [u8; 14]| {
                block[2] = length as u8;
                block[..length].to_vec()
            };
            let blocks = ClientBlocks::parse(&client(&[&core, &of_length(came)])).unwrap();
            let replayed = blocks.for_desktop(true, Protocols::SSL).unwrap();
            assert!(replayed.ends_with(&of_length(goes)), "{length}");
        }
    }

    #[test]
    fn a_length_that_does_not_count_its_own_header_is_refused() {
        for length in 0..4 {
            let short = [0x05, 0xc0, length, 0];
            let read = ClientBlocks::parse(&client(&[&core(56, "\0"), &short]));
            assert_eq!(read, Err(malformed("settings block", "its length counts its header")));
        }
    }

    #[test]
    fn a_block_that_goes_beyond_the_end_is_refused() {
        let beyond = [0x05, 0xc0, 5, 0];
        let read = ClientBlocks::parse(&client(&[&core(56, "\0"), &beyond]));
        assert_eq!(read, Err(RdpError::Truncated("client blocks")));
    }

    #[test]
    fn a_client_must_have_a_core_block() {
        assert!(ClientBlocks::parse(&client(&[])).is_err());
        assert!(ClientBlocks::parse(&client(&[&[0x05, 0xc0, 4, 0]])).is_err());
    }

    #[test]
    fn the_channels_of_a_server_fill_whole_words() {
        for channels in 0..=31 {
            let ids = ChannelIds::ours(channels);
            let user_data = server_user_data(Protocols::SSL, &ids).unwrap();
            let blocks = blocks_behind(b"McDn", "test", &user_data).unwrap();
            let blocks: Vec<_> = Blocks::new("test", blocks).map(Result::unwrap).collect();
            let lengths: Vec<_> = blocks.iter().map(|(kind, block)| (*kind, block.len())).collect();
            let net = 8 + 2 * channels.next_multiple_of(2);
            assert_eq!(lengths, [(SC_CORE, 16), (SC_SECURITY, 12), (SC_NET, net)]);
            assert_eq!(parse_server(&user_data, channels), Ok((ids.io, ids.statics)));
        }
    }
}
