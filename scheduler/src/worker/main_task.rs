//! The main future of a current-thread runtime, the one given to `block_on`, on the thread that runs the
//! tasks.
//!
//! A task stands for it in the queues, the *main task*. The waker of the main task is the future's waker,
//! and a poll of the main task only notes that it is the future's turn. So the future is woken like any
//! task, from this thread or another one, and has its turn in the same order.

use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context, Poll, Waker};

use super::current::{self, WorkerScope};
use super::{Turn, Worker};
use crate::clock::Instant;
use crate::context;
use crate::fair::Account;
use crate::panics::{self, Place};
use crate::queue::LocalQueue;
use crate::task::{self, JoinHandle, SpawnInfo, TaskRegistry};
use crate::worker::context::WakeSource;
use crate::worker::schedule::schedule;

/// The task that stands for the main future. One for all calls of `block_on`, one after the other: a
/// waker of an earlier call gives the future of the present one a turn for nothing.
pub(crate) struct MainTask {
    state: Arc<State>,
    waker: Waker,
    /// What the worker publishes as the address of the poll.
    address: u64,
    /// Never ready. It ends with this.
    task: JoinHandle<()>,
    /// When a turn of the worker panicked last.
    last_panic: Instant,
}

/// Relaxed, all of it: written and read by the thread that runs the tasks; a lock passes it on to the next such
/// thread.
struct State {
    /// Whether it is the future's turn.
    is_due: AtomicBool,
    /// What the time of the future is charged to, as [`Account::bits`].
    account: AtomicU16,
}

/// What became of the main future.
#[must_use]
pub(crate) enum MainTurn<T> {
    Ready(T),
    Pending,
    /// The runtime closes before it is ready.
    Closed,
}

impl MainTask {
    /// A task of `registry`, which has room for it.
    pub(crate) fn new(registry: &Arc<TaskRegistry>) -> MainTask {
        let account = Account::new();
        let state = Arc::new(State {
            is_due: AtomicBool::new(false),
            account: AtomicU16::new(account.bits()),
        });
        let info = SpawnInfo { name: Some("block_on".into()), location: Location::caller() };
        let note_turn = {
            let state = Arc::clone(&state);
            poll_fn(move |_| {
                state.is_due.store(true, Ordering::Relaxed);
                context::set_account(state.account());
                Poll::Pending
            })
        };
        let (mut waker, mut address) = (Waker::noop().clone(), 0);
        let admission = TaskRegistry::admit(registry, &info, account);
        let task = task::launch_with(admission, note_turn, schedule, |task| {
            waker = task.waker();
            address = task.metadata().address();
            // From here on it waits for a wake.
            task.run();
            Ok(())
        });
        MainTask { state, waker, address, task, last_panic: Instant::ZERO }
    }

    /// The next thing to run is the future: with this waker it was not polled yet.
    pub(crate) fn set_due(&self) {
        self.state.is_due.store(true, Ordering::Relaxed);
    }

    fn is_due(&self) -> bool {
        self.state.is_due()
    }
}

impl State {
    fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
    }

    fn account(&self) -> Account {
        Account::from_bits(self.account.load(Ordering::Relaxed))
    }
}

impl Drop for MainTask {
    fn drop(&mut self) {
        // Its registry has its waker, and so keeps it. The runtime closes: the task is dropped, not queued.
        self.task.abort();
    }
}

impl Worker {
    /// Makes the current thread this worker until [`leave_thread`](Worker::leave_thread).
    pub(crate) fn enter_thread(&self) -> WorkerScope {
        current::enter(&self.context)
    }

    /// Polls `future` if it is its turn, and otherwise runs one turn, or turns until it is the future's.
    ///
    /// A panic of the future is passed on, and the worker has to leave its thread then.
    pub(crate) fn run_beside<F: Future>(
        &mut self,
        main: &mut MainTask,
        future: Pin<&mut F>,
        one_by_one: bool,
    ) -> MainTurn<F::Output> {
        if main.is_due() {
            return match self.poll_main(main, future) {
                Poll::Ready(output) => MainTurn::Ready(output),
                Poll::Pending => MainTurn::Pending,
            };
        }
        let state = Arc::clone(&main.state);
        match self.turns(&mut main.last_panic, || one_by_one || state.is_due()) {
            Turn::Closed => MainTurn::Closed,
            Turn::Ran | Turn::Parked => MainTurn::Pending,
        }
    }

    /// As `Worker::run` does with a task.
    fn poll_main<F: Future>(&mut self, main: &MainTask, future: Pin<&mut F>) -> Poll<F::Output> {
        // Before the poll: a wake from here on is one for another turn.
        main.state.is_due.store(false, Ordering::Relaxed);
        let started = self.now();
        self.poll.begin_poll(main.state.account());
        self.own.begin_poll(started, main.address);
        self.context.wake_source.set(WakeSource::MainFuture);
        context::begin_poll(&main.waker);
        let polled = future.poll(&mut Context::from_waker(&main.waker));
        self.context.wake_source.set(WakeSource::RunningTask);
        main.state.account.store(self.poll.account().bits(), Ordering::Relaxed);
        // A changed account reaches the cell of the main task by a turn of that.
        context::end_poll(&main.waker);
        self.ran(started);
        polled
    }

    /// Ends the worker on this thread, also where a panic of the main future ended it. Returns the queue,
    /// for the next thread that runs the tasks.
    ///
    /// Until then the runtime has a worker that counts as awake and runs nothing. No thread wakes it, and
    /// it looks everywhere before it becomes idle.
    pub(crate) fn leave_thread(mut self, scope: WorkerScope) -> LocalQueue {
        self.own.end_poll();
        panics::contain(Place::Worker, || self.context.purge_timers());
        if std::mem::take(&mut self.has_permit) {
            self.shared.sleep.release_permit();
        }
        drop(scope);
        let Worker { context, .. } = self;
        match std::rc::Rc::into_inner(context) {
            Some(context) => context.queue,
            None => unreachable!("the scope, which was left, had the only other reference"),
        }
    }
}
