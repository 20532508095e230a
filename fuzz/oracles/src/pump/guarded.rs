//! What must become of a frame from a desktop, told of all of it at once and by places in it.

use openrdms_rdp::{ChannelMap, DesktopFault};

/// MS-RDPBCGR 2.2.8.1.1.1.1.
const DEMAND_ACTIVE: u8 = 1;
const REDIRECTION: u8 = 10;

/// The desktop's frames so far.
#[derive(Default)]
pub(super) struct Guarded {
    licensed: bool,
}

impl Guarded {
    /// Whether a frame of `length` bytes goes on, of which so much as there is of it is in `frame`. `None` where that
    /// hangs on what is not there.
    pub(super) fn judge(
        &mut self,
        frame: &[u8],
        length: usize,
        (map, io): (Option<&ChannelMap>, u16),
    ) -> Option<Result<(), DesktopFault>> {
        if frame[0] != 3 {
            return Some(Ok(()));
        }
        let ambiguous = Some(Err(DesktopFault::Ambiguous));
        if frame.get(4..7) != Some(&[0x02, 0xf0, 0x80]) {
            return ambiguous;
        }
        match frame.get(7) {
            Some(0x68) => {}
            None | Some(0x69..=0x6b | 0x70..=0x73) => return ambiguous,
            Some(_) => return Some(Ok(())),
        }
        let (said, content) = match (frame.get(13), frame.get(14)) {
            (Some(short @ 0..0x80), _) => (usize::from(*short), 14),
            (Some(high @ 0x80..0xc0), Some(low)) => (usize::from(high & 0x3f) << 8 | usize::from(*low), 15),
            _ => return ambiguous,
        };
        let mut ids = frame[..12].to_vec();
        if let Some(map) = map {
            map.to_client(&mut ids);
        }
        if ids[10..12] != io.to_be_bytes() {
            return Some(if self.licensed { Ok(()) } else { Err(DesktopFault::Unlicensed) });
        }
        if content + said != length {
            return ambiguous;
        }
        if self.licensed {
            shares(&frame[content..], said)
        } else {
            Some(self.unlicensed(&frame[content..], said))
        }
    }

    fn unlicensed(&mut self, content: &[u8], size: usize) -> Result<(), DesktopFault> {
        if size < 5 {
            return Err(DesktopFault::Ambiguous);
        }
        let first = u16::from_le_bytes([content[0], content[1]]);
        if kind(content) == REDIRECTION || first & 0x0400 != 0 {
            return Err(DesktopFault::Redirection);
        }
        let fills = length(content) == Some(size);
        if fills && kind(content) == DEMAND_ACTIVE {
            self.licensed = true;
            return Ok(());
        }
        if first & 0x0080 == 0 {
            return if fills { Ok(()) } else { Err(DesktopFault::Unlicensed) };
        }
        if first != 0x0080 && size > usize::from(first) {
            return Err(DesktopFault::Ambiguous);
        }
        self.licensed = [3, 4, 0xff].contains(&content[4]);
        Ok(())
    }
}

/// Share PDUs, of which as much as is there of `size` bytes is in `content`.
fn shares(content: &[u8], size: usize) -> Option<Result<(), DesktopFault>> {
    let mut at = 0;
    while at < size {
        let Some(pdu) = content.get(at..).filter(|pdu| pdu.len() >= 4) else {
            return Some(Err(DesktopFault::Ambiguous));
        };
        if kind(pdu) == REDIRECTION {
            return Some(Err(DesktopFault::Redirection));
        }
        match length(pdu) {
            Some(length) if at + length <= size => at += length,
            Some(_) | None => return Some(Err(DesktopFault::Ambiguous)),
        }
        if at == size && length(content) == Some(size) {
            return Some(Ok(()));
        }
        if content.len() < size {
            return None;
        }
    }
    if size == 0 {
        return Some(Err(DesktopFault::Ambiguous));
    }
    let hidden = (2..size).any(|at| {
        let flags = |behind: usize| content.get(at + behind..at + behind + 2) == Some(&[0x00, 0x04]);
        content[at] & 0x0f == REDIRECTION && (flags(4) || flags(6) || flags(8))
    });
    Some(if hidden { Err(DesktopFault::Redirection) } else { Ok(()) })
}

fn kind(pdu: &[u8]) -> u8 {
    pdu[2] & 0x0f
}

fn length(pdu: &[u8]) -> Option<usize> {
    match u16::from_le_bytes([pdu[0], pdu[1]]) {
        0x8000 => Some(8),
        length => (length >= 4).then_some(length.into()),
    }
}
