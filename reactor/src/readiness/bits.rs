//! The two directions of a source, and the flags that the word has for them.

use std::ops::BitOr;

/// One of the two directions of a source; each has its own readiness and its own waiting tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting, receiving.
    Read,
    /// Writing, connecting, sending.
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Direction; 2] = [Direction::Read, Direction::Write];

    pub(super) fn ready(self) -> Bits {
        match self {
            Direction::Read => Bits::READABLE,
            Direction::Write => Bits::WRITABLE,
        }
    }

    pub(super) fn waiting(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_WAITING,
            Direction::Write => Bits::WRITE_WAITING,
        }
    }

    pub(super) fn persistent(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_PERSISTENT,
            Direction::Write => Bits::WRITE_PERSISTENT,
        }
    }

    pub(super) fn keyed(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_KEYED,
            Direction::Write => Bits::WRITE_KEYED,
        }
    }

    pub(crate) fn armed(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_ARMED,
            Direction::Write => Bits::WRITE_ARMED,
        }
    }
}

/// The lower half of the word.
///
/// "The lock" is the lock of the slot. The *inline waker* of a direction is the one that is stored
/// in the slot itself, not in a list.
///
/// | bit | meaning | set by | cleared by |
/// |---|---|---|---|
/// | `READABLE`, `WRITABLE` | the direction is worth a try | a dispatcher; a drain that ends early; registration, for a direction that is not armed yet | the task, before it drains |
/// | `READ_CLOSED`, `WRITE_CLOSED` | the peer ended its half; our half is shut | a dispatcher | reuse of the slot |
/// | `ERROR` | the source reported an error | a dispatcher | reuse |
/// | `URGENT` | the source reported urgent data | a dispatcher | reuse |
/// | `QUEUE_CLOSED` | the queue was closed | close | reuse (but a closed queue reuses no slot) |
/// | `READ_WAITING`, `WRITE_WAITING` | a task stored its waker and waits | that task; a thread that took wakers and left some, under the lock | a thread that sets the ready bit, or passes it on; a task that found the ready bit set after all; a waiter that took the last waker out, under the lock |
/// | `READ_PERSISTENT`, `WRITE_PERSISTENT` | the inline waker is persistent: it stays when it is used | the task that stores it, under the lock | a task that stores one that is not persistent, under the lock; a thread that is about to take it out and wake it |
/// | `READ_KEYED`, `WRITE_KEYED` | the inline waker, if there is one, belongs to a keyed waiter | that waiter, under the lock | a task that stores an anonymous one; a keyed waiter that leaves without the event; both under the lock |
/// | `READ_ARMED`, `WRITE_ARMED` | the kernel reports the direction's events | registration; the first task that has to wait, under the lock, once the kernel has agreed | reuse |
///
/// The sticky flags (closed, error, urgent) never make a direction ready by themselves: the event
/// that carries them sets the ready bits once, so a task that met `WouldBlock` does not spin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits(u32);

impl Bits {
    pub(crate) const NONE: Bits = Bits(0);
    pub(crate) const READABLE: Bits = Bits(1 << 0);
    pub(crate) const WRITABLE: Bits = Bits(1 << 1);
    const READ_CLOSED: Bits = Bits(1 << 2);
    const WRITE_CLOSED: Bits = Bits(1 << 3);
    const ERROR: Bits = Bits(1 << 4);
    const URGENT: Bits = Bits(1 << 5);
    pub(super) const QUEUE_CLOSED: Bits = Bits(1 << 6);
    const READ_WAITING: Bits = Bits(1 << 7);
    const WRITE_WAITING: Bits = Bits(1 << 8);
    const READ_ARMED: Bits = Bits(1 << 9);
    const WRITE_ARMED: Bits = Bits(1 << 10);
    const READ_PERSISTENT: Bits = Bits(1 << 11);
    const WRITE_PERSISTENT: Bits = Bits(1 << 12);
    const READ_KEYED: Bits = Bits(1 << 13);
    const WRITE_KEYED: Bits = Bits(1 << 14);

    /// The peer ended its half: a read returns the end, and writing goes on as before.
    pub(crate) const READ_END: Bits = Bits::READABLE.union(Bits::READ_CLOSED);
    /// No byte that is written arrives any more: a write fails.
    pub(crate) const WRITE_END: Bits = Bits::WRITABLE.union(Bits::WRITE_CLOSED);
    /// An error is pending: the next operation, in either direction, returns it.
    pub(crate) const FAILED: Bits = Bits::READABLE.union(Bits::WRITABLE).union(Bits::ERROR);
    /// Urgent data is among the bytes: a read ends at it, short, with more behind.
    pub(crate) const URGENT_DATA: Bits = Bits::READABLE.union(Bits::URGENT);

    /// The flags of both.
    pub(crate) const fn union(self, other: Bits) -> Bits {
        Bits(self.0 | other.0)
    }

    /// The flags that are set in both.
    pub(super) const fn intersection(self, other: Bits) -> Bits {
        Bits(self.0 & other.0)
    }

    /// The flags that are set here and not in `other`.
    pub(super) const fn difference(self, other: Bits) -> Bits {
        Bits(self.0 & !other.0)
    }

    /// Whether any flag is set in both.
    pub(crate) const fn intersects(self, other: Bits) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all flags of `other` are set.
    pub(super) const fn contains(self, other: Bits) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a short read may have had another reason than an empty source.
    pub(crate) fn forbids_short_read(self) -> bool {
        self.intersects(Bits::READ_CLOSED | Bits::WRITE_CLOSED | Bits::ERROR | Bits::URGENT)
    }

    /// The waiting bits of the directions whose ready bits are set.
    pub(super) fn waiting(self) -> Bits {
        Direction::BOTH
            .into_iter()
            .filter(|direction| self.intersects(direction.ready()))
            .fold(Bits::NONE, |bits, direction| bits | direction.waiting())
    }

    /// As they are in the word.
    pub(super) const fn into_raw(self) -> u32 {
        self.0
    }

    /// From the word.
    pub(super) const fn from_raw(raw: u32) -> Bits {
        Bits(raw)
    }
}

impl BitOr for Bits {
    type Output = Bits;

    fn bitor(self, other: Bits) -> Bits {
        self.union(other)
    }
}
