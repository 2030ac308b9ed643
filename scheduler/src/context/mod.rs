//! Which runtime, and which of its workers, the current thread is in.
//!
//! Time, tasks and sockets ask here for the clock, the timers and the budget of the poll that they are
//! part of. So this knows of a runtime no more than [`RuntimeContext`] and of a worker no more than
//! [`PollContext`]; the layers above keep the rest.

mod poll;
mod runtime;
mod stack;
mod thread_scope;
mod waits;
mod waker;

use std::sync::Arc;

pub use poll::PollInfo;
pub(crate) use poll::{PollContext, PollParts};
pub(crate) use runtime::{Opaque, RuntimeContext, RuntimeRef};
pub(crate) use stack::{Context, Scope, enter, enter_guarded, is_worker, on_worker, on_worker_of};
use stack::{look_at, look_at_worker};
pub(crate) use thread_scope::OptionalScope;
pub use thread_scope::{ThreadKind, ThreadScope};
pub(crate) use waits::{
    Refusals, charge, is_closing, operations_left, poll_info, refuse, restore, spend,
};
pub(crate) use waker::{begin_poll, end_poll, is_own_waker, requeue};

use crate::clock::Instant;
use crate::fair::Account;
use crate::wheel::{CachedEntry, TimerQueue};

/// What `look`, which runs no foreign code, finds in the current runtime.
pub(crate) fn with_runtime<R>(look: impl FnOnce(&Arc<Opaque>) -> R) -> Option<R> {
    look_at(|context| look(context.runtime().runtime()))
}

/// Whether the current thread is inside this runtime.
pub(crate) fn is_inside(runtime: &RuntimeContext) -> bool {
    look_at(|context| std::ptr::eq(context.runtime_context(), runtime)).unwrap_or(false)
}

/// The index of the worker of this runtime that the current thread is.
pub(crate) fn worker_index_in(runtime: &RuntimeContext) -> Option<usize> {
    let is_its = |poll: &PollContext| std::ptr::eq(poll.runtime().context(), runtime);
    look_at_worker(|poll| is_its(poll).then(|| poll.index())).flatten()
}

/// Runs `code`, which drops a task and does not panic, inside the runtime if that still exists.
pub(crate) fn run_inside(runtime: &Arc<RuntimeContext>, code: &mut dyn FnMut()) {
    let entered = if is_inside(runtime) { None } else { runtime.upgrade() };
    let _inside = entered.map(|runtime| enter(Context::Entered(runtime)));
    if worker_index_in(runtime).is_some() {
        // The worker's loop is in the scope.
        code();
    } else {
        runtime.thread_scope.run(ThreadKind::Other, code);
    }
}

/// What `look`, which runs no foreign code, finds in the queue that timers armed here go to.
#[inline]
pub(crate) fn with_timers<R>(look: impl FnOnce(&Arc<TimerQueue>) -> R) -> Option<R> {
    look_at(|context| {
        look(match context {
            Context::Worker(poll) => poll.timers(),
            Context::Entered(runtime) => &runtime.context().shared_timers,
        })
    })
}

/// The entry that the current worker keeps for the next timer.
#[inline]
pub(crate) fn take_cached_timer() -> Option<CachedEntry> {
    look_at_worker(PollContext::take_cached_timer).flatten()
}

/// Gives up a timer's entry: the current worker keeps it for the next timer if it can; otherwise, or
/// for it, one is cancelled.
#[inline]
pub(crate) fn release_timer(entry: CachedEntry) {
    let mut entry = Some(entry);
    let kept = look_at_worker(|poll| entry.take().and_then(|entry| poll.cache_timer(entry)));
    if let Some(entry) = kept.flatten().or(entry) {
        entry.cancel();
    }
}

/// What the time of the running task is charged to; `None` off the workers.
pub(crate) fn account() -> Option<Account> {
    look_at_worker(PollContext::account)
}

/// Charges the time of the running task to `account` from now on. No effect off the workers.
pub(crate) fn set_account(account: Account) {
    let changed = look_at_worker(|poll| poll.set_account(account) != account);
    if changed == Some(true) {
        requeue();
    }
}

/// The time on the current runtime's clock.
pub(crate) fn now() -> Option<Instant> {
    look_at(|context| context.runtime_context().clock.now())
}

/// The time at which the present poll began; off the workers, the time now.
#[inline]
pub(crate) fn poll_time() -> Option<Instant> {
    look_at(|context| match context {
        Context::Worker(poll) => poll.now.get(),
        Context::Entered(runtime) => runtime.context().clock.now(),
    })
}

#[cold]
pub(crate) fn no_runtime(what: &str) -> ! {
    panic!(
        "{what} was used outside a heist runtime, where there is no clock and no thread to fire \
         timers: call it in a task, in `block_on`, or after `Handle::enter`"
    )
}
