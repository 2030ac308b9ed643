//! Crates that need a runtime of tokio, in tasks of a runtime beside it.

mod grpc;
mod http;
mod nats;
mod postgres;
mod system;

use std::future::Future;
use std::time::Duration;

use heist::Runtime;

/// A runtime of each; heist's ends first.
struct Beside {
    heist: Runtime,
    _tokio: tokio::runtime::Runtime,
}

impl Beside {
    fn new() -> Beside {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let heist = heist::Builder::new().beside_tokio(tokio.handle().clone()).start().unwrap();
        Beside { heist, _tokio: tokio }
    }

    /// Runs `test` as a task, on a worker.
    fn run<T: Send + 'static>(&self, test: impl Future<Output = T> + Send + 'static) -> T {
        self.heist.block_on(self.heist.spawn(test)).unwrap()
    }
}

/// Longer than any wait in a test takes.
const GUARD: Duration = Duration::from_secs(60);
