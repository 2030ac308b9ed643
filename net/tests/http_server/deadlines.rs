//! Deadlines of HTTP connections, none of which may be lost.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist_net::http::{Body, Http};
use heist_net::server::{
    Accepted, Address, CloseKind, CloseReason, Limits, Listener, Serve, Server, Shared,
};
use heist_scheduler::spawn;
use heist_scheduler::time::Instant;
use hyper::Request;
use hyper::service::service_fn;

use crate::client::{Client, GET};
use crate::order::TwoWorkers;
use crate::site::{Failure, Hello, Site, reply};

/// Serves with another service, and reports the worker that begins each connection, and the time.
struct Told<T>(T, Mutex<Sender<(ThreadId, Instant)>>);

impl<T: Serve> Serve for Told<T> {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<T> {
        let came = accepted.accepted_at;
        self.1.lock().unwrap().send((thread::current().id(), came)).unwrap();
        self.0.serve(accepted)
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.0.start(server);
    }
}

/// Holds an answer back until the test wakes the connection's task.
#[derive(Default)]
struct HeldBack {
    open: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl HeldBack {
    async fn pass(&self) {
        poll_fn(|cx| match self.open.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => {
                *self.waker.lock().unwrap() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }

    fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap().take();
        waker.expect("an answer is kept back").wake();
    }
}

/// Failure: the connection relied on its timer, which had fired at the limit of a head while
/// another worker ran the task with an older time. The idle connection stayed open for ever.
#[test]
fn idle_limit_is_kept_where_the_timer_fires_behind_the_back_of_a_run() {
    let workers = TwoWorkers::new();
    let limits = Limits {
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(60),
        ..Limits::default()
    };
    let held_back = Arc::new(HeldBack::default());
    let (called, is_called) = mpsc::channel();
    let service = service_fn({
        let held_back = Arc::clone(&held_back);
        move |_: Request<Body>| {
            let (held_back, called) = (Arc::clone(&held_back), called.clone());
            async move {
                let mut pass = std::pin::pin!(held_back.pass());
                let first = poll_fn(|cx| Poll::Ready(pass.as_mut().poll(cx))).await;
                assert!(first.is_pending());
                called.send(()).unwrap();
                pass.await;
                Ok::<_, Failure>(reply("hello"))
            }
        }
    });
    let (tell, told) = mpsc::channel();
    let server = Server::builder()
        .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
        .limits(limits.clone())
        .overloaded_by(|_| false)
        .serve(Told(Http::new(service), Mutex::new(tell)))
        .start_on(workers.runtime.handle())
        .unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it is TCP") };
    let mut client = Client::connect(address);
    // The first poll arms the timer for the head.
    let (worker, came) = told.recv().unwrap();
    client.send(GET);
    is_called.recv().unwrap();
    workers.fire_behind_a_run(
        worker,
        came + limits.header_timeout,
        move || held_back.open(),
        || assert_eq!(client.answer().code, 200),
    );
    workers.pass_until(limits.idle_timeout, || {
        server.metrics().closed_by(CloseKind::IdleTimeout) == 1
    });
    assert!(client.rest().is_empty());
}

/// Serves with another service: after the first poll in another task, which is reported to the
/// test.
struct Moved<T>(T, Mutex<Sender<()>>);

impl<T: Serve> Serve for Moved<T> {
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<T> {
        let mut served = Box::pin(self.0.serve(accepted));
        let moved = self.1.lock().unwrap().clone();
        async move {
            let first = poll_fn(|cx| Poll::Ready(served.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            let other = poll_fn(move |cx| {
                let ending = served.as_mut().poll(cx);
                let _ = moved.send(());
                ending
            });
            spawn(other).await.unwrap()
        }
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.0.start(server);
    }
}

/// Failure: the timer had the waker of the task that had polled the connection first, and woke only
/// that.
#[test]
fn limits_are_kept_where_another_task_goes_on_with_the_connection() {
    let (tell, moved) = mpsc::channel();
    let serve = Moved(Http::new(Hello::default()), Mutex::new(tell));
    let site = Site::serving(|_| false, Limits::default(), serve);
    let mut client = site.connect();
    moved.recv().unwrap();
    site.pass(Limits::default().header_timeout.as_secs() + 1);
    assert_eq!(site.closed(CloseKind::HeaderTimeout), 1);
    assert!(client.rest().is_empty());
}
