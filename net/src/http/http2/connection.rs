//! One HTTP/2 connection: hyper and its streams, with the deadlines, the drain and the account of memory
//! around them.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use heist_scheduler::time::Instant;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::service::HttpService;
use parking_lot::Mutex;

use super::super::state::{HttpState, Phase};
use super::super::stream_account::StreamAccounts;
use super::accounting::Accounting;
use super::closing::Closing;
use super::ending::Ending;
use super::monitored_io::{MonitoredIo, SharedIo};
use super::served::{Served, builder};
use super::stalls::Stalls;
use super::stream_set::{StreamExecutor, StreamSet};
use crate::Transport;
use crate::connection::close_reason::{CloseKind, CloseReason};
use crate::connection::deadlines::DeadlineTimer;
use crate::connection::drain_signal::DrainSignal;

/// The future of an HTTP/2 connection: hyper, then the close of the transport.
pub(in crate::http) struct Http2Future<T> {
    stage: Stage,
    connection: Http2Connection<T>,
}

enum Stage {
    Serving {
        /// In front of hyper: the streams are dropped first.
        streams: StreamSet,
        hyper: Pin<Box<dyn Served>>,
    },
    Closing(Closing),
    Over,
}

/// What surrounds hyper on one connection.
struct Http2Connection<T> {
    transport: Arc<Mutex<MonitoredIo<T>>>,
    state: Arc<HttpState>,
    accounts: Arc<StreamAccounts>,
    accounting: Accounting,
    drain: DrainSignal,
    ending: Ending,
    timer: DeadlineTimer,
    stalls: Stalls,
}

/// What a connection that came into being is served with.
pub(in crate::http) struct Parts<T> {
    pub(in crate::http) transport: T,
    /// What came of it already.
    pub(in crate::http) front: Vec<u8>,
    pub(in crate::http) state: Arc<HttpState>,
    pub(in crate::http) drain: DrainSignal,
}

impl<T: Transport> Http2Future<T> {
    /// Serves a connection by the service that `service` makes for it.
    pub(in crate::http) fn new<S, B>(
        parts: Parts<T>,
        service: impl FnOnce(&Arc<HttpState>, Arc<StreamAccounts>, StreamExecutor) -> S,
    ) -> Http2Future<T>
    where
        S: HttpService<Incoming, ResBody = B> + Send + 'static,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        S::Future: Send + 'static,
        StreamExecutor: Http2ServerConnExec<S::Future, B>,
    {
        let Parts { transport, front, state, drain } = parts;
        let transport = MonitoredIo::new(transport, front, Arc::clone(&state));
        let transport = Arc::new(Mutex::new(transport));
        let (accounts, streams) = (Arc::new(StreamAccounts::default()), StreamSet::new());
        let service = service(&state, Arc::clone(&accounts), streams.executor());
        let hyper = builder(state.limits(), Instant::of_poll(), streams.executor())
            .serve_connection(SharedIo::new(Arc::clone(&transport)), service);
        let connection = Http2Connection {
            transport,
            state,
            accounting: Accounting::default(),
            accounts,
            drain,
            ending: Ending::default(),
            timer: DeadlineTimer::new(),
            stalls: Stalls::default(),
        };
        Http2Future { stage: Stage::Serving { streams, hyper: Box::pin(hyper) }, connection }
    }
}

impl<T: Transport> Future for Http2Future<T> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let Http2Future { stage, connection } = self.get_mut();
        let now = Instant::of_poll();
        connection.state.begin_poll(now);
        if let Stage::Serving { streams, hyper } = stage {
            let closing = ready!(connection.poll_serving(cx, now, streams, hyper.as_mut()));
            connection.accounting.release(&connection.state);
            // What the streams and hyper hold is dropped before the peer is waited for.
            *stage = Stage::Closing(closing);
            connection.state.set_blocked(None);
            connection.state.enter(Phase::Lingering, now);
        }
        let Stage::Closing(closing) = stage else { unreachable!("it is not polled after its end") };
        ready!(connection.poll_closing(cx, now, closing));
        match mem::replace(stage, Stage::Over) {
            Stage::Closing(closing) => Poll::Ready(closing.into_reason()),
            Stage::Serving { .. } | Stage::Over => unreachable!("it is closing"),
        }
    }
}

/// Nothing in it is ever pinned: hyper's part is in a box.
impl<T> Unpin for Http2Future<T> {}

impl<T: Transport> Http2Connection<T> {
    /// Ready when the connection is to be closed.
    fn poll_serving(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        streams: &mut StreamSet,
        mut hyper: Pin<&mut dyn Served>,
    ) -> Poll<Closing> {
        self.begin_ending(cx, now, streams, hyper.as_mut());
        self.transport.lock().monitor.begin_turn();
        let mut outcome = streams.poll(cx, |cx| hyper.as_mut().poll(cx));
        if outcome.is_pending() && now >= self.state.deadline().0 && self.state.waits_for_bytes() {
            // Bytes that came in time count, though their event is still in the queue. The task is polled
            // again until it is taken.
            self.state.request_peek();
            streams.wake_hyper();
            outcome = streams.poll(cx, |cx| hyper.as_mut().poll(cx));
            if outcome.is_pending() && self.state.has_unread() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let mut transport = self.transport.lock();
        transport.monitor.allow_for_pieces(self.accounts.take_pieces());
        self.accounting.count_frames(&transport.monitor, &self.state);
        if transport.monitor.ends_turn() {
            streams.wake_hyper();
        }
        if let Poll::Ready(outcome) = outcome {
            self.drain.set_busy(false);
            let in_order = self.ending.reason();
            return Poll::Ready(Closing::after(&transport, &self.state, outcome, in_order));
        }
        let charged = self.accounting.charge(&transport.monitor, &self.state, &self.accounts);
        drop(transport);
        if charged.is_err() {
            return Poll::Ready(self.close(CloseKind::Memory));
        }
        self.poll_deadline(cx, now, streams)
    }

    /// Has hyper end where the server drains, or where the connection is old.
    fn begin_ending(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        streams: &StreamSet,
        hyper: Pin<&mut dyn Served>,
    ) {
        let busy = self.accounts.open_streams() > 0;
        let drains = !self.ending.is_draining() && self.drain.poll_draining(cx).is_ready();
        if drains {
            self.ending.drain(now, busy);
            self.state.close_after_answer();
            self.state.drain_waiters().close();
        } else if self.ending.has_begun() || !self.state.is_aged() {
            self.ending.watch(busy);
            return;
        } else {
            self.ending.age(now);
        }
        hyper.graceful_shutdown();
        streams.wake_hyper();
    }

    /// Waits until the connection has been as it is for too long.
    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        streams: &mut StreamSet,
    ) -> Poll<Closing> {
        let busy = self.enter_phase(now);
        self.drain.set_busy(busy);
        if let Some(kind) = self.stalls.end_stalled(now, streams, &self.state, &self.accounts) {
            return Poll::Ready(self.close(kind));
        }
        let (deadline, kind) = self.deadline();
        if now >= deadline {
            return Poll::Ready(self.close(kind));
        }
        let deadline = deadline.min(self.next_look(now, streams));
        if !self.timer.covers(deadline, now, cx) && self.timer.arm(deadline, now, cx).is_ready() {
            // It has passed since the poll began: the next one handles what came until then.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Says what the connection is doing. Returns whether there is a stream.
    fn enter_phase(&mut self, now: Instant) -> bool {
        let busy = self.accounts.open_streams() > 0;
        if busy {
            self.state.enter(Phase::Serving, now);
        } else if self.transport.lock().monitor.is_settled() {
            // After the detection of the version a part of a head has come.
            if matches!(self.state.phase(), Phase::Fresh | Phase::Head) {
                self.accounts.idle_from(now);
            }
            self.state.enter(Phase::Idle, self.accounts.idle_since());
        }
        busy
    }

    /// Until when the connection may stay as it is, and how it ends then.
    fn deadline(&self) -> (Instant, CloseKind) {
        let limits = self.state.limits();
        let (stay, kind) = self.state.deadline();
        let mut earliest = (stay, kind.unwrap_or(CloseKind::Finished));
        let mut earlier = |deadline: Instant, kind| {
            if deadline < earliest.0 {
                earliest = (deadline, kind);
            }
        };
        if let Some(incomplete) = self.transport.lock().monitor.incomplete_since() {
            let patience = match incomplete.may_be_data && self.accounts.receives() {
                true => limits.header_timeout.max(limits.body_timeout),
                false => limits.header_timeout,
            };
            earlier(incomplete.since + patience, CloseKind::HeaderTimeout);
        }
        if let Some(since) = self.ending.since()
            && let Some(grace) = limits.connection_age_grace
            && !self.ending.is_draining()
        {
            earlier(since + grace, CloseKind::Cancelled);
        }
        earliest
    }

    /// When the task has to look again, whatever comes.
    fn next_look(&self, now: Instant, streams: &StreamSet) -> Instant {
        let mut next = self.stalls.next_look();
        if !self.ending.has_begun() {
            next = next.min(self.state.aged_at());
        }
        if streams.is_empty() && self.accounts.open_streams() > 0 {
            // Another task has the body of a request whose answer is out. Its end wakes nothing here.
            next = next.min(now + self.state.limits().idle_timeout);
        }
        next
    }

    fn close(&self, kind: CloseKind) -> Closing {
        Closing::by(&self.transport.lock(), &self.state, kind)
    }

    fn poll_closing(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        closing: &mut Closing,
    ) -> Poll<()> {
        let mut transport = self.transport.lock();
        if closing.poll(cx, &mut transport).is_ready() {
            return Poll::Ready(());
        }
        drop(transport);
        let (deadline, _) = self.state.deadline();
        if now >= deadline {
            return Poll::Ready(());
        }
        if !self.timer.covers(deadline, now, cx) && self.timer.arm(deadline, now, cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<T> Drop for Http2Connection<T> {
    fn drop(&mut self) {
        self.accounting.release(&self.state);
    }
}
