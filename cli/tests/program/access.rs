//! The access log, and the lines about requests that fail.

use std::fs;
use std::path::{Path, PathBuf};

use heist_tests::hang_guard;
use rustix::process::Signal;
use serde_json::Value;

use crate::child::{Program, command, run};
use heist_tests::http_client::Client;

/// The path of a log of one test, removed at its end.
struct LogPath(PathBuf);

impl LogPath {
    fn new(name: &str) -> LogPath {
        let name = format!("{name}-{}.log", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_file(&path);
        LogPath(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Waits for `count` lines and returns them.
    fn lines(&self, count: usize) -> Vec<String> {
        loop {
            let text = fs::read_to_string(&self.0).unwrap();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if lines.len() >= count && text.ends_with('\n') {
                assert_eq!(lines.len(), count, "{text}");
                return lines;
            }
        }
    }
}

impl Drop for LogPath {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The program with an access log at `path`.
fn program(path: &LogPath, options: &[&str]) -> Program {
    Program::start(&[&["--access-log", path.text()], options].concat())
}

fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn each_request_is_one_line_in_the_common_log_format() {
    let _guard = hang_guard("common log");
    let path = LogPath::new("common");
    let program = program(&path, &[]);
    let mut client = program.connect();
    client.send("GET /healthz?x HTTP/1.1\r\nHost: t\r\nX-Request-Id: mine\r\n");
    client.send(format!("traceparent: {TRACE}\r\n\r\n"));
    let response = client.response();
    assert_eq!(response.headers["x-request-id"], "mine");
    let made = client.get("/nowhere").headers["x-request-id"].clone();
    client.send("HEAD / HTTP/1.1\r\nHost: t\r\nX-Request-Id: not one\r\n\r\n");
    assert_ne!(client.head().1["x-request-id"], "not one");
    let lines = path.lines(3);
    let fields: Vec<_> = lines[0].split(' ').collect();
    assert_eq!(fields[..3], ["127.0.0.1", "-", "-"]);
    assert!(fields[3].starts_with('[') && fields[4] == "+0000]", "{fields:?}");
    assert_eq!(fields[5..10], ["\"GET", "/healthz?x", "HTTP/1.1\"", "200", "3"]);
    assert!(fields[10].parse::<f64>().unwrap() >= 0.0);
    assert_eq!(fields[11..], ["complete", "mine", TRACE]);
    assert!(lines[1].contains(" \"GET /nowhere HTTP/1.1\" 404 "), "{}", lines[1]);
    assert!(lines[1].ends_with(&format!(" complete {made} -")), "{}", lines[1]);
    assert!(lines[2].contains(" \"HEAD / HTTP/1.1\" 200 0 "), "{}", lines[2]);
    assert!(lines[2].contains(" complete "), "{}", lines[2]);
}

#[test]
fn lines_are_json_objects_when_asked_for() {
    let _guard = hang_guard("json access log");
    let path = LogPath::new("json");
    let program = program(&path, &["--access-log-format", "json", "--max-body", "1KiB"]);
    let mut client = program.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().status, 200);
    client.send("POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n");
    client.send("Expect: 100-continue\r\n\r\n");
    // A chunk that came with the head would be refused before the request is in its handler.
    assert_eq!(client.head().0, 100);
    client.send(format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800)));
    assert_eq!(client.response().status, 413);
    let lines = path.lines(2);
    let echo = object(&lines[0]);
    assert_eq!((&echo["method"], &echo["target"]), (&"POST".into(), &"/echo".into()));
    assert_eq!((&echo["status"], &echo["bytes"]), (&200.into(), &5.into()));
    assert_eq!((&echo["host"], &echo["outcome"]), (&"t".into(), &"complete".into()));
    assert!(echo["duration_seconds"].as_f64().unwrap() >= 0.0);
    assert!(echo["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(echo["request_id"].as_str().unwrap().len(), 32);
    assert_eq!(echo["traceparent"], Value::Null);
    let upload = object(&lines[1]);
    assert_eq!((&upload["status"], &upload["outcome"]), (&413.into(), &"body_too_long".into()));
}

/// Failure: a client writes lines of its own into the log, or commands to the terminal.
#[test]
fn nothing_that_a_client_sends_makes_a_line_or_ends_a_field() {
    let _guard = hang_guard("log injection");
    for format in ["common", "json"] {
        let path = LogPath::new(&format!("injection-{format}"));
        let program = program(&path, &["--access-log-format", format]);
        let mut client = program.connect();
        client.send(b"GET /a\"b'{}\xc3\xa9\xe2\x80\xae HTTP/1.1\r\nHost: t\r\n");
        client.send(b"User-Agent: \"\x80\xff\t\\n 200 1\r\nX-Request-Id: a\"b\r\n\r\n");
        assert_eq!(client.response().status, 404);
        client.send(format!("GET /{} HTTP/1.1\r\nHost: t\r\n\r\n", "l".repeat(8_000)));
        assert_eq!(client.response().status, 404);
        let lines = path.lines(2);
        for line in &lines {
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
            assert!(line.len() < 3000, "{line}");
        }
        if format == "common" {
            // Between the unescaped quotes there is the request alone.
            let plain = lines[0].replace("\\\\", "").replace("\\\"", "");
            assert_eq!(plain.matches('"').count(), 2, "{}", lines[0]);
            assert!(lines[0].contains("\\xe2\\x80\\xae"), "{}", lines[0]);
        } else {
            let agent = object(&lines[0])["user_agent"].as_str().unwrap().to_owned();
            assert_eq!(agent, "\\\"\\x80\\xff\\x09\\\\n 200 1");
            assert_eq!(object(&lines[1])["target"].as_str().unwrap().len(), 2051);
        }
    }
}

/// Failure: after a rotation, lines still go to the file that was moved away.
#[test]
fn log_file_is_opened_again_by_sigusr1_and_sighup() {
    let _guard = hang_guard("rotation");
    let path = LogPath::new("rotated");
    let moved = LogPath::new("rotated-away");
    let mut program = program(&path, &[]);
    let mut client = program.connect();
    for signal in [Signal::USR1, Signal::HUP] {
        client.get("/healthz");
        path.lines(1);
        fs::rename(&path.0, &moved.0).unwrap();
        program.signal(signal);
        assert!(program.error_line_with("reloaded").contains("access_log"));
        client.get("/healthz");
        path.lines(1);
        moved.lines(1);
        fs::remove_file(&path.0).unwrap();
        program.signal(signal);
        program.error_line_with("reloaded");
    }
    // If the path cannot be opened, the old file stays in use.
    fs::rename(&path.0, &moved.0).unwrap();
    fs::create_dir(&path.0).unwrap();
    program.signal(Signal::USR1);
    assert!(program.error_line_with("cannot reload").contains("access_log"));
    client.get("/healthz");
    moved.lines(1);
    let metrics = program.metrics();
    let reloads = |outcome| metrics.value("heist_reloads_total", &[("outcome", outcome)]);
    assert_eq!((reloads("done"), reloads("failed")), (4.0, 1.0));
    fs::remove_dir(&path.0).unwrap();
}

/// Failure: a reader of the log that stops reading stops the server.
#[test]
fn slow_writer_loses_lines_that_are_counted_and_holds_up_no_request() {
    let _guard = hang_guard("slow writer");
    // The test reads the greeting alone.
    let program = Program::start(&["--access-log", "-"]);
    let mut client = program.connect();
    while program.metrics().value("heist_access_log_dropped_total", &[]) == 0.0 {
        client.send("GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n".repeat(100));
        (0..100).for_each(|_| assert_eq!(client.response().status, 200));
    }
}

#[test]
fn log_that_cannot_be_written_to_is_counted_and_said_once() {
    let _guard = hang_guard("full disk");
    let mut program = Program::start(&["--access-log", "/dev/full"]);
    let mut client = program.connect();
    (0..3).for_each(|_| assert_eq!(client.get("/").status, 200));
    program.error_line_with("cannot write to the access log");
    while program.metrics().value("heist_access_log_write_errors_total", &[]) < 3.0 {}
    program.signal(Signal::TERM);
    assert!(!program.wait().stderr.contains("cannot write"));
}

#[test]
fn log_that_cannot_be_opened_is_exit_code_2() {
    let _guard = hang_guard("no access log");
    let pipe = LogPath::new("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe.0).status().unwrap();
    assert!(made.success());
    // Opening a pipe without a reader would block the start.
    for path in ["/nowhere/at/all", "/tmp", pipe.text()] {
        let mut command = command();
        command.args(["--listen", "127.0.0.1:0", "--admin", "none", "--access-log", path]);
        let outcome = run(&mut command);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(path) && outcome.stderr.contains("--access-log"));
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

/// Failure: the last lines are lost with the process.
#[test]
fn requests_of_a_drain_are_in_the_log() {
    let _guard = hang_guard("drained lines");
    let path = LogPath::new("drained");
    let program = program(&path, &[]);
    let mut busy = program.connect();
    busy.begin_upload(1);
    program.signal(Signal::TERM);
    while std::net::TcpStream::connect(program.address()).is_ok() {}
    busy.send("x");
    assert_eq!(busy.response().status, 200);
    assert_eq!(program.wait().code, Some(0));
    assert!(path.lines(1)[0].contains("POST /upload HTTP/1.1\" 200 "));
}

/// Failure: a request is refused or breaks off without a line in the log.
#[test]
fn requests_that_fail_are_in_both_logs_with_the_reason() {
    let _guard = hang_guard("failures");
    let path = LogPath::new("failures");
    let mut program = program(&path, &["--body-timeout", "200ms"]);
    assert_eq!(program.connect().get("/nowhere").status, 404);
    let line = program.error_line_with("a request failed");
    assert!(line.contains("status=404") && line.contains("GET /nowhere"), "{line}");
    assert!(line.contains("peer=127.0.0.1:"), "{line}");

    // The body stops.
    let mut slow = program.connect();
    slow.begin_upload(1);
    assert_eq!(slow.response().status, 408);
    assert!(program.error_line_with("a request failed").contains("outcome=\"body_timeout\""));
    drop(slow);

    // The peer closes in the middle of its body.
    let mut gone = program.connect();
    gone.begin_upload(1000);
    drop(gone);
    let line = program.error_line_with("a request failed");
    assert!(line.contains("POST /upload"), "{line}");

    let lines = path.lines(3);
    assert!(lines[0].contains("\"GET /nowhere HTTP/1.1\" 404 "), "{}", lines[0]);
    assert!(lines[1].contains("\"POST /upload HTTP/1.1\" 408 0 "), "{}", lines[1]);
    assert!(lines[1].contains(" body_timeout "), "{}", lines[1]);
    assert!(!lines[2].contains(" complete "), "{}", lines[2]);
}

#[test]
fn connection_that_a_limit_ends_outside_of_a_request_has_a_line() {
    let _guard = hang_guard("slow head");
    let mut program = Program::start(&["--header-timeout", "200ms"]);
    let mut slow = program.connect();
    slow.send("GET / HT");
    slow.assert_closed();
    let line = program.error_line_with("a connection failed");
    assert!(line.contains("outcome=\"header_timeout\""), "{line}");
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
}

/// Failure: requests that the server refuses before any route sees them are in no log.
#[test]
fn requests_that_the_server_itself_refuses_have_a_line() {
    let _guard = hang_guard("refusals");
    let path = LogPath::new("refusals");
    let mut program = program(&path, &["--max-body", "1KiB"]);
    let long = format!("X: {}\r\n", "x".repeat(20_000));
    let refusals = [("no colon\r\n", 400), (&long, 431), ("Content-Length: 1025\r\n", 413)];
    for (count, (fields, status)) in (1..).zip(refusals) {
        let mut client = program.connect();
        client.send(format!("POST /upload HTTP/1.1\r\nHost: t\r\n{fields}\r\n"));
        assert_eq!(client.response().status, status);
        let line = &path.lines(count)[count - 1];
        assert!(line.contains(&format!(" {status} 0 ")) && line.contains(" refused "), "{line}");
        let line = program.error_line_with("a request failed");
        assert!(line.contains(&format!("status={status}")), "{line}");
        assert!(line.contains("outcome=\"refused\""), "{line}");
    }
    program.signal(Signal::TERM);
    // One line each.
    assert!(!program.wait().stderr.contains("failed"));
}

/// Failure: an answer that its peer did not read to the end is recorded as complete.
#[test]
fn answer_that_breaks_off_is_no_complete_line() {
    let _guard = hang_guard("broken answer");
    let path = LogPath::new("broken");
    let mut program = program(&path, &[]);
    let mut client = program.connect();
    client.send("POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("5\r\nfirst\r\n");
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), b"first");
    drop(client);
    let line = program.error_line_with("a request failed");
    assert!(line.contains("POST /echo") && line.contains("status=200"), "{line}");
    let line = &path.lines(1)[0];
    assert!(line.contains("\"POST /echo HTTP/1.1\" 200 5 "), "{line}");
    assert!(!line.contains(" complete "), "{line}");
}

/// Failure: a flood of bad requests fills the disk with the lines about them.
#[test]
fn flood_of_refusals_leaves_few_lines() {
    let _guard = hang_guard("flood of refusals");
    let program = Program::start(&[]);
    let mut client = program.connect();
    for _ in 0..10 {
        client.send("GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n".repeat(100));
        (0..100).for_each(|_| assert_eq!(client.response().status, 404));
    }
    // Behind this answer, what came before it on the connection is counted.
    assert_eq!(client.get("/").status, 200);
    let unlogged = program.metrics().value("heist_failures_unlogged_total", &[]);
    program.signal(Signal::TERM);
    let outcome = program.wait();
    let logged = outcome.stderr.lines().filter(|line| line.contains("a request failed")).count();
    // The test lasts for ten minutes at most, which are parts of eleven minutes of the bound.
    assert!((60..=660).contains(&logged), "{logged}");
    assert_eq!(unlogged as usize + logged, 1000);
}

#[test]
fn lines_go_to_standard_output_if_asked_for() {
    let _guard = hang_guard("access log on standard output");
    let mut program = Program::start(&["--access-log", "-", "--access-log-format", "json"]);
    assert_eq!(program.connect().get("/").status, 200);
    assert_eq!(object(&program.line())["status"], 200);
}

/// Failure: connections over Unix sockets are not recorded.
#[test]
fn request_over_a_unix_socket_has_a_line() {
    let _guard = hang_guard("unix access log");
    let (log, path) = (LogPath::new("unix"), crate::starting::socket_path("access"));
    let address = format!("unix:{}", path.display());
    let mut command = command();
    command.args([
        "--listen",
        &address,
        "--admin",
        "none",
        "--no-shed",
        "--access-log",
        log.text(),
    ]);
    let program = Program::spawn(&mut command);
    assert_eq!(Client::connect_unix(&path).get("/").status, 200);
    assert!(log.lines(1)[0].starts_with("unix - - ["));
    drop(program);
}
