//! The memory of a crowd of tasks goes back when it leaves, also while a few of it stay.
//!
//! One test function, since it counts what the whole process has allocated.

#[path = "common/counting.rs"]
mod counting;

use std::time::{Duration, Instant};

use counting::allocated_now;
use heist::{JoinHandle, Runtime, task, time};

const CROWD: usize = 200_000;

/// Far beyond what anything here takes: reached only by memory that stays.
const HANG: Duration = Duration::from_secs(60);

/// Those that stay, next to each other and far apart.
const STAY: [usize; 6] = [0, 1, 70_000, 130_001, 199_998, 199_999];

/// A task with a name of its own, which waits with a time limit.
fn spawn(runtime: &Runtime, number: usize) -> JoinHandle<()> {
    let name = format!("visitor {number}");
    let wait = async { time::sleep(Duration::from_secs(3_600)).await };
    task::Builder::new().name(name).spawn_on(runtime.handle(), wait)
}

/// Waits until as many tasks are alive, and as many timers armed.
fn await_present(runtime: &Runtime, count: usize) {
    loop {
        let metrics = runtime.handle().metrics();
        if (metrics.tasks_alive, metrics.timers) == (count, count) {
            break;
        }
        std::thread::yield_now();
    }
}

/// Bytes, once as many tasks are alive.
fn allocated(runtime: &Runtime, count: usize) -> usize {
    await_present(runtime, count);
    allocated_now()
}

/// Spawns and joins tasks on a worker, which puts all but the last into its deque.
async fn use_the_deque() {
    let tasks: Vec<_> = (0..64).map(|_| heist::spawn(async {})).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Failure: 41 MB stayed after 500,000 tasks, for tables that shrank only when they were empty, or
/// never.
#[test]
fn crowd_of_tasks_with_timers_leaves_no_memory_behind() {
    let runtime = heist::Builder::new().ignore_environment().workers(2).start().unwrap();
    let mut tasks: Vec<Option<JoinHandle<()>>> = (0..CROWD).map(|_| None).collect();
    // What is allocated once, whatever comes.
    (0..1_000).for_each(|number| tasks[number] = Some(spawn(&runtime, number)));
    await_present(&runtime, 1_000);
    let abort =
        |task: &mut Option<JoinHandle<()>>| task.take().into_iter().for_each(|it| it.abort());
    tasks.iter_mut().for_each(abort);
    let before = allocated(&runtime, 0);

    for (number, task) in tasks.iter_mut().enumerate() {
        *task = Some(spawn(&runtime, number));
    }
    let crowded = allocated(&runtime, CROWD);
    assert!(crowded - before > CROWD * 200, "they take {} bytes", crowded - before);

    let leave = tasks.iter_mut().enumerate().filter(|(number, _)| !STAY.contains(number));
    leave.for_each(|(_, task)| abort(task));
    let kept = || allocated(&runtime, STAY.len()).saturating_sub(before);
    let start = Instant::now();
    while kept() > KEPT {
        assert!(start.elapsed() < HANG, "{} bytes stay of {}", kept(), crowded - before);
        // A deque that another worker has emptied keeps its length until its owner takes from it.
        runtime.block_on(runtime.spawn(use_the_deque())).unwrap();
    }

    tasks.iter_mut().for_each(abort);
    await_present(&runtime, 0);
}

/// A chunk each of tasks, names and timers for each task that stays (3, 6 and 6 KiB at most), one of
/// each that is kept for the next task in each of the tables, and the lists of chunks.
const KEPT: usize = STAY.len() * 16 * 1024 + 256 * 1024;
