//! What a line may be in `chat`: its length, its end, and its characters.

use std::io::Write;

use heist_tests::hang_guard;

use crate::guest::Guest;
use crate::program::Program;

const TOO_LONG: &str = "! a line has at most 1000 bytes";

/// Enough for a test that says much.
const SHARE: [&str; 2] = ["--share", "1000000"];

#[test]
fn thousand_bytes_fit_however_they_come() {
    let _guard = hang_guard("1,000 bytes");
    let program = Program::start("chat", &SHARE);
    let mut guest = Guest::connect_as(&program, "bob");
    guest.stream.set_nodelay(true).unwrap();
    // Two bytes a character: it is bytes that count.
    let fitting = ["x".repeat(999), "x".repeat(1000), "\u{f6}".repeat(500)];
    for text in &fitting {
        for end in ["\n", "\r\n"] {
            let line = format!("{text}{end}");
            for cut in [0, 1, 999, text.len(), line.len() - 1] {
                for part in [&line.as_bytes()[..cut], &line.as_bytes()[cut..]] {
                    guest.stream.write_all(part).unwrap();
                }
                assert_eq!(guest.said(), format!("bob: {text}"));
            }
            in_bytes(&mut guest, line.as_bytes());
            assert_eq!(guest.said(), format!("bob: {text}"));
        }
    }
    assert_eq!(program.end(), "");
}

#[test]
fn byte_more_is_refused_however_it_comes() {
    let _guard = hang_guard("1,001 bytes");
    let program = Program::start("chat", &SHARE);
    let mut guest = Guest::connect_as(&program, "bob");
    guest.stream.set_nodelay(true).unwrap();
    for text in
        ["x".repeat(1001), "x".repeat(1000) + " ", "x".repeat(1000) + "\r\r", "x".repeat(5000)]
    {
        for end in ["\n", "\r\n"] {
            let line = format!("{text}{end}");
            for cut in [0, 1000, 1001, line.len() - 1] {
                for part in [&line.as_bytes()[..cut], &line.as_bytes()[cut..]] {
                    guest.stream.write_all(part).unwrap();
                }
                assert_eq!(guest.said(), TOO_LONG);
            }
            in_bytes(&mut guest, line.as_bytes());
            assert_eq!(guest.said(), TOO_LONG);
            // It was refused once, and to its end.
            assert_eq!(guest.ask("next"), "bob: next");
        }
    }
    assert_eq!(program.end(), "");
}

/// Sends each byte by itself.
fn in_bytes(guest: &mut Guest, bytes: &[u8]) {
    for byte in bytes {
        guest.stream.write_all(&[*byte]).unwrap();
    }
}

#[test]
fn last_line_needs_no_end_and_may_be_too_long() {
    let _guard = hang_guard("last line");
    let program = Program::start("chat", &SHARE);
    let mut other = Guest::connect(&program);
    for (text, heard) in
        [("x".repeat(1000) + "\r", "x".repeat(1000)), ("y".repeat(1001), String::new())]
    {
        let mut guest = Guest::connect_as(&program, "bob");
        guest.stream.write_all(text.as_bytes()).unwrap();
        guest.stream.shutdown(std::net::Shutdown::Write).unwrap();
        if heard.is_empty() {
            assert_eq!(guest.said(), TOO_LONG);
        } else {
            assert_eq!(other.said(), format!("bob: {heard}"));
        }
        while !guest.line().is_empty() {}
    }
    assert_eq!(program.end(), "");
}

#[test]
fn no_control_character_reaches_another_terminal() {
    let _guard = hang_guard("control characters");
    let program = Program::start("chat", &SHARE);
    let mut guest = Guest::connect_as(&program, "bob");
    let mut other = Guest::connect_as(&program, "alice");
    guest.line_after("is now alice");
    // C0 without the line end, DEL, and C1, where 0x9b begins what ESC [ does; then what turns the
    // direction of text or ends a line.
    let controls =
        (0..0x20).chain(0x7f..0xa0).filter_map(char::from_u32).filter(|char| *char != '\n');
    let controls = controls.chain("\u{61c}\u{200e}\u{2028}\u{202e}\u{2066}\u{2069}".chars());
    for control in controls {
        for line in ["a{}b", "/name a{}b", "/join a{}b", "/a{}b", "/who {}b", "{}a", "a{}\u{200b}"]
        {
            guest.send(&line.replace("{}", &control.to_string()));
            let answer = guest.said();
            assert!(answer.starts_with("! "), "{line:?} with {control:?}: {answer:?}");
            assert!(!answer.contains(char::is_control), "{answer:?}");
        }
    }
    // What comes raw and is no UTF-8 gets no further either.
    for bytes in [&b"\x9b31m\n"[..], b"a\xc2\n", b"\x1b[2J\n", b"\xed\xa0\x80\n", b"a\rb\n"] {
        guest.stream.write_all(bytes).unwrap();
        assert!(guest.said().starts_with("! a line has "));
    }
    assert_eq!(guest.ask("end"), "bob: end");
    assert_eq!(other.said(), "bob: end");
    assert_eq!(program.end(), "");
}
