//! One connection: hyper, with the deadlines and the drain around it.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_scheduler::time::Instant;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;

use super::hyper_io::HyperIo;
use super::reason::reason_of;
use super::shared_transport::{Shared, Watched};
use super::state::{HttpState, Phase};
use crate::Transport;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::drain_signal::DrainSignal;
use crate::server::LOOKS;

/// What surrounds hyper on one connection: deadlines and the drain.
///
/// There is one timer for all deadlines. They move with every request, but the timer is armed anew
/// only when it has fired, when a deadline comes before it, or when another task polls. With
/// requests that follow each other that is once in the time that a connection may idle.
pub(super) struct HttpConnection {
    pub(super) state: Arc<HttpState>,
    drain: DrainSignal,
    timer: DeadlineTimer,
    /// Once the server drains: how many requests came before, without the one in service.
    before_drain: Option<u64>,
    /// How often it was polled since the time of an upgraded connection was over.
    looks: u8,
    /// What the present poll says of hyper's part.
    pub(super) parting: Parting,
}

/// Whether hyper's part of a connection is given up.
#[derive(Clone, Copy)]
pub(super) enum Parting {
    None,
    /// The connection idles.
    Rest,
    /// It is to be made anew at once.
    Rebuild,
}

/// The outcome of a poll.
pub(super) enum Step {
    Over(CloseReason),
    /// What served the connection has finished. hyper has shut the transport down, unless a request
    /// asked for an upgrade.
    Served,
}

impl HttpConnection {
    pub(super) fn new(state: Arc<HttpState>, drain: DrainSignal) -> HttpConnection {
        HttpConnection {
            state,
            drain,
            timer: DeadlineTimer::new(),
            before_drain: None,
            looks: 0,
            parting: Parting::None,
        }
    }

    /// Watches over a transport that another task has, until that drops it.
    pub(super) fn poll_upgraded(
        &mut self,
        cx: &mut Context<'_>,
        transport: &dyn Shared,
    ) -> Poll<Step> {
        let now = Instant::of_poll();
        self.state.begin_poll(now);
        if self.before_drain.is_none() && self.drain.poll_draining(cx).is_ready() {
            self.begin_drain();
        }
        // It is not known what the other task does.
        self.drain.set_busy(false);
        let watched = transport.watch(cx, &|| self.state.deadline());
        let failure = self.state.failure().close;
        let (deadline, close) = match watched {
            Watched::Returned if failure == Some(CloseKind::Lost) => {
                return Poll::Ready(Step::Over(self.reason(Ok(()))));
            }
            Watched::Returned => return Poll::Ready(Step::Served),
            Watched::InUse(..) if self.state.upgrade().is_exceeded() => {
                return Poll::Ready(Step::Over(self.reason(Ok(()))));
            }
            Watched::InUse(deadline) => deadline,
        };
        if now < deadline {
            self.looks = 0;
            self.arm(cx, deadline, now);
            return Poll::Pending;
        }
        // Bytes that came in time count, though the other task has not been woken for them yet.
        if close == Some(CloseKind::IdleTimeout) && self.looks < LOOKS && transport.has_unread() {
            self.looks += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let kind = close.unwrap_or(CloseKind::IdleTimeout);
        transport.cut(io::ErrorKind::TimedOut);
        Poll::Ready(Step::Over(self.reason_of(kind, None)))
    }

    /// Closes a transport that hyper has left open, as it does after a request that asked for an
    /// upgrade.
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        transport: &dyn Shared,
    ) -> Poll<CloseReason> {
        let now = Instant::of_poll();
        self.state.begin_poll(now);
        match transport.poll_close(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(self.reason(Ok(()))),
            Poll::Ready(Err(error)) => Poll::Ready(CloseReason::Lost(error)),
            Poll::Pending => self.poll_deadline(cx, now),
        }
    }

    pub(super) fn poll<S, B, T>(
        &mut self,
        cx: &mut Context<'_>,
        mut served: Pin<&mut http1::UpgradeableConnection<HyperIo<T>, S>>,
    ) -> Poll<Step>
    where
        T: Transport,
        S: HttpService<Incoming, ResBody = B>,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let now = Instant::of_poll();
        self.state.begin_poll(now);
        if self.before_drain.is_none() && self.drain.poll_draining(cx).is_ready() {
            self.begin_drain();
            if self.state.phase() == Phase::Serving {
                // The head of the answer may be out already, without `connection: close`.
                served.as_mut().graceful_shutdown();
            }
        }
        let mut outcome = served.as_mut().poll(cx);
        let is_late = outcome.is_pending() && self.is_over(now) && self.state.waits_for_bytes();
        if is_late && !self.state.wants_rebuild() {
            // Bytes that came in time count, though their event is still in the queue.
            self.state.request_peek();
            outcome = served.poll(cx);
        }
        if outcome.is_pending() && self.state.wants_rebuild() {
            self.parting = Parting::Rebuild;
            return Poll::Pending;
        }
        if outcome.is_pending() && is_late && self.state.has_unread() {
            // The task is polled again until the event is taken.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match outcome {
            Poll::Ready(Ok(())) => Poll::Ready(Step::Served),
            Poll::Ready(Err(error)) => Poll::Ready(Step::Over(self.reason(Err(error)))),
            Poll::Pending => self.poll_deadline(cx, now).map(Step::Over),
        }
    }

    /// Whether the connection has been as it is for too long.
    fn is_over(&self, now: Instant) -> bool {
        now >= self.state.deadline().0
    }

    /// From now on the next answer is the last.
    fn begin_drain(&mut self) {
        let serving = matches!(self.state.phase(), Phase::Serving | Phase::Upgraded);
        self.before_drain = Some(self.state.requests() - u64::from(serving));
        self.state.close_after_answer();
        self.state.drain_waiters().close();
    }

    /// Waits until the connection has been as it is for too long.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<CloseReason> {
        let serving = self.state.phase() == Phase::Serving;
        self.drain.set_busy(serving);
        if !serving {
            self.state.restore_account();
        }
        let (deadline, close) = self.state.deadline();
        if now >= deadline {
            return Poll::Ready(match close {
                Some(kind) => self.reason_of(kind, None),
                None => self.reason(Ok(())),
            });
        }
        // The timer is lazy: with requests that follow each other it fires once in that time.
        let dormant = self.state.dormant_at();
        match now < dormant {
            true => self.arm(cx, deadline.min(dormant), now),
            false => {
                self.parting = Parting::Rest;
                self.arm(cx, deadline, now);
            }
        }
        Poll::Pending
    }

    fn arm(&mut self, cx: &mut Context<'_>, deadline: Instant, now: Instant) {
        if !self.timer.covers(deadline, now, cx) && self.timer.arm(deadline, now, cx).is_ready() {
            // It has passed since the poll began: the next one handles what came until then.
            cx.waker().wake_by_ref();
        }
    }

    /// Why the connection ended.
    pub(super) fn reason(&self, outcome: hyper::Result<()>) -> CloseReason {
        if let Some(kind) = self.state.failure().close {
            return self.reason_of(kind, outcome.err());
        }
        match (outcome, self.before_drain) {
            (Err(error), _) => self.reason_of_error(error),
            (Ok(()), Some(before)) if self.state.requests() > before => CloseReason::Drained,
            (Ok(()), Some(_)) => CloseReason::IdleDrained,
            (Ok(()), None) => CloseReason::Finished,
        }
    }

    fn reason_of_error(&self, error: hyper::Error) -> CloseReason {
        let peer = self.state.peer();
        if error.is_user() {
            // hyper does not see the other errors of a service.
            tracing::error!(%error, %peer, "the body of an answer failed");
            return CloseReason::Cancelled;
        }
        tracing::debug!(%error, %peer, "a connection failed");
        if !error.is_parse() {
            return self.reason_of(CloseKind::Lost, Some(error));
        }
        if !error.is_parse_version_h2() {
            self.state.metrics().refuse(answer_to(&error));
        }
        self.reason_of(CloseKind::Protocol, Some(error))
    }

    /// A kind with its details.
    fn reason_of(&self, kind: CloseKind, error: Option<hyper::Error>) -> CloseReason {
        reason_of(kind, error.map(Into::into), self.state.limits())
    }
}

/// Whether nothing was under way, so that the peer is not to take the end for a failure.
pub(super) fn is_orderly(kind: CloseKind) -> bool {
    matches!(kind, CloseKind::Finished | CloseKind::IdleDrained | CloseKind::IdleTimeout)
}

/// What hyper answers to a malformed head.
fn answer_to(error: &hyper::Error) -> StatusCode {
    match error.is_parse_too_large() {
        true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        false => StatusCode::BAD_REQUEST,
    }
}
