//! Where an acceptor waits for its task, and a task for its acceptor.
//!
//! A server starts whole or not at all. So the tasks of all its acceptors are spawned first, each of
//! which waits at a berth; only when the runtime has taken all of them do they get their acceptors.
//! Where it refuses one, the caller that starts the server closes the sockets before it returns.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heist_scheduler::panics;
use parking_lot::Mutex;

use crate::runtime::wakers::LazyWaker;

pub(super) struct Berth<A>(Mutex<State<A>>);

struct State<A> {
    acceptor: Option<A>,
    /// The task's, while it waits.
    task: Option<Waker>,
}

impl<A> Berth<A> {
    pub(super) fn new() -> Arc<Berth<A>> {
        Arc::new(Berth(Mutex::new(State { acceptor: None, task: None })))
    }

    /// Gives the task its acceptor.
    pub(super) fn fill(&self, acceptor: A) {
        let mut state = self.0.lock();
        state.acceptor = Some(acceptor);
        let task = state.task.take();
        drop(state);
        panics::wake_all(task);
    }

    /// Waits for the acceptor.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<A> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.0.lock();
            if let Some(acceptor) = state.acceptor.take() {
                return Poll::Ready(acceptor);
            }
            if fresh.store_in(&mut state.task) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }
}
