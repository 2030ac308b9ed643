//! Runtime, sockets, the protocol engine and servers of heist.
//!
//! # The way of a connection
//!
//! 1. A [`TcpListener`] is registered with the event queue of the runtime that it was bound in. The
//!    kernel reports pending connections and wakes one worker.
//! 2. That worker runs the task that accepts. One system call (`accept4`) takes a connection as a
//!    non-blocking socket, which inherits its options from the listener. It becomes a [`TcpStream`].
//! 3. A task drives the stream: an `async fn` that reads and writes, or a [`Connection`] that calls a
//!    [`Protocol`]. Any worker may run the task, one at a time. It reads at once, because the first
//!    bytes are often there. When it first has to wait, one system call (`epoll_ctl`) registers the
//!    socket with the kernel.
//! 4. Bytes arrive: the kernel reports an edge to one worker. The queue (`heist-reactor`) marks the
//!    source readable and returns the task's waker, and the [`Driver`] passes it to the scheduler
//!    (`heist-scheduler`). No worker owns the connection.
//! 5. The task reads until the socket is drained, so that the next edge is reported, into a buffer of
//!    the worker. The protocol takes one message after the other out of that buffer and writes its
//!    answers into another. The rest, a partial message, moves to a buffer of the connection.
//! 6. The answers are sent with one write. If the socket accepts only part of them, the rest stays with
//!    the connection, which waits to write. Above the high watermark it reads no more until they are
//!    sent.
//! 7. At the end the output is flushed, the writing direction shut down, the peer given time to read,
//!    and the socket closed by the drop of the stream. If the protocol states that the peer sends
//!    nothing more, the socket is closed right behind the output.
//!
//! An idle connection owns no buffer and costs no CPU.
//!
//! A [`Server`] does all of this for many connections, enforces limits, and drains them in order.
//! The README of the crate lists its layers and what to change where.
//!
//! # Example
//!
//! An echo server and a client with `async` sockets. [`protocol`] has the other interface.
//!
//! ```
//! use heist::{Runtime, spawn};
//! use heist::net::{TcpListener, TcpStream};
//! use std::io;
//!
//! async fn echo(mut stream: TcpStream) -> io::Result<()> {
//!     let mut buffer = vec![0; 4096];
//!     loop {
//!         match stream.read(&mut buffer).await? {
//!             0 => return Ok(()),
//!             count => stream.write_all(&buffer[..count]).await?,
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let runtime = Runtime::new()?;
//! runtime.block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     drop(spawn(async move {
//!         while let Ok((stream, _peer)) = listener.accept().await {
//!             spawn(echo(stream));
//!         }
//!     }));
//!
//!     let mut client = TcpStream::connect(address).await?;
//!     client.write_all(b"hello").await?;
//!     let mut answer = [0; 5];
//!     client.read_exact(&mut answer).await?;
//!     assert_eq!(&answer, b"hello");
//!     Ok::<(), io::Error>(())
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `metrics` (on by default): counters and histograms; without it nothing is counted and every value
//!   is 0.
//! - `export`: the metrics of runtimes and servers as Prometheus text, and for recorders of the `metrics`
//!   crate.
//! - `hyper`: the traits of `hyper::rt` for the sockets, `HyperExecutor` and `HyperTimer`, and
//!   hyper services on a [`Server`] ([`http`]).
//! - `tokio`: a runtime whose tasks find the context of a tokio runtime (`Builder::beside_tokio`).
//! - `tokio-io`: the traits `AsyncRead` and `AsyncWrite` of tokio for all streams; without a runtime of
//!   tokio.
//! - `tls`: TLS between the connections of a [`Server`] and its service, and for clients, by rustls
//!   ([`tls`]).

#![deny(unsafe_code)]

mod connection;
#[cfg(feature = "export")]
pub mod export;
#[cfg(feature = "hyper")]
pub mod http;
pub mod io;
pub mod protocol;
mod runtime;
pub mod server;
pub mod signal;
mod socket;
#[cfg(feature = "tls")]
pub mod tls;

pub use connection::transport::Transport;
#[cfg(feature = "hyper")]
pub use http::hyper_rt::{HyperExecutor, HyperTimer};
pub use protocol::{Connection, Protocol};
pub use runtime::Runtime;
pub use runtime::builder::{Builder, StartError};
pub use runtime::driver::{Driver, NoDriver};
pub use runtime::env::EnvError;
pub use runtime::source::Source;
pub use server::Server;
pub use socket::accept_error::{AcceptErrorKind, accept_error_kind};
pub use socket::connect::resolve::{ConnectError, resolve};
pub use socket::connect::target::Target;
pub use socket::inner::TooLong;
pub use socket::listener::SocketListener;
pub use socket::meter::Meter;
pub use socket::reunite::ReuniteError;
pub use socket::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
pub use socket::stream::{Socket, Stream};
pub use socket::tcp::{TcpListener, TcpStream};
pub use socket::tcp_socket::TcpSocket;
pub use socket::udp::UdpSocket;
pub use socket::unix::{UnixListener, UnixStream};
pub use socket::{family, split};

#[doc(hidden)]
pub mod __macros {
    pub use crate::runtime::entry::{run_main, run_test, run_test_on_clock};
}
