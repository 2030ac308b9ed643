//! A server for a test, on a clock that the test moves.

use std::collections::BTreeSet;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use heist_net::http::{Body, Http};
use heist_net::server::{Address, CloseKind, Limits, Listener, Serve, Server};
use heist_net::{Builder, Runtime};
use heist_scheduler::time::{Clock, ManualClock};
use heist_scheduler::{Handle, OverloadLevel, spawn_blocking, yield_now};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::service::Service;
use hyper::{Request, Response};

use crate::client::{Client, GUARD};

/// One worker, so that a task that yields often enough has let it process all events.
pub(crate) struct Site {
    pub(crate) server: Arc<Server>,
    pub(crate) runtime: Runtime,
    hand: ManualClock,
}

impl Site {
    pub(crate) fn new<S>(service: S) -> Site
    where
        Http<S>: Serve,
    {
        Site::with(Limits::default(), service)
    }

    pub(crate) fn with<S>(limits: Limits, service: S) -> Site
    where
        Http<S>: Serve,
    {
        Site::overloaded_by(|_| false, limits, service)
    }

    pub(crate) fn overloaded_by<S, V: Into<OverloadLevel>>(
        overloaded: impl Fn(&Handle) -> V + Send + Sync + 'static,
        limits: Limits,
        service: S,
    ) -> Site
    where
        Http<S>: Serve,
    {
        Site::serving(overloaded, limits, Http::new(service))
    }

    pub(crate) fn serving<V: Into<OverloadLevel>>(
        overloaded: impl Fn(&Handle) -> V + Send + Sync + 'static,
        limits: Limits,
        serve: impl Serve,
    ) -> Site {
        Site::with_budget(128, overloaded, limits, serve)
    }

    /// With a budget of operations for each poll.
    pub(crate) fn with_budget<V: Into<OverloadLevel>>(
        operations: u32,
        overloaded: impl Fn(&Handle) -> V + Send + Sync + 'static,
        limits: Limits,
        serve: impl Serve,
    ) -> Site {
        let (clock, hand) = Clock::manual();
        let builder = Builder::new().ignore_environment().workers(1).clock(clock);
        let runtime = builder.budget(operations).start().unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = Server::builder()
            .listen(listener)
            .limits(limits)
            .overloaded_by(overloaded)
            .serve(serve)
            .start_on(runtime.handle())
            .unwrap();
        Site { server: Arc::new(server), runtime, hand }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.server.addresses()[0] {
            Address::Tcp(address) => *address,
            other => panic!("not where this listens: {other:?}"),
        }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Lets the server process what has come so far, on all its sockets and timers.
    pub(crate) fn settle(&self) {
        await_delivery();
        let turns = self.runtime.spawn(async {
            // It polls its sockets at least every 61 turns; the tasks that this wakes may take a
            // few.
            for _ in 0..300 {
                yield_now().await;
            }
        });
        self.runtime.block_on(turns).unwrap();
    }

    /// Moves time on, after the server has processed what came before.
    pub(crate) fn pass(&self, seconds: u64) {
        self.settle();
        self.hand.advance(Duration::from_secs(seconds));
        self.settle();
    }

    /// Moves the clock only.
    pub(crate) fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }

    /// Moves time on and calls `meanwhile` while the worker is blocked.
    pub(crate) fn pass_unseen(&self, seconds: u64, meanwhile: impl FnOnce()) {
        // After the second long poll the worker takes few events at a time.
        self.hold(|| self.hand.advance(Duration::from_millis(1)));
        self.hold(|| {
            meanwhile();
            self.hand.advance(Duration::from_secs(seconds));
        });
    }

    /// Blocks the worker while `meanwhile` runs.
    pub(crate) fn hold(&self, meanwhile: impl FnOnce()) {
        let (release, released) = channel::<()>();
        let (hold, held) = channel();
        let holds = self.runtime.spawn(async move {
            hold.send(()).unwrap();
            let _ = released.recv();
        });
        held.recv().unwrap();
        meanwhile();
        drop(release);
        self.runtime.block_on(holds).unwrap();
    }

    pub(crate) fn closed(&self, kind: CloseKind) -> u64 {
        self.settle();
        self.server.metrics().closed_by(kind)
    }

    /// The number of answers with this code.
    pub(crate) fn answered(&self, code: u16) -> u64 {
        self.settle();
        let http = self.server.metrics().http.expect("an HTTP server has metrics of it");
        http.requests.iter().find(|(found, _)| *found == code).map_or(0, |(_, count)| *count)
    }
}

/// Waits until the kernel has passed on what was sent over the loopback so far. It mostly does so
/// within the call that sends; on a busy machine it leaves packets to a thread of its own, or to
/// another CPU.
///
/// What waits for a CPU is in order: once its queue was seen empty, what was there before is gone.
fn await_delivery() {
    let start = Instant::now();
    let mut passed_on = BTreeSet::new();
    // Other systems than Linux have no such file.
    while let Ok(table) = std::fs::read_to_string("/proc/net/softnet_stat") {
        for (cpu, line) in table.lines().enumerate() {
            // Older kernels do not tell the length.
            let length = line.split_whitespace().nth(11).unwrap_or("0");
            if length.bytes().all(|digit| digit == b'0') {
                passed_on.insert(cpu);
            }
        }
        if passed_on.len() >= table.lines().count() {
            return;
        }
        assert!(start.elapsed() < GUARD, "packets wait for ever: {table}");
        thread::yield_now();
    }
}

pub(crate) type Reply = Response<Full<Bytes>>;
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

pub(crate) fn reply(text: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(text.into()))
}

/// Answers `hello` to every request, and counts them.
#[derive(Clone, Default)]
pub(crate) struct Hello(pub(crate) Arc<AtomicUsize>);

impl Hello {
    pub(crate) fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Service<Request<Body>> for Hello {
    type Response = Reply;
    type Error = Failure;
    type Future = std::future::Ready<Result<Reply, Failure>>;

    fn call(&self, _request: Request<Body>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Ok(reply("hello")))
    }
}

/// Reads the body to its end and answers with its length.
pub(crate) async fn measure(request: Request<Body>) -> Result<Reply, Failure> {
    let body = request.into_body().collect().await?.to_bytes();
    Ok(reply(body.len().to_string()))
}

/// A point at which a service waits for the test.
#[derive(Clone)]
pub(crate) struct Gate(Arc<Mutex<Receiver<()>>>);

impl Gate {
    /// The service's side, and the test's: each message lets one call go on.
    pub(crate) fn new() -> (Gate, Sender<()>) {
        let (sender, receiver) = channel();
        (Gate(Arc::new(Mutex::new(receiver))), sender)
    }

    pub(crate) async fn pass(&self) {
        let receiver = Arc::clone(&self.0);
        let passed = spawn_blocking(move || receiver.lock().unwrap().recv());
        passed.await.unwrap().expect("the test lets its services go on");
    }
}

/// A request that computes for as long as the test lets time pass.
#[derive(Clone)]
pub(crate) struct Work {
    entered: Sender<()>,
    leave: Arc<Mutex<Receiver<()>>>,
}

/// The test's side of it.
pub(crate) struct Overseer {
    entered: Receiver<()>,
    leave: Sender<()>,
}

impl Work {
    pub(crate) fn new() -> (Work, Overseer) {
        let ((enter, entered), (leave, left)) = (channel(), channel());
        (Work { entered: enter, leave: Arc::new(Mutex::new(left)) }, Overseer { entered, leave })
    }

    /// In the poll of a task: returns when the overseer has let time pass.
    pub(crate) fn compute(&self) {
        self.entered.send(()).unwrap();
        self.leave.lock().unwrap().recv().unwrap();
    }
}

impl Overseer {
    /// Has the request that works, or will, take so many seconds in one poll.
    pub(crate) fn takes(&self, site: &Site, seconds: u64) {
        self.entered.recv_timeout(GUARD).unwrap();
        site.advance(seconds);
        self.leave.send(()).unwrap();
    }
}
