//! Request bodies: bounded in length and in time.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use heist_scheduler::coop;
use heist_scheduler::time::{Instant, Timer};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};

use super::failure::Failure;
use super::state::HttpState;
use crate::connection::rate_monitor::{MinRate, RateMonitor};
use crate::server::Peer;

/// The body of a request, as a service reads it.
///
/// It is bounded by the server's [`Limits`](crate::server::Limits): `max_body` bytes, pauses of
/// `body_timeout`, and `min_receive_rate` once the service has waited for it for `rate_grace` in
/// total. Time in which the service does not wait for it does not count. A service can set other bounds
/// for a request before it reads it: those of an upload differ from those of a call whose messages come
/// whenever they come.
///
/// ```
/// use std::convert::Infallible;
/// use std::time::Duration;
///
/// use heist::http::{Body, Http};
/// use hyper::service::{Service, service_fn};
/// use hyper::{Request, Response};
/// # async fn route(_: Request<Body>) -> Result<Response<String>, Infallible> {
/// #     Ok(Response::new(String::new()))
/// # }
///
/// let routes = service_fn(route);
/// let service = service_fn(move |mut request: Request<Body>| {
///     if request.uri().path().starts_with("/events.Events/") {
///         let body = request.body_mut();
///         body.set_timeout(Duration::MAX);
///         body.set_min_receive_rate(0);
///     }
///     routes.call(request)
/// });
/// # drop(Http::new(service));
/// ```
///
/// A frame has at most 64 KiB, also where the connection reads more at once. Between two of them a poll that has
/// lasted for 100 µs ends, so that a service that computes on what it reads does not hold up other connections.
///
/// Reading it is cancel-safe. It may be read in another task, and one of known length also after
/// the answer; of one in chunks hyper does not tell the end once the answer is out. If it is
/// dropped before its end, the connection is closed after the answer, as what remains of it must
/// not be taken for the next request.
///
/// # Panics
///
/// Reading it panics outside of a runtime.
#[derive(Debug)]
#[must_use = "a body that is dropped unread closes the connection after the answer"]
pub struct Body {
    /// `None` once given away.
    incoming: Option<Incoming>,
    /// What is left of a large piece of the transport's.
    rest: Bytes,
    /// The last poll ended for its length.
    yielded: bool,
    state: Arc<HttpState>,
    limit: u64,
    /// How long a pause may last.
    patience: Duration,
    least: MinRate,
    rate: RateMonitor,
    /// The end of the longest pause that is allowed. Armed by the first wait, and polled only while
    /// waiting.
    pause: Timer,
    /// Since then the transport was told to peek for bytes.
    peeked: bool,
    finished: bool,
}

/// Why a request's body did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The bound that it passed.
        limit: u64,
    },
    /// Nothing came for too long.
    #[error("no part of the body came for {} s", patience.as_secs_f64())]
    Stalled {
        /// How long was waited.
        patience: Duration,
    },
    /// It comes more slowly than it may.
    #[error("the body comes more slowly than {rate} bytes a second")]
    TooSlow {
        /// The lowest rate that is allowed, in bytes a second.
        rate: u32,
    },
    /// The connection broke, or the peer's framing of the body is malformed.
    #[error("the body broke off: {0}")]
    Broken(#[from] hyper::Error),
}

impl Body {
    pub(super) fn new(incoming: Incoming, state: Arc<HttpState>) -> Body {
        let limits = state.limits();
        Body {
            limit: limits.max_body,
            patience: limits.body_timeout,
            least: MinRate { rate: limits.min_receive_rate, grace: limits.rate_grace },
            finished: hyper::body::Body::is_end_stream(&incoming),
            incoming: Some(incoming),
            rest: Bytes::new(),
            yielded: false,
            state,
            rate: RateMonitor::default(),
            pause: Timer::new(),
            peeked: false,
        }
    }

    /// Sets its greatest length, in bytes from its beginning.
    ///
    /// A request that announces more than `max_body` bytes does not get as far as this: set
    /// `max_body` to the most that any request may send, and lower it here for the others.
    pub fn set_limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    /// Sets how long nothing may come while the service waits for it, instead of
    /// [`Limits::body_timeout`](crate::server::Limits::body_timeout): from the next wait on.
    pub fn set_timeout(&mut self, pause: Duration) {
        self.patience = pause;
    }

    /// Sets how many bytes a second have to come at least, instead of
    /// [`Limits::min_receive_rate`](crate::server::Limits::min_receive_rate); 0 for no such bound.
    pub fn set_min_receive_rate(&mut self, bytes_per_second: u32) {
        self.least.rate = bytes_per_second;
    }

    /// The peer that sends it.
    pub fn peer(&self) -> &Peer {
        self.state.peer()
    }

    /// hyper's own body, with no other bound than the server's `max_body`.
    ///
    /// Whether it is still to be read cannot be told then: a service that begins its answer before
    /// it reads gets no body from a client that waits for `100 Continue`.
    ///
    /// # Panics
    ///
    /// If part of it was read: hyper's body cannot take back what this one still holds of a large piece.
    pub fn into_incoming(mut self) -> Incoming {
        assert!(self.rate.bytes() == 0, "a body was given away that had been read in part");
        // Only a close waits for what may still come.
        if !std::mem::replace(&mut self.finished, true) {
            self.state.leave_unread();
        }
        self.incoming.take().expect("only this takes it, and takes the body with it")
    }

    /// Whether hyper has given all of it.
    fn has_all(&self) -> bool {
        self.incoming.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    /// How much hyper is still to give.
    fn hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<IncomingFrame>> {
        match &mut self.incoming {
            Some(incoming) => hyper::body::Body::poll_frame(Pin::new(incoming), cx),
            None => Poll::Ready(None),
        }
    }

    /// The time that counts begins when a wait begins. Moving the timer later costs a store.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let now = Instant::of_poll();
        let patience = self.patience;
        if self.rate.begin_wait(now) {
            self.pause.set(Some(now + patience));
            self.peeked = false;
        }
        ready!(self.pause.poll_elapsed(cx));
        // Bytes that came in time count, though their event is still in the queue. The task is polled
        // again until it is taken.
        if !std::mem::replace(&mut self.peeked, true) || self.state.has_unread() {
            self.state.request_peek();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(BodyError::Stalled { patience })
    }

    /// Whether a frame may be passed on.
    fn admit(&mut self, frame: &Frame<Bytes>) -> Result<(), BodyError> {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        self.rate.count(bytes);
        self.state.count_read(bytes);
        self.check_length()?;
        match self.rate.is_below(self.least) {
            true => Err(BodyError::TooSlow { rate: self.least.rate }),
            false => Ok(()),
        }
    }

    /// Whether the bytes that came, and those announced, are within the limit.
    fn check_length(&self) -> Result<(), BodyError> {
        let announced = self.hint().lower();
        match self.rate.bytes().saturating_add(announced) > self.limit {
            true => Err(BodyError::TooLong { limit: self.limit }),
            false => Ok(()),
        }
    }

    /// The front of a frame; what is behind [`FRAME_BYTES`] comes in frames of its own.
    fn begin_of(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        match frame.into_data() {
            Ok(mut data) if data.len() > FRAME_BYTES => {
                self.rest = data.split_off(FRAME_BYTES);
                Frame::data(data)
            }
            Ok(data) => Frame::data(data),
            Err(trailers) => trailers,
        }
    }

    /// Whether the service has got all of it.
    fn is_over(&self) -> bool {
        self.finished && self.rest.is_empty()
    }

    /// Ends a poll that has lasted for [`POLL_TIME`], before it goes on with the next frame: other connections
    /// wait. The next poll gets a frame however long it has lasted.
    fn poll_yield(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.yielded = !self.yielded && Instant::now() - Instant::of_poll() >= POLL_TIME;
        if self.yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// The next frame of the rest. It counts as a read: the poll ends where its budget does.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        ready!(coop::poll_proceed(cx));
        let length = self.rest.len().min(FRAME_BYTES);
        Poll::Ready(self.rest.split_to(length))
    }

    fn finish(&mut self) {
        self.finished = true;
        self.state.body_ended(Instant::of_poll());
    }

    /// The error for the service where hyper fails. What the guard has found says more.
    fn broken(&self, error: hyper::Error) -> BodyError {
        match self.state.failure() {
            Failure::BODY_TOO_LONG => BodyError::TooLong { limit: self.state.limits().max_body },
            _ => BodyError::Broken(error),
        }
    }

    fn fail(&self, error: BodyError) -> BodyError {
        if self.state.failure() == Failure::NONE {
            self.state.set_failure(error.failure());
        }
        error
    }
}

/// A frame as hyper returns it.
type IncomingFrame = Result<Frame<Bytes>, hyper::Error>;

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.rate.bytes() > 0 && !self.is_over() {
            ready!(self.poll_yield(cx));
        }
        if !self.rest.is_empty() {
            return self.poll_rest(cx).map(|data| Some(Ok(Frame::data(data))));
        }
        if self.finished {
            // hyper may not report the end once the answer is written, though it is known.
            return Poll::Ready(None);
        }
        if let Err(error) = self.check_length() {
            return Poll::Ready(Some(Err(self.fail(error))));
        }
        self.state.read_body();
        let Poll::Ready(frame) = self.poll_incoming(cx) else {
            return self.poll_stalled(cx).map(|error| Some(Err(self.fail(error))));
        };
        if self.rate.is_waiting() {
            self.rate.end_wait(Instant::of_poll());
        }
        Poll::Ready(match frame {
            None => {
                self.finish();
                None
            }
            Some(Err(error)) => Some(Err(self.fail(self.broken(error)))),
            Some(Ok(frame)) => {
                let admitted = self.admit(&frame).map_err(|error| self.fail(error));
                if self.has_all() {
                    self.finish();
                }
                Some(admitted.map(|()| self.begin_of(frame)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.has_all()
    }

    fn size_hint(&self) -> SizeHint {
        let coming = self.hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        if let Some(upper) = coming.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(coming.lower().saturating_add(rest));
        hint
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if !self.finished {
            self.state.leave_unread();
        }
    }
}

impl BodyError {
    fn failure(&self) -> Failure {
        match self {
            BodyError::TooLong { .. } => Failure::BODY_TOO_LONG,
            BodyError::Stalled { .. } => Failure::BODY_STALLED,
            BodyError::TooSlow { .. } => Failure::BODY_TOO_SLOW,
            BodyError::Broken(error) if is_malformed(error) => Failure::BODY_MALFORMED,
            BodyError::Broken(_) => Failure::BODY_LOST,
        }
    }
}

/// Whether the peer broke the framing, rather than the connection.
fn is_malformed(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| {
        matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
    })
}

/// The most bytes of a frame that a service is given.
const FRAME_BYTES: usize = 64 * 1024;

/// How long a poll may go on with frames that are there already.
const POLL_TIME: Duration = Duration::from_micros(100);
