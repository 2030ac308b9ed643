//! A place in the table of sources: a readiness word and, for each direction, the wakers of the tasks
//! that wait there.
//!
//! A waiter is *anonymous* or *registered*. The slot knows an anonymous one by its waker alone, and
//! never learns that it lost interest; so an event wakes all of them. A [`Registered`] one says so,
//! and passes the event on; so an event wakes one of them. If wakers are left, the `WAITING` bit is
//! set again under the lock that they are taken under.

mod registered;
mod stored;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::{Context, Poll, Waker};

pub(crate) use self::registered::Registered;
use self::stored::{Key, List, Stored};
use crate::error::Closed;
use crate::readiness::{Arming, Bits, Delivery, Direction, Look, Readiness};
use crate::sync::Mutex;
use crate::sync::mutant::{self, Mutant};

/// One place; its owners follow each other, told apart by the generation in the word.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) word: Readiness,
    /// The wakers of each direction. Holding this = the right to change them, and to ask the kernel
    /// for the events of a direction. No waker is called or dropped under it; one that is kept is
    /// cloned.
    waiting: Mutex<[Stored; 2]>,
}

/// What an idle source costs this crate.
#[cfg(not(heist_loom))]
const _: () = assert!(size_of::<Slot>() <= 48);

impl Slot {
    /// A place that nobody owned yet.
    pub(crate) fn new(generation: u32) -> Slot {
        Slot { word: Readiness::new(generation), waiting: Mutex::new([Stored::EMPTY; 2]) }
    }

    /// Clears the direction's ready bit and returns the bits before, or stores the task's waker.
    /// `ask` asks the kernel for the direction's events; it is called at most once a registration
    /// unless it fails, and under the slot's lock.
    #[inline]
    pub(crate) fn poll_take(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        company: Company,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.take(direction) {
            Look::NotReady => {}
            found => return settle(found),
        }
        match self.wait(direction, cx, company, ask)? {
            Look::NotReady => Poll::Pending,
            // What the second look found is not taken yet. If another task takes it first, this one
            // waits: its waker is stored and announced.
            _ => self.settle_late(direction, self.word.take(direction)),
        }
    }

    /// As [`poll_take`](Slot::poll_take), but leaves the ready bit as it is.
    pub(crate) fn poll_ready(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.look(direction) {
            Look::NotReady => {
                let found = self.wait(direction, cx, Company::Shared, ask)?;
                self.settle_late(direction, found)
            }
            found => settle(found),
        }
    }

    /// As [`poll_ready`](Slot::poll_ready), but the waker stays in its place and is not stored again:
    /// for a task that has the source to itself and keeps it.
    #[inline]
    pub(crate) fn poll_ready_keeping(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.announce_again(direction) {
            true => Poll::Pending,
            false => self.poll_ready_anew(direction, cx, ask),
        }
    }

    /// The waker is not in its place, or there is no need to wait.
    #[cold]
    fn poll_ready_anew(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        // It was announced too early. Whoever has found it so meanwhile has woken the task, or has
        // found no waker; the look that follows finds what it brought.
        self.word.stop_waiting(direction);
        match self.word.look(direction) {
            Look::NotReady => {
                let found = self.wait(direction, cx, Company::Kept, ask)?;
                self.settle_late(direction, found)
            }
            found => settle(found),
        }
    }

    /// Wakes for an event the tasks that wait in this direction.
    #[cold]
    pub(crate) fn wake(&self, direction: Direction) {
        let mut anonymous = Vec::new();
        let waker = self.use_waker(direction, &mut anonymous);
        wake_all(anonymous.into_iter().chain(waker));
    }

    /// Brings an event for the owner of `generation`; the wakers for it go to `out`.
    #[inline]
    pub(crate) fn deliver(&self, generation: u32, bits: Bits, out: &mut Vec<Waker>) -> Delivery {
        let delivery = self.word.deliver(generation, bits);
        if let Delivery::Delivered(waiters) = delivery {
            for direction in Direction::BOTH {
                if waiters.include(direction)
                    && let Some(waker) = self.use_waker(direction, out)
                {
                    out.push(waker);
                }
            }
        }
        delivery
    }

    /// Takes all wakers; the caller wakes or drops them when it holds no lock.
    #[must_use = "the tasks wait for these wakers"]
    pub(crate) fn take_wakers(&self, direction: Direction) -> Stored {
        self.waiting.lock()[direction as usize].take()
    }

    /// The wakers for one event: one is returned, further ones go to `out`. Asked under the lock
    /// whether a waker stays: what the event found may be out of date by now, and a waker that is
    /// kept must not be taken.
    #[inline(always)]
    fn use_waker(&self, direction: Direction, out: &mut Vec<Waker>) -> Option<Waker> {
        let early = mutant::on(Mutant::KeptAskedEarly) && self.word.keeps(direction);
        let stored = &mut self.waiting.lock()[direction as usize];
        let keep = match mutant::on(Mutant::KeptAskedEarly) {
            true => early,
            false => self.word.keeps(direction) && !mutant::on(Mutant::KeptWakerTaken),
        };
        match stored {
            Stored::One(waker) if keep => Some(waker.clone()),
            Stored::Listed(Some(list)) => {
                let next = self.use_list(direction, list, out);
                stored.free_if_empty();
                next
            }
            _ => match stored.take() {
                Stored::One(waker) => Some(waker),
                Stored::Listed(_) => None,
            },
        }
    }

    /// The same for several waiters. Under the slot's lock.
    #[cold]
    fn use_list(
        &self,
        direction: Direction,
        list: &mut List,
        out: &mut Vec<Waker>,
    ) -> Option<Waker> {
        let next = list.take_next(out);
        if !list.is_empty() && !mutant::on(Mutant::RestUnannounced) {
            self.word.keep_waiting(direction);
        }
        next
    }

    /// Stores the waker, then looks again.
    #[inline(always)]
    fn wait(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        company: Company,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<Look> {
        self.ensure_armed(direction, ask)?;
        self.store(direction, cx.waker(), company);
        Ok(self.word.announce(direction))
    }

    /// The kernel tells of the direction's events afterwards.
    #[inline]
    fn ensure_armed(
        &self,
        direction: Direction,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.word.is_armed(direction) {
            true => Ok(()),
            false => self.arm(direction, ask),
        }
    }

    /// Asks the kernel for the direction's events, unless somebody else has meanwhile.
    #[cold]
    fn arm(
        &self,
        direction: Direction,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<()> {
        let _asking = (!mutant::on(Mutant::AskedUnlocked)).then(|| self.waiting.lock());
        if self.word.is_armed(direction) {
            return Ok(());
        }
        let arming = self.word.arming();
        if mutant::on(Mutant::ArmedTooEarly) {
            self.word.arm(direction);
        }
        ask(arming)?;
        self.word.arm(direction);
        Ok(())
    }

    /// Settles what was found when the waker was stored already. No task leaves its waker behind and
    /// goes on: it may own the source, and the two would keep each other alive.
    #[cold]
    fn settle_late(&self, direction: Direction, found: Look) -> Poll<io::Result<Bits>> {
        if found != Look::NotReady && !mutant::on(Mutant::WakerLeftBehind) {
            self.word.stop_waiting(direction);
            // By now the waker there may be another task's, or that of another future of this task
            // which an event relies on: so what is taken is woken, and it is what an event takes.
            if mutant::on(Mutant::TakenWakerDropped) {
                drop(self.take_wakers(direction));
            } else {
                self.wake(direction);
            }
        }
        settle(found)
    }

    #[inline(always)]
    fn store(&self, direction: Direction, waker: &Waker, company: Company) {
        let mine = waker.clone();
        let mut waiting = self.waiting.lock();
        let stored = &mut waiting[direction as usize];
        let left_over = match stored {
            // Two clones are compared, not a clone with the task's own waker: these may have
            // different tables for the same task, and it would displace and wake itself for ever.
            Stored::One(there) if there.will_wake(&mine) => {
                self.word.keep(direction, company == Company::Kept);
                LeftOver::Unused(mine)
            }
            Stored::Listed(None) => {
                *stored = Stored::One(mine);
                self.word.describe(direction, company == Company::Kept, false);
                return;
            }
            _ => self.store_beside(direction, stored, mine, company),
        };
        drop(waiting);
        left_over.settle();
    }

    /// Stores a waker where others are. Under the slot's lock.
    #[cold]
    fn store_beside(
        &self,
        direction: Direction,
        stored: &mut Stored,
        mine: Waker,
        company: Company,
    ) -> LeftOver {
        // A kept waker is of a task that had the source to itself and has handed it on.
        let displaces = company != Company::Shared
            || matches!(stored, Stored::One(_)) && self.word.keeps(direction)
            || mutant::on(Mutant::FurtherDisplaces);
        if displaces {
            let displaced = std::mem::replace(stored, Stored::One(mine));
            self.word.describe(direction, company == Company::Kept, false);
            return LeftOver::Displaced(displaced);
        }
        let first = self.word.is_registered(direction).then_some(Key::First);
        match stored.list(first).push(None, mine) {
            Some(unused) => LeftOver::Unused(unused),
            None => LeftOver::Displaced(Stored::EMPTY),
        }
    }
}

/// Whether a task that waits has company in its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// Any number of tasks may wait.
    Shared,
    /// One task at a time waits. A waker that is there is that of a task which waited before: it is
    /// displaced and woken, so that wakers do not pile up where a source goes from task to task.
    Alone,
    /// The same, and the waker stays in its place when it is used.
    Kept,
}

/// What is left of a store when the lock is free again.
enum LeftOver {
    /// It was there already.
    Unused(Waker),
    /// They are to be woken.
    Displaced(Stored),
}

impl LeftOver {
    #[inline]
    fn settle(self) {
        match self {
            LeftOver::Unused(waker) => drop(waker),
            LeftOver::Displaced(_) if mutant::on(Mutant::ReplacedWakerDropped) => {}
            LeftOver::Displaced(displaced) => displaced.wake(),
        }
    }
}

/// Calls wakers: all of them, whatever one of them does. The first panic goes on to the caller, unless
/// that unwinds already.
fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut wakers = wakers.into_iter();
    let mut first = None;
    while let Err(payload) =
        catch_unwind(AssertUnwindSafe(|| wakers.by_ref().for_each(Waker::wake)))
    {
        // Its drop is foreign code, too, and would keep the others from being called.
        match first {
            None => first = Some(payload),
            Some(_) => std::mem::forget(payload),
        }
    }
    match first {
        Some(payload) if std::thread::panicking() => std::mem::forget(payload),
        Some(payload) => resume_unwind(payload),
        None => {}
    }
}

fn settle(found: Look) -> Poll<io::Result<Bits>> {
    match found {
        Look::Ready(bits) => Poll::Ready(Ok(bits)),
        Look::NotReady => Poll::Pending,
        Look::QueueClosed => Poll::Ready(Err(Closed.into())),
    }
}
