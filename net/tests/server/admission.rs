//! Admission of connections.

use std::future::Future;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use heist_net::server::{
    Accepted, Address, CloseKind, CloseReason, Limits, Listener, Peer, Refusal, Serve, StartError,
};
use heist_net::{Runtime, Server};
use socket2::SockRef;

use crate::common::runtime;
use crate::stage::{Census, Client, Echo, echo, listener, server, until};

#[test]
fn connection_flood_waits_in_the_backlog_and_is_served() {
    let runtime = runtime();
    let census = Arc::new(Census::default());
    let seen = Arc::clone(&census);
    let server = server(Limits { connections: 3, ..Limits::default() })
        .protocol(move |_: &Peer| Echo { census: Arc::clone(&census) })
        .start_on(runtime.handle())
        .unwrap();
    let mut clients: Vec<_> = (0..200).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.send("hello\n"));
    // As many as may be are open at once before the first one leaves.
    until(|| seen.most() == 3);
    // Each leaves when it was answered; until then it counts.
    for mut client in clients {
        client.expect("hello\n");
    }
    until(|| server.metrics().closed_by(CloseKind::Finished) == 200);
    assert_eq!(seen.most(), 3);
    assert_eq!(server.metrics().accepted, 200);
}

#[test]
fn one_address_cannot_take_all_places() {
    let runtime = runtime();
    let limits = Limits { per_address: 2, limit_loopback: true, ..Limits::default() };
    let server = echo(limits).start_on(runtime.handle()).unwrap();
    let (mut one, mut two) = (Client::new(&server), Client::new(&server));
    one.ask("1\n");
    two.ask("2\n");
    Client::new(&server).assert_closed();
    assert_eq!(server.metrics().refused_for(Refusal::PerAddress), 1);
    drop(one);
    until(|| server.metrics().closed_by(CloseKind::Finished) == 1);
    Client::new(&server).ask("3\n");
    two.ask("2\n");
}

#[test]
fn this_machine_is_not_bounded_by_address() {
    let runtime = runtime();
    let server = echo(Limits { per_address: 1, ..Limits::default() });
    let server = server.start_on(runtime.handle()).unwrap();
    let mut clients: Vec<_> = (0..5).map(|_| Client::new(&server)).collect();
    clients.iter_mut().for_each(|client| client.ask("hello\n"));
    assert_eq!(server.metrics().refused_for(Refusal::PerAddress), 0);
}

#[test]
fn aborted_connections_do_not_end_the_listener() {
    let runtime = runtime();
    let server = echo(Limits::default()).start_on(runtime.handle()).unwrap();
    for _ in 0..100 {
        let client = Client::new(&server);
        SockRef::from(&client.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
    Client::new(&server).ask("still here\n");
}

/// Sends a text to refused peers, and serves none.
struct Refusing;

impl Serve for Refusing {
    fn serve(&self, _: Accepted) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
        std::future::ready(CloseReason::Finished)
    }

    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        (reason == Refusal::Overload).then_some(b"busy")
    }
}

#[test]
fn overload_is_said_and_counted_and_passes() {
    let runtime = runtime();
    let overloaded = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&overloaded);
    let server = server(Limits::default())
        .overloaded_by(move |_| flag.load(Ordering::SeqCst))
        .serve(Refusing)
        .start_on(runtime.handle())
        .unwrap();
    for _ in 0..10 {
        let mut client = Client::new(&server);
        client.send("a request\n");
        assert_eq!(client.rest(), "busy");
    }
    assert_eq!(server.metrics().refused_for(Refusal::Overload), 10);
    assert_eq!(server.metrics().accepted, 0);
    overloaded.store(false, Ordering::SeqCst);
    assert_eq!(Client::new(&server).rest(), "");
    assert_eq!(server.metrics().accepted, 1);
}

#[test]
fn policy_that_does_not_shed_serves_whatever_the_load() {
    let runtime = runtime();
    let server = echo(Limits { shed: false, ..Limits::default() })
        .overloaded_by(|_| true)
        .start_on(runtime.handle())
        .unwrap();
    Client::new(&server).ask("hello\n");
}

#[test]
fn tcp_and_unix_are_served_side_by_side() {
    let runtime = runtime();
    let file = format!("heist-server-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(file);
    let server = echo(Limits::default())
        .listen(Listener::unix(&path).unwrap())
        .start_on(runtime.handle())
        .unwrap();
    assert_eq!(server.addresses()[1], Address::Unix(path.clone()));
    Client::new(&server).ask("over tcp\n");
    let mut local = UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut local, b"over a file\n").unwrap();
    let mut answer = [0; 12];
    local.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"over a file\n");
    drop(local);
    server.drain_blocking(Duration::from_secs(60));
    assert!(!path.exists());
}

#[test]
fn successor_with_the_same_socket_goes_on_where_the_server_stops() {
    let (first, second) = (runtime(), runtime());
    let listener = listener();
    let inherited = Listener::from_fd(listener.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let start = |listener, runtime: &Runtime| {
        let server = Server::builder().listen(listener).protocol(|_: &Peer| Echo::default());
        server.start_on(runtime.handle()).unwrap()
    };
    let server = start(listener, &first);
    Client::new(&server).ask("to the first\n");
    server.drain_blocking(Duration::from_secs(60));
    // No connection is accepted now, and none is refused.
    let mut early = Client::new(&server);
    let successor = start(inherited, &second);
    assert_eq!(successor.addresses(), server.addresses());
    early.ask("to the second\n");
    drop(server);
    Client::new(&successor).ask("to the second\n");
}

#[test]
fn two_servers_on_one_runtime_have_bounds_and_figures_of_their_own() {
    let runtime = runtime();
    let limits = || Limits { connections: 1, ..Limits::default() };
    let one = echo(limits()).start_on(runtime.handle()).unwrap();
    let other = echo(limits()).start_on(runtime.handle()).unwrap();
    let (mut first, mut second) = (Client::new(&one), Client::new(&other));
    first.ask("12345\n");
    second.ask("1\n");
    // A byte is counted after the write, so its reader may be first.
    let bytes = |server: &Server| (server.metrics().bytes_read, server.metrics().bytes_written);
    until(|| bytes(&one) == (6, 6) && bytes(&other) == (2, 2));
    one.drain_blocking(Duration::from_secs(60));
    second.ask("2\n");
}

#[test]
fn server_without_a_listener_or_a_runtime_is_an_error() {
    let runtime = runtime();
    let unbound = || Server::builder().protocol(|_: &Peer| Echo::default());
    let error = unbound().start_on(runtime.handle()).unwrap_err();
    assert!(matches!(error, StartError::NoListener));
    let error = unbound().listen(listener()).start().unwrap_err();
    assert!(matches!(error, StartError::OutsideRuntime));
}
