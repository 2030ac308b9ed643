//! The cooperative budget: no task keeps its worker for ever by always being ready.
//!
//! Each poll of a task begins with a budget of operations (128 unless the builder says otherwise).
//! Sockets and timers spend one an operation. When it is spent they are pending once, having woken
//! the task, so that it goes to the end of the queue and everybody else has a turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;
use crate::time::Instant;

/// Spends one operation of the current poll's budget.
///
/// `Pending` means that none is left and the task has been woken: return `Pending` at once. Off
/// the workers the budget is unlimited.
///
/// ```
/// # use std::task::{Context, Poll};
/// fn poll_my_source(cx: &mut Context<'_>) -> Poll<u8> {
///     std::task::ready!(heist_scheduler::coop::poll_proceed(cx));
///     Poll::Ready(1)
/// }
/// ```
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<()> {
    context::spend(cx)
}

/// As [`poll_proceed`], and tells at the same time what a state machine asks about the poll that it
/// is in. Each of these would otherwise be a look at the thread's own data.
///
/// ```
/// # use std::task::{Context, Poll};
/// fn poll_my_machine(cx: &mut Context<'_>) -> Poll<()> {
///     let step = std::task::ready!(heist_scheduler::coop::poll_step(cx));
///     println!("this happens at {:?}", step.now());
///     Poll::Ready(())
/// }
/// ```
///
/// # Panics
///
/// Outside a runtime, since there is no clock to ask.
#[inline(always)]
pub fn poll_step(cx: &mut Context<'_>) -> Poll<Step> {
    context::step(cx).unwrap_or_else(|| crate::time::no_runtime("coop::poll_step()"))
}

/// What is known of the poll under way; made by [`poll_step`].
///
/// It is good for that poll. Kept longer, it is only out of date.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    now: Instant,
    /// Where the runtime of the worker is, and the worker's number in it. The address 0, which is
    /// nobody's, off the workers.
    runtime: usize,
    worker: usize,
}

impl Step {
    pub(crate) fn on_worker(now: Instant, runtime: *const (), worker: usize) -> Step {
        Step { now, runtime: runtime.addr(), worker }
    }

    pub(crate) fn off_the_workers(now: Instant) -> Step {
        Step { now, runtime: 0, worker: 0 }
    }

    /// When the poll began; see [`Instant::of_poll`].
    #[inline]
    pub fn now(self) -> Instant {
        self.now
    }

    /// The number of the worker, if it is one of the runtime at this address.
    #[inline]
    pub(crate) fn worker_of(self, runtime: *const ()) -> Option<usize> {
        (self.runtime == runtime.addr()).then_some(self.worker)
    }
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
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
