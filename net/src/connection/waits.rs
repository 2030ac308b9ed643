//! Waiting for a change of the table: what acceptors and drains do.

use std::task::{Context, Poll};

use heist_scheduler::panics;

use super::table::ConnectionTable;
use crate::runtime::wakers::LazyWaker;

/// What an acceptor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Accept. So many connections have ended so far.
    Open { ended: u64 },
    /// Stop.
    Draining,
}

/// The outcome of a wait for the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Ended,
    /// There is no connection whose end could be waited for.
    NoConnection,
    Draining,
}

impl ConnectionTable {
    /// Counts an acceptor in; returns its number.
    pub(crate) fn add_acceptor(&self) -> usize {
        self.state.lock().observers.add_acceptor()
    }

    /// The acceptor of this number has closed its socket.
    pub(crate) fn remove_acceptor(&self, number: usize) {
        let mut state = self.state.lock();
        let waker = state.observers.remove_acceptor(number);
        let wakers = state.on_gone();
        drop(state);
        drop(waker);
        panics::wake_all(wakers);
    }

    /// Waits until there is room for a connection, or the server drains. The drain wakes the task
    /// even after it was told that there is room.
    pub(crate) fn poll_room(&self, acceptor: usize, cx: &mut Context<'_>) -> Poll<Admission> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.draining {
                return Poll::Ready(Admission::Draining);
            }
            let full = state.entries.len() >= self.limits.connections;
            let ended = state.counts.ended();
            if state.observers.watch(acceptor, full, &mut fresh) {
                return if full { Poll::Pending } else { Poll::Ready(Admission::Open { ended }) };
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Waits until more than `ended` connections have ended.
    pub(crate) fn poll_end(
        &self,
        acceptor: usize,
        ended: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Waited> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.draining {
                return Poll::Ready(Waited::Draining);
            }
            if state.counts.ended() != ended {
                return Poll::Ready(Waited::Ended);
            }
            if state.entries.is_empty() {
                return Poll::Ready(Waited::NoConnection);
            }
            if state.observers.watch(acceptor, true, &mut fresh) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Waits until no connection and no acceptor is left.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.is_gone() {
                return Poll::Ready(());
            }
            if state.observers.watch_for_the_last(cx.waker(), &mut fresh) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }
}
