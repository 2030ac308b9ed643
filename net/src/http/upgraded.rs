//! A connection that changes from HTTP to another protocol, as its service sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::state::HttpState;
use crate::server::{CloseKind, Peer, Shared};

/// What a service may say of a connection that it takes over by an upgrade. It is in the extensions of
/// each request that asks for one.
///
/// The bytes come from [`hyper::upgrade::on`]. The connection is open and counted until the
/// [`Upgraded`](hyper::upgrade::Upgraded) is dropped, in whatever task that is. The server's
/// [`write_timeout`](crate::server::Limits::write_timeout) and
/// [`min_send_rate`](crate::server::Limits::min_send_rate) hold for it as they do for answers, and
/// [`upgraded_idle_timeout`](crate::server::Limits::upgraded_idle_timeout) bounds how long it may be
/// quiet. Where a bound or the end of a drain's grace ends the connection, reads and writes fail.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use heist::http::{Body, UpgradedConnection};
/// use http_body_util::Empty;
/// use hyper::body::Bytes;
/// use hyper::{Request, Response, StatusCode};
///
/// async fn upgrade(request: Request<Body>) -> Result<Response<Empty<Bytes>>, Infallible> {
///     let mut response = Response::new(Empty::new());
///     let Some(connection) = request.extensions().get::<UpgradedConnection>().cloned() else {
///         *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
///         return Ok(response);
///     };
///     connection.set_idle_timeout(Duration::from_secs(3600));
///     heist::spawn(async move {
///         if let Ok(stream) = hyper::upgrade::on(request).await {
///             // Speaks the other protocol on `stream`.
///             drop(stream);
///         }
///     });
///     *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
///     response.headers_mut().insert("connection", "upgrade".parse().unwrap());
///     response.headers_mut().insert("upgrade", "example".parse().unwrap());
///     Ok(response)
/// }
/// ```
#[derive(Clone)]
pub struct UpgradedConnection {
    state: Arc<HttpState>,
}

impl UpgradedConnection {
    pub(super) fn new(state: Arc<HttpState>) -> UpgradedConnection {
        UpgradedConnection { state }
    }

    /// Sets how long nothing may be read or written, instead of
    /// [`Limits::upgraded_idle_timeout`](crate::server::Limits::upgraded_idle_timeout).
    ///
    /// It counts from the last byte in either direction. Once the time of the connection runs, a shorter
    /// one takes effect with the next byte at the latest.
    pub fn set_idle_timeout(&self, limit: Duration) {
        self.state.upgrade().set_idle_limit(limit);
    }

    /// Has the connection counted as ended for this reason, such as
    /// [`CloseKind::Protocol`], instead of [`CloseKind::Finished`]. The last call counts.
    ///
    /// It does not end the connection: dropping the stream does.
    pub fn close_as(&self, kind: CloseKind) {
        self.state.set_failure(Failure::of_connection(kind));
    }

    /// The other end.
    pub fn peer(&self) -> &Peer {
        self.state.peer()
    }

    /// What all connections of the server share, above all the budget of bytes that they may buffer.
    pub fn server(&self) -> &Arc<Shared> {
        self.state.server()
    }
}

impl fmt::Debug for UpgradedConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradedConnection").field("peer", self.peer()).finish_non_exhaustive()
    }
}

/// Counts an upgraded connection for as long as it is open.
pub(super) struct UpgradeCount(Arc<HttpState>);

impl UpgradeCount {
    pub(super) fn begin(state: &Arc<HttpState>) -> UpgradeCount {
        state.metrics().begin_upgraded();
        UpgradeCount(Arc::clone(state))
    }
}

impl Drop for UpgradeCount {
    fn drop(&mut self) {
        self.0.metrics().end_upgraded();
    }
}
