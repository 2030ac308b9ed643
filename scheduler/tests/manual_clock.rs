//! A clock that is moved by hand wakes what it passes, and nothing else does.

mod common;

use std::future::poll_fn;
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use heist_scheduler::time::{Clock, Instant, ManualClock, interval, sleep, sleep_until, timeout};
use heist_scheduler::{Builder, Harvest, Idle, Park, Runtime, spawn, yield_now};

use common::{HANG, wait_until};

const HOUR: Duration = Duration::from_secs(3_600);

fn runtime(workers: usize) -> (Runtime, ManualClock) {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().workers(workers).clock(clock).start(Idle::new()).unwrap();
    (runtime, hand)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

/// Waits until so many timers wait.
fn armed(runtime: &Runtime, timers: usize) {
    wait_until(|| runtime.handle().metrics().timers == timers);
}

/// Failure: moving the clock woke no worker, and the tasks slept on.
#[test]
fn sleeping_tasks_of_idle_workers_are_woken() {
    for workers in [1, 4] {
        let (runtime, hand) = runtime(workers);
        let asleep: Vec<_> = (0..32).map(|_| runtime.spawn(sleep_until(at(3_600_000)))).collect();
        armed(&runtime, 32);
        hand.advance(HOUR - Duration::from_millis(1));
        assert_eq!(runtime.handle().metrics().timers, 32, "none fires early");
        hand.advance(Duration::from_millis(1));
        runtime.block_on(async {
            for task in asleep {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn a_thread_in_block_on_is_woken() {
    let (runtime, hand) = runtime(1);
    thread::scope(|scope| {
        let (begins, has_begun) = mpsc::channel::<()>();
        let blocked = scope.spawn(|| {
            runtime.block_on(async move {
                let mut asleep = sleep(HOUR);
                let mut begins = Some(begins);
                poll_fn(|cx| {
                    let polled = std::pin::Pin::new(&mut asleep).poll(cx);
                    begins.take();
                    polled
                })
                .await;
                Instant::now()
            })
        });
        assert!(has_begun.recv_timeout(HANG).is_err());
        hand.advance(HOUR);
        assert_eq!(blocked.join().unwrap(), Instant::ZERO + HOUR);
    });
}

/// One thread runs the tasks and moves the clock; then it waits, and another one moves the clock.
#[test]
fn the_tasks_of_a_current_thread_runtime_are_woken() {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().current_thread().clock(clock).start(Idle::new()).unwrap();
    let by = hand.clone();
    runtime.block_on(async move {
        let asleep = spawn(sleep_until(at(5)));
        yield_now().await;
        by.set(at(5));
        asleep.await.unwrap();
    });
    thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            runtime.block_on(async {
                spawn(sleep_until(at(10))).await.unwrap();
                sleep_until(at(15)).await;
            });
        });
        [10, 15].into_iter().for_each(|millis| {
            armed(&runtime, 1);
            hand.set(at(millis));
        });
        blocked.join().unwrap();
    });
}

#[test]
fn each_runtime_of_a_clock_is_woken() {
    let (clock, hand) = Clock::manual();
    let start = || Builder::new().workers(1).clock(clock.clone()).start(Idle::new()).unwrap();
    drop(start());
    let runtimes = [start(), start()];
    let asleep = runtimes.each_ref().map(|runtime| runtime.spawn(sleep_until(at(10))));
    runtimes.iter().for_each(|runtime| armed(runtime, 1));
    hand.set(at(10));
    for (runtime, task) in runtimes.iter().zip(asleep) {
        runtime.block_on(task).unwrap();
    }
}

/// Moves by a task, by the thread in `block_on`, and by several threads at once.
#[test]
fn the_clock_is_moved_from_anywhere() {
    let (runtime, hand) = runtime(2);
    let by = hand.clone();
    let task = runtime.spawn(async move {
        let asleep = spawn(sleep_until(at(5)));
        by.set(at(5));
        asleep.await.unwrap();
    });
    runtime.block_on(task).unwrap();
    runtime.block_on(async {
        let asleep = spawn(sleep_until(at(10)));
        hand.set(at(10));
        asleep.await.unwrap();
        let mut own = Box::pin(sleep_until(at(15)));
        assert!(poll_fn(|cx| Poll::Ready(own.as_mut().poll(cx))).await.is_pending());
        hand.set(at(15));
        own.await;
    });
    let asleep: Vec<_> = (16..80).map(|millis| runtime.spawn(sleep_until(at(millis)))).collect();
    thread::scope(|scope| {
        for first in 16..20 {
            let hand = hand.clone();
            scope.spawn(move || (first..80).step_by(4).for_each(|millis| hand.set(at(millis))));
        }
    });
    runtime.block_on(async {
        for task in asleep {
            task.await.unwrap();
        }
    });
}

/// Timers are armed, and workers become idle, just while the clock is moved: whatever the order, none
/// sleeps on behind its deadline.
#[test]
fn no_deadline_is_passed_unseen_while_the_clock_moves() {
    for workers in [1, 3] {
        let (runtime, hand) = runtime(workers);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                runtime.spawn(async {
                    for step in 1..=400 {
                        sleep_until(at(step)).await;
                        assert!(Instant::now() >= at(step));
                    }
                })
            })
            .collect();
        (1..=400).for_each(|step| hand.set(at(step)));
        runtime.block_on(async {
            sleep_until(at(400)).await;
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn tasks_are_woken_in_the_order_of_their_deadlines() {
    let (runtime, hand) = runtime(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let sleeper = |millis: u64| {
        let order = Arc::clone(&order);
        runtime.spawn(async move {
            sleep_until(at(millis)).await;
            order.lock().unwrap().push(millis);
        })
    };
    let tasks: Vec<_> = [30, 10, 4_000, 20, 70, 5].map(sleeper).into_iter().collect();
    // The one worker runs it when the polls above are over: a task that is woken within its poll is queued
    // behind the others.
    runtime.block_on(runtime.spawn(async {})).unwrap();
    assert_eq!(runtime.handle().metrics().timers, 6);
    hand.advance(HOUR);
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), [5, 10, 20, 30, 70, 4_000]);
}

/// Whole milliseconds: a sleep ends when the clock stands at its deadline, not a tick later.
#[test]
fn sleeps_of_whole_milliseconds_end_at_their_deadlines() {
    let (runtime, hand) = runtime(1);
    for millis in [1, 2, 3, 7, 999, 60_001] {
        let before = runtime.handle().clock().now();
        let task = runtime.spawn(async move { sleep(Duration::from_millis(millis)).await });
        armed(&runtime, 1);
        hand.advance(Duration::from_millis(millis));
        runtime.block_on(task).unwrap();
        assert_eq!(runtime.handle().clock().now() - before, Duration::from_millis(millis));
    }
}

#[test]
fn intervals_and_timeouts_go_by_the_hand() {
    let (runtime, hand) = runtime(1);
    let task = runtime.spawn(async {
        let mut ticks = interval(Duration::from_secs(60));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(ticks.tick().await);
        }
        let limited = timeout(HOUR, std::future::pending::<()>()).await;
        (seen, limited.is_err(), Instant::now())
    });
    while !task.is_finished() {
        hand.advance_to_next_timer();
        thread::yield_now();
    }
    let (seen, timed_out, ended) = runtime.block_on(task).unwrap();
    assert_eq!(seen, [at(0), at(60_000), at(120_000)]);
    assert!(timed_out);
    assert_eq!(ended, at(120_000) + HOUR);
}

#[test]
fn the_next_timer_is_the_first_that_still_waits() {
    let (runtime, hand) = runtime(2);
    assert_eq!(hand.advance_to_next_timer(), None);
    let (given_up, kept) = (runtime.spawn(sleep_until(at(10))), runtime.spawn(sleep_until(at(30))));
    let (was_reset, is_reset) = mpsc::channel();
    let postponed = runtime.spawn(async move {
        let mut asleep = Box::pin(sleep_until(at(20)));
        for deadline in [at(20), at(40)] {
            asleep.reset(deadline);
            assert!(poll_fn(|cx| Poll::Ready(asleep.as_mut().poll(cx))).await.is_pending());
        }
        was_reset.send(()).unwrap();
        asleep.await;
    });
    is_reset.recv_timeout(HANG).unwrap();
    armed(&runtime, 3);
    given_up.abort();
    armed(&runtime, 2);
    assert_eq!(hand.advance_to_next_timer(), Some(at(30)));
    runtime.block_on(kept).unwrap();
    assert_eq!(hand.advance_to_next_timer(), Some(at(40)));
    runtime.block_on(postponed).unwrap();
    assert_eq!(hand.advance_to_next_timer(), None);
    assert_eq!(runtime.handle().clock().now(), at(40));
}

/// Records the time-outs of the waits of workers.
struct Timeouts {
    inner: Arc<dyn Park>,
    seen: Mutex<Vec<Option<Duration>>>,
}

impl Park for Timeouts {
    fn shards(&self) -> usize {
        self.inner.shards()
    }

    fn max_waiters(&self) -> usize {
        self.inner.max_waiters()
    }

    fn poll(&self, shard: usize, bound: usize, out: &mut Vec<Waker>) -> io::Result<Harvest> {
        self.inner.poll(shard, bound, out)
    }

    fn listen(
        &self,
        shard: usize,
        bound: usize,
        timeout: Option<Duration>,
        out: &mut Vec<Waker>,
    ) -> io::Result<Harvest> {
        self.seen.lock().unwrap().push(timeout);
        self.inner.listen(shard, bound, timeout, out)
    }

    fn wake(&self, shard: usize) {
        self.inner.wake(shard);
    }

    fn ready(&self, shard: usize) -> bool {
        self.inner.ready(shard)
    }

    fn close(&self) -> Vec<Waker> {
        self.inner.close()
    }
}

/// Failure: a worker on a manual clock waited in real time for a deadline in virtual time.
#[test]
fn workers_wait_without_a_time_out_for_what_only_the_hand_makes_due() {
    let (clock, hand) = Clock::manual();
    let park = Arc::new(Timeouts { inner: Idle::new(), seen: Mutex::default() });
    let started = Builder::new().workers(1).clock(clock).start(Arc::clone(&park) as _);
    let runtime = started.unwrap();
    let asleep = [1, 50, 3_600_000].map(|millis| runtime.spawn(sleep_until(at(millis))));
    for (timers, (millis, task)) in [1, 50, 3_600_000].into_iter().zip(asleep).enumerate() {
        armed(&runtime, 3 - timers);
        hand.set(at(millis));
        runtime.block_on(task).unwrap();
    }
    wait_until(|| !park.seen.lock().unwrap().is_empty());
    let seen = park.seen.lock().unwrap();
    assert!(seen.iter().all(Option::is_none), "{seen:?}");
}

#[test]
fn an_interval_that_is_reset_ticks_at_the_new_time() {
    let (runtime, hand) = runtime(1);
    runtime.block_on(async {
        let mut ticks = interval(Duration::from_millis(10));
        assert_eq!(ticks.tick().await, at(0));
        ticks.reset_immediately();
        assert_eq!(ticks.tick().await, at(0));
        ticks.reset_after(Duration::from_millis(25));
        hand.set(at(25));
        assert_eq!(ticks.tick().await, at(25));
        ticks.reset_at(at(26));
        hand.set(at(26));
        assert_eq!(ticks.tick().await, at(26));
        ticks.reset();
        assert_eq!(ticks.next_tick(), at(36));
    });
}

/// Failure: the worker kept the entry of the time-out for the next timer, and the clock stopped there.
#[test]
fn a_time_out_that_has_ended_is_not_the_next_timer() {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().current_thread().clock(clock).start(Idle::new()).unwrap();
    runtime.block_on(async {
        timeout(HOUR, yield_now()).await.unwrap();
        assert_eq!(hand.advance_to_next_timer(), None);
        let asleep = spawn(sleep(2 * HOUR));
        timeout(HOUR, yield_now()).await.unwrap();
        assert_eq!(hand.advance_to_next_timer(), Some(Instant::ZERO + 2 * HOUR));
        asleep.await.unwrap();
    });
}
