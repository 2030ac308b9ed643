//! Several tasks wait in one direction of a source: one is woken for an event, and none is
//! forgotten.

mod common;

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{Wakes, pump, queue, unix};
use heist_reactor::{Direction, Interest, Kind, Queue, Source, Waiter};

fn listener(queue: &Queue) -> (SocketAddr, Source<TcpListener>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (address, queue.register(0, listener, Interest::Read, Kind::Other).unwrap())
}

/// A task that accepts, polled only when it was woken.
struct Task<'a> {
    waiter: Waiter<'a, TcpListener>,
    wakes: Arc<Wakes>,
    waker: Waker,
    seen: usize,
    polls: usize,
    accepted: Vec<TcpStream>,
}

impl<'a> Task<'a> {
    fn new(listener: &'a Source<TcpListener>) -> Task<'a> {
        let (wakes, waker) = Wakes::new();
        let waiter = listener.waiter(Direction::Read);
        Task { waiter, wakes, waker, seen: 0, polls: 0, accepted: Vec::new() }
    }

    fn poll(&mut self) {
        self.polls += 1;
        let cx = &mut Context::from_waker(&self.waker);
        while let Poll::Ready(accepted) = self.waiter.poll_io(cx, |io| io.accept()) {
            self.accepted.push(accepted.unwrap().0);
        }
    }

    fn is_woken(&self) -> bool {
        self.wakes.count() != self.seen
    }
}

/// Polls the tasks that are woken, a bounded number of times.
fn run(tasks: &mut [Task<'_>]) {
    for _ in 0..10_000 {
        let Some(task) = tasks.iter_mut().find(|task| task.is_woken()) else { return };
        task.seen = task.wakes.count();
        task.poll();
    }
    panic!("the tasks keep waking each other");
}

/// Failure: two tasks in one direction of a source displaced and woke each other for ever.
#[test]
fn waiting_tasks_do_not_wake_each_other() {
    let queue = queue();
    let (_, listener) = listener(&queue);
    let mut tasks: Vec<_> = (0..100).map(|_| Task::new(&listener)).collect();
    for _ in 0..3 {
        tasks.iter_mut().for_each(Task::poll);
    }
    run(&mut tasks);
    assert!(tasks.iter().all(|task| task.polls == 3 && task.wakes.count() == 0));
}

/// Failure: the same with the methods of the source.
#[test]
fn tasks_that_wait_by_their_waker_alone_do_not_wake_each_other() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let tasks: Vec<_> = (0..100).map(|_| Wakes::new()).collect();
    for _ in 0..3 {
        for (_, waker) in &tasks {
            let cx = &mut Context::from_waker(waker);
            assert!(far.poll_drain(Direction::Read, cx).is_pending());
            assert!(far.poll_ready(Direction::Read, cx).is_pending());
        }
    }
    assert!(tasks.iter().all(|(wakes, _)| wakes.count() == 0));
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert!(tasks.iter().all(|(wakes, _)| wakes.count() == 1), "an anonymous waiter was not woken");
    drop(far);
    // The test's reference, and the task's.
    assert!(tasks.iter().all(|(wakes, _)| Arc::strong_count(wakes) == 2));
}

#[test]
fn connection_wakes_one_of_many_waiting_tasks() {
    let queue = queue();
    let (address, listener) = listener(&queue);
    let mut tasks: Vec<_> = (0..100).map(|_| Task::new(&listener)).collect();
    tasks.iter_mut().for_each(Task::poll);
    for round in 1..=300 {
        let _client = TcpStream::connect(address).unwrap();
        let before: usize = tasks.iter().map(|task| task.wakes.count()).sum();
        pump(&queue);
        let woken: usize = tasks.iter().map(|task| task.wakes.count()).sum();
        assert_eq!(woken - before, 1);
        run(&mut tasks);
        let accepted: usize = tasks.iter().map(|task| task.accepted.len()).sum();
        assert_eq!(accepted, round);
    }
    // The task that accepts tries again. It puts the event back for that, which wakes the next
    // task.
    let polls: usize = tasks.iter().map(|task| task.polls).sum();
    assert!(polls <= 100 + 2 * 300, "{polls} polls for 300 connections");
    let all = tasks.iter().all(|task| task.wakes.count() >= 2);
    assert!(all, "the same tasks are woken each time");
}

#[test]
fn woken_waiter_that_is_dropped_passes_the_event_on() {
    let queue = queue();
    let (address, listener) = listener(&queue);
    let mut tasks: Vec<_> = (0..10).map(|_| Task::new(&listener)).collect();
    tasks.iter_mut().for_each(Task::poll);
    let _client = TcpStream::connect(address).unwrap();
    pump(&queue);
    while tasks.len() > 1 {
        let woken = tasks.iter().position(Task::is_woken).expect("no task is woken");
        drop(tasks.remove(woken));
    }
    run(&mut tasks);
    assert_eq!(tasks[0].accepted.len(), 1);
}

#[test]
fn no_event_depends_on_a_waiting_waiter_that_is_dropped() {
    let queue = queue();
    let (address, listener) = listener(&queue);
    for left in 0..5 {
        let mut tasks: Vec<_> = (0..5).map(|_| Task::new(&listener)).collect();
        tasks.iter_mut().for_each(Task::poll);
        tasks.swap(0, left);
        tasks.truncate(1);
        let _client = TcpStream::connect(address).unwrap();
        pump(&queue);
        run(&mut tasks);
        assert_eq!(tasks[0].accepted.len(), 1, "waiter {left}");
    }
}

#[test]
fn waiter_that_moves_to_another_task_wakes_that_task() {
    let queue = queue();
    let (address, listener) = listener(&queue);
    for waiters in 1..=3 {
        let mut tasks: Vec<_> = (0..waiters).map(|_| Task::new(&listener)).collect();
        tasks.iter_mut().for_each(Task::poll);
        for task in &mut tasks {
            (task.wakes, task.waker) = Wakes::new();
            task.poll();
        }
        let _client = TcpStream::connect(address).unwrap();
        pump(&queue);
        run(&mut tasks);
        assert_eq!(tasks.iter().map(|task| task.accepted.len()).sum::<usize>(), 1);
    }
}

#[test]
fn waiter_that_is_made_and_dropped_at_each_poll_wakes_no_task() {
    let queue = queue();
    let (address, listener) = listener(&queue);
    let (wakes, waker) = Wakes::new();
    let accept = |cx: &mut Context<'_>| -> Poll<io::Result<TcpStream>> {
        let mut waiter = listener.waiter(Direction::Read);
        waiter.poll_io(cx, |io| io.accept()).map_ok(|(stream, _)| stream)
    };
    let cx = &mut Context::from_waker(&waker);
    for _ in 0..10 {
        assert!(accept(cx).is_pending());
    }
    assert_eq!(wakes.count(), 0);
    let _client = TcpStream::connect(address).unwrap();
    pump(&queue);
    assert_eq!(wakes.count(), 1);
    assert!(accept(cx).is_ready());
}

#[test]
fn stream_that_moves_from_task_to_task_piles_up_no_wakers() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let tasks: Vec<_> = (0..100).map(|_| Wakes::new()).collect();
    for (_, waker) in &tasks {
        let cx = &mut Context::from_waker(waker);
        assert!(far.poll_drain_exclusive(Direction::Read, cx).is_pending());
    }
    let (last, others) = tasks.split_last().unwrap();
    let displaced =
        |(wakes, _): &(Arc<Wakes>, _)| wakes.count() == 1 && Arc::strong_count(wakes) == 2;
    assert!(others.iter().all(displaced), "a displaced waker stays stored");
    near.write_all(b"x").unwrap();
    pump(&queue);
    assert_eq!(last.0.count(), 1);
    assert!(others.iter().all(displaced), "a displaced waker is woken again");
}

/// Failure: the waker behind one that panics was taken out and never called.
#[test]
fn waker_that_panics_does_not_keep_the_next_from_being_woken() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("expected by this test");
        }
    }
    let queue = queue();
    let (address, listener) = listener(&queue);
    let _client = TcpStream::connect(address).unwrap();
    let mut wakers = Vec::new();
    while queue.wait(0, 64, None, &mut wakers).unwrap().events == 0 {}
    let taken = listener.try_drain(Direction::Read).unwrap();
    // Both wait as anonymous waiters while the event is taken.
    let woken = Arc::new(Wakes::default());
    for waker in [Waker::from(Arc::new(Panics)), Waker::from(Arc::clone(&woken))] {
        let mut cx = Context::from_waker(&waker);
        assert!(listener.poll_drain(Direction::Read, &mut cx).is_pending());
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(taken))).is_err());
    assert_eq!(woken.count(), 1);
}

#[test]
fn close_wakes_all_of_several_waiters() {
    let queue = queue();
    let (_, listener) = listener(&queue);
    let mut tasks: Vec<_> = (0..10).map(|_| Task::new(&listener)).collect();
    tasks.iter_mut().for_each(Task::poll);
    let (wakes, waker) = Wakes::new();
    let cx = &mut Context::from_waker(&waker);
    assert!(listener.poll_drain(Direction::Read, cx).is_pending());
    queue.close().into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 1);
    assert!(tasks.iter().all(|task| task.wakes.count() == 1));
    let cx = &mut Context::from_waker(&waker);
    for task in &mut tasks {
        let ended = task.waiter.poll_drain(cx);
        assert!(matches!(ended, Poll::Ready(Err(_))));
    }
}
