//! What a task's time is charged to.

mod common;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use heist_scheduler::time::{Clock, ManualClock};
use heist_scheduler::{
    Account, Builder, Handle, Idle, Runtime, TaskBuilder, Weight, account, set_account, spawn,
    spawn_blocking, yield_now,
};

use common::wait_until;

/// One worker, in whose polls no time passes but what they let pass.
fn runtime() -> (Runtime, Arc<ManualClock>) {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().workers(1).clock(clock).start(Idle::new()).unwrap();
    (runtime, Arc::new(hand))
}

/// What the account attained lately, in milliseconds.
fn attained(handle: &Handle, account: Account) -> f64 {
    let loads = handle.metrics().heaviest_accounts;
    let load = loads.iter().find(|load| load.account.index() == account.index());
    load.map_or(0.0, |load| load.attained.as_secs_f64() * 1e3)
}

const MILLISECOND: Duration = Duration::from_millis(1);

#[test]
fn time_of_a_poll_is_charged_to_the_account_of_its_task() {
    let (runtime, hand) = runtime();
    let [one, other] = [(); 2].map(|()| Account::new());
    runtime.block_on(async {
        for (account, millis) in [(one, 3), (other, 2)] {
            let hand = Arc::clone(&hand);
            let poll = async move {
                hand.advance(MILLISECOND * millis);
            };
            TaskBuilder::new().account(account).spawn(poll).await.unwrap();
        }
    });
    wait_until(|| attained(runtime.handle(), other) > 0.0);
    assert_eq!(attained(runtime.handle(), one), 3.0);
    assert_eq!(attained(runtime.handle(), other), 2.0);
    hand.advance(MILLISECOND * 10);
    assert!(attained(runtime.handle(), one) <= 1.5);
}

#[test]
fn spawned_task_has_the_account_of_its_spawner() {
    let (runtime, _) = runtime();
    let tenant = Account::shared("tenant").with_weight(Weight::times(2));
    let handle = runtime.handle().clone();
    let accounts = runtime.block_on(async {
        let spawner = TaskBuilder::new().account(tenant).spawn(async move {
            let own =
                TaskBuilder::new().account(Account::shared("other")).spawn(async { account() });
            let inherited = [spawn(async { account() }), handle.spawn(async { account() })];
            let [first, second] = inherited;
            [account(), first.await.unwrap(), second.await.unwrap(), own.await.unwrap()]
        });
        spawner.await.unwrap()
    });
    assert_eq!(accounts, [tenant, tenant, tenant, Account::shared("other")]);
}

/// Failure: all connections that a loop in `block_on` had accepted were one account.
#[test]
fn task_spawned_off_the_workers_or_by_the_main_future_has_an_account_of_its_own() {
    let current_thread = Builder::new().current_thread().start(Idle::new()).unwrap();
    for runtime in [runtime().0, current_thread] {
        let (first, second, main) = runtime.block_on(async {
            let tasks = [spawn(async { account() }), spawn(async { account() })];
            let [first, second] = tasks;
            (first.await.unwrap(), second.await.unwrap(), account())
        });
        assert_ne!(first, second);
        assert_ne!(first, main);
        assert_ne!(second, main);
    }
    set_account(Account::new());
}

/// Failure: a task that had changed its account was woken, and spawned, on the one before.
#[test]
fn changed_account_stays_from_poll_to_poll() {
    let (runtime, hand) = runtime();
    let [before, after] = [(); 2].map(|()| Account::new());
    let seen = runtime.block_on(async {
        let hand = Arc::clone(&hand);
        let task = TaskBuilder::new().account(before).spawn(async move {
            set_account(after);
            // Waits for a wake from elsewhere, and yields.
            spawn_blocking(|| ()).await.unwrap();
            let woken = account();
            yield_now().await;
            hand.advance(MILLISECOND);
            [woken, account(), spawn(async { account() }).await.unwrap()]
        });
        task.await.unwrap()
    });
    assert_eq!(seen, [after; 3]);
    wait_until(|| attained(runtime.handle(), after) > 0.0);
    assert_eq!(attained(runtime.handle(), before), 0.0);
}

/// Failure: what one task had changed was taken for the next one's account.
#[test]
fn changed_account_is_that_of_its_task_alone() {
    let (runtime, _) = runtime();
    let [before, after] = [(); 2].map(|()| Account::new());
    let seen = runtime.block_on(async {
        let tasks = [true, false, true, false].map(|changes| {
            TaskBuilder::new().account(before).spawn(async move {
                if changes {
                    set_account(after);
                }
                // Every second one that changes ends with the poll.
                if !changes {
                    yield_now().await;
                }
                account()
            })
        });
        let mut seen = Vec::new();
        for task in tasks {
            seen.push(task.await.unwrap());
        }
        seen
    });
    assert_eq!(seen, [after, before, after, before]);
}

#[test]
fn main_future_keeps_the_account_that_it_sets() {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().current_thread().clock(clock).start(Idle::new()).unwrap();
    let tenant = Account::shared("tenant");
    runtime.block_on(async {
        set_account(tenant);
        spawn_blocking(|| ()).await.unwrap();
        assert_eq!(account(), tenant);
        yield_now().await;
        assert_eq!(account(), tenant);
        hand.advance(MILLISECOND);
        yield_now().await;
    });
    assert!(attained(runtime.handle(), tenant) > 0.5);
}

/// Failure: all of a poll was charged to the account that its task had last, so that one that works for several
/// at a time paid for none of them.
#[test]
fn poll_is_charged_to_each_account_for_its_part() {
    let (runtime, hand) = runtime();
    let [own, first, second] = [(); 3].map(|()| Account::new());
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    runtime.block_on(async {
        let hand = Arc::clone(&hand);
        let task = poll_fn(move |cx| {
            if counted.fetch_add(1, Ordering::SeqCst) > 0 {
                return Poll::Ready(());
            }
            hand.advance(MILLISECOND);
            for (account, millis) in [(first, 2), (second, 4)] {
                set_account(account);
                hand.advance(MILLISECOND * millis);
                set_account(own);
            }
            // On the account that it began with: it is not polled before it is woken.
            let waker = cx.waker().clone();
            drop(spawn_blocking(move || waker.wake()));
            Poll::Pending
        });
        TaskBuilder::new().account(own).spawn(task).await.unwrap();
    });
    wait_until(|| attained(runtime.handle(), own) > 0.0);
    let attained = [own, first, second].map(|account| attained(runtime.handle(), account));
    assert_eq!(attained, [1.0, 2.0, 4.0]);
    assert_eq!(polls.load(Ordering::SeqCst), 2);
}

/// Failure: in overload nothing told which accounts it is made of, as what they attained is forgotten sooner
/// than a request is served.
#[test]
fn account_that_uses_most_is_heavy_for_seconds() {
    let (runtime, hand) = runtime();
    let [heavy, light, idle] = [(); 3].map(|()| Account::new());
    runtime.block_on(async {
        for (account, millis) in [(light, 10), (heavy, 500)] {
            let hand = Arc::clone(&hand);
            let poll = async move { hand.advance(MILLISECOND * millis) };
            TaskBuilder::new().account(account).spawn(poll).await.unwrap();
        }
    });
    wait_until(|| runtime.handle().is_heavy(heavy));
    hand.advance(MILLISECOND * 2_000);
    let is_heavy = [heavy, light, idle].map(|account| runtime.handle().is_heavy(account));
    assert_eq!(is_heavy, [true, false, false]);
}
