//! Which tasks are woken, and when.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake};

use heist_scheduler::chunks;

use super::*;
use crate::Runtime;
use crate::connection::drain_signal::DrainSignal;
use crate::connection::limits::Limits;
use crate::connection::permit::ConnectionPermit;
use crate::connection::set::{ConnectionSet, SetLimits};
use crate::connection::waits::{Admission, Waited};

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

fn limited(connections: usize) -> AdmissionLimits {
    AdmissionLimits { connections, per_address: 256, limit_loopback: false }
}

fn bounded(connections: usize) -> ConnectionTable {
    ConnectionTable::new(limited(connections))
}

fn set(runtime: &Runtime) -> Arc<ConnectionSet> {
    let limits = SetLimits {
        admission: limited(8),
        buffered_bytes: 0,
        drain_linger: Duration::ZERO,
        connection: Limits::default(),
    };
    Arc::new(ConnectionSet::new(runtime.handle(), limits))
}

#[test]
fn end_of_a_connection_at_the_bound_wakes_the_acceptor_once() {
    let connections = bounded(1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    let key = connections.admit(None, Instant::ZERO).unwrap();
    assert!(connections.poll_room(acceptor, &mut cx).is_pending());
    connections.release(key, CloseKind::Finished, Instant::ZERO);
    assert_eq!(count.get(), 1);
    let room = Poll::Ready(Admission::Open { ended: 1 });
    assert_eq!(connections.poll_room(acceptor, &mut cx), room);
    // With room, the end of a connection wakes no acceptor.
    let key = connections.admit(None, Instant::ZERO).unwrap();
    connections.release(key, CloseKind::Finished, Instant::ZERO);
    assert_eq!(count.get(), 1);
}

#[test]
fn end_that_came_before_the_wait_is_not_waited_for() {
    let connections = bounded(8);
    let mut cx = Context::from_waker(Waker::noop());
    let acceptor = connections.add_acceptor();
    let keys = [(); 2].map(|()| connections.admit(None, Instant::ZERO).unwrap());
    assert!(connections.poll_end(acceptor, 0, &mut cx).is_pending());
    connections.release(keys[0], CloseKind::Finished, Instant::ZERO);
    assert_eq!(connections.poll_end(acceptor, 0, &mut cx), Poll::Ready(Waited::Ended));
    assert!(connections.poll_end(acceptor, 1, &mut cx).is_pending());
    connections.release(keys[1], CloseKind::Finished, Instant::ZERO);
    assert_eq!(connections.poll_end(acceptor, 2, &mut cx), Poll::Ready(Waited::NoConnection));
}

#[test]
fn connection_counts_until_its_permit_is_dropped() {
    let runtime = Runtime::new().unwrap();
    let set = set(&runtime);
    let mut permit = ConnectionPermit::acquire(&set, None, Instant::ZERO).unwrap();
    let signal = permit.drain_signal();
    permit.set_busy(true);
    permit.close(CloseKind::Lost);
    // The first one counts.
    permit.close(CloseKind::Finished);
    assert_eq!(set.table.open(), 1);
    drop(permit);
    assert_eq!((set.table.open(), set.busy()), (0, 0));
    let (counts, times) = set.table.counts();
    assert_eq!(counts.closed[CloseKind::Lost as usize], 1);
    assert_eq!(counts.closed[CloseKind::Finished as usize], 0);
    assert_eq!(times.count(), u64::from(cfg!(feature = "metrics")));
    drop(signal);
}

#[test]
fn permit_tells_a_panic_from_a_drop_and_withdrawn_counts_as_neither() {
    let runtime = Runtime::new().unwrap();
    let set = set(&runtime);
    let acquire = || ConnectionPermit::acquire(&set, None, Instant::ZERO).unwrap();
    drop(acquire());
    let mut permit = acquire();
    let panicked = catch_unwind(AssertUnwindSafe(|| permit.guard(|_| panic!("as asked"))));
    assert!(panicked.is_err());
    drop(permit);
    acquire().withdraw();
    let counts = set.table.counts().0;
    assert_eq!((counts.accepted, counts.ended()), (2, 2));
    assert_eq!(counts.closed[CloseKind::Cancelled as usize], 1);
    assert_eq!(counts.closed[CloseKind::Panicked as usize], 1);
}

#[test]
fn drain_wakes_acceptors_and_connections_and_is_over_when_all_have_gone() {
    let connections = bounded(8);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    let key = connections.admit(None, Instant::ZERO).unwrap();
    connections.set_task(key, &waker);
    // The same task is not woken twice.
    assert_eq!(connections.add_signal(key, waker.clone()), None);
    connections.begin_draining();
    assert_eq!(count.get(), 2);
    assert_eq!(connections.poll_room(acceptor, &mut cx), Poll::Ready(Admission::Draining));
    // An acceptor may have accepted one before it saw the drain.
    let late = connections.admit(None, Instant::ZERO).unwrap();
    assert_eq!(connections.force_close(Instant::ZERO).len(), 2);
    assert_eq!(connections.admit(None, Instant::ZERO), Err(Refusal::Draining));
    connections.remove_acceptor(acceptor);
    connections.release(late, CloseKind::Cancelled, Instant::ZERO);
    assert!(connections.poll_gone(&mut cx).is_pending());
    connections.release(key, CloseKind::Cancelled, Instant::ZERO);
    assert!(connections.poll_gone(&mut cx).is_ready());
    assert_eq!(connections.closed_draining()[CloseKind::Cancelled as usize], 2);
}

/// Failure: the table and the maps of a crowd were kept until the server ended.
#[test]
fn crowd_that_has_left_holds_no_memory_but_for_a_chunk_each_that_stays() {
    let connections = bounded(200_000);
    let waker = Waker::from(Arc::new(Count::default()));
    let crowd: Vec<_> = (0..100_000_u32)
        .map(|number| {
            let address = IpAddr::from((0x0A00_0000 + number).to_be_bytes());
            let key = connections.admit(Some(address), Instant::ZERO).unwrap();
            (key, connections.add_signal(key, waker.clone()).unwrap())
        })
        .collect();
    let stay = [0, 50_000, 99_999];
    for &(key, signal) in crowd.iter().filter(|(key, _)| !stay.contains(key)) {
        connections.remove_signal(signal);
        connections.release(key, CloseKind::Finished, Instant::ZERO);
    }
    let state = connections.state.lock();
    assert_eq!((state.entries.len(), state.signals.len(), state.origins.len()), (3, 3, 3));
    assert!(state.entries.places() <= (stay.len() + 1) * chunks::CHUNK);
    assert!(state.signals.places() <= (stay.len() + 1) * chunks::CHUNK);
    assert!(state.origins.capacity() <= 4096, "{}", state.origins.capacity());
}

/// Failure: a listener at the bound slept on, as a permit that was withdrawn woke no acceptor.
#[test]
fn withdrawn_connection_wakes_the_acceptors_that_wait() {
    let connections = bounded(1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let acceptor = connections.add_acceptor();
    let key = connections.admit(None, Instant::ZERO).unwrap();
    assert!(connections.poll_room(acceptor, &mut cx).is_pending());
    connections.withdraw(key);
    assert_eq!(count.get(), 1);
    assert!(connections.poll_room(acceptor, &mut cx).is_ready());
    // One that waits for the end of a connection learns that there is none.
    let key = connections.admit(None, Instant::ZERO).unwrap();
    assert!(connections.poll_end(acceptor, 0, &mut cx).is_pending());
    connections.withdraw(key);
    assert_eq!(count.get(), 2);
    assert_eq!(connections.poll_end(acceptor, 0, &mut cx), Poll::Ready(Waited::NoConnection));
}

/// Failure: one proxy had no more connections than one client, or its clients as many as they liked.
#[test]
fn connection_without_an_address_is_attributed_to_one_that_has_room() {
    let connections = ConnectionTable::new(AdmissionLimits { per_address: 2, ..limited(8) });
    let admit = || connections.admit(None, Instant::ZERO).unwrap();
    let keys = [(); 5].map(|()| admit());
    let address = IpAddr::from([192, 0, 2, 1]);
    assert_eq!(connections.attribute(keys[0], address), Ok(()));
    assert_eq!(connections.attribute(keys[1], address), Ok(()));
    assert_eq!(connections.attribute(keys[2], address), Err(Refusal::PerAddress));
    assert_eq!(connections.admit(Some(address), Instant::ZERO), Err(Refusal::PerAddress));
    assert_eq!(connections.attribute(keys[3], IpAddr::from([192, 0, 2, 2])), Ok(()));
    assert_eq!(connections.attribute(keys[4], IpAddr::from([127, 0, 0, 1])), Ok(()));
    // One that was refused takes no place away.
    connections.release(keys[2], CloseKind::Refused, Instant::ZERO);
    connections.release(keys[0], CloseKind::Finished, Instant::ZERO);
    assert_eq!(connections.attribute(admit(), address), Ok(()));
    assert_eq!(connections.state.lock().origins.len(), 2);
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
    let key = connections.admit(None, Instant::ZERO).unwrap();
    let signal = connections.add_signal(key, asks()).unwrap();
    // Each displaces the one before.
    for _ in 0..2 {
        assert!(connections.poll_room(acceptor, &mut Context::from_waker(&asks())).is_pending());
        connections.set_task(key, &asks());
        connections.set_signal(signal, asks());
    }
    assert_eq!(calls.get(), 4);
    // The table has the task's waker already.
    let task = asks();
    connections.set_task(key, &task);
    assert_eq!(connections.add_signal(key, task), None);
    assert_eq!(calls.get(), 5);
    connections.begin_draining();
    connections.force_close(Instant::ZERO);
    assert_eq!(calls.get(), 5 + 4 + 4);
    connections.remove_acceptor(acceptor);
    assert!(connections.poll_gone(&mut Context::from_waker(&asks())).is_pending());
    connections.release(key, CloseKind::Cancelled, Instant::ZERO);
    assert_eq!(calls.get(), 5 + 4 + 4 + 2);
}

/// Failure: a forced close that comes while the drain calls wakers does not find them.
#[test]
fn forced_close_in_the_midst_of_the_drain_reaches_every_connection() {
    let connections = Arc::new(bounded(8));
    let told: Arc<[Count; 4]> = Arc::default();
    for n in 0..4 {
        let key = connections.admit(None, Instant::ZERO).unwrap();
        let (of, told) = (Arc::downgrade(&connections), Arc::clone(&told));
        let waker = Foreign::waker(move || {
            let Some(connections) = of.upgrade() else { return };
            if n == 2 && !connections.is_force_closed() {
                connections.force_close(Instant::ZERO);
            }
            if connections.is_force_closed() {
                told[n].0.fetch_add(1, Ordering::SeqCst);
            }
        });
        if n % 2 == 0 {
            connections.set_task(key, &waker);
        } else {
            connections.add_signal(key, waker).unwrap();
        }
    }
    connections.begin_draining();
    assert!(told.iter().all(|told| told.get() > 0));
}

/// Failure: a waker whose data is null was taken for one that is registered already.
#[test]
fn waker_without_data_is_told_of_the_drain_too() {
    let runtime = Runtime::new().unwrap();
    let set = set(&runtime);
    let registered = || {
        let state = set.table.state.lock();
        state.signals.iter().next().and_then(|(_, waker)| waker.as_ref().map(Waker::data))
    };
    let permit = ConnectionPermit::acquire(&set, None, Instant::ZERO).unwrap();
    let mut signal = permit.drain_signal();
    let (null, other) = (Waker::noop(), Waker::from(Arc::new(Count::default())));
    for waker in [null, &other, null] {
        assert!(signal.poll_draining(&mut Context::from_waker(waker)).is_pending());
        assert_eq!(registered(), Some(waker.data()));
    }
}

/// Failure: a signal that the task of its connection had polled was not woken in another task, once
/// the connection had ended and another one had its key.
#[test]
fn signal_that_outlives_its_connection_is_told_of_the_drain() {
    let runtime = Runtime::new().unwrap();
    let set = set(&runtime);
    let acquire = || ConnectionPermit::acquire(&set, None, Instant::ZERO).unwrap();
    let poll = |signal: &mut DrainSignal, waker: &Waker| {
        signal.poll_draining(&mut Context::from_waker(waker))
    };
    let counts: [Arc<Count>; 3] = Default::default();
    let [task, next, other] = counts.each_ref().map(|count| Waker::from(Arc::clone(count)));
    let permit = acquire();
    permit.set_task(&task);
    let mut signal = permit.drain_signal();
    assert!(poll(&mut signal, &task).is_pending());
    assert!(set.table.state.lock().signals.is_empty(), "the task is woken anyway");
    drop(permit);
    // It has the same key.
    let permit = acquire();
    permit.set_task(&next);
    assert!(poll(&mut signal, &other).is_pending());
    set.table.begin_draining();
    assert_eq!(counts.each_ref().map(|count| count.get()), [0, 1, 1]);
    assert!(poll(&mut signal, &other).is_ready());
    drop(signal);
    assert!(set.table.state.lock().signals.is_empty());
    drop(permit);
    assert_eq!(set.table.open(), 0);
}
