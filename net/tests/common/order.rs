//! Two workers that are held so that one of them fires a timer while the other is about to run the
//! task of the timer, or runs it, with an older time.

use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant as StdInstant};

use heist_net::{Builder, Runtime};
use heist_scheduler::JoinHandle;
use heist_scheduler::time::{Clock, Instant, ManualClock, Timer};

/// A runtime of two workers on virtual time. Moves within a test wake nothing, so that a worker fires
/// the timers, as on a system's clock.
pub(crate) struct TwoWorkers {
    pub(crate) runtime: Runtime,
    hand: ManualClock,
}

impl TwoWorkers {
    pub(crate) fn new() -> TwoWorkers {
        let (clock, hand) = Clock::manual();
        let runtime = Builder::new().ignore_environment().workers(2).clock(clock).start().unwrap();
        TwoWorkers { runtime, hand }
    }

    /// Lets the timers of `owner` that are due at `deadline` fire while a task is in the queue of
    /// the other worker, which runs the task with a time before the deadline.
    ///
    /// `wake` queues the task; it is called on the other worker. `await_run` returns when the task
    /// has run there. The clock is past the deadline then.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub(crate) fn fire_behind_a_run(
        &self,
        owner: ThreadId,
        deadline: Instant,
        wake: impl FnOnce() + Send + 'static,
        await_run: impl FnOnce(),
    ) {
        let (before, behind) = (deadline - SECOND, deadline + SECOND);
        let (queued, is_queued) = mpsc::channel();
        let (fired, has_fired) = mpsc::channel();
        let (let_owner_go, owner_may_go) = mpsc::channel();
        let (let_other_go, other_may_go) = mpsc::channel();
        let hold_owner = called(move || {
            fired.send(()).unwrap();
            wait_for(&owner_may_go);
        });
        let wake = Cell::new(Some(wake));
        let hold_other = called(move || {
            wake.take().expect("the timer fires once")();
            queued.send(()).unwrap();
            wait_for(&other_may_go);
        });
        // Each task returns its timer, so that the timer is not dropped before it has fired.
        let held = [(); 2].map(|()| {
            let (hold_owner, hold_other) = (hold_owner.clone(), hold_other.clone());
            self.hold_a_worker(move || match thread::current().id() == owner {
                true => armed(behind, &hold_owner),
                false => armed(before, &hold_other),
            })
        });

        self.hand.set_silently(before + A_TICK);
        let_go(&held, |worker| worker != owner);
        wait_for(&is_queued);
        self.hand.set_silently(behind + A_TICK);
        let_go(&held, |worker| worker == owner);
        wait_for(&has_fired);
        let_other_go.send(()).unwrap();
        await_run();
        let_owner_go.send(()).unwrap();
        for held in held {
            drop(self.runtime.block_on(held.task).unwrap());
        }
    }

    /// Lets the other worker fire the timers of `owner` that are due at `deadline`, in the middle of a
    /// poll on the owner that began before the deadline.
    ///
    /// `begin` returns when the poll has begun; the other worker takes no task meanwhile. `end` lets
    /// the poll go on. The clock is past the deadline then.
    #[allow(dead_code, reason = "not every test file needs it")]
    pub(crate) fn fire_within_a_run(
        &self,
        owner: ThreadId,
        deadline: Instant,
        begin: impl FnOnce(),
        end: impl FnOnce(),
    ) {
        let behind = deadline + SECOND;
        let (fired, has_fired) = mpsc::channel();
        let fired = called(move || fired.send(()).unwrap());
        // The owner's task returns its timer, so that it is not dropped before it has fired.
        let held = [(); 2].map(|()| {
            let fired = fired.clone();
            self.hold_a_worker(move || {
                (thread::current().id() == owner).then(|| armed(behind, &fired))
            })
        });

        let_go(&held, |worker| worker == owner);
        begin();
        self.hand.set_silently(behind + A_TICK);
        // It runs out of tasks, and looks for work of the owner.
        let_go(&held, |worker| worker != owner);
        wait_for(&has_fired);
        end();
        for held in held {
            drop(self.runtime.block_on(held.task).unwrap());
        }
    }

    /// Moves time on, repeatedly, until `condition` holds: a move may come before the task has armed its
    /// timer, which then counts from the later time.
    #[allow(dead_code, reason = "not every test file needs it")]
    #[track_caller]
    pub(crate) fn pass_until(&self, time: Duration, condition: impl Fn() -> bool) {
        let start = StdInstant::now();
        while !condition() {
            assert!(start.elapsed() < GUARD, "it never happened");
            self.hand.advance(time + A_TICK);
            thread::yield_now();
        }
    }

    /// Holds a worker in a task, which first calls `begin` there; returns when the worker is held.
    /// Time stands still, so no other worker takes a task that is queued behind it.
    fn hold_a_worker<T: Send + 'static>(
        &self,
        begin: impl FnOnce() -> T + Send + 'static,
    ) -> Held<T> {
        let (hold, is_held) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let task = self.runtime.spawn(async move {
            let begun = begin();
            hold.send(thread::current().id()).unwrap();
            wait_for(&may_go);
            begun
        });
        Held { worker: wait_for(&is_held), go, task }
    }
}

/// A worker that is held in a task.
struct Held<T> {
    worker: ThreadId,
    go: Sender<()>,
    task: JoinHandle<T>,
}

fn let_go<T>(held: &[Held<T>], is_the_one: impl Fn(ThreadId) -> bool) {
    let held = held.iter().find(|held| is_the_one(held.worker));
    held.expect("both workers are held").go.send(()).unwrap();
}

fn armed(at: Instant, waker: &Waker) -> Timer {
    let mut timer = Timer::new();
    timer.set(Some(at));
    assert!(timer.poll_elapsed(&mut Context::from_waker(waker)).is_pending());
    timer
}

/// A waker that calls `call` each time it is woken.
fn called(call: impl Fn() + Send + 'static) -> Waker {
    struct Call<F>(Mutex<F>);

    impl<F: Fn() + Send + 'static> Wake for Call<F> {
        fn wake(self: Arc<Self>) {
            (self.0.lock().unwrap())();
        }
    }

    Waker::from(Arc::new(Call(Mutex::new(call))))
}

fn wait_for<T>(told: &Receiver<T>) -> T {
    told.recv_timeout(GUARD).expect("the workers come this far")
}

/// At least the amount by which a deadline is rounded up.
const A_TICK: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// A test that hangs fails after this time.
const GUARD: Duration = Duration::from_secs(60);
