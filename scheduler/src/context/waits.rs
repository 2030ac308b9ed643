//! How a wait ends that does not become ready: its budget is spent, or its runtime shuts down.

use std::cell::Cell;
use std::task::{Context as TaskContext, Poll};

use super::poll::{PollContext, PollInfo, Spent};
use super::runtime::RuntimeContext;
use super::stack::{look_at, look_at_worker};

thread_local! {
    /// The address of the runtime whose `block_on` polls on this thread, 0 for none; and whether a
    /// wait in that runtime was refused since the poll began, because it shuts down.
    static REFUSALS: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Spends one operation of the current poll's budget, and says where and when that is. `None`
/// outside of a runtime.
///
/// Inline, because the answer is as large as the work that it takes.
#[inline(always)]
pub(crate) fn poll_info(cx: &mut TaskContext<'_>) -> Option<Poll<PollInfo>> {
    match look_at_worker(|poll| poll.spend(PollContext::info)) {
        Some(Spent::Proceed(info)) => Some(Poll::Ready(info)),
        Some(Spent::Exhausted) => Some(put_off(cx)),
        Some(Spent::Closing) => Some(refuse()),
        None => info_off_the_workers(),
    }
}

#[cold]
fn info_off_the_workers() -> Option<Poll<PollInfo>> {
    match is_closing() {
        true => Some(refuse()),
        false => look_at(|context| context.runtime_context().clock.now())
            .map(|now| Poll::Ready(PollInfo::off_the_workers(now))),
    }
}

/// Spends one operation of the current poll's budget.
#[inline]
pub(crate) fn spend(cx: &mut TaskContext<'_>) -> Poll<()> {
    match look_at_worker(|poll| poll.spend(|_| ())) {
        Some(Spent::Proceed(())) => Poll::Ready(()),
        Some(Spent::Exhausted) => put_off(cx),
        Some(Spent::Closing) => refuse(),
        None => match is_closing() {
            true => refuse(),
            false => Poll::Ready(()),
        },
    }
}

/// Gives back what [`spend`] took.
pub(crate) fn restore() {
    look_at_worker(PollContext::restore);
}

/// How many operations are left of the budget of the current poll; `None` off the workers.
pub(crate) fn operations_left() -> Option<u32> {
    look_at_worker(PollContext::operations_left)
}

/// Spends so many operations, or those that are left.
pub(crate) fn charge(operations: u32) {
    look_at_worker(|poll| poll.charge(operations));
}

#[cold]
fn put_off<T>(cx: &mut TaskContext<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Whether the current runtime has begun to shut down.
#[inline]
pub(crate) fn is_closing() -> bool {
    look_at(|context| context.runtime_context().is_closing()).unwrap_or(false)
}

/// Ends a wait with the current runtime: the task is not woken again, and its worker drops it;
/// `block_on`, which cannot drop its caller, panics.
#[cold]
pub(crate) fn refuse<T>() -> Poll<T> {
    let runtime = look_at(|context| context.runtime_context().address()).unwrap_or(0);
    let (watched, refused) = REFUSALS.get();
    REFUSALS.set((watched, refused || watched == runtime));
    Poll::Pending
}

/// Watches for waits that are [refused](refuse) on this thread, until it is dropped. There may be a
/// `block_on` inside of another one.
pub(crate) struct Refusals {
    runtime: usize,
    outer: (usize, bool),
}

impl Refusals {
    /// Watches for those of this runtime.
    pub(crate) fn watch(runtime: &RuntimeContext) -> Refusals {
        let runtime = runtime.address();
        Refusals { runtime, outer: REFUSALS.replace((runtime, false)) }
    }

    /// Whether there was one since the last call.
    pub(crate) fn take(&self) -> bool {
        REFUSALS.replace((self.runtime, false)).1
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        REFUSALS.set(self.outer);
    }
}
