//! A panic of foreign code ends at a named place, is counted, and takes nothing else with it.

mod common;

use std::any::Any;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::panic_any;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist_scheduler::time::{self, Timer};
use heist_scheduler::{Builder, Harvest, Idle, Park, Runtime, StartError, spawn};

use common::{HANG, once_closing, runtime, wait_until};

/// Panics when it is woken, or when it is dropped.
struct Bad {
    on_wake: bool,
    on_drop: bool,
}

impl Bad {
    fn waker(on_wake: bool, on_drop: bool) -> Waker {
        Waker::from(Arc::new(Bad { on_wake, on_drop }))
    }
}

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        assert!(!self.on_wake, "a waker that panics (expected)");
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        assert!(!self.on_drop || std::thread::panicking(), "a waker's drop panics (expected)");
    }
}

/// Whether tasks still run, timers fire and joins end.
fn still_works(runtime: &Runtime) {
    let answer = runtime.block_on(async {
        spawn(async {
            time::sleep(Duration::from_millis(1)).await;
            spawn(async { 7 }).await.unwrap()
        })
        .await
    });
    assert_eq!(answer.unwrap(), 7);
}

/// Failure: a waker that panics in a dispatched batch killed the worker, lost the rest of the batch and
/// never released the wake permit.
#[test]
fn waker_that_panics_in_a_batch_keeps_the_rest_of_it() {
    let runtime = runtime(1);
    let woken = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&woken);
    drop(runtime.spawn(async move {
        let deadline = time::Instant::now() + Duration::from_millis(5);
        let mut timers = Vec::new();
        for number in 0..9 {
            let mut timer = Box::new(Timer::new());
            timer.set(Some(deadline));
            if number % 3 == 0 {
                let bad = Bad::waker(true, false);
                assert!(timer.poll_elapsed(&mut Context::from_waker(&bad)).is_pending());
                timers.push(timer);
            } else {
                let counts = Arc::clone(&counts);
                // Armed in this poll, and so in one batch with the others.
                let counting = Waker::from(Arc::new(Counts(counts)));
                assert!(timer.poll_elapsed(&mut Context::from_waker(&counting)).is_pending());
                timers.push(timer);
            }
        }
        pending::<()>().await;
    }));
    wait_until(|| runtime.handle().metrics().caught_panics == 3);
    still_works(&runtime);
    assert_eq!(woken.load(Ordering::SeqCst), 6);
    assert_eq!(runtime.handle().metrics().workers[0].recoveries, 0);
}

struct Counts(Arc<AtomicUsize>);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Failure: the panic aborted the process.
#[test]
fn waker_of_a_joiner_that_panics_does_not_abort() {
    let runtime = runtime(1);
    for (on_wake, on_drop) in [(true, false), (false, true), (true, true)] {
        let before = runtime.handle().metrics().caught_panics;
        let (go, gone) = mpsc::channel::<()>();
        let mut join = runtime.spawn(async move { gone.recv().unwrap() });
        let bad = Bad::waker(on_wake, on_drop);
        assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&bad)).is_pending());
        // Only the task holds it now.
        drop(bad);
        go.send(()).unwrap();
        wait_until(|| runtime.handle().metrics().caught_panics > before);
        runtime.block_on(join).unwrap();
    }
    still_works(&runtime);
}

/// The same where a task passes on another waker than its own.
#[test]
fn waker_that_a_task_joins_with_and_that_panics_does_not_abort() {
    let runtime = runtime(1);
    let task = runtime.spawn(async {
        let mut join = spawn(async {});
        poll_fn(|_| {
            let bad = Bad::waker(true, true);
            assert!(Pin::new(&mut join).poll(&mut Context::from_waker(&bad)).is_pending());
            Poll::Ready(())
        })
        .await;
        heist_scheduler::yield_now().await;
        join.await.unwrap();
    });
    runtime.block_on(task).unwrap();
    still_works(&runtime);
}

/// Failure: the worker that dropped it died.
#[test]
fn waker_whose_drop_panics_ends_in_the_timers() {
    let runtime = runtime(1);
    for _ in 0..20 {
        // The worker drops it before it waits, or when another timer is armed.
        let task = runtime.spawn(async {
            let mut timer = Timer::new();
            timer.set(Some(time::Instant::now() + Duration::from_secs(3_600)));
            let bad = Bad::waker(false, true);
            assert!(timer.poll_elapsed(&mut Context::from_waker(&bad)).is_pending());
        });
        runtime.block_on(task).unwrap();
        still_works(&runtime);
    }
    wait_until(|| runtime.handle().metrics().caught_panics == 20);
    still_works(&runtime);
    assert_eq!(runtime.handle().metrics().workers[0].recoveries, 0);
}

/// Failure: a payload that panics when it is dropped killed the worker.
#[test]
fn payload_that_panics_when_dropped_ends_its_task_alone() {
    struct Payload;
    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the drop of a payload (expected)");
        }
    }
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic_any(Payload);
        }
    }
    let runtime = runtime(1);
    drop(runtime.spawn(async { panic_any(Payload) }));
    drop(runtime.spawn(async { Bomb }));
    let aborted = runtime.spawn(async {
        let _bomb = Bomb;
        pending::<()>().await;
    });
    aborted.abort();
    assert!(runtime.block_on(aborted).unwrap_err().is_cancelled());
    drop(runtime.handle().spawn_blocking(|| panic_any(Payload)));
    drop(runtime.handle().spawn_blocking(|| Bomb));
    assert_eq!(runtime.block_on(runtime.handle().spawn_blocking(|| 3)).unwrap(), 3);
    still_works(&runtime);
    assert_eq!(runtime.handle().metrics().workers[0].recoveries, 0);
}

/// Failure: `start` returned `Ok`, and there was no worker.
#[test]
fn start_hook_that_panics_is_an_error_of_start() {
    for failing in [1, 2] {
        let started = Arc::new(AtomicUsize::new(0));
        let hook = move || {
            let number = started.fetch_add(1, Ordering::SeqCst);
            assert!(!number.is_multiple_of(failing), "no permission to set the CPU (expected)");
        };
        let error = Builder::new().workers(2).on_thread_start(hook).start(Idle::new()).unwrap_err();
        let StartError::StartHook { thread, message } = &error else { panic!("{error:?}") };
        assert!(thread.starts_with("heist-") && message.contains("no permission"), "{error}");
    }
}

#[test]
fn stop_hook_that_panics_leaves_the_shutdown_in_order() {
    let runtime = Builder::new()
        .workers(2)
        .on_thread_stop(|| panic!("expected by this test"))
        .start(Idle::new())
        .unwrap();
    let handle = runtime.handle().clone();
    let report = runtime.shutdown(Duration::from_secs(60));
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
    assert_eq!(handle.metrics().caught_panics, 2);
}

/// A source of events that panics whenever it is told to, once.
struct Panics {
    inner: Arc<dyn Park>,
    in_listen: AtomicBool,
    in_ready: AtomicBool,
    in_wake: AtomicBool,
    in_wake_again: AtomicBool,
    in_close: AtomicBool,
}

impl Panics {
    fn new() -> Arc<Panics> {
        let [in_listen, in_ready, in_wake, in_wake_again, in_close] = Default::default();
        let inner = Idle::new();
        Arc::new(Panics { inner, in_listen, in_ready, in_wake, in_wake_again, in_close })
    }

    /// Panics if it was told to.
    fn obey(order: &AtomicBool) {
        assert!(!order.swap(false, Ordering::SeqCst), "expected by this test");
    }
}

impl Park for Panics {
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
        let harvest = self.inner.listen(shard, bound, timeout, out);
        Panics::obey(&self.in_listen);
        harvest
    }

    fn wake(&self, shard: usize) {
        Panics::obey(&self.in_wake);
        Panics::obey(&self.in_wake_again);
        self.inner.wake(shard);
    }

    fn ready(&self, shard: usize) -> bool {
        Panics::obey(&self.in_ready);
        self.inner.ready(shard)
    }

    fn close(&self) -> Vec<Waker> {
        Panics::obey(&self.in_close);
        self.inner.close()
    }
}

/// Failure: a worker that died took its queue with it, and counted as idle for ever.
#[test]
fn worker_whose_turn_panics_goes_on_and_is_counted() {
    let park = Panics::new();
    let runtime = Builder::new().workers(2).start(Arc::clone(&park) as Arc<dyn Park>).unwrap();
    for round in 1..=5 {
        park.in_listen.store(true, Ordering::SeqCst);
        still_works(&runtime);
        let recoveries =
            || runtime.handle().metrics().workers.iter().map(|w| w.recoveries).sum::<u64>();
        wait_until(|| {
            // A listening worker is woken for it.
            drop(runtime.spawn(async {}));
            recoveries() == round
        });
        still_works(&runtime);
        // A worker counts as idle if and only if it is.
        wait_until(|| {
            let metrics = runtime.handle().metrics();
            metrics.listening + metrics.parked == 2
        });
    }
    let caught = || runtime.handle().metrics().caught_panics;
    let before = caught();
    park.in_ready.store(true, Ordering::SeqCst);
    wait_until(|| {
        // Both workers are busy for longer than the monitor's period, and nothing waits: so the monitor
        // asks whether the shard, where no worker listens, is ready.
        let busy = [(); 2].map(|()| {
            runtime.spawn(async {
                let start = std::time::Instant::now();
                while start.elapsed() < Duration::from_millis(25) {}
            })
        });
        busy.into_iter().for_each(|task| runtime.block_on(task).unwrap());
        !park.in_ready.load(Ordering::SeqCst)
    });
    wait_until(|| caught() > before);
    still_works(&runtime);
    assert_eq!(runtime.shutdown(Duration::from_secs(60)).threads_left, 0);
}

/// Failure: the wake permit was never released, and nothing ran any more.
#[test]
fn a_wake_of_the_park_that_panics_is_tried_again() {
    let park = Panics::new();
    let runtime = Builder::new().workers(1).start(Arc::clone(&park) as Arc<dyn Park>).unwrap();
    for round in 1..=20 {
        wait_until(|| runtime.handle().metrics().listening == 1);
        park.in_wake.store(true, Ordering::SeqCst);
        let (tell, told) = mpsc::channel();
        drop(runtime.spawn(async move { tell.send(round).unwrap() }));
        assert_eq!(told.recv_timeout(HANG), Ok(round));
    }
    still_works(&runtime);
}

/// Failure: the monitor dozed, as every worker was idle, and the task waited until another one came.
#[test]
fn work_whose_wake_panics_twice_is_found_by_the_monitor() {
    let park = Panics::new();
    let runtime = Builder::new().workers(1).start(Arc::clone(&park) as Arc<dyn Park>).unwrap();
    // The monitor may doze at any of them, and does at most.
    for round in 1..=20 {
        wait_until(|| runtime.handle().metrics().listening == 1);
        for order in [&park.in_wake, &park.in_wake_again] {
            order.store(true, Ordering::SeqCst);
        }
        let (tell, told) = mpsc::channel();
        drop(runtime.spawn(async move { tell.send(round).unwrap() }));
        assert_eq!(told.recv_timeout(HANG), Ok(round));
    }
    still_works(&runtime);
}

/// Failure: the panic left the shutdown, which had ended nothing.
#[test]
fn a_close_of_the_park_that_panics_leaves_the_shutdown_in_order() {
    let park = Panics::new();
    let runtime = Builder::new().workers(2).start(Arc::clone(&park) as Arc<dyn Park>).unwrap();
    park.in_close.store(true, Ordering::SeqCst);
    // A `Park` that did not close does not wake its listener: another thread does.
    once_closing(runtime.handle(), move || {
        while park.in_close.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        park.close();
    });
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
}

/// Failure: the worker's own leave counted as out of order, and panicked.
#[test]
fn a_guard_that_is_forgotten_in_a_task_does_not_keep_the_worker_from_ending() {
    let stopped = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stopped);
    let stop = move || stops.store(true, Ordering::SeqCst);
    let runtime = Builder::new().workers(1).on_thread_stop(stop).start(Idle::new()).unwrap();
    let handle = runtime.handle().clone();
    let forgets = runtime.spawn(async move { std::mem::forget(handle.enter()) });
    runtime.block_on(forgets).unwrap();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    assert!(stopped.load(Ordering::SeqCst));
}

/// The joiner gets the task's panic payload, whatever caught it on the way.
#[test]
fn joiner_gets_the_payload() {
    let runtime = runtime(1);
    let error = runtime.block_on(runtime.spawn(async { panic!("told") })).unwrap_err();
    let payload: Box<dyn Any + Send> = error.into_panic();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "told");
}
