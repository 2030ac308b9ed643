//! Models of the registry: abort, and shutdown racing spawn and the first wait. Two bits, "queued" and
//! "running", and a queue stand for the cell of async-task.

use std::panic::Location;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::cell::{NoOwner, TaskRegistry};
use super::registration::{Admission, Registration};
use super::spawn_info::SpawnInfo;
use crate::fair::Account;
use crate::mutant::{self, Mutant, caught};

/// Runs tasks, in place of `Shared`.
struct Pool {
    queue: Mutex<Vec<Arc<Cell>>>,
    pushed: Condvar,
    closing: AtomicBool,
}

/// A task that is never ready; it ends by being dropped.
struct Cell {
    pool: Arc<Pool>,
    /// [`QUEUED`] and [`RUNNING`]. AcqRel, as in async-task.
    state: AtomicUsize,
    registration: Mutex<Option<Registration>>,
}

const QUEUED: usize = 1;
const RUNNING: usize = 2;

impl Wake for Cell {
    fn wake(self: Arc<Self>) {
        if self.state.fetch_or(QUEUED, Ordering::AcqRel) == 0 {
            let pool = Arc::clone(&self.pool);
            pool.schedule(self);
        }
    }
}

impl Cell {
    /// `Runnable::run` with what is never ready: it waits unless it is flagged. True if it has ended.
    fn run(self: Arc<Self>, registry: &TaskRegistry) -> bool {
        let mut registration =
            self.registration.lock().unwrap().take().expect("one thread runs a task");
        let early = mutant::on(Mutant::AbortSeenEarly).then(|| registration.aborted());
        // From here on a wake queues the task again.
        self.state.swap(RUNNING, Ordering::AcqRel);
        // `Guarded::poll`.
        let aborted = early.unwrap_or_else(|| registry.aborted(registration.key()));
        if aborted || !registration.keep_waker(&Waker::from(Arc::clone(&self))) {
            drop(registration);
            return true;
        }
        *self.registration.lock().unwrap() = Some(registration);
        if self.state.fetch_and(!RUNNING, Ordering::AcqRel) & QUEUED != 0 {
            let pool = Arc::clone(&self.pool);
            pool.schedule(self);
        }
        false
    }

    fn drop_future(&self) {
        let registration = self.registration.lock().unwrap().take();
        drop(registration);
    }
}

impl Pool {
    fn new() -> Arc<Self> {
        Arc::new(Pool {
            queue: Mutex::new(Vec::new()),
            pushed: Condvar::new(),
            closing: AtomicBool::new(false),
        })
    }

    /// `Shared::inject`.
    fn schedule(&self, cell: Arc<Cell>) {
        self.queue.lock().unwrap().push(cell);
        self.pushed.notify_one();
        fence(Ordering::SeqCst);
        if self.closing.load(Ordering::Relaxed) && !mutant::on(Mutant::ScheduleBlindly) {
            self.drop_queued();
        }
    }

    /// `Shared::drop_queued`. Here each thread that injects behind the closing is a drainer; which are is modelled
    /// in `worker::drainers`.
    fn drop_queued(&self) {
        loop {
            let cell = self.queue.lock().unwrap().pop();
            match cell {
                Some(cell) => cell.drop_future(),
                None => return,
            }
        }
    }

    /// `Handle::shutdown`, which waits for no worker.
    fn shut_down(&self, registry: &TaskRegistry) {
        registry.close();
        self.closing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        registry.wake_all();
        self.drop_queued();
        // No time passes in a model: a task that is not dropped is a deadlock here.
        assert!(registry.wait_empty(Duration::MAX));
    }

    fn next(&self) -> Arc<Cell> {
        let mut queue = self.queue.lock().unwrap();
        loop {
            if let Some(cell) = queue.pop() {
                return cell;
            }
            queue = self.pushed.wait(queue).unwrap();
        }
    }
}

/// `task::launch`.
fn spawn(pool: &Arc<Pool>, registry: &Arc<TaskRegistry>) -> Option<(u32, u32)> {
    let info = SpawnInfo { name: None, location: Location::caller() };
    let admission = TaskRegistry::try_admit(registry, &info, Account::NONE).ok()?;
    let Admission { registration, serial, .. } = admission;
    let key = registration.key();
    let cell = Arc::new(Cell {
        pool: Arc::clone(pool),
        state: AtomicUsize::new(QUEUED),
        registration: Mutex::new(Some(registration)),
    });
    pool.schedule(cell);
    Some((key, serial))
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    builder.check(body);
}

/// An abort reaches the task wherever it is: queued, being polled for the first time, or idle.
#[test]
fn abort_ends_the_task() {
    model(|| abort_ends_a_task(false));
}

/// As well when an event comes between.
#[test]
fn abort_ends_a_task_that_waits_again() {
    model(|| abort_ends_a_task(true));
}

fn abort_ends_a_task(event: bool) {
    let pool = Pool::new();
    let registry = TaskRegistry::new(0, 8, Arc::new(NoOwner));
    let (key, serial) = spawn(&pool, &registry).unwrap();
    let aborting = Arc::clone(&registry);
    let aborter = thread::spawn(move || assert!(aborting.abort(key, serial)));
    // The worker: ends only when it was handed the task with the flag up.
    let cell = pool.next();
    if !Arc::clone(&cell).run(&registry) {
        if event {
            cell.wake();
        }
        while !pool.next().run(&registry) {}
    }
    aborter.join().unwrap();
    assert_eq!(registry.alive(), 0);
    assert!(!registry.abort(key, serial), "it has ended");
}

/// Whichever comes first, the task is refused or its future is dropped.
#[test]
fn shutdown_races_spawn() {
    model(|| {
        let pool = Pool::new();
        let registry = TaskRegistry::new(0, 8, Arc::new(NoOwner));
        let (pool_there, home_there) = (Arc::clone(&pool), Arc::clone(&registry));
        let spawner = thread::spawn(move || spawn(&pool_there, &home_there).is_some());
        pool.shut_down(&registry);
        spawner.join().unwrap();
        assert_eq!(registry.alive(), 0);
    });
}

/// Whether the task is still queued, or waits for the first time before or after shutdown collects the
/// wakers: its future is dropped.
#[test]
fn shutdown_races_the_first_wait() {
    model(|| {
        let pool = Pool::new();
        let registry = TaskRegistry::new(0, 8, Arc::new(NoOwner));
        spawn(&pool, &registry).unwrap();
        let (pool_there, home_there) = (Arc::clone(&pool), Arc::clone(&registry));
        // A worker in its last turn.
        let worker = thread::spawn(move || {
            let cell = pool_there.queue.lock().unwrap().pop();
            if let Some(cell) = cell {
                cell.run(&home_there);
            }
        });
        pool.shut_down(&registry);
        worker.join().unwrap();
        assert_eq!(registry.alive(), 0);
    });
}

#[test]
fn mutants_are_caught() {
    caught(Mutant::AbortUncounted, "task::loom::abort_ends_the_task");
    caught(Mutant::AbortSeenEarly, "task::loom::abort_ends_a_task_that_waits_again");
    caught(Mutant::WaitsUnflagged, "task::loom::abort_ends_the_task");
    caught(Mutant::WaitsThroughClosing, "task::loom::shutdown_races_the_first_wait");
    caught(Mutant::ScheduleBlindly, "task::loom::shutdown_races_spawn");
}
