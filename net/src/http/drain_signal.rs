//! The drain, as an HTTP service learns of it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::coop;

use super::state::HttpState;
use crate::runtime::operation;

/// Says when the server begins to drain. A service finds it in the extensions of a request.
///
/// A service needs it if its answers last long by themselves, such as a stream of events: it ends
/// them then.
///
/// The methods are those of [`server::DrainSignal`](crate::server::DrainSignal). Two things differ:
/// a wait also ends when the request's connection has ended, and clones wait independently of each
/// other. It is a type of its own because each request has one: it shares only what its connection
/// owns, so requests of different connections contend for nothing.
///
/// ```
/// use std::convert::Infallible;
///
/// use heist::http::{Body, DrainSignal};
/// use http_body_util::Full;
/// use hyper::body::Bytes;
/// use hyper::{Request, Response};
///
/// async fn wait(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
///     let drain = request.extensions().get::<DrainSignal>().cloned();
///     drain.expect("a request from a server has one").draining().await;
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
    pub fn is_draining(&self) -> bool {
        self.state.server().is_draining()
    }

    /// Whether the server has begun to drain, or the connection has ended. If not, the task is woken
    /// when either happens; only the task that polled last is.
    pub fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The waiters are woken after the server says that it drains, so a look at both loses nothing.
        if self.is_draining() {
            return Poll::Ready(());
        }
        self.state.drain_waiters().poll(&mut self.slot, cx.waker())
    }

    /// Waits until the server drains or the connection has ended. Cancel-safe.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn draining(&mut self) {
        operation::proceed().await;
        poll_fn(|cx| {
            ready!(coop::poll_closing());
            self.poll_draining(cx)
        })
        .await;
    }

    /// As [`draining`](DrainSignal::draining), as a future that borrows nothing: for streams that end
    /// with it, such as those of `futures::StreamExt::take_until`.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub async fn draining_owned(mut self) {
        self.draining().await;
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
        f.debug_struct("DrainSignal").field("is_draining", &self.is_draining()).finish()
    }
}
