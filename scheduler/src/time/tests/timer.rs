//! Timers as a task sees them, in a runtime whose workers never fire them: its clock is moved by hand,
//! and the tests advance its shared timers themselves.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::clock::{Clock, Instant, ManualClock};
use crate::time::Timer;
use crate::wheel::tests::{Count, NO_LIMIT, TICK};
use crate::{Builder, Handle, Idle, Runtime};

/// A task in name only: polls a timer, and knows how often it was woken.
#[derive(Default)]
struct Task(Arc<Count>);

impl Task {
    fn polls(&self, timer: &mut Timer) -> bool {
        let waker = Waker::from(Arc::clone(&self.0));
        timer.poll_elapsed(&mut Context::from_waker(&waker)).is_ready()
    }

    fn may_skip_poll_for(&self, timer: &Timer, now: Instant) -> bool {
        let waker = Waker::from(Arc::clone(&self.0));
        timer.may_skip_poll_for(now, &Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.0.woken()
    }
}

struct Bench {
    runtime: Runtime,
    hand: ManualClock,
}

impl Bench {
    fn new() -> Bench {
        let (clock, hand) = Clock::manual();
        let runtime = Builder::new().workers(1).clock(clock).start(Idle::new());
        Bench { runtime: runtime.expect("one worker can be started"), hand }
    }

    fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    fn waiting(&self) -> usize {
        self.handle().context().shared_timers.len()
    }

    /// Moves the clock, and does what a worker that looks now would do.
    fn advance(&self, duration: Duration) {
        self.hand.advance(duration);
        let mut wakers = Vec::new();
        let now = self.handle().clock().now();
        self.handle().context().shared_timers.advance(now, NO_LIMIT, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn after(ticks: u32) -> Option<Instant> {
    Some(Instant::ZERO + TICK * ticks)
}

#[test]
fn a_timer_is_armed_by_its_first_poll_and_elapsed_until_it_is_set_anew() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(10));
    assert_eq!(bench.waiting(), 0);
    assert!(!task.polls(&mut timer));
    assert_eq!(bench.waiting(), 1);
    bench.advance(TICK * 9);
    assert!(!task.polls(&mut timer));
    bench.advance(TICK);
    assert!(task.polls(&mut timer) && task.polls(&mut timer) && timer.is_elapsed());
    assert_eq!((timer.deadline(), bench.waiting()), (after(10), 0));
    timer.set(after(20));
    assert!(!timer.is_elapsed() && !task.polls(&mut timer));
}

#[test]
fn polling_late_is_ready_without_waiting_for_a_worker() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(10));
    assert!(!task.polls(&mut timer));
    bench.hand.advance(TICK * 10);
    assert!(task.polls(&mut timer));
    assert_eq!(bench.waiting(), 0);
}

#[test]
fn a_deadline_moved_later_holds_without_another_poll() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(10));
    assert!(!task.polls(&mut timer));
    for ticks in 11..1_000 {
        timer.set(after(ticks));
    }
    bench.advance(TICK * 998);
    assert_eq!(task.woken(), 0);
    bench.advance(TICK);
    assert_eq!(task.woken(), 1);
    assert!(task.polls(&mut timer));
}

#[test]
fn poll_may_be_left_out_only_while_the_timer_is_filed_in_time_for_this_task() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    let (old, now) = (Instant::ZERO, || bench.handle().clock().now());
    assert!(!timer.may_skip_poll(old));
    timer.set(after(10));
    assert!(!timer.may_skip_poll(old), "nothing is filed before the first poll");
    assert!(
        !task.polls(&mut timer) && timer.may_skip_poll(old) && task.may_skip_poll_for(&timer, old)
    );
    assert!(!Task::default().may_skip_poll_for(&timer, old), "another task would wait in vain");
    timer.set(after(5));
    assert!(!timer.may_skip_poll(old), "it is filed too late");
    assert!(!task.polls(&mut timer) && timer.may_skip_poll(old));
    timer.set(after(10));
    assert!(timer.may_skip_poll(old), "it is filed early enough");
    bench.advance(TICK * 5);
    assert!(timer.may_skip_poll(now()));
    bench.advance(TICK * 5);
    assert_eq!(task.woken(), 1);
    assert!(!timer.may_skip_poll(now()), "the deadline has passed");
    // A worker may have read its clock before another one fired the timer.
    assert!(
        !timer.may_skip_poll(old) && !task.may_skip_poll_for(&timer, old),
        "nothing is filed any more"
    );
    timer.set(after(20));
    assert!(!timer.may_skip_poll(old), "moving a timer that has fired does not file it");
    assert!(!task.polls(&mut timer) && timer.may_skip_poll(now()));
    timer.set(None);
    assert!(!timer.may_skip_poll(old));
}

#[test]
fn failure_46_a_deadline_moved_earlier_holds_from_the_next_poll() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(1_000));
    assert!(!task.polls(&mut timer));
    timer.set(after(10));
    assert!(!task.polls(&mut timer));
    assert_eq!(bench.waiting(), 1);
    bench.advance(TICK * 10);
    assert_eq!(task.woken(), 1);
    assert!(task.polls(&mut timer));
}

#[test]
fn a_deadline_taken_away_is_never_ready_and_another_one_takes_its_place() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(10));
    assert!(!task.polls(&mut timer));
    timer.set(None);
    assert_eq!(timer.deadline(), None);
    bench.advance(TICK * 20);
    assert!(!task.polls(&mut timer));
    // The entry fired while there was no deadline, which must not be taken for the next one.
    timer.set(after(40));
    assert!(!task.polls(&mut timer));
    let woken = task.woken();
    bench.advance(TICK * 20);
    assert_eq!(task.woken(), woken + 1);
    assert!(task.polls(&mut timer));
}

#[test]
fn a_timer_without_an_end_takes_no_entry() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(Some(Instant::FAR_FUTURE));
    assert!(!task.polls(&mut timer));
    assert_eq!((timer.deadline(), bench.waiting()), (None, 0));
}

#[test]
fn only_the_task_that_polled_last_is_woken() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (first, second, mut timer) = (Task::default(), Task::default(), Timer::new());
    timer.set(after(10));
    assert!(!first.polls(&mut timer));
    assert!(!second.polls(&mut timer));
    bench.advance(TICK * 10);
    assert_eq!((first.woken(), second.woken()), (0, 1));
}

#[test]
fn failure_48_a_dropped_timer_leaves_the_queue() {
    let bench = Bench::new();
    let _scope = bench.handle().enter();
    let (task, mut timer) = (Task::default(), Timer::new());
    timer.set(after(10));
    assert!(!task.polls(&mut timer));
    drop(timer);
    assert_eq!(bench.waiting(), 0);
    bench.advance(TICK * 10);
    assert_eq!((task.woken(), Arc::strong_count(&task.0)), (0, 1));
}

#[test]
fn a_timer_that_moves_to_another_queue_leaves_the_old_one() {
    let (old, new) = (Bench::new(), Bench::new());
    let (task, other, mut timer) = (Task::default(), Task::default(), Timer::new());
    timer.set(after(10));
    {
        let _scope = old.handle().enter();
        assert!(!task.polls(&mut timer));
    }
    let _scope = new.handle().enter();
    assert!(!other.polls(&mut timer));
    assert_eq!((old.waiting(), new.waiting()), (0, 1));
    new.advance(TICK * 10);
    assert_eq!((task.woken(), other.woken()), (0, 1));
}

#[test]
fn no_wait_resumes_once_its_runtime_shuts_down() {
    let bench = Bench::new();
    let handle = bench.handle().clone();
    let hand = bench.hand.clone();
    let _scope = handle.enter();
    let (task, mut timer, mut late) = (Task::default(), Timer::new(), Timer::new());
    timer.set(after(10));
    late.set(after(10));
    assert!(!task.polls(&mut timer));
    drop(bench.runtime);
    assert_eq!(task.woken(), 1);
    assert!(!task.polls(&mut timer) && !task.polls(&mut late));
    // Nor does one whose deadline passes later, or has passed before.
    hand.advance(TICK * 20);
    late.set(Some(Instant::ZERO));
    assert!(!task.polls(&mut timer) && !task.polls(&mut late));
    assert_eq!(task.woken(), 1);
    assert_eq!(handle.context().shared_timers.len(), 0);
}

#[test]
#[should_panic(expected = "call it in a task, in `block_on`, or after `Handle::enter`")]
fn outside_a_runtime_a_timer_says_what_to_do() {
    let mut timer = Timer::new();
    timer.set(after(10));
    Task::default().polls(&mut timer);
}

#[test]
fn what_needs_no_clock_works_outside_a_runtime() {
    let mut timer = Timer::new();
    assert!(!Task::default().polls(&mut timer));
    timer.set(after(10));
    timer.set(None);
    assert!(!Task::default().polls(&mut timer));
}
