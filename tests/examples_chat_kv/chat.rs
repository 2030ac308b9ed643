//! What people do in `chat`, right and wrong.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use heist_tests::{hang_guard, has_tool};
use rustix::process::{Pid, Signal, kill_process};

use crate::guest::Guest;
use crate::program::{Program, assert_refused, command};

#[test]
fn bad_options_are_one_line_and_exit_code_2() {
    let _guard = hang_guard("bad options");
    assert_refused("chat", &["--frobnicate"], &["chat:", "--frobnicate"]);
    assert_refused("chat", &["--patience", "0"], &["--patience"]);
    assert_refused("chat", &["--share", "0"], &["--share"]);
    assert_refused("chat", &["--listen", "nowhere"], &["--listen", "nowhere"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert_refused("chat", &["--listen", &address], &[&address, "in use"]);
}

#[test]
fn each_wrong_line_gets_one_that_says_what_is_wrong() {
    let _guard = hang_guard("wrong lines");
    let program = Program::start("chat", &[]);
    let _other = Guest::connect_as(&program, "alice");
    let mut guest = Guest::connect(&program);
    for (line, answer) in [
        ("/nme bob", "! there is no /nme; /help lists what there is"),
        ("/name", "! a name has 1 to 20 letters, digits, - and _"),
        ("/name two words", "! a name has 1 to 20 letters, digits, - and _"),
        ("/name alice", "! the name alice is taken"),
        ("/join !", "! a name has 1 to 20 letters, digits, - and _"),
        ("/join lobby", "! you are in lobby"),
        ("/who else", "! /who takes no argument"),
        ("bell \x07", "! a line has no control characters"),
        ("/name bob", "You are bob."),
    ] {
        assert_eq!(guest.ask(line), answer);
    }
    guest.stream.write_all(b"\xff\xfe\n").unwrap();
    assert_eq!(guest.said(), "! a line has to be UTF-8");
    // Refused once, thrown away to its end; the next line is a line again.
    guest.send(&"x".repeat(300_000));
    assert_eq!(guest.said(), "! a line has at most 1000 bytes");
    guest.send(&"y".repeat(1000));
    assert_eq!(guest.said().len(), "bob: ".len() + 1000);
    assert_eq!(guest.ask("/quit"), "Goodbye.");
    assert_eq!(guest.said(), "");
    assert_eq!(program.end(), "");
}

#[test]
fn rooms_do_not_hear_each_other() {
    let _guard = hang_guard("rooms");
    let program = Program::start("chat", &[]);
    let mut alice = Guest::connect_as(&program, "alice");
    let mut bob = Guest::connect_as(&program, "bob");
    let mut carol = Guest::connect_as(&program, "carol");
    assert_eq!(carol.ask("/join garden"), "You are in garden, with 0 others.");
    assert_eq!(bob.ask("/join garden"), "You are in garden, with 1 others.");
    assert_eq!(bob.ask("in the garden"), "bob: in the garden");
    assert_eq!(carol.said(), "bob: in the garden");
    assert_eq!(alice.ask("in the lobby"), "alice: in the lobby");
    assert_eq!(carol.ask("/rooms"), "garden, 2 in it");
    assert_eq!(carol.said(), "lobby, 1 in it");
    assert_eq!(carol.ask("/who"), "In garden: carol, bob");
    // A name is free again when its owner has gone, and so is a room.
    drop((bob, carol));
    while alice.ask("/rooms") != "lobby, 1 in it" {
        assert_eq!(alice.said(), "lobby, 1 in it");
    }
    while alice.ask("/name bob") != "You are bob." {}
}

#[test]
fn person_that_was_told_the_end_has_no_name_and_no_room() {
    let _guard = hang_guard("free name");
    let program = Program::start("chat", &[]);
    let mut alice = Guest::connect_as(&program, "alice");
    let mut bob = Guest::connect_as(&program, "bob");
    assert_eq!(bob.ask("/join garden"), "You are in garden, with 0 others.");
    assert_eq!(bob.ask("/quit"), "Goodbye.");
    assert_eq!(bob.said(), "");
    // Its end of the connection is still open.
    assert_eq!(alice.ask("/rooms"), "lobby, 1 in it");
    assert_eq!(alice.ask("/name bob"), "You are bob.");
    drop(bob);
    let mut carol = Guest::connect(&program);
    assert_eq!(carol.ask("/name bob"), "! the name bob is taken");
    assert_eq!(program.end(), "");
}

#[test]
fn lines_are_the_same_wherever_they_are_cut() {
    let _guard = hang_guard("cut lines");
    let program = Program::start("chat", &["--share", "1000000"]);
    let mut guest = Guest::connect_as(&program, "bob");
    guest.stream.set_nodelay(true).unwrap();
    let lines = "one\r\n\ntw\u{f6}\n/nothing\n".as_bytes();
    for cut in 0..lines.len() {
        guest.stream.write_all(&lines[..cut]).unwrap();
        guest.stream.write_all(&lines[cut..]).unwrap();
        // An answer may overtake what is said: that goes by way of the room.
        let mut heard = [(); 3].map(|()| guest.said());
        heard.sort();
        let complaint = "! there is no /nothing; /help lists what there is";
        assert_eq!(heard, [complaint, "bob: one", "bob: tw\u{f6}"], "{cut}");
    }
    assert_eq!(program.end(), "");
}

#[test]
fn server_that_is_full_says_so() {
    let _guard = hang_guard("full");
    let program = Program::start("chat", &["--max-people", "2"]);
    let (_one, two) = (Guest::connect(&program), Guest::connect(&program));
    let mut refused = BufReader::new(program.connect());
    let mut lines = String::new();
    std::io::Read::read_to_string(&mut refused, &mut lines).unwrap();
    assert_eq!(lines, "! the server is full, try again later\n");
    drop(two);
    // Wait until its place is free.
    loop {
        let mut line = String::new();
        BufReader::new(program.connect()).read_line(&mut line).unwrap();
        if line.starts_with("Welcome") {
            break;
        }
    }
}

#[test]
fn chat_that_closes_says_goodbye() {
    let _guard = hang_guard("goodbye");
    let program = Program::start("chat", &[]);
    let (mut one, mut two) = (Guest::connect(&program), Guest::connect(&program));
    // One has just said something, and one is in the middle of it.
    assert_eq!(one.ask("hello"), "guest1: hello");
    two.stream.write_all(b"half a li").unwrap();
    two.line_after("hello");
    program.signal(Signal::INT);
    one.line_after("* the chat closes; goodbye");
    two.send("ne");
    two.line_after("* the chat closes; goodbye");
    assert_eq!((one.line(), two.line()), (String::new(), String::new()));
    drop((one, two));
    let (code, report) = program.wait();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("stopped: ") && report.contains(" 0 force-closed"), "{report}");
}

#[test]
fn silent_guest_is_dropped_when_its_time_is_over() {
    let _guard = hang_guard("silent guest");
    let program = Program::start("chat", &["--idle", "1", "--patience", "1"]);
    let mut guest = Guest::connect(&program);
    guest.line_after("joined lobby");
    assert_eq!(guest.line(), "! nothing was read or written for too long; goodbye");
    assert_eq!(guest.line(), "");
    assert_eq!(program.end(), "");
}

#[test]
fn output_that_cannot_be_written_is_no_panic() {
    let _guard = hang_guard("full output");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let outcome = command("chat").args(listen).stdout(full()).output().unwrap();
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let complaint = String::from_utf8(outcome.stderr).unwrap();
    assert!(complaint.starts_with("chat: cannot write to standard output: "), "{complaint}");
    // Nor need there be a place for complaints.
    let mut child = command("chat").args(listen).stderr(full()).spawn().unwrap();
    let mut greeting = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("serving on "), "{greeting}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

struct Netcat {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Netcat {
    fn connect(program: &Program) -> Netcat {
        let mut command = Command::new("nc");
        command.args(["-N", "127.0.0.1", &program.port()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        Netcat { lines: BufReader::new(child.stdout.take().unwrap()), child }
    }

    fn type_in(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn wait_for(&mut self, wanted: &str) {
        let mut line = String::new();
        while line != wanted {
            line.clear();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "{wanted:?} did not come");
        }
    }
}

#[test]
fn people_talk_through_netcat() {
    let _guard = hang_guard("netcat");
    if !has_tool("people_talk_through_netcat", "nc", "netcat-openbsd") {
        return;
    }
    let program = Program::start("chat", &[]);
    let mut alice = Netcat::connect(&program);
    alice.type_in("/name alice\n");
    alice.wait_for("You are alice.\n");
    let mut bob = Netcat::connect(&program);
    bob.type_in("/name bob\n");
    bob.wait_for("You are bob.\n");
    bob.type_in("hello, Alice\n");
    alice.wait_for("* guest2 joined lobby\n");
    alice.wait_for("* guest2 is now bob\n");
    alice.wait_for("bob: hello, Alice\n");
    alice.type_in("hello, Bob\n");
    bob.wait_for("alice: hello, Bob\n");
    // Ends without a line end; what was typed counts.
    bob.type_in("bye");
    drop(bob.child.stdin.take());
    alice.wait_for("bob: bye\n");
    alice.wait_for("* bob left lobby\n");
    assert!(bob.child.wait().unwrap().success());
    drop(alice.child.stdin.take());
    assert!(alice.child.wait().unwrap().success());
    assert_eq!(program.end(), "");
}
