//! Settings of a service, behind the call that sets the service.

use std::time::Duration;

use super::builder::Builder;
use super::by_protocol::{ByInbox, ByProtocol};
use super::handler::Handler;
use crate::protocol;

impl<M, L> Builder<ByProtocol<M>, L> {
    /// Sets the bounds of each connection, instead of those that follow from the server's
    /// [limits](Builder::limits).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::Server;
    /// use heist::protocol::{Context, Error, Limits, Protocol};
    ///
    /// struct Discard;
    ///
    /// impl Protocol for Discard {
    ///     type Message = std::convert::Infallible;
    ///
    ///     fn received(&mut self, input: &[u8], _: &mut Context<'_>) -> Result<usize, Error> {
    ///         Ok(input.len())
    ///     }
    /// }
    ///
    /// let limits = Limits { idle_timeout: Duration::from_secs(3600), ..Limits::default() };
    /// let builder = Server::builder().protocol(|_peer| Discard).connection_limits(limits);
    /// # drop(builder);
    /// ```
    pub fn connection_limits(self, limits: protocol::Limits) -> Builder<ByProtocol<M>, L> {
        self.map_service(|service| service.limits(limits))
    }
}

impl<M, P, L> Builder<ByInbox<M, P>, L> {
    /// Sets the bounds of each connection, that of its inbox among them, instead of those that follow
    /// from the server's [limits](Builder::limits).
    pub fn connection_limits(self, limits: protocol::Limits) -> Builder<ByInbox<M, P>, L> {
        self.map_service(|service| service.limits(limits))
    }
}

impl<H, L> Builder<Handler<H>, L> {
    /// Sets for how long the future of a connection may not be woken, as [`Handler::idle_timeout`],
    /// instead of [`Limits::idle_timeout`](super::Limits::idle_timeout).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use heist::Server;
    /// use heist::net::Stream;
    ///
    /// # async fn subscribe(_: Stream) -> std::io::Result<()> { Ok(()) }
    /// let hour = Duration::from_secs(3600);
    /// let builder = Server::builder().handler(|stream, _peer| subscribe(stream)).idle_timeout(hour);
    /// # drop(builder);
    /// ```
    pub fn idle_timeout(self, limit: Duration) -> Builder<Handler<H>, L> {
        self.map_service(|service| service.idle_timeout(limit))
    }
}
