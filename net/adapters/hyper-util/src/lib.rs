//! The pooled HTTP client of hyper-util on heist's sockets, TLS and timers.
//!
//! [`client`] is hyper-util's `Client` with a [`Connector`], whose tasks and timers are heist's. The
//! connector alone serves others that take one, such as tonic's `Endpoint::connect_with_connector`. No
//! runtime of tokio is needed.
//!
//! ```
//! use std::time::Duration;
//!
//! use heist::time::timeout;
//! use heist_hyper_util::{Connector, client};
//! use http_body_util::{BodyExt as _, Empty};
//! use hyper::body::Bytes;
//! # use heist::{Runtime, Server, server::Listener};
//! # use http_body_util::Full;
//! # use hyper::{Request, Response, service::service_fn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = Runtime::new()?;
//! # let listener = Listener::tcp("127.0.0.1:0".parse()?)?;
//! # let service = service_fn(async |_: Request<heist::http::Body>| {
//! #     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("hello\n"))))
//! # });
//! # let server = Server::builder().listen(listener).http(service).start_on(runtime.handle())?;
//! # let heist::server::Address::Tcp(address) = server.addresses()[0].clone() else { panic!() };
//! # runtime.block_on(async {
//! // One for the whole program: clones share the pool.
//! let client = client::<Empty<Bytes>>(Connector::new());
//!
//! let uri: hyper::Uri = "http://localhost:8000/".parse()?;
//! # let uri: hyper::Uri = format!("http://{address}/").parse()?;
//! // The time for all of it: waiting for a connection, the request, the answer and its body.
//! let body = timeout(Duration::from_secs(30), async {
//!     let response = client.get(uri).await?;
//!     Ok::<_, Box<dyn std::error::Error>>(response.into_body().collect().await?.to_bytes())
//! })
//! .await??;
//! assert_eq!(body, "hello\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })
//! # }
//! ```
//!
//! # What is bounded
//!
//! | what | by | unless changed |
//! |---|---|---|
//! | look-up, TCP and TLS together | [`Connector::connect_timeout`] | 10 s |
//! | a connection that nothing uses | `pool_idle_timeout` of [`client_builder`] | 50 s |
//! | idle connections to one host | `pool_max_idle_per_host` of [`client_builder`] | 32 |
//! | one request | [`timeout`](heist_scheduler::time::timeout) around it, as above | no bound |
//! | requests at once | a semaphore or tower's `ConcurrencyLimit` around them | no bound |
//!
//! Dropping the future of a request gives it up: a connection of HTTP/1 that waits for its answer is
//! closed, a stream of HTTP/2 is reset. A `timeout` does just that.
//!
//! # What the pool does
//!
//! - With HTTP/2, which a server chooses by ALPN behind TLS, requests of one host share a connection. For
//!   HTTP/2 without TLS set `http2_only` of the builder.
//! - A connection that the server has closed, or is about to (`connection: close`, GOAWAY), is not used
//!   again. A request that was given such a connection and of which nothing was written is repeated on
//!   another one. A request that the server may have seen is never repeated: that is for the caller to
//!   decide.
//! - The first use of a host opens as many connections as there are requests at once, also where HTTP/2 is
//!   then agreed on, and one of them is kept.
//!
//! # What a response tells of its connection
//!
//! Its extensions have [`HttpInfo`], and behind TLS an `Arc` of [`TlsInfo`](heist_net::tls::TlsInfo).
//!
//! # What needs tokio's runtime
//!
//! hyper-util's own `HttpConnector`, reqwest, and of tonic `Endpoint::{timeout, connect_timeout,
//! http2_keep_alive_interval}` and `Channel::balance_*`, which use tokio's timers. Put heist's `timeout`
//! around a call instead, and `Request::set_timeout` tells the server of it; or run beside tokio.

#![forbid(unsafe_code)]

mod client;
mod connector;
mod error;
mod stream;

pub use client::{client, client_builder};
pub use connector::Connector;
pub use error::ConnectError;
pub use stream::{HttpInfo, HttpStream};
