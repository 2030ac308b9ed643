//! The way of an edge from the dispatcher to the task that waits for it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use loom::thread;

use super::{Played, block_on, model};
use crate::readiness::Direction;
use crate::sync::mutant::{Mutant, want};

/// (a) One dispatcher, two directions: every byte reaches its task, in a bounded number of tries.
fn two_directions() {
    model(2, || {
        let played = Played::new();
        // The first drain of the reader races the second edge.
        played.edge(&[Direction::Read]);
        let dispatcher = thread::spawn({
            let played = Arc::clone(&played);
            move || played.edge(&[Direction::Read, Direction::Write])
        });
        let writer = thread::spawn({
            let played = Arc::clone(&played);
            move || block_on(played.consume(Direction::Write, 1))
        });
        let reads = block_on(played.consume(Direction::Read, 2));
        let writes = writer.join().expect("the writer does not panic");
        dispatcher.join().expect("the dispatcher does not panic");
        // One try an edge: the other direction's events cause none.
        assert!(reads <= 2 && writes == 1, "{reads} and {writes} tries");
    });
}

/// (a) The same for one direction and two dispatchers, which overtake each other.
fn two_dispatchers() {
    model(3, || {
        let played = Played::new();
        let dispatchers = [(); 2].map(|()| {
            let played = Arc::clone(&played);
            thread::spawn(move || played.edge(&[Direction::Read]))
        });
        let tries = block_on(played.consume(Direction::Read, 2));
        for dispatcher in dispatchers {
            dispatcher.join().expect("the dispatcher does not panic");
        }
        assert!(tries <= 2, "{tries} tries");
    });
}

/// A task that stops early leaves the rest to one that began to wait meanwhile.
fn early_end() {
    model(3, || {
        let played = Played::new();
        played.edge(&[Direction::Read]);
        played.edge(&[Direction::Read]);
        let other = thread::spawn({
            let played = Arc::clone(&played);
            move || one_byte(&played)
        });
        one_byte(&played);
        other.join().expect("the other task does not panic");
    });
}

/// (b) Two tasks wait in one direction, and both find out when they displace each other.
fn two_waiters() {
    model(2, || {
        let played = Played::new();
        let other = thread::spawn({
            let played = Arc::clone(&played);
            move || wait_once(&played)
        });
        let mine = wait_once(&played);
        let theirs = other.join().expect("the other task does not panic");
        let kept = played.sources.owned(played.token).take_waker(Direction::Read);
        assert!(kept.is_some());
        let woken = mine.load(Ordering::SeqCst) + theirs.load(Ordering::SeqCst);
        assert_eq!(woken, 1, "one waker stays, the other one must have been woken");
    });
}

/// (b) A waker that compares unequal to its own clone does not displace and wake itself for ever.
/// loom's wakers are such in release builds, so this one uses loom's `block_on`.
fn self_displacement() {
    model(2, || {
        let played = Played::new();
        let dispatcher = thread::spawn({
            let played = Arc::clone(&played);
            move || played.edge(&[Direction::Read])
        });
        loom::future::block_on(played.consume(Direction::Read, 1));
        dispatcher.join().expect("the dispatcher does not panic");
    });
}

/// Reads one byte and stops there.
fn one_byte(played: &Played) {
    block_on(async {
        loop {
            let drain =
                poll_fn(|cx| played.poll_drain(Direction::Read, cx)).await.expect("never closed");
            match played.read(Direction::Read, 1) {
                0 => drain.drained(),
                _ => break,
            }
        }
    });
}

/// Polls once with a waker of its own; returns how often that was woken.
fn wait_once(played: &Played) -> Arc<AtomicUsize> {
    struct Count(Arc<AtomicUsize>);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    let waker = Waker::from(Arc::new(Count(Arc::clone(&count))));
    let cx = &mut Context::from_waker(&waker);
    assert!(played.poll_drain(Direction::Read, cx).is_pending());
    count
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
fn early_end_strands_nobody() {
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
#[should_panic(expected = "deadlock")]
fn mutant_clear_after_drain_is_caught() {
    let _wanted = want(Mutant::ClearAfterDrain);
    two_dispatchers();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_clear_after_drain_is_caught_with_two_directions() {
    let _wanted = want(Mutant::ClearAfterDrain);
    two_directions();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_no_second_look_is_caught() {
    let _wanted = want(Mutant::NoSecondLook);
    two_dispatchers();
}

#[test]
#[should_panic(expected = "must have been woken")]
fn mutant_replaced_waker_dropped_is_caught() {
    let _wanted = want(Mutant::ReplacedWakerDropped);
    two_waiters();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_early_end_unheard_is_caught() {
    let _wanted = want(Mutant::EarlyEndUnheard);
    early_end();
}
