//! In which order the future of `block_on` and the tasks have their turns.

use super::*;

/// A task that counts its polls and is always ready for the next.
fn hog(handle: &Handle) -> Arc<AtomicUsize> {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    drop(handle.spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
        }
    }));
    polls
}

#[test]
fn tasks_of_the_future_run_in_the_order_of_their_spawns() {
    let runtime = current_thread();
    let order = Arc::new(Mutex::new(Vec::new()));
    runtime.block_on(async {
        for number in 0..100 {
            let order = Arc::clone(&order);
            drop(spawn(async move { order.lock().unwrap().push(number) }));
        }
        // All of them were queued before.
        yield_now().await;
    });
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn a_future_that_yields_gives_each_task_one_turn() {
    let runtime = current_thread();
    runtime.block_on(async {
        let hogs: Vec<_> = (0..10).map(|_| hog(&Handle::current())).collect();
        for round in 1..=200 {
            yield_now().await;
            assert!(hogs.iter().all(|polls| polls.load(Ordering::SeqCst) == round), "{hogs:?}");
        }
    });
}

#[test]
fn a_future_that_is_woken_has_its_turn_among_tasks_that_are_always_ready() {
    let runtime = current_thread();
    let hogs: Vec<_> = (0..10).map(|_| hog(runtime.handle())).collect();
    let (from_task, from_thread) = (Event::default(), Event::default());
    let set_by_task = from_task.clone();
    runtime.block_on(async {
        drop(spawn(async move { set_by_task.set() }));
        from_task.wait().await;
        let other = {
            let event = from_thread.clone();
            thread::spawn(move || {
                wait_until(|| !event.0.lock().unwrap().1.is_empty());
                event.set();
            })
        };
        from_thread.wait().await;
        other.join().unwrap();
        // A timer, too.
        time::sleep(Duration::from_millis(1)).await;
    });
    assert!(hogs.iter().all(|polls| polls.load(Ordering::SeqCst) > 0));
}

/// Failure: a future whose waits are always ready would never let the tasks run.
#[test]
fn the_future_has_a_budget() {
    let runtime = current_thread();
    let ran = Arc::new(AtomicBool::new(false));
    let in_task = Arc::clone(&ran);
    runtime.block_on(async {
        drop(spawn(async move { in_task.store(true, Ordering::SeqCst) }));
        while !ran.load(Ordering::SeqCst) {
            poll_fn(heist_scheduler::coop::poll_proceed).await;
        }
    });
}

/// Failure: the future took the place before a task that it had woken.
#[test]
fn the_future_and_a_task_that_wake_each_other_alternate() {
    let runtime = current_thread();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let (to_task, to_future) = (Arc::new(Turn::default()), Arc::new(Turn::default()));
    let task = {
        let (turns, own, other) =
            (Arc::clone(&turns), Arc::clone(&to_task), Arc::clone(&to_future));
        async move {
            for _ in 0..100 {
                own.wait().await;
                turns.lock().unwrap().push("task");
                other.give();
            }
        }
    };
    runtime.block_on(async {
        let task = spawn(task);
        for _ in 0..100 {
            turns.lock().unwrap().push("future");
            to_task.give();
            to_future.wait().await;
        }
        task.await.unwrap();
    });
    let turns = turns.lock().unwrap();
    assert_eq!(turns.len(), 200);
    assert!(turns.chunks(2).all(|pair| pair == ["future", "task"]));
}

/// One turn, given and taken.
#[derive(Default)]
struct Turn(Mutex<(bool, Option<Waker>)>);

impl Turn {
    fn give(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if std::mem::take(&mut state.0) {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}
