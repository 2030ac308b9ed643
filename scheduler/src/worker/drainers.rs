//! Which threads drop what is injected into a runtime that closes.
//!
//! A wake must not drop the task that it wakes: its caller may hold a lock that the drop needs. So a thread that
//! injects a task into a runtime that closes leaves the drop to a *drainer*: a thread that takes tasks out of
//! the injector, and looks once more when it stops doing so. The shutdown is one, and so is each worker. Where
//! none is left, which is after a shutdown that did not wait, the thread becomes a drainer itself.

use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::fence;

/// How many threads are drainers.
pub(crate) struct Drainers {
    /// Relaxed: the fences below order it with the tasks and with the closing flag.
    count: AtomicUsize,
}

impl Drainers {
    pub(crate) fn new() -> Drainers {
        Drainers { count: AtomicUsize::new(0) }
    }

    /// The current thread becomes a drainer. It has to [`leave`](Drainers::leave).
    pub(super) fn enter(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        // Pairs with the fence in `has_none`: a thread that sees a closing flag that is raised behind this call
        // sees the drainer.
        fence(Ordering::Release);
    }

    /// For a thread that has injected a task and then seen that the runtime closes: whether no drainer is
    /// going to find the task.
    pub(super) fn has_none(&self) -> bool {
        if !mutant::on(Mutant::NoFenceBeforeDrainers) {
            // Pairs with the fence in `leave`: the drainer sees the task, or this sees that it has left.
            fence(Ordering::SeqCst);
        }
        self.count.load(Ordering::Relaxed) == 0
    }

    /// The current thread is a drainer no more. It calls `drain` as long as `is_needed`.
    pub(super) fn leave(&self, is_needed: impl Fn() -> bool, drain: impl Fn()) {
        loop {
            self.count.fetch_sub(1, Ordering::Relaxed);
            // Pairs with the fence in `has_none`, and with the one behind the closing flag: the shutdown, which
            // drains afterwards, sees what was injected, or this sees the flag.
            fence(Ordering::SeqCst);
            if !is_needed() || mutant::on(Mutant::DrainerLeavesBlindly) {
                return;
            }
            self.enter();
            drain();
        }
    }
}

/// A model of threads that inject while a drainer leaves.
#[cfg(all(test, heist_loom))]
mod loom {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use loom::thread;

    use super::Drainers;
    use crate::mutant::{Mutant, caught};

    struct World {
        drainers: Drainers,
        closing: AtomicBool,
        /// How many tasks are injected.
        injected: AtomicUsize,
    }

    impl World {
        fn new() -> Arc<World> {
            let (closing, injected) = (AtomicBool::new(false), AtomicUsize::new(0));
            Arc::new(World { drainers: Drainers::new(), closing, injected })
        }

        /// `Drainer::drop`.
        fn leave(&self) {
            let is_needed = || self.injected.load(Ordering::Relaxed) > 0;
            self.drainers.leave(is_needed, || self.injected.store(0, Ordering::Relaxed));
        }
    }

    /// Failure: a task that is injected while the last drainer leaves stays in the injector for ever.
    #[test]
    fn every_task_is_drained() {
        loom::model(|| {
            let world = World::new();
            world.drainers.enter();
            let there = Arc::clone(&world);
            let wake = thread::spawn(move || {
                there.injected.fetch_add(1, Ordering::Relaxed);
                if there.drainers.has_none() {
                    there.drainers.enter();
                    there.leave();
                }
            });
            world.leave();
            wake.join().unwrap();
            assert_eq!(world.injected.load(Ordering::Relaxed), 0);
        });
    }

    /// Failure: a thread that finds the runtime closing drops the task itself, although the shutdown drains.
    #[test]
    fn a_shutdown_is_seen_to_drain() {
        loom::model(|| {
            let world = World::new();
            let there = Arc::clone(&world);
            let wake = thread::spawn(move || {
                if there.closing.load(Ordering::Relaxed) {
                    assert!(!there.drainers.has_none());
                }
            });
            world.drainers.enter();
            world.closing.store(true, Ordering::Relaxed);
            wake.join().unwrap();
        });
    }

    #[test]
    fn mutants_are_caught() {
        let drained = "worker::drainers::loom::every_task_is_drained";
        caught(Mutant::DrainerLeavesBlindly, drained);
        caught(Mutant::NoFenceBeforeDrainers, drained);
    }
}
