//! A scope of another library around what the threads of a runtime run.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::{Builder, Idle, Runtime, ThreadKind, ThreadScope, yield_now};

thread_local! {
    static INSIDE: Cell<Option<ThreadKind>> = const { Cell::new(None) };
    /// Steps that have begun on this thread.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Keeps in the thread's data what kind of thread it is.
struct Recording;

impl ThreadScope for Recording {
    fn run(&self, thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
        let outer = INSIDE.replace(Some(thread));
        STEPS.set(STEPS.get() + 1);
        while step().is_continue() {
            STEPS.set(STEPS.get() + 1);
        }
        INSIDE.set(outer);
    }
}

fn start(scope: impl ThreadScope + 'static) -> Runtime {
    Builder::new().workers(1).thread_scope(Arc::new(scope)).start(Idle::new()).unwrap()
}

/// Sends where it is dropped.
struct SendsWhereDropped(mpsc::Sender<Option<ThreadKind>>);

impl Drop for SendsWhereDropped {
    fn drop(&mut self) {
        let _ = self.0.send(INSIDE.get());
    }
}

const HANG: Duration = Duration::from_secs(60);

/// Failure: code of a user's ran outside, where a crate that needs the other library panics.
#[test]
fn tasks_blocking_work_and_block_on_run_inside() {
    let runtime = start(Recording);
    let inside = || INSIDE.get();
    assert_eq!(inside(), None);
    assert_eq!(runtime.block_on(async move { inside() }), Some(ThreadKind::BlockOn));
    assert_eq!(inside(), None, "left at the end");
    let task = runtime.spawn(async move { inside() });
    assert_eq!(runtime.block_on(task).unwrap(), Some(ThreadKind::Worker));
    let work = runtime.handle().spawn_blocking(inside);
    assert_eq!(runtime.block_on(work).unwrap(), Some(ThreadKind::Blocking));
}

#[test]
fn hooks_of_threads_run_inside() {
    let (sender, seen) = mpsc::channel();
    let of_stop = sender.clone();
    let runtime = Builder::new()
        .workers(1)
        .thread_scope(Arc::new(Recording))
        .on_thread_start(move || sender.send(INSIDE.get()).unwrap())
        .on_thread_stop(move || of_stop.send(INSIDE.get()).unwrap())
        .start(Idle::new())
        .unwrap();
    drop(runtime);
    let seen: Vec<_> = seen.into_iter().collect();
    assert_eq!(seen, [Some(ThreadKind::Other); 2]);
}

/// Failure: the destructor of a task's resources ran outside, where it cannot spawn.
#[test]
fn futures_are_dropped_inside_on_any_thread() {
    let runtime = start(Recording);
    let (sender, dropped) = mpsc::channel();
    for ending in ["abort", "shutdown"] {
        let (begun, waits) = mpsc::channel();
        let held = SendsWhereDropped(sender.clone());
        let task = runtime.spawn(async move {
            begun.send(()).unwrap();
            pending::<()>().await;
            drop(held);
        });
        waits.recv_timeout(HANG).unwrap();
        if ending == "abort" {
            task.abort();
            assert!(dropped.recv_timeout(HANG).unwrap().is_some());
        }
    }
    let _ = runtime.shutdown(HANG);
    assert!(dropped.recv_timeout(HANG).unwrap().is_some());
}

/// What a scope renews between steps it renews for each poll.
#[test]
fn step_of_a_worker_polls_one_task_at_most() {
    let runtime = start(Recording);
    let task = async || {
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.push(STEPS.get());
            yield_now().await;
        }
        seen
    };
    let tasks = [(); 2].map(|()| runtime.spawn(task()));
    let mut seen: Vec<_> =
        tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    seen.sort_unstable();
    let polls = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), polls);
}

/// Failure: a scope that panicked ended the thread, with every task queued there.
#[test]
fn threads_go_on_without_a_scope_that_cannot_be_entered() {
    struct Refusing;
    impl ThreadScope for Refusing {
        fn run(&self, thread: ThreadKind, _step: &mut dyn FnMut() -> ControlFlow<()>) {
            panic!("expected by this test: {thread:?}");
        }
    }
    let runtime = start(Refusing);
    let (sender, done) = mpsc::channel();
    let of_blocking = sender.clone();
    drop(runtime.spawn(async move { sender.send("worker").unwrap() }));
    assert_eq!(done.recv_timeout(HANG), Ok("worker"));
    drop(runtime.handle().spawn_blocking(move || of_blocking.send("blocking").unwrap()));
    assert_eq!(done.recv_timeout(HANG), Ok("blocking"));
    assert!(runtime.handle().metrics().caught_panics >= 2);
    let blocked = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async {})));
    let message = *blocked.unwrap_err().downcast::<String>().unwrap();
    assert!(message.ends_with("BlockOn"), "{message}");
}

#[test]
fn threads_go_on_without_a_scope_that_returns_early() {
    struct Early;
    impl ThreadScope for Early {
        fn run(&self, _thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
            let _ = step();
        }
    }
    let runtime = start(Early);
    for _ in 0..3 {
        let task = runtime.spawn(async {
            yield_now().await;
            1
        });
        assert_eq!(runtime.block_on(task).unwrap(), 1);
        let work = runtime.handle().spawn_blocking(|| 2);
        assert_eq!(runtime.block_on(work).unwrap(), 2);
    }
}

/// Failure: the future was polled again after it had completed.
#[test]
fn no_step_follows_the_last_one() {
    struct Again;
    impl ThreadScope for Again {
        fn run(&self, _thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
            while step().is_continue() {}
            assert!(step().is_break());
        }
    }
    let runtime = start(Again);
    let mut polls = 0;
    let polled = poll_fn(|_| {
        polls += 1;
        Poll::Ready(polls)
    });
    assert_eq!(runtime.block_on(polled), 1);
}

/// Failure: the panic of a future unwound through the code of the scope, which was not left.
#[test]
fn panic_of_a_blocked_future_leaves_the_scope_first() {
    struct Left(Arc<Mutex<Vec<ThreadKind>>>);
    impl ThreadScope for Left {
        fn run(&self, thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
            while step().is_continue() {}
            self.0.lock().unwrap().push(thread);
        }
    }
    let left = Arc::new(Mutex::new(Vec::new()));
    let runtime = start(Left(Arc::clone(&left)));
    let future = async { panic!("expected by this test") };
    let panic = catch_unwind(AssertUnwindSafe(|| runtime.block_on(future))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"expected by this test"));
    assert!(left.lock().unwrap().contains(&ThreadKind::BlockOn));
}

/// Failure: a scope that could not be left, as where a guard was leaked inside, took the output with it.
#[test]
fn output_of_block_on_survives_a_scope_that_panics_behind_it() {
    struct PanicsAtTheEnd;
    impl ThreadScope for PanicsAtTheEnd {
        fn run(&self, thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
            while step().is_continue() {}
            panic!("expected by this test: {thread:?}");
        }
    }
    let runtime = start(PanicsAtTheEnd);
    assert_eq!(runtime.block_on(async { 42 }), 42);
    let report = runtime.shutdown(HANG);
    assert_eq!((report.tasks_left, report.threads_left), (0, 0));
}
