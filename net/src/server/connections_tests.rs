//! Who is woken, and when.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;
use crate::server::{Place, Shared};

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn bounded(connections: usize) -> Connections {
    Connections::new(&Limits { connections, ..Limits::default() })
}

fn leave(connections: &Connections, key: usize, ending: CloseKind) {
    connections.leave(key, Holder::OneOfTwo, None, Instant::ZERO);
    connections.leave(key, Holder::OneOfTwo, Some(ending), Instant::ZERO);
}

#[test]
fn end_of_a_connection_at_the_bound_wakes_the_acceptor_once() {
    let connections = bounded(1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    let key = connections.enter(None, Instant::ZERO).unwrap();
    assert!(connections.poll_room(acceptor, &mut cx).is_pending());
    leave(&connections, key, CloseKind::Finished);
    assert_eq!(count.get(), 1);
    let room = Poll::Ready(Admission::Open { ended: 1 });
    assert_eq!(connections.poll_room(acceptor, &mut cx), room);
    // With room, nobody is woken for an end.
    let key = connections.enter(None, Instant::ZERO).unwrap();
    leave(&connections, key, CloseKind::Finished);
    assert_eq!(count.get(), 1);
}

#[test]
fn end_that_came_before_the_wait_is_not_waited_for() {
    let connections = bounded(8);
    let mut cx = Context::from_waker(Waker::noop());
    let acceptor = connections.add_acceptor();
    let keys = [(); 2].map(|()| connections.enter(None, Instant::ZERO).unwrap());
    assert!(connections.poll_end(acceptor, 0, &mut cx).is_pending());
    leave(&connections, keys[0], CloseKind::Finished);
    assert_eq!(connections.poll_end(acceptor, 0, &mut cx), Poll::Ready(Waited::Ended));
    assert!(connections.poll_end(acceptor, 1, &mut cx).is_pending());
    leave(&connections, keys[1], CloseKind::Finished);
    assert_eq!(connections.poll_end(acceptor, 2, &mut cx), Poll::Ready(Waited::NoConnection));
}

#[test]
fn connection_counts_until_both_its_place_and_its_task_have_gone() {
    let connections = bounded(8);
    let key = connections.enter(None, Instant::ZERO).unwrap();
    connections.leave(key, Holder::OneOfTwo, Some(CloseKind::Lost), Instant::ZERO);
    assert_eq!(connections.open(), 1);
    connections.leave(key, Holder::OneOfTwo, Some(CloseKind::Finished), Instant::ZERO);
    assert_eq!(connections.open(), 0);
    let (counts, times) = connections.counts();
    assert_eq!(counts.closed[CloseKind::Lost as usize], 1);
    assert_eq!(counts.closed[CloseKind::Finished as usize], 0);
    assert_eq!(times.count(), u64::from(cfg!(feature = "metrics")));
}

#[test]
fn connection_whose_task_keeps_the_place_ends_with_it() {
    let connections = bounded(8);
    let key = connections.enter(None, Instant::ZERO).unwrap();
    connections.leave(key, Holder::Sole, Some(CloseKind::Lost), Instant::ZERO);
    assert_eq!(connections.open(), 0);
    assert_eq!(connections.counts().0.closed[CloseKind::Lost as usize], 1);
}

#[test]
fn drain_wakes_acceptors_and_connections_and_is_over_when_all_have_gone() {
    let connections = bounded(8);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    let key = connections.enter(None, Instant::ZERO).unwrap();
    connections.set_task(key, &waker);
    // The same task is not woken twice.
    connections.set_part(key, &waker);
    connections.begin_draining();
    assert_eq!(count.get(), 2);
    assert_eq!(connections.poll_room(acceptor, &mut cx), Poll::Ready(Admission::Draining));
    // It may have accepted one before it heard of that.
    let late = connections.enter(None, Instant::ZERO).unwrap();
    assert_eq!(connections.cut(Instant::ZERO).total(), 2);
    assert_eq!(connections.enter(None, Instant::ZERO), Err(Refusal::Draining));
    connections.remove_acceptor(acceptor);
    leave(&connections, late, CloseKind::Cancelled);
    assert!(connections.poll_gone(&mut cx).is_pending());
    leave(&connections, key, CloseKind::Cancelled);
    assert!(connections.poll_gone(&mut cx).is_ready());
    assert_eq!(connections.closed_draining()[CloseKind::Cancelled as usize], 2);
}

/// Failure: the table and the maps of a crowd were kept until the server ended.
#[test]
fn crowd_that_has_left_holds_no_memory_but_for_a_chunk_each_that_stays() {
    let connections = Connections::new(&Limits { connections: 200_000, ..Limits::default() });
    let waker = Waker::from(Arc::new(Count::default()));
    let keys: Vec<_> = (0..100_000_u32)
        .map(|number| {
            let address = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
            let key = connections.enter(Some(address), Instant::ZERO).unwrap();
            connections.set_part(key, &waker);
            key
        })
        .collect();
    let stay = [0, 50_000, 99_999];
    for &key in keys.iter().filter(|key| !stay.contains(key)) {
        leave(&connections, key, CloseKind::Finished);
    }
    let state = connections.state.lock();
    assert_eq!((state.open.len(), state.parts.len(), state.by_origin.len()), (3, 3, 3));
    assert!(state.open.places() <= (stay.len() + 1) * chunks::CHUNK);
    assert!(state.parts.capacity() <= 4096, "{}", state.parts.capacity());
    assert!(state.by_origin.capacity() <= 4096, "{}", state.by_origin.capacity());
}

/// Failure: a listener at the bound slept on, as a place that came to nothing was given back in silence.
#[test]
fn withdrawn_place_wakes_the_acceptors_that_wait() {
    let connections = bounded(1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    let key = connections.enter(None, Instant::ZERO).unwrap();
    assert!(connections.poll_room(acceptor, &mut cx).is_pending());
    connections.withdraw(key);
    assert_eq!(count.get(), 1);
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    // One that waits for the end of a connection learns that there is none.
    let key = connections.enter(None, Instant::ZERO).unwrap();
    assert!(connections.poll_end(acceptor, 0, &mut cx).is_pending());
    connections.withdraw(key);
    assert_eq!(count.get(), 2);
    assert_eq!(connections.poll_end(acceptor, 0, &mut cx), Poll::Ready(Waited::NoConnection));
}

/// Calls back when it is called and when it is dropped.
struct Foreign<F: Fn()>(F);

impl<F: Fn() + Send + Sync + 'static> Foreign<F> {
    fn waker(code: F) -> Waker {
        Waker::from(Arc::new(Foreign(code)))
    }
}

impl<F: Fn() + Send + Sync> Wake for Foreign<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

impl<F: Fn()> Drop for Foreign<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// Failure: wakers were cloned and dropped under the lock, which code of theirs may take.
#[test]
fn wakers_are_called_and_dropped_without_the_lock() {
    let connections = Arc::new(bounded(1));
    let calls = Arc::new(Count::default());
    let asks = || {
        let (connections, calls) = (Arc::clone(&connections), Arc::clone(&calls));
        Foreign::waker(move || {
            assert!(!connections.state.is_locked(), "called under the lock");
            Arc::clone(&calls).wake();
        })
    };
    let acceptor = connections.add_acceptor();
    let key = connections.enter(None, Instant::ZERO).unwrap();
    // Each displaces the one before.
    for _ in 0..2 {
        assert!(connections.poll_room(acceptor, &mut Context::from_waker(&asks())).is_pending());
        connections.set_task(key, &asks());
        connections.set_part(key, &asks());
    }
    assert_eq!(calls.get(), 3);
    connections.begin_draining();
    connections.cut(Instant::ZERO);
    assert_eq!(calls.get(), 3 + 4 + 4);
    connections.remove_acceptor(acceptor);
    assert!(connections.poll_gone(&mut Context::from_waker(&asks())).is_pending());
    leave(&connections, key, CloseKind::Cancelled);
    assert_eq!(calls.get(), 3 + 4 + 4 + 2);
}

/// Failure: a cut that comes while the drain calls wakers does not find them.
#[test]
fn cut_in_the_midst_of_the_drain_reaches_every_connection() {
    let connections = Arc::new(bounded(8));
    let told: Arc<[Count; 4]> = Arc::default();
    for n in 0..4 {
        let key = connections.enter(None, Instant::ZERO).unwrap();
        let (of, told) = (Arc::downgrade(&connections), Arc::clone(&told));
        let waker = Foreign::waker(move || {
            let Some(connections) = of.upgrade() else { return };
            if n == 2 && !connections.is_cut() {
                connections.cut(Instant::ZERO);
            }
            if connections.is_cut() {
                told[n].0.fetch_add(1, Ordering::SeqCst);
            }
        });
        if n % 2 == 0 {
            connections.set_task(key, &waker)
        } else {
            connections.set_part(key, &waker)
        }
    }
    connections.begin_draining();
    assert!(told.iter().all(|told| told.get() > 0));
}

/// Failure: a waker whose data is null was taken for one that is registered already.
#[test]
fn waker_without_data_is_told_of_the_drain_too() {
    let runtime = crate::Runtime::new().unwrap();
    let overloaded = Box::new(|_: &heist_scheduler::Handle| false);
    let name = String::from("test");
    let server = Shared::new(name, Limits::default(), runtime.handle(), overloaded);
    let server = Arc::new(server);
    let registered = |server: &Shared| {
        let state = server.connections.state.lock();
        state.parts.values().next().map(|waker| waker.data())
    };
    let key = server.connections.enter(None, Instant::ZERO).unwrap();
    let mut place = Place::new(&server, key);
    let (null, other) = (Waker::noop(), Waker::from(Arc::new(Count::default())));
    for waker in [null, &other, null] {
        assert!(place.poll_draining(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(registered(&server), Some(waker.data()));
    }
}
