//! A protocol without a socket, for its tests.

use std::time::Duration;

use heist_scheduler::time::Instant;

use super::closed::Closed;
use super::context::Orders;
use super::feed::feed;
use super::limits::Limits;
use super::{Context, Protocol, Stop};

/// Plays a protocol without a socket and without waiting, to test it.
///
/// It calls the protocol in the order in which a [`Connection`](super::Connection) does. Time
/// stands still until it is told to [`pass`](Rehearsal::pass), and the peer reads everything at
/// once; no time limit of the connection's is in force. After the end, what happens is ignored.
///
/// See the [module](super) for an example.
#[derive(Debug)]
pub struct Rehearsal<P> {
    protocol: P,
    now: Instant,
    deadline: Option<Instant>,
    input: Vec<u8>,
    output: Vec<u8>,
    closed: Option<Closed>,
    limits: Limits,
}

impl<P: Protocol> Rehearsal<P> {
    /// Opens the connection.
    pub fn new(protocol: P) -> Rehearsal<P> {
        Rehearsal::with_limits(protocol, Limits::default())
    }

    /// Opens the connection with other bounds than the default ones.
    pub fn with_limits(protocol: P, limits: Limits) -> Rehearsal<P> {
        let mut rehearsal = Rehearsal {
            protocol,
            now: Instant::ZERO,
            deadline: None,
            input: Vec::new(),
            output: Vec::new(),
            closed: None,
            limits,
        };
        rehearsal.play(|protocol, cx| protocol.opened(cx));
        rehearsal
    }

    /// The peer sends `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut consumed = 0;
        let limit = self.limits.message();
        self.try_play(|protocol, cx| feed(protocol, &input, &mut consumed, limit, cx).map(drop));
        input.drain(..consumed);
        self.input = input;
    }

    /// The peer finishes sending.
    pub fn close_input(&mut self) {
        let rest = std::mem::take(&mut self.input);
        self.play(|protocol, cx| protocol.input_closed(&rest, cx));
    }

    /// Another task sends `message`.
    pub fn message(&mut self, message: P::Message) {
        self.play(|protocol, cx| protocol.message(message, cx));
    }

    /// The peer has read all output, after so much had waited that the high watermark was reached.
    pub fn writable(&mut self) {
        self.play(|protocol, cx| protocol.writable(cx));
    }

    /// The server drains, and nothing is half received.
    pub fn drain(&mut self) {
        self.play(|protocol, cx| protocol.draining(cx));
    }

    /// Lets `duration` pass, and each deadline in it.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= end) {
            // One that is set for a time that has passed comes now.
            self.now = self.now.max(deadline);
            self.deadline = None;
            self.play(|protocol, cx| protocol.deadline(cx));
        }
        self.now = end;
    }

    /// Takes what the protocol has written since it was taken last.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The deadline that the protocol asked for.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The present time; begins at zero.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Why the connection ended, if it has.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    fn play(&mut self, event: impl FnOnce(&mut P, &mut Context<'_>)) {
        self.try_play(|protocol, cx| {
            event(protocol, cx);
            Ok(())
        });
    }

    fn try_play(&mut self, event: impl FnOnce(&mut P, &mut Context<'_>) -> Result<(), Stop>) {
        if self.closed.is_some() {
            return;
        }
        let mut orders = Orders::default();
        let mut cx = Context {
            now: self.now,
            output: &mut self.output,
            orders: &mut orders,
            capacity: usize::MAX,
        };
        let outcome = event(&mut self.protocol, &mut cx);
        if let Some(deadline) = orders.take_deadline() {
            self.deadline = deadline;
        }
        if let Err(stop) = outcome.and(orders.go_on()) {
            self.end(stop.into_reason());
        }
    }

    fn end(&mut self, reason: Closed) {
        self.deadline = None;
        self.protocol.closed(&reason);
        self.closed = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Error;

    /// Writes down what happens to it; a message sets a deadline so many seconds away.
    struct Diary;

    impl Protocol for Diary {
        type Message = u64;

        fn opened(&mut self, cx: &mut Context<'_>) {
            cx.write(b"opened ");
        }

        fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            cx.write(input);
            Ok(if input.len() < 3 { 0 } else { 3 })
        }

        fn writable(&mut self, cx: &mut Context<'_>) {
            cx.write(b"writable ");
        }

        fn deadline(&mut self, cx: &mut Context<'_>) {
            cx.write(format!("deadline at {} ", cx.now().as_nanos() / 1_000_000_000).as_bytes());
        }

        fn message(&mut self, seconds: u64, cx: &mut Context<'_>) {
            cx.set_deadline_in(Duration::from_secs(seconds));
        }

        fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
            cx.write(rest);
            cx.close();
        }
    }

    #[test]
    fn deadline_comes_at_its_time_and_once() {
        let mut rehearsal = Rehearsal::new(Diary);
        rehearsal.message(3);
        rehearsal.message(5);
        rehearsal.pass(Duration::from_secs(4));
        assert_eq!(rehearsal.take_output(), b"opened ");
        rehearsal.pass(Duration::from_secs(4));
        assert_eq!(rehearsal.take_output(), b"deadline at 5 ");
        assert_eq!((rehearsal.deadline(), rehearsal.now().as_nanos()), (None, 8_000_000_000));
    }

    #[test]
    fn failure_in_any_call_ends_with_its_first_reason_after_the_output() {
        struct Impatient;
        impl Protocol for Impatient {
            type Message = std::convert::Infallible;

            fn opened(&mut self, cx: &mut Context<'_>) {
                cx.set_deadline_in(Duration::from_secs(1));
            }

            fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
                Ok(input.len())
            }

            fn deadline(&mut self, cx: &mut Context<'_>) {
                cx.write(b"bye");
                cx.close();
                cx.fail("no answer");
                cx.fail("something else");
            }
        }
        let mut rehearsal = Rehearsal::new(Impatient);
        rehearsal.pass(Duration::from_secs(1));
        assert_eq!(rehearsal.take_output(), b"bye");
        let closed = rehearsal.closed().unwrap();
        assert!(matches!(closed, Closed::Protocol(error) if error.to_string() == "no answer"));
    }

    #[test]
    fn rest_of_the_input_is_seen_at_its_end_and_nothing_after() {
        let mut rehearsal = Rehearsal::new(Diary);
        rehearsal.writable();
        rehearsal.receive(b"abcd");
        rehearsal.close_input();
        assert_eq!(rehearsal.take_output(), b"opened writable abcddd");
        assert!(matches!(rehearsal.closed(), Some(Closed::Finished)));
        rehearsal.receive(b"abc");
        rehearsal.writable();
        rehearsal.pass(Duration::from_secs(1));
        assert!(rehearsal.take_output().is_empty());
    }
}
