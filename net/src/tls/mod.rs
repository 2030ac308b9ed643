//! TLS by rustls: between the connections of a server and its service, and for clients.
//!
//! # Example
//!
//! ```no_run
//! use heist::{Runtime, Transport};
//! use heist::server::{Listener, Server};
//! use heist::tls::{Certificate, Config, TlsStream};
//!
//! async fn echo(mut stream: TlsStream) -> std::io::Result<()> {
//!     let mut buffer = [0; 4096];
//!     loop {
//!         match stream.read(&mut buffer).await? {
//!             // Tells the peer that it has everything.
//!             0 => return stream.finish().await,
//!             count => stream.write_all(&buffer[..count]).await?,
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::builder()
//!     .certificate(Certificate::files("server.pem", "server.key"))
//!     .build()?;
//! let reloader = config.reloader();
//!
//! let runtime = Runtime::new()?;
//! let server = Server::builder()
//!     .listen(Listener::tcp("127.0.0.1:7443".parse()?)?)
//!     .tls(config)
//!     .handler(|stream, _peer| echo(stream))
//!     .start_on(runtime.handle())?;
//!
//! // When the files have changed:
//! reloader.reload()?;
//! # drop(server);
//! # Ok(())
//! # }
//! ```
//!
//! A client makes a TLS connection of a connected socket by a [`Connector`]. Its [`TlsStream`] is of the
//! same type, so all below is so for both sides.
//!
//! # The way of a record
//!
//! 1. Bytes arrive, and the task of the connection is polled. Its [`TlsStream`] reads them into a buffer of
//!    the worker, behind what it has kept of an incomplete record.
//! 2. rustls decrypts all complete records there, in place. The plaintext goes to the buffer of the reader;
//!    what has no room waits in the connection, and is read first. No event will come for it:
//!    [`has_buffered_input`](crate::Transport::has_buffered_input) tells of it.
//! 3. What is left, a part of one record, moves to the connection.
//! 4. A write encrypts up to 32 KiB, as few records, in another buffer of the worker, and offers them to
//!    the socket with one call. What that does not take waits in the connection. While more than 4 KiB
//!    wait, a write is pending and encrypts nothing.
//! 5. What the session sends by itself (tickets, answers to key updates, alerts) goes with the next write.
//!    If the task waits for input instead, it goes at once.
//!
//! So an idle connection owns no buffer: it has the keys and the state of rustls.
//!
//! # Policies
//!
//! - **Names.** A client is given the certificate for the name that it asks for. Without a name, or with
//!   an unknown one, it is given the first one, unless [`NamePolicy::Refuse`] is set.
//! - **Protocols** (ALPN) are those of the service, unless [`alpn`](ConfigBuilder::alpn) sets others.
//! - **Authorities.** A client trusts those that it is told to, and no others.
//! - **Versions.** TLS 1.3 and 1.2, with the cipher suites of rustls: all with forward secrecy and
//!   authenticated encryption.
//! - **Resumption** of a server's sessions is by tickets alone; see [`Tickets`]. There is no early data,
//!   which can be replayed.
//! - **Renegotiation** is refused, and nothing is compressed.
//! - **The end.** `close_notify` is the end of the input. An end of the connection without is
//!   `UnexpectedEof`, since what came before may be truncated.
//! - **A failed handshake** is told to the client by an alert. The socket is closed once the client has had
//!   [time](crate::server::Limits::linger_timeout) to read it. A client that speaks HTTP without TLS is
//!   answered in HTTP.
//!
//! # Where the time goes
//!
//! A handshake computes in one poll: about 0.1 ms with a key on the curve P-256, 1 ms with RSA of 2048
//! bits. Other connections of the worker wait for that long.

mod acceptor;
mod certificate;
mod client_auth;
mod client_config;
mod config;
mod connect_error;
mod connector;
mod error;
mod expiry;
mod failure;
mod handshake;
mod info;
mod io;
mod layer;
mod metrics;
mod offered;
mod outgoing;
mod queue;
mod read;
mod records;
mod reload;
mod resolver;
mod scratch;
mod session;
mod side;
mod source;
mod stream;
mod tickets;

pub use certificate::Certificate;
pub use client_auth::{ClientAuth, ClientRoots};
pub use client_config::{ClientConfig, ClientConfigBuilder};
pub use config::{Config, ConfigBuilder};
pub use connect_error::ConnectError;
pub use connector::Connector;
pub use error::{ConfigError, Content};
pub use failure::{HandshakeError, HandshakeFailure};
pub use info::{TlsInfo, Version};
pub use layer::Tls;
pub use reload::Reloader;
pub use resolver::NamePolicy;
pub use source::Source;
pub use stream::TlsStream;
pub use tickets::Tickets;
