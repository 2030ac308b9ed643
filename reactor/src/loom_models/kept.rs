//! A task that keeps its source, and its waker in it.

use std::future::poll_fn;
use std::sync::Arc;

use loom::thread;

use super::{Played, block_on, model};
use crate::drain::Drain;
use crate::readiness::{Direction, Look};
use crate::sync::mutant::{Mutant, want};

/// Reads so many bytes, waiting for each with the same waker. Returns how often it had to try.
async fn consume(played: &Played, wanted: usize) -> usize {
    let slot = played.sources.owned(played.token);
    let armed = |_| unreachable!("both are armed");
    let (mut received, mut tries) = (0, 0);
    while received < wanted {
        poll_fn(|cx| slot.poll_ready_keeping(Direction::Read, cx, armed))
            .await
            .expect("never closed");
        let Look::Ready(_) = slot.word.take(Direction::Read) else { unreachable!("nobody else") };
        tries += 1;
        while played.read(Direction::Read, 1) > 0 {
            received += 1;
        }
        Drain::new(slot, Direction::Read, false).drained();
    }
    tries
}

/// Every byte reaches the task, whether its edge meets it before it waits, between its look and its
/// wait, or while it waits again.
fn two_dispatchers() {
    model(2, || {
        let played = Played::new();
        let dispatchers = [(); 2].map(|()| {
            let played = Arc::clone(&played);
            thread::spawn(move || played.edge(&[Direction::Read]))
        });
        let tries = block_on(consume(&played, 2));
        for dispatcher in dispatchers {
            dispatcher.join().expect("the dispatcher does not panic");
        }
        assert!(tries <= 2, "{tries} tries");
    });
}

/// The same with one edge after the other, so that the waker is called twice from its place.
fn one_dispatcher() {
    model(3, || {
        let played = Played::new();
        let dispatcher = thread::spawn({
            let played = Arc::clone(&played);
            move || (0..2).for_each(|_| played.edge(&[Direction::Read]))
        });
        block_on(consume(&played, 2));
        dispatcher.join().expect("the dispatcher does not panic");
    });
}

#[test]
fn kept_waker_loses_no_edge() {
    two_dispatchers();
}

#[test]
fn kept_waker_is_called_for_each_edge() {
    one_dispatcher();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_kept_waker_taken_is_caught() {
    let _wanted = want(Mutant::KeptWakerTaken);
    one_dispatcher();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_kept_asked_early_is_caught() {
    let _wanted = want(Mutant::KeptAskedEarly);
    one_dispatcher();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_no_second_look_of_a_kept_waker_is_caught() {
    let _wanted = want(Mutant::NoSecondLook);
    two_dispatchers();
}
