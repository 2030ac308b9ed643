//! The way of an edge from the dispatcher to the task that waits for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::thread;

use super::{Simulated, armed, block_on, model};
use crate::mutant::{Mutant, caught};
use crate::readiness::Direction;
use crate::slot::WaitMode;

/// One dispatcher, two directions: every byte reaches its task, in a bounded number of tries.
fn two_directions() {
    model(2, || {
        let simulated = Simulated::new();
        // The first drain of the reader races the second edge.
        simulated.edge(&[Direction::Read]);
        let dispatcher = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || simulated.edge(&[Direction::Read, Direction::Write])
        });
        let writer = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || block_on(simulated.consume(Direction::Write, 1))
        });
        let reads = block_on(simulated.consume(Direction::Read, 2));
        let writes = writer.join().expect("the writer does not panic");
        dispatcher.join().expect("the dispatcher does not panic");
        // One try for each edge: the other direction's events cause none.
        assert!(reads <= 2 && writes == 1, "{reads} and {writes} tries");
    });
}

/// The same for one direction and two dispatchers, which overtake each other.
fn two_dispatchers() {
    model(3, || {
        let simulated = Simulated::new();
        let dispatchers = [(); 2].map(|()| {
            let simulated = Arc::clone(&simulated);
            thread::spawn(move || simulated.edge(&[Direction::Read]))
        });
        let tries = block_on(simulated.consume(Direction::Read, 2));
        for dispatcher in dispatchers {
            dispatcher.join().expect("the dispatcher does not panic");
        }
        assert!(tries <= 2, "{tries} tries");
    });
}

/// A task that stops early leaves the rest to a task that began to wait meanwhile.
fn early_end() {
    model(3, || {
        let simulated = Simulated::new();
        simulated.edge(&[Direction::Read]);
        simulated.edge(&[Direction::Read]);
        let other = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || one_byte(&simulated)
        });
        one_byte(&simulated);
        other.join().expect("the other task does not panic");
    });
}

/// Two tasks wait in one direction, each in exclusive mode, and the displaced one is woken.
fn two_waiters() {
    model(2, || {
        let simulated = Simulated::new();
        let other = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || wait_once(&simulated)
        });
        let mine = wait_once(&simulated);
        let theirs = other.join().expect("the other task does not panic");
        let left = simulated.sources.owned(simulated.token).take_wakers(Direction::Read);
        assert!(!left.is_empty());
        let woken = mine.load(Ordering::SeqCst) + theirs.load(Ordering::SeqCst);
        assert_eq!(woken, 1, "one waker stays, the other one must have been woken");
    });
}

/// A waker that compares unequal to its own clone does not displace and wake itself for ever.
/// loom's wakers do so in release builds, so this model uses loom's `block_on`.
fn self_displacement() {
    model(2, || {
        let simulated = Simulated::new();
        let dispatcher = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || simulated.edge(&[Direction::Read])
        });
        loom::future::block_on(simulated.consume(Direction::Read, 1));
        dispatcher.join().expect("the dispatcher does not panic");
    });
}

/// A task goes on and leaves no waker behind, or waits and is woken, while one edge races it.
fn racing_edge(poll: fn(&Simulated, &mut Context<'_>) -> bool) {
    model(3, move || {
        let simulated = Simulated::new();
        let dispatcher = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || simulated.edge(&[Direction::Read])
        });
        let (count, waker) = counting_waker();
        let ready = poll(&simulated, &mut Context::from_waker(&waker));
        dispatcher.join().expect("the dispatcher does not panic");
        let left = simulated.sources.owned(simulated.token).take_wakers(Direction::Read);
        assert!(left.is_empty(), "a waker stayed behind, ready: {ready}");
        assert!(ready || count.load(Ordering::SeqCst) > 0, "the task was not woken");
    });
}

/// Two futures of one task wait in the same direction, and the second is polled as the edge comes:
/// it must not silently take back the waker that the first one waits by.
fn two_futures_of_one_task() {
    model(3, || {
        let simulated = Simulated::new();
        let (count, waker) = counting_waker();
        let cx = &mut Context::from_waker(&waker);
        assert!(simulated.poll_drain(Direction::Read, cx).is_pending());
        let dispatcher = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || simulated.edge(&[Direction::Read])
        });
        let _ = drained(&simulated, cx);
        dispatcher.join().expect("the dispatcher does not panic");
        assert!(count.load(Ordering::SeqCst) > 0, "the first future is not polled again");
    });
}

/// Polls once and reads what is there; whether it was ready.
fn drained(simulated: &Simulated, cx: &mut Context<'_>) -> bool {
    let Poll::Ready(drain) = simulated.poll_drain(Direction::Read, cx) else { return false };
    let drain = drain.expect("never closed");
    while simulated.read(Direction::Read, 1) > 0 {}
    drain.drained();
    true
}

/// Polls once and changes nothing; whether it was ready.
fn looked(simulated: &Simulated, cx: &mut Context<'_>) -> bool {
    let slot = simulated.sources.owned(simulated.token);
    slot.poll_ready(Direction::Read, cx, |_| unreachable!("both are armed")).is_ready()
}

/// Reads one byte and stops there.
fn one_byte(simulated: &Simulated) {
    block_on(async {
        loop {
            let drain = poll_fn(|cx| simulated.poll_drain(Direction::Read, cx))
                .await
                .expect("never closed");
            match simulated.read(Direction::Read, 1) {
                0 => drain.drained(),
                _ => break,
            }
        }
    });
}

/// Polls once, in exclusive mode, with a waker of its own; returns the count of its wakes.
fn wait_once(simulated: &Simulated) -> Arc<AtomicUsize> {
    let (count, waker) = counting_waker();
    let cx = &mut Context::from_waker(&waker);
    let slot = simulated.sources.owned(simulated.token);
    assert!(slot.poll_take(Direction::Read, cx, WaitMode::Exclusive, armed).is_pending());
    count
}

/// A waker, and the count of its wakes.
pub(super) fn counting_waker() -> (Arc<AtomicUsize>, Waker) {
    struct Count(Arc<AtomicUsize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let waker = Waker::from(Arc::new(Count(Arc::clone(&count))));
    (count, waker)
}

#[test]
fn two_directions_lose_no_edge_and_do_not_livelock() {
    two_directions();
}

#[test]
fn two_dispatchers_lose_no_edge() {
    two_dispatchers();
}

#[test]
fn early_end_strands_no_task() {
    early_end();
}

#[test]
fn displaced_waiter_is_woken() {
    two_waiters();
}

#[test]
fn waiter_does_not_displace_itself() {
    self_displacement();
}

#[test]
fn a_task_that_goes_on_leaves_no_waker_behind() {
    racing_edge(drained);
}

#[test]
fn a_task_that_only_looks_leaves_no_waker_behind() {
    racing_edge(looked);
}

#[test]
fn a_waker_that_another_future_needs_is_woken() {
    two_futures_of_one_task();
}

#[test]
fn mutant_waker_left_behind_is_caught() {
    let output = caught(
        Mutant::WakerLeftBehind,
        "loom_models::hand_over::a_task_that_goes_on_leaves_no_waker_behind",
    );
    assert!(output.contains("a waker stayed behind"), "{output}");
}

#[test]
fn mutant_waker_left_behind_is_caught_by_a_look() {
    let output = caught(
        Mutant::WakerLeftBehind,
        "loom_models::hand_over::a_task_that_only_looks_leaves_no_waker_behind",
    );
    assert!(output.contains("a waker stayed behind"), "{output}");
}

#[test]
fn mutant_taken_waker_dropped_is_caught() {
    let output = caught(
        Mutant::TakenWakerDropped,
        "loom_models::hand_over::a_waker_that_another_future_needs_is_woken",
    );
    assert!(output.contains("the first future is not polled again"), "{output}");
}

#[test]
fn mutant_clear_after_drain_is_caught() {
    let output =
        caught(Mutant::ClearAfterDrain, "loom_models::hand_over::two_dispatchers_lose_no_edge");
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_clear_after_drain_is_caught_with_two_directions() {
    let output = caught(
        Mutant::ClearAfterDrain,
        "loom_models::hand_over::two_directions_lose_no_edge_and_do_not_livelock",
    );
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_no_second_look_is_caught() {
    let output =
        caught(Mutant::NoSecondLook, "loom_models::hand_over::two_dispatchers_lose_no_edge");
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_replaced_waker_dropped_is_caught() {
    let output =
        caught(Mutant::ReplacedWakerDropped, "loom_models::hand_over::displaced_waiter_is_woken");
    assert!(output.contains("must have been woken"), "{output}");
}

#[test]
fn mutant_early_end_unheard_is_caught() {
    let output =
        caught(Mutant::EarlyEndUnheard, "loom_models::hand_over::early_end_strands_no_task");
    assert!(output.contains("deadlock"), "{output}");
}
