//! Events that come in unusual ways: nothing to read, urgent data, both directions at once.

use std::io::Write;

use heist_tests::hang_guard;
use rustix::net::{SendFlags, send};
use rustix::process::Signal;

use crate::guest::Guest;
use crate::program::Program;

#[test]
fn server_speaks_first() {
    let _guard = hang_guard("first word");
    let program = Program::start("chat", &[]);
    // Not a byte is sent: `connect` waits for the greeting.
    let mut guests = [(); 3].map(|()| Guest::connect(&program));
    // And the first event of a connection may be that others write to it.
    assert_eq!(guests[2].ask("hello"), "guest3: hello");
    assert_eq!(guests[0].said(), "guest3: hello");
}

#[test]
fn events_that_bring_no_line_do_nothing() {
    let _guard = hang_guard("false events");
    let program = Program::start("chat", &[]);
    let mut guest = Guest::connect_as(&program, "bob");
    let mut other = Guest::connect_as(&program, "alice");
    guest.stream.set_nodelay(true).unwrap();
    for byte in "slow".bytes() {
        guest.stream.write_all(&[byte]).unwrap();
        // The server has had its event by the time it answers another guest.
        assert_eq!(other.ask("/who"), "In lobby: bob, alice");
    }
    // An event of another kind, in the middle of a line: the byte is data like any other.
    send(&guest.stream, b"l", SendFlags::OOB).unwrap();
    guest.stream.write_all(b"y\n").unwrap();
    assert_eq!(other.said(), "bob: slowly");
}

#[test]
fn both_directions_in_one_event_lose_nothing() {
    let _guard = hang_guard("both directions");
    let program = Program::start("chat", &["--patience", "600", "--share", "1000000"]);
    let mut bob = Guest::connect_as(&program, "bob");
    let mut alice = Guest::connect_small(&program);
    bob.line_after("joined lobby");
    // Until the socket takes no more, and the server keeps some of it.
    let (mut lines, mut unchanged, mut queued) = (0, 0, 0);
    while unchanged < 3 {
        bob.send(&format!("{lines} {}", "x".repeat(900)));
        assert!(bob.said().starts_with(&format!("bob: {lines} x")));
        lines += 1;
        let now = queued_for(&alice);
        unchanged = if now > 0 && now == queued { unchanged + 1 } else { 0 };
        queued = now;
    }
    // While the server stands still, room to write appears and a line arrives: when it goes on, it
    // is told of both at once.
    program.signal(Signal::STOP);
    let mut heard = 0;
    while heard < 4 {
        assert!(alice.said().starts_with(&format!("bob: {heard} x")));
        heard += 1;
    }
    alice.send("enough");
    program.signal(Signal::CONT);
    while heard < lines {
        assert!(alice.said().starts_with(&format!("bob: {heard} x")));
        heard += 1;
    }
    assert_eq!(bob.said(), "guest2: enough");
    assert_eq!(alice.said(), "guest2: enough");
    assert_eq!(program.end(), "");
}

/// How many bytes the system keeps for this guest on the server's side.
fn queued_for(guest: &Guest) -> u64 {
    let port = |address: std::net::SocketAddr| format!(":{:04X}", address.port());
    let server = port(guest.stream.peer_addr().unwrap());
    let client = port(guest.stream.local_addr().unwrap());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = fields.into_iter().find(|f| f[1].ends_with(&server) && f[2].ends_with(&client));
    let line = line.expect("the connection is in the table");
    u64::from_str_radix(line[4].split_once(':').unwrap().0, 16).unwrap()
}
