//! Whose turn it is among tasks that are ready at the same time.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heist_scheduler::time::{Clock, Instant, ManualClock, sleep, sleep_until};
use heist_scheduler::{
    Account, Builder, Handle, Idle, JoinHandle, Runtime, TaskBuilder, Weight, spawn, yield_now,
};

use common::{CountDrop, HANG, runtime, wait_until};

/// A runtime in whose polls no time passes but what they let pass, and what its tasks need.
struct World {
    runtime: Runtime,
    hand: Arc<ManualClock>,
    /// Which tasks ran, in their order.
    ran: Arc<Mutex<Vec<&'static str>>>,
}

impl World {
    fn new(builder: Builder) -> World {
        let (clock, hand) = Clock::manual();
        let runtime = builder.clock(clock).start(Idle::new()).unwrap();
        World { runtime, hand: Arc::new(hand), ran: Arc::default() }
    }

    fn of_workers(workers: usize) -> World {
        World::new(Builder::new().workers(workers))
    }

    fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// A task that runs once a round, for so long.
    fn spawn_in_rounds(&self, name: &'static str, account: Account, length: Duration) {
        let (hand, ran) = (Arc::clone(&self.hand), Arc::clone(&self.ran));
        let rounds = async move {
            for round in 1..=ROUNDS {
                sleep_until(start_of(round)).await;
                hand.advance(length);
                ran.lock().unwrap().push(name);
            }
        };
        TaskBuilder::new().account(account).spawn_on(self.handle(), rounds);
    }

    /// A task that begins a round once so many tasks wait for it. All of them are woken in one batch, in
    /// the order in which they began to wait.
    fn spawn_starter(&self, tasks: usize) -> JoinHandle<()> {
        let (handle, hand) = (self.handle().clone(), Arc::clone(&self.hand));
        self.runtime.spawn(async move {
            for round in 1..=ROUNDS {
                wait_for_timers(&handle, tasks).await;
                hand.advance(start_of(round) - Instant::now());
            }
            while handle.metrics().tasks_alive > 1 {
                yield_now().await;
            }
        })
    }

    /// Which tasks ran in the last round, of so many.
    fn last_round(&self, tasks: usize) -> Vec<&'static str> {
        let ran = self.ran.lock().unwrap();
        assert_eq!(ran.len(), tasks * ROUNDS as usize);
        ran[ran.len() - tasks..].to_vec()
    }
}

async fn wait_for_timers(handle: &Handle, timers: usize) {
    while handle.metrics().timers < timers {
        yield_now().await;
    }
}

const ROUNDS: u64 = 8;

/// The tasks of a round take most of the time until the next one.
fn start_of(round: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(2 * round)
}

const BULK: Duration = Duration::from_micros(120);
const SMALL: Duration = Duration::from_micros(10);
/// Timers of whole milliseconds are exact.
const MILLISECOND: Duration = Duration::from_millis(1);

/// Failure: a small request waited for a turn of each bulk transfer that had become ready before it.
#[test]
fn small_task_runs_before_bulk_that_is_ready_before_it() {
    for builder in [Builder::new().workers(1), Builder::new().current_thread()] {
        let world = World::new(builder);
        (0..16).for_each(|_| world.spawn_in_rounds("bulk", Account::new(), BULK));
        world.spawn_in_rounds("small", Account::new(), SMALL);
        let starter = world.spawn_starter(17);
        world.runtime.block_on(starter).unwrap();
        let last = world.last_round(17);
        assert_eq!(last[0], "small", "{last:?}");
    }
}

/// Failure: a peer had as many turns as it opened connections.
#[test]
fn tasks_of_a_shared_account_have_one_share() {
    let world = World::of_workers(1);
    // Not that of a key, which may be the same as the single one's.
    let crowd = Account::new();
    (0..60).for_each(|_| world.spawn_in_rounds("of the crowd", crowd, SMALL * 3));
    world.spawn_in_rounds("single", Account::new(), SMALL * 3);
    let starter = world.spawn_starter(61);
    world.runtime.block_on(starter).unwrap();
    let last = world.last_round(61);
    assert_eq!(last[0], "single", "{last:?}");
}

/// Failure: health checks waited behind the work of which they report.
#[test]
fn task_that_goes_first_does_so_whatever_it_takes() {
    let world = World::of_workers(1);
    (0..4).for_each(|_| world.spawn_in_rounds("bulk", Account::new(), BULK));
    let first = Account::new().with_weight(Weight::FIRST);
    world.spawn_in_rounds("first", first, BULK * 10);
    let starter = world.spawn_starter(5);
    world.runtime.block_on(starter).unwrap();
    let last = world.last_round(5);
    assert_eq!(last[0], "first", "{last:?}");
}

/// Failure: tasks that go first, and are always ready, starved all others.
#[test]
fn others_have_one_turn_in_seventeen() {
    let turns = turns_between_others(false);
    assert!(turns.iter().all(|&turns| turns <= 16), "{turns:?}");
    assert!(turns.iter().filter(|&&turns| turns == 16).count() > 90, "{turns:?}");
}

/// Failure: each task of the express queue gave the next slot more turns, so that the others had one in 49.
#[test]
fn others_have_one_turn_in_twenty_beside_the_next_slot() {
    let turns = turns_between_others(true);
    assert!(turns.iter().all(|&turns| turns < 20), "{turns:?}");
}

/// How many turns tasks have between two of a task that yields. The former go first and are always ready, and
/// each of their turns begins a chain of two tasks if that is `chained`.
fn turns_between_others(chained: bool) -> Vec<usize> {
    let world = World::of_workers(1);
    let first = Account::new().with_weight(Weight::FIRST);
    for _ in 0..40 {
        let (hand, ran) = (Arc::clone(&world.hand), Arc::clone(&world.ran));
        // Each has become ready again, by the turns of the others, long before it has its next turn.
        TaskBuilder::new().account(first).spawn_on(world.handle(), async move {
            loop {
                sleep(MILLISECOND).await;
                hand.advance(MILLISECOND);
                ran.lock().unwrap().push("first");
                if chained {
                    let (next, last) = (Arc::clone(&ran), Arc::clone(&ran));
                    spawn(async move {
                        next.lock().unwrap().push("next");
                        spawn(async move { last.lock().unwrap().push("next") });
                    });
                }
            }
        });
    }
    let ran = Arc::clone(&world.ran);
    let hand = Arc::clone(&world.hand);
    let handle = world.handle().clone();
    let other = world.runtime.spawn(async move {
        wait_for_timers(&handle, 40).await;
        hand.advance(MILLISECOND * 2);
        ran.lock().unwrap().clear();
        for _ in 0..100 {
            yield_now().await;
            ran.lock().unwrap().push("other");
        }
    });
    world.runtime.block_on(other).unwrap();
    let ran = world.ran.lock().unwrap().clone();
    ran.split(|&name| name == "other").take(100).map(<[_]>::len).collect()
}

/// Failure: tasks that go first waited for the end of a long poll on their worker, beside an idle one.
#[test]
fn task_that_goes_first_is_stolen_from_behind_a_long_poll() {
    // By the system's clock: the monitor finds the long poll.
    let runtime = runtime(2);
    let first = Account::new().with_weight(Weight::FIRST);
    let (runs, has_run) = mpsc::channel();
    let has_run = Arc::new(Mutex::new(has_run));
    let turn = Arc::new(AtomicUsize::new(0));
    // Each waits for the same time, in the same queue of timers. The one that has its turn first waits for the
    // other one, and so holds its worker.
    let spawner = TaskBuilder::new().account(first).spawn_on(runtime.handle(), async move {
        let due = Instant::now() + Duration::from_millis(20);
        let tasks = [(); 2].map(|()| {
            let (runs, has_run, turn) = (runs.clone(), Arc::clone(&has_run), Arc::clone(&turn));
            spawn(async move {
                sleep_until(due).await;
                match turn.fetch_add(1, Ordering::SeqCst) {
                    0 => has_run.lock().unwrap().recv_timeout(HANG).unwrap(),
                    _ => runs.send(()).unwrap(),
                }
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
    runtime.block_on(spawner).unwrap();
}

/// Failure: what was in the express queue when the runtime shut down was never dropped.
#[test]
fn tasks_that_go_first_are_dropped_by_a_shutdown() {
    let world = World::of_workers(1);
    let first = Account::new().with_weight(Weight::FIRST);
    let dropped = Arc::new(AtomicUsize::new(0));
    for _ in 0..8 {
        let dropped = CountDrop(Arc::clone(&dropped));
        TaskBuilder::new().account(first).spawn_on(world.handle(), async move {
            let _dropped = dropped;
            sleep(MILLISECOND).await;
            unreachable!("the runtime shuts down before");
        });
    }
    let (handle, hand) = (world.handle().clone(), Arc::clone(&world.hand));
    let (queued, is_queued) = mpsc::channel();
    world.runtime.spawn(async move {
        wait_for_timers(&handle, 8).await;
        hand.advance(MILLISECOND);
        queued.send(()).unwrap();
        // They are queued; the worker has no turn until the shutdown has begun.
        wait_until(|| handle.is_shutting_down());
    });
    is_queued.recv_timeout(HANG).unwrap();
    let report = world.runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, dropped.load(Ordering::SeqCst)), (0, 8));
}

/// Failure: the age of the oldest task, its number, and the waits left out those that go first.
#[test]
fn tasks_that_go_first_are_in_the_metrics() {
    let world = World::of_workers(1);
    let first = Account::new().with_weight(Weight::FIRST);
    for _ in 0..8 {
        let hand = Arc::clone(&world.hand);
        TaskBuilder::new().account(first).spawn_on(world.handle(), async move {
            sleep(MILLISECOND).await;
            hand.advance(MILLISECOND);
        });
    }
    let (handle, hand) = (world.handle().clone(), Arc::clone(&world.hand));
    let starter = world.runtime.spawn(async move {
        wait_for_timers(&handle, 8).await;
        hand.advance(MILLISECOND);
        hand.advance(MILLISECOND * 3);
        let metrics = handle.metrics();
        (metrics.workers[0].queue_depth, metrics.oldest_runnable)
    });
    let (depth, age) = world.runtime.block_on(starter).unwrap();
    assert_eq!((depth, age), (8, MILLISECOND * 4));
    wait_until(|| world.handle().metrics().tasks_alive == 0);
    let metrics = world.handle().metrics();
    if cfg!(feature = "metrics") {
        assert_eq!(metrics.express_wait.count(), 8);
        assert!(metrics.task_wait.count() > 8);
        assert_eq!(metrics.workers[0].express_polls, 8);
        assert_eq!(metrics.workers[0].express_busy, MILLISECOND * 8);
    }
}
