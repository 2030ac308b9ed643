//! What the streams of an HTTP/2 connection make the server hold.
//!
//! The connection's task writes here, and a body that its service reads in another task. So the atomics
//! are cells that may be shared. Each operation is Relaxed: a value publishes nothing but itself.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use heist_scheduler::time::Instant;
use parking_lot::Mutex;

use crate::connection::close_reason::CloseKind;
use crate::connection::rate_monitor::{MinRate, RateMonitor};
use crate::server::Limits;

/// The sums over all streams of one connection.
#[derive(Debug, Default)]
pub(super) struct StreamAccounts {
    /// Streams whose request, or whose answer, is not at its end.
    open: AtomicUsize,
    /// When the last of them ended.
    idle_since: AtomicU64,
    /// Requests whose body is not at its end.
    bodies: AtomicUsize,
    /// Bytes that services have read of bodies, since there was no such request.
    read: AtomicU64,
    /// Bytes of answers that hyper holds.
    unsent: AtomicUsize,
    /// Pieces of answers that hyper was given.
    pieces: AtomicU64,
    /// When the peer last took some of those, or there were none.
    taken_at: AtomicU64,
    /// An answer was found to be taken too slowly.
    slow: AtomicBool,
}

impl StreamAccounts {
    pub(super) fn open_streams(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// When the last stream ended.
    pub(super) fn idle_since(&self) -> Instant {
        Instant::from_nanos(self.idle_since.load(Relaxed))
    }

    /// The connection begins to wait for a stream, if none has ended later.
    pub(super) fn idle_from(&self, now: Instant) {
        self.idle_since.fetch_max(now.as_nanos(), Relaxed);
    }

    /// Whether a request's body is not at its end.
    pub(super) fn receives(&self) -> bool {
        self.bodies.load(Relaxed) > 0
    }

    /// Bytes that were read of bodies. No body is open: from now on they count anew.
    pub(super) fn restart_read(&self) {
        self.read.store(0, Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    /// Bytes of answers that wait for the peer.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Relaxed)
    }

    /// Pieces of answers that hyper was given since this was last asked.
    pub(super) fn take_pieces(&self) -> u64 {
        match self.pieces.load(Relaxed) {
            0 => 0,
            _ => self.pieces.swap(0, Relaxed),
        }
    }

    /// Whether an answer is taken too slowly since this was last asked.
    pub(super) fn take_slow(&self) -> bool {
        self.slow.load(Relaxed) && self.slow.swap(false, Relaxed)
    }

    /// When the peer last took something of what waits, or something began to wait.
    pub(super) fn taken_at(&self) -> Instant {
        Instant::from_nanos(self.taken_at.load(Relaxed))
    }
}

/// The account of one stream.
#[derive(Debug)]
pub(super) struct StreamAccount {
    accounts: Arc<StreamAccounts>,
    /// Holding this is the right to read and change it. No foreign code runs under it.
    answer: Mutex<Answer>,
}

/// What hyper holds of an answer, and how fast the peer takes it.
#[derive(Debug, Default)]
struct Answer {
    unsent: usize,
    /// Since something waits.
    rate: RateMonitor,
    /// When the peer last took something, or that wait began.
    taken_at: Instant,
    slow: bool,
    /// Woken when no more than so much is unsent.
    waiter: Option<(usize, Waker)>,
}

impl StreamAccount {
    /// A stream opens. `receives`: its request has a body.
    pub(super) fn open(accounts: &Arc<StreamAccounts>, receives: bool) -> StreamAccount {
        accounts.open.fetch_add(1, Relaxed);
        if receives {
            accounts.bodies.fetch_add(1, Relaxed);
        }
        StreamAccount { accounts: Arc::clone(accounts), answer: Mutex::default() }
    }

    /// The stream has ended at `now`.
    pub(super) fn close(&self, now: Instant) {
        self.accounts.idle_from(now);
        self.accounts.open.fetch_sub(1, Relaxed);
    }

    /// The service has read so much of the request's body.
    pub(super) fn count_read(&self, bytes: usize) {
        self.accounts.read.fetch_add(bytes as u64, Relaxed);
    }

    /// The request's body is at its end, or was given up.
    pub(super) fn end_body(&self) {
        self.accounts.bodies.fetch_sub(1, Relaxed);
    }

    /// hyper was given `bytes` of the answer.
    pub(super) fn hand_over(&self, bytes: usize, now: Instant) {
        if self.accounts.unsent.fetch_add(bytes, Relaxed) == 0 {
            self.accounts.taken_at.store(now.as_nanos(), Relaxed);
        }
        self.accounts.pieces.fetch_add(1, Relaxed);
        let mut answer = self.answer.lock();
        if answer.unsent == 0 {
            answer.rate = RateMonitor::waiting_from(now);
            answer.taken_at = now;
        }
        answer.unsent += bytes;
    }

    /// hyper has given up `bytes` of the answer.
    pub(super) fn give_up(&self, bytes: usize) {
        self.accounts.unsent.fetch_sub(bytes, Relaxed);
        self.answer.lock().unsent -= bytes;
    }

    /// Ready when hyper holds no more than `bytes`.
    pub(super) fn poll_taken(&self, bytes: usize, cx: &mut Context<'_>) -> Poll<()> {
        let waiter = Some((bytes, cx.waker().clone()));
        let mut answer = self.answer.lock();
        if answer.unsent <= bytes {
            drop(answer);
            return Poll::Ready(());
        }
        let before = mem::replace(&mut answer.waiter, waiter);
        drop(answer);
        drop(before);
        Poll::Pending
    }

    /// hyper has sent `bytes` of the answer.
    pub(super) fn take(&self, bytes: usize, now: Instant, limits: &Limits) {
        self.accounts.unsent.fetch_sub(bytes, Relaxed);
        self.accounts.taken_at.store(now.as_nanos(), Relaxed);
        let least = MinRate { rate: limits.min_send_rate, grace: limits.rate_grace };
        let mut answer = self.answer.lock();
        answer.unsent -= bytes;
        answer.taken_at = now;
        answer.rate.count(bytes);
        answer.rate.end_wait(now);
        if answer.rate.is_below(least) {
            answer.slow = true;
            self.accounts.slow.store(true, Relaxed);
        }
        if answer.unsent > 0 {
            answer.rate.begin_wait(now);
        }
        let unsent = answer.unsent;
        let waiter = answer.waiter.take_if(|(bytes, _)| unsent <= *bytes);
        drop(answer);
        if let Some((_, waker)) = waiter {
            waker.wake();
        }
    }

    /// Whether hyper holds something of the answer.
    pub(super) fn waits(&self) -> bool {
        self.answer.lock().unsent > 0
    }

    /// Until when the peer may go on as it does with the answer, and what it does wrong then.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, CloseKind) {
        let answer = self.answer.lock();
        match *answer {
            Answer { unsent: 0, .. } => (Instant::FAR_FUTURE, CloseKind::WriteTimeout),
            Answer { slow: true, .. } => (Instant::ZERO, CloseKind::TooSlow),
            Answer { taken_at, .. } => (taken_at + limits.write_timeout, CloseKind::WriteTimeout),
        }
    }
}
