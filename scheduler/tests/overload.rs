//! Overload is seen when all workers are busy for too long, and is over when they are not.

mod common;

use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use heist_scheduler::time::{Clock, Instant, ManualClock};
use heist_scheduler::{Builder, Idle, JoinHandle, Runtime};

use common::HANG;

const WORKERS: usize = 2;
const TARGET: Duration = Duration::from_millis(50);

/// Every worker is in a poll that only the test ends.
struct Stuck {
    runtime: Runtime,
    hand: ManualClock,
    gate: Arc<Barrier>,
    hogs: Vec<JoinHandle<()>>,
}

impl Stuck {
    fn new(builder: Builder) -> Stuck {
        let (clock, hand) = Clock::manual();
        let runtime = builder.workers(WORKERS).clock(clock).start(Idle::new()).unwrap();
        let gate = Arc::new(Barrier::new(WORKERS + 1));
        let (inside, entered) = mpsc::channel();
        let hogs = (0..WORKERS).map(|_| {
            let (inside, gate) = (inside.clone(), Arc::clone(&gate));
            runtime.spawn(async move {
                inside.send(()).unwrap();
                gate.wait();
            })
        });
        let hogs = hogs.collect();
        (0..WORKERS).for_each(|_| entered.recv_timeout(HANG).unwrap());
        Stuck { runtime, hand, gate, hogs }
    }

    /// Lets time pass by `step` until the monitor has looked often enough.
    fn wait_until_overloaded(&self, step: Duration) {
        let started = std::time::Instant::now();
        while !self.runtime.handle().is_overloaded() {
            assert!(started.elapsed() < HANG, "{:?}", self.runtime.handle().metrics());
            self.hand.advance(step);
            std::thread::yield_now();
        }
    }

    fn release(self) -> Runtime {
        self.gate.wait();
        for hog in self.hogs {
            self.runtime.block_on(hog).unwrap();
        }
        self.runtime
    }
}

/// Waits until the monitor has seen it. The clock stands still meanwhile: only a look ends it.
fn wait_until_relieved(runtime: &Runtime) {
    let started = std::time::Instant::now();
    while runtime.handle().is_overloaded() {
        assert!(started.elapsed() < HANG, "{:?}", runtime.handle().metrics());
        std::thread::yield_now();
    }
}

#[test]
fn tasks_that_wait_behind_busy_workers_are_overload_until_they_have_run() {
    let stuck = Stuck::new(Builder::new().overload_target(TARGET));
    let waiting = stuck.runtime.spawn(async {});
    stuck.wait_until_overloaded(Duration::from_millis(10));
    assert!(stuck.runtime.handle().metrics().overloaded);
    let runtime = stuck.release();
    runtime.block_on(waiting).unwrap();
    wait_until_relieved(&runtime);
}

/// Where polls are long all work waits in the kernel: no queue of the scheduler shows it.
#[test]
fn a_shard_that_no_worker_polls_is_overload_with_every_queue_empty() {
    let stuck = Stuck::new(Builder::new().overload_target(TARGET));
    stuck.wait_until_overloaded(Duration::from_millis(10));
    assert_eq!(stuck.runtime.handle().metrics().oldest_runnable, Duration::ZERO);
    let runtime = stuck.release();
    wait_until_relieved(&runtime);
}

#[test]
fn a_longer_target_and_interval_are_kept_to() {
    let target = 72_000 * TARGET;
    let stuck = Stuck::new(Builder::new().overload_target(target).overload_interval(target));
    stuck.wait_until_overloaded(target / 100);
    let now = stuck.runtime.handle().clock().now();
    assert!(now - Instant::ZERO >= 2 * target, "{now:?}");
    drop(stuck.release());
}
