//! The conversation without sockets and without waiting.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use heist::protocol::TestHarness;
use heist::time::Instant;

use super::PIECES;
use super::limits::limits;
use super::scripted::message;
use crate::probe::{Event, Probe, Report};
use crate::wire;

const HASH: [u8; 20] = *b"the hash of the data";
const THEIRS: &[u8; 20] = b"-TR3000-abcdefghijkl";
pub(super) const TIMEOUT: Duration = Duration::from_secs(45);

pub(super) fn probe(pieces: usize) -> (Probe, Receiver<Event>) {
    let (events, inbox) = channel();
    let address = "127.0.0.1:6881".parse().unwrap();
    let probe = Probe::new(address, HASH, pieces, *b"-HE0100-000000000000", events);
    (probe.connected(Instant::ZERO, TIMEOUT), inbox)
}

fn new_harness() -> (TestHarness<Probe>, Receiver<Event>) {
    let (probe, inbox) = probe(PIECES);
    (TestHarness::with_limits(probe, limits(PIECES)), inbox)
}

pub(super) fn report(inbox: &Receiver<Event>) -> Report {
    let reports: Vec<_> = inbox
        .try_iter()
        .filter_map(|event| match event {
            Event::Ended(report) => Some(report),
            Event::Reached(_) | Event::Shortage(_) => None,
        })
        .collect();
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports.into_iter().next().unwrap()
}

fn failure(bytes: &[u8]) -> String {
    let (mut harness, inbox) = new_harness();
    harness.receive(bytes);
    assert!(harness.closed().is_some(), "it goes on after {}", bytes.escape_ascii());
    report(&inbox).failure.unwrap()
}

pub(super) fn handshake() -> Vec<u8> {
    wire::handshake(&HASH, THEIRS)
}

#[test]
fn whole_conversation_is_the_same_wherever_it_is_cut() {
    let bytes = [
        handshake(),
        vec![0; 4],           // keep-alive
        message(20, b"what"), // of an extension
        message(5, &[0b1010_0000, 0, 0b0000_1000]),
        message(4, &[0, 0, 0, 1]),
        message(4, &[0, 0, 0, 1]), // once more
        message(1, b""),
    ]
    .concat();
    // The probe aborts at the unchoke, which loses what it writes in the same turn.
    let unchoke = bytes.len() - message(1, b"").len();
    for cut in 0..=bytes.len() {
        let (mut harness, inbox) = new_harness();
        harness.receive(&bytes[..cut.min(unchoke)]);
        harness.receive(&bytes[cut.min(unchoke)..cut.max(unchoke)]);
        harness.receive(&bytes[cut.max(unchoke)..]);
        let said = harness.take_output();
        assert_eq!((said.len(), &said[68..]), (73, &[0, 0, 0, 1, 2][..]), "cut at {cut}");
        let report = report(&inbox);
        assert_eq!(report.failure, None, "cut at {cut}");
        assert_eq!(report.client.as_deref(), Some("Transmission 3000"));
        assert_eq!(report.pieces, Some(4));
        assert!(report.reached.iter().all(Option::is_some));
    }
}

#[test]
fn peer_without_bitfield_tells_what_it_has_one_by_one() {
    let (mut harness, inbox) = new_harness();
    harness.receive(&[handshake(), message(4, &[0, 0, 0, 20])].concat());
    harness.advance(Duration::from_secs(10));
    harness.receive(&message(1, b""));
    let report = report(&inbox);
    assert_eq!((report.failure, report.pieces), (None, Some(1)));
    assert_eq!(report.reached[3], Some(Duration::from_secs(10)));
}

#[test]
fn unchoke_before_the_bitfield_counts_unless_it_is_taken_back() {
    for (taken_back, done) in [(false, true), (true, false)] {
        let (mut harness, _inbox) = new_harness();
        harness.receive(&[handshake(), message(1, b"")].concat());
        if taken_back {
            harness.receive(&message(0, b""));
        }
        harness.receive(&message(5, &[0xff, 0xff, 0xf8]));
        assert_eq!(harness.closed().is_some(), done);
    }
}

#[test]
fn what_is_wrong_is_said_at_the_first_byte_that_is_wrong() {
    assert_eq!(failure(b"H"), "it does not speak BitTorrent");
    assert_eq!(failure(b"\x13BitTorrent protocoL"), "it does not speak BitTorrent");
    let other = wire::handshake(b"the hash of the rest", THEIRS);
    assert_eq!(failure(&other[..48]), "it answered with the info-hash of another torrent");

    let after = |bytes: &[u8]| failure(&[&handshake(), bytes].concat());
    assert_eq!(after(&[0xff; 4]), "it announced a message of 4294967295 bytes");
    assert_eq!(after(&message(5, &[0xff; 2])), "its bitfield has 2 bytes, not 3");
    assert_eq!(after(&message(5, &[0xff; 4])), "its bitfield has 4 bytes, not 3");
    assert_eq!(after(&message(5, &[0, 0, 4])), "its bitfield has pieces beyond the last");
    assert_eq!(after(&message(4, &[0, 0, 0, 21])), "it has piece 21 of 21");
    assert_eq!(after(&message(4, &[1])), "its `have` is not 4 bytes long");
    assert_eq!(after(&message(1, &[1])), "its `choke` or `unchoke` has a payload");
}

/// A handshake, `first`, and `second` without its last byte.
pub(super) fn half_behind(first: Vec<u8>, second: &[u8]) -> Vec<u8> {
    [handshake(), first, second[..second.len() - 1].to_vec()].concat()
}

#[test]
fn time_is_for_all_of_it_and_what_it_waited_for_is_said() {
    let pieces = message(5, &[0xff, 0, 0]);
    let cases = [
        (vec![], "timed out waiting for its handshake"),
        (handshake()[..67].to_vec(), "timed out waiting for its handshake"),
        ([handshake(), pieces[..6].to_vec()].concat(), "timed out waiting for its bitfield"),
        (half_behind(vec![0; 4], &pieces), "timed out waiting for its bitfield"),
        (half_behind(message(20, b"what"), &pieces), "timed out waiting for its bitfield"),
        (half_behind(message(15, b""), &pieces), "timed out waiting for its bitfield"),
        (half_behind(message(1, b""), &message(4, &[0; 4])), "timed out waiting for its bitfield"),
        ([handshake(), pieces].concat(), "timed out waiting to be unchoked"),
    ];
    for (bytes, expected) in cases {
        let (mut harness, inbox) = new_harness();
        harness.receive(&bytes);
        for _ in 1..TIMEOUT.as_secs() {
            harness.advance(Duration::from_secs(1));
            // Keep-alives do not lengthen it.
            harness.receive(if expected.ends_with("unchoked") { &[0; 4] } else { b"" });
        }
        assert!(harness.closed().is_none(), "{expected}");
        harness.advance(Duration::from_secs(1));
        assert_eq!(report(&inbox).failure.unwrap(), expected);
    }
}

/// Failure: a peer without pieces, which needs no bitfield to say so, was "timed out".
#[test]
fn peer_without_pieces_is_a_result() {
    let cases: [(&str, Vec<u8>, bool); 9] = [
        ("silence", vec![], false),
        ("keep-alives", vec![0; 8], false),
        ("an extended handshake", message(20, b"\0d1:md11:ut_metadatai1eee"), false),
        ("unchoke", message(1, b""), true),
        ("unchoke and choke", [message(1, b""), message(0, b"")].concat(), false),
        ("have none", message(15, b""), false),
        ("a bitfield of none", message(5, &[0; 3]), false),
        ("a port", message(9, &[0x1a, 0xe1]), false),
        ("a keep-alive and half of one", vec![0; 6], false),
    ];
    for (name, bytes, unchoked) in cases {
        let (mut harness, inbox) = new_harness();
        harness.advance(Duration::from_secs(2));
        harness.receive(&[handshake(), bytes].concat());
        harness.advance(Duration::from_secs(9));
        assert!(harness.closed().is_none(), "{name}: a bitfield may be on its way");
        harness.advance(TIMEOUT);
        let report = report(&inbox);
        assert_eq!((report.failure, report.pieces), (None, Some(0)), "{name}");
        let at = unchoked.then_some(Duration::from_secs(2));
        assert_eq!(report.reached[3], at, "{name}");
        assert_eq!(harness.take_output().len(), 68, "{name}: nothing there is of interest");
    }
}

#[test]
fn peer_that_leaves_after_it_told_of_no_pieces_is_a_result() {
    let (mut harness, inbox) = new_harness();
    harness.receive(&[handshake(), message(20, b"\0de")].concat());
    harness.close_input();
    let report = report(&inbox);
    assert_eq!((report.failure, report.pieces), (None, Some(0)));
}

#[test]
fn late_pieces_count_while_there_is_time() {
    let told: [(Vec<u8>, usize); 3] =
        [(message(4, &[0; 4]), 1), (message(14, b""), PIECES), (message(5, &[0, 0, 8]), 1)];
    for (bytes, pieces) in told {
        let (mut harness, inbox) = new_harness();
        harness.receive(&[handshake(), message(15, b""), message(1, b"")].concat());
        harness.advance(Duration::from_secs(9));
        harness.receive(&bytes);
        let report = report(&inbox);
        assert_eq!((report.failure, report.pieces), (None, Some(pieces)));
    }
}

/// Failure: the wait for a bitfield ends while a long one is arriving.
#[test]
fn bitfield_that_arrives_slowly_has_all_the_time_there_is() {
    let (mut harness, inbox) = new_harness();
    harness.receive(&handshake());
    for byte in message(5, &[0xff, 0, 0]) {
        harness.advance(Duration::from_secs(4));
        harness.receive(&[byte]);
    }
    harness.receive(&message(1, b""));
    let report = report(&inbox);
    assert_eq!((report.failure, report.pieces), (None, Some(8)));
}

#[test]
fn early_close_says_where_it_happened() {
    let (mut harness, inbox) = new_harness();
    harness.receive(&handshake()[..20]);
    harness.close_input();
    let expected = "it closed the connection, inside a message, waiting for its handshake";
    assert_eq!(report(&inbox).failure.unwrap(), expected);

    let (mut harness, inbox) = new_harness();
    harness.receive(&handshake());
    harness.close_input();
    let expected = "it closed the connection, waiting for its bitfield";
    assert_eq!(report(&inbox).failure.unwrap(), expected);
}
