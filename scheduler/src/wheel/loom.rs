//! Models of the races without a lock, and for each the fault that it catches.
//!
//! Each model returns the outcome of a run, and its test lists the outcomes that have to occur: a model
//! that passes without having met the race proves nothing. loom remembers only the last access to an
//! object when it looks for orders to try, so a look that precedes two accesses of another thread is
//! never tried after them. Hence each race is run in both orders of starting.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use super::cached::CachedEntry;
use super::tick::Tick;
use super::{Armed, TimerQueue};
use crate::clock::Instant;
use crate::mutant::{Mutant, caught};
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Counts its wakes. Not loom's types: a count is no part of what is modelled.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn pair() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// In which order the threads of a race are started.
#[derive(Clone, Copy)]
enum Order {
    Forwards,
    Backwards,
}

/// Runs all interleavings in both orders; their outcomes.
fn outcomes<T: Ord + Send + 'static>(check: fn(Order) -> T) -> BTreeSet<T> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    for order in [Order::Forwards, Order::Backwards] {
        let seen = Arc::clone(&seen);
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let outcome = check(order);
            seen.lock().expect("no run panics while it holds this").insert(outcome);
        });
    }
    let seen = Arc::into_inner(seen).expect("both models have ended");
    seen.into_inner().expect("no run panics while it holds this")
}

/// A thread of a race.
type Part = Box<dyn FnOnce(&TimerQueue) + Send>;

fn race(order: Order, queue: &Arc<TimerQueue>, parts: impl Into<Vec<Part>>) {
    let mut parts = parts.into();
    if matches!(order, Order::Backwards) {
        parts.reverse();
    }
    let start = |part: Part| {
        let queue = Arc::clone(queue);
        loom::thread::spawn(move || part(&queue))
    };
    let threads: Vec<_> = parts.into_iter().map(start).collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no part of a race panics"));
}

fn at(tick: u64) -> Instant {
    Tick::from_number(tick).instant()
}

fn arm(queue: &TimerQueue, tick: u64, waker: &Waker) -> CachedEntry {
    match queue.arm(None, at(tick), waker) {
        Armed::Waits(Some(entry)) => entry,
        other => panic!("expected the timer to wait, not {other:?}"),
    }
}

fn advance(queue: &TimerQueue, tick: u64) {
    let mut wakers = Vec::new();
    queue.advance(at(tick), usize::MAX, &mut wakers);
    wakers.into_iter().for_each(Waker::wake);
}

fn advancing(tick: u64) -> Part {
    Box::new(move |queue| advance(queue, tick))
}

fn cancelling(entry: CachedEntry) -> Part {
    Box::new(move |_| entry.cancel())
}

type Shared<T> = Arc<Mutex<Option<T>>>;

/// Shares the result of a part of a race.
fn slot<T>() -> (Shared<T>, Shared<T>) {
    let slot = Arc::new(Mutex::new(None));
    (Arc::clone(&slot), slot)
}

fn found<T>(slot: &Mutex<Option<T>>) -> T {
    let found = slot.lock().expect("no part of a race panics").take();
    found.expect("the part that finds it out has ended")
}

/// A timer is cancelled while it fires and while another one is armed, in its entry or a new one.
/// The other one fires, whether or not the first one did.
fn cancel_races_fire_and_reuse(order: Order) -> usize {
    let queue = Arc::new(TimerQueue::new(None));
    let (first, waker) = Count::pair();
    let index = arm(&queue, 1, &waker);
    drop(waker);
    let (second, waker) = Count::pair();
    let (armed, set) = slot();
    let firing = move |queue: &TimerQueue| {
        advance(queue, 1);
        let other = arm(queue, 2, &waker);
        *set.lock().expect("no part of a race panics") = Some(other);
    };
    race(order, &queue, [cancelling(index), Box::new(firing)]);

    assert_eq!(queue.len(), 1, "cancelling releases one timer");
    advance(&queue, 2);
    assert_eq!(second.woken(), 1, "the other timer fires");
    found(&armed).cancel();
    assert_eq!((queue.len(), Arc::strong_count(&first)), (0, 1), "the waker was dropped");
    // Both entries, all there are under loom, can be used again, and each once.
    assert_ne!(arm(&queue, 3, Waker::noop()), arm(&queue, 3, Waker::noop()));
    assert_eq!(queue.arm(None, at(3), Waker::noop()), Armed::Full);
    first.woken()
}

#[test]
fn cancel_races_fire_and_leaves_the_entry_usable() {
    assert_eq!(outcomes(cancel_races_fire_and_reuse), BTreeSet::from([0, 1]));
}

#[test]
fn mutant_free_on_fire_is_caught() {
    let report =
        caught(Mutant::FreeOnFire, "wheel::loom::cancel_races_fire_and_leaves_the_entry_usable");
    assert!(report.contains("cancelling releases one timer"), "{report}");
}

/// A timer goes to another task, which polls it with its own waker while it fires. That task is
/// told at once that the deadline has passed, or it is the one that is woken.
fn replacing_the_waker_races_fire(order: Order) -> bool {
    let queue = Arc::new(TimerQueue::new(None));
    let (old, waker) = Count::pair();
    let index = arm(&queue, 1, &waker);
    drop(waker);
    let (new, waker) = Count::pair();
    let (armed, set) = slot();
    let polled = index.clone();
    let polling = move |queue: &TimerQueue| {
        assert!(!polled.waits(Tick::from_number(1), &waker));
        let armed = queue.arm(Some(&polled), at(1), &waker);
        *set.lock().expect("no part of a race panics") = Some(armed);
    };
    race(order, &queue, [Box::new(polling), advancing(1)]);

    let due = found(&armed) == Armed::Due;
    assert_eq!((old.woken(), new.woken()), if due { (1, 0) } else { (0, 1) });
    index.cancel();
    assert_eq!((queue.len(), Arc::strong_count(&old), Arc::strong_count(&new)), (0, 1, 1));
    due
}

#[test]
fn replacing_the_waker_races_fire_and_one_of_them_is_told() {
    assert_eq!(outcomes(replacing_the_waker_races_fire), BTreeSet::from([false, true]));
}

/// The same with a deadline that is moved as well, so that it is not due.
fn replacing_and_moving_races_fire(order: Order) -> usize {
    let queue = Arc::new(TimerQueue::new(None));
    let (old, waker) = Count::pair();
    let index = arm(&queue, 1, &waker);
    let (new, waker) = Count::pair();
    let polling = move |queue: &TimerQueue| {
        assert_eq!(queue.arm(Some(&index), at(2), &waker), Armed::Waits(None));
    };
    race(order, &queue, [Box::new(polling), advancing(1)]);

    assert_eq!(new.woken(), 0, "fired early");
    advance(&queue, 2);
    assert_eq!(new.woken(), 1, "never fired");
    old.woken()
}

#[test]
fn replacing_and_moving_races_fire_and_the_new_task_is_woken() {
    assert_eq!(outcomes(replacing_and_moving_races_fire), BTreeSet::from([0, 1]));
}

#[test]
fn mutant_replace_unfiled_is_caught() {
    let report = caught(
        Mutant::ReplaceUnfiled,
        "wheel::loom::replacing_and_moving_races_fire_and_the_new_task_is_woken",
    );
    assert!(report.contains("never fired"), "{report}");
}

/// A deadline is moved later by a plain store while the wheel looks at it, and the task polls. If
/// the poll found nothing to do, the task is woken at the new tick, or at the old one to poll again.
fn postponing_races_fire(order: Order) -> (bool, usize) {
    let queue = Arc::new(TimerQueue::new(None));
    let (count, waker) = Count::pair();
    let index = arm(&queue, 1, &waker);
    let (waits, set) = slot();
    let polling = {
        let (index, waker) = (index.clone(), waker.clone());
        move |queue: &TimerQueue| {
            let tick = Tick::from_number(2);
            index.postpone(tick);
            let waits = index.waits(tick, &waker);
            if !waits {
                assert_eq!(queue.arm(Some(&index), at(2), &waker), Armed::Waits(None));
            }
            *set.lock().expect("no part of a race panics") = Some(waits);
        }
    };
    race(order, &queue, [Box::new(polling), advancing(1)]);

    let (waits, early) = (found(&waits), count.woken());
    if waits && early == 1 {
        // The wake that the poll did not see yet: the task polls again.
        assert!(!index.waits(Tick::from_number(2), &waker), "a fired timer is seen");
        assert_eq!(queue.arm(Some(&index), at(2), &waker), Armed::Waits(None));
    }
    advance(&queue, 2);
    assert_eq!(count.woken(), early + 1, "the moved deadline was lost");
    (waits, early)
}

#[test]
fn postponing_races_fire_and_the_later_deadline_is_kept() {
    // Seen in time; fired early before the poll; fired early behind the poll's back.
    let all = [(true, 0), (false, 1), (true, 1)];
    assert_eq!(outcomes(postponing_races_fire), BTreeSet::from(all));
}

/// A task, of which only the state word is modelled, as `async-task` keeps it.
struct TaskWord(AtomicUsize);

/// The task is in a queue. Set by a wake, cleared by the run that it leads to.
const QUEUED: usize = 1;
/// A run is under way: set when it begins, cleared when it ends.
const RUNNING: usize = 2;

impl Wake for TaskWord {
    fn wake(self: Arc<Self>) {
        // Also where it changes nothing: AcqRel pairs with itself in `begin_run`, so that the run which
        // the wake leads to, or has been merged with, sees what came before it.
        self.0.fetch_or(QUEUED, Ordering::AcqRel);
    }
}

impl TaskWord {
    fn queued() -> (Arc<TaskWord>, Waker) {
        let word = Arc::new(TaskWord(AtomicUsize::new(QUEUED)));
        (Arc::clone(&word), Waker::from(word))
    }

    fn begin_run(&self) {
        let before = self.0.swap(RUNNING, Ordering::AcqRel);
        assert_eq!(before, QUEUED, "a task is run when it is queued, and by one worker");
    }

    fn end_run(&self) {
        self.0.fetch_and(!RUNNING, Ordering::AcqRel);
    }

    /// Whether it is to be run, or run again.
    fn is_queued(&self) -> bool {
        self.0.load(Ordering::Acquire) & QUEUED != 0
    }
}

/// A worker fires a timer whose task another worker has queued before, and runs with a time before
/// the deadline. The run trusts the timer only if it is filed; else it files it with its own worker.
/// Afterwards the timer is filed, or the task is run again.
fn firing_races_a_run_with_an_older_time(order: Order) -> (bool, bool) {
    let (there, here) = (Arc::new(TimerQueue::new(None)), Arc::new(TimerQueue::new(None)));
    let (task, waker) = TaskWord::queued();
    let entry = arm(&there, 2, &waker);
    let (skips, set) = slot();
    let running = {
        let (task, waker, here) = (Arc::clone(&task), waker.clone(), Arc::clone(&here));
        move |_: &TimerQueue| {
            task.begin_run();
            let skips = entry.may_skip_poll(at(2), at(1));
            if !skips {
                entry.cancel();
                // The timer goes on in this entry.
                std::mem::forget(arm(&here, 2, &waker));
            }
            task.end_run();
            *set.lock().expect("no part of a race panics") = Some(skips);
        }
    };
    race(order, &there, [Box::new(running), advancing(2)]);

    let again = task.is_queued();
    advance(&there, 2);
    advance(&here, 2);
    assert!(task.is_queued(), "the deadline was lost");
    (found(&skips), again)
}

#[test]
fn firing_races_a_run_with_an_older_time_and_no_deadline_is_lost() {
    // Fired before the run; seen to have fired, and woken by it too; fired behind the run's back.
    let all = [(false, false), (false, true), (true, true)];
    assert_eq!(outcomes(firing_races_a_run_with_an_older_time), BTreeSet::from(all));
}

#[test]
fn mutant_trust_unfiled_is_caught() {
    let report = caught(
        Mutant::TrustUnfiled,
        "wheel::loom::firing_races_a_run_with_an_older_time_and_no_deadline_is_lost",
    );
    assert!(report.contains("the deadline was lost"), "{report}");
}

/// A worker's cached entry is taken over for another timer of the same task while it fires. The
/// timer waits and its task is woken, be it too early and then once more; or it is seen to have
/// fired, and is armed.
fn taking_over_races_fire(order: Order) -> (bool, usize) {
    let queue = Arc::new(TimerQueue::new(None));
    let (count, waker) = Count::pair();
    let index = arm(&queue, 1, &waker);
    let (waits, set) = slot();
    let polling = {
        let (index, waker) = (index.clone(), waker.clone());
        move |queue: &TimerQueue| {
            let waits = index.take_over(Tick::from_number(2), at(0), &waker);
            if !waits {
                assert_eq!(queue.arm(Some(&index), at(2), &waker), Armed::Waits(None));
            }
            *set.lock().expect("no part of a race panics") = Some(waits);
        }
    };
    race(order, &queue, [Box::new(polling), advancing(1)]);

    let (waits, early) = (found(&waits), count.woken());
    if waits && early == 1 {
        assert!(!index.waits(Tick::from_number(2), &waker), "a fired timer is seen");
        assert_eq!(queue.arm(Some(&index), at(2), &waker), Armed::Waits(None));
    }
    advance(&queue, 2);
    assert_eq!(count.woken(), early + 1, "the timer that took over was lost");
    (waits, early)
}

#[test]
fn taking_over_races_fire_and_the_timer_is_kept() {
    // Seen in time; fired before; fired behind the poll's back.
    let all = [(true, 0), (false, 1), (true, 1)];
    assert_eq!(outcomes(taking_over_races_fire), BTreeSet::from(all));
}

/// Two threads cancel at once while the owner purges: nothing is lost.
fn cancels_race(order: Order) -> usize {
    let queue = Arc::new(TimerQueue::new(None));
    let (count, waker) = Count::pair();
    let [one, other] = [arm(&queue, 1, &waker), arm(&queue, 1, &waker)];
    drop(waker);
    let (left, set) = slot();
    let purging = {
        let count = Arc::clone(&count);
        move |queue: &TimerQueue| {
            queue.purge();
            let left = Arc::strong_count(&count) - 2;
            *set.lock().expect("no part of a race panics") = Some(left);
        }
    };
    let parts: [Part; 3] = [cancelling(one), cancelling(other), Box::new(purging)];
    race(order, &queue, parts);

    assert_eq!((queue.len(), Arc::strong_count(&count)), (0, 1), "a cancelled entry was lost");
    assert_ne!(arm(&queue, 2, Waker::noop()), arm(&queue, 2, Waker::noop()));
    assert_eq!(queue.arm(None, at(2), Waker::noop()), Armed::Full);
    assert_eq!(queue.refused(), 1);
    found(&left)
}

#[test]
fn cancels_race_and_no_entry_is_lost() {
    assert_eq!(outcomes(cancels_race), BTreeSet::from([0, 1, 2]));
}

// What is taken for a link then is the address of the waker's data.
#[test]
fn mutant_link_after_push_is_caught() {
    let report = caught(Mutant::LinkAfterPush, "wheel::loom::cancels_race_and_no_entry_is_lost");
    assert!(report.contains("index out of bounds"), "{report}");
}

/// A timer is armed while its deadline is passed by a clock that is moved by hand, after which no worker
/// looks at the time: the timer is told so, or fires.
fn arming_races_a_move_by_hand(order: Order) -> bool {
    let queue = Arc::new(TimerQueue::new(None));
    let (count, waker) = Count::pair();
    let (armed, set) = slot();
    let arming = move |queue: &TimerQueue| {
        let outcome = queue.arm(None, at(2), &waker);
        *set.lock().expect("no part of a race panics") = Some(outcome);
    };
    let moving = |queue: &TimerQueue| {
        let mut wakers = Vec::new();
        queue.advance_by_hand(at(2), &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    };
    let parts: [Part; 2] = [Box::new(arming), Box::new(moving)];
    race(order, &queue, parts);

    let due = match found(&armed) {
        Armed::Waits(Some(entry)) => {
            entry.cancel();
            false
        }
        outcome => {
            assert_eq!(outcome, Armed::Due);
            true
        }
    };
    assert_eq!(count.woken(), usize::from(!due), "the timer waits behind its deadline");
    due
}

#[test]
fn arming_races_a_move_by_hand_and_the_deadline_is_seen() {
    assert_eq!(outcomes(arming_races_a_move_by_hand), BTreeSet::from([false, true]));
}

#[test]
fn mutant_move_unlocked_is_caught() {
    let report = caught(
        Mutant::MoveUnlocked,
        "wheel::loom::arming_races_a_move_by_hand_and_the_deadline_is_seen",
    );
    assert!(report.contains("the timer waits behind its deadline"), "{report}");
}
