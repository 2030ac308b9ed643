//! A person's share of a room in `chat`: what one that says too much is told, and what the others
//! notice of it.

use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::time::Duration;

use heist::time::Instant;
use heist_tests::hang_guard;
use rustix::process::Signal;
use socket2::SockRef;

use crate::guest::Guest;
use crate::program::Program;
use crate::share::{Share, Wait};

const SLOW_DOWN: &str = "! slow down to ";

/// So many numbered lines, as one text.
fn flood(lines: usize) -> String {
    (0..lines).map(|number| format!("line {number}\n")).collect()
}

#[test]
fn share_is_as_many_lines_at_once_as_it_is_in_a_second() {
    let mut share = Share::new(4);
    let mut now = Instant::from_nanos(1_000_000_000_000);
    let quarter = Duration::from_millis(250);
    assert_eq!([(); 4].map(|()| share.take(now)), [(); 4].map(Ok));
    // The person is told once, however long it goes on.
    for round in 0..100 {
        let until = now + quarter;
        assert_eq!(share.take(now), Err(Wait { until, first: round == 0 }));
        assert_eq!(share.take(until - Duration::from_nanos(1)), Err(Wait { until, first: false }));
        assert_eq!(share.take(until), Ok(()));
        now = until;
    }
    // Again after a silence, which gives no more than the whole share back.
    now += Duration::from_secs(3600);
    assert_eq!([(); 4].map(|()| share.take(now)), [(); 4].map(Ok));
    assert_eq!(share.take(now), Err(Wait { until: now + quarter, first: true }));
}

#[test]
fn person_that_keeps_to_the_share_never_waits() {
    let mut share = Share::new(50);
    let mut now = Instant::ZERO;
    for _ in 0..10_000 {
        assert_eq!(share.take(now), Ok(()));
        now += Duration::from_millis(20);
    }
}

#[test]
fn flooder_is_told_once_and_loses_nothing() {
    let _guard = hang_guard("flooder");
    let program = Program::start("chat", &["--share", "100"]);
    let mut flooder = Guest::connect_as(&program, "bob");
    let mut other = Guest::connect(&program);
    flooder.stream.write_all(flood(300).as_bytes()).unwrap();
    // Nor if it does not stay to see them go out.
    flooder.stream.shutdown(Shutdown::Write).unwrap();
    for number in 0..300 {
        assert_eq!(other.said(), format!("bob: line {number}"));
    }
    other.line_after("* bob left lobby");
    // Some of the last lines may not have come back to it. What did is in order.
    let (mut heard, mut told) = (0, 0);
    loop {
        match flooder.said() {
            line if line.starts_with(SLOW_DOWN) => told += 1,
            line if line.is_empty() => break,
            line => {
                assert_eq!(line, format!("bob: line {heard}"));
                heard += 1;
            }
        }
    }
    assert!(told == 1 && heard > 100, "told {told} times, heard {heard} lines");
    assert_eq!(program.end(), "");
}

#[test]
fn others_are_heard_while_one_floods() {
    let _guard = hang_guard("others");
    // At this rate the flood lasts for longer than the test may.
    let program = Program::start("chat", &["--share", "5"]);
    let mut flooders = ["bob", "carol", "dave"].map(|name| Guest::connect_as(&program, name));
    let mut other = Guest::connect_as(&program, "alice");
    for flooder in &mut flooders {
        flooder.stream.write_all(flood(4000).as_bytes()).unwrap();
        while !flooder.said().starts_with(SLOW_DOWN) {}
    }
    for word in ["one", "two", "three"] {
        other.send(word);
        loop {
            let line = other.said();
            if line == format!("alice: {word}") {
                break;
            }
            let (_, said) = line.split_once(": line ").expect("alice is told nothing");
            assert_ne!(said, "3999", "alice waits for the flood");
        }
    }
    // The flooding guests hear her, too.
    for flooder in &mut flooders {
        flooder.line_after("alice: three");
    }
    assert_eq!(program.end(), "");
}

#[test]
fn flooder_is_not_read_from() {
    let _guard = hang_guard("back-pressure");
    let program = Program::start("chat", &["--share", "5"]);
    let mut flooder = Guest::connect_small(&program);
    let mut other = Guest::connect_as(&program, "alice");
    SockRef::from(&flooder.stream).set_send_buffer_size(16 * 1024).unwrap();
    flooder.stream.set_nonblocking(true).unwrap();
    let (text, mut sent) = (flood(1000), 0);
    let bytes = text.as_bytes();
    // As much as the sockets take, again and again, while the server has time to read it.
    for _ in 0..100 {
        loop {
            match flooder.stream.write(&bytes[sent % bytes.len()..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
            assert!(sent < MOST_ON_THE_WAY, "the server reads on");
        }
        other.send("/rooms");
        while other.said() != "lobby, 2 in it" {}
    }
    assert_eq!(program.end(), "");
}

#[test]
fn commands_that_others_hear_of_count_too() {
    let _guard = hang_guard("commands");
    let program = Program::start("chat", &["--share", "5"]);
    for command in ["/name", "/join"] {
        let mut flooder = Guest::connect(&program);
        let lines: String = (0..20).map(|number| format!("{command} n{number}\n")).collect();
        flooder.stream.write_all(lines.as_bytes()).unwrap();
        while !flooder.said().starts_with(SLOW_DOWN) {}
    }
    // Questions cost the others nothing.
    let mut guest = Guest::connect(&program);
    for _ in 0..100 {
        assert!(guest.ask("/who").starts_with("In lobby: "));
    }
    assert_eq!(program.end(), "");
}

/// Failure: what a room could not take at once was refused, and so was the last line.
#[test]
fn people_wait_for_a_full_room_and_no_line_is_lost() {
    let _guard = hang_guard("full room");
    let options = ["--share", "1000000", "--workers", "1"];
    let program = Program::start("chat", &options);
    let mut other = Guest::connect(&program);
    let names = ["bob", "eve", "kim", "dan"];
    let mut speakers = names.map(|name| Guest::connect_as(&program, name));
    // All of it is there when the server goes on: from each a line more than the room takes at once.
    program.signal(Signal::STOP);
    let filler = "x".repeat(900);
    let lines: Vec<String> = (10..29).map(|number| format!("{number} {filler}")).collect();
    for speaker in &mut speakers {
        // The last line has no end.
        speaker.stream.write_all(lines.join("\n").as_bytes()).unwrap();
        speaker.stream.shutdown(Shutdown::Write).unwrap();
    }
    program.signal(Signal::CONT);
    let mut heard = [0; 4];
    for _ in 0..names.len() * lines.len() {
        let line = other.said();
        let (name, said) = line.split_once(": ").expect("a line that was said");
        let speaker = names.iter().position(|known| *known == name).expect("a speaker");
        assert_eq!(said, lines[heard[speaker]], "{name}");
        heard[speaker] += 1;
    }
    assert_eq!(program.end(), "");
}

#[test]
fn chat_closes_while_people_have_more_to_say() {
    let _guard = hang_guard("goodbye to a flooder");
    let program = Program::start("chat", &["--share", "1"]);
    let (mut flooder, mut typist) = (Guest::connect(&program), Guest::connect(&program));
    typist.stream.write_all(b"half a li").unwrap();
    flooder.stream.write_all(flood(100).as_bytes()).unwrap();
    while !flooder.said().starts_with(SLOW_DOWN) {}
    program.signal(Signal::INT);
    for mut guest in [flooder, typist] {
        guest.line_after("* the chat closes; goodbye");
        assert_eq!(guest.line(), "");
    }
    let (code, report) = program.wait();
    assert_eq!(code, Some(0), "{report}");
    assert!(report.starts_with("stopped: ") && report.contains(" 0 force-closed"), "{report}");
}

/// Several times what the buffers of the two sockets take.
const MOST_ON_THE_WAY: usize = 1 << 20;
