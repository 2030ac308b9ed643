//! A set of tasks: each end is given once, in its order, and dropping the set ends the rest.

mod common;

use std::collections::HashSet;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist_scheduler::{Builder, Idle, JoinSet, Runtime, spawn, yield_now};

use common::{CountDrop, HANG, SetOnDrop, runtime, wait_until};

/// Whether a future is ready at its first poll.
async fn is_ready_now<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await
}

#[test]
fn tasks_are_joined_in_the_order_of_their_ends() {
    runtime(1).block_on(async {
        let mut set = JoinSet::new();
        assert!(set.join_next().await.is_none());
        let mut gates = Vec::new();
        for number in 0..5 {
            let (open, opened) = mpsc::sync_channel::<()>(1);
            gates.push(open);
            set.spawn(async move {
                while opened.try_recv().is_err() {
                    yield_now().await;
                }
                number
            });
        }
        assert!(set.try_join_next().is_none() && set.len() == 5);
        for number in [3, 0, 4, 1, 2] {
            assert!(!is_ready_now(set.join_next()).await);
            gates[number].send(()).unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), number);
        }
        assert!(set.is_empty() && set.join_next().await.is_none());
    });
}

/// Ends while the set is joined, not yet joined, and while tasks are added, from other workers.
#[test]
fn each_end_is_given_once_whatever_the_order_of_ends_and_joins() {
    let runtime = runtime(4);
    for round in 0..20 {
        let joined = runtime.spawn(async move {
            let mut set = JoinSet::new();
            let mut seen = HashSet::new();
            for number in 0..500_usize {
                set.spawn(async move {
                    if (number + round) % 3 == 0 {
                        yield_now().await;
                    }
                    number
                });
                if number % 5 == 0
                    && let Some(result) = set.try_join_next()
                {
                    assert!(seen.insert(result.unwrap()));
                }
            }
            while let Some(result) = set.join_next().await {
                assert!(seen.insert(result.unwrap()), "given twice");
            }
            seen.len()
        });
        assert_eq!(runtime.block_on(joined).unwrap(), 500);
    }
}

/// Failure: a future of `join_next` that was dropped had taken an output with it.
#[test]
fn join_next_that_is_given_up_loses_nothing() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let mut set: JoinSet<_> = (0..1_000_u32).map(async |number| number).collect();
        let mut sum = 0;
        while !set.is_empty() {
            let mut next = Box::pin(set.join_next());
            let polled = poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await;
            drop(next);
            match polled {
                Poll::Ready(Some(result)) => sum += result.unwrap(),
                Poll::Ready(None) => break,
                Poll::Pending => yield_now().await,
            }
        }
        assert_eq!(sum, 999 * 1_000 / 2);
    });
}

#[test]
fn a_set_that_is_dropped_aborts_its_tasks_and_one_that_is_detached_does_not() {
    let runtime = runtime(2);
    let dropped = Arc::new(AtomicUsize::new(0));
    let waiting = || {
        let mark = CountDrop(Arc::clone(&dropped));
        async move {
            let _mark = mark;
            pending::<()>().await;
        }
    };
    let inside = runtime.handle().enter();
    let set: JoinSet<()> = (0..50).map(|_| waiting()).collect();
    drop(set);
    wait_until(|| dropped.load(Ordering::SeqCst) == 50);
    let (release, released) = mpsc::channel::<()>();
    let ended = Arc::new(AtomicBool::new(false));
    let mut set = JoinSet::new();
    let mark = SetOnDrop(Arc::clone(&ended));
    set.spawn_blocking(move || {
        let _mark = mark;
        released.recv_timeout(HANG).unwrap();
    });
    set.detach_all();
    assert!(set.is_empty());
    drop(set);
    release.send(()).unwrap();
    wait_until(|| ended.load(Ordering::SeqCst));
    drop(inside);
}

#[test]
fn tasks_that_fail_are_joined_like_others() {
    let runtime = Builder::new().workers(1).max_tasks(1).start(Idle::new()).unwrap();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        let first = set.spawn_on(pending::<()>(), runtime.handle());
        let refused = set.spawn_on(async {}, runtime.handle());
        assert!(refused.is_finished() && !refused.abort() && !first.is_finished());
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_refused(), "{error}");
        let error = io::Error::from(error);
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("the bound of 1"), "{error}");
        assert!(first.abort());
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_cancelled() && first.is_finished());
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::Other);
        set.spawn(async { panic!("expected by this test") });
        let error = set.join_next().await.unwrap().unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "expected by this test");
        assert!(set.is_empty());
    });
}

#[test]
fn shutdown_waits_until_every_future_is_dropped() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut set = JoinSet::new();
        for number in 0..100 {
            let mark = CountDrop(Arc::clone(&dropped));
            set.spawn(async move {
                let _mark = mark;
                if number % 2 == 0 {
                    pending::<()>().await;
                }
            });
        }
        set.shutdown().await;
        assert_eq!((dropped.load(Ordering::SeqCst), set.len()), (100, 0));
    });
}

#[test]
fn join_all_gives_all_outputs_or_the_panic() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let set: JoinSet<_> = (0..10).map(async |number| number).collect();
        let mut all = set.join_all().await;
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        let failing = spawn(async {
            let mut set = JoinSet::new();
            set.spawn(pending());
            set.spawn(async { panic!("expected by this test") });
            set.join_all().await
        });
        let error = failing.await.unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "expected by this test");
    });
    wait_until(|| runtime.handle().metrics().tasks_alive == 0);
}

/// A task that joins many ends which are all there yields to others by its budget.
#[test]
fn joining_a_crowd_lets_other_tasks_run() {
    let runtime = runtime(1);
    runtime
        .block_on(runtime.spawn(async {
            let mut set: JoinSet<_> = (0..1_000).map(|_| async {}).collect();
            // All of them end before this goes on.
            yield_now().await;
            let other = spawn(async {});
            let mut joined = 0;
            while !other.is_finished() {
                set.join_next().await.unwrap().unwrap();
                joined += 1;
            }
            assert!(joined < 1_000);
        }))
        .unwrap();
}

/// In another runtime the tasks of one that shuts down end with an error; in their own nothing resumes.
#[test]
fn tasks_of_a_runtime_that_shuts_down_are_cancelled() {
    let (ending, other) = (runtime(1), runtime(1));
    let mut set = JoinSet::new();
    (0..3).for_each(|_| {
        set.spawn_on(pending::<()>(), ending.handle());
    });
    end(ending);
    other.block_on(async {
        for _ in 0..3 {
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        }
        assert!(set.join_next().await.is_none());
    });
}

fn end(runtime: Runtime) {
    let report = runtime.shutdown(Duration::from_secs(60));
    assert_eq!((report.tasks_left, report.threads_left), (0, 0));
}

/// The waker of the waiting task is called when a task ends, and is let go of with the set.
#[test]
fn the_waker_that_polled_last_is_woken_and_not_kept() {
    struct Flag(AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let runtime = runtime(1);
    let _inside = runtime.handle().enter();
    let (release, released) = mpsc::channel::<()>();
    let mut set = JoinSet::new();
    set.spawn_blocking(move || released.recv_timeout(HANG).unwrap());
    let [old, new] = [(); 2].map(|()| Arc::new(Flag(AtomicBool::new(false))));
    for flag in [&old, &new] {
        let waker = Waker::from(Arc::clone(flag));
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&old), 1);
    release.send(()).unwrap();
    wait_until(|| new.0.load(Ordering::SeqCst));
    assert!(!old.0.load(Ordering::SeqCst));
    assert!(matches!(set.try_join_next(), Some(Ok(()))));
    set.spawn(pending());
    let waker = Waker::from(Arc::clone(&new));
    assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
    drop((set, waker));
    // The threads that ran the tasks may still be about to drop the waker that they have called.
    wait_until(|| Arc::strong_count(&new) == 1);
}

#[test]
fn sets_can_be_shared_and_sent_as_those_of_tokio() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<JoinSet<std::cell::Cell<u8>>>();
    fn is_unpin<T: Unpin>() {}
    is_unpin::<heist_scheduler::JoinHandle<Pin<Box<std::marker::PhantomPinned>>>>();
}

/// Failure: in a runtime that shuts down, a look for a task that had ended by then went on for ever.
#[test]
fn a_look_without_a_wait_ends_in_a_runtime_that_shuts_down() {
    struct Told(AtomicBool);
    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let runtime = runtime(2);
    let handle = runtime.handle().clone();
    let (begun, begins) = mpsc::channel();
    let (found, finds) = mpsc::channel();
    drop(runtime.spawn(async move {
        let mut set = JoinSet::new();
        set.spawn(pending::<()>());
        let told = Arc::new(Told(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&told));
        assert!(set.poll_join_next(&mut Context::from_waker(&waker)).is_pending());
        begun.send(()).unwrap();
        // The shutdown drops the member while this poll is under way.
        wait_until(|| told.0.load(Ordering::SeqCst) && handle.is_shutting_down());
        found.send(set.try_join_next().is_some()).unwrap();
    }));
    begins.recv().unwrap();
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0), "{report:?}");
    assert!(!finds.recv().unwrap());
}
