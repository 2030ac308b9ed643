//! Slots change owners, and the queue closes, while other threads use them.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::{Simulated, block_on, model};
use crate::mutant::{Mutant, caught};
use crate::readiness::{Arming, Bits, Direction};
use crate::slot::WaitMode;
use crate::sources::Sources;
use crate::sync::Mutex;
use crate::token::Token;

/// The kernel learns of a source when a task first has to wait: two tasks that begin to wait at
/// once ask it one after the other, and it reports both directions in the end.
fn both_directions_are_asked_for() {
    model(3, || {
        let simulated = Simulated::with(Bits::NONE);
        let known = Arc::new(Mutex::new(Vec::new()));
        let wait = |direction: Direction| {
            let (simulated, known) = (Arc::clone(&simulated), Arc::clone(&known));
            move || {
                let request = |arming| {
                    let mut known = known.lock();
                    assert_eq!(known.is_empty(), arming == Arming::Register, "asked out of turn");
                    known.push(direction);
                    Ok(())
                };
                let cx = &mut Context::from_waker(Waker::noop());
                let slot = simulated.sources.owned(simulated.token);
                assert!(slot.poll_take(direction, cx, WaitMode::Shared, request).is_pending());
            }
        };
        let writer = thread::spawn(wait(Direction::Write));
        wait(Direction::Read)();
        writer.join().expect("the writer does not panic");
        assert_eq!(known.lock().len(), 2);
    });
}

/// The kernel refuses once. Neither of two tasks that wait in one direction depends on that
/// request: each gets the error, or waits once the kernel knows of the source.
fn refused_arming() {
    model(3, || {
        let simulated = Simulated::with(Bits::NONE);
        let kernel = Arc::new(Mutex::new((0, false)));
        let wait = || {
            let (simulated, kernel) = (Arc::clone(&simulated), Arc::clone(&kernel));
            move || {
                let slot = simulated.sources.owned(simulated.token);
                let request = |_| {
                    let (asked, known) = &mut *kernel.lock();
                    *asked += 1;
                    *known = *asked > 1;
                    if *known { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
                };
                block_on(poll_fn(|cx| {
                    match slot.poll_take(Direction::Read, cx, WaitMode::Shared, request) {
                        Poll::Pending if !kernel.lock().1 => Poll::Pending,
                        _ => Poll::Ready(()),
                    }
                }));
            }
        };
        let other = thread::spawn(wait());
        wait()();
        other.join().expect("the other task does not panic");
    });
}

/// A slot is given to another owner while an event of the last owner is delivered.
fn slot_reuse() {
    model(3, || {
        let simulated = Simulated::new();
        let late = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || {
                let mut wakers = Vec::new();
                let token = simulated.token;
                let _ = simulated.sources.deliver(token, Bits::READABLE, &mut wakers);
                wakers.into_iter().for_each(Waker::wake);
            }
        });
        simulated.sources.remove(simulated.token);
        let armed = Direction::Read.armed();
        let next = simulated.sources.insert(armed).expect("the slot is free again");
        assert_eq!(next.slot(), simulated.token.slot());
        let cx = &mut Context::from_waker(Waker::noop());
        let slot = simulated.sources.owned(next);
        let first = slot.poll_take(Direction::Read, cx, WaitMode::Shared, |_| Ok(()));
        late.join().expect("the dispatcher does not panic");
        let second = slot.poll_take(Direction::Read, cx, WaitMode::Shared, |_| Ok(()));
        assert!(first.is_pending() && second.is_pending(), "readiness of the owner before");
    });
}

/// The waker of the next owner may be taken by a late event, but then it is woken.
fn slot_reuse_wakes() {
    model(2, || {
        let simulated = Simulated::new();
        // The last owner waits, so that the late event takes a waker.
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(simulated.poll_drain(Direction::Read, cx).is_pending());
        let late = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || deliver(&simulated.sources, simulated.token)
        });
        simulated.sources.remove(simulated.token);
        let next =
            simulated.sources.insert(Direction::Read.armed()).expect("the slot is free again");
        let event = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || deliver(&simulated.sources, next)
        });
        let slot = simulated.sources.owned(next);
        block_on(poll_fn(|cx| slot.poll_take(Direction::Read, cx, WaitMode::Shared, |_| Ok(()))))
            .expect("open");
        late.join().expect("the late dispatcher does not panic");
        event.join().expect("the dispatcher does not panic");
    });
}

/// A task that polls while the queue closes gets the error or is woken.
fn close_races_poll() {
    model(3, || {
        let simulated = Simulated::new();
        let closer = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || {
                let wakers = simulated.sources.close().expect("closed once");
                wakers.into_iter().for_each(Waker::wake);
            }
        });
        let ended = block_on(poll_fn(|cx| simulated.poll_drain(Direction::Read, cx)));
        assert!(ended.is_err());
        closer.join().expect("the closer does not panic");
    });
}

/// A registration that races the close is refused, or its task gets the error.
fn close_races_registration() {
    model(3, || {
        let sources = Arc::new(Sources::new(4));
        let closer = thread::spawn({
            let sources = Arc::clone(&sources);
            move || {
                let wakers = sources.close().expect("closed once");
                wakers.into_iter().for_each(Waker::wake);
            }
        });
        if let Ok(token) = sources.insert(Direction::Read.armed()) {
            let slot = sources.owned(token);
            let ended = block_on(poll_fn(|cx| {
                slot.poll_take(Direction::Read, cx, WaitMode::Shared, |_| Ok(()))
            }));
            assert!(ended.is_err());
            sources.remove(token);
        }
        closer.join().expect("the closer does not panic");
        assert_eq!(sources.live(), 0);
    });
}

/// The first owner that needs a chunk makes it; more owners than a chunk holds get a slot each.
fn two_registrations() {
    model(2, || {
        let sources = Arc::new(Sources::new(4));
        let _first = sources.insert(Bits::NONE).expect("the table is empty");
        let other = thread::spawn({
            let sources = Arc::clone(&sources);
            move || sources.insert(Bits::NONE).expect("there is room")
        });
        let mine = sources.insert(Bits::NONE).expect("there is room");
        let theirs = other.join().expect("the other thread does not panic");
        assert_ne!(mine, theirs);
        sources.remove(theirs);
        assert_eq!(sources.live(), 2);
    });
}

fn deliver(sources: &Sources, token: Token) {
    let mut wakers = Vec::new();
    let _ = sources.deliver(token, Bits::READABLE, &mut wakers);
    wakers.into_iter().for_each(Waker::wake);
}

#[test]
fn kernel_is_asked_for_one_direction_after_the_other() {
    both_directions_are_asked_for();
}

#[test]
fn mutant_armed_unlocked_is_caught() {
    let output = caught(
        Mutant::ArmedUnlocked,
        "loom_models::lifetime::kernel_is_asked_for_one_direction_after_the_other",
    );
    assert!(output.contains("asked out of turn"), "{output}");
}

#[test]
fn refused_arming_leaves_no_task_waiting() {
    refused_arming();
}

#[test]
fn mutant_armed_too_early_is_caught() {
    let output = caught(
        Mutant::ArmedTooEarly,
        "loom_models::lifetime::refused_arming_leaves_no_task_waiting",
    );
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn stale_event_never_reaches_the_next_owner() {
    slot_reuse();
}

#[test]
fn late_event_that_takes_the_next_owners_waker_wakes_it() {
    slot_reuse_wakes();
}

#[test]
fn close_ends_every_poll() {
    close_races_poll();
}

#[test]
fn close_ends_every_registration() {
    close_races_registration();
}

#[test]
fn each_registration_gets_its_own_slot() {
    two_registrations();
}

#[test]
fn mutant_no_second_look_is_caught_by_the_close() {
    let output = caught(Mutant::NoSecondLook, "loom_models::lifetime::close_ends_every_poll");
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_generation_ignored_is_caught() {
    let output = caught(
        Mutant::GenerationIgnored,
        "loom_models::lifetime::stale_event_never_reaches_the_next_owner",
    );
    assert!(output.contains("readiness of the owner before"), "{output}");
}

#[test]
fn mutant_close_keeps_wakers_is_caught() {
    let output = caught(Mutant::CloseKeepsWakers, "loom_models::lifetime::close_ends_every_poll");
    assert!(output.contains("deadlock"), "{output}");
}
