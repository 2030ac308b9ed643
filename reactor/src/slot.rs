//! A slot of the table of sources: a readiness word and, for each direction, the wakers of the
//! tasks that wait there.
//!
//! A waiter is *anonymous* or *keyed*. The slot knows an anonymous waiter by its waker alone and is
//! not told when that waiter loses interest; so an event wakes all anonymous waiters. A
//! [`KeyedWaiter`] tells it, and passes the event on; so an event wakes one keyed waiter. If wakers
//! are left, the `WAITING` bit is set again under the lock that they are taken under.

mod keyed;
mod wakers;

use std::io;
use std::task::{Context, Poll, Waker};

pub(crate) use self::keyed::KeyedWaiter;
use self::wakers::{Key, List, Wakers, wake_all};
use crate::error::Closed;
use crate::mutant::{self, Mutant};
use crate::readiness::{Arming, Bits, Delivery, Direction, Readiness, Status};
use crate::sync::Mutex;

/// One slot; its owners follow each other, told apart by the generation in the word.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) word: Readiness,
    /// The wakers of each direction. Holding this = the right to change them, and to ask the kernel
    /// for the events of a direction. No waker is called or dropped under it; a persistent one is
    /// cloned under it.
    wakers: Mutex<[Wakers; 2]>,
}

/// The cost of an idle source to this crate.
#[cfg(not(heist_loom))]
const _: () = assert!(size_of::<Slot>() <= 48);

impl Slot {
    /// A slot that has had no owner yet.
    pub(crate) fn new(generation: u32) -> Slot {
        Slot { word: Readiness::new(generation), wakers: Mutex::new([Wakers::EMPTY; 2]) }
    }

    /// Clears the direction's ready bit and returns the flags before, or stores the task's waker.
    /// `request` asks the kernel for the direction's events; it is called under the slot's lock,
    /// and once in the life of a source unless it fails.
    #[inline]
    pub(crate) fn poll_take(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mode: WaitMode,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.take(direction) {
            Status::NotReady => {}
            found => return into_poll(found),
        }
        match self.wait(direction, cx, mode, request)? {
            Status::NotReady => Poll::Pending,
            // What the second look found is not taken yet. If another task takes it first, this one
            // waits: its waker is stored and the waiting bit set.
            _ => self.finish_wait(direction, self.word.take(direction)),
        }
    }

    /// As [`poll_take`](Slot::poll_take), but leaves the ready bit as it is.
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.status(direction) {
            Status::NotReady => {
                let found = self.wait(direction, cx, WaitMode::Shared, request)?;
                self.finish_wait(direction, found)
            }
            found => into_poll(found),
        }
    }

    /// As [`poll_ready`](Slot::poll_ready), with a persistent waker: it stays in the slot and is
    /// not stored again. For a task that has the source to itself and keeps it.
    #[inline]
    pub(crate) fn poll_ready_persistent(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.register_persistent_waiter(direction) {
            true => Poll::Pending,
            false => self.poll_ready_slow(direction, cx, request),
        }
    }

    /// The waker is not stored, or there is no need to wait.
    #[cold]
    fn poll_ready_slow(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        // The waiting bit was set too early. A thread that has found it meanwhile has woken the
        // task, or has found no waker; the look that follows finds what that thread brought.
        self.word.clear_waiting(direction);
        match self.word.status(direction) {
            Status::NotReady => {
                let found = self.wait(direction, cx, WaitMode::Persistent, request)?;
                self.finish_wait(direction, found)
            }
            found => into_poll(found),
        }
    }

    /// Wakes for an event the tasks that wait in this direction.
    #[cold]
    pub(crate) fn wake(&self, direction: Direction) {
        let mut anonymous = Vec::new();
        let waker = self.take_next(direction, &mut anonymous);
        wake_all(anonymous.into_iter().chain(waker));
    }

    /// Brings an event for the owner of `generation`; the wakers for it go to `out`.
    #[inline]
    pub(crate) fn deliver(&self, generation: u32, event: Bits, out: &mut Vec<Waker>) -> Delivery {
        let delivery = self.word.deliver(generation, event);
        if let Delivery::Delivered(waiters) = delivery {
            for direction in Direction::BOTH {
                if waiters.contains(direction)
                    && let Some(waker) = self.take_next(direction, out)
                {
                    out.push(waker);
                }
            }
        }
        delivery
    }

    /// Takes all wakers; the caller wakes or drops them when it holds no lock.
    #[must_use = "the tasks wait for these wakers"]
    pub(crate) fn take_wakers(&self, direction: Direction) -> Wakers {
        self.wakers.lock()[direction as usize].take()
    }

    /// The wakers for one event: one is returned, further ones go to `out`. Whether the waker is
    /// persistent is read under the lock: what the event found may be out of date by now, and a
    /// persistent waker must not be taken.
    #[inline(always)]
    fn take_next(&self, direction: Direction, out: &mut Vec<Waker>) -> Option<Waker> {
        let early = mutant::on(Mutant::PersistentReadEarly) && self.word.is_persistent(direction);
        let wakers = &mut self.wakers.lock()[direction as usize];
        let stays = match mutant::on(Mutant::PersistentReadEarly) {
            true => early,
            false => self.word.is_persistent(direction) && !mutant::on(Mutant::PersistentTaken),
        };
        match wakers {
            Wakers::Inline(waker) if stays => Some(waker.clone()),
            Wakers::List(Some(list)) => {
                let next = self.take_listed(direction, list, out);
                wakers.free_if_empty();
                next
            }
            _ => match wakers.take() {
                Wakers::Inline(waker) => Some(waker),
                Wakers::List(_) => None,
            },
        }
    }

    /// The same for several waiters. Under the slot's lock.
    #[cold]
    fn take_listed(
        &self,
        direction: Direction,
        list: &mut List,
        out: &mut Vec<Waker>,
    ) -> Option<Waker> {
        let next = list.take_next(out);
        if !list.is_empty() && !mutant::on(Mutant::WaitingNotRestored) {
            self.word.restore_waiting(direction);
        }
        next
    }

    /// Stores the waker, then looks again.
    #[inline(always)]
    fn wait(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mode: WaitMode,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<Status> {
        self.ensure_armed(direction, request)?;
        self.store(direction, cx.waker(), mode);
        Ok(self.word.register_waiter(direction))
    }

    /// Afterwards the kernel reports the direction's events.
    #[inline]
    fn ensure_armed(
        &self,
        direction: Direction,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.word.is_armed(direction) {
            true => Ok(()),
            false => self.arm(direction, request),
        }
    }

    /// Asks the kernel for the direction's events, unless another thread has meanwhile.
    #[cold]
    fn arm(
        &self,
        direction: Direction,
        request: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<()> {
        let _arming = (!mutant::on(Mutant::ArmedUnlocked)).then(|| self.wakers.lock());
        if self.word.is_armed(direction) {
            return Ok(());
        }
        let arming = self.word.arming();
        if mutant::on(Mutant::ArmedTooEarly) {
            self.word.set_armed(direction);
        }
        request(arming)?;
        self.word.set_armed(direction);
        Ok(())
    }

    /// Ends a wait for which the waker was already stored, with what the second look found. No task
    /// goes on and leaves its waker behind: the task may own the source, and each would keep the
    /// other alive.
    #[cold]
    fn finish_wait(&self, direction: Direction, found: Status) -> Poll<io::Result<Bits>> {
        if found != Status::NotReady && !mutant::on(Mutant::WakerLeftBehind) {
            self.word.clear_waiting(direction);
            // By now the stored waker may belong to another task, or to another future of this
            // task, that depends on an event. So what is taken out is woken, as an event would.
            if mutant::on(Mutant::TakenWakerDropped) {
                drop(self.take_wakers(direction));
            } else {
                self.wake(direction);
            }
        }
        into_poll(found)
    }

    #[inline(always)]
    fn store(&self, direction: Direction, waker: &Waker, mode: WaitMode) {
        let mine = waker.clone();
        let persistent = mode == WaitMode::Persistent;
        let mut locked = self.wakers.lock();
        let wakers = &mut locked[direction as usize];
        let leftover = match wakers {
            // Two clones are compared, not a clone with the task's own waker: these may have
            // different vtables for the same task, and it would displace and wake itself for ever.
            Wakers::Inline(there) if there.will_wake(&mine) => {
                self.word.set_persistent(direction, persistent);
                Leftover::Unused(mine)
            }
            Wakers::List(None) => {
                *wakers = Wakers::Inline(mine);
                self.word.describe_waker(direction, persistent, false);
                return;
            }
            _ => self.store_beside(direction, wakers, mine, mode),
        };
        drop(locked);
        leftover.release();
    }

    /// Stores a waker beside others. Under the slot's lock.
    #[cold]
    fn store_beside(
        &self,
        direction: Direction,
        wakers: &mut Wakers,
        mine: Waker,
        mode: WaitMode,
    ) -> Leftover {
        // A persistent waker belongs to a task that had the source to itself and has handed it on.
        let displaces = mode != WaitMode::Shared
            || matches!(wakers, Wakers::Inline(_)) && self.word.is_persistent(direction)
            || mutant::on(Mutant::FurtherDisplaces);
        if displaces {
            let displaced = std::mem::replace(wakers, Wakers::Inline(mine));
            self.word.describe_waker(direction, mode == WaitMode::Persistent, false);
            return Leftover::Displaced(displaced);
        }
        let owner = self.word.is_keyed(direction).then_some(Key::Inline);
        match wakers.list(owner).push(None, mine) {
            Some(unused) => Leftover::Unused(unused),
            None => Leftover::Displaced(Wakers::EMPTY),
        }
    }
}

/// How a task waits in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMode {
    /// Any number of tasks may wait.
    Shared,
    /// One task at a time waits. A stored waker belongs to a task that waited before: it is
    /// displaced and woken, so that wakers do not pile up where a source moves from task to task.
    Exclusive,
    /// As `Exclusive`, and the waker stays in the slot when it is used.
    Persistent,
}

/// A waker that a store does not need; released after the lock.
enum Leftover {
    /// It was stored already.
    Unused(Waker),
    /// These are to be woken.
    Displaced(Wakers),
}

impl Leftover {
    #[inline]
    fn release(self) {
        match self {
            Leftover::Unused(waker) => drop(waker),
            Leftover::Displaced(_) if mutant::on(Mutant::ReplacedWakerDropped) => {}
            Leftover::Displaced(displaced) => displaced.wake(),
        }
    }
}

fn into_poll(status: Status) -> Poll<io::Result<Bits>> {
    match status {
        Status::Ready(bits) => Poll::Ready(Ok(bits)),
        Status::NotReady => Poll::Pending,
        Status::QueueClosed => Poll::Ready(Err(Closed.into())),
    }
}
