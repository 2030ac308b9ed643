//! The streams of one connection, in its task.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use heist_scheduler::{coop, panics};
use hyper::rt::Executor;
use parking_lot::Mutex;

use super::super::chosen_account::ChosenAccount;
use super::super::state::HttpState;
use super::super::stream_account::StreamAccount;
use super::wakers::{FutureWaker, ReadyQueue};

/// What hyper does for one stream: it awaits the service and sends the answer.
pub(super) type StreamFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// hyper, and the streams that it has begun. All are polled by the task of their connection, one after
/// the other as they are woken.
pub(super) struct StreamSet {
    queue: Arc<ReadyQueue>,
    begun: Arc<BegunStreams>,
    /// The first is hyper's own.
    slots: Vec<Slot>,
    /// Those without a stream.
    free: Vec<usize>,
    /// The streams whose answer hyper has as a whole, as long as it waits.
    finished: Vec<Arc<HttpState>>,
    /// The number of the present poll.
    turn: u32,
    /// The streams that were woken after they were polled in it.
    deferred: Vec<usize>,
}

struct Slot {
    /// It stays with the slot: a late wake only has another stream polled once more.
    waker: Arc<FutureWaker>,
    handle: Waker,
    stream: Option<OpenStream>,
    /// When it was polled last.
    turn: u32,
}

struct OpenStream {
    future: StreamFuture,
    state: Option<Arc<HttpState>>,
    account: ChosenAccount,
}

/// The executor that hyper gives its streams to.
#[derive(Clone)]
pub(in crate::http) struct StreamExecutor(Arc<BegunStreams>);

/// Streams that have begun in the present poll of hyper.
#[derive(Default)]
struct BegunStreams {
    /// Holding this is the right to change it. No foreign code runs under it.
    state: Mutex<Begun>,
}

#[derive(Default)]
struct Begun {
    futures: Vec<OpenStream>,
    /// Of the request that the service was called with last: hyper begins its stream next.
    called: Option<Called>,
}

/// A stream whose service was called.
struct Called {
    state: Arc<HttpState>,
    account: ChosenAccount,
}

impl StreamSet {
    pub(super) fn new() -> StreamSet {
        let queue = Arc::new(ReadyQueue::default());
        let slots = vec![Slot::new(&queue, HYPER)];
        StreamSet {
            queue,
            begun: Arc::default(),
            slots,
            free: Vec::new(),
            finished: Vec::new(),
            turn: 0,
            deferred: Vec::new(),
        }
    }

    pub(super) fn executor(&self) -> StreamExecutor {
        StreamExecutor(Arc::clone(&self.begun))
    }

    /// Has hyper polled in the next poll, though it was not woken.
    pub(super) fn wake_hyper(&self) {
        self.slots[HYPER].waker.wake_by_key();
    }

    /// Polls hyper and the streams that were woken, each stream at most once. `hyper` polls it.
    pub(super) fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut hyper: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.turn = self.turn.wrapping_add(1);
        self.queue.begin_poll();
        let mut outcome = Poll::Pending;
        // So that other tasks have their turn, whatever the streams do.
        for _ in 0..POLLS_A_TURN {
            if !coop::has_budget_remaining() {
                break;
            }
            let Some(key) = self.queue.pop() else { break };
            if key == HYPER {
                let slot = &self.slots[HYPER];
                slot.waker.begin_poll();
                outcome = hyper(&mut Context::from_waker(&slot.handle));
                self.take_begun();
                if outcome.is_ready() {
                    break;
                }
            } else {
                self.poll_stream(key);
            }
        }
        self.forget_finished();
        self.queue.end_poll(&mut self.deferred, cx.waker());
        outcome
    }

    /// A panic of a service ends its stream, and no other.
    fn poll_stream(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        if slot.turn == self.turn {
            // It may wake itself without end.
            self.deferred.push(key);
            return;
        }
        slot.turn = self.turn;
        slot.waker.begin_poll();
        let Some(stream) = &mut slot.stream else { return };
        let mut cx = Context::from_waker(&slot.handle);
        let OpenStream { future, account, .. } = stream;
        let polled = account.run(|| panics::contain_hook(POLL, || future.as_mut().poll(&mut cx)));
        match polled {
            Some(Poll::Pending) => {}
            Some(Poll::Ready(())) => {
                self.finished.extend(stream.state.take());
                self.end(key);
            }
            None => self.end(key),
        }
    }

    /// Ends a stream. hyper resets it if its answer is not at its end.
    fn end(&mut self, key: usize) {
        if let Some(stream) = self.slots[key].stream.take() {
            self.free.push(key);
            drop_contained(stream);
        }
        if self.is_empty() && self.slots.len() > KEPT_SLOTS {
            // A late wake of what is dropped here finds no slot, or another stream's.
            self.slots.truncate(KEPT_SLOTS);
            self.free = (1..KEPT_SLOTS).collect();
        }
    }

    fn take_begun(&mut self) {
        let begun = mem::take(&mut self.begun.state.lock().futures);
        for stream in begun {
            match self.free.pop() {
                Some(key) => {
                    self.slots[key].stream = Some(stream);
                    self.slots[key].waker.wake_by_key();
                }
                None => {
                    let slot = Slot::new(&self.queue, self.slots.len());
                    self.slots.push(Slot { stream: Some(stream), ..slot });
                }
            }
        }
    }

    /// Whether there is no stream.
    pub(super) fn is_empty(&self) -> bool {
        self.free.len() + 1 == self.slots.len()
    }

    /// Ends the streams for which `is_over` says so. Returns whether one is over that cannot be ended.
    pub(super) fn end_if(&mut self, mut is_over: impl FnMut(&HttpState) -> bool) -> bool {
        for key in 1..self.slots.len() {
            let stream = self.slots.get(key).and_then(|slot| slot.stream.as_ref());
            if stream.and_then(|stream| stream.state.as_deref()).is_some_and(&mut is_over) {
                self.end(key);
            }
        }
        self.finished.iter().any(|state| is_over(state))
    }

    /// Forgets the streams whose answer the peer has taken.
    fn forget_finished(&mut self) {
        self.finished.retain(|state| state.account().is_some_and(StreamAccount::waits));
        if self.finished.is_empty() && self.finished.capacity() > KEPT_SLOTS {
            self.finished = Vec::new();
        }
    }
}

impl Slot {
    fn new(queue: &Arc<ReadyQueue>, key: usize) -> Slot {
        let waker = queue.register(key);
        let handle = Waker::from(Arc::clone(&waker));
        Slot { waker, handle, stream: None, turn: 0 }
    }
}

impl Drop for StreamSet {
    fn drop(&mut self) {
        // An executor may be in one of them.
        let begun = mem::take(&mut *self.begun.state.lock());
        let streams = self.slots.drain(..).filter_map(|slot| slot.stream);
        begun.futures.into_iter().chain(streams).for_each(drop_contained);
    }
}

/// The drop of a service's future is foreign code.
fn drop_contained(stream: OpenStream) {
    panics::contain_hook(DROP, || drop(stream));
}

impl StreamExecutor {
    /// The service was called for a stream, and has chosen `account`: the next future that hyper gives is
    /// of that stream.
    pub(super) fn called(&self, state: &Arc<HttpState>, account: ChosenAccount) {
        let called = Called { state: Arc::clone(state), account };
        let before = self.0.state.lock().called.replace(called);
        drop(before);
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        let future: StreamFuture = Box::pin(future);
        let mut begun = self.0.state.lock();
        let called = begun.called.take();
        let account = called.as_ref().map(|called| called.account).unwrap_or_default();
        let state = called.map(|called| called.state);
        begun.futures.push(OpenStream { future, state, account });
    }
}

/// The key of hyper itself.
const HYPER: usize = 0;

/// Polls of hyper and of streams in one poll of the task.
const POLLS_A_TURN: usize = 128;

/// Slots that are kept while there is no stream.
const KEPT_SLOTS: usize = 9;

/// The names of the code whose panics are contained.
const POLL: &str = "a stream of HTTP/2";
const DROP: &str = "the drop of a stream of HTTP/2";
