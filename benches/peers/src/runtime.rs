//! A scheduler under test: one face for heist's, tokio's and async-executor's.

use std::pin::Pin;
use std::time::Duration;

/// What the workloads of `tasks`, `wake` and `timers` need of a runtime.
pub trait Runtime: Send + Sync + 'static {
    /// A timer that waits for the time given when it was made.
    type Sleep: Future<Output: Send> + Send + 'static;

    /// Starts so many workers.
    fn start(workers: usize) -> Self;

    /// Spawns from a thread that is no worker, and gives what to wait for.
    fn spawn<F>(
        &self,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + 'static + use<Self, F>
    where
        F: Future<Output: Send> + Send + 'static;

    /// Spawns from a thread that is no worker, and detaches the task.
    fn detach<F: Future<Output = ()> + Send + 'static>(&self, future: F);

    /// Spawns from a worker, and detaches the task.
    fn detach_here<F: Future<Output = ()> + Send + 'static>(future: F);

    /// Runs `work` on a thread where it may block.
    fn blocking(work: fn()) -> impl Future<Output = ()> + Send;

    /// Lets others run first.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Waits for `future` on this thread, which is no worker.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// A timer that is not armed before it is polled.
    fn sleep(duration: Duration) -> Self::Sleep;

    /// Moves the deadline of a timer that was polled to `duration` from now.
    fn reset(sleep: Pin<&mut Self::Sleep>, duration: Duration);
}

/// What a program of one runtime does: `sched WORKERS REPETITIONS OPERATIONS
/// [FIGURE …]`, `wake WORKERS COUNT`, or `timers COUNT PENDING`.
pub fn run_workload<R: Runtime>() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok());
    match (words.first().map(String::as_str), number(1), number(2), number(3)) {
        (Some("sched"), Some(workers), Some(repetitions), Some(operations)) => {
            crate::tasks::run::<R>(workers, repetitions, operations, &words[4..]);
        }
        (Some("wake"), Some(workers), Some(count), _) => crate::wake::run::<R>(workers, count),
        (Some("timers"), Some(count), Some(pending), _) => crate::timers::run::<R>(count, pending),
        _ => {
            eprintln!("usage: sched WORKERS REPETITIONS OPERATIONS [FIGURE …]");
            eprintln!("       wake WORKERS COUNT | timers COUNT PENDING");
            std::process::exit(2)
        }
    }
}
