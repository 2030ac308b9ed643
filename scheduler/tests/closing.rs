//! Once a runtime has begun to shut down no wait resumes: a worker drops the task, and `block_on`
//! panics with the reason. A shutdown never looks like a tick, a time-out or an error.

mod common;

use std::future::{Future, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use heist_scheduler::{Handle, JoinHandle, spawn, spawn_blocking, time};

use common::{CountDrop, HANG, once_closing, runtime};

const HOUR: Duration = Duration::from_secs(3_600);

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A name, and a future that waits anew each time.
type Kind = (&'static str, fn() -> Wait);

/// Each wait of this crate that could seem to have ended.
fn waits() -> Vec<Kind> {
    vec![
        ("sleep", || Box::pin(time::sleep(HOUR))),
        ("sleep for no time", || Box::pin(time::sleep(Duration::ZERO))),
        ("interval", || {
            Box::pin(async {
                let mut interval = time::interval_at(time::Instant::now() + HOUR, HOUR);
                interval.tick().await;
            })
        }),
        ("timeout", || Box::pin(async { _ = time::timeout(HOUR, pending::<()>()).await })),
        ("timeout of what is ready", || {
            Box::pin(async { _ = time::timeout(HOUR, ready(())).await })
        }),
        ("spawn and join", || Box::pin(async { drop(spawn(async {}).await) })),
        ("blocking work", || Box::pin(async { drop(spawn_blocking(|| ()).await) })),
        ("yield_now", || Box::pin(async { heist_scheduler::yield_now().await })),
    ]
}

/// Failure: a task in the middle of a poll, which tries again after each result, never ended; sleeps and
/// ticks ended 127 times (asupersync 60, ttrpc-rust 271, tokio 4862).
#[test]
fn no_wait_resumes_on_a_worker_once_the_runtime_closes() {
    for (kind, wait) in waits() {
        let runtime = runtime(1);
        let (resumed, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counts, guard) = (Arc::clone(&resumed), CountDrop(Arc::clone(&dropped)));
        let (inside, entered) = mpsc::channel();
        drop(runtime.spawn(async move {
            let _guard = guard;
            inside.send(()).unwrap();
            // The shutdown begins in this poll.
            while !Handle::current().is_shutting_down() {
                std::thread::yield_now();
            }
            loop {
                wait().await;
                counts.fetch_add(1, Ordering::SeqCst);
            }
        }));
        entered.recv_timeout(HANG).unwrap();
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{kind}: {report:?}");
        assert_eq!(report.tasks_dropped, 1, "{kind}: {report:?}");
        assert_eq!(resumed.load(Ordering::SeqCst), 0, "{kind}");
        assert_eq!(dropped.load(Ordering::SeqCst), 1, "{kind}");
    }
}

/// Failure: a ticker under `block_on` ran millions of rounds once its runtime had ended.
#[test]
fn block_on_panics_with_the_reason_when_the_runtime_closes() {
    for (kind, wait) in waits() {
        let runtime = runtime(1);
        let handle = runtime.handle().clone();
        let (inside, entered) = mpsc::channel();
        let resumed = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&resumed);
        let thread = std::thread::spawn(move || {
            handle.block_on(async move {
                inside.send(()).unwrap();
                loop {
                    wait().await;
                    if Handle::current().is_shutting_down() {
                        counts.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        });
        entered.recv_timeout(HANG).unwrap();
        assert_eq!(runtime.shutdown(HANG).threads_left, 0, "{kind}");
        let panic = thread.join().unwrap_err();
        let message = panic.downcast::<&str>().unwrap();
        assert!(message.contains("the runtime was shut down"), "{kind}: {message}");
        // One wait may have ended just before.
        assert!(resumed.load(Ordering::SeqCst) <= 1, "{kind}");
    }
}

/// Failure: a `block_on` inside the poll took the refusal that was meant for the outer one, and the outer
/// one waited for ever.
#[test]
fn block_on_panics_also_where_another_one_ran_inside_it() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let (inside, entered) = mpsc::channel();
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let outer = catch_unwind(AssertUnwindSafe(|| {
            let inner = handle.clone();
            let mut sleep = Box::pin(time::sleep_until(time::Instant::FAR_FUTURE));
            handle.block_on(std::future::poll_fn(move |cx| {
                let polled = sleep.as_mut().poll(cx);
                inner.block_on(async {});
                let _ = inside.send(());
                polled
            }))
        }));
        tell.send(outer.is_err()).unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    assert_eq!(ended.recv_timeout(HANG), Ok(true));
}

/// Failure: the shutdown of one runtime was taken for that of another.
#[test]
fn block_on_goes_on_when_another_runtime_closes() {
    let (one, other) = (runtime(1), runtime(1));
    let handle = other.handle().clone();
    assert_eq!(other.shutdown(HANG).threads_left, 0);
    one.block_on(async move {
        {
            let _inside = handle.enter();
            let mut sleep = Box::pin(time::sleep(HOUR));
            std::future::poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        time::sleep(Duration::from_millis(1)).await;
    });
}

#[test]
fn block_on_goes_on_with_what_is_not_of_the_runtime() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let other = self::runtime(1);
    let (inside, entered) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    // A task of another runtime ends when this one has been shut down.
    let foreign: JoinHandle<u32> = other.spawn(async move {
        gone.recv().unwrap();
        7
    });
    let thread = std::thread::spawn(move || {
        handle.block_on(async move {
            inside.send(()).unwrap();
            let mut foreign = foreign;
            // Not through this runtime: joined from a thread that is in none.
            let (done, answer) = mpsc::channel();
            std::thread::spawn(move || {
                let _ = done.send(other.block_on(&mut foreign).unwrap());
            });
            answer.recv().unwrap()
        })
    });
    entered.recv_timeout(HANG).unwrap();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    go.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), 7);
}

/// Failure: the shutdown returned at once, with all tasks still running.
#[test]
fn shutdown_under_an_enter_guard_waits_as_any_other() {
    let runtime = runtime(2);
    let (inside, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    drop(runtime.spawn(async move {
        inside.send(()).unwrap();
        hold.recv().unwrap();
    }));
    entered.recv_timeout(HANG).unwrap();
    let handle = runtime.handle().clone();
    let _guard = handle.enter();
    once_closing(&handle, move || release.send(()).unwrap());
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left, report.tasks_dropped), (0, 0, 0));
}

/// Failure: the shutdown waited for blocking work before it dropped the task on whose drop the work ends.
#[test]
fn waiting_tasks_are_dropped_before_threads_are_joined() {
    let runtime = runtime(2);
    let (feed, consume) = mpsc::channel::<u32>();
    let (fed, is_fed) = mpsc::channel();
    let consumer = runtime.handle().spawn_blocking(move || {
        for item in consume {
            fed.send(item).unwrap();
        }
    });
    drop(runtime.spawn(async move {
        feed.send(1).unwrap();
        pending::<()>().await;
        drop(feed);
    }));
    is_fed.recv_timeout(HANG).unwrap();
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left, report.tasks_dropped), (0, 0, 1));
    drop(consumer);
}

/// Failure: tasks in the queue of a worker whose poll does not end lived on.
#[test]
fn tasks_behind_a_stuck_poll_are_dropped_by_the_deadline() {
    let runtime = runtime(1);
    let dropped = Arc::new(AtomicUsize::new(0));
    let (inside, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let guards: Vec<_> = (0..10).map(|_| CountDrop(Arc::clone(&dropped))).collect();
    let stuck = runtime.spawn(async move {
        for guard in guards {
            // The task woken last waits in the next slot, the others in the deque.
            drop(spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
        inside.send(()).unwrap();
        hold.recv().unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    let report = runtime.shutdown(Duration::from_millis(1));
    assert_eq!((report.tasks_dropped, report.tasks_left), (10, 1), "{report:?}");
    assert_eq!(dropped.load(Ordering::SeqCst), 10);
    release.send(()).unwrap();
    self::runtime(1).block_on(stuck).unwrap();
}

/// Failure: a `spawn` in a destructor panicked, because the thread that shut down had no runtime.
#[test]
fn destructors_of_dropped_futures_run_inside_the_runtime() {
    struct Spawns(mpsc::Sender<bool>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let inside = Handle::try_current().is_some_and(|handle| handle.is_shutting_down());
            drop(spawn(async { unreachable!("it is refused") }));
            drop(spawn_blocking(|| unreachable!("it is refused")));
            let _ = self.0.send(inside);
        }
    }
    let (tell, told) = mpsc::channel();
    let runtime = runtime(2);
    // A task that waits, one that waits for time, one that is queued, and queued blocking work.
    let (inside, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let [a, b, c] = [0, 1, 2].map(|_| Spawns(tell.clone()));
    drop(runtime.spawn(async move {
        let _spawns = a;
        pending::<()>().await;
    }));
    drop(runtime.spawn(async move {
        let _spawns = b;
        time::sleep(HOUR).await;
    }));
    drop(runtime.spawn(async move {
        drop(spawn(async move {
            let _spawns = c;
            pending::<()>().await;
        }));
        inside.send(()).unwrap();
        hold.recv().unwrap();
    }));
    entered.recv_timeout(HANG).unwrap();
    once_closing(runtime.handle(), move || release.send(()).unwrap());
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
    drop(tell);
    assert_eq!(told.iter().collect::<Vec<_>>(), [true; 3]);
}

/// Failure: tasks that the workers dropped were missing.
#[test]
fn report_counts_each_unfinished_task_once() {
    for round in 0..50 {
        let runtime = runtime(2);
        let dropped = Arc::new(AtomicUsize::new(0));
        let finished = Arc::new(AtomicUsize::new(0));
        const TASKS: usize = 200;
        for number in 0..TASKS {
            let (guard, finished) = (CountDrop(Arc::clone(&dropped)), Arc::clone(&finished));
            drop(runtime.spawn(async move {
                let _guard = guard;
                match number % 4 {
                    0 => pending::<()>().await,
                    1 => time::sleep(HOUR).await,
                    2 => {
                        for _ in 0..number {
                            heist_scheduler::yield_now().await;
                        }
                    }
                    _ => {}
                }
                finished.fetch_add(1, Ordering::SeqCst);
            }));
        }
        let report = runtime.shutdown(HANG);
        assert_eq!(dropped.load(Ordering::SeqCst), TASKS, "round {round}");
        let finished = finished.load(Ordering::SeqCst);
        assert_eq!((report.tasks_dropped + finished, report.tasks_left), (TASKS, 0), "{report:?}");
    }
}

/// Failure: a runtime that was dropped inside a task of another runtime held up the other's worker.
#[test]
fn runtime_dropped_inside_a_task_of_another_is_not_waited_for() {
    let (outer, inner) = (runtime(1), runtime(1));
    let (inside, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let stuck = inner.spawn(async move {
        inside.send(()).unwrap();
        hold.recv().unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    // Ends although the inner runtime cannot.
    outer.block_on(outer.spawn(async move { drop(inner) })).unwrap();
    release.send(()).unwrap();
    outer.block_on(stuck).unwrap();
}

/// Failure: a worker that had entered another runtime by a guard did not count as a worker.
#[test]
fn block_on_panics_on_a_worker_that_has_entered_another_runtime() {
    let (one, other) = (runtime(1), runtime(1));
    let handle = other.handle().clone();
    let panicked = one.block_on(one.spawn(async move {
        let _guard = handle.enter();
        catch_unwind(AssertUnwindSafe(|| handle.block_on(async {}))).is_err()
    }));
    assert!(panicked.unwrap());
}
