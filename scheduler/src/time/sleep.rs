//! Waiting for a point in time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Timer;
use super::now::current_time;
use crate::clock::Instant;
use crate::coop;

/// Waits for `duration` from now.
///
/// A duration that reaches past [`Instant::FAR_FUTURE`] waits for ever. See [`sleep_until`].
///
/// ```
/// use std::time::Duration;
/// use heist::time;
///
/// let runtime = heist::Builder::new().start()?;
/// runtime.block_on(async {
///     let start = time::Instant::now();
///     time::sleep(Duration::from_millis(2)).await;
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
///
/// # Panics
///
/// Outside a runtime, where there is no clock to measure the duration by. Call it in a task, in
/// `block_on`, or after [`Handle::enter`](crate::Handle::enter).
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(current_time("time::sleep()") + duration)
}

/// Waits until `deadline`.
///
/// It never ends early, and up to 62.5 µs late if a worker is free; up to half a millisecond late where many
/// are due close together, as [`Timer`] says. It does not end once its runtime shuts down; see [`coop`].
/// Cancel-safe: dropping the future gives the deadline up.
///
/// # Panics
///
/// The future panics if it is polled outside a runtime before the deadline was seen to pass.
pub fn sleep_until(deadline: Instant) -> Sleep {
    let mut timer = Timer::new();
    timer.set(Some(deadline));
    Sleep { timer }
}

/// Future of [`sleep`] and [`sleep_until`].
///
/// It is `Unpin`, so that it can be kept in a loop and waited on by `&mut`:
///
/// ```
/// use std::time::Duration;
/// use heist::time;
///
/// let runtime = heist::Builder::new().start()?;
/// runtime.block_on(async {
///     let mut sleep = time::sleep(Duration::from_secs(3_600));
///     sleep.reset(time::Instant::now());
///     (&mut sleep).await;
///     assert!(sleep.is_elapsed());
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    timer: Timer,
}

impl Sleep {
    /// The deadline; [`Instant::FAR_FUTURE`] means never.
    pub fn deadline(&self) -> Instant {
        self.timer.deadline().unwrap_or(Instant::FAR_FUTURE)
    }

    /// Whether this has been waited for to its end since it was made or reset.
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Waits for another deadline instead, whether or not the old one has passed. Moving it later
    /// costs next to nothing; see [`Timer::set`].
    pub fn reset(&mut self, deadline: Instant) {
        self.timer.set(Some(deadline));
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.timer.poll_elapsed(cx));
        // Spent only by a sleep that ends: a task that sleeps for no time in a loop shall yield,
        // and one that waits costs nothing.
        coop::poll_proceed(cx)
    }
}
