//! One connection: counted while it lives, and what its requests share.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use heist::Transport;
use heist::server::{Accepted, CloseKind, CloseReason, HttpMetrics, Peer, Refusal, Serve, Shared};
use hyper::StatusCode;
use pin_project_lite::pin_project;

use super::{REFUSED, Recorder};
use crate::access::{Entry, Head};
use crate::memory::{Crowd, Present};

/// Serves with `H`, and observes its connections.
pub(crate) struct Watched<H> {
    http: H,
    recorder: Recorder,
    crowd: Arc<Crowd>,
}

impl<H> Watched<H> {
    /// Observes what `http` serves, whose service is [`Recorded`](super::Recorded).
    pub(crate) fn new(http: H, recorder: &Recorder, crowd: Arc<Crowd>) -> Watched<H> {
        Watched { http, recorder: recorder.clone(), crowd }
    }
}

impl<H: Serve<T>, T: Transport> Serve<T> for Watched<H> {
    fn serve(
        &self,
        accepted: Accepted<T>,
    ) -> impl Future<Output = CloseReason> + Send + 'static + use<H, T> {
        let present = self.crowd.enter();
        let connection = Connection::new(&self.recorder, Some(accepted.peer.clone()));
        let served = within(&connection, || self.http.serve(accepted));
        Watching { served, end: End { connection, kind: None }, _present: present }
    }

    fn start(&mut self, server: &Arc<Shared>) {
        self.http.start(server);
    }

    fn refusal(&self, reason: Refusal) -> Option<&'static [u8]> {
        self.http.refusal(reason)
    }

    fn alpn(&self) -> &'static [&'static [u8]] {
        Serve::<T>::alpn(&self.http)
    }

    fn http_metrics(&self) -> Option<HttpMetrics> {
        self.http.http_metrics()
    }
}

pin_project! {
    /// The future that serves one connection. No `async` block: that would hold each capture twice,
    /// as captured and as pinned.
    ///
    /// The fields are dropped in their order: the server's future, then the record of its end, and
    /// when its memory is free the connection counts as gone.
    struct Watching<F> {
        #[pin]
        served: F,
        end: End,
        _present: Present,
    }
}

impl<F: Future<Output = CloseReason>> Future for Watching<F> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.project();
        let reason = ready!(within(&this.end.connection, || this.served.poll(cx)));
        this.end.kind = Some(reason.kind());
        Poll::Ready(reason)
    }
}

/// Records the end of the connection when dropped.
struct End {
    connection: Arc<Connection>,
    /// `None` if the future was dropped before it completed.
    kind: Option<CloseKind>,
}

impl Drop for End {
    fn drop(&mut self) {
        let unknown = if thread::panicking() { CloseKind::Panicked } else { CloseKind::Cancelled };
        self.connection.ended(self.kind.unwrap_or(unknown));
    }
}

/// What the requests of one connection share.
pub(super) struct Connection {
    pub(super) recorder: Recorder,
    /// `None` if its end is not observed.
    peer: Option<Peer>,
    /// Holding this = the right to change the state. Only the connection's task does, a body that is
    /// dropped elsewhere, and the tasks of streams of HTTP/2.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A request of HTTP/1 that broke off, until the connection ends and gives the reason.
    broken: Option<Box<Entry>>,
    /// The last request failed and is in the log.
    failed: bool,
}

impl Connection {
    pub(super) fn new(recorder: &Recorder, peer: Option<Peer>) -> Arc<Connection> {
        Arc::new(Connection { recorder: recorder.clone(), peer, state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request that is over, in order or not.
    pub(super) fn record(&self, entry: Box<Entry>, in_order: bool) {
        let failed = !in_order || entry.status.is_none_or(|status| status >= 400);
        // The connection may go on for long, and so may many more that break off.
        let multiplexed = entry.head.as_ref().is_some_and(Head::is_multiplexed);
        let known = in_order || multiplexed || self.peer.is_none();
        {
            let mut state = self.state();
            state.failed = failed;
            if !known {
                state.broken = Some(entry);
                return;
            }
        }
        self.write(&entry, failed);
    }

    fn write(&self, entry: &Entry, failed: bool) {
        if let Some(lines) = &self.recorder.lines {
            lines.write(entry);
        }
        if failed {
            self.recorder.failures.request(entry);
        }
    }

    /// Records a request that the server answers with `status` in place of the service.
    fn refused(&self, status: StatusCode) {
        let Some(peer) = self.peer.clone() else { return };
        self.state().failed = true;
        let (status, took) = (Some(status.as_u16()), Duration::ZERO);
        self.write(&Entry { peer, head: None, status, bytes: 0, took, outcome: REFUSED }, true);
    }

    /// Records the end of the connection.
    fn ended(&self, kind: CloseKind) {
        let state = std::mem::take(&mut *self.state());
        if let Some(mut broken) = state.broken {
            broken.outcome = kind.label();
            return self.write(&broken, true);
        }
        let Some(peer) = &self.peer else { return };
        if !state.failed && is_failure(kind) {
            self.recorder.failures.connection(peer, kind.label());
        }
    }
}

/// Whether an end of this kind, outside of a request, is logged. Idle connections, and those that
/// their peers reset between requests, are not.
fn is_failure(kind: CloseKind) -> bool {
    matches!(
        kind,
        CloseKind::HeaderTimeout
            | CloseKind::BodyTimeout
            | CloseKind::WriteTimeout
            | CloseKind::TooSlow
            | CloseKind::Memory
            | CloseKind::Protocol
            | CloseKind::Panicked
    )
}

thread_local! {
    /// The connection whose task is polled on this thread. It is read where no parameter passes it:
    /// when the service is cloned for the connection, and when the server refuses a request.
    static CURRENT: Cell<Option<Arc<Connection>>> = const { Cell::new(None) };
}

/// Calls `inner` with `connection` as the current one. A panic ends that too.
fn within<T>(connection: &Arc<Connection>, inner: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            CURRENT.take();
        }
    }
    CURRENT.set(Some(Arc::clone(connection)));
    let _leave = Leave;
    inner()
}

/// The connection whose task is polled on this thread.
pub(super) fn current() -> Option<Arc<Connection>> {
    let current = CURRENT.take();
    CURRENT.set(current.clone());
    current
}

/// Records a request that the server answers in place of the service: the hook of
/// [`Http::on_refused`](heist::http::Http::on_refused).
pub(crate) fn refused(status: StatusCode) {
    if let Some(connection) = current() {
        connection.refused(status);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{Method, Uri, Version};

    use super::*;
    use crate::failures::Failures;
    use crate::recording::BROKEN;

    /// Failure: requests of HTTP/2 that a client gives up fill the memory, and are in no log while the
    /// connection lasts.
    #[test]
    fn broken_request_of_http2_does_not_wait_for_the_end_of_its_connection() {
        let recorder = Recorder { lines: None, failures: Arc::new(Failures::new()) };
        let peer = Peer::Tcp("127.0.0.1:1".parse().unwrap());
        let connection = Connection::new(&recorder, Some(peer.clone()));
        for (version, waits) in [(Version::HTTP_2, false), (Version::HTTP_11, true)] {
            let head = Head::new(&Method::GET, &Uri::from_static("/"), version);
            let (head, peer, took) = (Some(head), peer.clone(), Duration::ZERO);
            let entry = Entry { peer, head, status: None, bytes: 0, took, outcome: BROKEN };
            connection.record(Box::new(entry), false);
            assert_eq!(connection.state().broken.is_some(), waits, "{version:?}");
        }
    }
}
