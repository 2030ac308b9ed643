//! Several waiters in one direction: one is woken for an event, and none is forgotten.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::hand_over::counting_waker;
use super::{Simulated, armed, block_on, model};
use crate::drain::Drain;
use crate::mutant::{Mutant, caught};
use crate::readiness::{Bits, Delivery, Direction};
use crate::slot::KeyedWaiter;

fn waiter(simulated: &Simulated) -> KeyedWaiter<'_> {
    KeyedWaiter::new(simulated.sources.owned(simulated.token), Direction::Read)
}

/// Reads one byte if the waiter is ready and there is one, and stops there.
fn poll_byte(
    simulated: &Simulated,
    waiter: &mut KeyedWaiter<'_>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    while let Poll::Ready(seen) = waiter.poll_take(cx, armed) {
        seen.expect("never closed");
        let drain = Drain::new(waiter.slot(), Direction::Read, false);
        match simulated.read(Direction::Read, 1) {
            0 => drain.drained(),
            _ => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

/// A task that waits for one byte.
fn one_byte(simulated: &Simulated) {
    let mut waiter = waiter(simulated);
    block_on(poll_fn(|cx| poll_byte(simulated, &mut waiter, cx)));
}

fn spawn(simulated: &Arc<Simulated>, body: fn(&Simulated)) -> thread::JoinHandle<()> {
    let simulated = Arc::clone(simulated);
    thread::spawn(move || body(&simulated))
}

fn edge(simulated: &Simulated) {
    simulated.edge(&[Direction::Read]);
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}

/// A waiter is dropped, perhaps after it was woken: the other task gets the byte. Also where two
/// waiters of one task are dropped one after the other, the second of which waits in the list.
fn woken_and_dropped(behind_another: bool) {
    model(3, move || {
        let simulated = Simulated::new();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut waiters = [waiter(&simulated), waiter(&simulated)];
        let waiting = &mut waiters[..1 + usize::from(behind_another)];
        for waiter in waiting {
            assert!(waiter.poll_take(cx, armed).is_pending());
        }
        let threads = [spawn(&simulated, edge), spawn(&simulated, one_byte)];
        drop(waiters);
        join(threads);
    });
}

/// Two waiters, and two dispatchers with a byte each. One thread polls the waiters that are woken.
fn two_events() {
    model(2, || {
        let simulated = Simulated::new();
        let mut waiters = [waiter(&simulated), waiter(&simulated)].map(Some);
        let tasks = [(); 2].map(|()| counting_waker());
        let poll = |waiters: &mut [Option<KeyedWaiter<'_>>; 2], task: usize| {
            let cx = &mut Context::from_waker(&tasks[task].1);
            if let Some(waiter) = &mut waiters[task]
                && poll_byte(&simulated, waiter, cx).is_ready()
            {
                waiters[task] = None;
            }
        };
        (0..2).for_each(|task| poll(&mut waiters, task));
        let dispatchers = [spawn(&simulated, edge), spawn(&simulated, edge)];
        let mut polled = [0; 2];
        let mut run = |waiters: &mut _| {
            for task in 0..2 {
                let woken = tasks[task].0.load(Ordering::SeqCst);
                if std::mem::replace(&mut polled[task], woken) != woken {
                    poll(waiters, task);
                }
            }
        };
        // Once while the dispatchers run, then as long as a task is woken.
        run(&mut waiters);
        join(dispatchers);
        (0..4).for_each(|_| run(&mut waiters));
        assert!(waiters.iter().all(Option::is_none), "a byte is there, and its waiter sleeps");
    });
}

/// An anonymous waiter has lost interest: the keyed waiter gets the byte.
fn anonymous_lost_interest() {
    model(3, || {
        let simulated = Simulated::new();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(simulated.poll_drain(Direction::Read, cx).is_pending());
        let dispatcher = spawn(&simulated, edge);
        one_byte(&simulated);
        join([dispatcher]);
    });
}

/// A waiter is polled without a wake, takes the event of two bytes while the dispatcher still looks
/// for a waker, reads one byte and leaves. The waiter behind it gets the second byte.
fn polled_unwoken() {
    model(3, || {
        let simulated = Simulated::new();
        let unwoken = &mut Context::from_waker(Waker::noop());
        let mut first = waiter(&simulated);
        assert!(first.poll_take(unwoken, armed).is_pending());
        let dispatcher = spawn(&simulated, |simulated| {
            *simulated.bytes[0].lock() += 1;
            edge(simulated);
        });
        let (mut first, mut second) = (Some(first), waiter(&simulated));
        block_on(poll_fn(|cx| {
            let polled = poll_byte(&simulated, &mut second, cx);
            if let Some(mut first) = first.take() {
                let _ = poll_byte(&simulated, &mut first, unwoken);
            }
            polled
        }));
        join([dispatcher]);
    });
}

/// The same in the one order that matters: the event has set the ready bit, and the dispatcher has
/// not taken a waker yet.
fn polled_unwoken_in_between() {
    model(1, || {
        let simulated = Simulated::new();
        let unwoken = &mut Context::from_waker(Waker::noop());
        let mut first = waiter(&simulated);
        assert!(first.poll_take(unwoken, armed).is_pending());
        let (count, waker) = counting_waker();
        let mut second = waiter(&simulated);
        let cx = &mut Context::from_waker(&waker);
        assert!(second.poll_take(cx, armed).is_pending());

        *simulated.bytes[0].lock() += 2;
        let slot = second.slot();
        let delivery = slot.word.deliver(simulated.token.generation(), Bits::READABLE);
        assert!(matches!(delivery, Delivery::Delivered(_)));
        assert!(poll_byte(&simulated, &mut first, unwoken).is_ready());
        drop(first);
        slot.wake(Direction::Read);
        assert!(count.load(Ordering::SeqCst) > 0, "a byte is there, and its waiter sleeps");
        assert!(poll_byte(&simulated, &mut second, cx).is_ready());
    });
}

/// Two waiters of one task, one of which is polled and leaves as the event comes: the task is woken
/// for the other one.
fn two_waiters_of_one_task() {
    model(3, || {
        let simulated = Simulated::new();
        let (count, waker) = counting_waker();
        let cx = &mut Context::from_waker(&waker);
        let (mut first, mut second) = (waiter(&simulated), waiter(&simulated));
        assert!(first.poll_take(cx, armed).is_pending());
        edge(&simulated);
        let drain = second.poll_take(cx, armed).map(|seen| seen.expect("never closed"));
        assert!(drain.is_ready() && count.load(Ordering::SeqCst) == 1);
        // Its waker is stored where that of the first one was, and the first one has not learned of
        // it.
        assert!(second.poll_take(cx, armed).is_pending());
        let dispatcher = spawn(&simulated, edge);
        let _ = first.poll_take(cx, armed);
        drop(first);
        join([dispatcher]);
        assert!(count.load(Ordering::SeqCst) > 1, "the second waiter is not polled again");
    });
}

/// Two tasks wait, each polled twice, and no event comes: none is woken.
fn no_event(poll: fn(&Simulated, &mut KeyedWaiter<'_>, &mut Context<'_>) -> bool) {
    model(3, move || {
        let simulated = Simulated::new();
        let task = move |simulated: &Simulated| {
            let (count, waker) = counting_waker();
            let cx = &mut Context::from_waker(&waker);
            let mut mine = waiter(simulated);
            for _ in 0..2 {
                assert!(poll(simulated, &mut mine, cx));
            }
            (mine, count).1
        };
        let other = thread::spawn({
            let simulated = Arc::clone(&simulated);
            move || task(&simulated)
        });
        let mine = task(&simulated);
        let theirs = other.join().expect("the other task does not panic");
        let woken = mine.load(Ordering::SeqCst) + theirs.load(Ordering::SeqCst);
        assert_eq!(woken, 0, "waiting tasks wake each other");
    });
}

fn keyed(_: &Simulated, waiter: &mut KeyedWaiter<'_>, cx: &mut Context<'_>) -> bool {
    waiter.poll_take(cx, armed).is_pending()
}

fn anonymous(simulated: &Simulated, _: &mut KeyedWaiter<'_>, cx: &mut Context<'_>) -> bool {
    simulated.poll_drain(Direction::Read, cx).is_pending()
}

/// Keyed waiters and an anonymous one wait, or begin to wait, as the queue closes: each gets the
/// error.
fn close_races_waiters() {
    model(2, || {
        let simulated = Simulated::new();
        let anonymous = spawn(&simulated, |simulated| {
            let slot = simulated.sources.owned(simulated.token);
            let poll = |cx: &mut Context<'_>| {
                slot.poll_ready(Direction::Read, cx, armed).map(|ended| assert!(ended.is_err()))
            };
            block_on(poll_fn(poll));
        });
        let keyed = |simulated: &Simulated| {
            let mut waiter = waiter(simulated);
            assert!(block_on(poll_fn(|cx| waiter.poll_take(cx, armed))).is_err());
        };
        let closer = spawn(&simulated, |simulated| {
            let wakers = simulated.sources.close().expect("closed once");
            wakers.into_iter().for_each(Waker::wake);
        });
        keyed(&simulated);
        join([anonymous, closer]);
    });
}

#[test]
fn dropped_waiter_passes_its_event_on() {
    woken_and_dropped(false);
}

#[test]
fn dropped_waiters_pass_their_event_on() {
    woken_and_dropped(true);
}

#[test]
fn two_events_serve_two_waiters() {
    two_events();
}

#[test]
fn keyed_waiter_does_not_depend_on_an_anonymous_one() {
    anonymous_lost_interest();
}

#[test]
fn waiter_that_is_polled_unwoken_leaves_no_keyed_waker() {
    polled_unwoken();
}

#[test]
fn waiter_that_is_polled_before_its_wake_leaves_no_keyed_waker() {
    polled_unwoken_in_between();
}

#[test]
fn waiters_of_one_task_do_not_take_each_others_place() {
    two_waiters_of_one_task();
}

#[test]
fn keyed_waiters_do_not_wake_each_other() {
    no_event(keyed);
}

#[test]
fn anonymous_waiters_do_not_wake_each_other() {
    no_event(anonymous);
}

#[test]
fn close_ends_all_of_several_waiters() {
    close_races_waiters();
}

#[test]
fn mutant_leaves_silently_is_caught() {
    let output =
        caught(Mutant::LeavesSilently, "loom_models::several::dropped_waiter_passes_its_event_on");
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_waiting_not_restored_is_caught() {
    let output =
        caught(Mutant::WaitingNotRestored, "loom_models::several::two_events_serve_two_waiters");
    assert!(output.contains("its waiter sleeps"), "{output}");
}

#[test]
fn mutant_keyed_behind_anonymous_is_caught() {
    let output = caught(
        Mutant::KeyedBehindAnonymous,
        "loom_models::several::keyed_waiter_does_not_depend_on_an_anonymous_one",
    );
    assert!(output.contains("deadlock"), "{output}");
}

#[test]
fn mutant_withdraws_unlooked_is_caught() {
    let output = caught(
        Mutant::WithdrawsUnlooked,
        "loom_models::several::waiter_that_is_polled_before_its_wake_leaves_no_keyed_waker",
    );
    assert!(output.contains("its waiter sleeps"), "{output}");
}

#[test]
fn mutant_further_displaces_is_caught() {
    let output = caught(
        Mutant::FurtherDisplaces,
        "loom_models::several::keyed_waiters_do_not_wake_each_other",
    );
    assert!(output.contains("waiting tasks wake each other"), "{output}");
}

#[test]
fn mutant_further_displaces_is_caught_with_anonymous_waiters() {
    let output = caught(
        Mutant::FurtherDisplaces,
        "loom_models::several::anonymous_waiters_do_not_wake_each_other",
    );
    assert!(output.contains("waiting tasks wake each other"), "{output}");
}

#[test]
fn mutant_close_keeps_listed_is_caught() {
    let output =
        caught(Mutant::CloseKeepsListed, "loom_models::several::close_ends_all_of_several_waiters");
    assert!(output.contains("deadlock"), "{output}");
}
