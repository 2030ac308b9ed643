//! WebSocket (RFC 6455) for heist's servers, by [tungstenite].
//!
//! tungstenite frames, masks and checks; this crate puts its state machine on the streams of a server,
//! and adds what a server needs: bounds, the close handshake in bounded time, the drain.
//!
//! - Under [`Server::http`](heist_net::server::Builder::http), [`Handshake`] accepts a request, and the
//!   [`WebSocket`] runs in a task of the service.
//! - Without HTTP, [`WebSocket::accept`] makes the handshake on a transport, such as that of a
//!   [`handler`](heist_net::server::Builder::handler).
//!
//! What a peer can make a connection hold is bounded by [`Limits`], and charged to the server's budget
//! of buffered bytes. A message or a frame that is too long, or one in endlessly many fragments, is
//! answered by Close 1009, anything malformed by 1002 or 1007. Such a connection is counted as ended by
//! `protocol`. Pings are answered. When the server drains, peers are sent Close 1001.
//!
//! There are no extensions: messages are not compressed.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use heist::http::Body;
//! use heist_websocket::{Handshake, Limits};
//! use hyper::{Request, Response};
//!
//! async fn echo(mut request: Request<Body>) -> Result<Response<String>, Infallible> {
//!     let handshake = match Handshake::of(&mut request) {
//!         Ok(handshake) => handshake,
//!         Err(refused) => return Ok(refused.response().map(|()| refused.to_string())),
//!     };
//!     let (response, upgrade) = handshake.accept(Limits::default());
//!     heist::spawn(async move {
//!         let mut socket = upgrade.await?;
//!         while let Some(message) = socket.read().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<_, heist_websocket::Error>(())
//!     });
//!     Ok(response.map(|()| String::new()))
//! }
//! # let server = heist::Server::builder().http(hyper::service::service_fn(echo));
//! # drop(server);
//! ```

mod adapter;
mod error;
mod handshake;
mod limits;
mod raw;
mod socket;

pub use adapter::{ByteStream, Raw};
pub use error::Error;
pub use handshake::{Handshake, Refused, Upgrade};
pub use limits::Limits;
pub use socket::WebSocket;
pub use tungstenite::protocol::frame::coding::CloseCode;
pub use tungstenite::{Bytes, Message, Utf8Bytes};
