//! The word itself: one method for each transition, and no access to the atomic elsewhere.

use super::bits::{Bits, Direction};
use super::outcome::{Arming, Delivery, Status};
use crate::mutant::{self, Mutant};
use crate::sync::{AtomicU64, Ordering};

/// Generation in the upper half, [`Bits`] in the lower one; [`Bits`] has the table of the flags.
#[derive(Debug)]
pub(crate) struct Readiness(AtomicU64);

/// The owner: a slot is taken, and given back.
impl Readiness {
    /// The word of a slot that has had no owner yet.
    pub(crate) fn new(generation: u32) -> Readiness {
        Readiness(AtomicU64::new(pack(generation, Bits::NONE)))
    }

    /// The owner's generation. Only for the owner: for other callers it may change.
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: only the owner changes it, and a thread sees its own writes.
        generation_of(self.0.load(Ordering::Relaxed))
    }

    /// A new owner takes the slot; returns its generation.
    ///
    /// Only under the lock of the free list, which orders this after the `retire` before it, and
    /// while no token of this generation exists.
    pub(crate) fn open(&self, bits: Bits) -> u32 {
        // Relaxed: the lock of the free list orders this after the `retire` before it.
        let generation = generation_of(self.0.load(Ordering::Relaxed));
        // Relaxed: other threads learn the token only through the kernel or the owner, and both
        // order this store before their use.
        self.0.store(pack(generation, bits), Ordering::Relaxed);
        generation
    }

    /// The owner leaves: from here on events that name it are stale.
    pub(crate) fn retire(&self) {
        // Relaxed: only the owner changes the generation, and nothing is published. A swap, so that
        // it has a place among the exchanges of the dispatchers: what came before is erased, what
        // comes after finds another generation.
        let next = generation_of(self.0.load(Ordering::Relaxed)).wrapping_add(1);
        self.0.swap(pack(next, Bits::NONE), Ordering::Relaxed);
    }
}

/// The dispatcher, and closing.
impl Readiness {
    /// The dispatcher brings an event for the owner of `generation`.
    #[inline]
    pub(crate) fn deliver(&self, generation: u32, event: Bits) -> Delivery {
        let (set, clear) = (mask(event), mask(event.waiting()));
        // Relaxed: a first guess; the exchange below decides.
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if generation_of(word) != generation && !mutant::on(Mutant::GenerationIgnored) {
                return Delivery::Stale;
            }
            // The exchange happens even when it changes nothing: a bit that is set already may be
            // about to be cleared, and only an exchange orders that clear after this event.
            //
            // Release pairs with the Acquire in `clear` and `status`: a read that follows the clear
            // sees the bytes of this event. Acquire pairs with the Release in `set_waiting`: the
            // waker is stored. Relaxed on failure: only another guess.
            match self.0.compare_exchange_weak(
                word,
                (word | set) & !clear,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Delivery::of(bits_of(word), event),
                Err(newer) => word = newer,
            }
        }
    }

    /// The queue was closed; the caller takes the wakers afterwards.
    pub(crate) fn mark_closed(&self) {
        // Acquire pairs with the Release in `set_waiting`: a waker whose task did not see the mark
        // is stored. Release pairs with the Acquire there.
        self.0.fetch_or(mask(Bits::QUEUE_CLOSED), Ordering::AcqRel);
    }
}

/// The task: it drains, or waits.
impl Readiness {
    /// The state of a direction; changes nothing.
    #[inline]
    pub(crate) fn status(&self, direction: Direction) -> Status {
        // Acquire pairs with the Release in `deliver` and `put_back`, as in `clear`.
        Status::of(bits_of(self.0.load(Ordering::Acquire)), direction)
    }

    /// The task is about to drain: clears its direction's ready bit if it is set.
    #[inline]
    pub(crate) fn take(&self, direction: Direction) -> Status {
        // Relaxed: the exchange in `clear` acquires; without it nothing is read that needs order.
        match Status::of(bits_of(self.0.load(Ordering::Relaxed)), direction) {
            Status::Ready(bits) if mutant::on(Mutant::ClearAfterDrain) => Status::Ready(bits),
            Status::Ready(_) => {
                let seen = self.clear(direction);
                match seen.intersects(direction.ready()) {
                    true => Status::Ready(seen),
                    false => Status::NotReady,
                }
            }
            other => other,
        }
    }

    /// Clears the ready bit; returns the flags before.
    #[inline]
    pub(crate) fn clear(&self, direction: Direction) -> Bits {
        // Acquire pairs with the Release in `deliver` and `put_back`: the event that this erases
        // happened before the drain that follows. Release pairs with the Acquire of the next
        // `clear`: the drain before this one happened before the drain after it.
        bits_of(self.0.fetch_and(!mask(direction.ready()), Ordering::AcqRel))
    }

    /// A drain ended before `WouldBlock`: sets the ready bit again. Returns whether a task that
    /// began to wait meanwhile is to be woken.
    #[must_use = "the waiting task must be woken"]
    #[inline]
    pub(crate) fn put_back(&self, direction: Direction) -> bool {
        // Release pairs with the Acquire in `clear`: it passes on the event that this drain took.
        // Acquire pairs with the Release in `set_waiting`: the waker is stored.
        let before = bits_of(self.0.fetch_or(mask(direction.ready()), Ordering::AcqRel));
        before.intersects(direction.waiting())
            && !mutant::on(Mutant::EarlyEndUnheard)
            && self.clear_waiting(direction)
    }

    /// The task stored its waker and waits, unless this, its second look, finds a reason not to.
    pub(crate) fn register_waiter(&self, direction: Direction) -> Status {
        Status::of(self.set_waiting(direction), direction)
    }

    /// As [`register_waiter`](Readiness::register_waiter), by a task that stores no waker if its
    /// persistent one is in the slot. True if it is and the task waits.
    #[must_use = "the waker must be stored if it is not in the slot"]
    #[inline]
    pub(crate) fn register_persistent_waiter(&self, direction: Direction) -> bool {
        let seen = self.set_waiting(direction);
        seen.intersects(direction.persistent()) && Status::of(seen, direction) == Status::NotReady
    }

    /// Sets the waiting bit; returns the flags before.
    #[inline]
    fn set_waiting(&self, direction: Direction) -> Bits {
        // Release pairs with the Acquire in `deliver`, `put_back`, `clear_waiting` and
        // `mark_closed`: a thread that finds the bit finds the waker. Acquire pairs with the
        // Release in `deliver` and `put_back`, as in `clear`, and in `mark_closed`.
        let seen = bits_of(self.0.fetch_or(mask(direction.waiting()), Ordering::AcqRel));
        match mutant::on(Mutant::NoSecondLook) {
            true => seen.intersection(direction.persistent()),
            false => seen,
        }
    }

    /// Wakers were taken and some are left. Only under the slot's lock, before it is released.
    pub(crate) fn restore_waiting(&self, direction: Direction) {
        // Release pairs with the Acquire in `deliver`, `put_back`, `clear_waiting` and
        // `mark_closed`, as in `set_waiting`.
        self.0.fetch_or(mask(direction.waiting()), Ordering::Release);
    }

    /// Clears the waiting bit; a thread that finds it set takes wakers out as an event does, and
    /// wakes the tasks. So a waker is not persistent from here on.
    pub(crate) fn clear_waiting(&self, direction: Direction) -> bool {
        let cleared = direction.waiting() | direction.persistent();
        // Acquire pairs with the Release in `set_waiting`: the waker is stored. Release passes on
        // what this thread acquired, to the Acquire of the next transition.
        let before = bits_of(self.0.fetch_and(!mask(cleared), Ordering::AcqRel));
        before.intersects(direction.waiting())
    }

    /// Whether the waiting bit is set.
    pub(crate) fn is_waiting(&self, direction: Direction) -> bool {
        // Relaxed: read by a mutant only.
        self.relaxed().intersects(direction.waiting())
    }

    /// A task that was woken leaves. Returns whether a waiting task is to be woken in its place.
    #[must_use = "the waiting task must be woken"]
    pub(crate) fn pass_on(&self, direction: Direction) -> bool {
        // Relaxed: the event that woke the task happened before the slot's lock was released, and
        // the task has had that lock since. The task of another event is woken by that event.
        let bits = self.relaxed();
        bits.intersects(direction.ready())
            && bits.intersects(direction.waiting())
            && self.clear_waiting(direction)
    }
}

/// What the word tells of the inline waker; only under the slot's lock.
impl Readiness {
    /// Whether the inline waker is persistent.
    #[inline]
    pub(crate) fn is_persistent(&self, direction: Direction) -> bool {
        // Relaxed: the lock orders it with `set_persistent` and `describe_waker`. A thread that
        // clears the bit without the lock takes the waker out itself afterwards; a clone that is
        // made before that is one spurious wake.
        self.relaxed().intersects(direction.persistent())
    }

    /// Whether the inline waker, if there is one, belongs to a keyed waiter.
    pub(crate) fn is_keyed(&self, direction: Direction) -> bool {
        // Relaxed: the lock orders it with `describe_waker`.
        self.relaxed().intersects(direction.keyed())
    }

    /// Says whether the inline waker is persistent.
    #[inline]
    pub(crate) fn set_persistent(&self, direction: Direction, persistent: bool) {
        self.replace(direction.persistent(), chosen(persistent, direction.persistent()));
    }

    /// Says of the inline waker that was just stored whether it is persistent, and whether it
    /// belongs to a keyed waiter.
    #[inline]
    pub(crate) fn describe_waker(&self, direction: Direction, persistent: bool, keyed: bool) {
        self.replace(
            direction.persistent() | direction.keyed(),
            chosen(persistent, direction.persistent()) | chosen(keyed, direction.keyed()),
        );
    }

    /// Makes the flags `among` be those that are `wanted`.
    #[inline]
    fn replace(&self, among: Bits, wanted: Bits) {
        // Relaxed, all three: see `is_persistent`.
        let current = self.relaxed().intersection(among);
        let (set, clear) = (wanted.difference(current), current.difference(wanted));
        if set != Bits::NONE {
            self.0.fetch_or(mask(set), Ordering::Relaxed);
        }
        if clear != Bits::NONE {
            self.0.fetch_and(!mask(clear), Ordering::Relaxed);
        }
    }
}

/// What the kernel reports.
impl Readiness {
    /// Whether the kernel reports this direction's events.
    #[inline]
    pub(crate) fn is_armed(&self, direction: Direction) -> bool {
        // Relaxed: the bit publishes nothing.
        self.relaxed().intersects(direction.armed())
    }

    /// The request that makes the kernel report a direction that is not armed. Under the slot's
    /// lock up to [`set_armed`](Readiness::set_armed), so that an earlier request of another thread
    /// has been answered.
    pub(crate) fn arming(&self) -> Arming {
        match Direction::BOTH.into_iter().any(|direction| self.is_armed(direction)) {
            true => Arming::Reregister,
            false => Arming::Register,
        }
    }

    /// The kernel has agreed to report this direction's events. Not before it has: no task may
    /// depend on a request that the kernel may refuse.
    pub(crate) fn set_armed(&self, direction: Direction) {
        // Relaxed: the slot's lock orders the threads that ask, and nothing is published.
        self.0.fetch_or(mask(direction.armed()), Ordering::Relaxed);
    }

    /// Each caller says why Relaxed is enough.
    #[inline]
    fn relaxed(&self) -> Bits {
        bits_of(self.0.load(Ordering::Relaxed))
    }
}

fn chosen(wanted: bool, bits: Bits) -> Bits {
    if wanted { bits } else { Bits::NONE }
}

fn pack(generation: u32, bits: Bits) -> u64 {
    u64::from(generation) << 32 | mask(bits)
}

fn mask(bits: Bits) -> u64 {
    u64::from(bits.into_raw())
}

fn generation_of(word: u64) -> u32 {
    (word >> 32) as u32
}

fn bits_of(word: u64) -> Bits {
    Bits::from_raw(word as u32)
}
