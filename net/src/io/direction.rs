//! One direction of a copy, as a state machine that owns neither stream.
//!
//! Bytes are read into the thread's buffer and written out of it in the same poll. What the writer
//! does not take moves to a buffer of the direction, and nothing is read until it is written. The
//! direction reads into that buffer as long as the reader has bytes, and gives it up when it has to
//! wait for more.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use heist_scheduler::coop;

use super::scratch;

/// What one direction of a copy has to remember between two polls.
#[derive(Debug)]
pub(super) struct Direction {
    /// Empty, or a buffer of the direction's own.
    buffer: Vec<u8>,
    /// Where in `buffer` the bytes are that were read and not written.
    held: Range<usize>,
    /// How many bytes were written.
    copied: u64,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The reader goes on; everything that was written is flushed.
    Flushed,
    /// The reader goes on, and the writer may hold back what was written.
    Unflushed,
    /// The reader has ended.
    Ending,
    /// Everything was written, and the writer flushed or closed.
    Done,
}

/// What becomes of the writer when the reader ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    Flush,
    Close,
}

impl Direction {
    pub(super) fn new() -> Direction {
        Direction { buffer: Vec::new(), held: 0..0, copied: 0, phase: Phase::Flushed }
    }

    /// Copies until the reader ends or one of them has to wait. Returns how many bytes were copied,
    /// also when it is polled again after that.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut (impl AsyncRead + ?Sized)>,
        mut writer: Pin<&mut (impl AsyncWrite + ?Sized)>,
        at_end: AtEnd,
    ) -> Poll<io::Result<u64>> {
        loop {
            ready!(self.poll_write_held(cx, writer.as_mut()))?;
            match self.phase {
                Phase::Flushed | Phase::Unflushed => {
                    ready!(self.poll_round(cx, reader.as_mut(), writer.as_mut()))?;
                }
                Phase::Ending => {
                    ready!(match at_end {
                        AtEnd::Flush => writer.as_mut().poll_flush(cx),
                        AtEnd::Close => writer.as_mut().poll_close(cx),
                    })?;
                    self.buffer = Vec::new();
                    self.phase = Phase::Done;
                }
                Phase::Done => return Poll::Ready(Ok(self.copied)),
            }
        }
    }

    /// One read, and the writes of what it brought. Spends operations of the poll's budget beside
    /// those of the streams, as far as any are left: foreign streams may spend none, and a long read
    /// and its write take as long as several short ones.
    fn poll_round(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut (impl AsyncRead + ?Sized)>,
        mut writer: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<io::Result<()>> {
        ready!(coop::poll_proceed(cx));
        coop::restore();
        let read = match self.buffer.is_empty() {
            true => scratch::lend(|lent| {
                let read = reader.poll_read(cx, lent);
                if let Poll::Ready(Ok(count)) = read {
                    self.write_lent(cx, writer.as_mut(), &lent[..count])?;
                }
                read
            }),
            false => {
                let read = reader.poll_read(cx, &mut self.buffer);
                if let Poll::Ready(Ok(count)) = read {
                    self.held = 0..count;
                }
                read
            }
        };
        let count = match read {
            Poll::Pending => {
                self.buffer = Vec::new();
                if self.phase == Phase::Unflushed {
                    ready!(writer.poll_flush(cx))?;
                    self.phase = Phase::Flushed;
                }
                return Poll::Pending;
            }
            Poll::Ready(count) => count?,
        };
        if count == 0 {
            self.phase = Phase::Ending;
        }
        spend(2 + count / OPERATION, cx);
        Poll::Ready(Ok(()))
    }

    /// Writes out of a lent buffer; what is not taken is held.
    fn write_lent(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut (impl AsyncWrite + ?Sized)>,
        mut bytes: &[u8],
    ) -> io::Result<()> {
        // The read may have taken the last operation, or the last one before a look at the clock. One above the
        // budget is cheaper than a copy of the bytes.
        coop::restore();
        while !bytes.is_empty() {
            match writer.as_mut().poll_write(cx, bytes) {
                Poll::Ready(taken) => bytes = &bytes[self.count(taken)?..],
                Poll::Pending => {
                    self.buffer = scratch::new();
                    self.buffer[..bytes.len()].copy_from_slice(bytes);
                    self.held = 0..bytes.len();
                    break;
                }
            }
        }
        Ok(())
    }

    fn poll_write_held(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut (impl AsyncWrite + ?Sized)>,
    ) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let bytes = &self.buffer[self.held.clone()];
            let taken = ready!(writer.as_mut().poll_write(cx, bytes));
            self.held.start += self.count(taken)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Counts what a write has taken. Nothing is an error, or the copy would never end.
    fn count(&mut self, taken: io::Result<usize>) -> io::Result<usize> {
        match taken? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count => {
                self.copied += count as u64;
                self.phase = Phase::Unflushed;
                Ok(count)
            }
        }
    }
}

/// Spends operations that were done already, as far as any are left.
fn spend(operations: usize, cx: &mut Context<'_>) {
    for _ in 0..operations {
        if !coop::has_budget_remaining() || coop::poll_proceed(cx).is_pending() {
            return;
        }
    }
}

/// To copy so many bytes takes as long as an operation of a socket with a short message. With the
/// default budget a poll copies about 1 MB.
const OPERATION: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    /// Brings as many bytes as it has, and takes as many as it has room for.
    struct Stream {
        bytes: usize,
        ended: bool,
        room: usize,
        unflushed: bool,
        /// As a socket of heist.
        spends_budget: bool,
    }

    const EMPTY: Stream =
        Stream { bytes: 0, ended: false, room: 0, unflushed: false, spends_budget: false };

    impl AsyncRead for Stream {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if self.spends_budget {
                ready!(coop::poll_proceed(cx));
            }
            let count = self.bytes.min(buffer.len());
            self.bytes -= count;
            match count {
                0 if !self.ended => Poll::Pending,
                count => Poll::Ready(Ok(count)),
            }
        }
    }

    impl AsyncWrite for Stream {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            if self.spends_budget {
                ready!(coop::poll_proceed(cx));
            }
            let count = self.room.min(bytes.len());
            self.room -= count;
            self.unflushed = true;
            match count {
                0 => Poll::Pending,
                count => Poll::Ready(Ok(count)),
            }
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.unflushed = false;
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.poll_flush(cx)
        }
    }

    fn poll(
        direction: &mut Direction,
        reader: &mut Stream,
        writer: &mut Stream,
    ) -> Poll<io::Result<u64>> {
        let mut cx = Context::from_waker(Waker::noop());
        direction.poll(&mut cx, Pin::new(reader), Pin::new(writer), AtEnd::Flush)
    }

    /// Failure: each idle connection of a proxy costs two buffers.
    #[test]
    fn direction_without_bytes_owns_no_buffer() {
        let (mut direction, mut reader, mut writer) = (Direction::new(), EMPTY, EMPTY);
        reader.bytes = 3 * scratch::READ;
        writer.room = 100;
        assert!(poll(&mut direction, &mut reader, &mut writer).is_pending());
        assert_eq!(direction.held.len(), scratch::READ - 100);
        // Nothing more is read for a writer without room.
        assert_eq!(reader.bytes, 2 * scratch::READ);
        assert!(poll(&mut direction, &mut reader, &mut writer).is_pending());
        assert_eq!(reader.bytes, 2 * scratch::READ);

        writer.room = usize::MAX;
        assert!(poll(&mut direction, &mut reader, &mut writer).is_pending());
        assert_eq!((reader.bytes, direction.copied), (0, 3 * scratch::READ as u64));
        assert_eq!((direction.buffer.capacity(), writer.unflushed), (0, false));
    }

    #[test]
    fn end_comes_after_what_was_held() {
        let (mut direction, mut reader, mut writer) = (Direction::new(), EMPTY, EMPTY);
        (reader.bytes, reader.ended) = (10, true);
        assert!(poll(&mut direction, &mut reader, &mut writer).is_pending());
        writer.room = 10;
        for _ in 0..2 {
            let copied = poll(&mut direction, &mut reader, &mut writer);
            assert!(matches!(copied, Poll::Ready(Ok(10))), "{copied:?}");
        }
        assert!(!writer.unflushed);
    }

    /// Failure: a budget that ends between a read and its write costs a buffer and a copy of it, each
    /// time; one of a single operation ends the copy for ever.
    #[test]
    fn budget_that_ends_with_a_read_leaves_nothing_held() {
        for budget in 1..=7 {
            let runtime = crate::Builder::new().workers(1).budget(budget).ignore_environment();
            let runtime = runtime.start().unwrap();
            let copied = runtime.spawn(async move {
                let (mut direction, mut reader, mut writer) = (Direction::new(), EMPTY, EMPTY);
                (reader.bytes, reader.ended) = (20 * scratch::READ, true);
                (writer.room, reader.spends_budget, writer.spends_budget) =
                    (usize::MAX, true, true);
                let mut polls = 0;
                let copied = poll_fn(|cx| {
                    polls += 1;
                    let (reader, writer) = (Pin::new(&mut reader), Pin::new(&mut writer));
                    let polled = direction.poll(cx, reader, writer, AtEnd::Flush);
                    assert_eq!(direction.buffer.capacity(), 0);
                    assert!(polls < 100, "nothing is copied");
                    polled
                });
                let copied = copied.await.unwrap();
                // It yields as well.
                assert!(polls > 20 / budget);
                copied
            });
            assert_eq!(runtime.block_on(copied).unwrap(), 20 * scratch::READ as u64);
        }
    }

    /// Failure: a copy of large reads keeps its worker for a millisecond.
    #[test]
    fn copy_yields_by_the_number_of_bytes() {
        const BUDGET: u32 = 16;
        let runtime = crate::Builder::new().workers(1).budget(BUDGET).ignore_environment();
        let runtime = runtime.start().unwrap();
        let copied = runtime.spawn(async {
            let (mut direction, mut reader, mut writer) = (Direction::new(), EMPTY, EMPTY);
            (reader.bytes, writer.room) = (100 * scratch::READ, usize::MAX);
            poll_fn(|cx| {
                let (reader, writer) = (Pin::new(&mut reader), Pin::new(&mut writer));
                assert!(direction.poll(cx, reader, writer, AtEnd::Flush).is_pending());
                Poll::Ready(direction.copied)
            })
            .await
        });
        let copied = runtime.block_on(copied).unwrap() as usize;
        assert!(copied >= scratch::READ);
        assert!(copied <= BUDGET as usize * OPERATION + scratch::READ, "{copied}");
    }
}
