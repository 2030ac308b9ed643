//! The end of a server.

use std::future::{pending, ready};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use heist_net::Server;
use heist_net::server::{Address, CloseKind, Limits, Peer, Refusal, Report, Shared, StartError};
use heist_scheduler::{AbortHandle, JoinHandle};

use crate::common::runtime;
use crate::stage::{Client, Echo, Stage, echo, listener_apart, server, until, until_refused};

/// A server on virtual time.
struct Drained {
    stage: Stage,
    server: Arc<Server>,
}

impl Drained {
    fn new() -> Drained {
        Drained::with(Limits::default())
    }

    fn with(limits: Limits) -> Drained {
        let stage = Stage::new();
        let server = echo(limits).start_on(stage.runtime.handle()).unwrap();
        Drained { stage, server: Arc::new(server) }
    }

    /// Begins to drain, with a grace of 30 s.
    fn begin(&self) -> JoinHandle<Report> {
        let server = Arc::clone(&self.server);
        let draining = self.stage.runtime.spawn(async move { server.drain(GRACE).await });
        until(|| self.server.shared().is_draining());
        // Each connection has been told when this returns.
        self.stage.pass(Duration::ZERO);
        draining
    }

    fn report(&self, draining: JoinHandle<Report>) -> Report {
        self.stage.runtime.block_on(draining).unwrap()
    }
}

const GRACE: Duration = Duration::from_secs(30);

/// Failure: a connection that was taken out of the backlog is refused as the drain begins, although
/// the successor of the listener would have served it.
#[test]
fn connection_accepted_as_the_drain_begins_is_served() {
    let runtime = runtime();
    let (accepted, is_accepted) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let server = server(Limits::default())
        // The acceptor calls this after it has taken the connection.
        .overloaded_by(move |_| {
            accepted.send(()).unwrap();
            may_go_on.lock().unwrap().recv().unwrap();
            false
        })
        .protocol(|_: &Peer| Echo::default())
        .start_on(runtime.handle())
        .unwrap();
    let mut client = Client::new(&server);
    client.send("hello\n");
    is_accepted.recv().unwrap();
    let report = thread::scope(|scope| {
        let draining = scope.spawn(|| server.drain_blocking(GRACE));
        until(|| server.shared().is_draining());
        go_on.send(()).unwrap();
        client.expect("hello\n");
        draining.join().unwrap()
    });
    assert_eq!((report.finished, report.force_closed), (1, 0));
    assert_eq!(server.metrics().refused_for(Refusal::Draining), 0);
}

#[test]
fn drain_of_nothing_ends_at_once_and_the_port_is_free() {
    let runtime = runtime();
    let server = Server::builder()
        .listen(listener_apart(2))
        .protocol(|_: &Peer| Echo::default())
        .start_on(runtime.handle())
        .unwrap();
    let report = server.drain_blocking(Duration::from_secs(3600));
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (0, 0, 0));
    until_refused(&server.addresses()[0]);
    // A second call is no error.
    server.drain_blocking(Duration::ZERO);
}

#[test]
fn graceful_stop_does_not_wait_for_idle_connections() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    client.ask("hello\n");
    drained.stage.pass(Duration::from_secs(2));
    let draining = drained.begin();
    // No more time passes.
    client.assert_closed();
    let report = drained.report(draining);
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (0, 1, 0));
    assert_eq!(drained.server.metrics().closed_by(CloseKind::IdleDrained), 1);
}

#[test]
fn half_sent_request_is_finished() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    client.send("first ");
    until(|| drained.server.metrics().connections_active == 1);
    drained.stage.pass(Duration::from_secs(2));
    let draining = drained.begin();
    drained.stage.pass(Duration::from_secs(2));
    client.send("half\n");
    assert_eq!(client.rest(), "first half\n");
    drop(client);
    let report = drained.report(draining);
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (1, 0, 0));
}

/// Failure: the timer was set to a time that had passed, again and again.
#[test]
fn half_sent_request_in_a_drain_costs_no_turns() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    client.send("half");
    until(|| drained.server.metrics().connections_active == 1);
    drained.stage.pass(Duration::from_secs(2));
    let draining = drained.begin();
    drained.stage.pass(Duration::from_secs(2));
    let handle = drained.stage.runtime.handle();
    let polls = || handle.metrics().workers.iter().map(|worker| worker.polls).sum::<u64>();
    let before = polls();
    thread::sleep(Duration::from_millis(100));
    let more = polls() - before;
    assert!(more < 100, "{more} polls");
    client.send(" a request\n");
    assert_eq!(client.rest(), "half a request\n");
    drop(client);
    assert_eq!(drained.report(draining).finished, 1);
}

#[test]
fn request_sent_just_before_the_drain_is_answered() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    client.ask("one\n");
    let draining = drained.begin();
    // As a byte on its way: the server has begun to drain and has not read it.
    client.send("two\n");
    assert_eq!(client.rest(), "two\n");
    drop(client);
    let report = drained.report(draining);
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (1, 0, 0));
}

#[test]
fn request_of_a_connection_accepted_just_before_the_drain_is_answered() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    until(|| drained.server.metrics().accepted == 1);
    let draining = drained.begin();
    client.send("one\n");
    assert_eq!(client.rest(), "one\n");
    drop(client);
    assert_eq!(drained.report(draining).finished, 1);
}

#[test]
fn connection_that_was_just_used_is_not_waited_for_without_end() {
    let drained = Drained::new();
    let mut client = Client::new(&drained.server);
    client.ask("one\n");
    let draining = drained.begin();
    drained.stage.pass(Duration::from_millis(1100));
    client.assert_closed();
    drop(client);
    assert_eq!(drained.report(draining).idle_closed, 1);
}

#[test]
fn what_outlasts_the_grace_is_cut() {
    // No limit ends the connection before the drain does.
    let drained = Drained::with(Limits {
        idle_timeout: Duration::from_secs(3600),
        header_timeout: Duration::from_secs(3600),
        min_receive_rate: 0,
        ..Limits::default()
    });
    let (mut busy, mut idle) = (Client::new(&drained.server), Client::new(&drained.server));
    idle.ask("hello\n");
    busy.send("half");
    until(|| drained.server.metrics().connections_active == 1);
    drained.stage.pass(Duration::from_secs(70));
    let draining = drained.begin();
    idle.assert_closed();
    drained.stage.pass(GRACE / 2);
    busy.send(" and more");
    until(|| drained.server.metrics().bytes_read == 6 + 13);
    drained.stage.pass(GRACE);
    busy.assert_closed();
    let report = drained.report(draining);
    assert_eq!((report.finished, report.idle_closed, report.force_closed), (0, 1, 1), "{report}");
    assert_eq!(report.force_closed_ages.below_hour, 1);
    assert_eq!(drained.server.metrics().closed_by(CloseKind::Cancelled), 1);
}

#[test]
fn dropped_server_stops_accepting_and_lets_others_finish() {
    // On virtual time, so that the half of a line never takes too long.
    let stage = Stage::new();
    let server = Server::builder()
        .listen(listener_apart(3))
        .overloaded_by(|_| false)
        .protocol(|_: &Peer| Echo::default())
        .start_on(stage.runtime.handle())
        .unwrap();
    let address = server.addresses()[0].clone();
    let mut client = Client::new(&server);
    client.send("first ");
    until(|| server.metrics().connections_active == 1);
    drop(server);
    until_refused(&address);
    client.send("half\n");
    assert_eq!(client.rest(), "first half\n");
}

/// A server that runs until the task is aborted that this returns, and its task.
fn run(
    stage: &Stage,
    limits: Limits,
) -> (Arc<Shared>, Vec<Address>, AbortHandle, JoinHandle<Report>) {
    let server = echo(limits).start_on(stage.runtime.handle()).unwrap();
    let (shared, addresses) = (Arc::clone(server.shared()), server.addresses().to_vec());
    let shutdown = stage.runtime.spawn(pending::<()>());
    let stop = shutdown.abort_handle();
    (shared, addresses, stop, stage.runtime.spawn(server.run_until(shutdown)))
}

#[test]
fn server_that_runs_until_a_future_drains_within_the_grace_of_its_limits() {
    let stage = Stage::new();
    let limits = Limits { drain_grace: Duration::from_secs(7), ..Limits::default() };
    let (shared, addresses, stop, running) = run(&stage, limits);
    let (mut idle, mut busy) = (Client::of(&addresses[0]), Client::of(&addresses[0]));
    idle.ask("hello\n");
    busy.ask("hello\n");
    busy.send("half a li");
    stage.pass(Duration::from_secs(2));
    assert!(!shared.is_draining());

    stop.abort();
    until(|| shared.is_draining());
    stage.pass(Duration::ZERO);
    idle.assert_closed();
    stage.pass(Duration::from_secs(6));
    assert!(!running.is_finished());
    stage.pass(Duration::from_secs(2));
    let report = stage.runtime.block_on(running).unwrap();
    assert_eq!((report.idle_closed, report.force_closed), (1, 1));
    busy.assert_closed();
}

#[test]
fn server_whose_run_is_dropped_drains_and_force_closes_nothing() {
    let stage = Stage::new();
    let limits = Limits { drain_grace: Duration::ZERO, ..Limits::default() };
    let (shared, addresses, _stop, running) = run(&stage, limits);
    let (mut idle, mut busy) = (Client::of(&addresses[0]), Client::of(&addresses[0]));
    idle.ask("hello\n");
    busy.ask("hello\n");
    busy.send("half a li");
    stage.pass(Duration::from_secs(2));

    running.abort();
    until(|| shared.is_draining());
    stage.pass(Duration::from_secs(2));
    idle.assert_closed();
    busy.send("ne\n");
    busy.expect("half a line\n");
    busy.assert_closed();
}

#[test]
fn server_drains_where_the_future_that_it_runs_until_panics() {
    let stage = Stage::new();
    let server = echo(Limits::default()).start_on(stage.runtime.handle()).unwrap();
    let shared = Arc::clone(server.shared());
    let mut idle = Client::new(&server);
    idle.ask("hello\n");
    stage.pass(Duration::from_secs(2));
    let running = stage.runtime.spawn(server.run_until(async { panic!("the future's own") }));
    assert!(stage.runtime.block_on(running).unwrap_err().is_panic());
    assert!(shared.is_draining());
    stage.pass(Duration::from_secs(2));
    idle.assert_closed();
}

#[test]
fn builder_that_runs_until_a_future_starts_and_ends_the_server() {
    let runtime = runtime();
    let listener = listener_apart(9);
    let address = listener.address().clone();
    let builder = Server::builder().listen(listener).protocol(|_: &Peer| Echo::default());
    let report = runtime.block_on(builder.run_until(ready(())));
    assert_eq!(report.unwrap().finished, 0);
    until_refused(&address);

    let builder = Server::builder().protocol(|_: &Peer| Echo::default());
    let refused = runtime.block_on(builder.run_until(pending::<()>()));
    assert!(matches!(refused, Err(StartError::NoListener)), "{refused:?}");
}
