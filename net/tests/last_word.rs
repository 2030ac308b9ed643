//! What a protocol says when a limit ends its connection.

use std::convert::Infallible;
use std::time::Duration;

use heist_net::protocol::{CloseReason, Context, Error, Limits, Protocol, TestHarness};

/// Sends each line back, and says goodbye.
#[derive(Default)]
struct Polite {
    silent: bool,
    told: usize,
    closed: usize,
}

impl Protocol for Polite {
    type Message = Infallible;

    fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
        let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
        cx.write(&input[..=end]);
        Ok(end + 1)
    }

    fn limit_reached(&mut self, reason: &CloseReason, cx: &mut Context<'_>) {
        self.told += 1;
        if !self.silent {
            cx.write(format!("goodbye: {reason}\n").as_bytes());
        }
        // None of these has an effect.
        cx.set_deadline_in(Duration::ZERO);
        cx.pause_reading(cx.now() + SECOND);
        cx.fail("late");
    }

    fn closed(&mut self, _: &CloseReason) {
        self.closed += 1;
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn polite(limits: Limits) -> TestHarness<Polite> {
    TestHarness::with_limits(Polite::default(), limits)
}

fn output(harness: &mut TestHarness<Polite>) -> String {
    String::from_utf8(harness.take_output()).unwrap()
}

#[test]
fn peer_that_is_idle_is_told_and_given_time_to_read_it() {
    let mut harness = polite(Limits::default());
    harness.stay_open();
    harness.receive(b"hello\n");
    harness.advance(60 * SECOND);
    let said = "hello\ngoodbye: nothing was read or written for too long\n";
    assert_eq!(output(&mut harness), said);
    // What comes now is discarded.
    harness.receive(b"too late\n");
    assert!(harness.closed().is_none());
    harness.advance(5 * SECOND);
    assert!(matches!(harness.closed(), Some(CloseReason::IdleTimeout)), "{:?}", harness.closed());
    assert_eq!(output(&mut harness), "");
    assert_eq!((harness.protocol().told, harness.protocol().closed), (1, 1));
}

#[test]
fn peer_that_is_too_slow_is_told() {
    let mut harness = polite(Limits { min_receive_rate: 0, ..Limits::default() });
    harness.receive(b"half a li");
    harness.advance(15 * SECOND);
    assert_eq!(output(&mut harness), "goodbye: a message did not come to its end in time\n");
    assert!(matches!(harness.closed(), Some(CloseReason::HeaderTimeout)));

    let mut harness = polite(Limits { message_timeout: 60 * SECOND, ..Limits::default() });
    harness.receive(b"half a li");
    harness.advance(15 * SECOND);
    assert_eq!(output(&mut harness), "goodbye: the peer is slower than is allowed\n");
    assert!(matches!(harness.closed(), Some(CloseReason::TooSlow)));
}

#[test]
fn message_that_is_too_long_is_answered_behind_the_answers_before_it() {
    for cut in 0..=10 {
        let mut harness = polite(Limits { max_message: 4, ..Limits::default() });
        let input = b"one\ntwo\nthree\n";
        harness.receive(&input[..cut]);
        harness.receive(&input[cut..]);
        let said = "one\ntwo\ngoodbye: a message is longer than 4 bytes\n";
        assert_eq!(output(&mut harness), said, "{cut}");
        assert!(matches!(harness.closed(), Some(CloseReason::MessageTooLong { limit: 4 })));
        assert_eq!(harness.protocol().told, 1);
    }
}

#[test]
fn connection_that_says_nothing_ends_at_once() {
    let silent = Polite { silent: true, ..Polite::default() };
    let mut harness = TestHarness::new(silent);
    harness.stay_open();
    harness.advance(60 * SECOND);
    assert!(matches!(harness.closed(), Some(CloseReason::IdleTimeout)));
    assert_eq!(harness.protocol().told, 1);
}

#[test]
fn peer_that_takes_nothing_has_no_more_time_for_a_last_word() {
    // Not called while earlier output waits.
    let limits = Limits { min_receive_rate: 0, min_send_rate: 0, ..Limits::default() };
    let mut harness = polite(limits);
    harness.block_output(0);
    harness.receive(b"hello\nhalf");
    harness.advance(15 * SECOND);
    assert!(matches!(harness.closed(), Some(CloseReason::HeaderTimeout)));
    assert_eq!(harness.protocol().told, 0);

    // Nor for the limits of output.
    let mut harness = polite(Limits::default());
    harness.block_output(0);
    harness.receive(b"hello\n");
    harness.advance(30 * SECOND);
    assert!(harness.closed().is_some());
    assert_eq!(harness.protocol().told, 0);
}

#[test]
fn last_word_that_is_not_taken_is_given_up_for_the_first_reason() {
    let mut harness = polite(Limits { flush_timeout: 7 * SECOND, ..Limits::default() });
    harness.block_output(4);
    harness.advance(60 * SECOND);
    harness.advance(6 * SECOND);
    assert!(harness.closed().is_none());
    harness.advance(SECOND);
    assert!(matches!(harness.closed(), Some(CloseReason::IdleTimeout)), "{:?}", harness.closed());
    assert_eq!(output(&mut harness), "good");
}

/// Writes at a deadline, and says how much room there is for the last word.
struct Ticking;

impl Protocol for Ticking {
    type Message = Infallible;

    fn opened(&mut self, cx: &mut Context<'_>) {
        cx.set_deadline_in(15 * SECOND);
    }

    fn received(&mut self, _: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
        Ok(0)
    }

    fn deadline(&mut self, cx: &mut Context<'_>) {
        cx.write(b"tick\n");
    }

    fn limit_reached(&mut self, _: &CloseReason, cx: &mut Context<'_>) {
        let room = cx.room();
        cx.write(format!("room for {room}\n").as_bytes());
    }
}

/// Failure: what the turn of the limit had sent was sent again.
#[test]
fn output_of_the_turn_that_reaches_a_limit_is_sent_once() {
    let limits = Limits { min_receive_rate: 0, ..Limits::default() };
    let high = limits.high_watermark;
    let mut harness = TestHarness::with_limits(Ticking, limits);
    harness.receive(b"half a li");
    harness.advance(15 * SECOND);
    let said = String::from_utf8(harness.take_output()).unwrap();
    assert_eq!(said, format!("tick\nroom for {high}\n"));
    assert!(matches!(harness.closed(), Some(CloseReason::HeaderTimeout)));
}
