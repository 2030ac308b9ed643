//! What is watched of connections: around the HTTP server.

use std::future::Future;
use std::sync::Arc;

use heist::server::{Accepted, Ending, HttpMetrics, Refusal, Serve, Shared};

use super::memory::Crowd;

/// Serves by `H`, and watches its connections.
pub(crate) struct Watched<H> {
    http: H,
    crowd: Arc<Crowd>,
}

impl<H> Watched<H> {
    /// Watches what `http` serves.
    pub(crate) fn new(http: H, crowd: Arc<Crowd>) -> Watched<H> {
        Watched { http, crowd }
    }
}

impl<H: Serve> Serve for Watched<H> {
    fn serve(&self, accepted: Accepted) -> impl Future<Output = Ending> + Send + 'static + use<H> {
        let present = self.crowd.enter();
        let served = self.http.serve(accepted);
        async move {
            // It goes after what serves: the memory that this took is free before.
            let _present = present;
            served.await
        }
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.http.start(server);
    }

    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        self.http.refusal(reason)
    }

    fn http_metrics(&self) -> Option<HttpMetrics> {
        self.http.http_metrics()
    }
}
