//! The cooperative budget: no task keeps its worker for ever by always being ready.
//!
//! Each poll of a task begins with a budget of operations (128 unless the builder says otherwise).
//! Sockets and timers spend one an operation. When it is spent they are pending once, having woken
//! the task, so that it goes to the end of the queue and everybody else has a turn.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::context;

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
