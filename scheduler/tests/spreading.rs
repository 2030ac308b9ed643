//! No idle worker while work waits: each test ends only if the work was spread.

mod common;

use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use heist_scheduler::{Builder, Idle, spawn, time, yield_now};

use common::{HANG, runtime};

/// tokio 1768: all workers were idle with work queued.
#[test]
fn a_task_spawned_from_outside_while_all_are_idle_runs() {
    let runtime = runtime(4);
    for round in 0..2_000 {
        let (done, finished) = mpsc::channel();
        drop(runtime.spawn(async move { done.send(round).unwrap() }));
        assert_eq!(finished.recv_timeout(HANG).unwrap(), round);
    }
}

#[test]
fn a_task_spawned_from_outside_while_the_only_awake_worker_is_in_a_long_poll_runs() {
    let runtime = runtime(2);
    for _ in 0..200 {
        let (stuck, entered) = mpsc::channel();
        let (ran, saw) = mpsc::channel();
        // This poll ends only when the other task has run.
        let hog = runtime.spawn(async move {
            stuck.send(()).unwrap();
            saw.recv_timeout(HANG).unwrap();
        });
        entered.recv_timeout(HANG).unwrap();
        drop(runtime.spawn(async move { ran.send(()).unwrap() }));
        runtime.block_on(hog).unwrap();
    }
}

#[test]
fn a_task_behind_a_hog_in_its_deque_is_stolen() {
    let runtime = runtime(2);
    for _ in 0..50 {
        let (ran, saw) = mpsc::channel();
        let hog = runtime.spawn(async move {
            // The first goes to this worker's next slot, and the second pushes it on into the deque.
            drop(spawn(async move { ran.send(()).unwrap() }));
            drop(spawn(async {}));
            saw.recv_timeout(HANG).unwrap();
        });
        runtime.block_on(hog).unwrap();
    }
}

#[test]
fn a_task_behind_a_hog_in_the_next_slot_is_stolen_when_it_has_aged() {
    let runtime = runtime(2);
    for _ in 0..50 {
        let (ran, saw) = mpsc::channel();
        let hog = runtime.spawn(async move {
            drop(spawn(async move { ran.send(()).unwrap() }));
            saw.recv_timeout(HANG).unwrap();
        });
        runtime.block_on(hog).unwrap();
    }
}

#[test]
fn as_many_hogs_as_workers_run_at_the_same_time() {
    let runtime = runtime(16);
    for _ in 0..20 {
        // Each waits for all the others: the test ends only if sixteen run at once.
        let all = Arc::new(Barrier::new(16));
        let hogs: Vec<_> = (0..16)
            .map(|_| {
                let all = Arc::clone(&all);
                runtime.spawn(async move {
                    all.wait();
                })
            })
            .collect();
        runtime.block_on(async {
            for hog in hogs {
                hog.await.unwrap();
            }
        });
    }
}

#[test]
fn hogs_spawned_by_one_worker_spread_to_all() {
    let runtime = runtime(8);
    for _ in 0..20 {
        let all = Arc::new(Barrier::new(8));
        let spawner = runtime.spawn(async move {
            let hogs: Vec<_> = (0..8)
                .map(|_| {
                    let all = Arc::clone(&all);
                    spawn(async move {
                        all.wait();
                    })
                })
                .collect();
            for hog in hogs {
                hog.await.unwrap();
            }
        });
        runtime.block_on(spawner).unwrap();
    }
}

/// rayon 592, and the timers of a stuck worker: another worker fires them.
#[test]
fn a_timer_of_a_stuck_worker_is_fired_by_another() {
    let runtime = runtime(2);
    for _ in 0..20 {
        let (fired, saw) = mpsc::channel();
        let (armed, ready) = mpsc::channel();
        let task = runtime.spawn(async move {
            let mut sleep = Box::pin(time::sleep(Duration::from_millis(1)));
            // Armed on this worker, which is then stuck until the timer's task has run elsewhere.
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            drop(spawn(async move {
                sleep.await;
                fired.send(()).unwrap();
            }));
            armed.send(()).unwrap();
            saw.recv_timeout(HANG).unwrap();
        });
        ready.recv_timeout(HANG).unwrap();
        runtime.block_on(task).unwrap();
    }
}

/// tokio 3190, Go 42515.
#[test]
fn an_earlier_timer_armed_from_outside_wakes_an_idle_worker() {
    let runtime = runtime(2);
    let mut lates = Vec::new();
    for _ in 0..20 {
        let late = std::thread::spawn({
            let handle = runtime.handle().clone();
            move || handle.block_on(async { time::timeout(HANG, pending::<()>()).await.is_err() })
        });
        // Ends only if a worker wakes up for it although the other deadline is far away.
        runtime.block_on(async { time::sleep(Duration::from_millis(2)).await });
        lates.push(late);
    }
    // The far deadlines end with the runtime, and `block_on` panics.
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    lates.into_iter().for_each(|late| assert!(late.join().is_err()));
}

/// Failure: a worker dropped the waker of a cancelled timer after its last look, and that drop woke a
/// task into the worker's own queue. The worker waited with work to do, or became idle late by what the
/// drop took.
#[test]
fn a_wake_by_what_a_worker_drops_before_it_waits_is_not_lost() {
    struct WakesOnDrop(std::sync::Mutex<Option<Waker>>);
    impl Wake for WakesOnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for WakesOnDrop {
        fn drop(&mut self) {
            if let Some(waker) = self.0.lock().unwrap().take() {
                waker.wake();
            }
        }
    }
    for _ in 0..20 {
        let runtime = runtime(1);
        let (send, receive) = mpsc::channel();
        let (tell, woken) = mpsc::channel();
        drop(runtime.spawn(async move {
            let mut waits = false;
            poll_fn(move |cx| {
                if std::mem::replace(&mut waits, true) {
                    return Poll::Ready(());
                }
                send.send(cx.waker().clone()).unwrap();
                Poll::Pending
            })
            .await;
            tell.send(()).unwrap();
        }));
        let waker = receive.recv_timeout(HANG).unwrap();
        drop(runtime.spawn(async move {
            let waker = Waker::from(Arc::new(WakesOnDrop(Some(waker).into())));
            let mut timer = time::Timer::new();
            timer.set(Some(time::Instant::now() + Duration::from_secs(3_600)));
            assert!(timer.poll_elapsed(&mut Context::from_waker(&waker)).is_pending());
            // From here on the timers of this worker alone have the waker, and it waits next.
        }));
        woken.recv_timeout(HANG).unwrap();
    }
}

/// A time-out in `block_on` does not depend on a worker that has time for it.
#[test]
fn a_timeout_off_the_workers_fires_while_every_worker_is_stuck() {
    let runtime = runtime(1);
    let (stuck, entered) = mpsc::channel();
    let (release, hold) = mpsc::channel::<()>();
    let hog = runtime.spawn(async move {
        stuck.send(()).unwrap();
        hold.recv_timeout(HANG).unwrap();
    });
    entered.recv_timeout(HANG).unwrap();
    let waited =
        runtime.block_on(async { time::timeout(Duration::from_millis(1), pending::<()>()).await });
    assert!(waited.is_err());
    // Only now: the time-out fired while the worker was stuck.
    release.send(()).unwrap();
    runtime.block_on(hog).unwrap();
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines_on_a_manual_clock() {
    let (clock, hand) = time::Clock::manual();
    let runtime = Builder::new().workers(1).clock(clock).start(Idle::new()).unwrap();
    let (fired, order) = mpsc::channel();
    let (armed, ready) = mpsc::channel();
    for seconds in [30_u64, 10, 20] {
        let (fired, armed) = (fired.clone(), armed.clone());
        drop(runtime.spawn(async move {
            let mut sleep = Box::pin(time::sleep(Duration::from_secs(seconds)));
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
            armed.send(()).unwrap();
            sleep.await;
            fired.send(seconds).unwrap();
        }));
    }
    for _ in 0..3 {
        ready.recv_timeout(HANG).unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        hand.advance(Duration::from_secs(10) + Duration::from_millis(1));
        // A manual clock wakes no worker: any task makes the worker read it.
        runtime.block_on(runtime.spawn(yield_now())).unwrap();
        seen.push(order.recv_timeout(HANG).unwrap());
    }
    assert_eq!(seen, [10, 20, 30]);
}

/// tokio 4730, cats-effect 4628: tasks that wake themselves hold every worker.
#[test]
fn self_wakers_on_every_worker_do_not_starve_a_foreign_task() {
    let runtime = runtime(2);
    let stop = Arc::new(AtomicUsize::new(0));
    let spinners: Vec<_> = (0..8)
        .map(|_| {
            let stop = Arc::clone(&stop);
            runtime.spawn(async move {
                while stop.load(Ordering::SeqCst) == 0 {
                    yield_now().await;
                }
            })
        })
        .collect();
    let stopper = Arc::clone(&stop);
    runtime.block_on(async move {
        Handle::current_spawn(move || stopper.store(1, Ordering::SeqCst)).await;
        for spinner in spinners {
            spinner.await.unwrap();
        }
    });
}

/// Spawns from `block_on`, that is from a thread that is no worker.
struct Handle;

impl Handle {
    async fn current_spawn(act: impl FnOnce() + Send + 'static) {
        spawn(async move { act() }).await.unwrap();
    }
}
