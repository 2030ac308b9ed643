//! What a task costs: the workloads of the row `sched`, nanoseconds per operation.

use std::hint::black_box;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_channel::{mpsc, oneshot};
use futures_lite::StreamExt;

use crate::runtime::Runtime;

/// A figure, how many times the operations it is measured with, and what does them.
type Workload<R> = (&'static str, usize, fn(&Arc<R>, usize));

/// Prints the nanoseconds of each operation as one line of JSON: the median of `repetitions`, after
/// one that does not count.
///
/// Runs all workloads, or those whose figures are named.
pub fn run<R: Runtime>(workers: usize, repetitions: usize, operations: usize, figures: &[String]) {
    let runtime = Arc::new(R::start(workers));
    let workloads: [Workload<R>; 9] = [
        ("spawn_idle_ns", 1, spawn_idle),
        ("spawn_busy_ns", 1, spawn_busy),
        ("spawn_worker_ns", 1, spawn_worker),
        ("yield_ns", 10, yields),
        ("ping_pong_ns", 1, ping_pong),
        ("chained_ns", 1, chained),
        ("ring_ns", 10, ring),
        ("blocking_ns", 1, blocking),
        ("remote8_ns", 1, remote_8),
    ];
    let chosen = workloads
        .into_iter()
        .filter(|(name, ..)| figures.is_empty() || figures.iter().any(|figure| figure == name));
    let figures = chosen.map(|(name, times, workload)| {
        let count = operations * times;
        let round = || {
            let start = Instant::now();
            workload(&runtime, count);
            start.elapsed().as_nanos() as f64 / count as f64
        };
        round();
        let mut rounds: Vec<f64> = (0..repetitions).map(|_| round()).collect();
        rounds.sort_unstable_by(f64::total_cmp);
        format!("\"{name}\": {:.2}", rounds[repetitions / 2])
    });
    println!("{{{}}}", figures.collect::<Vec<_>>().join(", "));
}

/// Counts tasks down; the last one notifies.
struct Countdown {
    /// Tasks that have not run; each takes one away. AcqRel, so that the last comes after all.
    left: AtomicUsize,
    /// Set by the last one, before it notifies; publishes nothing else.
    over: AtomicBool,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    fn new(count: usize) -> (Arc<Countdown>, oneshot::Receiver<()>) {
        let (done, last) = oneshot::channel();
        let (left, over) = (AtomicUsize::new(count), AtomicBool::new(false));
        (Arc::new(Countdown { left, over, done: Mutex::new(Some(done)) }), last)
    }

    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.over.store(true, Ordering::Relaxed);
            let done = self.done.lock().expect("no thread panics holding it").take();
            let _ = done.expect("only one task is the last").send(());
        }
    }
}

/// Many spawned at once from outside, on workers that had nothing to do.
fn spawn_idle<R: Runtime>(runtime: &Arc<R>, count: usize) {
    let (countdown, last) = Countdown::new(count);
    spawn_from_outside(runtime, count, &countdown);
    runtime.block_on(last).expect("every task runs");
}

/// The same, while tasks that always yield keep the workers busy.
///
/// The last of those counted ends them. If this thread did, it would first have to get a CPU from
/// them: what was measured then was when the kernel ends the time slice of a worker.
fn spawn_busy<R: Runtime>(runtime: &Arc<R>, count: usize) {
    let (countdown, last) = Countdown::new(count);
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let countdown = Arc::clone(&countdown);
            runtime.spawn(async move {
                while !countdown.over.load(Ordering::Relaxed) {
                    R::yield_now().await;
                }
            })
        })
        .collect();
    spawn_from_outside(runtime, count, &countdown);
    runtime.block_on(last).expect("every task runs");
    for task in busy {
        runtime.block_on(task);
    }
}

fn spawn_from_outside<R: Runtime>(runtime: &Arc<R>, count: usize, countdown: &Arc<Countdown>) {
    for _ in 0..count {
        let countdown = Arc::clone(countdown);
        runtime.detach(async move { countdown.one() });
    }
}

fn spawn_worker<R: Runtime>(runtime: &Arc<R>, count: usize) {
    runtime.block_on(runtime.spawn(async move {
        let (countdown, last) = Countdown::new(count);
        for _ in 0..count {
            let countdown = Arc::clone(&countdown);
            R::detach_here(async move { countdown.one() });
        }
        last.await.expect("every task runs");
    }));
}

fn yields<R: Runtime>(runtime: &Arc<R>, count: usize) {
    runtime.block_on(runtime.spawn(async move {
        for _ in 0..count {
            R::yield_now().await;
        }
    }));
}

/// A task spawns another, and each waits for a word of the other.
fn ping_pong<R: Runtime>(runtime: &Arc<R>, count: usize) {
    runtime.block_on(runtime.spawn(async move {
        let (countdown, last) = Countdown::new(count);
        for _ in 0..count {
            let countdown = Arc::clone(&countdown);
            R::detach_here(async move {
                let ((ping, pinged), (pong, ponged)) = (oneshot::channel(), oneshot::channel());
                R::detach_here(async move {
                    let () = pinged.await.expect("the first task pings");
                    let _ = pong.send(());
                });
                let _ = ping.send(());
                let () = ponged.await.expect("the second task answers");
                countdown.one();
            });
        }
        last.await.expect("every task runs");
    }));
}

/// Each task spawns the next.
fn chained<R: Runtime>(runtime: &Arc<R>, count: usize) {
    type Link = Pin<Box<dyn Future<Output = ()> + Send>>;
    fn link<R: Runtime>(left: usize, done: oneshot::Sender<()>) -> Link {
        Box::pin(async move {
            match left {
                0 => drop(done.send(())),
                _ => R::detach_here(link::<R>(left - 1, done)),
            }
        })
    }
    runtime.block_on(runtime.spawn(async move {
        let (done, last) = oneshot::channel();
        R::detach_here(link::<R>(count, done));
        last.await.expect("the chain ends");
    }));
}

/// 300 tasks hand a word around; an operation is one hand-over.
fn ring<R: Runtime>(runtime: &Arc<R>, count: usize) {
    const TASKS: usize = 300;
    let laps = (count / TASKS).max(1);
    let (mut first, mut before) = mpsc::channel::<()>(1);
    for _ in 1..TASKS {
        let (mut next, after) = mpsc::channel(1);
        let mut from = std::mem::replace(&mut before, after);
        runtime.detach(
            async move { while from.next().await.is_some() && next.try_send(()).is_ok() {} },
        );
    }
    runtime.block_on(runtime.spawn(async move {
        for _ in 0..laps {
            first.try_send(()).expect("the ring is empty between laps");
            before.next().await.expect("the ring is whole");
        }
    }));
}

fn blocking<R: Runtime>(runtime: &Arc<R>, count: usize) {
    runtime.block_on(runtime.spawn(async move {
        for _ in 0..count {
            R::blocking(|| black_box(())).await;
        }
    }));
}

/// Eight threads that are no workers spawn at once.
fn remote_8<R: Runtime>(runtime: &Arc<R>, count: usize) {
    let (countdown, last) = Countdown::new(count / 8 * 8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                spawn_from_outside(runtime, count / 8, &countdown);
            });
        }
    });
    runtime.block_on(last).expect("every task runs");
}
