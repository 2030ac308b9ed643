//! Shared by the tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use heist_net::{Builder, Runtime, TcpListener, TcpStream};
use heist_scheduler::time;

/// A runtime of two workers.
pub(crate) fn runtime() -> Runtime {
    Builder::new().workers(2).start().unwrap()
}

/// Runs `future` on a runtime of its own, and fails instead of hanging.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(guarded(future))
}

/// Fails instead of hanging.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) async fn guarded<T>(future: impl Future<Output = T>) -> T {
    time::timeout(GUARD, future).await.expect("the test hangs")
}

/// The two ends of a TCP connection: the connecting one and the accepted one.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    (near, far)
}

/// The accepted end of a TCP connection, and a blocking socket as the other.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) async fn blocking_pair() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    far.set_read_timeout(Some(GUARD)).unwrap();
    far.set_write_timeout(Some(GUARD)).unwrap();
    let (near, _) = listener.accept().await.unwrap();
    (near, far)
}

/// Counts the polls of a future.
#[allow(dead_code, reason = "not every test file needs it")]
pub(crate) struct Counted<F> {
    pub(crate) future: F,
    pub(crate) polls: Arc<AtomicUsize>,
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.future).poll(cx)
    }
}

pub(crate) const GUARD: Duration = Duration::from_secs(60);
