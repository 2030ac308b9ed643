//! Foreign code in the acceptor, and a start that the runtime refuses.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use heist_net::server::{
    Accepted, CloseKind, CloseReason, ConnectionPermit, Limits, Peer, Refusal, Serve, StartError,
};
use heist_net::{Builder, Runtime, Server};

use crate::common::runtime;
use crate::stage::{Client, Echo, echo, listener, listener_apart, server, until, until_refused};

fn caught(runtime: &Runtime) -> u64 {
    runtime.handle().metrics().caught_panics
}

/// Failure: a hook that panicked once ended the listener, and its own hook was not called.
#[test]
fn hook_that_panics_does_not_end_the_listener() {
    let runtime = runtime();
    let asked = AtomicUsize::new(0);
    let server = Server::builder()
        .listen(listener())
        .overloaded_by(move |_| {
            assert_ne!(asked.fetch_add(1, Ordering::SeqCst), 0, "a hook (expected)");
            false
        })
        .protocol(|_: &Peer| Echo::default())
        .start_on(runtime.handle())
        .unwrap();
    for _ in 0..2 {
        Client::new(&server).ask("hello\n");
    }
    assert_eq!(caught(&runtime), 1);
}

/// Panics at each call by the acceptor, except the first one that makes a task.
struct Panics(AtomicUsize);

impl Serve for Panics {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<> {
        async move {
            let _ = crate::serving::echo_bytes(accepted.stream).await;
            CloseReason::Finished
        }
    }

    fn task(
        self: Arc<Self>,
        permit: ConnectionPermit,
        accepted: Accepted,
    ) -> impl Future<Output: Send> + Send + 'static {
        assert_ne!(self.0.fetch_add(1, Ordering::SeqCst), 0, "no task (expected)");
        async move {
            let _permit = permit;
            self.serve(accepted).await
        }
    }

    fn refusal(&self, _: Refusal) -> Option<&'static [u8]> {
        panic!("no words (expected)")
    }
}

/// Failure: a service that panicked while its task was made left its connection counted, and ended
/// the listener.
#[test]
fn service_that_panics_in_the_acceptor_gives_its_place_back() {
    let runtime = runtime();
    let limits = Limits { connections: 1, ..Limits::default() };
    let server =
        server(limits).serve(Panics(AtomicUsize::new(0))).start_on(runtime.handle()).unwrap();
    Client::new(&server).assert_closed();
    let mut client = Client::new(&server);
    client.ask("hello");
    assert_eq!((caught(&runtime), server.metrics().accepted), (1, 2));
    drop(client);
    until(|| server.metrics().closed_by(CloseKind::Cancelled) == 2);
}

/// Failure: a service that panicked in its text for refused peers ended the listener.
#[test]
fn refusal_that_panics_is_one_without_words() {
    let runtime = runtime();
    let limits = Limits { per_address: 1, limit_loopback: true, ..Limits::default() };
    let server =
        server(limits).serve(Panics(AtomicUsize::new(1))).start_on(runtime.handle()).unwrap();
    let mut client = Client::new(&server);
    client.ask("hello");
    for _ in 0..2 {
        Client::new(&server).assert_closed();
    }
    until(|| server.metrics().refused_for(Refusal::PerAddress) == 2);
    assert_eq!(caught(&runtime), 2);
}

/// Failure: a server started although the runtime refused its acceptor, and no task accepted.
#[test]
fn start_without_a_task_for_each_listener_is_an_error_and_leaves_nothing() {
    let runtime = Builder::new().ignore_environment().workers(1).max_tasks(2).start().unwrap();
    drop(runtime.spawn(std::future::pending::<()>()));
    let second = listener_apart(4);
    let address = second.address().clone();
    // There is room for one task.
    let started = echo(Limits::default()).listen(second).start_on(runtime.handle());
    let Err(StartError::Refused { address: refused }) = started else { panic!("{started:?}") };
    assert_eq!(refused, address);
    until_refused(&address);
    // The task of the first acceptor has ended, too.
    until(|| runtime.handle().metrics().tasks_alive == 1);
    let server = echo(Limits::default()).start_on(runtime.handle()).unwrap();
    assert!(!server.addresses().is_empty());
}

/// Failure: as above, where the runtime has shut down.
#[test]
fn start_on_a_runtime_that_has_shut_down_is_an_error() {
    let runtime = runtime();
    let handle = runtime.handle().clone();
    assert_eq!(runtime.shutdown(crate::common::GUARD).tasks_left, 0);
    let started = echo(Limits::default()).start_on(&handle);
    assert!(started.is_err(), "{started:?}");
}
