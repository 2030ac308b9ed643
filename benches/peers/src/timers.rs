//! What a timer costs: the row `timers`, nanoseconds per operation.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::runtime::Runtime;

/// Prints the nanoseconds of each operation as one line of JSON.
///
/// Where several workers do it at once, the time is that of one of them: with more workers than
/// CPUs, a worker's share of the CPUs.
pub fn run<R: Runtime>(count: usize, pending: usize) {
    let figures = [
        ("arm1_ns", arm_at_once::<R>(1, count)),
        ("arm2_ns", arm_at_once::<R>(2, count)),
        ("arm8_ns", arm_at_once::<R>(8, count)),
        ("arm_pending_ns", arm_beside::<R>(pending, count)),
        ("move_ns", moves::<R>(count)),
        ("fire_ns", fires::<R>(count / 10)),
    ];
    let figures = figures.map(|(name, figure)| format!("\"{name}\": {figure:.2}"));
    println!("{{{}}}", figures.join(", "));
}

/// So many workers arm and cancel, each its own timers.
fn arm_at_once<R: Runtime>(workers: usize, count: usize) -> f64 {
    let runtime = R::start(workers);
    // Each task blocks its worker here until every worker has one.
    let (start, end) = (Arc::new(Barrier::new(workers)), Arc::new(Barrier::new(workers)));
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (start, end) = (Arc::clone(&start), Arc::clone(&end));
            runtime.spawn(async move {
                arm_and_cancel::<R>(count / 10).await;
                start.wait();
                let begin = Instant::now();
                arm_and_cancel::<R>(count).await;
                end.wait();
                begin.elapsed().as_nanos() as f64
            })
        })
        .collect();
    let times = tasks.into_iter().map(|task| runtime.block_on(task));
    let longest = times.fold(0.0, f64::max);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    longest / count as f64 * cpus.min(workers) as f64 / workers as f64
}

async fn arm_and_cancel<R: Runtime>(count: usize) {
    for _ in 0..count {
        let mut sleep = pin!(R::sleep(FAR));
        poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending(), "the deadline is far away");
            Poll::Ready(())
        })
        .await;
    }
}

/// One worker arms and cancels while so many timers are armed already.
fn arm_beside<R: Runtime>(pending: usize, count: usize) -> f64 {
    let runtime = R::start(1);
    runtime.block_on(runtime.spawn(async move {
        let mut others = Vec::with_capacity(pending);
        for index in 0..pending {
            let mut sleep = Box::pin(R::sleep(FAR + Duration::from_micros(37 * index as u64)));
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending(), "the deadline is far away");
                Poll::Ready(())
            })
            .await;
            others.push(sleep);
        }
        let begin = Instant::now();
        arm_and_cancel::<R>(count).await;
        begin.elapsed().as_nanos() as f64 / count as f64
    }))
}

/// A deadline is moved later again and again, as with each message of a connection.
fn moves<R: Runtime>(count: usize) -> f64 {
    let runtime = R::start(1);
    runtime.block_on(runtime.spawn(async move {
        let mut sleep = pin!(R::sleep(FAR));
        let begin = Instant::now();
        for index in 0..count {
            if index > 0 {
                R::reset(sleep.as_mut(), FAR);
            }
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending(), "the deadline is far away");
                Poll::Ready(())
            })
            .await;
        }
        begin.elapsed().as_nanos() as f64 / count as f64
    }))
}

/// Tasks that each wait for a timer, all due within some milliseconds: CPU time from the spawn to
/// the end of each.
fn fires<R: Runtime>(count: usize) -> f64 {
    let runtime = R::start(2);
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let begin = cpu();
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let wait = Duration::from_micros(1_000 + 20_000 * index as u64 / count as u64);
            runtime.spawn(async move {
                R::sleep(wait).await;
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await;
        }
    });
    (cpu() - begin) / count as f64
}

const FAR: Duration = Duration::from_secs(30);
