//! What the server sends: it says what the peer has provoked, and what it has earned.

use heist_scheduler::time::Instant;

use super::frame::{self, FRONT, Found, FrameHeader, code, number};
use super::{FrameMonitor, Violation};
use crate::server::Http2Limits;

impl FrameMonitor {
    /// Bytes went out to the peer.
    pub(in crate::http::http2) fn sent(
        &mut self,
        mut bytes: &[u8],
        limits: &Http2Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        let mut verdict = Ok(());
        while !bytes.is_empty() || self.output.has_empty_payload() {
            match self.output.next(&mut bytes) {
                Some(Found::Header(header)) => self.on_sent_header(header),
                Some(Found::Front(header, front)) if header.kind == frame::GOAWAY => {
                    let [.., c0, c1, c2, c3] = front;
                    self.goaway = Some(u32::from_be_bytes([c0, c1, c2, c3]));
                }
                Some(Found::Front(header, front)) => {
                    let checked = self.on_sent_reset(header.stream, number(front), limits, now);
                    verdict = verdict.and(checked);
                }
                Some(Found::End(_)) | None => {}
            }
        }
        verdict
    }

    /// Whether the output is between two frames.
    pub(in crate::http::http2) fn is_between_sent_frames(&self) -> bool {
        self.output.is_between_frames()
    }

    /// The code of the last GOAWAY that went out.
    pub(in crate::http::http2) fn goaway(&self) -> Option<u32> {
        self.goaway
    }

    /// The server sends a frame.
    fn on_sent_header(&mut self, header: FrameHeader) {
        let buckets = &mut self.buckets;
        match header.kind {
            frame::HEADERS | frame::DATA => {
                buckets.pings.earn(1);
                if header.kind == frame::DATA {
                    self.counts.data_sent += u64::from(header.length);
                    buckets.window_updates.allow(4);
                }
                if header.ends_stream() {
                    buckets.resets.earn(1);
                }
            }
            frame::RST_STREAM => {
                self.counts.resets_sent += 1;
                self.output.want(4);
            }
            frame::GOAWAY => {
                self.counts.goaways_sent += 1;
                self.output.want(FRONT);
            }
            _ => {}
        }
    }

    /// The server resets a stream. If not by the service's doing, the peer has provoked it.
    fn on_sent_reset(
        &mut self,
        stream: u32,
        code: u32,
        limits: &Http2Limits,
        now: Instant,
    ) -> Result<(), Violation> {
        let buckets = &mut self.buckets;
        let (bucket, allowance, violation) = match code {
            // The answer is there, and the rest of the request is not needed; or the service was dropped, or
            // the body of its answer failed.
            code::NO_ERROR | code::CANCEL | code::INTERNAL_ERROR => {
                self.reset_streams.add(stream, limits.streams);
                return Ok(());
            }
            code::STREAM_CLOSED if self.reset_streams.take_frame(stream) => return Ok(()),
            code::REFUSED_STREAM => {
                (&mut buckets.refused_streams, limits.refused_streams, Violation::RefusedStreams)
            }
            _ => (&mut buckets.stream_errors, limits.stream_errors, Violation::StreamErrors),
        };
        bucket.spend(1, allowance, now).then_some(()).ok_or(violation)
    }
}
