//! What a protocol can do in a call.

use std::io;
use std::time::Duration;

use heist_scheduler::time::Instant;

use super::actions::Actions;
use super::error::Error;

/// What a protocol can do in a call: see the time of the event, write, set a deadline, close.
///
/// It is also an [`io::Write`], for `write!` and for serializers; writing to it never fails.
#[derive(Debug)]
pub struct Context<'a> {
    pub(super) now: Instant,
    pub(super) output: &'a mut Vec<u8>,
    pub(super) actions: &'a mut Actions,
    /// How long `output` may become before the high watermark is reached.
    pub(super) capacity: usize,
}

impl Context<'_> {
    /// When the event came, as far as this connection is concerned. Use it instead of a clock.
    ///
    /// Each worker reads the clock for itself, once a turn, so for a connection that moves from one
    /// worker to another it may go back by the length of a turn. The difference of two instants is
    /// zero then, not negative.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Sends `bytes` to the peer, together with all else that is written in this turn.
    pub fn write(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Where to append what is to be sent, for encoders that fill a `Vec`.
    ///
    /// It may hold what was written for the messages before: append, and change only what you
    /// appended.
    pub fn output(&mut self) -> &mut Vec<u8> {
        self.output
    }

    /// How many bytes can be written before the high watermark is reached. At 0, more is accepted,
    /// but what can wait should wait for [`writable`](super::Protocol::writable).
    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.output.len())
    }

    /// Asks for [`deadline`](super::Protocol::deadline) to be called at that time, instead of at
    /// the one asked for before; `None` for never. Moving it later costs next to nothing.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.actions.set_deadline(deadline);
    }

    /// Asks for a deadline `duration` after [`now`](Context::now).
    pub fn set_deadline_in(&mut self, duration: Duration) {
        self.set_deadline(Some(self.now + duration));
    }

    /// Gives the protocol no more input before `until`, and reads none: for a peer that has used up
    /// its share. What it sends then fills the buffers of the sockets, until its own writes wait.
    ///
    /// Whole messages that came already wait too, so this stops the input behind the message that
    /// [`received`](super::Protocol::received) takes now. Messages of other tasks, the deadline and
    /// output go on. The time limits for what the peer sends stand still meanwhile, being idle
    /// among them. The last call counts; with [`Instant::FAR_FUTURE`] the pause ends by
    /// [`resume_reading`](Context::resume_reading) only.
    ///
    /// A peer that closes or resets is noticed only after the pause, or when output is sent: give a
    /// pause an end, or be sure of the call that resumes. A server
    /// that drains waits for the end of the pause if input is held back, and force-closes the
    /// connection at the end of its grace.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::protocol::{Context, Error, Protocol, TestHarness};
    ///
    /// /// Echoes a byte a second.
    /// struct Slow;
    ///
    /// impl Protocol for Slow {
    ///     type Message = std::convert::Infallible;
    ///
    ///     fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
    ///         cx.write(&input[..1]);
    ///         cx.pause_reading(cx.now() + Duration::from_secs(1));
    ///         Ok(1)
    ///     }
    /// }
    ///
    /// let mut harness = TestHarness::new(Slow);
    /// harness.receive(b"abc");
    /// assert_eq!(harness.take_output(), b"a");
    /// harness.advance(Duration::from_secs(1));
    /// assert_eq!(harness.take_output(), b"b");
    /// ```
    pub fn pause_reading(&mut self, until: Instant) {
        self.actions.set_pause(until);
    }

    /// Ends a pause of the input before its time.
    pub fn resume_reading(&mut self) {
        self.actions.set_pause(Instant::ZERO);
    }

    /// Closes the connection in good order: sends what was written, tells the peer that this is the
    /// end, and waits for a while until it has closed too. Of the calls to come, only
    /// [`closed`](super::Protocol::closed) comes, and input still unread is discarded.
    ///
    /// It is right whatever the peer does. Where the peer has nothing more to say,
    /// [`finish`](Context::finish) costs less.
    pub fn close(&mut self) {
        self.actions.close();
    }

    /// Closes the connection as [`close`](Context::close) does, but does not wait for the peer: the
    /// conversation is over, and the peer has nothing more to say. So it is after the answer to a
    /// whole request that is the last.
    ///
    /// What the peer sends nevertheless, and what comes too late to be read, makes the system reset
    /// the connection, and the peer may lose the end of what it was sent. So refuse with `close` a
    /// request whose body is still on its way. Input that is known to be there unread, such as
    /// another request behind the last one, is waited for as by `close`.
    pub fn finish(&mut self) {
        self.actions.finish();
    }

    /// Closes the connection at once. What was written and not sent is lost.
    pub fn abort(&mut self) {
        self.actions.abort();
    }

    /// Ends the connection as an error from [`received`](super::Protocol::received) does: as
    /// [`close`](Context::close), for the reason
    /// [`CloseReason::Protocol`](super::CloseReason::Protocol). For what is found wrong elsewhere: no
    /// answer came in time, the input ended too early.
    ///
    /// The first error counts. After an [`abort`](Context::abort) it does nothing.
    pub fn fail(&mut self, error: impl Into<Error>) {
        self.actions.fail(error.into());
    }
}

impl io::Write for Context<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
