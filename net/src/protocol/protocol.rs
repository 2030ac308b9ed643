//! The trait of a protocol: the calls that the engine makes.

use super::context::Context;
use super::error::Error;
use crate::connection::close_reason::CloseReason;

/// What to do with what happens on one connection; see the [module](super) for an example, and for
/// the order of the calls.
///
/// Every call must return soon: it runs on a worker that others wait for. Work that blocks belongs
/// in [`spawn_blocking`](heist_scheduler::spawn_blocking), with its result sent as a message.
///
/// A panic ends this connection only.
pub trait Protocol: Send + 'static {
    /// What other tasks may send, through the [`Sender`](super::Sender) of
    /// [`Connection::inbox`](super::Connection::inbox). [`Infallible`](std::convert::Infallible)
    /// where that is nothing.
    type Message: Send + 'static;

    /// The connection is open, accepted or connected: the first call.
    fn opened(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Takes one message from the front of `input` and returns its length in bytes.
    ///
    /// Returns 0 while the message is incomplete: the engine keeps the bytes and calls again when
    /// there are more, with the same ones in front. After any other result it calls again at once
    /// with what is behind. `input` is never empty, and never longer than
    /// [`Limits::max_message`](super::Limits::max_message): returning 0 for that many ends the
    /// connection. A message that may be longer is taken in pieces.
    ///
    /// # Errors
    ///
    /// An error ends the connection, as [`close`](Context::close) does, for the reason
    /// [`CloseReason::Protocol`]: what was written before is sent, and the peer is given time to read
    /// it, up to [`Limits::linger_timeout`](super::Limits::linger_timeout), so that an answer that
    /// names the error arrives. Where no answer matters, as mostly for a client,
    /// [`abort`](Context::abort) before returning the error ends the connection at once, for the same
    /// reason.
    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error>;

    /// The output has fallen to the low watermark, after it had reached the high one.
    fn writable(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// The deadline has passed. There is none from now on, until another one is set.
    fn deadline(&mut self, cx: &mut Context<'_>) {
        let _ = cx;
    }

    /// Another task sent `message`.
    fn message(&mut self, message: Self::Message, cx: &mut Context<'_>) {
        let _ = (message, cx);
    }

    /// The server drains, and nothing of a message is half received: end what is under way, then
    /// [`close`](Context::close). Called once, after what had come until then was received.
    ///
    /// Unless this says otherwise, the connection closes once all output is sent. One that has
    /// something to finish first may close later, in another call; it is dropped at the end of the
    /// server's grace.
    fn draining(&mut self, cx: &mut Context<'_>) {
        cx.close();
    }

    /// The peer has finished sending. `rest` is what [`received`](Protocol::received) left: empty,
    /// or a message cut off.
    ///
    /// Unless this says otherwise, the connection closes once all output is sent.
    fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
        let _ = rest;
        cx.close();
    }

    /// A limit of what the peer sends ends the connection: the last chance to tell it why.
    ///
    /// `reason` is [`IdleTimeout`](CloseReason::IdleTimeout), [`HeaderTimeout`](CloseReason::HeaderTimeout),
    /// [`TooSlow`](CloseReason::TooSlow) or [`MessageTooLong`](CloseReason::MessageTooLong). What is written
    /// here is sent as before a [`close`](Context::close): the peer has
    /// [`flush_timeout`](super::Limits::flush_timeout) to take it and
    /// [`linger_timeout`](super::Limits::linger_timeout) to read it, and it is charged as all output is.
    /// Nothing else that is asked for has an effect, and of the calls to come only
    /// [`closed`](Protocol::closed) comes.
    ///
    /// A connection that is told nothing ends at once, as by default; one with a message that is too long
    /// ends behind its earlier output. A limit of time does not call this while earlier output waits,
    /// which the peer does not take, and the limits of output never do.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::protocol::{CloseReason, Context, Error, Protocol, TestHarness};
    ///
    /// struct Mail;
    ///
    /// impl Protocol for Mail {
    ///     type Message = std::convert::Infallible;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         Ok(input.len())
    ///     }
    ///
    ///     fn limit_reached(&mut self, _: &CloseReason, cx: &mut Context<'_>) {
    ///         cx.write(b"421 timeout\r\n");
    ///     }
    /// }
    ///
    /// let mut harness = TestHarness::new(Mail);
    /// harness.advance(Duration::from_secs(60));
    /// assert_eq!(harness.take_output(), b"421 timeout\r\n");
    /// assert!(matches!(harness.closed(), Some(CloseReason::IdleTimeout)));
    /// ```
    fn limit_reached(&mut self, reason: &CloseReason, cx: &mut Context<'_>) {
        let _ = (reason, cx);
    }

    /// The connection has ended: the last call. Called exactly once after `opened`, even when the
    /// connection was dropped or this protocol panicked, so that what was registered elsewhere can
    /// be taken back.
    fn closed(&mut self, reason: &CloseReason) {
        let _ = reason;
    }
}
