//! What has to come out of a stream that is known whole.

use super::guarded::Guarded;
use openrdms_rdp::{ChannelMap, DesktopFault, frame_len, watch};
use openrdms_relay::pump::Event;

/// One direction.
#[derive(Default)]
pub(super) struct Model {
    /// All that goes out, with what is said between two frames.
    pub(super) out: Vec<u8>,
    /// The same without it.
    pub(super) unspoken: Vec<u8>,
    /// Frames that go on, of which at least the head is there.
    pub(super) frames: usize,
    /// What the stream breaks with.
    pub(super) broken: Option<DesktopFault>,
    /// Its last frame is not all there.
    pub(super) ends_within_a_frame: bool,
    /// Where in `out` the frames begin that are reported.
    pub(super) input_at: Option<usize>,
    pub(super) activated_at: Option<usize>,
    pub(super) ready_at: Option<usize>,
    /// Of the last Demand Active.
    pub(super) share_id: Option<u32>,
}

impl Model {
    /// From the client to the desktop.
    pub(super) fn up(stream: &[u8], map: Option<&ChannelMap>, io: u16) -> Self {
        let mut model = Self::default();
        model.walk(
            stream,
            &[],
            |_, _| Some(Ok(())),
            |model, head| {
                if watch::carries_input(head, io) {
                    model.input_at.get_or_insert(model.out.len());
                }
                if let Some(map) = map {
                    map.to_desktop(head);
                }
                false
            },
        );
        model
    }

    /// From the desktop to the client, who is told `aside` behind the first Font Map.
    pub(super) fn down(stream: &[u8], map: Option<&ChannelMap>, io: u16, aside: &[u8]) -> Self {
        let (mut model, mut guarded) = (Self::default(), Guarded::default());
        let judge = |frame: &[u8], length| guarded.judge(frame, length, (map, io));
        model.walk(stream, aside, judge, |model, head| {
            if let Some(map) = map {
                map.to_client(head);
            }
            if let Some(id) = watch::demand_active(head, io) {
                model.share_id = Some(id);
                model.activated_at.get_or_insert(model.out.len());
            } else if model.share_id.is_some() && model.ready_at.is_none() && watch::font_map(head, io) {
                model.ready_at = Some(model.out.len());
                return true;
            }
            false
        });
        model
    }

    /// Looks at the head of each frame that goes on, as `judge` says; where `look` says so, `aside` is said behind it.
    fn walk(
        &mut self,
        mut stream: &[u8],
        aside: &[u8],
        mut judge: impl FnMut(&[u8], usize) -> Option<Result<(), DesktopFault>>,
        mut look: impl FnMut(&mut Self, &mut [u8]) -> bool,
    ) {
        loop {
            let length = match frame_len(stream) {
                Ok(Some(length)) => length,
                Ok(None) => return,
                Err(error) => {
                    self.broken = Some(error.into());
                    return;
                }
            };
            let head = length.min(watch::HEAD);
            if stream.len() < head {
                return;
            }
            let mut frame = stream[..length.min(stream.len())].to_vec();
            match judge(&frame, length) {
                Some(Ok(())) => {}
                Some(Err(fault)) => {
                    self.broken = Some(fault);
                    return;
                }
                None => return,
            }
            let speak = look(self, &mut frame[..head]);
            self.frames += 1;
            self.out.extend_from_slice(&frame);
            self.unspoken.extend_from_slice(&frame);
            if stream.len() < length {
                self.ends_within_a_frame = true;
                return;
            }
            if speak {
                self.out.extend_from_slice(aside);
            }
            stream = &stream[length..];
        }
    }

    /// Whether these bytes are the first that go out, spoken between or not.
    pub(super) fn begins_with(&self, bytes: &[u8]) -> bool {
        self.out.starts_with(bytes) || self.unspoken.starts_with(bytes)
    }

    /// Whether all was noticed that the client did. Input is reported again only after a while.
    pub(super) fn events_up(&self, noticed: &[Event]) -> bool {
        noticed.contains(&Event::Input) == self.input_at.is_some()
    }

    /// Whether all was noticed that the desktop did, once and in its order.
    pub(super) fn events_down(&self, noticed: &[Event]) -> bool {
        let here = [(self.activated_at, Event::Activated), (self.ready_at, Event::Ready)];
        let here = here.iter().filter_map(|(at, event)| at.map(|_| event));
        here.eq(noticed.iter().filter(|event| **event != Event::Input))
    }
}

/// Whether these bytes are whole frames.
pub(super) fn boundary(mut bytes: &[u8]) -> bool {
    while let Ok(Some(length)) = frame_len(bytes) {
        let Some(rest) = bytes.get(length..) else { return false };
        bytes = rest;
    }
    bytes.is_empty()
}
