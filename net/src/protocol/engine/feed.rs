//! Input to a protocol, a message at a time.

use crate::connection::close_reason::CloseReason;
use crate::protocol::termination::Termination;
use crate::protocol::{Context, Protocol};

/// Why the protocol was given no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// What is left, if anything, is not a whole message.
    NeedMore,
    /// The output reached the high watermark, or the protocol wants a pause. Whole messages may be
    /// left.
    Stopped,
}

/// Gives `input` to `protocol`, at most `limit` bytes a call, until it wants no more of it, and
/// counts in `consumed` what it took.
#[inline(always)]
pub(super) fn feed<P: Protocol>(
    protocol: &mut P,
    input: &[u8],
    consumed: &mut usize,
    limit: usize,
    cx: &mut Context<'_>,
) -> Result<Fed, Box<Termination>> {
    let mut rest = input;
    while !rest.is_empty() {
        if cx.room() == 0 || cx.actions.wants_pause(cx.now) {
            return Ok(Fed::Stopped);
        }
        // However the bytes were cut, a protocol never sees more than a message may have.
        let visible = &rest[..rest.len().min(limit)];
        let taken = match protocol.received(visible, cx) {
            Ok(taken) => taken,
            Err(error) => return Err(cx.actions.failed(error)),
        };
        assert!(
            taken <= visible.len(),
            "Protocol::received took {taken} bytes of {}: return the length of the message",
            visible.len(),
        );
        rest = &rest[taken..];
        *consumed += taken;
        cx.actions.check_close()?;
        match taken {
            // What is left is looked at again when the pause is over.
            0 if cx.actions.wants_pause(cx.now) => return Ok(Fed::Stopped),
            0 if visible.len() == limit => {
                return Err(Termination::graceful(CloseReason::MessageTooLong { limit }));
            }
            0 => return Ok(Fed::NeedMore),
            _ => {}
        }
    }
    Ok(if cx.actions.wants_pause(cx.now) { Fed::Stopped } else { Fed::NeedMore })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Error, Limits, TestHarness};

    /// A length byte, then so many bytes, which are sent back.
    struct Framed;

    impl Protocol for Framed {
        type Message = std::convert::Infallible;

        fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
            let length = 1 + usize::from(input[0]);
            if length == 1 {
                return Err("an empty frame".into());
            }
            match input.get(1..length) {
                Some(frame) => cx.write(frame),
                None => return Ok(0),
            }
            Ok(length)
        }
    }

    const FRAMES: &[u8] = b"\x03abc\x01d\x05efghi\x02jk";

    #[test]
    fn output_is_the_same_wherever_the_input_is_cut() {
        for first in 0..=FRAMES.len() {
            for second in first..=FRAMES.len() {
                let mut harness = TestHarness::new(Framed);
                harness.receive(&FRAMES[..first]);
                harness.receive(&FRAMES[first..second]);
                harness.receive(&FRAMES[second..]);
                assert_eq!(harness.take_output(), b"abcdefghijk", "{first} {second}");
            }
        }
    }

    #[test]
    fn message_of_the_greatest_length_passes_and_a_longer_one_does_not() {
        let limits = || Limits { max_message: 4, ..Limits::default() };
        for cut in 0..=4 {
            let mut harness = TestHarness::with_limits(Framed, limits());
            harness.receive(&b"\x03abc"[..cut]);
            harness.receive(&b"\x03abc"[cut..]);
            assert_eq!(harness.take_output(), b"abc");
        }
        // Also when it comes whole: whether it is too long does not depend on how it is cut.
        for cut in 0..=5 {
            let mut harness = TestHarness::with_limits(Framed, limits());
            harness.receive(&b"\x04abcd"[..cut]);
            harness.receive(&b"\x04abcd"[cut..]);
            assert!(harness.take_output().is_empty());
            assert!(matches!(harness.closed(), Some(CloseReason::MessageTooLong { limit: 4 })));
        }
    }

    #[test]
    fn error_keeps_the_answers_before_it_and_ends_the_calls() {
        let mut harness = TestHarness::new(Framed);
        harness.receive(b"\x01a\0\x01b");
        assert_eq!(harness.take_output(), b"a");
        let reason = harness.closed().unwrap().to_string();
        assert!(reason.contains("an empty frame"), "{reason}");
        harness.receive(b"\x01c");
        assert!(harness.take_output().is_empty());
    }

    #[test]
    fn error_after_an_abort_ends_at_once_for_its_own_reason() {
        struct Client;
        impl Protocol for Client {
            type Message = std::convert::Infallible;

            fn received(&mut self, _: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
                cx.abort();
                Err("garbage".into())
            }
        }
        let mut output = Vec::new();
        let mut actions = Default::default();
        let now = heist_scheduler::time::Instant::ZERO;
        let mut cx = Context { now, output: &mut output, actions: &mut actions, capacity: 4 };
        let termination = feed(&mut Client, b"x", &mut 0, 64, &mut cx).unwrap_err();
        assert!(
            matches!(*termination, Termination::Immediate(CloseReason::Protocol(_))),
            "{termination:?}"
        );
    }

    #[test]
    fn full_output_stops_the_input_between_two_messages() {
        let mut output = Vec::new();
        let mut actions = Default::default();
        let now = heist_scheduler::time::Instant::ZERO;
        let mut cx = Context { now, output: &mut output, actions: &mut actions, capacity: 4 };
        let mut consumed = 0;
        let fed = feed(&mut Framed, FRAMES, &mut consumed, 64, &mut cx).unwrap();
        assert_eq!((fed, consumed), (Fed::Stopped, 6));
        assert_eq!(output, b"abcd");
    }
}
