//! tonic's services on a server of heist, called by grpcio.

mod ping_proxy;
mod service;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use heist::server::{Allowance, Http2Limits, Limits};
use heist_axum::BuilderExt as _;
use heist_ecosystem::site::{Directory, GUARD, SelfSigned, Site, builder};
use heist_tests::python::python_with;
use ping_proxy::PingProxy;
use service::{Echo, Event};
use tonic::service::Routes;

/// Limits for calls whose messages come whenever they come.
fn limits() -> Limits {
    Limits {
        max_body: u64::MAX,
        body_timeout: Duration::MAX,
        min_receive_rate: 0,
        ..Limits::default()
    }
}

/// A process of Python that makes calls.
struct Caller {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Caller {
    fn start(mut python: Command, case: &str, arguments: &[&str]) -> Caller {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc/calls.py");
        python.arg(script).arg(case).args(arguments);
        let mut process = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Caller { process, input, output }
    }

    /// Without TLS.
    fn of(python: Command, case: &str, site: &Site) -> Caller {
        Caller::start(python, case, &[&site.address().to_string()])
    }

    fn await_line(&mut self, expected: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }

    fn go_on(&mut self) {
        self.input.write_all(b"go on\n").unwrap();
    }

    fn end(mut self) {
        self.await_line("ok");
        assert!(self.process.wait().unwrap().success());
    }
}

/// An assertion that fails leaves no process behind.
impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn site(limits: Limits, echo: Echo) -> Site {
    Site::axum(limits, routes(echo))
}

fn routes(echo: Echo) -> Routes {
    let (_, health) = tonic_health::server::health_reporter();
    Routes::new(echo).add_service(health)
}

#[test]
fn each_kind_of_call_is_answered() {
    let Some(python) = python_with("each_kind_of_call_is_answered", "grpc") else { return };
    let site = site(limits(), Echo::new().0);
    Caller::of(python, "kinds", &site).end();
}

#[test]
fn calls_are_answered_behind_tls() {
    let Some(python) = python_with("calls_are_answered_behind_tls", "grpc") else { return };
    let (own, directory) = (SelfSigned::new(), Directory::new("grpc-tls"));
    let file = directory.path().join("certificate.pem");
    fs::write(&file, &own.certificate).unwrap();
    let builder = builder(limits()).tls(own.config()).axum(routes(Echo::new().0));
    let site = Site::start(builder);
    let address = format!("localhost:{}", SocketAddr::port(&site.address()));
    Caller::start(python, "kinds", &[&address, file.to_str().unwrap()]).end();
}

#[test]
fn errors_are_statuses() {
    let Some(python) = python_with("errors_are_statuses", "grpc") else { return };
    let site = site(limits(), Echo::new().0);
    Caller::of(python, "errors", &site).end();
}

/// Failure: a call goes on though its client has given it up.
#[test]
fn cancelled_call_drops_its_stream() {
    let Some(python) = python_with("cancelled_call_drops_its_stream", "grpc") else { return };
    let (echo, events) = Echo::new();
    let site = site(limits(), echo);
    let mut caller = Caller::of(python, "cancel", &site);
    caller.await_line("began");
    assert_eq!(events.recv_timeout(GUARD), Ok(Event::Dropped));
    caller.go_on();
    caller.end();
}

/// tonic's routers do not look at `grpc-timeout`: the client resets the stream at its deadline.
#[test]
fn deadline_of_the_client_drops_the_call() {
    let Some(python) = python_with("deadline_of_the_client_drops_the_call", "grpc") else { return };
    let (echo, events) = Echo::new();
    let site = site(limits(), echo);
    let mut caller = Caller::of(python, "deadline", &site);
    caller.await_line("began");
    assert_eq!(events.recv_timeout(GUARD), Ok(Event::Dropped));
    caller.go_on();
    caller.end();
}

/// Failure: the keep-alive of gRPC is taken for a flood of PINGs, or a call that is quiet for one that has
/// stalled.
#[test]
fn quiet_call_with_keep_alive_goes_on() {
    let Some(python) = python_with("quiet_call_with_keep_alive_goes_on", "grpc") else { return };
    // The answer to a PING of the server takes no time by its clock, and some in truth.
    let http2 = Http2Limits {
        pings: Allowance::new(1, 1),
        ping_timeout: Duration::MAX,
        ..Http2Limits::default()
    };
    let limits = Limits { http2, ..limits() };
    let builder = builder(limits).axum(routes(Echo::new().0)).prior_knowledge(true);
    let (site, clock) = Site::with_manual_clock(builder);
    // Between two PINGs more time passes than any limit gives a connection that is quiet.
    let (seen, pings) = mpsc::channel();
    let proxy = PingProxy::start(site.address(), move || {
        clock.advance(Duration::from_secs(100));
        let _ = seen.send(());
    });
    let mut caller = Caller::start(python, "pings", &[&proxy.address().to_string()]);
    caller.await_line("began");
    // gRPC sends the second one at once, and then one a second.
    for _ in 0..2 {
        pings.recv_timeout(GUARD).unwrap();
    }
    caller.go_on();
    caller.end();
}

#[test]
fn thousand_calls_on_fifty_streams_are_answered() {
    let Some(python) = python_with("thousand_calls_on_fifty_streams_are_answered", "grpc") else {
        return;
    };
    let site = site(limits(), Echo::new().0);
    Caller::of(python, "load", &site).end();
    assert_eq!(site.server.metrics().accepted, 1);
}

#[test]
fn drain_waits_for_a_call_and_takes_no_other() {
    let Some(python) = python_with("drain_waits_for_a_call_and_takes_no_other", "grpc") else {
        return;
    };
    let site = site(limits(), Echo::new().0);
    let mut caller = Caller::of(python, "drain", &site);
    caller.await_line("began");
    let drain = site.drain(GUARD);
    caller.go_on();
    caller.end();
    let report = drain.join().unwrap();
    assert_eq!((report.failed, report.force_closed), (0, 0), "{report}");
}
