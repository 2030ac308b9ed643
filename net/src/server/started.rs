//! A server that has started.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::time::{Instant, Timer};

use super::drain::{AgeCounts, Report};
use super::metrics::{HttpMetrics, Metrics, TlsMetrics};
use super::shared::Shared;
use crate::socket::address::Address;

/// A server that accepts connections; see the [module](super) for an example.
///
/// Dropping it begins a drain without waiting for it: the listeners are closed, idle connections
/// end, and those that are busy are left to finish.
#[must_use = "the server stops accepting when this is dropped"]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<Address>,
    parts: Box<MetricsOfParts>,
}

/// What the service and the layer of a server count.
type MetricsOfParts = dyn Fn() -> (Option<HttpMetrics>, Option<TlsMetrics>) + Send + Sync;

impl Server {
    pub(super) fn new(
        shared: Arc<Shared>,
        addresses: Vec<Address>,
        parts: Box<MetricsOfParts>,
    ) -> Server {
        Server { shared, addresses, parts }
    }

    /// Where it listens, in the order of [`Builder::listen`](super::Builder::listen).
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What its connections share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What it does now, and has done so far.
    pub fn metrics(&self) -> Metrics {
        let (http, tls) = (self.parts)();
        Metrics { http, tls, ..self.shared.metrics() }
    }

    /// Leaves the files of Unix sockets where they are in the end, for another process that has the
    /// same sockets.
    pub fn keep_files(&self) {
        self.shared.keep_files();
    }

    /// Ends the server: closes the listeners, tells every connection to finish, waits until all
    /// have or `grace` has passed, and force-closes what is left.
    ///
    /// A connection cannot be dropped while it is polled; the drain waits up to 5 s more for that.
    /// Cancel-safe: dropped before it completes, the drain goes on, and nothing is force-closed.
    ///
    /// # Panics
    ///
    /// Outside of a runtime; there, use [`drain_blocking`](Server::drain_blocking).
    pub async fn drain(&self, grace: Duration) -> Report {
        let table = &self.shared.connections().table;
        let start = Instant::now();
        table.begin_draining();
        let mut force_closed = AgeCounts::default();
        let all_gone = self.gone(grace).await;
        let closed = table.closed_draining();
        if !all_gone {
            table.force_close(Instant::now()).into_iter().for_each(|age| force_closed.count(age));
            self.gone(FORCE_CLOSE_TIME).await;
        }
        Report::new(closed, force_closed, start.elapsed())
    }

    /// As [`drain`](Server::drain), from a plain thread, which it blocks.
    ///
    /// # Panics
    ///
    /// On a worker thread, which it would block.
    pub fn drain_blocking(&self, grace: Duration) -> Report {
        self.shared.runtime().block_on(self.drain(grace))
    }

    /// Serves until `shutdown` completes, then [drains](Server::drain) with the grace of
    /// [`Limits::drain_grace`](super::Limits::drain_grace). [`Builder::run_until`](super::Builder::run_until)
    /// starts the server, too.
    ///
    /// The output of `shutdown` is not looked at: one that fails ends the server as well. To force-close
    /// what is left before the grace is over, drop the future and shut the runtime down.
    ///
    /// Dropped before `shutdown` has completed, it drops the server: a drain begins, which nothing waits
    /// for, and nothing is force-closed. Dropped later, the drain goes on so.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::Server;
    /// use heist::net::{Stream, TcpStream};
    /// use heist::server::{Limits, Listener};
    ///
    /// async fn greet(mut stream: Stream) -> std::io::Result<()> {
    ///     stream.write_all(b"hello\n").await
    /// }
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let limits = Limits { drain_grace: Duration::from_secs(10), ..Limits::default() };
    /// let builder = Server::builder().limits(limits).listen(Listener::tcp("127.0.0.1:0".parse()?)?);
    /// heist::Runtime::new()?.block_on(async {
    ///     let server = builder.handler(|stream, _peer| greet(stream)).start()?;
    ///     let heist::server::Address::Tcp(address) = server.addresses()[0].clone() else {
    ///         unreachable!("it listens on TCP")
    ///     };
    ///     let client = async {
    ///         let mut stream = TcpStream::connect(address).await?;
    ///         stream.read_exact(&mut [0; 6]).await
    ///     };
    ///     // A program waits for a signal here.
    ///     let report = server.run_until(client).await;
    ///     println!("stopped: {report}");
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn run_until<F: Future>(self, shutdown: F) -> Report {
        shutdown.await;
        self.drain(self.shared.limits().drain_grace).await
    }

    /// Whether all connections and listeners have ended within `time`.
    async fn gone(&self, time: Duration) -> bool {
        let mut timer = Timer::new();
        timer.set(Some(Instant::now() + time));
        poll_fn(|cx| match self.shared.connections().table.poll_gone(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => timer.poll_elapsed(cx).map(|()| false),
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.connections().table.begin_draining();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.shared.name())
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// How long force-closed connections may take to end. Only a poll that blocks its worker takes long.
const FORCE_CLOSE_TIME: Duration = Duration::from_secs(5);
