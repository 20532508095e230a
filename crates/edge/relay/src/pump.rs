//! The pump: passes everything through, both ways, in one task.
//!
//! Each direction has one buffer while bytes are under way in it, and none while it is quiet ([`spare`]). Bytes are read
//! into it and written from it: nothing is allocated or moved per frame. Before the first byte of a frame is passed on, its
//! head is there and has been looked at, and channel ids in it have been rewritten where the legs differ. So at any
//! moment it is known how much of a frame the client still has to get before somebody else may speak to it: at the end,
//! and once in between, behind the connection sequence. What must not reach the client ([`Guard`]) is known by then too,
//! so whatever is left of a frame that it has had a part of is harmless.

mod spare;
#[cfg(test)]
mod tests;

use openrdms_rdp::{ChannelMap, DesktopFault, FrameError, Guard, Harmless, frame_len, watch};
use std::{
    future::poll_fn,
    io, mem,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use zeroize::Zeroizing;

/// Input is reported at most this often.
const INPUT_EVERY: Duration = Duration::from_secs(1);

/// What the pump stops for. It goes on with the next call, unless an end was reported.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The desktop's first Demand Active is here, and has not been passed on yet.
    Activated,
    /// The desktop's first Font Map is here, the last of the connection sequence: behind it the client may be spoken
    /// to, see [`Pump::say_to_client`].
    Ready,
    /// The user gave input. Reported at once, but at most once a second.
    Input,
    /// The client closed or cannot be reached.
    ClientGone,
    /// The desktop closed or cannot be reached.
    DesktopGone,
    /// The client sent something that is not a frame.
    ClientBroke(FrameError),
    /// The desktop sent something that is not a frame, or that its client must not see.
    DesktopBroke(DesktopFault),
}

/// What a desktop says before it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWords {
    /// It has said nothing.
    None,
    /// That it closes.
    Leaving,
    /// That its user is logged off.
    LoggedOff,
}

/// Both legs and what is under way between them.
pub struct Pump<C, D> {
    /// The client's leg. Between two calls it may be spoken to only where no frame is under way.
    pub client: C,
    /// The desktop's leg.
    pub desktop: D,
    /// Desktop to client.
    down: Lane,
    /// Client to desktop.
    up: Lane,
    watch: Watch,
}

/// What is known from looking at heads.
struct Watch {
    map: Option<ChannelMap>,
    /// The I/O channel as the client knows it.
    io: u16,
    guard: Guard,
    share_id: Option<u32>,
    /// A Font Map has come.
    ready: bool,
    last_words: LastWords,
    input_reported: Option<Instant>,
}

/// One direction. In `buffer`: `start..looked` may be passed on, `looked..end` is the beginning of a frame that may not yet.
/// Between two calls there is a buffer only if something is in it.
struct Lane {
    buffer: Vec<u8>,
    start: usize,
    looked: usize,
    end: usize,
    /// How much of the frame at `looked` is still to come in.
    frame_left: usize,
    /// How much of the frame at `start` is still to go out; zero at a boundary.
    sent_left: usize,
    sent_any: bool,
    unflushed: bool,
    aside: Option<Aside>,
}

/// What is said between two frames, not by the lane's source.
struct Aside {
    bytes: Zeroizing<Vec<u8>>,
    /// How much of what comes from the source goes out before it.
    after: usize,
    sent: usize,
}

/// What becomes of a frame whose head is there.
enum Notice {
    /// It goes on.
    Pass,
    /// It goes on when the pump does.
    Report(Event),
    /// All of it has to be there first; it fits into a buffer.
    Wait,
    /// It goes nowhere.
    Refuse(Event),
}

enum LaneStop {
    Noticed(Event),
    SourceGone,
    SinkGone,
    Broke(FrameError),
}

impl<C, D> Pump<C, D>
where
    C: AsyncRead + AsyncWrite + Unpin,
    D: AsyncRead + AsyncWrite + Unpin,
{
    /// Begins between two legs whose next byte is the first of a frame. `io` is the client's I/O channel.
    pub fn new(client: C, desktop: D, map: Option<ChannelMap>, io: u16) -> Self {
        let guard = Guard::new(io);
        let watch = Watch {
            map,
            io,
            guard,
            share_id: None,
            ready: false,
            last_words: LastWords::None,
            input_reported: None,
        };
        Self { client, desktop, down: Lane::new(), up: Lane::new(), watch }
    }

    /// Passes bytes on until there is something to report.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let Self { client, desktop, down, up, watch } = self;
        if let Poll::Ready(stop) = up.poll(cx, client, desktop, |here, _| watch.client_said(here)) {
            return Poll::Ready(match stop {
                LaneStop::Noticed(event) => event,
                LaneStop::SourceGone => Event::ClientGone,
                LaneStop::SinkGone => Event::DesktopGone,
                LaneStop::Broke(error) => Event::ClientBroke(error),
            });
        }
        down.poll(cx, desktop, client, |here, length| watch.desktop_said(here, length)).map(|stop| match stop
        {
            LaneStop::Noticed(event) => event,
            LaneStop::SourceGone => Event::DesktopGone,
            LaneStop::SinkGone => Event::ClientGone,
            LaneStop::Broke(error) => Event::DesktopBroke(error.into()),
        })
    }

    /// The share id of the last Demand Active.
    pub fn share_id(&self) -> Option<u32> {
        self.watch.share_id
    }

    /// What the desktop has said of its leaving.
    pub fn last_words(&self) -> LastWords {
        self.watch.last_words
    }

    /// Whether the client has had any frame from the desktop.
    pub fn client_had_any(&self) -> bool {
        self.down.sent_any
    }

    /// Sends the client `bytes`, whole frames, behind the frame that was looked at last, which for an event of the
    /// desktop's is the frame that the event is about. Once on a connection.
    pub fn say_to_client(&mut self, bytes: Zeroizing<Vec<u8>>) {
        let after = self.down.looked - self.down.start + self.down.frame_left;
        self.down.aside = Some(Aside { bytes, after, sent: 0 });
    }

    /// Brings the client to a frame boundary: the rest of a frame that it has had a part of is fetched and sent;
    /// whatever else came from the desktop is dropped. The pump must not be polled afterwards.
    ///
    /// # Errors
    /// When one of the legs fails before the frame's end.
    pub async fn finish_client_frame(&mut self) -> io::Result<()> {
        self.down.finish_frame(&mut self.desktop, &mut self.client).await
    }

    /// Sends the client what had come before the desktop closed. The pump must not be polled afterwards.
    ///
    /// # Errors
    /// When the client's leg fails.
    pub async fn empty_to_client(&mut self) -> io::Result<()> {
        self.down.finish_aside(&mut self.client).await?;
        self.client.write_all(&self.down.buffer[self.down.start..self.down.looked]).await?;
        self.client.flush().await
    }

    /// Sends the desktop what had come before the client closed. The pump must not be polled afterwards.
    ///
    /// # Errors
    /// When the desktop's leg fails.
    pub async fn empty_to_desktop(&mut self) -> io::Result<()> {
        self.desktop.write_all(&self.up.buffer[self.up.start..self.up.looked]).await?;
        self.desktop.flush().await
    }
}

impl Watch {
    fn client_said(&mut self, here: &mut [u8]) -> Notice {
        let head = head(here);
        let input = watch::carries_input(head, self.io);
        if let Some(map) = &self.map {
            map.to_desktop(head);
        }
        if input && self.input_reported.is_none_or(|at| at.elapsed() >= INPUT_EVERY) {
            self.input_reported = Some(Instant::now());
            return Notice::Report(Event::Input);
        }
        Notice::Pass
    }

    fn desktop_said(&mut self, here: &mut [u8], length: usize) -> Notice {
        let map = self.map.as_ref();
        match self.guard.check(here, length, |id| map.map_or(id, |map| map.client_id(id))) {
            Ok(Harmless::Whole) => {}
            Ok(Harmless::Unknown) => return Notice::Wait,
            Err(fault) => return Notice::Refuse(Event::DesktopBroke(fault)),
        }
        let head = head(here);
        if let Some(map) = map {
            map.to_client(head);
        }
        if let Some(id) = watch::demand_active(head, self.io) {
            let first = self.share_id.replace(id).is_none();
            if first {
                return Notice::Report(Event::Activated);
            }
        } else if !self.ready && self.share_id.is_some() && watch::font_map(head, self.io) {
            self.ready = true;
            return Notice::Report(Event::Ready);
        }
        if watch::logged_off(head, self.io) {
            self.last_words = LastWords::LoggedOff;
        } else if self.last_words == LastWords::None && watch::ultimatum(head) {
            self.last_words = LastWords::Leaving;
        }
        Notice::Pass
    }
}

/// The head of a frame of which it is here.
fn head(here: &mut [u8]) -> &mut [u8] {
    let n = here.len().min(watch::HEAD);
    &mut here[..n]
}

impl Lane {
    fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            looked: 0,
            end: 0,
            frame_left: 0,
            sent_left: 0,
            sent_any: false,
            unflushed: false,
            aside: None,
        }
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        notice: impl FnMut(&mut [u8], usize) -> Notice,
    ) -> Poll<LaneStop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.buffer.is_empty() {
            self.buffer = spare::take();
        }
        let stop = self.pass(cx, from, to, notice);
        if self.start == self.end {
            spare::give(mem::take(&mut self.buffer));
        }
        stop
    }

    fn pass<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        mut notice: impl FnMut(&mut [u8], usize) -> Notice,
    ) -> Poll<LaneStop>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.look(&mut notice) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(event)) => return Poll::Ready(LaneStop::Noticed(event)),
                Err(error) => return Poll::Ready(LaneStop::Broke(error)),
            }
            while let Some(part) = self.next_part() {
                match Pin::new(&mut *to).poll_write(cx, part) {
                    Poll::Ready(Ok(n)) if n > 0 => self.sent(n),
                    Poll::Ready(_) => return Poll::Ready(LaneStop::SinkGone),
                    Poll::Pending => break,
                }
            }
            self.make_room();
            if self.end < self.buffer.len() {
                match self.poll_fill(cx, from) {
                    Poll::Ready(Ok(n)) if n > 0 => continue,
                    Poll::Ready(_) => return Poll::Ready(LaneStop::SourceGone),
                    Poll::Pending => {}
                }
            }
            // nothing more comes in for now: what the TLS layer still holds must go out
            if self.unflushed && self.start == self.looked {
                match Pin::new(&mut *to).poll_flush(cx) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(LaneStop::SinkGone),
                    Poll::Pending => {}
                }
            }
            return Poll::Pending;
        }
    }

    /// Walks over what has come in. Stops where more has to come before a frame may go on, behind a head that is to be
    /// reported, and before a frame that goes nowhere.
    fn look(
        &mut self,
        notice: &mut impl FnMut(&mut [u8], usize) -> Notice,
    ) -> Result<ControlFlow<Event>, FrameError> {
        while self.looked < self.end {
            if self.frame_left == 0 {
                let rest = &mut self.buffer[self.looked..self.end];
                let Some(length) = frame_len(rest)? else { break };
                if rest.len() < length.min(watch::HEAD) {
                    break;
                }
                let here = length.min(rest.len());
                let event = match notice(&mut rest[..here], length) {
                    Notice::Pass => None,
                    Notice::Report(event) => Some(event),
                    Notice::Wait => break,
                    Notice::Refuse(event) => return Ok(ControlFlow::Break(event)),
                };
                self.frame_left = length;
                self.step_over();
                if let Some(event) = event {
                    return Ok(ControlFlow::Break(event));
                }
            } else {
                self.step_over();
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Moves `looked` to the end of the frame, or of what is there of it.
    fn step_over(&mut self) {
        let n = self.frame_left.min(self.end - self.looked);
        self.looked += n;
        self.frame_left -= n;
    }

    /// What is to go out next, if there is anything.
    fn next_part(&self) -> Option<&[u8]> {
        let part = match &self.aside {
            None => &self.buffer[self.start..self.looked],
            Some(aside) if aside.after == 0 => &aside.bytes[aside.sent..],
            Some(aside) => &self.buffer[self.start..self.looked.min(self.start + aside.after)],
        };
        (!part.is_empty()).then_some(part)
    }

    /// Accounts for `n` bytes of the next part that went out.
    fn sent(&mut self, mut n: usize) {
        (self.sent_any, self.unflushed) = (true, true);
        if let Some(aside) = &mut self.aside {
            if aside.after == 0 {
                aside.sent += n;
                self.aside.take_if(|aside| aside.sent == aside.bytes.len());
                return;
            }
            aside.after -= n;
        }
        while n > 0 {
            if self.sent_left == 0 {
                // heads up to `looked` were complete and good, so this is a length
                self.sent_left = frame_len(&self.buffer[self.start..self.end]).ok().flatten().unwrap_or(n);
            }
            let part = n.min(self.sent_left);
            self.start += part;
            self.sent_left -= part;
            n -= part;
        }
    }

    /// Makes the buffer begin at its beginning again, once only the beginning of a frame is left in it that may not go on
    /// yet.
    fn make_room(&mut self) {
        if self.start == self.looked && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            (self.start, self.looked) = (0, 0);
        }
    }

    fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<usize>> {
        let mut room = ReadBuf::new(&mut self.buffer[self.end..]);
        ready!(Pin::new(from).poll_read(cx, &mut room))?;
        let n = room.filled().len();
        self.end += n;
        Poll::Ready(Ok(n))
    }

    /// Sends the rest of what is said aside, if it was begun; otherwise it stays unsaid.
    async fn finish_aside<W: AsyncWrite + Unpin>(&mut self, to: &mut W) -> io::Result<()> {
        match self.aside.take() {
            Some(aside) if aside.sent > 0 => to.write_all(&aside.bytes[aside.sent..]).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn finish_frame<R, W>(&mut self, from: &mut R, to: &mut W) -> io::Result<()>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        self.finish_aside(to).await?;
        while self.sent_left > 0 {
            if self.start == self.end {
                (self.start, self.looked, self.end) = (0, 0, 0);
                if self.buffer.is_empty() {
                    self.buffer = spare::take();
                }
                let room = self.sent_left.min(self.buffer.len());
                self.end = from.read(&mut self.buffer[..room]).await?;
                if self.end == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            let until = self.end.min(self.start + self.sent_left);
            let part = &self.buffer[self.start..until];
            let n = poll_fn(|cx| Pin::new(&mut *to).poll_write(cx, part)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.start += n;
            self.sent_left -= n;
        }
        Ok(())
    }
}
