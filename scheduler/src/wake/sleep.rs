//! Going to sleep and being woken, without losing a wake. The README beside this file has the
//! protocol and its proof; the model in `loom.rs` runs this very code.

use std::sync::Arc;

use super::counters::{Counters, Sleepers};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, fence};
use crate::threads::Parker;

/// Who sleeps, and the right to wake.
#[derive(Debug)]
pub(crate) struct Sleep {
    counters: Counters,
    /// Holding this = the right to move a worker onto or off the stack. Last in, first out: the
    /// worker that parked last has the warmest cache.
    parked: Mutex<Vec<usize>>,
    lanes: Box<[Lane]>,
    parkers: Box<[Arc<Parker>]>,
    /// How many may listen on one lane.
    places: usize,
}

/// One lane's listeners.
#[derive(Debug)]
struct Lane {
    listeners: AtomicUsize,
    /// A wake was sent to this lane and nobody has taken it: whoever swaps this to false owns the
    /// token. The lane's doorbell only makes somebody look; it can be heard by the wrong one, or
    /// late, and then this flag is already false.
    rung: AtomicBool,
}

/// Where a worker sleeps; announced, and to be left by [`Sleep::leave`].
#[derive(Debug)]
#[must_use = "an announced sleeper has to leave again"]
pub(crate) enum ParkKind {
    Listening(usize),
    Parked,
}

/// Whom the holder of the token wakes.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// This worker was taken off the stack and has its permit.
    Unparked(usize),
    /// Ring this lane's doorbell.
    Ring(usize),
    /// Everybody got up by himself.
    Nobody,
}

impl Sleep {
    pub(crate) fn new(workers: usize, lanes: usize, places: usize) -> Self {
        let lane = || Lane { listeners: AtomicUsize::new(0), rung: AtomicBool::new(false) };
        Sleep {
            counters: Counters::new(),
            parked: Mutex::new(Vec::with_capacity(workers)),
            lanes: (0..lanes).map(|_| lane()).collect(),
            parkers: (0..workers).map(|_| Arc::new(Parker::new())).collect(),
            places,
        }
    }

    pub(crate) fn parker(&self, worker: usize) -> &Parker {
        &self.parkers[worker]
    }

    pub(crate) fn sleepers(&self) -> Sleepers {
        self.counters.load()
    }

    pub(crate) fn lane_is_covered(&self, lane: usize) -> bool {
        self.lanes[lane].listeners.load(Ordering::Relaxed) > 0
    }

    /// Announces that `worker` is about to sleep: it listens while fewer than `cap` do, or while a
    /// lane has no listener; otherwise it parks. Ends with a SeqCst fence; the caller must look for
    /// work once more now.
    pub(crate) fn announce(&self, worker: usize, cap: usize) -> ParkKind {
        let bed = match self.claim_lane(cap) {
            Some(lane) => {
                self.counters.add_listener();
                ParkKind::Listening(lane)
            }
            None => {
                self.push_parked(worker);
                ParkKind::Parked
            }
        };
        // Pairs with the fence of whoever submits, before it reads the counters: either it sees
        // this announcement, or the caller's last look sees its work.
        fence(Ordering::SeqCst);
        bed
    }

    /// Ends a sleep, however it ended. True if the caller now owns the token: it was the one woken.
    #[must_use = "an owned token has to be released"]
    pub(crate) fn leave(&self, worker: usize, bed: ParkKind) -> bool {
        let taken_off = match bed {
            ParkKind::Listening(lane) => {
                // In the reverse order of announcing, so that whoever sees the count sees the lane.
                self.counters.remove_listener();
                self.lanes[lane].listeners.fetch_sub(1, Ordering::Relaxed);
                false
            }
            ParkKind::Parked => !self.remove_parked(worker),
        };
        // Pairs with the fence in `ring`: that sets `rung` and then looks for a listener, this
        // leaves and then looks at `rung`. One sees the other, so a wake is never left for nobody.
        // And with the monitor's, which says that it dozes and then looks who sleeps; see `MonitorState`.
        fence(Ordering::SeqCst);
        match bed {
            ParkKind::Listening(lane) => self.answer(lane),
            ParkKind::Parked => taken_off,
        }
    }

    /// Takes over a wake that was sent to `lane`. True if the caller now owns the token.
    #[must_use = "an owned token has to be released"]
    pub(crate) fn answer(&self, lane: usize) -> bool {
        let rung = &self.lanes[lane].rung;
        // Acquire pairs with the Release in `ring`: what was submitted before the wake is seen.
        rung.load(Ordering::Relaxed) && rung.swap(false, Ordering::Acquire)
    }

    /// Takes the right to wake one worker. `None` if nobody sleeps or a wake is under way.
    ///
    /// The caller has made its work visible and passed a SeqCst fence since.
    pub(crate) fn wake_one(&self) -> Option<Wake> {
        if !self.counters.take_token() {
            return None;
        }
        loop {
            if let Some(worker) = self.take_parked() {
                return Some(Wake::Unparked(worker));
            }
            if let Some(lane) = self.ring() {
                return Some(Wake::Ring(lane));
            }
            // Nobody to wake. Whoever announced itself after our search was refused by the token
            // to others that looked meanwhile; the count at the release shows it.
            let asleep = self.counters.release_token().asleep();
            if asleep == 0 || mutant::on(Mutant::NoSecondCount) {
                return Some(Wake::Nobody);
            }
            if !self.counters.take_token() {
                return Some(Wake::Nobody);
            }
        }
    }

    /// Ends the caller's ownership of the token. It must look at all queues once more afterwards:
    /// others saw the token and relied on it.
    pub(crate) fn release_token(&self) {
        let _ = self.counters.release_token();
    }

    /// Wakes every parked worker; for shutdown, after which nobody parks for long.
    pub(crate) fn unpark_all(&self) {
        for parker in &self.parkers {
            parker.unpark();
        }
    }

    /// Takes a place on the lane with the fewest listeners, if `cap` or an empty lane allows it.
    fn claim_lane(&self, cap: usize) -> Option<usize> {
        loop {
            let (lane, listeners) = self
                .lanes
                .iter()
                .map(|lane| lane.listeners.load(Ordering::Relaxed))
                .enumerate()
                .min_by_key(|&(_, listeners)| listeners)?;
            let room = listeners < self.places;
            // A lane without listener is always taken: if all others park, its events are ours.
            let covered = listeners > 0 || mutant::on(Mutant::LeaveLaneEmpty);
            if covered && (!room || self.counters.load().listening() >= cap) {
                return None;
            }
            let claim = self.lanes[lane].listeners.compare_exchange(
                listeners,
                listeners + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if claim.is_ok() {
                return Some(lane);
            }
        }
    }

    /// A worker off the stack; its own announcement is undone on its behalf.
    fn take_parked(&self) -> Option<usize> {
        let mut parked = self.parked.lock();
        let worker = parked.pop()?;
        self.counters.remove_parked();
        Some(worker)
    }

    /// Puts `worker` onto the stack; counted under the lock, so that who sees the count finds it.
    fn push_parked(&self, worker: usize) {
        let mut parked = self.parked.lock();
        self.counters.add_parked();
        parked.push(worker);
    }

    /// Takes `worker` off the stack; false if a waker has done so already.
    fn remove_parked(&self, worker: usize) -> bool {
        let mut parked = self.parked.lock();
        let place = parked.iter().rposition(|&other| other == worker);
        if let Some(place) = place {
            parked.remove(place);
            self.counters.remove_parked();
        }
        place.is_some()
    }

    /// Sends the wake to the lane with the most listeners.
    fn ring(&self) -> Option<usize> {
        loop {
            let (index, lane, _) = self
                .lanes
                .iter()
                .enumerate()
                .map(|(index, lane)| (index, lane, lane.listeners.load(Ordering::Relaxed)))
                .filter(|&(_, _, listeners)| listeners > 0)
                .max_by_key(|&(_, _, listeners)| listeners)?;
            lane.rung.store(true, Ordering::Release);
            // Pairs with the fence in `leave`.
            fence(Ordering::SeqCst);
            if lane.listeners.load(Ordering::Relaxed) > 0 || mutant::on(Mutant::RingBlindly) {
                return Some(index);
            }
            // They left meanwhile, and may have missed the flag. If one did not, it has the token.
            if !lane.rung.swap(false, Ordering::Relaxed) {
                return Some(index);
            }
        }
    }
}
