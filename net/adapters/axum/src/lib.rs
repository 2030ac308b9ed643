//! axum's routers, and tower's services in general, on heist's servers.
//!
//! [`BuilderExt::axum`] serves a router with all that [`heist_net::http`] has: HTTP/1.1 and HTTP/2, the
//! limits, TLS, the drain, metrics. No runtime of tokio is needed; what of axum needs one is listed below.
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use heist::server::Listener;
//! use heist::{Runtime, Server};
//! use heist_axum::BuilderExt as _;
//! # use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let router = Router::new().route("/", get(async || "hello\n"));
//! let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
//! let runtime = Runtime::new()?;
//! let server = Server::builder().listen(listener).axum(router).start_on(runtime.handle())?;
//! # runtime.block_on(server.drain(Duration::from_secs(30)));
//! # Ok(())
//! # }
//! ```
//!
//! # What a handler finds
//!
//! | what | how |
//! |---|---|
//! | the peer's address | `ConnectInfo<SocketAddr>`; of a Unix socket there is none, which is answered 500 |
//! | the peer | `Extension<`[`Peer`](heist_net::server::Peer)`>`, of every connection |
//! | the drain | [`Drain`] |
//! | what TLS has agreed on | `Tls` (feature `tls`) |
//! | a connection behind an upgrade | `Extension<`[`UpgradedConnection`](heist_net::http::UpgradedConnection)`>` |
//!
//! Behind a [trusted proxy](heist_net::server::Builder::proxy_protocol) the peer is the client that the
//! proxy tells of.
//!
//! # Streams of events
//!
//! A drain waits for answers that are being sent, and an event stream has no end of its own. End it when
//! the drain begins: `events.take_until(drain.draining_owned())`, where `take_until` is that of
//! `futures::StreamExt`. It is not done unasked, as answers that do end, such as those of language models,
//! are sent as event streams, too.
//!
//! axum's `Sse::keep_alive` needs the timers of tokio; [`KeepAliveStream`] uses those of heist.
//!
//! # Accounts
//!
//! A worker runs first what has attained the least time lately. [`AccountLayer`] charges each request to the
//! account of its tenant or its route, instead of that of its connection.
//!
//! # What needs tokio's runtime
//!
//! axum's `ws`, `Sse::keep_alive`, and `TimeoutLayer` of tower and tower-http panic without a runtime of
//! tokio around them. The layers that only look at requests and answers (trace, cors, compression, limits,
//! request ids) work on heist alone.

#![forbid(unsafe_code)]

mod account;
mod body;
mod builder;
mod extract;
mod future;
mod keep_alive;
mod service;

pub use account::{AccountLayer, AccountService};
pub use builder::BuilderExt;
pub use extract::Drain;
#[cfg(feature = "tls")]
pub use extract::{Tls, TlsRejection};
pub use future::AxumFuture;
pub use keep_alive::KeepAliveStream;
pub use service::AxumService;
