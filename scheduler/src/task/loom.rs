//! Models of the registry: abort, and shutdown racing spawn. The cell, which is async-task's, is
//! stood in for by one bit "queued" and a queue.

use std::panic::Location;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::births::Birth;
use super::registry::{Home, Ticket};
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
    queued: AtomicBool,
    ticket: Mutex<Option<Ticket>>,
}

impl Wake for Cell {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            let pool = Arc::clone(&self.pool);
            pool.schedule(self);
        }
    }
}

impl Cell {
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
    let ticket = Home::admit(home, birth).ok()?;
    let (key, serial) = (ticket.key(), ticket.serial());
    let cell = Arc::new(Cell {
        pool: Arc::clone(pool),
        queued: AtomicBool::new(true),
        ticket: Mutex::new(Some(ticket)),
    });
    home.attach(key, Waker::from(Arc::clone(&cell)));
    pool.schedule(cell);
    Some((key, serial))
}

fn model(body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    builder.check(body);
}

/// An abort reaches the task wherever it is: queued, being polled, or idle.
#[test]
fn abort_ends_the_task() {
    model(|| {
        let pool = Pool::new();
        let home = Home::new(0, 8, Arc::new(()));
        let (key, serial) = spawn(&pool, &home).unwrap();
        let aborting = Arc::clone(&home);
        let aborter = thread::spawn(move || assert!(aborting.abort(key, serial)));
        // The worker: ends only when it was handed the task with the flag up.
        loop {
            let cell = pool.next();
            let early = mutant::on(Mutant::AbortSeenEarly).then(|| home.aborted(key));
            // `Runnable::run`: a wake from here on queues the task again. A swap, as there.
            cell.queued.swap(false, Ordering::AcqRel);
            // `Guarded::poll`; what is not aborted is pending.
            if early.unwrap_or_else(|| home.aborted(key)) {
                cell.drop_future();
                break;
            }
        }
        aborter.join().unwrap();
        assert_eq!(home.alive(), 0);
        assert!(!home.abort(key, serial), "it has ended");
    });
}

/// Whichever comes first, the task is refused or its future is dropped.
#[test]
fn shutdown_races_spawn() {
    model(|| {
        let pool = Pool::new();
        let home = Home::new(0, 8, Arc::new(()));
        let (pool_there, home_there) = (Arc::clone(&pool), Arc::clone(&home));
        let spawner = thread::spawn(move || spawn(&pool_there, &home_there).is_some());
        // `Handle::shutdown`, with no workers.
        home.close();
        pool.closing.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        home.wake_all();
        pool.drop_queued();
        // No time passes in a model: a task that nobody drops is a deadlock here.
        assert!(home.wait_empty(Duration::MAX));
        spawner.join().unwrap();
        assert_eq!(home.alive(), 0);
    });
}

#[test]
fn mutants_are_caught() {
    caught(Mutant::AbortUncounted, "task::loom::abort_ends_the_task");
    caught(Mutant::AbortSeenEarly, "task::loom::abort_ends_the_task");
    caught(Mutant::ScheduleBlindly, "task::loom::shutdown_races_spawn");
}
