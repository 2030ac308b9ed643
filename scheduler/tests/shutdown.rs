//! Every wait ends: shutting down drops every future and joins every thread.

mod common;

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use heist_scheduler::{Builder, Idle, spawn, time};

use common::{CountDrop, HANG, runtime, wait_until};

#[test]
fn every_future_is_dropped_wherever_it_waits() {
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    for kind in 0..300 {
        let guard = CountDrop(Arc::clone(&drops));
        drop(runtime.spawn(async move {
            let _guard = guard;
            match kind % 3 {
                0 => pending::<()>().await,
                1 => time::sleep(Duration::from_secs(3600)).await,
                _ => loop {
                    heist_scheduler::yield_now().await;
                },
            }
        }));
    }
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
    assert_eq!(drops.load(Ordering::SeqCst), 300);
}

/// Failure: a wake drops the task that it wakes, under a lock of the caller that the drop needs as well. h2
/// has one lock for all that a connection's tasks share, and wakes them under it.
#[test]
fn tasks_that_are_woken_under_a_lock_that_their_drop_takes_end() {
    struct Member(Arc<Mutex<Vec<Waker>>>);
    impl Drop for Member {
        fn drop(&mut self) {
            let mut wakers = self.0.lock().unwrap();
            wakers.drain(..).for_each(Waker::wake);
        }
    }

    for round in 0..200 {
        let runtime = runtime(1 + round % 3);
        let (entered, all) = mpsc::channel();
        for _ in 0..5 {
            let shared = Arc::new(Mutex::new(Vec::new()));
            for _ in 0..4 {
                let (member, entered) = (Member(Arc::clone(&shared)), entered.clone());
                drop(runtime.spawn(poll_fn(move |cx| {
                    member.0.lock().unwrap().push(cx.waker().clone());
                    entered.send(()).unwrap();
                    Poll::<()>::Pending
                })));
            }
        }
        all.iter().take(20).for_each(drop);
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_dropped, report.threads_left), (20, 0), "{report:?}");
    }
}

/// Failure: a thread that is no worker drops a task in the wake, under its own locks, while the shutdown runs.
#[test]
fn a_wake_on_a_thread_off_the_workers_drops_no_task_there() {
    let runtime = Builder::new().workers(1).blocking_threads(1).start(Idle::new()).unwrap();
    let (dropped, drops) = mpsc::channel();
    let note_drop = OnDrop(move || dropped.send(thread::current().id()).unwrap());
    let (waiting, wakers) = mpsc::channel();
    drop(runtime.spawn(poll_fn(move |cx| {
        let _ = &note_drop;
        waiting.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    })));
    let waker = wakers.recv().unwrap();

    let handle = runtime.handle().clone();
    let ((begun, begins), (woken, wakes)) = (mpsc::channel(), mpsc::channel());
    drop(runtime.handle().spawn_blocking(move || {
        begun.send(()).unwrap();
        wait_until(|| handle.is_shutting_down());
        waker.wake();
        woken.send(thread::current().id()).unwrap();
    }));
    begins.recv().unwrap();
    // It never begins. Its drop holds the shutdown up before that drops tasks.
    let (woke, wakes_of) = mpsc::channel();
    let hold_up = OnDrop(move || woke.send(wakes.recv_timeout(HANG)).unwrap());
    drop(runtime.handle().spawn_blocking(move || drop(hold_up)));

    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
    assert_ne!(drops.recv().unwrap(), wakes_of.recv().unwrap().unwrap());
}

/// Failure: a task that was about to be polled when its runtime was shut down without a wait began to wait for
/// ever.
#[test]
fn tasks_that_begin_to_wait_behind_a_shutdown_are_dropped() {
    for round in 0..500 {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(2);
        for _ in 0..20 {
            let guard = CountDrop(Arc::clone(&drops));
            let handle = runtime.handle().clone();
            drop(runtime.spawn(async move {
                let _guard = guard;
                while !handle.is_shutting_down() {
                    heist_scheduler::yield_now().await;
                }
                pending::<()>().await;
            }));
        }
        let polls = || -> u64 {
            runtime.handle().metrics().workers.iter().map(|worker| worker.polls).sum()
        };
        wait_until(|| polls() > 20 + round % 50);
        let _ = runtime.shutdown(Duration::ZERO);
        wait_until(|| drops.load(Ordering::SeqCst) == 20);
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn two_thousand_shutdowns_with_sleeping_and_running_workers() {
    for round in 0..2_000 {
        let runtime = runtime(1 + round % 4);
        if round % 2 == 0 {
            drop(runtime.spawn(async { spawn(pending::<()>()).await }));
        }
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_left, report.threads_left), (0, 0), "round {round}: {report:?}");
    }
}

/// tokio 5429: dropping a task wakes another, whose drop calls the scheduler again.
#[test]
fn futures_whose_drop_wakes_and_spawns_end_too() {
    struct Wicked(heist_scheduler::Handle, Option<std::task::Waker>);
    impl Drop for Wicked {
        fn drop(&mut self) {
            drop(self.0.spawn(async {}));
            if let Some(waker) = self.1.take() {
                waker.wake();
            }
        }
    }
    let runtime = runtime(2);
    for _ in 0..100 {
        let handle = runtime.handle().clone();
        drop(runtime.spawn(async move {
            let mut wicked = Wicked(handle, None);
            wicked.1 = Some(poll_fn(|cx| Poll::Ready(cx.waker().clone())).await);
            pending::<()>().await;
            drop(wicked);
        }));
    }
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
}

#[test]
fn spawning_races_shutdown_and_every_handle_yields() {
    for _ in 0..300 {
        let runtime = runtime(2);
        let handle = runtime.handle().clone();
        let start = Arc::new(Barrier::new(2));
        let go = Arc::clone(&start);
        let spawner = std::thread::spawn(move || {
            go.wait();
            (0..50).map(|_| handle.spawn(pending::<()>())).collect::<Vec<_>>()
        });
        start.wait();
        let report = runtime.shutdown(HANG);
        let handles = spawner.join().unwrap();
        assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
        let outside = self::runtime(1);
        for handle in handles {
            let error = outside.block_on(handle).unwrap_err();
            assert!(error.is_cancelled() || error.is_refused(), "{error}");
        }
    }
}

#[test]
fn what_cannot_end_in_time_is_reported_and_ends_later() {
    let runtime = runtime(1);
    let (inside, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let stuck = runtime.spawn(async move {
        inside.send(()).unwrap();
        hold.recv().unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    let report = runtime.shutdown(Duration::ZERO);
    assert_eq!((report.tasks_left, report.threads_left >= 1), (1, true), "{report:?}");
    release.send(()).unwrap();
    // The task ends with the poll that it was in.
    let outside = self::runtime(1);
    outside.block_on(stuck).unwrap();
}

#[test]
fn after_shutdown_a_spawn_is_refused() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    let outside = self::runtime(1);
    assert!(outside.block_on(handle.spawn(async {})).unwrap_err().is_refused());
    assert!(outside.block_on(handle.spawn_blocking(|| ())).unwrap_err().is_refused());
}

/// async-executor 163: a waker outlives its executor.
#[test]
fn a_waker_called_after_shutdown_does_nothing() {
    let runtime = runtime(1);
    let (send, receive) = mpsc::channel();
    drop(runtime.spawn(poll_fn(move |cx| {
        let _ = send.send(cx.waker().clone());
        Poll::<()>::Pending
    })));
    let waker = receive.recv_timeout(HANG).unwrap();
    assert_eq!(runtime.shutdown(HANG).tasks_left, 0);
    waker.wake_by_ref();
    waker.wake();
}

#[test]
fn a_sleep_off_the_workers_ends_with_the_runtime() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let (armed, ready) = mpsc::channel();
    let sleeper = std::thread::spawn(move || {
        handle.block_on(async {
            let mut sleep = Box::pin(time::sleep(Duration::from_secs(3600)));
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            armed.send(()).unwrap();
            sleep.await;
        });
    });
    ready.recv_timeout(HANG).unwrap();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    assert!(sleeper.join().is_err(), "`block_on` panics, as its sleep never ends");
}

#[test]
fn a_runtime_dropped_on_its_own_worker_does_not_wait_for_itself() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let (done, finished) = mpsc::channel();
    drop(handle.spawn(async move {
        drop(runtime);
        done.send(()).unwrap();
    }));
    finished.recv_timeout(HANG).unwrap();
}
