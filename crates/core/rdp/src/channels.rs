//! Channel ids on the two legs, and how frames are moved between them.

use crate::mcs::{SEND_DATA_INDICATION, SEND_DATA_REQUEST};

/// The channel ids that a server has given out (T.125: dynamic ids begin at 1001).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelIds {
    /// The I/O channel.
    pub io: u16,
    /// The client's user channel.
    pub user: u16,
    /// The static virtual channels, in the order in which the client named them.
    pub statics: Vec<u16>,
}

impl ChannelIds {
    /// The I/O channel that every known server uses.
    pub const IO: u16 = 1003;
    /// The server's own user id.
    pub const SERVER: u16 = 1002;

    /// The ids we give a client: 1003, then the static channels, then the user channel. Without a message
    /// channel these are also xrdp's.
    pub fn ours(channels: usize) -> Self {
        // at most 31 channels: see `ClientBlocks`
        let user = Self::IO + 1 + channels as u16;
        Self { io: Self::IO, user, statics: (Self::IO + 1..user).collect() }
    }

    /// All of them, in the order in which they are joined.
    pub fn all(&self) -> impl Iterator<Item = u16> + '_ {
        [self.user, self.io].into_iter().chain(self.statics.iter().copied())
    }
}

/// Rewrites the ids in the header of Send Data frames where client and desktop have different ones.
///
/// Only the header is rewritten. A few PDUs repeat a user id inside (Synchronize, Control granted); clients and
/// servers ignore these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelMap {
    /// (client's id, desktop's id), only those that differ.
    pairs: Vec<(u16, u16)>,
}

impl ChannelMap {
    /// The map between two sets of ids; `None` when they are the same and nothing is to be rewritten.
    pub fn new(client: &ChannelIds, desktop: &ChannelIds) -> Option<Self> {
        let pairs: Vec<_> = client.all().zip(desktop.all()).filter(|(c, d)| c != d).collect();
        (!pairs.is_empty()).then_some(Self { pairs })
    }

    /// Rewrites the head of a frame from the client for the desktop.
    pub fn to_desktop(&self, head: &mut [u8]) {
        self.rewrite(head, SEND_DATA_REQUEST, |pairs, id| pairs.iter().find(|p| p.0 == id).map(|p| p.1));
    }

    /// What the client knows a channel of the desktop's by.
    pub fn client_id(&self, desktop_id: u16) -> u16 {
        client_id(&self.pairs, desktop_id).unwrap_or(desktop_id)
    }

    /// Rewrites the head of a frame from the desktop for the client.
    pub fn to_client(&self, head: &mut [u8]) {
        self.rewrite(head, SEND_DATA_INDICATION, client_id);
    }

    fn rewrite(&self, head: &mut [u8], kind: u8, find: impl Fn(&[(u16, u16)], u16) -> Option<u16>) {
        // TPKT (4), X.224 data (3), kind, initiator less 1001, channel id
        if let [3, _, _, _, _, _, _, k, i0, i1, c0, c1, ..] = head
            && *k == kind
        {
            let initiator = u16::from_be_bytes([*i0, *i1]).wrapping_add(1001);
            if let Some(id) = find(&self.pairs, initiator) {
                [*i0, *i1] = id.wrapping_sub(1001).to_be_bytes();
            }
            if let Some(id) = find(&self.pairs, u16::from_be_bytes([*c0, *c1])) {
                [*c0, *c1] = id.to_be_bytes();
            }
        }
    }
}

fn client_id(pairs: &[(u16, u16)], desktop_id: u16) -> Option<u16> {
    pairs.iter().find(|p| p.1 == desktop_id).map(|p| p.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ids_need_no_map() {
        assert_eq!(ChannelMap::new(&ChannelIds::ours(4), &ChannelIds::ours(4)), None);
    }

    #[test]
    fn initiator_and_channel_are_rewritten_both_ways_and_nothing_else() {
        let client = ChannelIds::ours(2); // 1003, 1004, 1005, user 1006
        let desktop = ChannelIds { io: 1003, user: 1009, statics: vec![1004, 1011] };
        let map = ChannelMap::new(&client, &desktop).unwrap();
        let frame = |kind, initiator: u16, channel: u16| {
            let mut f = vec![3, 0, 0, 15, 2, 0xf0, 0x80, kind];
            f.extend_from_slice(&(initiator - 1001).to_be_bytes());
            f.extend_from_slice(&channel.to_be_bytes());
            f.extend_from_slice(&[0x70, 1, 0xaa]);
            f
        };
        let mut up = frame(0x64, 1006, 1005);
        map.to_desktop(&mut up);
        assert_eq!(up, frame(0x64, 1009, 1011));
        let mut down = frame(0x68, 1002, 1011);
        map.to_client(&mut down);
        assert_eq!(down, frame(0x68, 1002, 1005));
        assert_eq!((map.client_id(1011), map.client_id(1004), map.client_id(1003)), (1005, 1004, 1003));
        let mut fast_path = [0x00, 15, 2, 0xf0, 0x80, 0, 0, 0x68, 0, 8, 3, 0xf3, 0, 0, 0];
        let before = fast_path;
        map.to_client(&mut fast_path);
        assert_eq!(fast_path, before);
    }
}
