//! The method of a server's builder.

use heist_net::http::Http;
use heist_net::server::{Builder, NoService, Serve, TransportLayer};

use super::service::AxumService;

/// Adds [`axum`](BuilderExt::axum) to the [`Builder`] of a server.
pub trait BuilderExt<L: TransportLayer> {
    /// Serves HTTP/1.1 and HTTP/2 by a router of axum, or by another tower service of its requests.
    ///
    /// A `Router` with a state is one of these once it is given that (`with_state`). A service is cloned for
    /// each connection and each request, and called when its `poll_ready` is ready. An error of it is
    /// answered as [`Http`] does.
    fn axum<S>(self, service: S) -> Builder<Http<AxumService<S>>, L>
    where
        Http<AxumService<S>>: Serve<L::Transport>;
}

impl<L: TransportLayer> BuilderExt<L> for Builder<NoService, L> {
    fn axum<S>(self, service: S) -> Builder<Http<AxumService<S>>, L>
    where
        Http<AxumService<S>>: Serve<L::Transport>,
    {
        self.http(AxumService::new(service))
    }
}
