//! Two runtimes of one process.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use heist_net::{Builder, Runtime};
use heist_scheduler::time;

fn runtime() -> Runtime {
    Builder::new().ignore_environment().workers(1).start().unwrap()
}

/// The first runtime is older than the other by more than the time of any timer here.
fn of_different_ages() -> [Runtime; 2] {
    let old = runtime();
    old.block_on(async { time::sleep(AGE).await });
    [old, runtime()]
}

/// Waits in the current runtime for a future that waits `WAIT` from `start` on by a timer of
/// another runtime, and compares it with a timer of its own, which would end first if the other
/// were late by `AGE`.
async fn compare(start: Instant, timer: impl Future) {
    let (mut timer, mut own) = (pin!(timer), pin!(time::sleep(AGE)));
    let in_order = poll_fn(|cx| match timer.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending => own.as_mut().poll(cx).map(|()| false),
    });
    assert!(in_order.await, "it is late");
    assert!(start.elapsed() >= WAIT, "it is early");
}

/// Failure: each runtime counted the time from its own start. A timer made in one and awaited in
/// another was late, or early, by their difference in age.
#[test]
fn timers_of_one_runtime_are_right_in_another() {
    let [old, young] = of_different_ages();
    for (from, to) in [(&old, &young), (&young, &old)] {
        let to = to.handle();
        from.block_on(async {
            let start = Instant::now();
            let sleep = time::sleep(WAIT);
            to.spawn(compare(start, sleep)).await.unwrap();

            let start = Instant::now();
            let timeout = time::timeout(WAIT, pending::<()>());
            to.spawn(compare(start, timeout)).await.unwrap();

            let start = Instant::now();
            let mut interval = time::interval(WAIT);
            interval.tick().await;
            let tick = async move { interval.tick().await };
            to.spawn(compare(start, tick)).await.unwrap();
        });
    }
}

/// Failure: as above, with a timer made by a thread that only enters the runtime, and awaited by a
/// thread that blocks on the other.
#[test]
fn timer_made_off_the_workers_is_right_in_another_runtime() {
    let [old, young] = of_different_ages();
    for (from, to) in [(&old, &young), (&young, &old)] {
        let start = Instant::now();
        let sleep = {
            let _entered = from.handle().enter();
            time::sleep(WAIT)
        };
        to.block_on(compare(start, sleep));
    }
}

/// The difference in age of the two runtimes.
const AGE: Duration = Duration::from_millis(500);
const WAIT: Duration = Duration::from_millis(50);
