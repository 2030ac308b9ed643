//! A model of a current-thread runtime's core passing from one thread in `block_on` to the next: the real
//! `CoreSlot`, `BlockedThreads` and `Parker`.

use std::collections::VecDeque;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::core_slot::CoreSlot;
use crate::mutant::{Mutant, caught};
use crate::threads::tracker::BlockedThreads;

/// Tasks that are ready: each ends the wait of the thread of that number.
type Core = VecDeque<usize>;

struct World {
    slot: CoreSlot<Core>,
    blocked: BlockedThreads,
    /// Whether the future of each thread is ready.
    ready: Vec<AtomicBool>,
    wakers: loom::sync::Mutex<Vec<Option<std::task::Waker>>>,
}

impl World {
    fn new(threads: usize, tasks: &[usize]) -> Arc<World> {
        Arc::new(World {
            slot: CoreSlot::new(tasks.iter().copied().collect()),
            blocked: BlockedThreads::default(),
            ready: (0..threads).map(|_| AtomicBool::new(false)).collect(),
            wakers: loom::sync::Mutex::new(vec![None; threads]),
        })
    }

    /// `Handle::block_on` with a future that waits for a task.
    fn block_on(&self, me: usize) {
        let blocked = self.blocked.add();
        loop {
            if let Some(core) = self.slot.take() {
                let core = self.run_with_tasks(core, me);
                self.slot.put(core, &self.blocked);
                return;
            }
            if self.poll(me, blocked.parker().clone().into()) {
                return;
            }
            blocked.parker().park(None);
        }
    }

    /// Runs tasks until the future of thread `me` is ready.
    fn run_with_tasks(&self, mut core: Core, me: usize) -> Core {
        while !self.ready[me].load(Ordering::Relaxed) {
            let task = core.pop_front().expect("a future that is not ready has a task to come");
            self.ready[task].store(true, Ordering::Release);
            let waker = self.wakers.lock().unwrap()[task].take();
            waker.into_iter().for_each(std::task::Waker::wake);
        }
        core
    }

    fn poll(&self, me: usize, waker: std::task::Waker) -> bool {
        self.wakers.lock().unwrap()[me] = Some(waker);
        self.ready[me].load(Ordering::Acquire)
    }
}

fn every_wait_ends(threads: usize, tasks: &'static [usize]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let world = World::new(threads, tasks);
        let others: Vec<_> = (1..threads)
            .map(|me| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.block_on(me))
            })
            .collect();
        world.block_on(0);
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn another_thread_takes_the_core_over() {
    every_wait_ends(2, &[0, 1]);
}

/// The thread that runs the first two tasks leaves two others: one with a ready future, and one that is
/// to take the core.
#[test]
fn a_thread_that_needs_no_core_keeps_none_from_taking_it() {
    every_wait_ends(3, &[0, 1, 2]);
}

#[test]
fn mutants_are_caught() {
    let two = "runtime::loom::another_thread_takes_the_core_over";
    caught(Mutant::CoreUnsaid, two);
    caught(Mutant::CoreBehindUnpark, two);
    let three = "runtime::loom::a_thread_that_needs_no_core_keeps_none_from_taking_it";
    caught(Mutant::CoreSaidToOne, three);
}
