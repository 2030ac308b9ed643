//! The monitor between the transport and hyper: it reads the headers of all frames, in both directions,
//! and finds a peer that sends too many of a kind.
//!
//! hyper bounds what a peer can make it hold, but counts few of the frames that cost it work alone. Here
//! each kind that a peer can send without end is counted against an [`Allowance`] of
//! [`Http2Limits`]. What the server sends is read too: an answer allows the peer for more frames, and a
//! RST_STREAM of the server says that the peer provoked it.
//!
//! The monitor does no I/O, reads no clock, copies no payload and takes the same memory whatever comes.
//! Its verdict is the same wherever the bytes are cut.

mod allowance;
mod frame;
mod reset_streams;
mod sent;
#[cfg(test)]
mod tests;
mod violation;

pub(super) use frame::code;
pub(in crate::http) use violation::Violation;

use heist_scheduler::time::Instant;

use self::allowance::{Bucket, Buckets};
use self::frame::{FRONT, Found, FrameHeader, FrameReader, number};
use self::reset_streams::ResetStreams;
use crate::server::{Allowance, Http2Limits, Limits};

/// The monitor of one connection.
#[derive(Debug)]
pub(super) struct FrameMonitor {
    /// How much of [`PREFACE`] came.
    preface: u8,
    input: FrameReader,
    output: FrameReader,
    buckets: Buckets,
    block: Option<HeaderBlock>,
    /// Since when a frame of the peer is incomplete, other than a DATA frame.
    incomplete_since: Option<Instant>,
    /// The peer's SETTINGS came.
    settled: bool,
    last_stream: u32,
    /// Of the last GOAWAY that went out.
    goaway: Option<u32>,
    counts: FrameCounts,
    reset_streams: ResetStreams,
    /// DATA frames of the present turn with less than [`SMALL_DATA`] bytes.
    small_data: u32,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::http) struct FrameCounts {
    /// Streams that the peer opened.
    pub(in crate::http) opened: u64,
    /// RST_STREAM frames of the peer, and of the server.
    pub(in crate::http) resets: u64,
    pub(in crate::http) resets_sent: u64,
    pub(in crate::http) goaways_sent: u64,
    /// Payload of DATA frames that came.
    pub(in crate::http) data: u64,
    /// DATA frames that went out, and their payload.
    pub(in crate::http) data_sent: u64,
}

/// A frame or a header block that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Incomplete {
    pub(super) since: Instant,
    pub(super) may_be_data: bool,
}

/// A header block that has begun.
#[derive(Clone, Copy, Debug)]
struct HeaderBlock {
    bytes: u32,
    continuations: u32,
    ends: bool,
}

impl FrameMonitor {
    pub(super) const fn new() -> FrameMonitor {
        FrameMonitor {
            preface: 0,
            input: FrameReader::new(),
            output: FrameReader::new(),
            buckets: Buckets::FULL,
            block: None,
            incomplete_since: None,
            settled: false,
            last_stream: 0,
            goaway: None,
            counts: FrameCounts::NONE,
            reset_streams: ResetStreams::new(),
            small_data: 0,
        }
    }

    /// Services have had their turn to read what came.
    pub(super) fn begin_turn(&mut self) {
        self.small_data = 0;
    }

    /// Whether services are to have their turn before more is read. hyper ends the connection of a peer
    /// that has some 2,000 small DATA frames wait, however soon they would be read.
    pub(super) fn ends_turn(&self) -> bool {
        self.small_data >= SMALL_DATA_A_TURN
    }

    /// Bytes came from the peer. If this fails, no more bytes may pass, nor may these.
    pub(super) fn received(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        let mut rest = self.read_preface(bytes)?;
        let mut begins = false;
        while !rest.is_empty() || self.input.has_empty_payload() {
            begins |= self.input.is_between_frames();
            match self.input.next(&mut rest) {
                Some(Found::Header(header)) => self.on_header(header, limits, now)?,
                Some(Found::Front(header, front)) => self.on_front(header, front, limits, now)?,
                Some(Found::End(header)) => self.on_end(header),
                None => {}
            }
        }
        let data = self.input.frame().is_some_and(|header| header.kind == frame::DATA);
        if self.block.is_none() && (self.input.is_between_frames() || data) {
            self.incomplete_since = None;
        } else if self.block.is_none() && begins {
            self.incomplete_since = Some(now);
        } else {
            self.incomplete_since.get_or_insert(now);
        }
        Ok(())
    }

    /// Whether the preface and the peer's first SETTINGS came.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Since when a header block, or a frame that is no DATA frame, is incomplete. Where only a part of a
    /// frame's header came, it may be a DATA frame after all.
    pub(super) fn incomplete_since(&self) -> Option<Incomplete> {
        let since = self.incomplete_since?;
        let may_be_data = self.block.is_none() && self.input.frame().is_none();
        Some(Incomplete { since, may_be_data })
    }

    /// The last stream that the peer opened.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Services gave `count` pieces of answers. The peer may acknowledge the end of each on its stream and
    /// on the connection, however small it is. What a small window has cut a piece into does not count.
    pub(super) fn allow_for_pieces(&mut self, count: u64) {
        self.buckets.small_window_updates.allow(count.saturating_mul(2));
    }

    pub(super) fn counts(&self) -> FrameCounts {
        self.counts
    }

    /// Returns the bytes behind the preface.
    fn read_preface<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Violation> {
        let left = &PREFACE[usize::from(self.preface)..];
        let count = left.len().min(bytes.len());
        let (front, rest) = bytes.split_at(count);
        if front != &left[..count] {
            return Err(Violation::Preface);
        }
        self.preface += count as u8;
        Ok(rest)
    }

    fn on_header(
        &mut self,
        header: FrameHeader,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        if header.length > MAX_FRAME_SIZE {
            return Err(Violation::FrameSize);
        }
        let http2 = &limits.http2;
        let buckets = &mut self.buckets;
        let one = |bucket: &mut Bucket, allowance, violation| {
            bucket.spend(1, allowance, now).then_some(()).ok_or(violation)
        };
        match header.kind {
            frame::DATA => self.on_data(header, http2, now),
            frame::HEADERS | frame::CONTINUATION => self.on_block(header, limits, now),
            frame::RST_STREAM => {
                self.counts.resets += 1;
                one(&mut buckets.resets, http2.resets, Violation::Resets)
            }
            frame::SETTINGS if header.is_ack() => Ok(()),
            frame::SETTINGS => {
                let count = header.length.div_ceil(SETTING_BYTES * 10).max(1);
                let allowed = buckets.settings.spend(count, http2.settings, now);
                allowed.then_some(()).ok_or(Violation::Settings)
            }
            frame::PING if header.is_ack() => Ok(()),
            frame::PING => one(&mut buckets.pings, http2.pings, Violation::Pings),
            frame::PRIORITY | frame::PRIORITY_UPDATE => {
                one(&mut buckets.priorities, http2.priorities, Violation::Priorities)
            }
            frame::WINDOW_UPDATE => {
                self.input.want(4);
                let allowance = http2.window_updates;
                one(&mut buckets.window_updates, allowance, Violation::WindowUpdates)
            }
            // hyper ends the connection.
            frame::PUSH_PROMISE => Ok(()),
            _ => one(&mut buckets.unknown_frames, http2.unknown_frames, Violation::UnknownFrames),
        }
    }

    fn on_data(
        &mut self,
        header: FrameHeader,
        limits: &Http2Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        self.counts.data += u64::from(header.length);
        self.small_data = self.small_data.saturating_add(u32::from(header.length < SMALL_DATA));
        if header.ends_stream() {
            return Ok(());
        }
        if header.is_padded() && header.length > 0 {
            self.input.want(1);
            return Ok(());
        }
        self.on_empty(header.length, limits.empty_frames, now)
    }

    /// A HEADERS or CONTINUATION frame.
    fn on_block(
        &mut self,
        header: FrameHeader,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        let http2 = &limits.http2;
        let mut content = header.length;
        let mut block = HeaderBlock { bytes: 0, continuations: 0, ends: false };
        if header.kind == frame::HEADERS {
            content = content.saturating_sub(header.priority_bytes());
            if header.stream > self.last_stream {
                self.last_stream = header.stream;
                self.counts.opened += 1;
                self.buckets.priorities.earn(4);
                self.buckets.unknown_frames.earn(2);
                self.buckets.window_updates.allow(4);
            }
        } else if let Some(begun) = self.block {
            block = HeaderBlock { continuations: begun.continuations + 1, ..begun };
        }
        block.bytes = block.bytes.saturating_add(header.length);
        block.ends = header.ends_headers();
        self.block = Some(block);
        if block.continuations > max_continuations(limits) {
            return Err(Violation::Continuations);
        }
        if u64::from(block.bytes) > max_block(limits) {
            return Err(Violation::HeaderBlock);
        }
        match header.kind == frame::HEADERS && header.ends_stream() {
            true => Ok(()),
            false => self.on_empty(content, http2.empty_frames, now),
        }
    }

    /// A frame of `content` bytes that ends no stream.
    fn on_empty(
        &mut self,
        content: u32,
        allowance: Allowance,
        now: Instant,
    ) -> Result<(), Violation> {
        match content > 0 || self.buckets.empty_frames.spend(1, allowance, now) {
            true => Ok(()),
            false => Err(Violation::EmptyFrames),
        }
    }

    /// The front of a payload: the length of the padding of a DATA frame, or a window's increment.
    fn on_front(
        &mut self,
        header: FrameHeader,
        front: [u8; FRONT],
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        let http2 = &limits.http2;
        if header.kind == frame::DATA {
            let content = header.length.saturating_sub(1 + u32::from(front[0]));
            return self.on_empty(content, http2.empty_frames, now);
        }
        if number(front) & !frame::RESERVED >= SMALL_WINDOW_UPDATE {
            return Ok(());
        }
        let bucket = &mut self.buckets.small_window_updates;
        match bucket.spend(1, http2.small_window_updates, now) {
            true => Ok(()),
            false => Err(Violation::SmallWindowUpdates),
        }
    }

    /// A frame has come to its end.
    fn on_end(&mut self, header: FrameHeader) {
        match header.kind {
            frame::SETTINGS => self.settled = true,
            frame::HEADERS | frame::CONTINUATION if self.block.is_some_and(|block| block.ends) => {
                self.block = None;
                self.incomplete_since = None;
            }
            _ => {}
        }
    }
}

impl FrameCounts {
    /// What came on top of `before`.
    pub(in crate::http) fn since(self, before: FrameCounts) -> FrameCounts {
        FrameCounts {
            opened: self.opened - before.opened,
            resets: self.resets - before.resets,
            resets_sent: self.resets_sent - before.resets_sent,
            goaways_sent: self.goaways_sent - before.goaways_sent,
            data: self.data - before.data,
            data_sent: self.data_sent - before.data_sent,
        }
    }

    const NONE: FrameCounts = FrameCounts {
        opened: 0,
        resets: 0,
        resets_sent: 0,
        goaways_sent: 0,
        data: 0,
        data_sent: 0,
    };
}

/// The CONTINUATION frames of one header block: what a block of the greatest length needs, and a quarter
/// more, at least 5. hyper allows for as many, but for the last.
fn max_continuations(limits: &Limits) -> u32 {
    let needed = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX) / MAX_FRAME_SIZE;
    needed.saturating_add(needed / 4).max(5)
}

/// The bytes of one header block. Up to here, hyper answers `431` to a header section that is too long.
fn max_block(limits: &Limits) -> u64 {
    (limits.header_bytes as u64).saturating_mul(4)
}

/// What a client sends first (RFC 9113, 3.4).
pub(in crate::http) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of the longest frame that the server takes: the least that HTTP/2 allows for.
pub(super) const MAX_FRAME_SIZE: u32 = 16 * 1024;

const SETTING_BYTES: u32 = 6;

/// A DATA frame below this is small for hyper.
const SMALL_DATA: u32 = 256;

/// Small DATA frames after which nothing more is read in a turn. What was read with the last of them
/// comes on top.
const SMALL_DATA_A_TURN: u32 = 256;

/// A WINDOW_UPDATE below this is small.
const SMALL_WINDOW_UPDATE: u32 = 128;
