//! The harness, by protocols that write down what happens to them.

use std::convert::Infallible;
use std::io;

use super::*;
use crate::protocol::{Context, Error};

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
    let mut harness = TestHarness::new(Diary);
    harness.message(3);
    harness.message(5);
    harness.advance(Duration::from_secs(4));
    assert_eq!(harness.take_output(), b"opened ");
    harness.advance(Duration::from_secs(4));
    assert_eq!(harness.take_output(), b"deadline at 5 ");
    assert_eq!((harness.deadline(), harness.now().as_nanos()), (None, 8_000_000_000));
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
    let mut harness = TestHarness::new(Slow);
    harness.receive(b"ab");
    harness.receive(b"cd");
    harness.advance(Duration::from_millis(999));
    assert_eq!(harness.take_output(), b"a");
    harness.advance(Duration::from_millis(1));
    assert_eq!(harness.take_output(), b"b");
    harness.message(());
    assert_eq!(harness.take_output(), b"resumed c");
    harness.close_input();
    assert_eq!(harness.take_output(), b"");
    harness.advance(Duration::from_secs(9));
    assert_eq!(harness.take_output(), b"dend");
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
    let mut harness = TestHarness::new(Impatient);
    harness.advance(Duration::from_secs(1));
    assert_eq!(harness.take_output(), b"bye");
    let closed = harness.closed().unwrap();
    assert!(matches!(closed, CloseReason::Protocol(error) if error.to_string() == "no answer"));
}

#[test]
fn rest_of_the_input_is_seen_at_its_end_and_nothing_after() {
    let mut harness = TestHarness::new(Diary);
    harness.receive(b"abcd");
    harness.close_input();
    assert_eq!(harness.take_output(), b"opened abcddd");
    assert!(matches!(harness.closed(), Some(CloseReason::Finished)));
    harness.receive(b"abc");
    harness.unblock_output();
    harness.advance(Duration::from_secs(1));
    assert!(harness.take_output().is_empty());
}

/// Failure: the harness called `writable` when it was told to, and never held anything back.
#[test]
fn blocked_output_stops_input_and_messages_until_it_has_fallen() {
    let limits = Limits { high_watermark: 13, low_watermark: 4, ..Limits::default() };
    let mut harness = TestHarness::with_limits(Diary, limits);
    assert_eq!(harness.take_output(), b"opened ");
    harness.block_output(2);
    for bytes in [b"abc", b"def", b"ghi", b"jkl", b"mno", b"pqr"] {
        harness.receive(bytes);
    }
    harness.message(9);
    assert_eq!((harness.take_output(), harness.deadline()), (b"ab".to_vec(), None));
    harness.unblock_output();
    assert_eq!(harness.take_output().escape_ascii().to_string(), "cdefghijklmnowritable pqr");
    assert!(harness.deadline().is_some());
}

/// Failure: no limit of a connection was in force in a test.
#[test]
fn limits_are_in_force_on_the_virtual_clock() {
    let minute = Duration::from_secs(60);
    let mut idle = TestHarness::new(Diary);
    idle.advance(minute - Duration::from_millis(2));
    assert!(idle.closed().is_none());
    idle.advance(Duration::from_millis(2));
    assert!(matches!(idle.closed(), Some(CloseReason::IdleTimeout)));

    let mut slow = TestHarness::new(Diary);
    slow.receive(b"a");
    slow.advance(Duration::from_secs(10));
    assert!(slow.closed().is_none());
    slow.advance(Duration::from_secs(1));
    assert!(matches!(slow.closed(), Some(CloseReason::TooSlow)), "{:?}", slow.closed());

    let no_rates = Limits { min_receive_rate: 0, min_send_rate: 0, ..Limits::default() };
    let mut partial = TestHarness::with_limits(Diary, no_rates.clone());
    partial.receive(b"a");
    partial.advance(Duration::from_secs(15));
    assert!(matches!(partial.closed(), Some(CloseReason::HeaderTimeout)));

    let mut deaf = TestHarness::with_limits(Diary, no_rates);
    deaf.block_output(0);
    deaf.receive(b"abc");
    deaf.advance(Duration::from_secs(30));
    assert!(matches!(deaf.closed(), Some(CloseReason::WriteTimeout)));
}

#[test]
fn lost_connection_is_told_to_the_protocol() {
    /// Keeps why it ended.
    struct Last(std::sync::mpsc::Sender<Option<io::ErrorKind>>);

    impl Protocol for Last {
        type Message = std::convert::Infallible;

        fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
            Ok(input.len())
        }

        fn closed(&mut self, reason: &CloseReason) {
            let kind = match reason {
                CloseReason::Lost(error) => Some(error.kind()),
                _ => None,
            };
            self.0.send(kind).unwrap();
        }
    }
    let (sender, closed) = std::sync::mpsc::channel();
    let mut harness = TestHarness::new(Last(sender.clone()));
    harness.receive(b"abc");
    harness.reset();
    assert_eq!(closed.try_recv(), Ok(Some(io::ErrorKind::ConnectionReset)));
    drop(harness);
    assert!(closed.try_recv().is_err(), "it was told twice");

    drop(TestHarness::new(Last(sender)));
    assert_eq!(closed.try_recv(), Ok(None));
}

#[test]
fn closing_connection_waits_for_the_peer_up_to_its_limits() {
    /// Says goodbye to each byte.
    struct Goodbye;

    impl Protocol for Goodbye {
        type Message = std::convert::Infallible;

        fn received(&mut self, _: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            cx.write(b"bye");
            cx.close();
            Ok(1)
        }
    }
    let closing = || {
        let mut harness = TestHarness::new(Goodbye);
        harness.stay_open();
        harness.receive(b"abc");
        assert_eq!(harness.take_output(), b"bye");
        assert!(harness.closed().is_none());
        harness
    };
    let finished =
        |harness: &TestHarness<Goodbye>| matches!(harness.closed(), Some(CloseReason::Finished));
    let mut patient = closing();
    patient.advance(Duration::from_secs(5));
    assert!(finished(&patient));
    let mut answered = closing();
    answered.close_input();
    assert!(finished(&answered));
    let mut flooded = closing();
    flooded.receive(&vec![0; 300 << 10]);
    assert!(finished(&flooded));

    let mut deaf = TestHarness::new(Goodbye);
    deaf.block_output(1);
    deaf.receive(b"a");
    deaf.advance(Duration::from_secs(30));
    assert_eq!(deaf.take_output(), b"b");
    assert!(matches!(deaf.closed(), Some(CloseReason::FlushTimeout)));
}

#[test]
fn drain_waits_for_a_message_that_is_half_there() {
    let mut idle = TestHarness::new(Diary);
    idle.drain();
    assert!(matches!(idle.closed(), Some(CloseReason::IdleDrained)));

    let mut busy = TestHarness::new(Diary);
    busy.receive(b"ab");
    busy.drain();
    assert!(busy.closed().is_none());
    busy.receive(b"c");
    assert!(matches!(busy.closed(), Some(CloseReason::Drained)), "{:?}", busy.closed());
}

#[test]
fn messages_of_a_sender_are_taken_and_an_abort_ends_the_connection() {
    let mut harness = TestHarness::new(Diary);
    let sender = harness.inbox();
    sender.try_send(7).unwrap();
    harness.advance(Duration::ZERO);
    assert_eq!(harness.deadline(), Some(Instant::ZERO + Duration::from_secs(7)));
    sender.abort();
    harness.advance(Duration::ZERO);
    assert!(matches!(harness.closed(), Some(CloseReason::Aborted)));
    assert!(sender.is_closed());
}

/// Failure: a last word had the room that was left before the turn of the limit had sent anything.
#[test]
fn last_word_has_all_the_room_once_earlier_output_was_taken() {
    struct Room;

    impl Protocol for Room {
        type Message = Infallible;

        fn received(&mut self, _: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            cx.write(b"hello\n");
            Ok(0)
        }

        fn limit_reached(&mut self, _: &CloseReason, cx: &mut Context<'_>) {
            let room = cx.room();
            cx.write(format!("room for {room}\n").as_bytes());
        }
    }

    let limits = Limits { min_receive_rate: 0, min_send_rate: 0, ..Limits::default() };
    let (high, time) = (limits.high_watermark, limits.message_timeout);
    let mut harness = TestHarness::with_limits(Room, limits);
    harness.block_output(0);
    harness.receive(b"half a li");
    // The peer takes the output in the turn of the limit, and not before.
    harness.shell.advance_to(harness.now() + time);
    harness.unblock_output();
    let said = String::from_utf8(harness.take_output()).unwrap();
    assert_eq!(said, format!("hello\nroom for {high}\n"));
}
