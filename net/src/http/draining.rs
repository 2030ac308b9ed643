//! The drain, as a service learns of it.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use heist_scheduler::{coop, panics};
use parking_lot::Mutex;
use slab::Slab;

use super::conversation::Conversation;
use crate::runtime::operation::restore_if_pending;

/// Says when the server begins to drain. A service finds it in the extensions of a request, and
/// its clones wait independently of each other.
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
/// use heist_net::http::{Body, Draining};
/// use http_body_util::Full;
/// use hyper::body::Bytes;
/// use hyper::{Request, Response};
///
/// async fn wait(request: Request<Body>) -> Result<Response<Full<Bytes>>, Infallible> {
///     let draining = request.extensions().get::<Draining>().cloned();
///     draining.expect("a request from a server has one").await;
///     Ok(Response::new(Full::new(Bytes::from_static(b"the server drains\n"))))
/// }
/// ```
pub struct Draining {
    conversation: Arc<Conversation>,
    /// Where its waker is, if it waits.
    place: Option<usize>,
}

impl Draining {
    pub(super) fn new(conversation: Arc<Conversation>) -> Draining {
        Draining { conversation, place: None }
    }

    /// Whether the server has begun to drain.
    pub fn has_begun(&self) -> bool {
        self.conversation.server().is_draining()
    }

    /// The signal is rung after the server says that it drains, so a look at both loses nothing.
    fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.has_begun() {
            return Poll::Ready(());
        }
        self.conversation.drain_signal().poll(&mut self.place, cx.waker())
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(coop::poll_proceed(cx));
        restore_if_pending(self.poll_begun(cx))
    }
}

impl Clone for Draining {
    fn clone(&self) -> Draining {
        Draining::new(Arc::clone(&self.conversation))
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.conversation.drain_signal().give_up(place);
        }
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").field("has_begun", &self.has_begun()).finish()
    }
}

/// The tasks that wait for the drain on one connection.
#[derive(Debug, Default)]
pub(super) struct DrainSignal {
    /// Holding this is the right to change the list. No waker is cloned, called or dropped under it.
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
enum Waiting {
    /// By their places.
    For(Slab<Waker>),
    /// It has been rung.
    Over,
}

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting::For(Slab::new())
    }
}

impl DrainSignal {
    /// Whether it has been rung; if not, `waker` is called when it is. `place` is the caller's.
    fn poll(&self, place: &mut Option<usize>, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let unused = match &mut *self.waiting.lock() {
            Waiting::Over => {
                *place = None;
                Err(waker)
            }
            Waiting::For(wakers) => match *place {
                Some(place) => Ok(Some(mem::replace(&mut wakers[place], waker))),
                None => {
                    *place = Some(wakers.insert(waker));
                    Ok(None)
                }
            },
        };
        match unused {
            Ok(_replaced) => Poll::Pending,
            Err(_unused) => Poll::Ready(()),
        }
    }

    fn give_up(&self, place: usize) {
        let waker = match &mut *self.waiting.lock() {
            Waiting::For(wakers) => wakers.try_remove(place),
            Waiting::Over => None,
        };
        drop(waker);
    }

    /// Wakes all, and lets no task wait from now on.
    pub(super) fn ring(&self) {
        let waiting = mem::replace(&mut *self.waiting.lock(), Waiting::Over);
        if let Waiting::For(wakers) = waiting {
            panics::wake_all(wakers.into_iter().map(|(_, waker)| waker));
        }
    }
}
