//! How a worker goes to sleep and is woken, without losing a wake-up. README.md beside this file
//! has the protocol and its proof; the model in `loom.rs` runs this very code.
//!
//! The functions that decide are always inline, so that the trigger is known where the decision is made,
//! and a decision against a wake costs no call.

use std::sync::Arc;

use super::counters::{IdleCounts, IdleWord};
use super::policy::{
    Action, Snapshot, Target, Trigger, decide, shard_to_join, shard_to_notify, target,
};
use crate::mutant::{self, Mutant};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, fence};
use crate::threads::Parker;

/// Which workers are idle and where, and the wake permit.
///
/// The wake permit is one bit of the word: at most one wake is under way. The thread that takes it
/// wakes one worker, which owns it from then on.
#[derive(Debug)]
pub(crate) struct Sleep {
    idle: IdleWord,
    /// Holding this = the right to move a worker onto or off the stack. Last in, first out: the
    /// worker that parked last has the warmest cache.
    parked: Mutex<Vec<usize>>,
    shards: Box<[Shard]>,
    parkers: Box<[Arc<Parker>]>,
    /// How many workers may listen on one shard.
    max_waiters: usize,
}

/// The listeners of one shard.
///
/// | field       | access                | ordering | pairs with |
/// |-------------|-----------------------|----------|------------|
/// | `listeners` | all                   | Relaxed  | A count. The SeqCst fences in `announce`, `leave` and `notify_listener` order it with `notified`, with the work, and with the `IdleWord`. |
/// | `notified`  | set                   | Release  | the Acquire below: the woken worker sees what was submitted before the wake |
/// | `notified`  | taken by a worker     | Acquire  | the Release above |
/// | `notified`  | taken back            | Relaxed  | The waker reads its own wake, or another waker's that it does not act on. |
#[derive(Debug)]
struct Shard {
    listeners: AtomicUsize,
    /// A wake was sent to this shard and no worker has taken it: the worker that swaps this to
    /// false owns the wake permit. [`Park::wake`](crate::Park::wake) only makes a listener return;
    /// another worker may consume that event, or it may come late, and then this is already false.
    notified: AtomicBool,
}

/// Where an idle worker waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an announced worker has to leave"]
pub(crate) enum ParkKind {
    /// On a shard of the [`Park`](crate::Park); its events and wakes end the wait.
    Listening(usize),
    /// On its own parker; an unpark ends the wait.
    Parked,
}

/// An idle worker that the caller has to wake, with the wake permit passed on to it.
#[derive(Debug)]
#[must_use = "the claimed worker has to be woken"]
pub(crate) enum Claim {
    /// This worker, by its parker.
    Parked(usize),
    /// A listener of this shard, by [`Park::wake`](crate::Park::wake).
    Listener(usize),
}

impl Sleep {
    pub(crate) fn new(workers: usize, shards: usize, max_waiters: usize) -> Self {
        let shard = || Shard { listeners: AtomicUsize::new(0), notified: AtomicBool::new(false) };
        Sleep {
            idle: IdleWord::new(),
            parked: Mutex::new(Vec::with_capacity(workers)),
            shards: (0..shards).map(|_| shard()).collect(),
            parkers: (0..workers).map(|_| Arc::new(Parker::new())).collect(),
            max_waiters,
        }
    }

    pub(crate) fn parker(&self, worker: usize) -> &Parker {
        &self.parkers[worker]
    }

    #[inline]
    pub(crate) fn idle(&self) -> IdleCounts {
        self.idle.load()
    }

    pub(crate) fn shard_is_covered(&self, shard: usize) -> bool {
        self.shards[shard].listeners.load(Ordering::Relaxed) > 0
    }

    /// Decides about a wake for work that no awake worker is bound to come to, and claims the worker to
    /// wake. The caller has made the work visible.
    #[inline(always)]
    pub(crate) fn notify(&self, trigger: Trigger, snapshot: &impl Snapshot) -> Option<Claim> {
        // Pairs with the fence in `announce`: either the last look of a worker that announces itself
        // finds what was made visible before, or the decision sees the announcement. Pairs also with
        // the fence in `pass_permit`: either the decision there sees the work, or this one sees the
        // permit released.
        if !mutant::on(Mutant::NoFenceBeforeDecision) {
            fence(Ordering::SeqCst);
        }
        self.notify_without_fence(trigger, snapshot)
    }

    /// As [`notify`](Self::notify), for work that its owner, which is awake, comes to anyway, or that
    /// the monitor sees.
    ///
    /// An idle worker that this misses is found at the owner's next decision, or at the monitor's next
    /// look. A decision that reads nothing of `snapshot` reads nothing shared.
    #[inline(always)]
    pub(crate) fn notify_without_fence(
        &self,
        trigger: Trigger,
        snapshot: &impl Snapshot,
    ) -> Option<Claim> {
        match decide(trigger, snapshot) {
            Action::None | Action::KeepSearching => None,
            Action::UnparkOne | Action::NotifyListener => self.claim(),
            Action::UnparkAll => {
                self.unpark_all();
                None
            }
        }
    }

    /// Releases the wake permit, which the caller owns; then as [`notify`](Self::notify). Submitters
    /// that saw the permit rely on this decision.
    ///
    /// Only the decision may panic, if `snapshot` does. Both the release and the fence are done then.
    #[inline(always)]
    pub(crate) fn pass_permit(&self, trigger: Trigger, snapshot: &impl Snapshot) -> Option<Claim> {
        self.release_permit();
        if mutant::on(Mutant::NoLookAfterRelease) {
            return None;
        }
        // Pairs with the fence in `notify`: a submitter that saw the permit out has made its work
        // visible before that fence, and the decision sees the work. Pairs also with the fence in
        // `announce`, as that in `notify` does.
        if !mutant::on(Mutant::NoFenceBehindRelease) {
            fence(Ordering::SeqCst);
        }
        self.notify_without_fence(trigger, snapshot)
    }

    /// Announces that `worker` is idle: it listens while fewer than `cap` workers do, or while a
    /// shard has no listener; otherwise it parks.
    ///
    /// Ends with a SeqCst fence; the caller has to look for work once more now.
    pub(crate) fn announce(&self, worker: usize, cap: usize) -> ParkKind {
        let kind = match self.join_shard(cap) {
            Some(shard) => {
                self.idle.add_listener();
                ParkKind::Listening(shard)
            }
            None => {
                self.push_parked(worker);
                ParkKind::Parked
            }
        };
        // Pairs with the fence of each submitter, between its push and its load of the word: either
        // the submitter sees this announcement, or the caller's last look sees its work.
        fence(Ordering::SeqCst);
        kind
    }

    /// Takes the announcement back, however the wait ended. True if the caller now owns the wake
    /// permit: it was the worker woken.
    #[must_use = "an owned wake permit has to be released"]
    pub(crate) fn leave(&self, worker: usize, kind: ParkKind) -> bool {
        let was_claimed = match kind {
            ParkKind::Listening(shard) => {
                // In the reverse order of `announce`: a thread that sees the worker counted in the
                // word sees it in the shard.
                self.idle.remove_listener();
                self.shards[shard].listeners.fetch_sub(1, Ordering::Relaxed);
                false
            }
            ParkKind::Parked => !self.remove_parked(worker),
        };
        // Pairs with the fence in `notify_listener`: that sets `notified` and then loads
        // `listeners`; this lowers `listeners` and then loads `notified`. One sees the other, so no
        // notification stays in a shard without a listener.
        // Pairs also with the fence in `MonitorState::doze`: that stores the state and then loads
        // the word; this changes the word, and the caller then loads the state.
        fence(Ordering::SeqCst);
        match kind {
            ParkKind::Listening(shard) => self.take_notification(shard),
            ParkKind::Parked => was_claimed,
        }
    }

    /// Takes a wake that was sent to `shard`. True if the caller now owns the wake permit.
    #[must_use = "an owned wake permit has to be released"]
    pub(crate) fn take_notification(&self, shard: usize) -> bool {
        let notified = &self.shards[shard].notified;
        // The load keeps the line shared where there is no notification; the swap decides.
        notified.load(Ordering::Relaxed) && notified.swap(false, Ordering::Acquire)
    }

    /// Takes the wake permit and claims an idle worker for it. `None` if no worker is idle or the
    /// permit is out.
    ///
    /// Which worker is decided anew, by the value of the word that the claim changes: the snapshot
    /// that the caller decided by may be old.
    #[inline(never)]
    pub(crate) fn claim(&self) -> Option<Claim> {
        loop {
            let claim = match self.idle.take_permit(target)? {
                Target::Parked => self.take_parked().map(Claim::Parked),
                Target::Listener => self.notify_listener().map(Claim::Listener),
            };
            if claim.is_some() {
                return claim;
            }
            // The workers that were counted left by themselves. A worker that was announced since,
            // and a submitter that saw it, relied on this permit: the counts at the release show it.
            let idle = self.idle.release_permit();
            if idle.all() == 0 || mutant::on(Mutant::NoSecondCount) {
                return None;
            }
        }
    }

    /// Releases the wake permit, which the caller owns. Submitters saw the permit and relied on it,
    /// so the caller has to look for work once more, behind a SeqCst fence: [`announce`](Self::announce)
    /// has one.
    pub(crate) fn release_permit(&self) {
        let _ = self.idle.release_permit();
    }

    /// Unparks every worker. For shutdown, after which no worker parks for long.
    pub(crate) fn unpark_all(&self) {
        for parker in &self.parkers {
            parker.unpark();
        }
    }

    /// Counts the caller as a listener of the shard that the policy names, if it names one.
    fn join_shard(&self, cap: usize) -> Option<usize> {
        loop {
            let (shard, waiting) =
                shard_to_join(self.listeners(), self.max_waiters, cap, || self.idle())?;
            let joined = self.shards[shard].listeners.compare_exchange(
                waiting,
                waiting + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if joined.is_ok() {
                return Some(shard);
            }
        }
    }

    /// Sets `notified` of the shard that the policy names. `None` if no worker listens.
    fn notify_listener(&self) -> Option<usize> {
        loop {
            let index = shard_to_notify(self.listeners())?;
            let shard = &self.shards[index];
            shard.notified.store(true, Ordering::Release);
            // Pairs with the fence in `leave`.
            fence(Ordering::SeqCst);
            if shard.listeners.load(Ordering::Relaxed) > 0 || mutant::on(Mutant::NotifyBlindly) {
                return Some(index);
            }
            // The listeners left meanwhile and may have missed the notification. If it is gone, a
            // worker has taken it and owns the permit.
            if !shard.notified.swap(false, Ordering::Relaxed) {
                return Some(index);
            }
        }
    }

    fn listeners(&self) -> impl Iterator<Item = usize> + '_ {
        self.shards.iter().map(|shard| shard.listeners.load(Ordering::Relaxed))
    }

    /// Takes the worker that parked last off the stack, and its announcement back on its behalf.
    fn take_parked(&self) -> Option<usize> {
        let mut parked = self.parked.lock();
        let worker = parked.pop()?;
        self.idle.remove_parked();
        Some(worker)
    }

    /// Puts `worker` onto the stack. It is counted under the lock, so a thread that sees the count
    /// finds the worker.
    fn push_parked(&self, worker: usize) {
        let mut parked = self.parked.lock();
        self.idle.add_parked();
        parked.push(worker);
    }

    /// Takes `worker` off the stack; false if a waker has done so already.
    fn remove_parked(&self, worker: usize) -> bool {
        let mut parked = self.parked.lock();
        let place = parked.iter().rposition(|&other| other == worker);
        if let Some(place) = place {
            parked.remove(place);
            self.idle.remove_parked();
        }
        place.is_some()
    }
}
