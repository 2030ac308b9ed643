//! Event streams that are never quiet for long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::response::sse::Event;
use futures_core::Stream;
use heist_scheduler::time::{Instant, Timer};
use pin_project_lite::pin_project;

pin_project! {
    /// A stream of events for `Sse` that sends a comment whenever there was no event for a while, so that
    /// proxies do not take the connection for a dead one, and the peer's end of it is noticed.
    ///
    /// It does what axum's `Sse::keep_alive` does, by the timers of heist: no runtime of tokio is needed.
    /// The comment is empty, and comes after 15 s, unless set otherwise.
    ///
    /// ```
    /// use std::convert::Infallible;
    /// use std::time::Duration;
    ///
    /// use axum::response::Sse;
    /// use axum::response::sse::Event;
    /// use futures_util::{Stream, stream};
    /// use heist_axum::KeepAliveStream;
    ///
    /// async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    ///     let events = stream::pending();
    ///     Sse::new(KeepAliveStream::new(events).interval(Duration::from_secs(5)))
    /// }
    /// # drop(axum::Router::<()>::new().route("/", axum::routing::get(events)));
    /// ```
    ///
    /// # Panics
    ///
    /// Polling it panics outside of a runtime of heist.
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct KeepAliveStream<S> {
        #[pin]
        events: S,
        interval: Duration,
        event: Event,
        // The end of the present pause.
        pause: Timer,
    }
}

impl<S> KeepAliveStream<S> {
    /// The events of `events`, and comments in between.
    pub fn new(events: S) -> KeepAliveStream<S> {
        let event = Event::default().comment("");
        KeepAliveStream { events, interval: INTERVAL, event, pause: Timer::new() }
    }

    /// Sets after how long without an event a comment comes.
    pub fn interval(mut self, interval: Duration) -> KeepAliveStream<S> {
        self.interval = interval;
        self
    }

    /// Sets what comes instead of an empty comment.
    pub fn event(mut self, event: Event) -> KeepAliveStream<S> {
        self.event = event;
        self
    }
}

impl<S, E> Stream for KeepAliveStream<S>
where
    S: Stream<Item = Result<Event, E>>,
{
    type Item = Result<Event, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, E>>> {
        let this = self.project();
        if let Poll::Ready(event) = this.events.poll_next(cx) {
            this.pause.set(None);
            return Poll::Ready(event);
        }
        if this.pause.deadline().is_none() {
            this.pause.set(Some(Instant::of_poll() + *this.interval));
        }
        this.pause.poll_elapsed(cx).map(|()| {
            this.pause.set(None);
            Some(Ok(this.event.clone()))
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.events.size_hint().0, None)
    }
}

/// That of axum's `KeepAlive`.
const INTERVAL: Duration = Duration::from_secs(15);
