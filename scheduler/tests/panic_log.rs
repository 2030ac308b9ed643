//! A panic of a task is reported once: by the error of its join handle, or by the log where no handle waits.

mod common;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use heist_scheduler::{JoinHandle, JoinSet, Runtime, TaskBuilder};
use tracing::field::{Field, Visit};
use tracing::span;

use common::{runtime, wait_until};

/// The log lines of this process about tasks that panicked.
struct Log {
    lines: Mutex<Vec<String>>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for &'static Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        if line.0.contains("task panicked") {
            self.lines.lock().unwrap().push(line.0);
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// The log of all workers, for one test at a time: its lines are those of the test.
struct TestLog {
    log: &'static Log,
    _alone: MutexGuard<'static, ()>,
}

impl TestLog {
    fn new() -> TestLog {
        static LOG: OnceLock<&'static Log> = OnceLock::new();
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let log = LOG.get_or_init(|| {
            let log: &'static Log = Box::leak(Box::new(Log { lines: Mutex::default() }));
            tracing::subscriber::set_global_default(log).unwrap();
            log
        });
        log.lines.lock().unwrap().clear();
        TestLog { log, _alone: alone }
    }

    /// How many lines there are once every task of the runtime is gone.
    fn lines_of(&self, runtime: Runtime) -> Vec<String> {
        assert_eq!(runtime.shutdown(Duration::from_secs(60)).tasks_left, 0);
        std::mem::take(&mut self.log.lines.lock().unwrap())
    }
}

fn panicking(runtime: &Runtime) -> JoinHandle<()> {
    let task = TaskBuilder::new().name("doomed");
    task.spawn_on(runtime.handle(), async { panic!("expected by this test") })
}

fn poll_once(task: &mut JoinHandle<()>) -> Poll<bool> {
    let polled = Pin::new(task).poll(&mut Context::from_waker(Waker::noop()));
    polled.map(|result| result.unwrap_err().is_panic())
}

/// Failure: a server that handled the error of its task had an error in its log as well.
#[test]
fn a_panic_that_is_joined_is_not_logged() {
    let log = TestLog::new();
    let runtime = runtime(2);
    for _ in 0..20 {
        assert!(runtime.block_on(panicking(&runtime)).unwrap_err().is_panic());
        let blocking = runtime.handle().spawn_blocking(|| panic!("expected by this test"));
        let error: heist_scheduler::JoinError =
            runtime.block_on(blocking).map(|(): ()| ()).unwrap_err();
        assert!(error.to_string().contains("expected by this test"), "{error}");
    }
    assert_eq!(runtime.handle().metrics().task_panics, 40, "it is counted in any case");
    assert_eq!(log.lines_of(runtime), [""; 0]);
}

#[test]
fn a_panic_without_a_handle_is_logged_with_its_task() {
    let log = TestLog::new();
    let runtime = runtime(2);
    drop(panicking(&runtime));
    // Polled, so that it is joined, and given up.
    let mut waiting = panicking(&runtime);
    let reported = usize::from(poll_once(&mut waiting).is_ready());
    drop(waiting);
    // Ended before its handle is dropped unread.
    let ended = panicking(&runtime);
    wait_until(|| ended.is_finished());
    drop(ended);
    drop(runtime.handle().spawn_blocking(|| panic!("expected by this test")));
    wait_until(|| runtime.handle().metrics().task_panics == 4);
    let lines = log.lines_of(runtime);
    assert_eq!(lines.len() + reported, 4, "{lines:?}");
    let doomed = lines.iter().find(|line| line.contains("doomed")).unwrap();
    for part in ["tests/panic_log.rs", "expected by this test", "poll"] {
        assert!(doomed.contains(part), "{part} is missing in {doomed}");
    }
}

/// Failure: the handle is dropped just as the task ends, and neither reports the panic, or both do.
#[test]
fn a_panic_whose_handle_is_dropped_meanwhile_is_reported_once() {
    const ROUNDS: usize = 3_000;
    let log = TestLog::new();
    let runtime = runtime(2);
    let reported = AtomicUsize::new(0);
    thread::scope(|scope| {
        for first in 0..2 {
            let (runtime, reported) = (&runtime, &reported);
            scope.spawn(move || {
                for round in (first..ROUNDS).step_by(2) {
                    let mut task = panicking(runtime);
                    for _ in 0..round % 40 {
                        if let Poll::Ready(is_panic) = poll_once(&mut task) {
                            assert!(is_panic);
                            reported.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                    }
                }
            });
        }
    });
    wait_until(|| runtime.handle().metrics().task_panics == ROUNDS as u64);
    let logged = log.lines_of(runtime).len();
    let reported = reported.into_inner();
    assert_eq!(logged + reported, ROUNDS, "{logged} logged, {reported} reported");
}

#[test]
fn panics_in_a_set_are_reported_once_whether_joined_or_dropped() {
    const TASKS: usize = 2_000;
    let log = TestLog::new();
    let runtime = runtime(2);
    let mut set = JoinSet::new();
    for _ in 0..TASKS {
        set.spawn_on(async { panic!("expected by this test") }, runtime.handle());
    }
    let mut reported = 0;
    runtime.block_on(async {
        for _ in 0..TASKS / 2 {
            let result: Result<(), _> = set.join_next().await.unwrap();
            assert!(result.unwrap_err().is_panic());
            reported += 1;
        }
        while let Some(result) = set.try_join_next() {
            assert!(result.unwrap_err().is_panic());
            reported += 1;
        }
    });
    set.detach_all();
    wait_until(|| runtime.handle().metrics().task_panics == TASKS as u64);
    assert_eq!(log.lines_of(runtime).len() + reported, TASKS);
}
