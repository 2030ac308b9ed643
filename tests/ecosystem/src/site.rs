//! A server with a runtime of its own, for one test.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use heist::Runtime;
use heist::http::Http;
use heist::net::Stream;
use heist::server::{
    Address, Builder, CloseKind, Limits, Listener, NoService, Report, Serve, Server, TransportLayer,
};
use heist::time::{Clock, ManualClock};
use heist_axum::{AxumService, BuilderExt as _};

/// A server, and the runtime it is on.
pub struct Site {
    /// The server.
    pub server: Arc<Server>,
    /// Its runtime, which ends with the site.
    pub runtime: Runtime,
}

impl Site {
    /// A server of HTTP/1 and HTTP/2 without TLS.
    pub fn axum<S>(limits: Limits, service: S) -> Site
    where
        Http<AxumService<S>>: Serve<Stream>,
    {
        Site::start(builder(limits).axum(service).prior_knowledge(true))
    }

    /// The server of `builder`.
    pub fn start<S, L>(builder: Builder<S, L>) -> Site
    where
        L: TransportLayer,
        S: Serve<L::Transport>,
    {
        Site::start_in(Runtime::new().unwrap(), builder)
    }

    /// The server of `builder`, on one worker and by a clock that the test moves.
    pub fn with_manual_clock<S, L>(builder: Builder<S, L>) -> (Site, ManualClock)
    where
        L: TransportLayer,
        S: Serve<L::Transport>,
    {
        let (clock, manual) = Clock::manual();
        let runtime = heist::Builder::new().ignore_environment().workers(1).clock(clock);
        (Site::start_in(runtime.start().unwrap(), builder), manual)
    }

    /// The server of `builder`, whose tasks are inside of the context of `tokio`.
    pub fn beside_tokio<S, L>(tokio: &tokio::runtime::Runtime, builder: Builder<S, L>) -> Site
    where
        L: TransportLayer,
        S: Serve<L::Transport>,
    {
        let runtime = heist::Builder::new().beside_tokio(tokio.handle().clone()).start().unwrap();
        Site::start_in(runtime, builder)
    }

    fn start_in<S, L>(runtime: Runtime, builder: Builder<S, L>) -> Site
    where
        L: TransportLayer,
        S: Serve<L::Transport>,
    {
        let server = builder.start_on(runtime.handle()).unwrap();
        Site { server: Arc::new(server), runtime }
    }

    /// Where it listens, on TCP.
    pub fn address(&self) -> SocketAddr {
        match self.server.addresses()[0] {
            Address::Tcp(address) => address,
            _ => panic!("it listens on TCP"),
        }
    }

    /// A connection whose reads end in a minute.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream
    }

    /// The whole answer to a request on a connection of its own.
    pub fn get(&self, head: &str) -> String {
        exchange(self.connect(), &format!("GET {head}\r\nhost: a\r\nconnection: close\r\n\r\n"))
    }

    /// Moves the time of a site with a manual clock on, and lets the tasks run whose timers are due.
    pub fn pass(&self, clock: &ManualClock, time: Duration) {
        clock.advance(time);
        // It runs after the tasks that the move has woken.
        self.runtime.block_on(self.runtime.spawn(heist::task::yield_now())).unwrap();
    }

    /// Drains with this grace, in the background.
    pub fn drain(&self, grace: Duration) -> JoinHandle<Report> {
        let (server, runtime) = (Arc::clone(&self.server), self.runtime.handle().clone());
        thread::spawn(move || runtime.block_on(server.drain(grace)))
    }

    /// Waits until a connection has ended in this way.
    pub fn await_closed(&self, kind: CloseKind) {
        let start = Instant::now();
        while self.server.metrics().closed_by(kind) == 0 {
            assert!(start.elapsed() < GUARD, "no connection has ended by {kind:?}");
            thread::yield_now();
        }
    }
}

/// Settings of a server that listens on a port of its own, and refuses nothing for overload: a machine that
/// is busy with other tests fails none.
pub fn builder(limits: Limits) -> Builder<NoService> {
    let listener = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    Server::builder().listen(listener).limits(limits).overloaded_by(|_| false)
}

/// Sends `request` and reads until the end.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// A certificate for `localhost`, signed by itself, and its key.
pub struct SelfSigned {
    /// The certificate as PEM.
    pub certificate: String,
    /// The key as PEM.
    pub key: String,
}

impl SelfSigned {
    /// A new one.
    pub fn new() -> SelfSigned {
        let made = rcgen::generate_simple_self_signed([String::from("localhost")]).unwrap();
        SelfSigned { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// The settings of a server that has it.
    pub fn config(&self) -> heist::tls::Config {
        let certificate =
            heist::tls::Certificate::pem(self.certificate.as_bytes(), self.key.as_bytes());
        heist::tls::Config::builder().certificate(certificate).build().unwrap()
    }
}

impl Default for SelfSigned {
    fn default() -> SelfSigned {
        SelfSigned::new()
    }
}

/// A directory that is removed at the end of a test.
pub struct Directory(PathBuf);

impl Directory {
    /// A new one, for the test called `test`.
    pub fn new(test: &str) -> Directory {
        let path = std::env::temp_dir().join(format!("heist-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Ends waits that would hang.
pub const GUARD: Duration = Duration::from_secs(60);
