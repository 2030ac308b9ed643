//! The admin listener, which answers while the server does not.

use heist_tests::hang_guard;
use rustix::process::Signal;

use crate::child::{Program, command};
use heist_tests::http_client::Client;

#[test]
fn admin_listener_answers_what_operators_ask() {
    let _guard = hang_guard("admin");
    let program = Program::start(&[]);
    let mut admin = Client::connect(program.admin());
    assert_eq!(admin.get("/readyz").text(), "ready\n");
    assert_eq!(admin.get("/healthz").text(), "ok\n");
    assert!(admin.get("/").text().contains("/metrics"));
    assert_eq!(admin.get("/upload").status, 404);
    admin.send("POST /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    let response = admin.response();
    assert_eq!((response.status, response.headers["allow"].as_str()), (405, "GET, HEAD"));
    admin.send("DELETE /nowhere HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(admin.response().status, 404);
    let metrics = program.metrics();
    assert_eq!(metrics.value("heist_build_info", &[]), 1.0);
    assert_eq!(metrics.value("heist_connections_accepted_total", &[("server", "http")]), 0.0);
}

#[test]
fn without_an_admin_listener_there_is_none() {
    let _guard = hang_guard("no admin");
    let mut command = command();
    let program = Program::spawn(command.args(["--listen", "127.0.0.1:0", "--admin", "none"]));
    assert!(!program.greeting.contains("admin"), "{}", program.greeting);
    assert_eq!(program.connect().get("/").status, 200);
}

/// Failure: at the bound on connections the admin listener is not reachable either.
#[test]
fn admin_listener_answers_when_the_server_takes_no_more_connections() {
    let _guard = hang_guard("admin at the cap");
    let program = Program::start(&["--max-connections", "1"]);
    let mut first = program.connect();
    assert_eq!(first.get("/").status, 200);
    // It waits in the backlog.
    let mut second = program.connect();
    second.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    let metrics = program.metrics();
    assert_eq!(metrics.value("heist_connections_accepted_total", &[("server", "http")]), 1.0);
    drop(first);
    assert_eq!(second.response().status, 200);
}

/// Failure: a load balancer keeps sending to a server that has closed its listener.
#[test]
fn server_goes_on_for_the_drain_delay_while_readyz_says_no() {
    let _guard = hang_guard("drain delay");
    let program = Program::start(&["--drain-delay", "1h"]);
    let mut admin = Client::connect(program.admin());
    assert_eq!(admin.get("/readyz").status, 200);
    program.signal(Signal::TERM);
    while admin.get("/readyz").status == 200 {}
    let response = program.connect().get("/");
    assert_eq!((response.status, response.headers.get("connection")), (200, None));
}

/// Failure: the server serves on for ever.
#[test]
fn server_drains_after_the_drain_delay() {
    let _guard = hang_guard("end of the drain delay");
    let program = Program::start(&["--drain-delay", "10ms"]);
    program.signal(Signal::TERM);
    assert_eq!(program.wait().code, Some(0));
}

/// Failure: the drain takes long, and the metrics do not show what it waits for.
#[test]
fn admin_listener_closes_last() {
    let _guard = hang_guard("admin closes last");
    let program = Program::start(&["--grace", "1h"]);
    let mut busy = program.connect();
    busy.begin_upload(1);
    let mut admin = Client::connect(program.admin());
    program.signal(Signal::TERM);
    while std::net::TcpStream::connect(program.address()).is_ok() {}
    assert_eq!(admin.get("/readyz").status, 503);
    assert_eq!(program.metrics().value("heist_connections", &[("state", "active")]), 1.0);
    busy.send("x");
    assert_eq!(busy.response().status, 200);
    assert_eq!(program.wait().code, Some(0));
}
