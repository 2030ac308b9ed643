//! What the engine does to the conversation: its bounds, and the loss of the connection.

use std::time::Duration;

use heist::protocol::TestHarness;

use super::PIECES;
use super::bytes::{TIMEOUT, half_behind, handshake, probe, report};
use super::limits::limits;
use super::scripted::message;

#[test]
fn lost_connection_is_a_failure_unless_the_peer_told_of_no_pieces() {
    let lost = |what| Some(format!("connection reset, waiting {what}"));
    let cases = [
        (vec![], lost("for its handshake")),
        (handshake()[..67].to_vec(), lost("for its handshake")),
        (handshake(), lost("for its bitfield")),
        ([handshake(), vec![0; 2]].concat(), lost("for its bitfield")),
        ([handshake(), vec![0; 4]].concat(), None),
        ([handshake(), vec![0; 6]].concat(), lost("for its bitfield")),
        (half_behind(vec![0; 4], &message(5, &[0; 3])), lost("for its bitfield")),
        ([handshake(), message(15, b"")].concat(), None),
        ([handshake(), message(14, b"")].concat(), lost("to be unchoked")),
    ];
    for (bytes, expected) in cases {
        let (probe, inbox) = probe(PIECES);
        let mut harness = TestHarness::new(probe);
        harness.receive(&bytes);
        harness.reset();
        assert_eq!(report(&inbox).failure, expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn engine_ends_no_probe_for_want_of_bytes() {
    let limits = limits(PIECES);
    let times = [limits.idle_timeout, limits.message_timeout, limits.write_timeout];
    assert_eq!(times, [Duration::MAX; 3]);
    assert_eq!((limits.min_receive_rate, limits.min_send_rate), (0, 0));
}

#[test]
fn longest_valid_message_is_within_the_limits() {
    // The payload of an unrequested block of data, and a bitfield longer than that.
    for (pieces, kind, payload) in [(PIECES, 7, 8 + 16 * 1024), (1_000_000, 5, 125_000)] {
        let (probe, inbox) = probe(pieces);
        let mut harness = TestHarness::with_limits(probe, limits(pieces));
        let bytes = message(kind, &vec![0; payload]);
        harness.receive(&handshake());
        harness.receive(&bytes[..bytes.len() - 1]);
        assert!(harness.closed().is_none(), "{:?}", harness.closed());
        harness.receive(&bytes[bytes.len() - 1..]);
        harness.advance(TIMEOUT);
        let report = report(&inbox);
        assert_eq!((report.failure, report.pieces), (None, Some(0)));
    }
}
