//! The readiness word of a source: its generation and its bits in one atomic.
//!
//! Readiness is state, not a message. The dispatcher sets a direction's bit; the task clears it
//! *before* it drains the source, so an edge that arrives during the drain sets the bit again by
//! itself and there is nothing to compare afterwards. A task that stops early sets the bit itself.
//!
//! Why nothing is lost, by cases. A waiting task stores its waker, then sets its `WAITING` bit; a
//! dispatcher sets the ready bit, then takes the waker if it found `WAITING`. Both are
//! read-modify-writes of this one word, so one of them comes first:
//!
//! - the task's: the dispatcher finds `WAITING`, and since it acquired what the task released it
//!   finds the stored waker too, or somebody took it in between, who then wakes it;
//! - the dispatcher's: the task's own read-modify-write returns the ready bit (its second look),
//!   and it does not wait.
//!
//! In the second case the task takes a waker out again and wakes it, which need not be its own any
//! more: an event that relied on the one there does not look in vain.
//!
//! Of several *registered* waiters an event wakes one, and the others rely on that one. The bit
//! `WAITING` is set again for them, under the lock that the wakers are taken under. So a later event
//! finds them; and so does the woken one, which passes the event on when it puts the ready bit back
//! ([`Readiness::put_back`]) or leaves while it is set ([`Readiness::pass_on`]). An event that comes
//! while the bit is clear wakes none of them, but then the thread that cleared it is about to take a
//! waker: the task that this one wakes looks at the word later than that.
//!
//! A waker that is *kept* is cloned and not taken, and the task sets its `WAITING` bit again without
//! storing it. Then the `KEPT` bit must not be set where no waker is, or the task waits in vain: so
//! it is set under the lock that the waker is stored under, and who takes a waker out asks for it
//! under the same lock. (A dispatcher that goes by what it found in the word before takes, late, the
//! waker of the next wait.)
//!
//! The same holds with [`Readiness::put_back`] or [`Readiness::mark_closed`] for the dispatcher.

use std::ops::BitOr;

use crate::sync::mutant::{self, Mutant};
use crate::sync::{AtomicU64, Ordering};

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

    fn ready(self) -> Bits {
        match self {
            Direction::Read => Bits::READABLE,
            Direction::Write => Bits::WRITABLE,
        }
    }

    fn waiting(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_WAITING,
            Direction::Write => Bits::WRITE_WAITING,
        }
    }

    fn kept(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_KEPT,
            Direction::Write => Bits::WRITE_KEPT,
        }
    }

    fn registered(self) -> Bits {
        match self {
            Direction::Read => Bits::READ_REGISTERED,
            Direction::Write => Bits::WRITE_REGISTERED,
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
/// | bit | meaning | set by | cleared by |
/// |---|---|---|---|
/// | `READABLE`, `WRITABLE` | the direction is worth a try | dispatcher; a drain that ends early; registration, for a direction not armed yet | the task, before it drains |
/// | `READ_CLOSED`, `WRITE_CLOSED` | the peer ended its half; ours is cut | dispatcher | reuse of the slot |
/// | `ERROR` | the source reported an error | dispatcher | reuse |
/// | `URGENT` | the source reported urgent data | dispatcher | reuse |
/// | `QUEUE_CLOSED` | the queue was closed | close | reuse (but a closed queue reuses nothing) |
/// | `READ_WAITING`, `WRITE_WAITING` | a task stored its waker and waits | that task; a thread that took wakers and left some, under the slot's lock | a thread that sets the direction's ready bit, or passes it on; a task that found it set after all; a waiter that took the last waker out, under the lock |
/// | `READ_KEPT`, `WRITE_KEPT` | a waker is in its place, and stays there when it is used | that task, under the slot's lock | a task that stores one that is not to stay, under the lock; whoever is about to take it out and wake it |
/// | `READ_REGISTERED`, `WRITE_REGISTERED` | the waker in its place, if there is one, is a registered waiter's | that waiter, under the slot's lock | a task that stores an anonymous one; a registered waiter that leaves without the event; both under the lock |
/// | `READ_ARMED`, `WRITE_ARMED` | the kernel tells of the direction's events | registration; the first task that has to wait, under the slot's lock, when the kernel has agreed | reuse |
///
/// The sticky ones (closed, error, urgent) never make a direction ready by themselves: the event
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
    const QUEUE_CLOSED: Bits = Bits(1 << 6);
    const READ_WAITING: Bits = Bits(1 << 7);
    const WRITE_WAITING: Bits = Bits(1 << 8);
    const READ_ARMED: Bits = Bits(1 << 9);
    const WRITE_ARMED: Bits = Bits(1 << 10);
    const READ_KEPT: Bits = Bits(1 << 11);
    const WRITE_KEPT: Bits = Bits(1 << 12);
    const READ_REGISTERED: Bits = Bits(1 << 13);
    const WRITE_REGISTERED: Bits = Bits(1 << 14);

    /// The peer ended its half: there is an end to read, and writing goes on as before.
    pub(crate) const READ_END: Bits = Bits::READABLE.and(Bits::READ_CLOSED);
    /// Nothing that is written will arrive any more: a write will say so.
    pub(crate) const WRITE_END: Bits = Bits::WRITABLE.and(Bits::WRITE_CLOSED);
    /// An error waits: whoever tries first will be told.
    pub(crate) const FAILED: Bits = Bits::READABLE.and(Bits::WRITABLE).and(Bits::ERROR);
    /// Urgent data is among the bytes: a read ends at it, short, with more behind.
    pub(crate) const URGENT_DATA: Bits = Bits::READABLE.and(Bits::URGENT);

    /// The bits of both.
    pub(crate) const fn and(self, other: Bits) -> Bits {
        Bits(self.0 | other.0)
    }

    /// Whether any bit is set in both.
    pub(crate) const fn meets(self, other: Bits) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether a short read may have had another reason than an empty source.
    pub(crate) fn forbids_short_read(self) -> bool {
        self.meets(Bits::READ_CLOSED | Bits::WRITE_CLOSED | Bits::ERROR | Bits::URGENT)
    }

    /// The waiting bits of the directions whose ready bits are in here.
    fn waiting(self) -> Bits {
        Direction::BOTH
            .into_iter()
            .filter(|direction| self.meets(direction.ready()))
            .fold(Bits::NONE, |bits, direction| bits | direction.waiting())
    }
}

impl BitOr for Bits {
    type Output = Bits;

    fn bitor(self, other: Bits) -> Bits {
        self.and(other)
    }
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the waiting tasks must be woken"]
pub(crate) enum Delivery {
    /// Its source is gone.
    Stale,
    /// It told nothing new and nobody waited.
    Spurious,
    /// It is in the word; the wakers of these directions are to be taken.
    Delivered(Waiters),
}

/// The directions in which a task was found waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiters(Bits);

impl Waiters {
    pub(crate) fn include(self, direction: Direction) -> bool {
        self.0.meets(direction.waiting())
    }
}

/// What a task found in its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a cleared bit obliges to drain or to put it back"]
pub(crate) enum Look {
    /// Ready; these were the bits. From [`Readiness::take`]: the ready bit is clear now.
    Ready(Bits),
    /// Not ready.
    NotReady,
    /// The queue is closed.
    QueueClosed,
}

/// What the kernel is to be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the kernel must be asked for the events"]
pub(crate) enum Arming {
    /// For this direction: it does not know the source yet.
    First,
    /// For both directions: it knows the source for the other one.
    Second,
}

/// Generation in the upper half, [`Bits`] in the lower one.
#[derive(Debug)]
pub(crate) struct Readiness(AtomicU64);

impl Readiness {
    /// The word of a slot that nobody owned yet.
    pub(crate) fn new(generation: u32) -> Readiness {
        Readiness(AtomicU64::new(pack(generation, Bits::NONE)))
    }

    /// The generation of the owner, for that owner: for others it may change.
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: only the owner changes it.
        generation_of(self.0.load(Ordering::Relaxed))
    }

    /// A new owner takes the slot; returns its generation.
    ///
    /// Only under the lock of the free list, which orders this after the `retire` before it, and
    /// while no token of this generation exists.
    pub(crate) fn open(&self, bits: Bits) -> u32 {
        // Relaxed: the free list's lock pairs with the thread that retired the slot.
        let generation = generation_of(self.0.load(Ordering::Relaxed));
        // Relaxed: other threads learn the token only by way of the kernel or the owner.
        self.0.store(pack(generation, bits), Ordering::Relaxed);
        generation
    }

    /// The owner leaves: from here on events that name it are stale.
    pub(crate) fn retire(&self) {
        // Relaxed: only the owner changes the generation, and nothing is published. An exchange, so
        // that its place among those of the dispatchers is plain: one that came before is erased,
        // one that comes after finds another generation.
        let next = generation_of(self.0.load(Ordering::Relaxed)).wrapping_add(1);
        self.0.swap(pack(next, Bits::NONE), Ordering::Relaxed);
    }

    /// The dispatcher brings an event for the owner of `generation`.
    #[inline]
    pub(crate) fn deliver(&self, generation: u32, bits: Bits) -> Delivery {
        let (set, clear) = (u64::from(bits.0), u64::from(bits.waiting().0));
        // Relaxed: a first guess; the exchange below decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if generation_of(word) != generation && !mutant::on(Mutant::GenerationIgnored) {
                return Delivery::Stale;
            }
            // The exchange happens even when it changes nothing: a bit that is set already may be
            // about to be cleared, and only an exchange makes that clear come after this event.
            //
            // AcqRel: Release pairs with the Acquire in `take`, so that a read that follows the
            // clear sees the bytes of this event. Acquire pairs with the Release in `announce`, so
            // that the waker is in its place. Relaxed on failure: only another guess.
            match self.0.compare_exchange_weak(
                word,
                (word | set) & !clear,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return delivered(bits_of(word), bits),
                Err(newer) => word = newer,
            }
        }
    }

    /// The task is about to drain: clears its direction's ready bit if it is set.
    #[inline]
    pub(crate) fn take(&self, direction: Direction) -> Look {
        // Relaxed: the exchange below acquires; without it nothing is read that needs order.
        let bits = bits_of(self.0.load(Ordering::Relaxed));
        if bits.meets(Bits::QUEUE_CLOSED) {
            return Look::QueueClosed;
        }
        if !bits.meets(direction.ready()) {
            return Look::NotReady;
        }
        if mutant::on(Mutant::ClearAfterDrain) {
            return Look::Ready(bits);
        }
        let seen = self.clear(direction);
        if seen.meets(direction.ready()) { Look::Ready(seen) } else { Look::NotReady }
    }

    /// Clears the ready bit; returns the bits before.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction) -> Bits {
        // Acquire pairs with the Release of `deliver` and `put_back`: the event that this erases
        // happened before the drain that follows. Release keeps what the last drain did before.
        bits_of(self.0.fetch_and(!u64::from(direction.ready().0), Ordering::AcqRel))
    }

    /// Looks at a direction and changes nothing.
    #[inline]
    pub(crate) fn look(&self, direction: Direction) -> Look {
        // Acquire pairs with the Release of `deliver` and `put_back`, as in `clear`.
        look_at(bits_of(self.0.load(Ordering::Acquire)), direction)
    }

    /// The task stored its waker and will wait, unless this, its second look, finds a reason not to.
    pub(crate) fn announce(&self, direction: Direction) -> Look {
        look_at(self.begin_waiting(direction), direction)
    }

    /// As [`announce`](Readiness::announce) by a task that stores no waker if the one before is kept.
    /// True if it is and the task waits.
    #[must_use = "the waker must be stored if it is not in its place"]
    #[inline]
    pub(crate) fn announce_again(&self, direction: Direction) -> bool {
        let seen = self.begin_waiting(direction);
        seen.meets(direction.kept()) && look_at(seen, direction) == Look::NotReady
    }

    /// Sets the waiting bit; returns the bits before.
    #[inline]
    fn begin_waiting(&self, direction: Direction) -> Bits {
        // Release pairs with the Acquire of `deliver`, `put_back` and `mark_closed`: who finds the
        // bit finds the waker. Acquire pairs with their Release, as in `clear`.
        let waiting = u64::from(direction.waiting().0);
        let seen = bits_of(self.0.fetch_or(waiting, Ordering::AcqRel));
        match mutant::on(Mutant::NoSecondLook) {
            true => Bits(seen.0 & direction.kept().0),
            false => seen,
        }
    }

    /// Whether the waker in its place is to stay there. Only under the slot's lock, as are
    /// [`keep`](Readiness::keep) and [`describe`](Readiness::describe).
    #[inline]
    pub(crate) fn keeps(&self, direction: Direction) -> bool {
        // Relaxed: the lock orders it with `keep`. Who clears it without the lock takes the waker out
        // himself afterwards, and one that is cloned before is one wake more.
        bits_of(self.0.load(Ordering::Relaxed)).meets(direction.kept())
    }

    /// Says whether the waker in its place is to stay there.
    #[inline]
    pub(crate) fn keep(&self, direction: Direction, keep: bool) {
        self.set_marks(direction.kept(), if keep { direction.kept() } else { Bits::NONE });
    }

    /// Says of the waker that was just stored in its place whether it is to stay, and whether it is a
    /// registered waiter's. Only under the slot's lock.
    #[inline]
    pub(crate) fn describe(&self, direction: Direction, keep: bool, registered: bool) {
        let kept = if keep { direction.kept() } else { Bits::NONE };
        let owned = if registered { direction.registered() } else { Bits::NONE };
        self.set_marks(direction.kept() | direction.registered(), kept | owned);
    }

    #[inline]
    fn set_marks(&self, among: Bits, wanted: Bits) {
        // Relaxed: see `keeps`.
        let marks = bits_of(self.0.load(Ordering::Relaxed)).0 & among.0;
        let (set, clear) = (wanted.0 & !marks, marks & !wanted.0);
        if set != 0 {
            self.0.fetch_or(u64::from(set), Ordering::Relaxed);
        }
        if clear != 0 {
            self.0.fetch_and(!u64::from(clear), Ordering::Relaxed);
        }
    }

    /// Whether the waker in its place, if there is one, is a registered waiter's. Only under the
    /// slot's lock.
    pub(crate) fn is_registered(&self, direction: Direction) -> bool {
        // Relaxed: the lock orders it with `describe`.
        bits_of(self.0.load(Ordering::Relaxed)).meets(direction.registered())
    }

    /// Wakers were taken and some are left. Only under the slot's lock, before it is released.
    pub(crate) fn keep_waiting(&self, direction: Direction) {
        // Release pairs with the Acquire of `deliver`, `put_back`, `pass_on` and `mark_closed`, as in
        // `announce`.
        self.0.fetch_or(u64::from(direction.waiting().0), Ordering::Release);
    }

    /// Whether a task is said to wait.
    pub(crate) fn is_waiting(&self, direction: Direction) -> bool {
        // Relaxed: for a mutant.
        bits_of(self.0.load(Ordering::Relaxed)).meets(direction.waiting())
    }

    /// A task that was woken leaves. Returns whether one that waits is to be woken in its place.
    #[must_use = "the waiting task must be woken"]
    pub(crate) fn pass_on(&self, direction: Direction) -> bool {
        // Relaxed: the event that woke the task happened before the slot's lock was released, which
        // the task has had since; what another one brings, that one is told of.
        let bits = bits_of(self.0.load(Ordering::Relaxed));
        bits.meets(direction.ready())
            && bits.meets(direction.waiting())
            && self.stop_waiting(direction)
    }

    /// A drain ended before `WouldBlock`: sets the ready bit again. Returns whether a task that
    /// began to wait meanwhile is to be woken.
    #[must_use = "the waiting task must be woken"]
    #[inline]
    pub(crate) fn put_back(&self, direction: Direction) -> bool {
        // Release pairs with the Acquire of `clear`: it passes on the event that this drain took.
        // Acquire pairs with the Release of `announce`: the waker is in its place.
        let word = self.0.fetch_or(u64::from(direction.ready().0), Ordering::AcqRel);
        bits_of(word).meets(direction.waiting())
            && !mutant::on(Mutant::EarlyEndUnheard)
            && self.stop_waiting(direction)
    }

    /// Whether the kernel tells of this direction's events.
    #[inline]
    pub(crate) fn is_armed(&self, direction: Direction) -> bool {
        // Relaxed: the bit publishes nothing.
        bits_of(self.0.load(Ordering::Relaxed)).meets(direction.armed())
    }

    /// What the kernel is to be asked for, so that it tells of a direction that is not armed. Under
    /// the lock of the slot, up to [`arm`](Readiness::arm): so what another thread asked for before
    /// has been answered.
    pub(crate) fn arming(&self) -> Arming {
        match Direction::BOTH.into_iter().any(|direction| self.is_armed(direction)) {
            true => Arming::Second,
            false => Arming::First,
        }
    }

    /// The kernel has agreed to tell of this direction's events. Not before it has: nobody may rely
    /// on a request that it may refuse.
    pub(crate) fn arm(&self, direction: Direction) {
        // Relaxed: the slot's lock orders those who ask, and nothing is published.
        self.0.fetch_or(u64::from(direction.armed().0), Ordering::Relaxed);
    }

    /// The queue was closed; the caller takes the wakers afterwards.
    pub(crate) fn mark_closed(&self) {
        // Acquire pairs with the Release of `announce`: a waker whose task did not see the mark is
        // in its place. Release pairs with the Acquire there.
        self.0.fetch_or(u64::from(Bits::QUEUE_CLOSED.0), Ordering::AcqRel);
    }

    /// Takes the waiting bit; a thread that finds it set takes wakers out as an event does, and wakes
    /// the tasks. So a waker is not kept from here on.
    pub(crate) fn stop_waiting(&self, direction: Direction) -> bool {
        let taken = direction.waiting() | direction.kept();
        // Acquire pairs with the Release of `announce`: the waker is in its place.
        let word = self.0.fetch_and(!u64::from(taken.0), Ordering::AcqRel);
        bits_of(word).meets(direction.waiting())
    }
}

fn delivered(before: Bits, event: Bits) -> Delivery {
    let waiters = Bits(before.0 & event.waiting().0);
    if waiters == Bits::NONE && before.0 & event.0 == event.0 {
        return Delivery::Spurious;
    }
    Delivery::Delivered(Waiters(waiters))
}

fn look_at(bits: Bits, direction: Direction) -> Look {
    if bits.meets(Bits::QUEUE_CLOSED) {
        Look::QueueClosed
    } else if bits.meets(direction.ready()) {
        Look::Ready(bits)
    } else {
        Look::NotReady
    }
}

fn pack(generation: u32, bits: Bits) -> u64 {
    u64::from(generation) << 32 | u64::from(bits.0)
}

fn generation_of(word: u64) -> u32 {
    (word >> 32) as u32
}

fn bits_of(word: u64) -> Bits {
    Bits(word as u32)
}

#[cfg(all(test, not(heist_loom)))]
#[path = "readiness_tests.rs"]
mod tests;
