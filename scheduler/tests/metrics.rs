//! What is measured, and from when to when: on a clock that only the test moves.
#![cfg(feature = "metrics")]

mod common;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use heist_scheduler::time::{Clock, ManualClock};
use heist_scheduler::{Builder, Harvest, Idle, Metrics, Park, Runtime, spawn};

use common::HANG;

fn runtime(park: Arc<dyn Park>) -> (Runtime, ManualClock) {
    let (clock, hand) = Clock::manual();
    (Builder::new().workers(1).blocking_threads(1).clock(clock).start(park).unwrap(), hand)
}

/// Reads until `settled`: a task is joined before its worker has counted its last poll.
fn settled(runtime: &Runtime, settled: impl Fn(&Metrics) -> bool) -> Metrics {
    let started = std::time::Instant::now();
    loop {
        let metrics = runtime.handle().metrics();
        if settled(&metrics) {
            return metrics;
        }
        assert!(started.elapsed() < HANG, "{metrics:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_wait_is_counted_from_the_wake_to_the_run_and_a_poll_to_its_end() {
    let (runtime, hand) = runtime(Idle::new());
    let (inside, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let hog = runtime.spawn(async move {
        inside.send(()).unwrap();
        released.recv_timeout(HANG).unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    let behind = runtime.spawn(async {});
    hand.advance(Duration::from_millis(5));
    release.send(()).unwrap();
    runtime.block_on(async { (hog.await.unwrap(), behind.await.unwrap()) });
    let all_counted =
        |metrics: &Metrics| metrics.task_poll.count() == 2 && metrics.workers[0].polls == 2;
    let metrics = settled(&runtime, all_counted);
    assert_eq!((metrics.task_wait.count(), metrics.task_wait.sum()), (2, 0.005));
    assert_eq!(metrics.task_poll.sum(), 0.005);
    assert_eq!((metrics.workers[0].polls, metrics.workers[0].busy.as_millis()), (2, 5));
    assert_eq!(metrics.event_to_run.count(), 0, "no event woke a task");
}

/// Failure: a worker that had just waited on the only shard polled it again every 61 turns, a system
/// call for each 30 requests of a single connection.
#[test]
fn a_worker_that_waits_for_each_task_polls_the_only_shard_by_waiting_alone() {
    let (runtime, _hand) = runtime(Idle::new());
    for round in 1..=200 {
        let asleep = settled(&runtime, |metrics| metrics.workers[0].listens >= round);
        assert_eq!(asleep.workers[0].shard_polls, 0, "round {round}");
        runtime.block_on(runtime.spawn(async {})).unwrap();
    }
}

#[test]
fn an_events_wait_is_counted_apart_and_from_its_harvest() {
    let shard = Shard::new();
    let (runtime, hand) = runtime(Arc::clone(&shard) as _);
    let tasks: Vec<_> = (0..2)
        .map(|_| {
            let (mut waiter, hand) = (Box::pin(shard.event()), hand.clone());
            runtime.spawn(poll_fn(move |cx| {
                let poll = waiter.as_mut().poll(cx);
                if poll.is_ready() {
                    hand.advance(Duration::from_millis(3));
                }
                poll
            }))
        })
        .collect();
    shard.bring_when(2);
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    let metrics = settled(&runtime, |metrics| metrics.task_poll.count() == 4);
    assert_eq!((metrics.harvest_size.count(), metrics.harvest_size.sum()), (1, 2.0));
    // The first ran at once, the second after the poll of the first.
    assert_eq!((metrics.event_to_run.count(), metrics.event_to_run.sum()), (2, 0.003));
    assert_eq!((metrics.task_wait.count(), metrics.task_wait.sum()), (4, 0.003));
    assert_eq!(metrics.task_poll.sum(), 0.006);
}

#[test]
fn blocking_work_waits_from_its_queueing_to_its_start() {
    let (runtime, hand) = runtime(Idle::new());
    let (inside, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let running = runtime.handle().spawn_blocking(move || {
        inside.send(()).unwrap();
        released.recv_timeout(HANG).unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    let queued = runtime.handle().spawn_blocking(|| ());
    hand.advance(Duration::from_millis(7));
    release.send(()).unwrap();
    runtime.block_on(async { (running.await.unwrap(), queued.await.unwrap()) });
    let metrics = runtime.handle().metrics();
    assert_eq!((metrics.blocking_wait.count(), metrics.blocking_wait.sum()), (2, 0.007));
}

#[test]
fn the_oldest_runnable_task_is_found_in_injector_and_deque() {
    let (runtime, hand) = runtime(Idle::new());
    // A worker that has run and waited before: what it did then is not what waits now.
    runtime.block_on(runtime.spawn(async {})).unwrap();
    hand.advance(Duration::from_secs(1));
    let (inside, entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (spawned, has_spawned) = mpsc::channel();
    let hog = runtime.spawn(async move {
        inside.send(()).unwrap();
        released.recv_timeout(HANG).unwrap();
        let behind = [spawn(async {}), spawn(async {})];
        spawned.send(()).unwrap();
        released.recv_timeout(HANG).unwrap();
        for task in behind {
            task.await.unwrap();
        }
    });
    let oldest = || runtime.handle().metrics().oldest_runnable;
    entered.recv_timeout(HANG).unwrap();
    assert_eq!(oldest(), Duration::ZERO);
    let foreign = runtime.spawn(async {});
    hand.advance(Duration::from_millis(4));
    assert_eq!(oldest().as_millis(), 4, "in the injector");
    release.send(()).unwrap();
    has_spawned.recv_timeout(HANG).unwrap();
    hand.advance(Duration::from_millis(2));
    assert_eq!(oldest().as_millis(), 6, "in deque and next slot, woken when the poll began");
    release.send(()).unwrap();
    runtime.block_on(async { (hog.await.unwrap(), foreign.await.unwrap()) });
    settled(&runtime, |metrics| metrics.oldest_runnable == Duration::ZERO);
}

/// Failure: a next slot that a thief emptied counted as full until its owner came back, and the monitor
/// woke a worker for it at every look.
#[test]
fn a_next_slot_that_was_stolen_waits_no_more() {
    let runtime = Builder::new().workers(2).start(Idle::new()).unwrap();
    let (release, released) = mpsc::channel::<()>();
    let (ran, saw) = mpsc::channel();
    let hog = runtime.spawn(async move {
        drop(spawn(async move { ran.send(()).unwrap() }));
        released.recv_timeout(HANG).unwrap();
    });
    saw.recv_timeout(HANG).unwrap();
    settled(&runtime, |metrics| metrics.oldest_runnable == Duration::ZERO);
    release.send(()).unwrap();
    runtime.block_on(hog).unwrap();
}

#[test]
fn a_wake_by_the_monitor_is_a_rescue() {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().workers(2).clock(clock).start(Idle::new()).unwrap();
    let began = std::time::Instant::now();
    // Held up before it spawns, the hog itself wakes the other worker: then there is nothing to
    // rescue, and another round is run.
    while runtime.handle().metrics().rescues == 0 {
        assert!(began.elapsed() < HANG, "{:?}", runtime.handle().metrics());
        // Ends the long-poll mode of the round before.
        hand.advance(Duration::from_secs(1));
        // The other worker finds nothing by itself.
        settled(&runtime, |metrics| metrics.listening + metrics.parked == 2);
        let hand = hand.clone();
        let (ran, saw) = mpsc::channel();
        let hog = runtime.spawn(async move {
            // One task in the deque is not worth a wake, as far as this worker knows.
            drop(spawn(async move { ran.send(()).unwrap() }));
            drop(spawn(async {}));
            hand.advance(Duration::from_millis(1));
            saw.recv_timeout(HANG).unwrap();
        });
        runtime.block_on(hog).unwrap();
    }
}

/// A shard that brings the events of a batch at once, when enough tasks wait for one.
struct Shard {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waker>,
    ready: Vec<Waker>,
    woken: bool,
    closed: bool,
}

impl Shard {
    fn new() -> Arc<Shard> {
        Arc::new(Shard { state: Mutex::default(), changed: Condvar::new() })
    }

    /// Ends at the second poll, when the event came.
    fn event(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let (shard, mut asked) = (Arc::clone(self), false);
        poll_fn(move |cx| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            shard.state.lock().unwrap().waiting.push_back(cx.waker().clone());
            shard.changed.notify_all();
            Poll::Pending
        })
    }

    /// Waits until `count` tasks wait, and makes the events of all of them ready at once.
    fn bring_when(&self, count: usize) {
        let waits = |state: &mut State| state.waiting.len() < count;
        let state = self.state.lock().unwrap();
        let (mut state, hang) = self.changed.wait_timeout_while(state, HANG, waits).unwrap();
        assert!(!hang.timed_out());
        let State { waiting, ready, .. } = &mut *state;
        ready.extend(waiting.drain(..));
        self.changed.notify_all();
    }
}

impl State {
    fn take(&mut self, bound: usize, out: &mut Vec<Waker>) -> Harvest {
        let events = bound.min(self.ready.len());
        out.extend(self.ready.drain(..events));
        let woken = std::mem::take(&mut self.woken);
        Harvest { events, woken, closed: self.closed, ..Harvest::default() }
    }
}

impl Park for Shard {
    fn shards(&self) -> usize {
        1
    }

    fn max_waiters(&self) -> usize {
        usize::MAX
    }

    fn poll(&self, _: usize, bound: usize, out: &mut Vec<Waker>) -> std::io::Result<Harvest> {
        Ok(self.state.lock().unwrap().take(bound, out))
    }

    fn listen(
        &self,
        _: usize,
        bound: usize,
        timeout: Option<Duration>,
        out: &mut Vec<Waker>,
    ) -> std::io::Result<Harvest> {
        let idle = |state: &mut State| !state.woken && !state.closed && state.ready.is_empty();
        let state = self.state.lock().unwrap();
        let timeout = timeout.unwrap_or(HANG);
        let (mut state, _) = self.changed.wait_timeout_while(state, timeout, idle).unwrap();
        Ok(state.take(bound, out))
    }

    fn wake(&self, _: usize) {
        self.state.lock().unwrap().woken = true;
        self.changed.notify_all();
    }

    fn ready(&self, _: usize) -> bool {
        let state = self.state.lock().unwrap();
        state.woken || state.closed || !state.ready.is_empty()
    }

    fn close(&self) -> Vec<Waker> {
        self.state.lock().unwrap().closed = true;
        self.changed.notify_all();
        Vec::new()
    }
}
