//! The cooperative budget: no task keeps its worker for ever by always being ready.
//!
//! Each poll of a task begins with a budget of operations (128 unless the builder says otherwise).
//! Sockets, listeners, timers, join handles and look-ups, all of which may be ready at once, spend one
//! for each operation. When the budget is spent they are pending once, having woken the task, so that it
//! goes to the end of the queue and every other task has a turn.
//!
//! A poll that has run for 100 µs has spent its budget as well. It looks at the clock once in 16 operations; one
//! that moves many bytes [counts](charge_bytes) for several. So an upload whose parts are hashed as they come has
//! a turn of some hundred microseconds, and not of milliseconds.
//!
//! This is also where waits end with their runtime. Once it has begun to shut down each of these is
//! pending for ever: a worker drops its task, and [`block_on`](crate::Handle::block_on) panics. So a
//! shutdown never looks like a tick, a time-out or an error that is worth a retry.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::context;
pub use crate::context::PollInfo;

/// Spends one operation of the current poll's budget.
///
/// `Pending` means that none is left and the task has been woken, or that the current runtime shuts
/// down: return `Pending` at once. Off the workers the budget is unlimited.
///
/// An operation that then turns out to be pending has done nothing, and gives back what it took by
/// [`restore`]. Otherwise a task that waits for more things than its budget allows would never come
/// to the last of them.
///
/// ```
/// use heist::coop;
/// use std::task::{Context, Poll, ready};
///
/// fn poll_budgeted<T>(
///     cx: &mut Context<'_>,
///     mut poll_source: impl FnMut(&mut Context<'_>) -> Poll<T>,
/// ) -> Poll<T> {
///     ready!(coop::poll_proceed(cx));
///     let polled = poll_source(cx);
///     if polled.is_pending() {
///         coop::restore();
///     }
///     polled
/// }
/// ```
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    context::spend(cx)
}

/// Gives back the operation that one call of [`poll_proceed`] took, for one that is pending.
///
/// Only for that: a task that gives back what it did is never made to yield. The budget never grows
/// beyond what the poll began with.
#[inline]
pub fn restore() {
    context::restore();
}

/// How many operations are left of the current poll's budget; `None` off the workers, where it is
/// unlimited.
///
/// Compared before and after the poll of a future, it tells whether one of heist's waits in it was
/// ready: those that were pending have spent nothing.
///
/// ```
/// use heist::coop;
///
/// assert_eq!(coop::operations_left(), None);
/// ```
#[inline]
#[must_use]
pub fn operations_left() -> Option<u32> {
    context::operations_left()
}

/// Whether the current poll may do another operation: with none left, an operation is pending without
/// having been tried, and that says nothing of its source.
///
/// Off the workers the budget is unlimited.
///
/// ```
/// use heist::coop;
///
/// assert!(coop::has_budget_remaining());
/// ```
#[inline]
#[must_use]
pub fn has_budget_remaining() -> bool {
    operations_left() != Some(0)
}

/// As [`poll_proceed`], but spends nothing: for what cannot be put off once it is ready, and is
/// [charged](charge) then.
#[inline]
pub(crate) fn poll_has_budget(cx: &mut Context<'_>) -> Poll<()> {
    ready!(poll_proceed(cx));
    restore();
    Poll::Ready(())
}

/// Spends an operation that was done, if one is left.
#[inline]
pub(crate) fn charge() {
    context::charge(1);
}

/// Spends more operations of the current poll's budget, or those that are left, for one that has moved `bytes`
/// bytes: one for each 16 KiB of them.
///
/// So a poll that moves much at a time ends as early as one that moves little. It is no error to call it with few
/// bytes, nor off the workers.
///
/// ```
/// heist::coop::charge_bytes(400_000);
/// ```
#[inline]
pub fn charge_bytes(bytes: usize) {
    if bytes >= BYTES_OF_AN_OPERATION {
        charge_many(bytes);
    }
}

#[cold]
fn charge_many(bytes: usize) {
    context::charge(u32::try_from(bytes / BYTES_OF_AN_OPERATION).unwrap_or(u32::MAX));
}

/// Whether the current runtime has begun to shut down, which ends a wait: the caller returns the
/// `Pending` that comes with it.
///
/// For what may find its source closed by the shutdown after it was told to proceed.
///
/// ```
/// # use heist::coop;
/// # use std::task::Poll;
/// fn unless_closing(outcome: std::io::Result<usize>) -> Poll<std::io::Result<usize>> {
///     match outcome {
///         Err(_) if coop::poll_closing().is_pending() => Poll::Pending,
///         outcome => Poll::Ready(outcome),
///     }
/// }
/// ```
#[inline]
pub fn poll_closing() -> Poll<()> {
    if context::is_closing() { context::refuse() } else { Poll::Ready(()) }
}

/// As [`poll_proceed`], and tells at the same time what a state machine asks about the poll that it
/// is in. Each of these would otherwise be a look at the thread's own data.
///
/// ```
/// # use std::task::{Context, Poll};
/// fn poll_my_machine(cx: &mut Context<'_>) -> Poll<()> {
///     let info = std::task::ready!(heist::coop::poll_info(cx));
///     println!("this happens at {:?}", info.now());
///     Poll::Ready(())
/// }
/// ```
///
/// # Panics
///
/// Outside a runtime, since there is no clock to ask.
#[inline(always)]
pub fn poll_info(cx: &mut Context<'_>) -> Poll<PollInfo> {
    context::poll_info(cx).unwrap_or_else(|| context::no_runtime("coop::poll_info()"))
}

/// Lets every other runnable task of this worker run once before going on.
///
/// Cancel-safe: dropping it does nothing.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// Future of [`yield_now`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return poll_closing();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// As much as a copy is charged an operation for.
const BYTES_OF_AN_OPERATION: usize = 16 * 1024;
/// Operations of one poll before it has to yield.
pub(crate) const BUDGET: u32 = 128;
