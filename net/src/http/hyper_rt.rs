//! What hyper asks of a runtime: sockets, an executor and a timer (feature `hyper`).

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use heist_scheduler::{Handle, TaskBuilder, time};
use hyper::rt::{Executor, Read, ReadBufCursor, Sleep, Timer, Write};

use crate::socket::stream::Socket;

/// Runs what hyper spawns (connections of HTTP/2, background work of clients) as tasks of the
/// current runtime, under the name `hyper`.
///
/// At the runtime's bound on tasks, and while it shuts down, what hyper spawns is dropped.
///
/// # Panics
///
/// [`execute`](Executor::execute) panics outside of a runtime.
///
/// ```
/// use heist::Runtime;
/// use heist::net::HyperExecutor;
/// use hyper::rt::Executor;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async {
///     HyperExecutor.execute(async { /* runs on the workers */ });
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct HyperExecutor;

impl<F> Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // No task waits for it; dropping the handle detaches it.
        drop(TaskBuilder::new().name("hyper").spawn(future));
    }
}

/// Gives hyper its time-outs, by the timers and the clock of the current runtime: a clock that is moved by
/// hand moves them, too, such as the time for which a pool keeps an idle connection.
///
/// ```
/// use heist::Runtime;
/// use heist::net::HyperTimer;
/// use hyper::rt::Timer;
/// use std::time::Duration;
///
/// let runtime = Runtime::new()?;
/// runtime.block_on(async { HyperTimer.sleep(Duration::from_millis(1)).await });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(HyperSleep(time::sleep_until(deadline.into())))
    }

    /// By the runtime's clock, also where that is moved by hand. Outside a runtime by the system's.
    fn now(&self) -> Instant {
        Handle::try_current().map_or_else(Instant::now, |runtime| runtime.clock().now().into())
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(mut sleep) => sleep.0.reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

pub(crate) struct HyperSleep(pub(crate) time::Sleep);

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl Sleep for HyperSleep {}

impl<F> Read for Socket<F> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.inner().poll_read_uninit(cx, &mut cursor, |read| read.len()).map_ok(drop)
    }
}

impl<F> Write for Socket<F> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_directions(Shutdown::Write))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, buffers)
    }
}
