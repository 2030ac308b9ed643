//! Which waker belongs to the task that this thread polls.

use std::cell::Cell;
use std::ptr;
use std::task::Waker;

use super::poll::PollContext;
use super::stack::look_at_worker;

thread_local! {
    /// The [identity] of the waker that the task polled last was given, which is one of this crate's.
    static POLLED: Cell<Identity> = const { Cell::new((ptr::null(), 0)) };

    /// The task that is polled has changed its account, see [`requeue`].
    static REQUEUE: Cell<bool> = const { Cell::new(false) };
}

/// What [`Waker::will_wake`] compares.
type Identity = (*const (), usize);

/// A task is polled with `waker`, its own.
#[inline]
pub(crate) fn begin_poll(waker: &Waker) {
    POLLED.set(identity(waker));
}

/// A task's poll has ended, and the task waits.
#[inline]
pub(crate) fn end_poll(waker: &Waker) {
    if REQUEUE.get() {
        REQUEUE.set(false);
        if look_at_worker(PollContext::has_changed_account) == Some(true) {
            waker.wake_by_ref();
        }
    }
}

/// Has the task that is being polled queued when its poll ends on another account than it began, unless it ends
/// with it: its worker then has the cell of the task in hand.
pub(crate) fn requeue() {
    REQUEUE.set(true);
}

/// Whether `waker` is that of the task that was polled last on this thread, which does not panic.
pub(crate) fn is_own_waker(waker: &Waker) -> bool {
    POLLED.get() == identity(waker)
}

#[inline]
fn identity(waker: &Waker) -> Identity {
    (waker.data(), ptr::from_ref(waker.vtable()).addr())
}
