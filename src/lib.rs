//! heist is a server core for Rust.
//!
//! Several worker threads share one edge-triggered event queue, steal ready connection tasks from
//! each other's deques, and re-arm a source only after draining it to `WouldBlock`, so that no
//! event is handled twice and none is lost.
//!
//! This crate is the door: it re-exports [`heist_net`] (runtime, sockets, protocol engine),
//! [`heist_scheduler`] (tasks, timers) and [`heist_reactor`] (the queue, for use by itself).
//!
//! An echo server with `async` sockets:
//!
//! ```no_run
//! use heist::net::{TcpListener, TcpStream};
//!
//! async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
//!     let mut buffer = [0; 4096];
//!     loop {
//!         let count = stream.read(&mut buffer).await?;
//!         if count == 0 {
//!             return Ok(());
//!         }
//!         stream.write_all(&buffer[..count]).await?;
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     heist::Runtime::new()?.block_on(async {
//!         let listener = TcpListener::bind("127.0.0.1:7000".parse()?)?;
//!         loop {
//!             let (stream, _peer) = listener.accept().await?;
//!             heist::spawn(echo(stream));
//!         }
//!     })
//! }
//! ```
//!
//! A server with a sans-IO [`Protocol`](protocol::Protocol): it answers each line with its length,
//! and touches no socket, so it can be tested with bytes alone:
//!
//! ```no_run
//! use heist::net::TcpListener;
//! use heist::protocol::{Connection, Context, Error, Protocol};
//!
//! struct Lengths;
//!
//! impl Protocol for Lengths {
//!     type Message = std::convert::Infallible;
//!
//!     fn received(&mut self, input: &[u8], cx: &mut Context<'_>) -> Result<usize, Error> {
//!         let Some(end) = input.iter().position(|&byte| byte == b'\n') else { return Ok(0) };
//!         cx.write(format!("{end}\n").as_bytes());
//!         Ok(end + 1)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     heist::Runtime::new()?.block_on(async {
//!         let listener = TcpListener::bind("127.0.0.1:7000".parse()?)?;
//!         loop {
//!             let (stream, _peer) = listener.accept().await?;
//!             heist::spawn(Connection::new(stream, Lengths));
//!         }
//!     })
//! }
//! ```
//!
//! # Features
//!
//! - `cli` (default): the `heist` program and what only it needs.
//! - `export`: what runtimes and servers count, as Prometheus text and for recorders of `metrics`.
//! - `hyper`: `hyper::rt` traits for the sockets, an executor and a timer.
//! - `portable`: the event queue for systems without epoll, on Linux too.

#![forbid(unsafe_code)]

#[cfg(feature = "export")]
pub use heist_net::export;
pub use heist_net::{Builder, Runtime, Server, StartError, protocol, server};
pub use heist_reactor as reactor;
pub use heist_scheduler::{
    AbortHandle, EnterGuard, Handle, JoinError, JoinHandle, Metrics, ShutdownReport, WorkerMetrics,
    coop, figures, spawn, spawn_blocking, task, time, yield_now,
};

/// Sockets, and what joins them to hyper.
pub mod net {
    pub use heist_net::{
        AcceptErrorKind, Driver, OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, TcpListener,
        TcpStream, UnixListener, UnixStream, WriteHalf, accept_error_kind,
    };
    #[cfg(feature = "hyper")]
    pub use heist_net::{HyperExecutor, HyperTimer};
}

/// The README's snippets compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
