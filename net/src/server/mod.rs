//! Servers: who may connect, how many at once, for how long, and how it all ends.
//!
//! A [`Server`] accepts connections and has each served by a task of its own. With nothing set but
//! what to serve, it can stand on the open internet: every [limit](Limits) is in force, and what it
//! cannot take is refused or left in the kernel's backlog rather than taken.
//!
//! # Example: a server that echoes lines
//!
//! ```
//! use heist_net::protocol::{Context, Error, Protocol};
//! use heist_net::server::{Listener, Limits, Peer};
//! use heist_net::{Runtime, Server, TcpStream};
//! use std::time::Duration;
//!
//! #[derive(Default)]
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     type Message = std::convert::Infallible;
//!
//!     fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
//!         let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         cx.write(&input[..=end]);
//!         Ok(end + 1)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Bound before any thread runs.
//! let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
//! let runtime = Runtime::new()?;
//! let server = Server::builder()
//!     .name("echo")
//!     .listen(listener)
//!     .limits(Limits { connections: 1000, ..Limits::default() })
//!     .protocol(|_peer: &Peer| Echo)
//!     .start_on(runtime.handle())?;
//!
//! # let heist_net::server::Address::Tcp(address) = server.addresses()[0] else { unreachable!() };
//! runtime.block_on(async {
//!     let mut client = TcpStream::connect(address).await?;
//!     client.write_all(b"hello\n").await?;
//!     let mut answer = [0; 6];
//!     client.read_exact(&mut answer).await?;
//!     assert_eq!(&answer, b"hello\n");
//!     Ok::<(), std::io::Error>(())
//! })?;
//!
//! let report = server.drain_blocking(Duration::from_secs(30));
//! println!("stopped: {report}");
//! # Ok(())
//! # }
//! ```
//!
//! # The way of a connection
//!
//! 1. The acceptor of its listener takes it, if there is room; see [`Limits::connections`].
//! 2. It is closed at once if its address has too many, or if the runtime is overloaded
//!    ([`Refusal`]).
//! 3. It gets a [`Place`], and a task in which [`Serve`] serves it.
//! 4. Its end is counted by [`CloseReason`], and makes room for another.
//!
//! # The end
//!
//! [`drain`](Server::drain) closes the listeners and tells every connection. One that is idle
//! closes at once, one that is busy when it has finished. A client may have sent a request in the
//! very moment before, so a connection that was used or accepted less than
//! [`Limits::drain_linger`] ago may send one more until then. What is left at the end of the grace
//! is dropped.

mod acceptor;
mod berth;
mod builder;
mod connections;
mod drain;
mod limits;
mod metrics;
mod protocol_task;
mod serving;
mod shared;

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::time::{Instant, Timer};

use crate::socket::stream::Stream;

pub use crate::connection::budget::{Budget, OverBudget};
pub use crate::connection::close_reason::{CloseKind, CloseReason};
pub use crate::connection::place::Place;
use crate::connection::place::Serving;
pub use crate::connection::refusal::Refusal;
pub use crate::socket::address::{Address, ParseAddressError};
pub use crate::socket::bound_listener::{BindError, Listener};
pub use crate::socket::peer::Peer;
pub use builder::{Builder, Nothing, StartError};
pub use drain::{Ages, Report};
pub use limits::Limits;
pub use metrics::{HttpMetrics, Metrics};
pub use serving::{AcceptedHandler, ByInbox, ByProtocol, Handler};
pub use shared::Shared;

/// A server that accepts connections; see the [module](self) for an example.
///
/// Dropping it begins a drain that nobody waits for: the listeners are closed, idle connections
/// end, and those that are busy are left to finish.
#[must_use = "the server stops accepting when this is dropped"]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<Address>,
    http_metrics: Box<dyn Fn() -> Option<HttpMetrics> + Send + Sync>,
}

impl Server {
    /// A server that is to be told what to serve, and where.
    pub fn builder() -> Builder<Nothing> {
        Builder::new()
    }

    fn new(
        shared: Arc<Shared>,
        addresses: Vec<Address>,
        http_metrics: impl Fn() -> Option<HttpMetrics> + Send + Sync + 'static,
    ) -> Server {
        Server { shared, addresses, http_metrics: Box::new(http_metrics) }
    }

    /// Where it listens, in the order of [`Builder::listen`].
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What its connections share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// What it does now, and has done so far.
    pub fn metrics(&self) -> Metrics {
        Metrics { http: (self.http_metrics)(), ..self.shared.metrics() }
    }

    /// Leaves the files of Unix sockets where they are in the end, for another process that has the
    /// same sockets.
    pub fn keep_files(&self) {
        self.shared.keep_files();
    }

    /// Ends the server: closes the listeners, tells every connection to finish, waits until all
    /// have or `grace` has passed, and drops what is left.
    ///
    /// A connection whose poll is under way cannot be dropped; such are waited for, up to 5 s more.
    /// Cancel-safe: dropped before it completes, the drain goes on, and nothing is cut.
    ///
    /// # Panics
    ///
    /// Outside of a runtime; there, use [`drain_blocking`](Server::drain_blocking).
    pub async fn drain(&self, grace: Duration) -> Report {
        let connections = &self.shared.connections;
        let start = Instant::now();
        connections.begin_draining();
        let mut cut = Ages::default();
        let all_gone = self.gone(grace).await;
        let closed = connections.closed_draining();
        if !all_gone {
            cut = connections.cut(Instant::now());
            self.gone(CUT_TIME).await;
        }
        Report::new(closed, cut, start.elapsed())
    }

    /// As [`drain`](Server::drain), from a plain thread, which it blocks.
    ///
    /// # Panics
    ///
    /// On a worker thread, which it would block.
    pub fn drain_blocking(&self, grace: Duration) -> Report {
        self.shared.runtime().block_on(self.drain(grace))
    }

    /// Whether all connections and listeners have ended within `time`.
    async fn gone(&self, time: Duration) -> bool {
        let mut timer = Timer::new();
        timer.set(Some(Instant::now() + time));
        poll_fn(|cx| match self.shared.connections.poll_gone(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => timer.poll_elapsed(cx).map(|()| false),
        })
        .await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.connections.begin_draining();
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

/// A connection that was accepted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Accepted {
    /// The socket; it counts its bytes for the server.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: Peer,
    /// Its right to be there.
    pub place: Place,
}

/// What a server does with each connection it accepts.
///
/// Most servers need none of their own: see [`Builder::protocol`], [`Builder::handler`] and
/// [`Builder::accepted`].
pub trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end, in a task of its own, and says how it ended.
    ///
    /// It is called in that task, so a panic in it ends this connection alone. The future is
    /// dropped when the server cuts what is left. An implementation in this crate's edition has to
    /// say `use<…>` with its own type parameters, as the future cannot borrow from `self`.
    fn serve(
        &self,
        accepted: Accepted,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<Self>;

    /// The task that [`serve`](Serve::serve)s. Not for others to change: what ends it, and how, is
    /// counted here. Who wraps another service is asked in its stead, and the other one is not: so
    /// what that one makes may be polled by any task.
    #[doc(hidden)]
    fn task(self: Arc<Self>, mut accepted: Accepted) -> impl Future<Output: Send> + Send + 'static
    where
        Self: Sized,
    {
        Serving::new(accepted.place.seat(), move || self.serve(accepted))
    }

    /// Told once, when the server starts, to set up what needs the runtime or the bounds.
    fn start(&mut self, server: &Arc<Shared>) {
        let _ = server;
    }

    /// What to say to a connection that is refused, if anything, such as a whole response that says
    /// 503. It is sent without waiting, then the connection is closed.
    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        let _ = reason;
        None
    }

    /// What is known of requests, if this speaks HTTP.
    fn http_metrics(&self) -> Option<HttpMetrics> {
        None
    }
}

/// How long what was cut may take to end. Nothing but a poll that blocks its worker takes long.
const CUT_TIME: Duration = Duration::from_secs(5);
