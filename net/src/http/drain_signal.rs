//! The drain, as an HTTP service learns of it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::state::HttpState;
use crate::runtime::operation::restore_if_pending;

/// Says when the server begins to drain. A service finds it in the extensions of a request. Its
/// clones wait independently of each other.
///
/// A service needs it if its answers last long by themselves, such as a stream of events: it ends
/// them then. It completes when the server begins to drain, or when the request's connection has
/// ended, whichever comes first. Cancel-safe.
///
/// # Panics
///
/// Waiting for it panics outside of a runtime.
///
/// ```
/// use std::convert::Infallible;
///
/// use heist_net::http::{Body, DrainSignal};
/// use http_body_util::Full;
/// use hyper::body::Bytes;
/// use hyper::{Request, Response};
///
/// async fn wait(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
///     let drain = request.extensions().get::<DrainSignal>().cloned();
///     drain.expect("a request from a server has one").await;
///     Ok(Response::new(Full::new(Bytes::from_static(b"the server drains\n"))))
/// }
/// ```
pub struct DrainSignal {
    state: Arc<HttpState>,
    /// Of its waker, if it waits.
    slot: Option<usize>,
}

impl DrainSignal {
    pub(super) fn new(state: Arc<HttpState>) -> DrainSignal {
        DrainSignal { state, slot: None }
    }

    /// Whether the server has begun to drain.
    pub fn has_begun(&self) -> bool {
        self.state.server().is_draining()
    }

    /// The waiters are woken after the server says that it drains, so a look at both loses nothing.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_begun() {
            return Poll::Ready(());
        }
        self.state.drain_waiters().poll(&mut self.slot, cx.waker())
    }
}

impl Future for DrainSignal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(coop::poll_proceed(cx));
        restore_if_pending(self.poll_begun(cx))
    }
}

impl Clone for DrainSignal {
    fn clone(&self) -> DrainSignal {
        DrainSignal::new(Arc::clone(&self.state))
    }
}

impl Drop for DrainSignal {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.state.drain_waiters().remove(slot);
        }
    }
}

impl fmt::Debug for DrainSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainSignal").field("has_begun", &self.has_begun()).finish()
    }
}
