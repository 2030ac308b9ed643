//! One test for each failure that a timer queue can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use parking_lot::Mutex;

use super::super::cached::CachedEntry;
use super::super::tick::Tick;
use super::super::{Armed, TimerQueue};
use super::{Bench, NO_LIMIT, Name, TICK, at, days, tick};
use crate::clock::{Clock, Instant};

/// Failure: a worker with 250 timers a millisecond woke at each tick, 16,000 times a second, and cost 1.5 to
/// 2.6 times tokio's CPU.
#[test]
fn an_idle_worker_wakes_once_for_timers_that_are_due_close_together() {
    let bench = Bench::new();
    bench.queue.start_at(tick(1_000));
    (1_001..=1_016).for_each(|number| {
        bench.arm(number, tick(number as u64));
    });
    let now = tick(1_000);
    let wake_at = bench.queue.wake_at(now);
    assert_eq!((bench.queue.next(), wake_at), (Some(tick(1_001)), Some(tick(1_008))));
    assert_eq!(bench.advance(tick(1_008), NO_LIMIT), (1_001..=1_008).collect::<Vec<_>>());
    assert_eq!(bench.queue.wake_at(tick(1_008)), Some(tick(1_016)));
    assert_eq!(bench.advance(tick(1_016), NO_LIMIT), (1_009..=1_016).collect::<Vec<_>>());
    assert_eq!(bench.queue.wake_at(tick(1_016)), None);
}

/// A lone timer is as precise as a tick, however near.
#[test]
fn an_idle_worker_wakes_for_a_lone_timer_at_its_tick() {
    let bench = Bench::new();
    bench.queue.start_at(tick(1_000));
    for number in [1_003, 1_006, 2_000_000] {
        bench.arm(number, tick(number as u64));
    }
    for number in [1_003, 1_006, 2_000_000] {
        assert_eq!(bench.queue.wake_at(tick(1_000)), Some(tick(number as u64)));
        assert_eq!(bench.advance(tick(number as u64), NO_LIMIT), [number]);
    }
}

#[test]
fn failure_46_an_earlier_timer_moves_next_and_calls_the_hook() {
    let calls: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let called = Arc::clone(&calls);
    let queue = TimerQueue::new(Some(Box::new(move |deadline| called.lock().push(deadline))));
    let arm = |ticks: u32| queue.arm(None, Instant::ZERO + TICK * ticks, Waker::noop());
    assert!(matches!(arm(900), Armed::Waits(_)));
    assert!(matches!(arm(901), Armed::Waits(_)));
    let Armed::Waits(Some(later)) = arm(902) else { panic!("it is not due") };
    assert!(matches!(arm(5), Armed::Waits(_)));
    assert_eq!(queue.next(), Some(Instant::ZERO + TICK * 5));
    // The same for a timer that has an entry already.
    let earliest = Instant::ZERO + TICK * 3;
    assert_eq!(queue.arm(Some(&later), earliest, Waker::noop()), Armed::Waits(None));
    assert_eq!(queue.next(), Some(earliest));
    assert_eq!(*calls.lock(), [900, 5, 3].map(|ticks| Instant::ZERO + TICK * ticks));
}

#[test]
fn failure_46_the_hook_may_use_the_queue() {
    let queue = Arc::new_cyclic(|queue: &std::sync::Weak<TimerQueue>| {
        let queue = queue.clone();
        let look = move |_| assert!(queue.upgrade().is_some_and(|queue| queue.len() == 1));
        TimerQueue::new(Some(Box::new(look)))
    });
    assert!(matches!(queue.arm(None, tick(16), Waker::noop()), Armed::Waits(_)));
}

#[test]
fn failure_47_the_wheel_does_not_wrap_in_400_days() {
    let bench = Bench::new();
    let mut now = Instant::ZERO;
    for day in 0..400 {
        bench.arm_waiting(day, now + days(1));
        assert_eq!(bench.advance(now + days(1) - TICK, NO_LIMIT), []);
        now += days(1);
        assert_eq!(bench.advance(now + TICK, NO_LIMIT), [day]);
    }
    assert_eq!(bench.queue.next(), None);
}

#[test]
fn failure_47_a_far_deadline_is_not_taken_for_a_near_one() {
    let bench = Bench::new();
    for (name, count) in [400, 12, 3_650].into_iter().enumerate() {
        bench.arm_waiting(name, Instant::ZERO + days(count));
    }
    assert_eq!(bench.advance(Instant::ZERO + days(11), NO_LIMIT), []);
    assert_eq!(bench.advance(Instant::ZERO + days(399), NO_LIMIT), [1]);
    assert_eq!(bench.advance(Instant::ZERO + days(4_000), NO_LIMIT), [0, 2]);
}

#[test]
fn failure_47_the_last_instant_is_waited_for_and_not_reached() {
    let bench = Bench::new();
    bench.arm_waiting(0, Instant::FAR_FUTURE);
    bench.arm_waiting(1, at(u64::MAX - 1));
    assert_eq!(bench.queue.next(), None);
    assert_eq!(bench.advance(at(u64::MAX - 2), NO_LIMIT), []);
    assert_eq!(bench.queue.len(), 2);
}

#[test]
fn failure_48_cancelled_entries_do_not_pile_up_whatever_their_deadlines() {
    let bench = Bench::new();
    let waker = bench.waker(0);
    for round in 0..100_000 {
        let far = Instant::ZERO + days(1 + round % 400);
        let Armed::Waits(Some(index)) = bench.queue.arm(None, far, &waker) else {
            panic!("not due")
        };
        assert!(index.index < 64, "entry {index:?} at round {round}");
        index.cancel();
    }
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn failure_48_a_cancelled_timer_keeps_no_task_in_memory_once_the_worker_rests() {
    let bench = Bench::new();
    let name = Arc::new(Name(0, Arc::default()));
    let far = Instant::ZERO + days(400);
    let Armed::Waits(Some(index)) = bench.queue.arm(None, far, &Waker::from(Arc::clone(&name)))
    else {
        panic!("not due");
    };
    index.cancel();
    bench.queue.purge();
    assert_eq!(Arc::strong_count(&name), 1);
    assert_eq!(bench.queue.next(), None);
}

#[test]
fn a_cancelled_timer_wakes_nobody() {
    let bench = Bench::new();
    let index = bench.arm_waiting(0, tick(16));
    bench.arm_waiting(1, tick(16));
    index.cancel();
    // No look is left to release it first.
    assert_eq!(bench.advance(tick(32), NO_LIMIT), [1]);
}

#[test]
fn a_postponed_timer_is_filed_anew_and_wakes_nobody_early() {
    let bench = Bench::new();
    let index = bench.arm_waiting(0, tick(16));
    index.postpone(Tick::of_deadline(tick(1 << 14)));
    assert_eq!(bench.advance(tick(1 << 13), NO_LIMIT), []);
    assert_eq!(bench.queue.next(), Some(tick(1 << 14)));
    assert_eq!(bench.advance(tick(1 << 14), NO_LIMIT), [0]);
}

#[test]
fn postponing_to_an_earlier_deadline_changes_nothing_but_is_seen() {
    let bench = Bench::new();
    let (early, late) = (Tick::of_deadline(tick(16)), Tick::of_deadline(tick(1 << 14)));
    let waker = bench.waker(0);
    let Armed::Waits(Some(index)) = bench.queue.arm(None, tick(1 << 14), &waker) else {
        panic!("not due")
    };
    assert!(index.waits(late, &waker));
    index.postpone(early);
    assert!(!index.waits(early, &waker));
    assert!(!index.waits(late, Waker::noop()));
    assert_eq!(bench.queue.next(), Some(tick(1 << 14)));
}

#[test]
fn a_fired_entry_stays_its_timers_until_handed_back() {
    let bench = Bench::new();
    let first = bench.arm_waiting(0, tick(16));
    assert_eq!(bench.advance(tick(16), NO_LIMIT), [0]);
    let others: Vec<_> = (1..2_000).map(|name| bench.arm_waiting(name, tick(1 << 14))).collect();
    assert!(!others.contains(&first));
    first.cancel();
    assert_eq!(bench.queue.len(), others.len());
}

#[test]
fn advancing_is_bounded_and_says_that_more_is_due() {
    let bench = Bench::new();
    for name in 0..10 {
        bench.arm_waiting(name, tick(64));
    }
    let now = tick(128);
    let mut fired = Vec::new();
    for _ in 0..100 {
        if bench.queue.next().is_none() {
            break;
        }
        let some = bench.advance(now, 3);
        assert!(some.len() <= 3);
        assert!(fired.len() == 10 || bench.queue.next().is_none_or(|next| next <= now));
        fired.extend(some);
    }
    assert_eq!(fired, (0..10).collect::<Vec<_>>());
}

#[test]
fn timers_of_one_tick_fire_in_the_order_they_were_armed() {
    let bench = Bench::new();
    for name in 0..100 {
        bench.arm_waiting(name, tick(16));
    }
    assert_eq!(bench.advance(tick(16), NO_LIMIT), (0..100).collect::<Vec<_>>());
}

#[test]
fn lateness_is_counted_from_each_timers_own_tick() {
    let bench = Bench::new();
    bench.arm_waiting(0, tick(16));
    bench.arm_waiting(1, tick(64));
    bench.arm_waiting(2, tick(128));
    assert_eq!(
        bench.queue.advance(tick(64) + Duration::from_nanos(7), NO_LIMIT, &mut Vec::new()),
        2
    );
    if cfg!(feature = "metrics") {
        let lateness = bench.queue.lateness();
        assert_eq!(
            (lateness.count(), lateness.total()),
            (2, (tick(64) - tick(16)).as_nanos() as u64 + 14)
        );
    }
}

#[test]
fn a_deadline_that_has_passed_is_due_at_once() {
    let bench = Bench::new();
    assert_eq!(bench.arm(0, Instant::ZERO), Armed::Due);
    bench.arm_waiting(1, tick(16));
    assert_eq!(bench.advance(tick(32), NO_LIMIT), [1]);
    assert_eq!(bench.arm(2, tick(16)), Armed::Due);
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn a_clock_read_that_is_older_than_the_wheel_fires_nothing_and_breaks_nothing() {
    let bench = Bench::new();
    bench.arm_waiting(0, tick(16));
    assert_eq!(bench.advance(tick(64), NO_LIMIT), [0]);
    bench.arm_waiting(1, tick(66));
    assert_eq!(bench.advance(tick(8), NO_LIMIT), []);
    assert_eq!(bench.advance(tick(128), NO_LIMIT), [1]);
}

#[test]
fn closing_returns_each_waker_once_and_nothing_fires_after() {
    let bench = Bench::new();
    let cancelled = bench.arm_waiting(0, tick(16));
    for name in 1..100 {
        bench.arm_waiting(name, tick(name as u64 * (1 << 14)));
    }
    cancelled.cancel();
    bench.queue.close().into_iter().for_each(Waker::wake);
    let mut woken = std::mem::take(&mut *bench.woken.lock());
    woken.sort_unstable();
    assert_eq!(woken, (1..100).collect::<Vec<_>>());
    assert_eq!(bench.arm(0, tick(1 << 24)), Armed::Closed);
    assert_eq!((bench.queue.close().len(), bench.queue.next()), (0, None));
}

#[test]
fn wakers_are_dropped_outside_the_lock() {
    /// Uses the queue from the drop of its waker, as a task that is dropped with it may.
    struct Nosy(Arc<TimerQueue>, Arc<AtomicUsize>);
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = self.0.len();
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let (queue, dropped) = (Arc::new(TimerQueue::new(None)), Arc::new(AtomicUsize::new(0)));
    let nosy = || Waker::from(Arc::new(Nosy(Arc::clone(&queue), Arc::clone(&dropped))));
    for _ in 0..32 {
        let Armed::Waits(Some(index)) = queue.arm(None, tick(1 << 24), &nosy()) else {
            panic!("not due")
        };
        let _ = queue.arm(Some(&index), tick(1 << 23), &nosy());
        index.cancel();
    }
    queue.purge();
    let Armed::Waits(Some(index)) = queue.arm(None, tick(16), &nosy()) else { panic!("not due") };
    index.cancel();
    queue.advance(tick(16), NO_LIMIT, &mut Vec::new());
    let Armed::Waits(Some(index)) = queue.arm(None, tick(1 << 24), &nosy()) else {
        panic!("not due")
    };
    index.cancel();
    queue.close();
    assert_eq!(queue.arm(None, tick(1 << 24), &nosy()), Armed::Closed);
    assert_eq!(dropped.load(Ordering::Relaxed), 32 * 2 + 3);
}

#[test]
fn many_threads_cancel_while_the_owner_arms_and_no_entry_is_lost() {
    let queue = TimerQueue::new(None);
    let (sender, receiver) = std::sync::mpsc::channel::<CachedEntry>();
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let taken = receiver.lock().recv();
                    let Ok(index) = taken else { break };
                    index.cancel();
                }
            });
        }
        let mut wakers = Vec::new();
        for round in 0..50_000u64 {
            let deadline = tick(round + 1 + round % 7 * 100);
            if let Armed::Waits(Some(index)) = queue.arm(None, deadline, Waker::noop()) {
                sender.send(index).expect("the cancelling threads end after this one");
            }
            queue.advance(tick(round), 16, &mut wakers);
            wakers.clear();
        }
        drop(sender);
    });
    assert_eq!(queue.len(), 0);
    assert!(queue.close().is_empty());
}

#[test]
fn a_clock_by_hand_drives_a_queue() {
    let (clock, hand) = Clock::manual();
    let bench = Bench::new();
    bench.arm_waiting(0, clock.now() + Duration::from_millis(1));
    hand.advance(Duration::from_millis(1));
    assert_eq!(bench.advance(clock.now(), NO_LIMIT), [0]);
}
