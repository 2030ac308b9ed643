//! Servers: how many connections may be open, for how long, and how they end.
//!
//! A [`Server`] accepts connections and has each served by a task of its own. With nothing set but
//! what to serve, it can stand on the open internet: every [limit](Limits) is in force, and what it
//! cannot take is refused or left in the kernel's backlog.
//!
//! # Example: a server that echoes lines
//!
//! ```
//! use heist::{Runtime, Server};
//! use heist::net::TcpStream;
//! use heist::protocol::{Context, Error, Protocol};
//! use heist::server::{Limits, Listener, Peer};
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
//! # let heist::server::Address::Tcp(address) = server.addresses()[0] else { unreachable!() };
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
//! 1. The acceptor of its listener accepts it, if there is room; see [`Limits::connections`].
//! 2. It is closed at once if its address has too many, or if the runtime is overloaded
//!    ([`Refusal`]).
//! 3. It gets a task in which [`Serve`] serves it. The task owns the connection's permit: while the
//!    task lives, the connection counts towards the bounds, and a drain waits for it. What runs in
//!    the task has a [`DrainSignal`].
//! 4. When the task is over, the socket is closed and the permit released: the end is counted by its
//!    [`CloseReason`], and there is room for another.
//!
//! # The end
//!
//! [`drain`](Server::drain) closes the listeners and tells every connection. One that is idle
//! closes at once, one that is busy when it has finished. A client may have sent a request in the
//! very moment before, so a connection that was used or accepted less than
//! [`Limits::drain_linger`] ago may send one more until then. What is left at the end of the grace
//! is dropped.

mod acceptor;
mod accounts;
mod builder;
mod by_protocol;
mod drain;
mod handler;
mod handshake;
mod http2_limits;
mod layer;
mod limits;
mod metrics;
mod oneshot;
mod protocol_task;
mod proxy_protocol;
mod refuse;
mod serve;
mod served_task;
mod service_settings;
mod shared;
mod start_error;
mod started;

pub use crate::connection::budget::{Budget, OverBudget};
pub use crate::connection::close_reason::{CloseKind, CloseReason};
pub use crate::connection::drain_signal::DrainSignal;
#[doc(hidden)]
pub use crate::connection::permit::ConnectionPermit;
pub use crate::connection::refusal::Refusal;
pub use crate::socket::address::{Address, ParseAddressError};
pub use crate::socket::bound_listener::{BindError, Listener};
pub use crate::socket::peer::Peer;
pub use accounts::Accounts;
pub use builder::{Builder, NoService};
pub use by_protocol::{ByInbox, ByProtocol};
pub use drain::{AgeCounts, Report};
#[cfg(feature = "hyper")]
pub(crate) use handler::LOOKS;
pub use handler::{AcceptedHandler, Handler};
pub use http2_limits::{Allowance, Http2Limits};
pub use layer::{Plain, TransportLayer};
pub use limits::Limits;
pub use metrics::{HandshakeCount, Http2Metrics, HttpMetrics, Metrics, TlsMetrics};
pub use proxy_protocol::header::ProxyHeaderError;
pub use proxy_protocol::trusted_proxies::{ParseTrustedProxyError, TrustedProxies, TrustedProxy};
pub use serve::{Accepted, Serve};
pub use shared::Shared;
pub use start_error::StartError;
pub use started::Server;
