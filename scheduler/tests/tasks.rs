//! Tasks: their results, their panics, their end.

mod common;

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use heist_scheduler::{
    AbortHandle, Builder, Handle, Idle, JoinHandle, TaskBuilder, coop, spawn, time, yield_now,
};

use common::{HANG, SetOnDrop, runtime};

#[test]
fn a_task_yields_its_output() {
    let runtime = runtime(2);
    assert_eq!(runtime.block_on(async { spawn(async { 7 }).await.unwrap() }), 7);
}

#[test]
fn ten_thousand_tasks_each_run_once() {
    let runtime = runtime(4);
    let runs = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<JoinHandle<()>> = (0..10_000)
        .map(|_| {
            let runs = Arc::clone(&runs);
            runtime.spawn(async move {
                yield_now().await;
                runs.fetch_add(1, Ordering::SeqCst);
            })
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(runs.load(Ordering::SeqCst), 10_000);
    assert_eq!(runtime.handle().metrics().tasks_alive, 0);
}

#[test]
fn a_panic_ends_its_task_alone_and_reaches_the_joiner() {
    let runtime = runtime(1);
    let bad = TaskBuilder::new()
        .name("bad")
        .spawn_on(runtime.handle(), async { panic!("expected by this test") });
    let good = runtime.spawn(async { "alive" });
    let error = runtime.block_on(bad).map(|(): ()| ()).unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled());
    assert!(error.to_string().contains("expected by this test"), "{error}");
    assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "expected by this test");
    assert_eq!(runtime.block_on(good).unwrap(), "alive");
}

/// Failure: a payload that is not `Sync` made the error unfit for `?` in most programs.
#[test]
fn a_join_error_converts_into_errors_that_threads_share() {
    let runtime = runtime(1);
    let task = runtime.spawn(async { std::panic::panic_any(std::cell::Cell::new(7)) });
    let joined = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let (): () = runtime.block_on(task)?;
        Ok(())
    };
    let error = joined().unwrap_err().downcast::<heist_scheduler::JoinError>().unwrap();
    assert_eq!(error.into_panic().downcast::<std::cell::Cell<i32>>().unwrap().get(), 7);
}

#[test]
fn a_panic_of_a_detached_task_is_counted() {
    let runtime = runtime(1);
    drop(runtime.spawn(async { panic!("expected by this test") }));
    runtime.block_on(async { spawn(async {}).await.unwrap() });
    while runtime.handle().metrics().task_panics == 0 {
        std::thread::yield_now();
    }
}

/// tokio 4430.
#[test]
fn a_panic_in_the_drop_of_a_future_or_an_output_does_not_abort() {
    struct Bomb(bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "expected by this test");
        }
    }
    let runtime = runtime(1);
    // Output dropped because no task joins.
    drop(runtime.spawn(async { Bomb(true) }));
    // Future dropped by an abort while it is pending.
    let bomb = Bomb(true);
    let pending = runtime.spawn(async move {
        let _bomb = &bomb;
        std::future::pending::<()>().await;
    });
    pending.abort();
    assert!(runtime.block_on(pending).unwrap_err().is_cancelled());
    assert_eq!(runtime.block_on(async { spawn(async { 3 }).await.unwrap() }), 3);
}

#[test]
fn abort_drops_a_waiting_task_and_its_joiner_learns_it() {
    let runtime = runtime(2);
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = SetOnDrop(Arc::clone(&dropped));
    let task = runtime.spawn(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    let abort = task.abort_handle();
    assert!(abort.abort());
    let error = runtime.block_on(task).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(dropped.load(Ordering::SeqCst));
    assert!(!abort.abort(), "it has ended");
}

/// Failure: a task's waker is known to its registry from its first wait on, so an abort that came
/// before that and was not checked for again left the task waiting for ever.
#[test]
fn abort_in_the_first_poll_ends_a_task_that_then_waits() {
    let runtime = runtime(1);
    let (give, handed) = mpsc::channel::<AbortHandle>();
    let task = runtime.spawn(async move {
        assert!(handed.recv_timeout(HANG).unwrap().abort());
        std::future::pending::<()>().await;
    });
    give.send(task.abort_handle()).unwrap();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_handle_that_was_polled_still_aborts_its_task() {
    let runtime = runtime(1);
    let mut task = runtime.spawn(std::future::pending::<()>());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
    assert!(!task.is_finished());
    let other = task.abort_handle();
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    assert!(!other.abort(), "it has ended");
}

#[test]
fn abort_after_the_end_keeps_the_output() {
    let runtime = runtime(1);
    let task = runtime.spawn(async { 5 });
    while !task.is_finished() {
        std::thread::yield_now();
    }
    task.abort();
    assert_eq!(runtime.block_on(task).unwrap(), 5);
}

#[test]
fn an_abort_handle_never_hits_a_later_task_in_the_same_place() {
    let runtime = runtime(1);
    let first = runtime.spawn(async {});
    let stale = first.abort_handle();
    runtime.block_on(first).unwrap();
    let (release, released) = oneshot();
    let second = runtime.spawn(released);
    assert!(!stale.abort());
    release();
    runtime.block_on(second).unwrap();
}

/// tokio 3689.
#[test]
fn a_waker_that_panics_ends_the_waking_task_alone() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("expected by this test");
        }
    }
    let runtime = runtime(1);
    let bad = runtime.spawn(async { Waker::from(Arc::new(Bad)).wake() });
    assert!(runtime.block_on(bad).unwrap_err().is_panic());
    assert_eq!(runtime.block_on(async { spawn(async { 1 }).await.unwrap() }), 1);
}

/// tokio 6091: a waker called from the destructor of a thread-local.
#[test]
fn a_wake_from_a_dying_thread_arrives() {
    thread_local! {
        static LAST: std::cell::RefCell<Option<OnDrop>> = const { std::cell::RefCell::new(None) };
    }
    struct OnDrop(Waker);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.wake_by_ref();
        }
    }
    let runtime = runtime(1);
    let (send, receive) = mpsc::channel();
    let woken = runtime.spawn(async move {
        let mut asked = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            send.send(cx.waker().clone()).unwrap();
            Poll::Pending
        })
        .await;
    });
    let waker = receive.recv_timeout(HANG).unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || {
        LAST.with(|last| *last.borrow_mut() = Some(OnDrop(waker)));
        // Initialized later, so destroyed earlier.
        let _guard = handle.enter();
        drop(handle.clone());
    })
    .join()
    .unwrap();
    runtime.block_on(woken).unwrap();
}

#[test]
fn block_on_inside_a_worker_panics_with_a_clear_message() {
    let runtime = runtime(1);
    let handle = runtime.handle().clone();
    let task = runtime.spawn(async move { handle.block_on(async {}) });
    let error = runtime.block_on(task).unwrap_err();
    assert!(error.to_string().contains("block_on was called on a worker thread"), "{error}");
}

#[test]
fn outside_a_runtime_spawn_says_what_to_do() {
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| drop(spawn(async {})))).unwrap_err();
    assert!(panic.downcast::<&str>().unwrap().contains("inside `block_on`"));
}

#[test]
fn two_runtimes_in_one_process_keep_their_tasks_apart() {
    let (one, two) = (
        Builder::new().workers(1).thread_name("one").start(Idle::new()).unwrap(),
        Builder::new().workers(1).thread_name("two").start(Idle::new()).unwrap(),
    );
    let name = || async { std::thread::current().name().unwrap_or_default().to_owned() };
    let two_handle = two.handle().clone();
    let (outer, inner) = one.block_on(async move {
        let nested = spawn(async move { two_handle.spawn(name()).await.unwrap() });
        (spawn(name()).await.unwrap(), nested.await.unwrap())
    });
    assert_eq!((outer.as_str(), inner.as_str()), ("one-0", "two-0"));
}

#[test]
fn at_the_bound_a_spawn_is_refused_and_says_so() {
    let runtime = Builder::new().workers(1).max_tasks(1).start(Idle::new()).unwrap();
    let (release, released) = oneshot();
    let first = runtime.spawn(released);
    let error = runtime.block_on(runtime.spawn(async {})).unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("bound of 1"), "{error}");
    release();
    runtime.block_on(first).unwrap();
}

/// Failure: a task that was refused and detached vanished without a count or a log line.
#[test]
fn a_refused_task_that_is_detached_is_counted_and_logged() {
    let log = Arc::new(Log::default());
    let _logging = tracing::subscriber::set_default(Arc::clone(&log));
    let runtime = Builder::new().workers(1).max_tasks(1).start(Idle::new()).unwrap();
    let (release, released) = oneshot();
    let first = runtime.spawn(released);
    let refused = TaskBuilder::new().name("joined").spawn_on(runtime.handle(), async {});
    assert!(runtime.block_on(refused).unwrap_err().is_refused());
    assert_eq!(log.lines.lock().unwrap().len(), 0, "its error was returned");
    for _ in 0..100 {
        drop(TaskBuilder::new().name("lost").spawn_on(runtime.handle(), async {}));
    }
    assert_eq!(runtime.handle().metrics().tasks_refused, 101);
    let lines = std::mem::take(&mut *log.lines.lock().unwrap());
    // One line at each doubling of the number.
    assert_eq!(lines.len(), 7, "{lines:?}");
    for part in ["lost", "tests/tasks.rs", "bound of 1", "count=64"] {
        assert!(lines[6].contains(part), "{part} is missing in {}", lines[6]);
    }
    release();
    runtime.block_on(first).unwrap();
    let handle = runtime.handle().clone();
    assert_eq!(runtime.shutdown(HANG).tasks_left, 0);
    drop(handle.spawn(async {}));
    assert_eq!(log.lines.lock().unwrap().len(), 0, "a shutdown is no fault");
}

/// Keeps the lines of this thread's log.
#[derive(Default)]
struct Log {
    lines: std::sync::Mutex<Vec<String>>,
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{field}={value:?} "));
            }
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// Tasks spawned from outside are in several registries, which share the bound.
#[test]
fn bound_from_outside_is_reached_exactly_whichever_tasks_live_on() {
    let runtime = Builder::new().workers(1).max_tasks(20).start(Idle::new()).unwrap();
    let mut living = Vec::new();
    while living.len() < 20 {
        let (release, released) = oneshot();
        living.push((release, runtime.spawn(released)));
        // Every second task ends, so the live ones are not spread evenly over the registries.
        if living.len() < 20 {
            runtime.block_on(runtime.spawn(async {})).unwrap();
        }
    }
    for _ in 0..20 {
        let error = runtime.block_on(runtime.spawn(async {})).unwrap_err();
        assert!(error.is_refused() && error.to_string().contains("bound of 20"), "{error}");
    }
    for (release, task) in living {
        release();
        runtime.block_on(task).unwrap();
    }
    runtime.block_on(runtime.spawn(async {})).unwrap();
}

/// tokio 4941, 5712: two tasks that wake each other for ever hold the next slot.
#[test]
fn two_tasks_that_share_the_next_slot_do_not_starve_the_deque() {
    let runtime = runtime(1);
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (talk, count) = (Arc::clone(&stop), Arc::clone(&rounds));
    let waiting = runtime.spawn(async move {
        let conversation = spawn(async move {
            while !talk.load(Ordering::SeqCst) {
                // Each spawned task goes to the next slot and is joined from there.
                spawn(async {}).await.unwrap();
                assert!(count.fetch_add(1, Ordering::SeqCst) < 100, "the deque starves");
            }
        });
        for _ in 0..100 {
            // To the end of the deque, from which a look at the injector takes nothing.
            yield_now().await;
            rounds.store(0, Ordering::SeqCst);
        }
        stop.store(true, Ordering::SeqCst);
        conversation.await
    });
    runtime.block_on(waiting).unwrap().unwrap();
}

/// RUSTSEC-2021-0093, tokio 2387: a task that two workers take, or that an overflow overwrites.
#[test]
fn a_crowd_in_one_deque_runs_each_task_once_while_others_steal() {
    const TASKS: usize = 100_000;
    let runtime = runtime(4);
    let runs: Arc<[AtomicUsize]> = (0..TASKS).map(|_| AtomicUsize::new(0)).collect();
    let counts = Arc::clone(&runs);
    let spawner = runtime.spawn(async move {
        // In one poll, so that all of them are in one deque, far beyond its first capacity.
        let task = |number: usize| {
            let counts = Arc::clone(&counts);
            spawn(async move { counts[number].fetch_add(1, Ordering::SeqCst) })
        };
        (0..TASKS).map(task).collect::<Vec<_>>()
    });
    runtime.block_on(async {
        for task in spawner.await.unwrap() {
            assert_eq!(task.await.unwrap(), 0);
        }
    });
    assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) == 1));
}

#[test]
fn the_budget_makes_an_always_ready_task_yield() {
    let runtime = Builder::new().workers(1).budget(8).start(Idle::new()).unwrap();
    let handle = runtime.handle().clone();
    let greedy_done = Arc::new(AtomicBool::new(false));
    let other_ran = Arc::new(AtomicBool::new(false));
    let (done, ran) = (Arc::clone(&greedy_done), Arc::clone(&other_ran));
    runtime.block_on(async move {
        spawn(async move {
            let other = spawn(async move { ran.store(true, Ordering::SeqCst) });
            for _ in 0..1_000 {
                poll_fn(heist_scheduler::coop::poll_proceed).await;
            }
            // Only the budget let the other task run.
            assert!(other_ran.load(Ordering::SeqCst));
            done.store(true, Ordering::SeqCst);
            other.await.unwrap();
        })
        .await
        .unwrap();
    });
    assert!(greedy_done.load(Ordering::SeqCst));
    let yields: u64 = handle.metrics().workers.iter().map(|worker| worker.budget_yields).sum();
    assert!(yields >= 100 || cfg!(not(feature = "metrics")), "{yields}");
}

/// Failure: a task whose operations are dear, as each part that it reads is hashed, kept its worker for all 128 of
/// them.
#[test]
fn budget_ends_with_the_time_of_the_poll() {
    let (clock, hand) = time::Clock::manual();
    let runtime = Builder::new().workers(1).clock(clock).start(Idle::new()).unwrap();
    for (micros, bytes, most) in
        [(0, 0, 128), (1, 0, 112), (5, 0, 32), (1_000, 0, 16), (30, 64_000, 4)]
    {
        let hand = hand.clone();
        let operations = runtime.block_on(runtime.spawn(async move {
            poll_fn(|cx| {
                let mut operations = 0;
                while coop::poll_proceed(cx).is_ready() {
                    operations += 1;
                    coop::charge_bytes(bytes);
                    hand.advance(Duration::from_micros(micros));
                }
                Poll::Ready(operations)
            })
            .await
        }));
        assert_eq!(operations.unwrap(), most, "{micros} µs and {bytes} bytes each");
    }
}

/// Failures (tokio 4782, 2345): waits that are over already took as many rounds in one poll as there were
/// waits.
#[test]
fn each_wait_that_is_ready_at_once_spends_the_budget() {
    const BUDGET: usize = 16;
    let runtime = Builder::new().workers(1).budget(BUDGET as u32).start(Idle::new()).unwrap();
    type Rounds = fn(Arc<AtomicUsize>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    let kinds: [(&str, Rounds); 4] = [
        ("finished tasks", |round| {
            Box::pin(async move {
                let tasks: Vec<_> = (0..10 * BUDGET).map(|_| spawn(async {})).collect();
                while !tasks.iter().all(JoinHandle::is_finished) {
                    yield_now().await;
                }
                for task in tasks {
                    task.await.unwrap();
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("time-outs of what is ready", |round| {
            Box::pin(async move {
                for _ in 0..10 * BUDGET {
                    let ready = std::future::ready(());
                    time::timeout(Duration::from_secs(1), ready).await.unwrap();
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("sleeps whose time has come", |round| {
            Box::pin(async move {
                for _ in 0..10 * BUDGET {
                    time::sleep_until(time::Instant::ZERO).await;
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
        ("missed ticks", |round| {
            Box::pin(async move {
                let mut interval = time::interval_at(time::Instant::ZERO, Duration::from_nanos(1));
                for _ in 0..10 * BUDGET {
                    interval.tick().await;
                    round.fetch_add(1, Ordering::SeqCst);
                }
            })
        }),
    ];
    for (kind, rounds) in kinds {
        let (round, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (mut task, counts) = (rounds(Arc::clone(&round)), Arc::clone(&most));
        let each_poll = poll_fn(move |cx| {
            let before = round.load(Ordering::SeqCst);
            let polled = task.as_mut().poll(cx);
            counts.fetch_max(round.load(Ordering::SeqCst) - before, Ordering::SeqCst);
            polled
        });
        runtime.block_on(runtime.spawn(each_poll)).unwrap();
        assert_eq!(most.load(Ordering::SeqCst), BUDGET, "{kind}");
    }
}

/// Failure: each wait spent an operation though it was pending, so that a task which waits for more
/// things than its budget allows never looked at the last of them, and was polled for ever.
#[test]
fn a_task_may_wait_for_more_than_its_budget() {
    let runtime = Builder::new().workers(1).budget(8).start(Idle::new()).unwrap();
    let (releases, tasks): (Vec<_>, Vec<_>) = (0..100)
        .map(|_| {
            let (release, released) = oneshot();
            (release, runtime.spawn(released))
        })
        .unzip();
    let (waits, is_waiting) = mpsc::channel();
    let polls = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&polls);
    let mut tasks: Vec<_> = tasks.into_iter().map(Some).collect();
    let all = runtime.spawn(poll_fn(move |cx| {
        counts.fetch_add(1, Ordering::SeqCst);
        // From the front, as `join_all` does.
        for task in &mut tasks {
            if let Some(joined) = task
                && Pin::new(joined).poll(cx).is_ready()
            {
                *task = None;
            }
        }
        let _ = waits.send(());
        if tasks.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    }));
    is_waiting.recv_timeout(HANG).unwrap();
    // Only the last one is ready: it is found although 99 others before it are pending.
    let mut releases = releases.into_iter().rev();
    releases.next().unwrap()();
    is_waiting.recv_timeout(HANG).unwrap();
    assert!(polls.load(Ordering::SeqCst) <= 4, "{}", polls.load(Ordering::SeqCst));
    releases.for_each(|release| release());
    runtime.block_on(all).unwrap();
}

#[test]
fn poll_whose_budget_is_spent_has_none_remaining() {
    let runtime = Builder::new().workers(1).budget(4).start(Idle::new()).unwrap();
    let task = runtime.spawn(poll_fn(|cx| {
        let mut remaining = Vec::new();
        while coop::poll_proceed(cx).is_ready() {
            remaining.push(coop::has_budget_remaining());
        }
        Poll::Ready(remaining)
    }));
    let remaining = runtime.block_on(task).unwrap();
    let (last, before) = remaining.split_last().unwrap();
    assert!(!last && !before.is_empty() && before.iter().all(|remaining| *remaining));
}

#[test]
fn budget_never_grows_beyond_what_a_poll_begins_with() {
    let runtime = Builder::new().workers(1).budget(4).start(Idle::new()).unwrap();
    let operations = runtime.spawn(poll_fn(|cx| {
        (0..100).for_each(|_| coop::restore());
        Poll::Ready((0..100).take_while(|_| coop::poll_proceed(cx).is_ready()).count())
    }));
    assert_eq!(runtime.block_on(operations).unwrap(), 4);
}

#[test]
fn blocking_work_runs_off_the_workers_and_a_panic_in_it_reaches_the_joiner() {
    let runtime = runtime(1);
    let name = runtime.block_on(async {
        heist_scheduler::spawn_blocking(|| std::thread::current().name().map(str::to_owned))
            .await
            .unwrap()
    });
    assert!(name.unwrap().contains("blocking"));
    let panicked = runtime.handle().spawn_blocking(|| panic!("expected by this test"));
    assert!(runtime.block_on(panicked).map(|(): ()| ()).unwrap_err().is_panic());
}

#[test]
fn a_full_blocking_pool_refuses_and_counts() {
    let runtime =
        Builder::new().workers(1).blocking_threads(1).blocking_queue(1).start(Idle::new()).unwrap();
    let gate = Arc::new(Barrier::new(2));
    let (inside, entered) = mpsc::channel();
    let hold = Arc::clone(&gate);
    let running = runtime.handle().spawn_blocking(move || {
        inside.send(()).unwrap();
        hold.wait();
    });
    entered.recv_timeout(HANG).unwrap();
    let queued = runtime.handle().spawn_blocking(|| 2);
    let refused = runtime.handle().spawn_blocking(|| 3);
    assert!(runtime.block_on(refused).unwrap_err().is_refused());
    assert_eq!(runtime.handle().metrics().blocking_refused, 1);
    gate.wait();
    runtime.block_on(running).unwrap();
    assert_eq!(runtime.block_on(queued).unwrap(), 2);
}

#[test]
fn the_current_poll_names_its_task_and_where_it_was_spawned() {
    let runtime = runtime(1);
    let (inside, entered) = mpsc::channel();
    let gate = Arc::new(Barrier::new(2));
    let hold = Arc::clone(&gate);
    let task = TaskBuilder::new().name("stuck").spawn_on(runtime.handle(), async move {
        inside.send(()).unwrap();
        hold.wait();
    });
    entered.recv_timeout(HANG).unwrap();
    let metrics = runtime.handle().metrics();
    let poll = metrics.workers[0].current_poll.clone().unwrap();
    assert_eq!(poll.task, "stuck");
    assert!(poll.spawned_at.unwrap().file().ends_with("tasks.rs"));
    gate.wait();
    runtime.block_on(task).unwrap();
}

#[test]
fn with_every_worker_stuck_a_foreign_thread_still_sees_the_tasks() {
    let runtime = runtime(2);
    let (inside, entered) = mpsc::channel();
    let gate = Arc::new(Barrier::new(3));
    let hogs = ["one", "other"].map(|name| {
        let (inside, hold) = (inside.clone(), Arc::clone(&gate));
        TaskBuilder::new().name(name).spawn_on(runtime.handle(), async move {
            inside.send(()).unwrap();
            hold.wait();
        })
    });
    (0..2).for_each(|_| entered.recv_timeout(HANG).unwrap());
    let behind = runtime.spawn(async {});
    let handle = runtime.handle().clone();
    let metrics = std::thread::spawn(move || handle.metrics()).join().unwrap();
    let polls = metrics.workers.iter().map(|worker| worker.current_poll.clone().unwrap());
    let mut names: Vec<_> = polls.map(|poll| poll.task).collect();
    names.sort();
    assert_eq!((names, metrics.injector_depth), (vec!["one".into(), "other".into()], 1));
    gate.wait();
    runtime.block_on(async {
        for hog in hogs {
            hog.await.unwrap();
        }
        behind.await.unwrap();
    });
}

#[test]
fn thread_hooks_run_once_a_worker() {
    let (started, stopped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (on_start, on_stop) = (Arc::clone(&started), Arc::clone(&stopped));
    let runtime = Builder::new()
        .workers(3)
        .on_thread_start(move || {
            on_start.fetch_add(1, Ordering::SeqCst);
        })
        .on_thread_stop(move || {
            on_stop.fetch_add(1, Ordering::SeqCst);
        })
        .start(Idle::new())
        .unwrap();
    assert_eq!(runtime.shutdown(HANG).threads_left, 0);
    assert_eq!((started.load(Ordering::SeqCst), stopped.load(Ordering::SeqCst)), (3, 3));
}

#[test]
fn a_setting_out_of_bounds_is_a_typed_error() {
    let error = Builder::new().workers(0).start(Idle::new()).unwrap_err();
    assert!(error.to_string().contains("workers must be between 1"), "{error}");
    assert!(Handle::try_current().is_none());
}

/// A function that releases a future.
fn oneshot() -> (impl FnOnce(), impl Future<Output = ()> + Send) {
    struct Released(Arc<parking_lot::Mutex<(bool, Option<Waker>)>>);
    impl Future for Released {
        type Output = ();
        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let mut state = self.0.lock();
            state.1 = Some(cx.waker().clone());
            if state.0 { Poll::Ready(()) } else { Poll::Pending }
        }
    }
    let state = Arc::new(parking_lot::Mutex::new((false, None::<Waker>)));
    let released = Released(Arc::clone(&state));
    let release = move || {
        let waker = {
            let mut state = state.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    (release, released)
}
