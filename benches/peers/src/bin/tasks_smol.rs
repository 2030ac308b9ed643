//! async-executor, with async-io's timers, under the workloads of `tasks`, `wake` and `timers`.

use std::pin::Pin;
use std::time::Duration;

use async_executor::Executor;
use async_io::Timer;
use heist_peers::runtime::{Runtime, run_workload};

/// As in smol: one executor for the process. It is run by as many threads as were started in all.
static EXECUTOR: Executor<'static> = Executor::new();

/// The threads that run the executor, until this is dropped.
struct Smol {
    stop: Vec<futures_channel::oneshot::Sender<()>>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Runtime for Smol {
    type Sleep = Timer;

    fn start(workers: usize) -> Smol {
        let (stop, threads) = (0..workers)
            .map(|_| {
                let (stop, stopped) = futures_channel::oneshot::channel();
                let run = || {
                    let _ = async_io::block_on(EXECUTOR.run(stopped));
                };
                (stop, std::thread::spawn(run))
            })
            .unzip();
        Smol { stop, threads }
    }

    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + Send + 'static + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        EXECUTOR.spawn(future).detach();
    }

    fn detach_here<F: Future<Output = ()> + Send + 'static>(future: F) {
        EXECUTOR.spawn(future).detach();
    }

    fn blocking(work: fn()) -> impl Future<Output = ()> + Send {
        blocking::unblock(work)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        futures_lite::future::yield_now()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        async_io::block_on(future)
    }

    fn sleep(duration: Duration) -> Timer {
        Timer::after(duration)
    }

    fn reset(mut sleep: Pin<&mut Timer>, duration: Duration) {
        sleep.set_after(duration);
    }
}

impl Drop for Smol {
    fn drop(&mut self) {
        for stop in self.stop.drain(..) {
            let _ = stop.send(());
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn main() {
    run_workload::<Smol>();
}
