//! The end: requests in flight are answered, idle connections closed, and it happens in time.

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::child::{Program, command};
use heist_tests::http_client::Client;

/// A connection that has been served and is now idle.
fn idle(program: &Program) -> Client {
    let mut client = program.connect();
    assert_eq!(client.get("/healthz").status, 200);
    client
}

#[test]
fn response_in_flight_is_delivered_whole() {
    let _guard = hang_guard("drain");
    for signal in [Signal::TERM, Signal::INT] {
        let program = Program::start(&[]);
        let mut observer = idle(&program);
        let mut busy = program.connect();
        busy.begin_upload(1000);
        busy.send([b'x'; 500]);
        program.signal(signal);
        // The server has seen the signal when it closes the idle connection.
        observer.assert_closed();
        busy.send([b'x'; 500]);
        let response = busy.response();
        assert_eq!(response.status, 200);
        assert!(response.text().contains("\"bytes\":1000"));
        busy.assert_closed();
        let outcome = program.wait();
        assert_eq!(outcome.code, Some(0));
        assert!(
            outcome.stdout.contains("1 finished, 1 idle closed, 0 force-closed"),
            "{outcome:?}"
        );
        assert_eq!(outcome.stdout.lines().count(), 1, "{outcome:?}");
    }
}

/// Failure 51: with an hour of grace, the end waits for idle connections.
#[test]
fn idle_connections_are_closed_at_once() {
    let _guard = hang_guard("idle drain");
    let program = Program::start(&["--grace", "1h"]);
    let mut clients = vec![idle(&program), idle(&program)];
    // One that has sent nothing: it is accepted once the metrics show it.
    let fresh = program.connect();
    while program.metrics().value("heist_connections", &[("state", "idle")]) < 3.0 {}
    clients.push(fresh);
    program.signal(Signal::TERM);
    for client in &mut clients {
        client.assert_closed();
    }
    let outcome = program.wait();
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("0 finished, 3 idle closed, 0 force-closed"), "{outcome:?}");
}

#[test]
fn new_connections_are_refused_while_draining() {
    let _guard = hang_guard("refused while draining");
    let program = Program::start(&["--grace", "1h"]);
    let address = program.address();
    let mut busy = program.connect();
    busy.begin_upload(1);
    program.signal(Signal::TERM);
    // The listening socket is closed soon after the signal; until then a connection may succeed
    // and be closed unanswered.
    while std::net::TcpStream::connect(address).is_ok() {}
    busy.send("x");
    assert_eq!(busy.response().status, 200);
    assert_eq!(program.wait().code, Some(0));
}

#[test]
fn request_that_outlasts_the_grace_is_force_closed() {
    let _guard = hang_guard("force-closed");
    let program = Program::start(&["--grace", "50ms"]);
    let mut busy = program.connect();
    busy.begin_upload(1000);
    program.signal(Signal::TERM);
    let outcome = program.wait();
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stdout.contains("0 finished, 0 idle closed, 1 force-closed"), "{outcome:?}");
    assert_eq!(busy.rest().0, b"");
}

#[test]
fn drain_waits_for_one_more_request_as_long_as_it_is_told_to() {
    let _guard = hang_guard("drain linger");
    let program = Program::start(&["--drain-linger", "1h"]);
    let mut used = idle(&program);
    program.signal(Signal::TERM);
    while std::net::TcpStream::connect(program.address()).is_ok() {}
    // A poll that began before the drain may answer one request more.
    while used.get("/").headers.get("connection").is_none_or(|value| value != "close") {}
    used.assert_closed();
    assert_eq!(program.wait().code, Some(0));
    // With none, an idle connection is closed although it was just used.
    let program = Program::start(&["--drain-linger", "0s"]);
    let mut used = idle(&program);
    program.signal(Signal::TERM);
    used.assert_closed();
    assert_eq!(program.wait().code, Some(0));
}

#[test]
fn second_signal_ends_at_once() {
    let _guard = hang_guard("second signal");
    for (second, code) in [(Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        let program = Program::start(&["--grace", "1h"]);
        let mut observer = idle(&program);
        let mut busy = program.connect();
        busy.begin_upload(1000);
        program.signal(Signal::TERM);
        observer.assert_closed();
        program.signal(second);
        assert_eq!(program.wait().code, Some(code));
    }
}

#[test]
fn log_lines_are_json_objects_when_asked_for() {
    let _guard = hang_guard("json log");
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--admin", "none", "--log-format", "json"]);
    let program = Program::spawn(command.env("RUST_LOG", "debug"));
    idle(&program);
    program.signal(Signal::TERM);
    let outcome = program.wait();
    assert!(outcome.stdout.contains("0 log lines dropped"), "{outcome:?}");
    let mut messages = Vec::new();
    for line in outcome.stderr.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        messages.push(entry["fields"]["message"].as_str().unwrap_or_default().to_owned());
    }
    assert!(messages.contains(&"draining".to_owned()), "{messages:?}");
}
