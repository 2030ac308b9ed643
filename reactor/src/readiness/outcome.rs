//! What the transitions of the readiness word return; the caller must act on each.

use super::bits::{Bits, Direction};

/// The outcome of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the waiting tasks must be woken"]
pub(crate) enum Delivery {
    /// Its source is gone.
    Stale,
    /// It told nothing new and no task waited.
    Spurious,
    /// It is in the word; the wakers of these directions are to be taken.
    Delivered(Waiters),
}

impl Delivery {
    /// The outcome of an event whose flags were added to a word that held `before`.
    #[inline]
    pub(super) fn of(before: Bits, event: Bits) -> Delivery {
        let waiters = before.intersection(event.waiting());
        if waiters == Bits::NONE && before.contains(event) {
            return Delivery::Spurious;
        }
        Delivery::Delivered(Waiters(waiters))
    }
}

/// The directions in which a task waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiters(Bits);

impl Waiters {
    pub(crate) fn contains(self, direction: Direction) -> bool {
        self.0.intersects(direction.waiting())
    }
}

/// The state of a direction, as a task found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a task that cleared the ready bit must drain or put the bit back"]
pub(crate) enum Status {
    /// Ready, with the flags that were found. After [`Readiness::take`](super::Readiness::take) the
    /// ready bit is clear.
    Ready(Bits),
    /// Not ready.
    NotReady,
    /// The queue is closed.
    QueueClosed,
}

impl Status {
    #[inline]
    pub(super) fn of(bits: Bits, direction: Direction) -> Status {
        if bits.intersects(Bits::QUEUE_CLOSED) {
            Status::QueueClosed
        } else if bits.intersects(direction.ready()) {
            Status::Ready(bits)
        } else {
            Status::NotReady
        }
    }
}

/// The request that makes the kernel report a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the kernel must be asked for the events"]
pub(crate) enum Arming {
    /// For this direction: the kernel does not know the source yet.
    Register,
    /// For both directions: the kernel knows the source for the other one.
    Reregister,
}
