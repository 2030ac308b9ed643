//! Many threads wait on one queue: which of them is woken, by what, and with how many events.

mod common;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use common::{HANG, Wakes, look, pump, queue, swallow, unix};
use heist_reactor::{Direction, Harvest, Interest, Queue};

/// `count` threads wait on the queue until it is closed, and send the result of each wait.
fn listeners(queue: &Queue, count: usize) -> mpsc::Receiver<Harvest> {
    let (sender, harvests) = mpsc::channel();
    let waiting = Arc::new(Barrier::new(count + 1));
    for _ in 0..count {
        let (queue, sender, waiting) = (queue.clone(), sender.clone(), Arc::clone(&waiting));
        thread::spawn(move || {
            waiting.wait();
            let mut wakers = Vec::new();
            loop {
                let harvest = queue.wait(0, 64, None, &mut wakers).unwrap();
                wakers.drain(..).for_each(Waker::wake);
                sender.send(harvest).unwrap();
                if harvest.closed {
                    return;
                }
            }
        });
    }
    waiting.wait();
    harvests
}

/// Closes the queue and returns the other results that the listeners sent.
fn close(queue: &Queue, count: usize, harvests: &mpsc::Receiver<Harvest>) -> Vec<Harvest> {
    assert!(queue.close().is_empty());
    let mut others = Vec::new();
    let mut closed = 0;
    while closed < count {
        let harvest = harvests.recv_timeout(HANG).expect("a thread was not woken by the close");
        closed += usize::from(harvest.closed);
        if harvest != (Harvest { closed: true, ..Harvest::default() }) {
            others.push(harvest);
        }
    }
    others
}

#[test]
fn event_reaches_exactly_one_of_many_waiting_threads() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    let harvests = listeners(&queue, 4);
    for round in 0..200 {
        near.write_all(b"x").unwrap();
        let harvest = harvests.recv_timeout(HANG).expect("no thread got the event");
        assert_eq!((harvest.events, harvest.woken, harvest.closed), (1, false, false), "{round}");
        far.try_drain(Direction::Read).unwrap().drained();
        assert_eq!(far.io().read(&mut [0; 4]).unwrap(), 1);
    }
    assert_eq!(close(&queue, 4, &harvests), [], "a second thread was woken too");
}

#[test]
fn wake_reaches_exactly_one_of_many_waiting_threads() {
    let queue = queue();
    let harvests = listeners(&queue, 4);
    for _ in 0..200 {
        queue.wake(0).unwrap();
        let harvest = harvests.recv_timeout(HANG).expect("no thread was woken");
        assert_eq!(harvest, Harvest { woken: true, ..Harvest::default() });
    }
    assert_eq!(close(&queue, 4, &harvests), [], "a second thread was woken too");
}

#[test]
fn close_wakes_all_of_eight_waiting_threads() {
    for _ in 0..100 {
        let queue = queue();
        let harvests = listeners(&queue, 8);
        assert_eq!(close(&queue, 8, &harvests), []);
    }
}

#[test]
fn wake_before_the_wait_is_kept_and_taken_once() {
    let queue = queue();
    for _ in 0..3 {
        queue.wake(0).unwrap();
        queue.wake(0).unwrap();
        assert!(pump(&queue).woken);
        assert_eq!(look(&queue), Harvest::default());
    }
}

/// A wake that overtakes events could not measure how long they wait.
#[cfg(target_os = "linux")]
#[test]
fn wake_queues_up_behind_the_events_before_it() {
    let queue = queue();
    let mut pairs: Vec<_> = (0..3).map(|_| unix(&queue, Interest::Read)).collect();
    let mut wakers = Vec::new();
    for (near, _) in &mut pairs {
        near.write_all(b"x").unwrap();
    }
    queue.wake(0).unwrap();
    let mut turn = || queue.poll(0, 1, &mut wakers).unwrap();
    let turns = [(); 4].map(|()| turn()).map(|harvest| (harvest.events, harvest.woken));
    assert_eq!(turns, [(1, false), (1, false), (1, false), (0, true)]);
}

#[test]
fn wake_is_not_lost_while_another_is_taken() {
    let queue = queue();
    let rounds = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let (woken, told) = mpsc::sync_channel(0);
    let waker = thread::spawn({
        let queue = queue.clone();
        move || {
            for _ in 0..rounds {
                queue.wake(0).unwrap();
                told.recv_timeout_or_panic();
            }
        }
    });
    let mut wakers = Vec::new();
    for _ in 0..rounds {
        while !queue.wait(0, 64, Some(HANG), &mut wakers).unwrap().woken {}
        woken.send(()).unwrap();
    }
    waker.join().unwrap();
}

trait RecvOrPanic {
    fn recv_timeout_or_panic(&self);
}

impl RecvOrPanic for mpsc::Receiver<()> {
    fn recv_timeout_or_panic(&self) {
        self.recv_timeout(HANG).expect("the wake was lost");
    }
}

#[test]
fn bound_of_a_harvest_is_respected() {
    let queue = queue();
    let mut sources: Vec<_> = (0..100).map(|_| unix(&queue, Interest::Read)).collect();
    let (wakes, waker) = Wakes::new();
    for (near, far) in &mut sources {
        let cx = &mut Context::from_waker(&waker);
        assert!(far.poll_drain(Direction::Read, cx).is_pending());
        near.write_all(b"x").unwrap();
    }
    let mut wakers = Vec::new();
    for taken in (8..=96).step_by(8) {
        assert!(queue.ready(0));
        assert_eq!(queue.poll(0, 8, &mut wakers).unwrap().events, 8);
        assert_eq!(wakers.len(), taken);
    }
    assert_eq!(queue.poll(0, 0, &mut wakers).unwrap().events, 1, "a bound of 0 is one of 1");
    assert_eq!(queue.poll(0, usize::MAX, &mut wakers).unwrap().events, 3);
    assert!(!queue.ready(0));
    assert_eq!(wakers.len(), 100);
    wakers.into_iter().for_each(Waker::wake);
    assert_eq!(wakes.count(), 100);
}

#[test]
fn large_harvest_is_cut_and_the_rest_stays() {
    let queue = queue();
    let mut sources: Vec<_> = (0..100).map(|_| unix(&queue, Interest::Read)).collect();
    sources.iter_mut().for_each(|(near, _)| near.write_all(b"x").unwrap());
    let mut wakers = Vec::new();
    let first = queue.poll(0, usize::MAX, &mut wakers).unwrap().events;
    assert!(first <= 64, "{first}");
    assert_eq!(first + queue.poll(0, usize::MAX, &mut wakers).unwrap().events, 100);
}

#[test]
fn asking_whether_the_queue_is_ready_takes_nothing() {
    let queue = queue();
    let (mut near, far) = unix(&queue, Interest::Read);
    assert!(!queue.ready(0));
    near.write_all(b"x").unwrap();
    assert!(queue.ready(0) && queue.ready(0));
    assert_eq!(look(&queue).events, 1);
    assert!(!queue.ready(0));
    assert_eq!(swallow(far.io()), 1);

    queue.wake(0).unwrap();
    assert!(queue.ready(0) && queue.ready(0));
    assert_eq!(look(&queue), Harvest { woken: true, ..Harvest::default() });
    assert!(!queue.ready(0));

    let _ = queue.close();
    assert!(queue.ready(0) && queue.ready(0));
}

#[test]
fn far_time_out_waits_and_is_woken() {
    let queue = queue();
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), Duration::from_millis(1 << 31)] {
        let waiting = thread::spawn({
            let queue = queue.clone();
            move || queue.wait(0, 64, Some(timeout), &mut Vec::new()).unwrap()
        });
        queue.wake(0).unwrap();
        assert!(waiting.join().unwrap().woken, "{timeout:?}");
    }
}

#[test]
fn short_time_out_ends() {
    let queue = queue();
    for nanos in [0, 1, 999, 1_000_000, 1_000_001] {
        let timeout = Some(Duration::from_nanos(nanos));
        let harvest = queue.wait(0, 64, timeout, &mut Vec::new()).unwrap();
        assert_eq!(harvest, Harvest::default());
    }
}

/// A thread beyond `max_waiters` blocks, and no longer than its time-out.
#[test]
fn blocked_thread_leaves_when_its_time_is_over() {
    let queue = queue();
    let harvests = listeners(&queue, 1);
    let timeout = Some(Duration::from_millis(1));
    assert_eq!(queue.wait(0, 64, timeout, &mut Vec::new()).unwrap(), Harvest::default());
    assert_eq!(look(&queue), Harvest::default());
    assert_eq!(close(&queue, 1, &harvests), []);
}
