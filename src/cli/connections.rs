//! How many connections there are, how many there may be, and how they learn that the server ends.
//!
//! At the bound nobody accepts: the kernel's backlog holds who comes, and the end of a connection
//! wakes the acceptors. When the server drains, acceptors and connections are woken once each.
//! One lock for all of it, taken when a connection begins and ends, never for a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use super::drain::Report;

/// All connections of the server.
pub(crate) struct Connections {
    bound: usize,
    /// Whether the server drains, to be read without the lock. Set once, with Release, under the
    /// lock; read with Acquire, so that whoever sees it sees all that came before.
    draining: AtomicBool,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    draining: bool,
    /// One for each connection: whom to wake when the server drains, once it has said so.
    open: Slab<Option<Waker>>,
    acceptors: Vec<Waker>,
    counts: Counts,
}

/// What has happened to connections since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) open: usize,
    pub(crate) accepted: u64,
    ends: [u64; Ending::ALL.len()],
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// In order: one side closed it between requests.
    Done,
    /// No request, or not the whole head of one, came in time.
    TimedOut,
    /// By an error of the transport or of the peer.
    Failed,
    /// It was idle when the server began to drain.
    Idle,
    /// It finished its request while the server drained.
    Drained,
    /// It was dropped in the middle: at the end of the grace, or by a panic.
    Cut,
}

/// The right of one connection to be there.
pub(crate) struct Place {
    connections: Arc<Connections>,
    key: usize,
    /// The waker in the slab, to know it again without the lock.
    registered: Option<Waker>,
    ending: Ending,
}

/// What an acceptor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    Ended,
}

impl Connections {
    /// At most `bound` at once; several listeners that accept in the same moment may pass it by
    /// one each.
    pub(crate) fn new(bound: usize) -> Arc<Connections> {
        Arc::new(Connections {
            bound,
            draining: AtomicBool::new(false),
            state: Mutex::default(),
            ended: Condvar::new(),
        })
    }

    /// Waits until there is room for a connection, or the server drains. The task is woken by the
    /// latter even after it was told that there is room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Admission> {
        let mut state = self.lock();
        if state.draining {
            return Poll::Ready(Admission::Ended);
        }
        if !state.acceptors.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.acceptors.push(cx.waker().clone());
        }
        if state.open.len() < self.bound { Poll::Ready(Admission::Open) } else { Poll::Pending }
    }

    /// Counts a connection in.
    pub(crate) fn enter(self: &Arc<Self>) -> Place {
        let mut state = self.lock();
        state.counts.accepted += 1;
        let key = state.open.insert(None);
        drop(state);
        Place { connections: Arc::clone(self), key, registered: None, ending: Ending::Cut }
    }

    /// Whether the server has begun to drain.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// What has happened so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { open: state.open.len(), ..state.counts }
    }

    /// Tells everybody that the server ends, and waits until no connection is left or `grace` has
    /// passed. Blocks.
    pub(crate) fn drain(&self, grace: Duration) -> Report {
        let start = Instant::now();
        for waker in self.begin_draining() {
            waker.wake();
        }
        let left = |state: &mut State| !state.open.is_empty();
        let state = self.lock();
        let (state, _) = self
            .ended
            .wait_timeout_while(state, grace, left)
            .unwrap_or_else(PoisonError::into_inner);
        Report {
            finished: state.counts.of(Ending::Drained),
            idle: state.counts.of(Ending::Idle),
            cut: state.open.len(),
            took: start.elapsed(),
        }
    }

    fn begin_draining(&self) -> Vec<Waker> {
        let mut state = self.lock();
        state.draining = true;
        self.draining.store(true, Ordering::Release);
        let mut wakers = std::mem::take(&mut state.acceptors);
        wakers.extend(state.open.iter_mut().filter_map(|(_, waker)| waker.take()));
        wakers
    }

    /// Frees a place. Returns the acceptors to wake if there was no room before.
    fn leave(&self, key: usize, ending: Ending) -> Vec<Waker> {
        let mut state = self.lock();
        let was_full = state.open.len() >= self.bound;
        drop(state.open.remove(key));
        state.counts.ends[ending as usize] += 1;
        if state.open.is_empty() {
            self.ended.notify_all();
        }
        if was_full { std::mem::take(&mut state.acceptors) } else { Vec::new() }
    }

    /// No code that runs under the lock can leave a half-made change, so a panic there is no
    /// reason for everybody else to end.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// How many connections ended in this way.
    pub(crate) fn of(&self, ending: Ending) -> u64 {
        self.ends[ending as usize]
    }
}

impl Ending {
    pub(crate) const ALL: [Ending; 6] = [
        Ending::Done,
        Ending::TimedOut,
        Ending::Failed,
        Ending::Idle,
        Ending::Drained,
        Ending::Cut,
    ];

    /// As a metric's label says it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::TimedOut => "timed_out",
            Ending::Failed => "failed",
            Ending::Idle => "idle",
            Ending::Drained => "drained",
            Ending::Cut => "cut",
        }
    }
}

impl Place {
    /// Waits until the server drains.
    pub(crate) fn poll_draining(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.connections.draining() {
            return Poll::Ready(());
        }
        if self.registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut state = self.connections.lock();
        if state.draining {
            return Poll::Ready(());
        }
        state.open[self.key] = Some(cx.waker().clone());
        self.registered = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Gives the place back, and says how the connection ended.
    pub(crate) fn leave(mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for acceptor in self.connections.leave(self.key, self.ending) {
            acceptor.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn end_of_a_connection_at_the_bound_wakes_the_acceptor() {
        let connections = Connections::new(1);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(connections.poll_room(&mut cx), Poll::Ready(Admission::Open));
        let place = connections.enter();
        assert_eq!(connections.poll_room(&mut cx), Poll::Pending);
        place.leave(Ending::Done);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(connections.poll_room(&mut cx), Poll::Ready(Admission::Open));
    }

    #[test]
    fn drain_wakes_acceptors_and_connections_and_waits_for_their_end() {
        let connections = Connections::new(8);
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(connections.poll_room(&mut cx), Poll::Ready(Admission::Open));
        let mut place = connections.enter();
        assert!(place.poll_draining(&mut cx).is_pending());
        assert_eq!(connections.drain(Duration::ZERO).cut, 1);
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        assert!(place.poll_draining(&mut cx).is_ready());
        assert_eq!(connections.poll_room(&mut cx), Poll::Ready(Admission::Ended));
        place.leave(Ending::Drained);
        let report = connections.drain(Duration::from_secs(60));
        assert_eq!((report.finished, report.cut), (1, 0));
    }
}
