//! A protocol without a socket, for its tests.

use std::time::Duration;

use heist_scheduler::time::Instant;

use super::context::Orders;
use super::feed::{Fed, feed};
use super::limits::Limits;
use super::{Context, Protocol, Stop};
use crate::connection::close_reason::CloseReason;

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
    closed: Option<CloseReason>,
    limits: Limits,
    /// Until when the protocol wants no input.
    paused_until: Option<Instant>,
    /// There is input, or its end, that the protocol did not see for a pause.
    unfed: bool,
    /// The peer has finished sending, of which the protocol was not told yet.
    ended: bool,
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
            paused_until: None,
            unfed: false,
            ended: false,
        };
        rehearsal.play(|protocol, cx| protocol.opened(cx));
        rehearsal
    }

    /// The peer sends `bytes`.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.feed();
    }

    /// The peer finishes sending.
    pub fn close_input(&mut self) {
        self.ended = true;
        if self.is_paused() {
            self.unfed = true;
        } else {
            self.end_input();
        }
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
        let due = |at: &Instant| *at <= end;
        while let Some(next) = self.paused_until.into_iter().chain(self.deadline).filter(due).min()
        {
            // One that is set for a time that has passed comes now.
            self.now = self.now.max(next);
            // Input comes before the deadline.
            if self.unfed {
                self.feed();
            }
            self.paused_until = self.paused_until.filter(|until| *until > self.now);
            if self.deadline.is_some_and(|deadline| deadline <= self.now) {
                self.deadline = None;
                self.play(|protocol, cx| protocol.deadline(cx));
            }
        }
        self.now = end;
    }

    /// Gives the protocol what came, unless it wants a pause.
    fn feed(&mut self) {
        self.unfed = self.is_paused();
        if self.unfed {
            return;
        }
        self.paused_until = None;
        let (mut input, limit) = (std::mem::take(&mut self.input), self.limits.message());
        let (mut consumed, mut stopped) = (0, false);
        self.try_play(|protocol, cx| {
            let fed = feed(protocol, &input, &mut consumed, limit, cx)?;
            stopped = fed == Fed::Stopped;
            Ok(())
        });
        input.drain(..consumed);
        self.input = input;
        self.unfed = stopped && self.closed.is_none();
        if self.ended && !self.unfed {
            self.end_input();
        }
    }

    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| until > self.now)
    }

    fn end_input(&mut self) {
        self.ended = false;
        let rest = std::mem::take(&mut self.input);
        self.play(|protocol, cx| protocol.input_closed(&rest, cx));
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
    pub fn closed(&self) -> Option<&CloseReason> {
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
        if self.unfed && !self.is_paused() {
            self.feed();
        }
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
        self.paused_until = orders.take_pause().or(self.paused_until);
        if let Err(stop) = outcome.and(orders.go_on()) {
            self.end(stop.into_reason());
        }
    }

    fn end(&mut self, reason: CloseReason) {
        (self.deadline, self.paused_until) = (None, None);
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

    /// A byte at a time, with a pause of a second behind each; a message ends the pause.
    struct Slow;

    impl Protocol for Slow {
        type Message = ();

        fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            cx.write(&input[..1]);
            cx.pause_reading(cx.now() + Duration::from_secs(1));
            Ok(1)
        }

        fn message(&mut self, (): (), cx: &mut Context<'_>) {
            cx.write(b"resumed ");
            cx.resume_reading();
        }

        fn input_closed(&mut self, rest: &[u8], cx: &mut Context<'_>) {
            cx.write(rest);
            cx.write(b"end");
        }
    }

    #[test]
    fn paused_input_waits_for_its_time_or_for_the_protocol() {
        let mut rehearsal = Rehearsal::new(Slow);
        rehearsal.receive(b"ab");
        rehearsal.receive(b"cd");
        rehearsal.pass(Duration::from_millis(999));
        assert_eq!(rehearsal.take_output(), b"a");
        rehearsal.pass(Duration::from_millis(1));
        assert_eq!(rehearsal.take_output(), b"b");
        rehearsal.message(());
        assert_eq!(rehearsal.take_output(), b"resumed c");
        rehearsal.close_input();
        assert_eq!(rehearsal.take_output(), b"");
        rehearsal.pass(Duration::from_secs(9));
        assert_eq!(rehearsal.take_output(), b"dend");
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
        assert!(matches!(closed, CloseReason::Protocol(error) if error.to_string() == "no answer"));
    }

    #[test]
    fn rest_of_the_input_is_seen_at_its_end_and_nothing_after() {
        let mut rehearsal = Rehearsal::new(Diary);
        rehearsal.writable();
        rehearsal.receive(b"abcd");
        rehearsal.close_input();
        assert_eq!(rehearsal.take_output(), b"opened writable abcddd");
        assert!(matches!(rehearsal.closed(), Some(CloseReason::Finished)));
        rehearsal.receive(b"abc");
        rehearsal.writable();
        rehearsal.pass(Duration::from_secs(1));
        assert!(rehearsal.take_output().is_empty());
    }
}
