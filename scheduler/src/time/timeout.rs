//! A future with a deadline.

use std::future::{Future, IntoFuture};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use thiserror::Error;

use super::Timer;
use super::now::current_time;
use crate::clock::Instant;
use crate::coop;

/// Runs `future` for at most `duration` from now.
///
/// The result is the future's output, or [`Elapsed`] if the time was up first; then the future is
/// dropped together with the returned one. The future is always polled first, so one that is ready
/// in time never loses a tie, and one that is ready at once succeeds with a duration of zero.
///
/// The clock is read whenever the future is pending: a future that blocks its thread is not
/// interrupted. A ready future spends an operation of the poll's budget ([`coop`]).
/// Cancel-safe if `future` is.
///
/// ```
/// use std::future;
/// use std::time::Duration;
/// use heist::time;
///
/// let runtime = heist::Builder::new().start()?;
/// runtime.block_on(async {
///     let second = Duration::from_secs(1);
///     assert_eq!(time::timeout(second, future::ready(5)).await, Ok(5));
///
///     let never = future::pending::<u8>();
///     assert!(time::timeout(Duration::from_millis(1), never).await.is_err());
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
///
/// # Panics
///
/// Outside a runtime, as [`sleep`](super::sleep) does.
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    timeout_at(current_time("time::timeout()") + duration, future)
}

/// Runs `future` until `deadline` at most; otherwise the same as [`timeout`].
///
/// # Panics
///
/// The future panics if it is polled outside a runtime and `future` is not ready.
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    let mut timer = Timer::new();
    timer.set(Some(deadline));
    Timeout { future: future.into_future(), timer }
}

pin_project! {
    /// Future of [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        timer: Timer,
    }
}

impl<F> Timeout<F> {
    /// The future that is being run.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// Takes the future out, without a deadline.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // An output cannot be put off, so the budget is checked before, and charged after.
        ready!(coop::poll_has_budget(cx));
        if let Poll::Ready(output) = this.future.poll(cx) {
            coop::charge();
            return Poll::Ready(Ok(output));
        }
        // The timer itself spends no budget: the future may have spent all of it, for ever.
        this.timer.poll_elapsed(cx).map(|()| Err(Elapsed(())))
    }
}

/// The time given to a [`timeout`] was up before its future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operation was given up: its deadline passed before it was done")]
pub struct Elapsed(());

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}
