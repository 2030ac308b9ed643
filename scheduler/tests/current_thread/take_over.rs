//! Several threads in `block_on`: one runs the tasks, and another one takes over.

use super::*;

#[test]
fn a_thread_that_leaves_hands_the_tasks_on() {
    for round in 0..100 {
        let runtime = current_thread();
        let (first, second) = (Event::default(), Event::default());
        // Waits, and runs the tasks of the other thread meanwhile.
        let runs_tasks = {
            let (handle, first) = (runtime.handle().clone(), first.clone());
            thread::spawn(move || handle.block_on(first.wait()))
        };
        wait_until_idle(runtime.handle());
        let waits_for_task = {
            let (handle, second) = (runtime.handle().clone(), second.clone());
            thread::spawn(move || {
                handle.block_on(async {
                    let here = thread::current().id();
                    let ran_on = spawn(async { thread::current().id() }).await.unwrap();
                    let then = async move {
                        second.wait().await;
                        // Over more than one poll, and by way of a timer.
                        time::sleep(Duration::from_micros(100)).await;
                        thread::current().id()
                    };
                    (here, ran_on, spawn(then).await.unwrap())
                })
            })
        };
        wait_until(|| !second.0.lock().unwrap().1.is_empty());
        if round % 2 == 0 {
            // The second event comes when the first thread has left, or just before.
            first.set();
            second.set();
        } else {
            second.set();
            first.set();
        }
        let first_thread = runs_tasks.thread().id();
        runs_tasks.join().unwrap();
        let (second_thread, ran_on, ran_later_on) = waits_for_task.join().unwrap();
        assert_eq!(ran_on, first_thread);
        assert!([first_thread, second_thread].contains(&ran_later_on));
        assert_eq!(runtime.shutdown(HANG).tasks_left, 0);
    }
}

#[test]
fn four_threads_that_come_and_go_lose_no_task() {
    let runtime = current_thread();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let handle = runtime.handle().clone();
            thread::spawn(move || {
                for round in 0..500 {
                    let yields = (round * 7 + thread) % 5;
                    let sum = handle.block_on(async {
                        let task = spawn(async move {
                            for _ in 0..yields {
                                yield_now().await;
                            }
                            if round % 50 == 0 {
                                time::sleep(Duration::from_micros(50)).await;
                            }
                            yields
                        });
                        task.await.unwrap()
                    });
                    assert_eq!(sum, yields);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let metrics = runtime.handle().metrics();
    assert_eq!((metrics.tasks_alive, metrics.tasks_spawned), (0, 2_000));
}

/// A blocking thread of the runtime itself is one of the threads that wait.
#[test]
fn blocking_work_may_wait_for_tasks_of_its_runtime() {
    let runtime = current_thread();
    let handle = runtime.handle().clone();
    let answer = runtime.block_on(async move {
        let work = spawn_blocking(move || {
            handle.block_on(async {
                time::sleep(Duration::from_micros(100)).await;
                spawn(async { 7 }).await.unwrap()
            })
        });
        work.await.unwrap()
    });
    assert_eq!(answer, 7);
}

#[test]
fn a_panic_of_the_future_hands_the_tasks_on() {
    let runtime = current_thread();
    let (fail, done) = (Event::default(), Event::default());
    let fails = {
        let (handle, fail) = (runtime.handle().clone(), fail.clone());
        thread::spawn(move || {
            panic_of(|| {
                handle.block_on(async {
                    fail.wait().await;
                    panic!("expected by this test")
                })
            })
        })
    };
    wait_until_idle(runtime.handle());
    let waits = {
        let (handle, done) = (runtime.handle().clone(), done.clone());
        thread::spawn(move || handle.block_on(async { spawn(done.wait()).await.unwrap() }))
    };
    wait_until(|| !done.0.lock().unwrap().1.is_empty());
    fail.set();
    assert_eq!(fails.join().unwrap(), "expected by this test");
    done.set();
    waits.join().unwrap();
}

#[test]
fn every_thread_in_block_on_panics_when_the_runtime_ends() {
    for _ in 0..100 {
        let runtime = current_thread();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let handle = runtime.handle().clone();
                thread::spawn(move || {
                    panic_of(|| handle.block_on(async { spawn(pending::<()>()).await.unwrap() }))
                })
            })
            .collect();
        wait_until(|| runtime.handle().metrics().tasks_spawned == 3);
        let report = runtime.shutdown(HANG);
        assert_eq!((report.tasks_dropped, report.tasks_left), (3, 0), "{report:?}");
        for thread in threads {
            let told = thread.join().unwrap();
            assert!(told.contains("the runtime was shut down"), "{told}");
        }
    }
}
