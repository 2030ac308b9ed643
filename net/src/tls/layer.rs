//! TLS as the layer of a server.

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use heist_scheduler::time::Instant;

use super::acceptor::{self, Bounds};
use super::config::Config;
use super::failure::{HandshakeError, HandshakeFailure};

use super::info::{self, Version};
use super::metrics::HandshakeMetrics;
use super::offered::Offered;
use super::stream::TlsStream;
use crate::server::{Builder, CloseReason, NoService, Peer, Shared, TlsMetrics, TransportLayer};
use crate::socket::stream::Stream;

/// TLS between each connection of a server and its service; see [`Builder::tls`].
#[derive(Debug)]
pub struct Tls {
    offered: Offered,
    started: Option<Started>,
}

/// What the server has given it.
#[derive(Clone, Debug)]
struct Started {
    server: Arc<Shared>,
    metrics: Arc<HandshakeMetrics>,
}

impl Builder<NoService> {
    /// Puts TLS between each connection and its service. A handler is given the
    /// [`TlsStream`] then, and HTTP is `https`.
    ///
    /// The handshake is bounded by [`Limits::handshake_timeout`](crate::server::Limits) and
    /// [`Limits::handshake_bytes`](crate::server::Limits).
    pub fn tls(self, config: Config) -> Builder<NoService, Tls> {
        self.transport(Tls { offered: Offered::new(config), started: None })
    }
}

impl TransportLayer for Tls {
    type Transport = TlsStream;

    fn start(&mut self, server: &Arc<Shared>, alpn: &'static [&'static [u8]]) {
        self.offered.set_alpn(alpn);
        let metrics = Arc::new(HandshakeMetrics::new(server.runtime()));
        self.started = Some(Started { server: Arc::clone(server), metrics });
    }

    fn accept(
        &self,
        stream: Stream,
        _peer: &Peer,
    ) -> impl Future<Output = Result<TlsStream, CloseReason>> + Send + 'static + use<> {
        let started = self.started.clone().expect("a server starts its layer before it accepts");
        let config = self.offered.current();
        async move {
            let limits = started.server.limits();
            let bounds = Bounds {
                bytes: limits.handshake_bytes,
                linger: limits.linger_timeout,
                linger_bytes: limits.linger_bytes,
            };
            let mut watch = Watch::new(Started::clone(&started));
            let failed = |error: &HandshakeError| watch.fail(error.failure());
            let stream = acceptor::accept(stream, config, bounds, failed).await?;
            watch.complete(&stream);
            Ok(stream)
        }
    }

    fn refusal(&self, _response: Option<&'static [u8]>) -> Option<&'static [u8]> {
        Some(REFUSED)
    }

    fn tls_metrics(&self) -> Option<TlsMetrics> {
        let started = self.started.as_ref()?;
        Some(started.metrics.snapshot(self.offered.config()))
    }
}

/// Counts one handshake, also where it is dropped before its end.
struct Watch {
    started: Started,
    began: Instant,
    is_counted: bool,
}

impl Watch {
    fn new(started: Started) -> Watch {
        let began = started.server.runtime().clock().now();
        Watch { started, began, is_counted: false }
    }

    fn took(&self) -> Duration {
        self.started.server.runtime().clock().now().duration_since(self.began)
    }

    fn complete(&mut self, stream: &TlsStream) {
        let session = stream.session();
        let (version, resumed) = (Version::of(session), info::is_resumed(session));
        self.started.metrics.complete(version, resumed, self.took());
        self.is_counted = true;
    }

    fn fail(&mut self, failure: HandshakeFailure) {
        self.started.metrics.fail(failure);
        self.is_counted = true;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.is_counted {
            return;
        }
        // The deadline is the task's, which drops the handshake before its end for one reason more.
        let server = &self.started.server;
        let is_over = server.is_draining() || server.runtime().is_shutting_down();
        self.fail(match is_over || thread::panicking() {
            true => HandshakeFailure::Cut,
            false => HandshakeFailure::Timeout,
        });
    }
}

/// The fatal alert `internal_error`, in clear as all before the server's first message: a client then
/// tells a refusal from a broken network.
const REFUSED: &[u8] = &[0x15, 0x03, 0x03, 0, 2, 2, 80];
