//! A task that keeps its source, with a persistent waker in the slot.

use std::future::poll_fn;
use std::sync::Arc;

use loom::thread;

use super::{Simulated, block_on, model};
use crate::drain::Drain;
use crate::mutant::{Mutant, caught};
use crate::readiness::{Direction, Status};

/// Reads `wanted` bytes and waits for each with the same waker. Returns the number of tries.
async fn consume(simulated: &Simulated, wanted: usize) -> usize {
    let slot = simulated.sources.owned(simulated.token);
    let armed = |_| unreachable!("both are armed");
    let (mut received, mut tries) = (0, 0);
    while received < wanted {
        poll_fn(|cx| slot.poll_ready_persistent(Direction::Read, cx, armed))
            .await
            .expect("never closed");
        let Status::Ready(_) = slot.word.take(Direction::Read) else {
            unreachable!("no other task drains")
        };
        tries += 1;
        while simulated.read(Direction::Read, 1) > 0 {
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
        let simulated = Simulated::new();
        let dispatchers = [(); 2].map(|()| {
            let simulated = Arc::clone(&simulated);
            thread::spawn(move || simulated.edge(&[Direction::Read]))
        });
        let tries = block_on(consume(&simulated, 2));
        for dispatcher in dispatchers {
            dispatcher.join().expect("the dispatcher does not panic");
        }
        assert!(tries <= 2, "{tries} tries");
    });
}

/// The same with one edge after the other, so that the stored waker is called twice.
fn one_dispatcher() {
    model(3, || {
        let simulated = Simulated::new();
        let dispatcher = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || (0..2).for_each(|_| simulated.edge(&[Direction::Read]))
        });
        block_on(consume(&simulated, 2));
        dispatcher.join().expect("the dispatcher does not panic");
    });
}

#[test]
fn persistent_waker_loses_no_edge() {
    two_dispatchers();
}

#[test]
fn persistent_waker_is_called_for_each_edge() {
    one_dispatcher();
}

#[test]
fn mutant_persistent_taken_is_caught() {
    let output = caught(
        Mutant::PersistentTaken,
        "loom_models::persistent::persistent_waker_is_called_for_each_edge",
    );
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_persistent_read_early_is_caught() {
    let output = caught(
        Mutant::PersistentReadEarly,
        "loom_models::persistent::persistent_waker_is_called_for_each_edge",
    );
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_no_second_look_of_a_persistent_waker_is_caught() {
    let output =
        caught(Mutant::NoSecondLook, "loom_models::persistent::persistent_waker_loses_no_edge");
    assert!(output.contains("deadlock"), "{output}");
}
