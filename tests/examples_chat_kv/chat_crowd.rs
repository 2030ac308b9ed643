//! `chat` with thousands, and with one guest that never reads.

use heist_tests::hang_guard;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::guest::Guest;
use crate::program::Program;

/// The tests and the server that they start need thousands of descriptors.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn two_thousand_hear_everything_while_one_never_reads() {
    let _guard = hang_guard("two thousand");
    raise_descriptor_limit();
    let program = Program::start("chat", &["--patience", "600"]);
    let mut sloth = Guest::connect_small(&program);
    let mut crowd: Vec<Guest> = (1..2000).map(|_| Guest::connect(&program)).collect();
    let before = program.resident();
    let filler = "x".repeat(900);
    // More than the buffers on the sloth's way can hold: the system's, the connection's, the inbox.
    for round in 0..ROUNDS {
        crowd[round].send(&format!("{round} {filler}"));
        for guest in &mut crowd {
            let line = guest.said();
            let (_, said) = line.split_once(": ").unwrap_or_default();
            assert!(said.starts_with(&format!("{round} x")), "{line}");
        }
    }
    let grown = program.resident().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more after {ROUNDS} lines to 2,000");
    // It is told what it missed nothing of, in order, then why there is no more.
    let mut heard = 0;
    let last = loop {
        let line = sloth.said();
        match line.split_once(": ") {
            Some((_, said)) => assert!(said.starts_with(&format!("{heard} x")), "{line}"),
            None => break line,
        }
        heard += 1;
    };
    assert_eq!(last, "! you read too slowly and have missed something; goodbye");
    assert_eq!(sloth.said(), "");
    assert!(heard < ROUNDS, "the sloth missed nothing");
    // The others are still there, and it is not.
    assert_eq!(crowd[0].ask("/rooms"), "lobby, 1999 in it");
    assert_eq!(program.end(), "");
}

#[test]
fn reader_that_takes_too_long_is_dropped() {
    let _guard = hang_guard("patience");
    let program = Program::start("chat", &["--patience", "1", "--share", "1000000"]);
    let _sloth = Guest::connect_small(&program);
    let mut guest = Guest::connect(&program);
    let line = "x".repeat(900);
    // Until it has gone: the server reads the clock, not the test.
    loop {
        guest.send(&line);
        guest.send("/rooms");
        let answers = [guest.said(), guest.said()];
        if answers.iter().any(|answer| answer == "lobby, 1 in it") {
            break;
        }
    }
    assert_eq!(program.end(), "");
}

const ROUNDS: usize = 270;
