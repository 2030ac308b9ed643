//! A value that one thread hands to one task, once.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heist_scheduler::panics;
use parking_lot::Mutex;

use crate::runtime::wakers::LazyWaker;

/// Where a task waits for its acceptor.
///
/// A server starts whole or not at all. So the tasks of all its acceptors are spawned first, each of
/// which waits here; only when the runtime has taken all of them are the acceptors sent. Where the
/// runtime refuses one, the caller that starts the server closes the sockets before it returns.
pub(super) struct Oneshot<T>(Mutex<State<T>>);

struct State<T> {
    value: Option<T>,
    /// The task's, while it waits.
    waker: Option<Waker>,
}

impl<T> Oneshot<T> {
    pub(super) fn new() -> Arc<Oneshot<T>> {
        Arc::new(Oneshot(Mutex::new(State { value: None, waker: None })))
    }

    /// Hands the value over.
    pub(super) fn send(&self, value: T) {
        let mut state = self.0.lock();
        state.value = Some(value);
        let waker = state.waker.take();
        drop(state);
        panics::wake_all(waker);
    }

    /// Waits for the value.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.0.lock();
            if let Some(value) = state.value.take() {
                return Poll::Ready(value);
            }
            if fresh.store_in(&mut state.waker) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }
}
