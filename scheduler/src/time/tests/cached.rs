//! What a worker does with the entry of a timer that was given up there.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::clock::{Clock, Instant, ManualClock};
use crate::time::Timer;
use crate::wheel::TimerQueue;
use crate::wheel::tests::{Count, TICK};
use crate::{Builder, Idle, context};

/// Runs a step in a task on the only worker of a runtime whose time stands still.
fn on_a_worker(step: fn(&mut Context<'_>, &TimerQueue, ManualClock)) {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().workers(1).clock(clock).start(Idle::new());
    let runtime = runtime.expect("one worker can be started");
    let task = runtime.spawn(poll_fn(move |cx| {
        let queue = context::with_timers(Arc::clone).expect("a task runs on a worker");
        step(cx, &queue, hand.clone());
        Poll::Ready(())
    }));
    runtime.block_on(task).expect("the step does not panic");
}

fn armed(ticks: u32, cx: &mut Context<'_>) -> Timer {
    let mut timer = Timer::new();
    timer.set(Some(after(ticks)));
    assert!(timer.poll_elapsed(cx).is_pending());
    timer
}

fn after(ticks: u32) -> Instant {
    Instant::ZERO + TICK * ticks
}

/// Moves a queue's time; how many fired.
fn advance(queue: &TimerQueue, ticks: u32) -> usize {
    let mut wakers = Vec::new();
    let fired = queue.advance(after(ticks), usize::MAX, &mut wakers);
    wakers.into_iter().for_each(Waker::wake);
    fired
}

#[test]
fn the_next_timer_takes_the_entry_over_and_fires_at_its_own_deadline() {
    on_a_worker(|cx, queue, _| {
        drop(armed(1_000, cx));
        let timer = armed(1_500, cx);
        // Filed where the first one was: looked at when that would have fired, and not before.
        assert_eq!((queue.next(), queue.len()), (Some(after(1_000)), 1));
        assert_eq!(advance(queue, 1_499), 0);
        assert_eq!(advance(queue, 1_500), 1);
        drop(timer);
    });
}

#[test]
fn an_entry_is_filed_anew_where_it_would_be_looked_at_far_too_early_or_too_late() {
    on_a_worker(|cx, queue, _| {
        drop(armed(10, cx));
        let late = armed(1_000, cx);
        assert_eq!(queue.next(), Some(after(1_000)), "woken for a timer that was given up");
        drop(late);
        let early = armed(10, cx);
        assert_eq!((queue.next(), queue.len()), (Some(after(10)), 1));
        assert_eq!(advance(queue, 10), 1);
        drop(early);
    });
}

#[test]
fn the_task_that_gave_an_entry_up_is_not_woken_for_the_next_one() {
    on_a_worker(|cx, queue, _| {
        let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
        let wakers = [&first, &second].map(|count| Waker::from(Arc::clone(count)));
        let [one, other] = &wakers;
        drop(armed(10, &mut Context::from_waker(one)));
        let timer = armed(10, &mut Context::from_waker(other));
        assert_eq!((queue.len(), advance(queue, 10)), (1, 1));
        assert_eq!((first.woken(), second.woken()), (0, 1));
        drop(timer);
        let timer = armed(20, cx);
        assert_eq!((queue.len(), Arc::strong_count(&first)), (1, 2), "dropped with its timer");
        drop(timer);
    });
}

#[test]
fn of_two_entries_one_is_kept_and_the_other_one_cancelled() {
    on_a_worker(|cx, queue, _| {
        let timers = [armed(10, cx), armed(20, cx), armed(30, cx)];
        drop(timers);
        assert_eq!(queue.len(), 1);
    });
}

#[test]
fn an_entry_whose_timer_fired_serves_again() {
    on_a_worker(|cx, queue, hand| {
        let timer = armed(10, cx);
        assert_eq!(advance(queue, 10), 1);
        drop(timer);
        hand.advance(TICK * 5);
        let timer = armed(20, cx);
        assert_eq!((queue.len(), advance(queue, 20)), (1, 1));
        drop(timer);
    });
}

#[test]
fn a_worker_that_sleeps_keeps_nothing() {
    let runtime = Builder::new().workers(1).start(Idle::new()).expect("one worker can be started");
    let queue = runtime.spawn(poll_fn(|cx| {
        let mut timer = Timer::new();
        timer.set(Some(Instant::now() + Duration::from_secs(3_600)));
        assert!(timer.poll_elapsed(cx).is_pending());
        Poll::Ready(context::with_timers(Arc::clone).expect("a task runs on a worker"))
    }));
    let queue = runtime.block_on(queue).expect("the task does not panic");
    // The loop ends only if the worker hands its cached entry back.
    while queue.next().is_some() {
        std::thread::yield_now();
    }
}
