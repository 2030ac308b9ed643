//! Models of the registry: abort, and shutdown racing spawn and the first wait. The cell, which is
//! async-task's, is stood in for by two bits, "queued" and "running", and a queue.

use std::panic::Location;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::registry::{Admission, Home, NoOwner, Ticket};
use super::spawn_info::Birth;
use crate::mutant::{self, Mutant, caught};

/// What runs tasks, in place of `Core`.
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
    ticket: Mutex<Option<Ticket>>,
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
    fn run(self: Arc<Self>, home: &Home) -> bool {
        let mut ticket =
            self.ticket.lock().unwrap().take().expect("who has the task runs it alone");
        let early = mutant::on(Mutant::AbortSeenEarly).then(|| ticket.aborted());
        // From here on a wake queues the task again.
        self.state.swap(RUNNING, Ordering::AcqRel);
        // `Guarded::poll`.
        let aborted = early.unwrap_or_else(|| home.aborted(ticket.key()));
        if aborted || !ticket.keep_waker(&Waker::from(Arc::clone(&self))) {
            drop(ticket);
            return true;
        }
        *self.ticket.lock().unwrap() = Some(ticket);
        if self.state.fetch_and(!RUNNING, Ordering::AcqRel) & QUEUED != 0 {
            let pool = Arc::clone(&self.pool);
            pool.schedule(self);
        }
        false
    }

    fn drop_future(&self) {
        let ticket = self.ticket.lock().unwrap().take();
        drop(ticket);
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

    /// `Core::inject`.
    fn schedule(&self, cell: Arc<Cell>) {
        self.queue.lock().unwrap().push(cell);
        self.pushed.notify_one();
        fence(Ordering::SeqCst);
        if self.closing.load(Ordering::Relaxed) && !mutant::on(Mutant::ScheduleBlindly) {
            self.drop_queued();
        }
    }

    /// `Core::drop_injected`.
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
    fn shut_down(&self, home: &Home) {
        home.close();
        self.closing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        home.wake_all();
        self.drop_queued();
        // No time passes in a model: a task that nobody drops is a deadlock here.
        assert!(home.wait_empty(Duration::MAX));
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
fn spawn(pool: &Arc<Pool>, home: &Arc<Home>) -> Option<(u32, u32)> {
    let birth = Birth { name: None, location: Location::caller() };
    let Admission { ticket, serial } = Home::try_admit(home, &birth).ok()?;
    let key = ticket.key();
    let cell = Arc::new(Cell {
        pool: Arc::clone(pool),
        state: AtomicUsize::new(QUEUED),
        ticket: Mutex::new(Some(ticket)),
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
    let home = Home::new(0, 8, Arc::new(NoOwner));
    let (key, serial) = spawn(&pool, &home).unwrap();
    let aborting = Arc::clone(&home);
    let aborter = thread::spawn(move || assert!(aborting.abort(key, serial)));
    // The worker: ends only when it was handed the task with the flag up.
    let cell = pool.next();
    if !Arc::clone(&cell).run(&home) {
        if event {
            cell.wake();
        }
        while !pool.next().run(&home) {}
    }
    aborter.join().unwrap();
    assert_eq!(home.alive(), 0);
    assert!(!home.abort(key, serial), "it has ended");
}

/// Whichever comes first, the task is refused or its future is dropped.
#[test]
fn shutdown_races_spawn() {
    model(|| {
        let pool = Pool::new();
        let home = Home::new(0, 8, Arc::new(NoOwner));
        let (pool_there, home_there) = (Arc::clone(&pool), Arc::clone(&home));
        let spawner = thread::spawn(move || spawn(&pool_there, &home_there).is_some());
        pool.shut_down(&home);
        spawner.join().unwrap();
        assert_eq!(home.alive(), 0);
    });
}

/// Whether the task is still queued, or waits for the first time before or after shutdown looks for
/// whom to wake: its future is dropped.
#[test]
fn shutdown_races_the_first_wait() {
    model(|| {
        let pool = Pool::new();
        let home = Home::new(0, 8, Arc::new(NoOwner));
        spawn(&pool, &home).unwrap();
        let (pool_there, home_there) = (Arc::clone(&pool), Arc::clone(&home));
        // A worker in its last turn.
        let worker = thread::spawn(move || {
            let cell = pool_there.queue.lock().unwrap().pop();
            if let Some(cell) = cell {
                cell.run(&home_there);
            }
        });
        pool.shut_down(&home);
        worker.join().unwrap();
        assert_eq!(home.alive(), 0);
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
