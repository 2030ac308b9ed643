//! Several waiters in one direction: one of them is woken for an event, and none is forgotten.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use loom::thread;

use super::hand_over::counting_waker;
use super::{Played, armed, block_on, model};
use crate::drain::Drain;
use crate::readiness::{Bits, Delivery, Direction};
use crate::slot::Registered;
use crate::sync::mutant::{Mutant, want};

fn waiter(played: &Played) -> Registered<'_> {
    Registered::new(played.sources.owned(played.token), Direction::Read)
}

/// Reads one byte if the waiter is ready and there is one, and stops there.
fn poll_byte(played: &Played, waiter: &mut Registered<'_>, cx: &mut Context<'_>) -> Poll<()> {
    while let Poll::Ready(seen) = waiter.poll_take(cx, armed) {
        seen.expect("never closed");
        let drain = Drain::new(waiter.slot(), Direction::Read, false);
        match played.read(Direction::Read, 1) {
            0 => drain.drained(),
            _ => return Poll::Ready(()),
        }
    }
    Poll::Pending
}

/// A task that waits for one byte.
fn one_byte(played: &Played) {
    let mut waiter = waiter(played);
    block_on(poll_fn(|cx| poll_byte(played, &mut waiter, cx)));
}

fn spawn(played: &Arc<Played>, body: fn(&Played)) -> thread::JoinHandle<()> {
    let played = Arc::clone(played);
    thread::spawn(move || body(&played))
}

fn edge(played: &Played) {
    played.edge(&[Direction::Read]);
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}

/// A waiter is dropped, perhaps woken already: the other task gets the byte. Also where two waiters of
/// one task are dropped one after the other, the second of which waits in the list.
fn woken_and_dropped(behind_another: bool) {
    model(3, move || {
        let played = Played::new();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut waiters = [waiter(&played), waiter(&played)];
        let waiting = &mut waiters[..1 + usize::from(behind_another)];
        for waiter in waiting {
            assert!(waiter.poll_take(cx, armed).is_pending());
        }
        let threads = [spawn(&played, edge), spawn(&played, one_byte)];
        drop(waiters);
        join(threads);
    });
}

/// Two waiters, and two dispatchers with a byte each. The waiters are served by one thread, whichever
/// is woken.
fn two_events() {
    model(2, || {
        let played = Played::new();
        let mut waiters = [waiter(&played), waiter(&played)].map(Some);
        let tasks = [(); 2].map(|()| counting_waker());
        let poll = |waiters: &mut [Option<Registered<'_>>; 2], task: usize| {
            let cx = &mut Context::from_waker(&tasks[task].1);
            if let Some(waiter) = &mut waiters[task]
                && poll_byte(&played, waiter, cx).is_ready()
            {
                waiters[task] = None;
            }
        };
        (0..2).for_each(|task| poll(&mut waiters, task));
        let dispatchers = [spawn(&played, edge), spawn(&played, edge)];
        let mut polled = [0; 2];
        let mut run = |waiters: &mut _| {
            for task in 0..2 {
                let woken = tasks[task].0.load(Ordering::SeqCst);
                if std::mem::replace(&mut polled[task], woken) != woken {
                    poll(waiters, task);
                }
            }
        };
        // Once while the dispatchers are at work, then as long as a task is woken.
        run(&mut waiters);
        join(dispatchers);
        (0..4).for_each(|_| run(&mut waiters));
        assert!(waiters.iter().all(Option::is_none), "a byte is there, and its waiter sleeps");
    });
}

/// A task that lost interest waits by its waker alone: the registered waiter gets the byte.
fn anonymous_lost_interest() {
    model(3, || {
        let played = Played::new();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(played.poll_drain(Direction::Read, cx).is_pending());
        let dispatcher = spawn(&played, edge);
        one_byte(&played);
        join([dispatcher]);
    });
}

/// A waiter is polled without having been woken, takes the event of two bytes while that still looks
/// for a waker, reads one and leaves. The waiter behind it gets the second byte.
fn polled_unwoken() {
    model(3, || {
        let played = Played::new();
        let unwoken = &mut Context::from_waker(Waker::noop());
        let mut first = waiter(&played);
        assert!(first.poll_take(unwoken, armed).is_pending());
        let dispatcher = spawn(&played, |played| {
            *played.bytes[0].lock() += 1;
            edge(played);
        });
        let (mut first, mut second) = (Some(first), waiter(&played));
        block_on(poll_fn(|cx| {
            let polled = poll_byte(&played, &mut second, cx);
            if let Some(mut first) = first.take() {
                let _ = poll_byte(&played, &mut first, unwoken);
            }
            polled
        }));
        join([dispatcher]);
    });
}

/// The same in the one order that matters: the event has set the ready bit and has not come to the
/// wakers yet.
fn polled_unwoken_in_between() {
    model(1, || {
        let played = Played::new();
        let unwoken = &mut Context::from_waker(Waker::noop());
        let mut first = waiter(&played);
        assert!(first.poll_take(unwoken, armed).is_pending());
        let (count, waker) = counting_waker();
        let mut second = waiter(&played);
        let cx = &mut Context::from_waker(&waker);
        assert!(second.poll_take(cx, armed).is_pending());

        *played.bytes[0].lock() += 2;
        let slot = second.slot();
        let delivery = slot.word.deliver(played.token.generation(), Bits::READABLE);
        assert!(matches!(delivery, Delivery::Delivered(_)));
        assert!(poll_byte(&played, &mut first, unwoken).is_ready());
        drop(first);
        slot.wake(Direction::Read);
        assert!(count.load(Ordering::SeqCst) > 0, "a byte is there, and its waiter sleeps");
        assert!(poll_byte(&played, &mut second, cx).is_ready());
    });
}

/// Two waiters of one task, one of which is polled and leaves as the event comes: the other one's task
/// is woken.
fn two_waiters_of_one_task() {
    model(3, || {
        let played = Played::new();
        let (count, waker) = counting_waker();
        let cx = &mut Context::from_waker(&waker);
        let (mut first, mut second) = (waiter(&played), waiter(&played));
        assert!(first.poll_take(cx, armed).is_pending());
        edge(&played);
        let drain = second.poll_take(cx, armed).map(|seen| seen.expect("never closed"));
        assert!(drain.is_ready() && count.load(Ordering::SeqCst) == 1);
        // It waits where the first one did, which does not know yet.
        assert!(second.poll_take(cx, armed).is_pending());
        let dispatcher = spawn(&played, edge);
        let _ = first.poll_take(cx, armed);
        drop(first);
        join([dispatcher]);
        assert!(count.load(Ordering::SeqCst) > 1, "the second waiter is not polled again");
    });
}

/// Two tasks wait, each polled twice, and nothing happens: none is woken.
fn no_event(poll: fn(&Played, &mut Registered<'_>, &mut Context<'_>) -> bool) {
    model(3, move || {
        let played = Played::new();
        let task = move |played: &Played| {
            let (count, waker) = counting_waker();
            let cx = &mut Context::from_waker(&waker);
            let mut mine = waiter(played);
            for _ in 0..2 {
                assert!(poll(played, &mut mine, cx));
            }
            (mine, count).1
        };
        let other = thread::spawn({
            let played = Arc::clone(&played);
            move || task(&played)
        });
        let mine = task(&played);
        let theirs = other.join().expect("the other task does not panic");
        let woken = mine.load(Ordering::SeqCst) + theirs.load(Ordering::SeqCst);
        assert_eq!(woken, 0, "waiting tasks wake each other");
    });
}

fn registered(_: &Played, waiter: &mut Registered<'_>, cx: &mut Context<'_>) -> bool {
    waiter.poll_take(cx, armed).is_pending()
}

fn anonymous(played: &Played, _: &mut Registered<'_>, cx: &mut Context<'_>) -> bool {
    played.poll_drain(Direction::Read, cx).is_pending()
}

/// Two waiters and an anonymous one wait, or begin to, as the queue closes: each is told.
fn close_races_waiters() {
    model(2, || {
        let played = Played::new();
        let anonymous = spawn(&played, |played| {
            let slot = played.sources.owned(played.token);
            let poll = |cx: &mut Context<'_>| {
                slot.poll_ready(Direction::Read, cx, armed).map(|ended| assert!(ended.is_err()))
            };
            block_on(poll_fn(poll));
        });
        let registered = |played: &Played| {
            let mut waiter = waiter(played);
            assert!(block_on(poll_fn(|cx| waiter.poll_take(cx, armed))).is_err());
        };
        let closer = spawn(&played, |played| {
            let wakers = played.sources.close().expect("closed once");
            wakers.into_iter().for_each(Waker::wake);
        });
        registered(&played);
        join([anonymous, closer]);
    });
}

#[test]
fn dropped_waiter_hands_its_event_on() {
    woken_and_dropped(false);
}

#[test]
fn dropped_waiters_hand_their_event_on() {
    woken_and_dropped(true);
}

#[test]
fn two_events_serve_two_waiters() {
    two_events();
}

#[test]
fn registered_waiter_does_not_rely_on_an_anonymous_one() {
    anonymous_lost_interest();
}

#[test]
fn waiter_that_is_polled_unwoken_leaves_nothing_registered() {
    polled_unwoken();
}

#[test]
fn waiter_that_is_polled_before_its_wake_leaves_nothing_registered() {
    polled_unwoken_in_between();
}

#[test]
fn waiters_of_one_task_do_not_take_each_others_place() {
    two_waiters_of_one_task();
}

#[test]
fn registered_waiters_do_not_wake_each_other() {
    no_event(registered);
}

#[test]
fn anonymous_waiters_do_not_wake_each_other() {
    no_event(anonymous);
}

#[test]
fn close_tells_all_of_several_waiters() {
    close_races_waiters();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_leaves_silently_is_caught() {
    let _wanted = want(Mutant::LeavesSilently);
    woken_and_dropped(false);
}

#[test]
#[should_panic(expected = "its waiter sleeps")]
fn mutant_rest_unannounced_is_caught() {
    let _wanted = want(Mutant::RestUnannounced);
    two_events();
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_anonymous_relied_upon_is_caught() {
    let _wanted = want(Mutant::AnonymousReliedUpon);
    anonymous_lost_interest();
}

#[test]
#[should_panic(expected = "its waiter sleeps")]
fn mutant_withdraws_unlooked_is_caught() {
    let _wanted = want(Mutant::WithdrawsUnlooked);
    polled_unwoken_in_between();
}

#[test]
#[should_panic(expected = "waiting tasks wake each other")]
fn mutant_further_displaces_is_caught() {
    let _wanted = want(Mutant::FurtherDisplaces);
    no_event(registered);
}

#[test]
#[should_panic(expected = "waiting tasks wake each other")]
fn mutant_further_displaces_is_caught_with_anonymous_ones() {
    let _wanted = want(Mutant::FurtherDisplaces);
    no_event(anonymous);
}

#[test]
#[should_panic(expected = "deadlock")]
fn mutant_close_keeps_listed_is_caught() {
    let _wanted = want(Mutant::CloseKeepsListed);
    close_races_waiters();
}
