//! A place in the table of sources: a readiness word and, for each direction, the waker of the one
//! task that waits there.

use std::io;
use std::task::{Context, Poll, Waker};

use crate::error::Closed;
use crate::readiness::{Arming, Bits, Delivery, Direction, Look, Readiness};
use crate::sync::Mutex;
use crate::sync::mutant::{self, Mutant};

/// One place; its owners follow each other, told apart by the generation in the word.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) word: Readiness,
    /// Who waits in each direction. Holding this = the right to change that, and to ask the kernel
    /// for the events of a direction. No waker is called or dropped under it; one that is kept is
    /// cloned.
    waiting: Mutex<[Option<Waker>; 2]>,
}

/// What an idle source costs this crate.
#[cfg(not(heist_loom))]
const _: () = assert!(size_of::<Slot>() <= 48);

impl Slot {
    /// A place that nobody owned yet.
    pub(crate) fn new(generation: u32) -> Slot {
        Slot { word: Readiness::new(generation), waiting: Mutex::new([None, None]) }
    }

    /// Clears the direction's ready bit and returns the bits before, or stores the task's waker.
    /// `ask` asks the kernel for the direction's events; it is called at most once a registration
    /// unless it fails, and under the slot's lock.
    #[inline]
    pub(crate) fn poll_take(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> Poll<io::Result<Bits>> {
        match self.word.take(direction) {
            Look::NotReady => {}
            found => return settle(found),
        }
        match self.wait(direction, cx, ONCE, ask)? {
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
                let found = self.wait(direction, cx, ONCE, ask)?;
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
                let found = self.wait(direction, cx, KEPT, ask)?;
                self.settle_late(direction, found)
            }
            found => settle(found),
        }
    }

    /// Wakes the task that waits in this direction, if there is one.
    #[cold]
    pub(crate) fn wake(&self, direction: Direction) {
        if let Some(waker) = self.take_waker(direction) {
            waker.wake();
        }
    }

    /// Brings an event for the owner of `generation`; the wakers of tasks that waited go to `out`.
    #[inline]
    pub(crate) fn deliver(&self, generation: u32, bits: Bits, out: &mut Vec<Waker>) -> Delivery {
        let delivery = self.word.deliver(generation, bits);
        if let Delivery::Delivered(waiters) = delivery {
            for direction in Direction::BOTH {
                if waiters.include(direction)
                    && let Some(waker) = self.use_waker(direction)
                {
                    out.push(waker);
                }
            }
        }
        delivery
    }

    /// Takes whoever waits; the caller wakes or drops it when it holds no lock.
    #[must_use = "the task waits for this waker"]
    pub(crate) fn take_waker(&self, direction: Direction) -> Option<Waker> {
        self.waiting.lock()[direction as usize].take()
    }

    /// Whoever waits, to be woken for an event. Asked under the lock whether his waker stays: what
    /// the event found may be out of date by now, and a waker that is kept must not be taken.
    #[inline]
    fn use_waker(&self, direction: Direction) -> Option<Waker> {
        let early = mutant::on(Mutant::KeptAskedEarly) && self.word.keeps(direction);
        let stored = &mut self.waiting.lock()[direction as usize];
        let keep = match mutant::on(Mutant::KeptAskedEarly) {
            true => early,
            false => self.word.keeps(direction) && !mutant::on(Mutant::KeptWakerTaken),
        };
        if keep { stored.clone() } else { stored.take() }
    }

    /// Stores the waker, then looks again.
    #[inline]
    fn wait(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        keep: bool,
        ask: impl FnOnce(Arming) -> io::Result<()>,
    ) -> io::Result<Look> {
        if !self.word.is_armed(direction) {
            self.arm(direction, ask)?;
        }
        self.store(direction, cx.waker(), keep);
        Ok(self.word.announce(direction))
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

    /// Settles what was found when the waker was stored already. Nobody leaves his waker behind and
    /// goes on: it may own the source, and the two would keep each other alive.
    #[cold]
    fn settle_late(&self, direction: Direction, found: Look) -> Poll<io::Result<Bits>> {
        if found != Look::NotReady && !mutant::on(Mutant::WakerLeftBehind) {
            self.word.stop_waiting(direction);
            // By now it may be another task's, or that of another future of this task which an
            // event relies on: whoever takes a waker out wakes it.
            let stored = self.take_waker(direction);
            if let Some(waker) = stored
                && !mutant::on(Mutant::TakenWakerDropped)
            {
                waker.wake();
            }
        }
        settle(found)
    }

    /// There is room for one waker: another task that waited here is woken, so that it can find out.
    #[inline]
    fn store(&self, direction: Direction, waker: &Waker, keep: bool) {
        let mine = waker.clone();
        let mut waiting = self.waiting.lock();
        let stored = &mut waiting[direction as usize];
        // Two clones are compared, not a clone with the task's own waker: these may have different
        // tables for the same task, and it would displace and wake itself for ever.
        let same = stored.as_ref().is_some_and(|stored| stored.will_wake(&mine));
        let left_over = if same { Some(mine) } else { stored.replace(mine) };
        self.word.keep(direction, keep);
        drop(waiting);
        if let Some(displaced) = left_over
            && !same
            && !mutant::on(Mutant::ReplacedWakerDropped)
        {
            displaced.wake();
        }
    }
}

/// What becomes of a stored waker when it is used: it is taken out, or it stays for the next time.
const ONCE: bool = false;
const KEPT: bool = true;

fn settle(found: Look) -> Poll<io::Result<Bits>> {
    match found {
        Look::Ready(bits) => Poll::Ready(Ok(bits)),
        Look::NotReady => Poll::Pending,
        Look::QueueClosed => Poll::Ready(Err(Closed.into())),
    }
}
