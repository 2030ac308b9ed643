//! Runtimes whose tasks run on the thread in `block_on`.

#[path = "../common/mod.rs"]
mod common;
mod order;
mod take_over;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use heist_scheduler::{
    Builder, Handle, Harvest, Idle, Park, Runtime, StartError, TaskBuilder, spawn, spawn_blocking,
    time, yield_now,
};

use common::{CountDrop, HANG, SetOnDrop, wait_until};

fn current_thread() -> Runtime {
    Builder::new().current_thread().start(Idle::new()).unwrap()
}

/// What a thread or a task waits for and another one sets.
#[derive(Clone, Default)]
struct Event(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Event {
    fn set(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let event = self.clone();
        poll_fn(move |cx| {
            let mut state = event.0.lock().unwrap();
            match state.0 {
                true => Poll::Ready(()),
                false => {
                    state.1.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }
}

/// What `code` panics with.
fn panic_of<R>(code: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(code)).err().expect("it is to panic");
    match payload.downcast::<&str>() {
        Ok(text) => (*text).to_owned(),
        Err(payload) => *payload.downcast::<String>().expect("a text"),
    }
}

/// Waits, in a thread beside it, until the thread in `block_on` has nothing to run.
fn wait_until_idle(handle: &Handle) {
    wait_until(|| handle.metrics().listening == 1);
}

#[test]
fn tasks_run_on_the_thread_in_block_on_and_on_no_other() {
    let hooked = Arc::new(AtomicBool::new(false));
    let hook = |hooked: &Arc<AtomicBool>| {
        let hooked = Arc::clone(hooked);
        move || hooked.store(true, Ordering::SeqCst)
    };
    let runtime = Builder::new()
        .workers(4)
        .current_thread()
        .thread_name("cur-thread")
        .on_thread_start(hook(&hooked))
        .on_thread_stop(hook(&hooked))
        .start(Idle::new())
        .unwrap();
    assert_eq!(runtime.handle().workers(), 1);
    let outside = runtime.spawn(async { thread::current().id() });
    let [own, inside, outside] = runtime.block_on(async {
        let nested = spawn(async { spawn(async { thread::current().id() }).await.unwrap() });
        [thread::current().id(), nested.await.unwrap(), outside.await.unwrap()]
    });
    assert_eq!([own, inside, outside], [thread::current().id(); 3]);
    #[cfg(target_os = "linux")]
    assert!(!threads_of_this_process().iter().any(|name| name.starts_with("cur-thread")));
    drop(runtime);
    assert!(!hooked.load(Ordering::SeqCst));
}

#[cfg(target_os = "linux")]
fn threads_of_this_process() -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread may end meanwhile.
    threads
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("comm")).ok())
        .collect()
}

#[test]
fn blocking_work_has_a_thread_of_its_own_and_wakes_the_task() {
    let runtime = current_thread();
    let (worked_on, asked_on): (ThreadId, ThreadId) = runtime.block_on(async {
        let asked = spawn(async {
            (spawn_blocking(|| thread::current().id()).await.unwrap(), thread::current().id())
        });
        asked.await.unwrap()
    });
    assert_eq!(asked_on, thread::current().id());
    assert_ne!(worked_on, asked_on);
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
}

#[test]
fn tasks_make_no_progress_outside_of_block_on() {
    let runtime = current_thread();
    let ran = Arc::new(AtomicBool::new(false));
    let task = {
        let ran = Arc::clone(&ran);
        runtime.spawn(async move { ran.store(true, Ordering::SeqCst) })
    };
    // The future is ready before any task has had a turn.
    runtime.block_on(async {});
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(runtime.handle().metrics().tasks_alive, 1);
    runtime.block_on(task).unwrap();
    assert!(ran.load(Ordering::SeqCst));
}

#[test]
fn a_thread_that_waits_for_events_is_woken_by_spawns_and_wakes_of_others() {
    let runtime = current_thread();
    for _ in 0..100 {
        let (spawned, woken) = (Event::default(), Event::default());
        let other = {
            let (handle, spawned, woken) =
                (runtime.handle().clone(), spawned.clone(), woken.clone());
            thread::spawn(move || {
                wait_until_idle(&handle);
                let in_task = spawned.clone();
                drop(handle.spawn(async move { in_task.set() }));
                // The future of `block_on` waits for this one next.
                wait_until(|| !woken.0.lock().unwrap().1.is_empty());
                wait_until_idle(&handle);
                woken.set();
            })
        };
        runtime.block_on(async {
            spawned.wait().await;
            woken.wait().await;
        });
        other.join().unwrap();
    }
}

#[test]
fn timers_fire_for_the_future_and_for_tasks() {
    let runtime = current_thread();
    runtime.block_on(async {
        let task = spawn(time::sleep(Duration::from_millis(2)));
        time::sleep(Duration::from_millis(1)).await;
        task.await.unwrap();
        let late = time::timeout(Duration::from_millis(1), pending::<()>()).await;
        assert!(late.is_err());
    });
}

#[test]
fn a_panic_of_the_future_leaves_the_runtime_with_its_tasks() {
    let runtime = current_thread();
    let go = Event::default();
    let task = runtime.spawn(go.wait());
    let told = panic_of(|| {
        runtime.block_on(async {
            drop(spawn(async {}));
            yield_now().await;
            panic!("expected by this test")
        })
    });
    assert_eq!(told, "expected by this test");
    assert!(runtime.handle().metrics().workers[0].current_poll.is_none());
    go.set();
    runtime.block_on(task).unwrap();
}

#[test]
fn a_panic_of_a_task_ends_that_task_alone() {
    let runtime = current_thread();
    let error = runtime.block_on(async {
        let bad = TaskBuilder::new().name("bad").spawn(async { panic!("expected by this test") });
        spawn(async {}).await.unwrap();
        bad.await.unwrap_err()
    });
    assert!(error.is_panic());
    assert_eq!(runtime.handle().metrics().task_panics, 1);
}

#[test]
fn block_on_inside_of_block_on_panics_with_the_reason() {
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    let in_future = panic_of(|| runtime.block_on(async { handle.block_on(async {}) }));
    assert!(in_future.contains("would stop every task"), "{in_future}");
    let in_task = runtime.block_on(async {
        let handle = Handle::current();
        spawn(async move { panic_of(|| handle.block_on(async {})) }).await.unwrap()
    });
    assert_eq!(in_task, in_future);
    runtime.block_on(async { spawn(async {}).await.unwrap() });
}

#[test]
fn a_drop_of_the_runtime_drops_its_tasks_on_that_thread() {
    /// Says on which thread it is dropped, and spawns there.
    struct Tells(mpsc::Sender<ThreadId>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.send(thread::current().id()).unwrap();
            assert!(Handle::try_current().is_some());
            drop(spawn(async {}));
        }
    }
    let runtime = current_thread();
    let (tell, told) = mpsc::channel();
    // One that was never polled, one that waits, and one that is queued.
    for kind in 0..3 {
        let guard = Tells(tell.clone());
        let task = runtime.spawn(async move {
            let _guard = guard;
            match kind {
                1 => time::sleep(Duration::from_secs(3600)).await,
                _ => loop {
                    yield_now().await;
                },
            }
        });
        drop(task);
        if kind < 2 {
            runtime.block_on(yield_now());
        }
    }
    drop(tell);
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_dropped, report.tasks_left, report.threads_left), (3, 0, 0));
    assert_eq!(told.iter().collect::<Vec<_>>(), [thread::current().id(); 3]);
}

#[test]
fn block_on_panics_when_another_thread_ends_the_runtime() {
    for waits_for_task in [false, true] {
        let runtime = current_thread();
        let dropped = Arc::new(AtomicBool::new(false));
        let (handle, guard) = (runtime.handle().clone(), SetOnDrop(Arc::clone(&dropped)));
        let thread = thread::spawn(move || {
            panic_of(|| {
                handle.block_on(async {
                    let task = spawn(async move {
                        let _guard = guard;
                        time::sleep(Duration::from_secs(3600)).await;
                    });
                    match waits_for_task {
                        true => task.await.unwrap(),
                        false => time::sleep(Duration::from_secs(3600)).await,
                    }
                });
            })
        });
        wait_until_idle(runtime.handle());
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_dropped, report.tasks_left), (1, 0), "{report:?}");
        assert!(dropped.load(Ordering::SeqCst));
        let told = thread.join().unwrap();
        assert!(told.contains("the runtime was shut down while `block_on` waited"), "{told}");
    }
}

/// The task's wait ends with the runtime, and is not the future's.
#[test]
fn block_on_goes_on_with_what_is_not_of_a_runtime_that_ended() {
    let runtime = current_thread();
    let (handle, go) = (runtime.handle().clone(), Event::default());
    let waits = go.clone();
    let thread = thread::spawn(move || {
        handle.block_on(async move {
            drop(spawn(time::sleep(Duration::from_secs(3600))));
            drop(spawn(async {
                loop {
                    yield_now().await;
                }
            }));
            waits.wait().await;
            7
        })
    });
    wait_until(|| runtime.handle().metrics().tasks_spawned == 2);
    assert_eq!(runtime.shutdown(HANG).tasks_left, 0);
    go.set();
    assert_eq!(thread.join().unwrap(), 7);
}

/// Failure: the task that stands for the future kept the runtime in memory, and with it the descriptors of
/// its event queue.
#[test]
fn a_runtime_that_ended_keeps_nothing() {
    for round in 0..3 {
        let park = Idle::new();
        let kept = Arc::downgrade(&park);
        let runtime = Builder::new().current_thread().start(park).unwrap();
        if round > 0 {
            runtime.block_on(async { spawn(async {}).await.unwrap() });
        }
        if round > 1 {
            drop(runtime.spawn(pending::<()>()));
            // Woken, and queued when it ends.
            runtime.block_on(async {
                let mut waker = None;
                poll_fn(|cx| {
                    waker = Some(cx.waker().clone());
                    Poll::Ready(())
                })
                .await;
                waker.unwrap().wake();
            });
        }
        drop(runtime);
        assert_eq!(kept.strong_count(), 0, "round {round}");
    }
}

#[test]
fn a_runtime_that_is_ended_by_its_own_future_or_task_does_not_wait_for_itself() {
    let dropped = Arc::new(AtomicUsize::new(0));
    for in_task in [false, true] {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        let guard = CountDrop(Arc::clone(&dropped));
        drop(handle.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        let ends = Event::default();
        let told = panic_of(|| {
            handle.block_on(async {
                yield_now().await;
                let ended = ends.clone();
                let end = async move {
                    drop(runtime);
                    ended.set();
                };
                match in_task {
                    true => drop(spawn(end)),
                    false => end.await,
                }
                ends.wait().await;
                time::sleep(Duration::from_secs(3600)).await;
            })
        });
        assert!(told.contains("the runtime was shut down"), "{told}");
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

/// Failure: a task that was about to be polled when the shutdown woke it waited for ever, as did the shutdown.
#[test]
fn tasks_that_run_on_another_thread_end_with_the_runtime() {
    for round in 0..100 {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        let stop = Event::default();
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            handle.block_on(async {
                for _ in 0..10 {
                    drop(spawn(async {
                        loop {
                            yield_now().await;
                        }
                    }));
                }
                stopped.wait().await;
            });
        });
        wait_until(|| runtime.handle().metrics().tasks_spawned == 10);
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_dropped, report.tasks_left), (10, 0), "round {round}");
        stop.set();
        thread.join().unwrap();
    }
}

#[test]
fn a_thousand_runtimes_end_with_tasks_that_wait() {
    for round in 0..1_000 {
        let runtime = current_thread();
        runtime.block_on(async {
            drop(spawn(pending::<()>()));
            drop(spawn(time::sleep(Duration::from_secs(3600))));
            if round % 2 == 0 {
                yield_now().await;
            }
        });
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_dropped, report.tasks_left), (2, 0), "round {round}");
    }
}

#[test]
fn ten_thousand_calls_of_block_on_leave_nothing_behind() {
    let runtime = current_thread();
    for _ in 0..10_000 {
        runtime.block_on(async {});
    }
    runtime.block_on(yield_now());
    let metrics = runtime.handle().metrics();
    assert_eq!((metrics.tasks_alive, metrics.tasks_spawned, metrics.injector_depth), (0, 0, 0));
    assert_eq!(metrics.workers[0].queue_depth, 0);
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_are_those_of_one_worker() {
    let (clock, hand) = time::Clock::manual();
    let runtime = Builder::new().current_thread().clock(clock).start(Idle::new()).unwrap();
    let current_poll = thread::scope(|scope| {
        scope.spawn(|| {
            // The task sleeps then. A move that wakes nothing leaves its timer to the worker, which a
            // second task wakes.
            wait_until_idle(runtime.handle());
            hand.set_silently(time::Instant::ZERO + Duration::from_millis(1));
            drop(runtime.spawn(async {}));
        });
        runtime.block_on(async {
            spawn(time::sleep(Duration::from_millis(1))).await.unwrap();
            let metrics = Handle::current().metrics();
            metrics.workers[0].current_poll.clone()
        })
    });
    assert_eq!(current_poll.expect("the future is being polled").task, "block_on");
    let metrics = runtime.handle().metrics();
    let [worker] = &metrics.workers[..] else { panic!("one worker: {metrics:?}") };
    assert!(worker.polls >= 4, "{worker:?}");
    assert_eq!(worker.timers_fired, 1);
    assert!(worker.listens >= 1, "{worker:?}");
    assert!(!runtime.handle().is_overloaded());
}

#[test]
fn a_park_with_more_shards_than_the_one_worker_is_an_error() {
    struct TwoShards(Arc<dyn Park>);
    impl Park for TwoShards {
        fn shards(&self) -> usize {
            2
        }
        fn max_waiters(&self) -> usize {
            1
        }
        fn poll(&self, _: usize, _: usize, _: &mut Vec<Waker>) -> std::io::Result<Harvest> {
            unreachable!("nothing starts")
        }
        fn listen(
            &self,
            _: usize,
            _: usize,
            _: Option<Duration>,
            _: &mut Vec<Waker>,
        ) -> std::io::Result<Harvest> {
            unreachable!("nothing starts")
        }
        fn wake(&self, shard: usize) {
            self.0.wake(shard);
        }
        fn ready(&self, shard: usize) -> bool {
            self.0.ready(shard)
        }
        fn close(&self) -> Vec<Waker> {
            self.0.close()
        }
    }
    let started = Builder::new().current_thread().start(Arc::new(TwoShards(Idle::new())));
    assert!(matches!(started, Err(StartError::OutOfBounds { setting: "workers", .. })));
}
