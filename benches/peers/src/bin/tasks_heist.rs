//! heist's scheduler under the workloads of `tasks`, `wake` and `timers`.

use std::pin::Pin;
use std::time::Duration;

use heist::time::{Instant, Sleep};
use heist_peers::runtime::{Runtime, run_workload};

struct Heist(heist::Runtime);

impl Runtime for Heist {
    type Sleep = Sleep;

    fn start(workers: usize) -> Heist {
        Heist(heist::Builder::new().workers(workers).start().expect("threads can be started"))
    }

    fn spawn<F>(&self, future: F) -> impl Future<Output = F::Output> + Send + 'static + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let task = self.0.spawn(future);
        async { task.await.expect("no task panics") }
    }

    fn detach<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(self.0.spawn(future));
    }

    fn detach_here<F: Future<Output = ()> + Send + 'static>(future: F) {
        drop(heist::spawn(future));
    }

    async fn blocking(work: fn()) {
        heist::spawn_blocking(work).await.expect("the work does not panic");
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        heist::yield_now()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn sleep(duration: Duration) -> Sleep {
        heist::time::sleep(duration)
    }

    fn reset(mut sleep: Pin<&mut Sleep>, duration: Duration) {
        sleep.reset(Instant::now() + duration);
    }
}

fn main() {
    run_workload::<Heist>();
}
