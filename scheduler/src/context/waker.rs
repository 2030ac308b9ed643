//! Which waker belongs to the task that this thread polls.

use std::cell::Cell;
use std::ptr;
use std::task::Waker;

thread_local! {
    /// The [identity] of the waker that the task polled last was given, which is one of this crate's.
    static POLLED: Cell<Identity> = const { Cell::new((ptr::null(), 0)) };
}

/// What [`Waker::will_wake`] compares.
type Identity = (*const (), usize);

/// A task is polled with `waker`, its own.
#[inline]
pub(crate) fn begin_poll(waker: &Waker) {
    POLLED.set(identity(waker));
}

/// Whether `waker` is that of the task that was polled last on this thread, which does not panic.
pub(crate) fn is_own_waker(waker: &Waker) -> bool {
    POLLED.get() == identity(waker)
}

#[inline]
fn identity(waker: &Waker) -> Identity {
    (waker.data(), ptr::from_ref(waker.vtable()).addr())
}
