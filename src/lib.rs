//! A server core for Rust: an async runtime, servers with limits, and sans-IO protocols, on one
//! event queue that all workers share.
//!
//! # Map
//!
//! | To | begin at | example in the repository |
//! |---|---|---|
//! | [serve HTTP](#serve-http) | [`server::Builder::http`], [`http`] | `hyper_hello`, `http_upload` |
//! | [serve a protocol of your own](#serve-a-protocol-of-your-own) | [`protocol::Protocol`], [`server::Builder::protocol`] | `plaintext`, `chat`, `kv` |
//! | [serve with an async handler](#serve-with-an-async-handler) | [`server::Builder::handler`], [`net::Stream`] | `echo` |
//! | serve axum, tower or tonic | the crate `heist-axum` | |
//! | serve TLS | [`tls::Config`], [`server::Builder::tls`] (feature `tls`) | |
//! | connect by TLS | [`tls::Connector`], [`tls::ClientConfig`] (feature `tls`) | |
//! | listen, bound and drain | [`server::Listener`], [`server::Limits`], [`Server::run_until`] | `echo` |
//! | wait for signals | [`signal::terminate`], [`signal::signal`] | `echo`, `hyper_hello` |
//! | [spawn tasks](#spawn-tasks-and-wait-for-time) | [`Runtime`], [`Builder`], [`spawn`], [`spawn_blocking`], [`task`], [`coop`] | `start_end` |
//! | [wait for time](#spawn-tasks-and-wait-for-time) | [`time::sleep`], [`time::timeout`], [`time::interval`] | `start_end` |
//! | [be a client](#be-a-client) | [`net::TcpStream::connect`], [`protocol::Connection`] | `peer_probe` |
//! | call HTTP servers | the crate `heist-hyper-util` | |
//! | copy between streams | [`io::copy_bidirectional`] | |
//! | run crates that need tokio | [`Builder::beside_tokio`] (feature `tokio`) | |
//! | [read metrics](#read-metrics) | [`export::Exporter`], [`Handle::metrics`], [`metrics`] | |
//! | [write a `main` and tests](#write-a-main-and-tests) | [`main`](macro@main), [`test`](macro@test), [`Builder::current_thread`] | |
//! | [test a protocol](#test-a-protocol) | [`protocol::TestHarness`], [`time::Clock`] | |
//! | use the event queue alone | [`reactor`] | `event_queue` |
//!
//! The guide (`docs/guide` in the repository) has whole programs, and a table of tokio's names beside heist's.
//!
//! # Serve HTTP
//!
//! A service of hyper, unmodified (feature `hyper`). The server reads each head before hyper does,
//! and bounds sizes, times and rates.
//!
//! ```no_run
//! # #[cfg(feature = "hyper")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use heist::server::Listener;
//! use heist::{Server, signal};
//! use http_body_util::Full;
//! use hyper::service::service_fn;
//! use hyper::{Request, Response, body::Bytes};
//!
//! let service = service_fn(async |_request: Request<heist::http::Body>| {
//!     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("hello\n"))))
//! });
//! let listener = Listener::tcp("127.0.0.1:8000".parse()?)?;
//! let server = Server::builder().listen(listener).http(service);
//! // Until Ctrl-C or SIGTERM; then requests under way are finished.
//! let report = heist::Runtime::new()?.block_on(server.run_until(signal::terminate()))?;
//! println!("stopped: {report}");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "hyper"))]
//! # fn main() {}
//! ```
//!
//! # Serve a protocol of your own
//!
//! A state machine per connection: bytes in, bytes out, no socket and no clock. The engine calls it
//! once for each message and sends all answers with one write.
//!
//! ```no_run
//! use heist::protocol::{Context, Error, Protocol};
//! use heist::server::Listener;
//! use heist::{Server, signal};
//!
//! /// Sends each line back.
//! struct Lines;
//!
//! impl Protocol for Lines {
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
//! let listener = Listener::tcp("127.0.0.1:7000".parse()?)?;
//! let server = Server::builder().listen(listener).protocol(|_peer| Lines);
//! heist::Runtime::new()?.block_on(server.run_until(signal::terminate()))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Serve with an async handler
//!
//! One task per connection, which reads and writes its [`net::Stream`].
//!
//! ```no_run
//! use heist::net::Stream;
//! use heist::server::Listener;
//! use heist::{Server, signal};
//!
//! async fn greet(mut stream: Stream) -> std::io::Result<()> {
//!     stream.write_all(b"hello\n").await
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = Listener::tcp("127.0.0.1:7000".parse()?)?;
//! let server = Server::builder().listen(listener).handler(|stream, _peer| greet(stream));
//! heist::Runtime::new()?.block_on(server.run_until(signal::terminate()))?;
//! # Ok(())
//! # }
//! ```
//!
//! # Spawn tasks, and wait for time
//!
//! Tasks run on any worker. [`spawn_blocking`] is for work that blocks its thread.
//!
//! ```
//! use std::time::Duration;
//!
//! use heist::{Runtime, spawn, spawn_blocking, time};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new()?;
//! let sum = runtime.block_on(async {
//!     let one = spawn(async {
//!         time::sleep(Duration::from_millis(1)).await;
//!         1
//!     });
//!     let two = spawn_blocking(|| 2);
//!     let sum = async { Ok::<_, heist::JoinError>(one.await? + two.await?) };
//!     time::timeout(Duration::from_secs(60), sum).await
//! })??;
//! assert_eq!(sum, 3);
//! let report = runtime.shutdown(Duration::from_secs(60));
//! assert_eq!(report.threads_left, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Be a client
//!
//! [`net::TcpStream::connect`] takes a name and a port, and tries the addresses of the name by
//! turns. A [`protocol::Connection`] runs a [`protocol::Protocol`] over a connected socket.
//! [`net::HyperExecutor`] and [`net::HyperTimer`] carry hyper's client.
//!
//! ```
//! use heist::net::{TcpListener, TcpStream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let answer = heist::Runtime::new()?.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = heist::spawn(async move {
//!         let (mut stream, _peer) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let mut stream = TcpStream::connect(address).await?;
//!     let answer = stream.read_to_end_limited(1024).await?;
//!     server.await??;
//!     Ok::<_, Box<dyn std::error::Error>>(answer)
//! })?;
//! assert_eq!(answer, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Read metrics
//!
//! Every runtime and server counts, unless the feature `metrics` is off. [`Handle::metrics`] and
//! [`Server::metrics`] are snapshots; [`export::Exporter`] (feature `export`) renders them for
//! Prometheus.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = heist::Runtime::new()?;
//! # #[cfg(feature = "export")] {
//! let exporter = heist::export::Exporter::new();
//! exporter.runtime("main", runtime.handle());
//! assert!(exporter.render().contains("heist_workers{runtime=\"main\"}"));
//! # }
//! # Ok(())
//! # }
//! ```
//!
//! # Write a `main` and tests
//!
//! An attribute starts the runtime: one with worker threads for a program, and one on the thread of the
//! test for a test (feature `macros`, on by default).
//!
//! ```
//! # #[cfg(feature = "macros")]
//! #[heist::main]
//! async fn main() -> Result<(), heist::JoinError> {
//!     assert_eq!(double(21).await?, 42);
//!     Ok(())
//! }
//! # #[cfg(not(feature = "macros"))]
//! # fn main() {}
//!
//! async fn double(number: u32) -> Result<u32, heist::JoinError> {
//!     heist::spawn(async move { 2 * number }).await
//! }
//!
//! # #[cfg(feature = "macros")]
//! #[heist::test]
//! async fn twice_the_number() {
//!     assert_eq!(double(2).await.unwrap(), 4);
//! }
//! ```
//!
//! # Test a protocol
//!
//! [`protocol::TestHarness`] drives a protocol without a socket, on a clock of its own.
//!
//! ```
//! use heist::protocol::{Context, Error, Protocol, TestHarness};
//!
//! /// Sends everything back.
//! struct Echo;
//!
//! impl Protocol for Echo {
//!     type Message = std::convert::Infallible;
//!
//!     fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
//!         cx.write(input);
//!         Ok(input.len())
//!     }
//! }
//!
//! let mut harness = TestHarness::new(Echo);
//! harness.receive(b"hello");
//! assert_eq!(harness.take_output(), b"hello");
//! ```
//!
//! # Features
//!
//! - `macros` (default): the attributes [`main`] and [`test`](macro@test).
//! - `metrics` (default): counters and histograms; without it every metric is 0.
//! - `export`: the metrics as Prometheus text, and for recorders of the `metrics` crate.
//! - `hyper`: services of hyper on a [`Server`], and `hyper::rt` traits for the sockets, an executor
//!   and a timer.
//! - `tokio`: a runtime beside one of tokio, whose tasks find tokio's context
//!   ([`Builder::beside_tokio`]). It includes `tokio-io`.
//! - `tokio-io`: the traits `AsyncRead` and `AsyncWrite` of tokio for every stream and half; no runtime of
//!   tokio is needed.
//!
//! On Linux, `--cfg heist_portable` in `RUSTFLAGS` chooses the event queue of systems without epoll.

#![forbid(unsafe_code)]
// The map names modules that some features leave out.
#![cfg_attr(
    not(all(
        feature = "export",
        feature = "hyper",
        feature = "macros",
        feature = "tls",
        feature = "tokio"
    )),
    allow(rustdoc::broken_intra_doc_links)
)]

#[cfg(feature = "macros")]
pub use heist_macros::{main, test};
#[doc(hidden)]
pub use heist_net::__macros;
#[cfg(feature = "export")]
pub use heist_net::export;
#[cfg(feature = "hyper")]
pub use heist_net::http;
#[cfg(feature = "tls")]
pub use heist_net::tls;
pub use heist_net::{
    Builder, Runtime, Server, StartError, Transport, io, protocol, server, signal,
};
pub use heist_reactor as reactor;
pub use heist_scheduler::{
    AbortHandle, EnterGuard, Handle, JoinError, JoinHandle, Metrics, OverloadLevel, PerWorker,
    ShutdownReport, WorkerMetrics, coop, metrics, spawn, spawn_blocking, time, yield_now,
};

/// Tasks: how to spawn, name, join and abort them, and how to call foreign code without unwinding.
pub mod task {
    pub use heist_scheduler::panics::{contain_hook, wake_all};
    pub use heist_scheduler::{
        AbortHandle, Account, JoinError, JoinHandle, JoinSet, TaskBuilder as Builder, Weight,
        account, set_account, spawn, spawn_blocking, yield_now,
    };
}

/// Sockets, and what joins them to hyper.
pub mod net {
    pub use heist_net::{
        AcceptErrorKind, ConnectError, Driver, NoDriver, OwnedReadHalf, OwnedWriteHalf, ReadHalf,
        ReuniteError, Socket, SocketListener, Source, Stream, Target, TcpListener, TcpSocket,
        TcpStream, TooLong, UdpSocket, UnixListener, UnixStream, WriteHalf, accept_error_kind,
        family, resolve,
    };
    #[cfg(feature = "hyper")]
    pub use heist_net::{HyperExecutor, HyperTimer};

    /// The halves of a TCP connection.
    pub mod tcp {
        pub use heist_net::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
    }

    /// The halves of a connection over a Unix socket.
    pub mod unix {
        use heist_net::family::Unix;

        /// The reading half of a [`UnixStream`](super::UnixStream) that is split by reference.
        pub type ReadHalf<'a> = heist_net::ReadHalf<'a, Unix>;
        /// The writing half of a [`UnixStream`](super::UnixStream) that is split by reference.
        pub type WriteHalf<'a> = heist_net::WriteHalf<'a, Unix>;
        /// The reading half of a [`UnixStream`](super::UnixStream) that is split into two.
        pub type OwnedReadHalf = heist_net::OwnedReadHalf<Unix>;
        /// The writing half of a [`UnixStream`](super::UnixStream) that is split into two.
        pub type OwnedWriteHalf = heist_net::OwnedWriteHalf<Unix>;
        /// The error of halves of different connections, with both of them.
        pub type ReuniteError = heist_net::ReuniteError<Unix>;
    }
}
