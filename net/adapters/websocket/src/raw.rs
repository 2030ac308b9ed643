//! The opening handshake on a transport, without an HTTP server.

use std::future::poll_fn;
use std::task::Poll;

use heist_net::Transport;
use tungstenite::handshake::server::{NoCallback, ServerHandshake};
use tungstenite::handshake::{HandshakeError, MidHandshake};

use crate::adapter::{Adapter, Raw};
use crate::error::Error;
use crate::limits::Limits;
use crate::socket::WebSocket;

/// One that waits for bytes.
type Handshake<S> = MidHandshake<ServerHandshake<S, NoCallback>>;

impl<T: Transport> WebSocket<Raw<T>> {
    /// Makes the opening handshake of a peer that connects for nothing but a WebSocket, of any path.
    ///
    /// It sets no bound on the time: put a timeout around it. The length of the request is bounded by
    /// tungstenite.
    ///
    /// ```
    /// use heist::net::Stream;
    /// use heist::server::Peer;
    /// use heist_websocket::{Limits, WebSocket};
    ///
    /// async fn echo(stream: Stream, _: Peer) -> std::io::Result<()> {
    ///     let Ok(mut socket) = WebSocket::accept(stream, Limits::default()).await else {
    ///         return Ok(());
    ///     };
    ///     while let Ok(Some(message)) = socket.read().await {
    ///         if socket.send(message).await.is_err() {
    ///             break;
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # drop(heist::Server::builder().handler(echo));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the request does not open a WebSocket, otherwise that the connection is lost.
    pub async fn accept(transport: T, limits: Limits) -> Result<WebSocket<Raw<T>>, Error> {
        let adapter = Adapter::new(Raw(transport), limits.received());
        let mut begin = Some(adapter);
        let mut under_way: Option<Handshake<Adapter<Raw<T>>>> = None;
        let accepted = poll_fn(move |cx| {
            let tried = match (begin.take(), under_way.take()) {
                (Some(mut adapter), _) => {
                    adapter.poll_as(cx);
                    tungstenite::accept_with_config(adapter, Some(limits.config()))
                }
                (None, Some(mut handshake)) => {
                    handshake.get_mut().get_mut().poll_as(cx);
                    handshake.handshake()
                }
                (None, None) => unreachable!("a handshake ends once"),
            };
            match tried {
                Ok(socket) => Poll::Ready(Ok(socket)),
                Err(HandshakeError::Interrupted(handshake)) => {
                    under_way = Some(handshake);
                    Poll::Pending
                }
                Err(HandshakeError::Failure(error)) => Poll::Ready(Err(Error::of(error))),
            }
        });
        let mut inner = accepted.await?;
        inner.get_mut().end_message();
        Ok(WebSocket::new(inner, limits))
    }
}
