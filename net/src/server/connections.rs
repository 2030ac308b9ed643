//! Which connections a server has, how many there may be, and how they learn that it drains.
//!
//! At the bound nobody accepts: the kernel's backlog holds who comes, and the end of a connection
//! wakes the acceptors. When the server drains, acceptors and connections are woken once each. One
//! lock for all of it, taken when a connection begins and ends, never for what happens in between.
//! Wakers are cloned, called and dropped without it.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use heist_scheduler::chunks::{self, Chunks};
use heist_scheduler::metrics::{Histogram, Scale, Snapshot};
use heist_scheduler::panics;
use heist_scheduler::time::Instant;
use parking_lot::Mutex;
use slab::Slab;

use super::drain::Ages;
use super::limits::Limits;
use crate::connection::close_reason::CloseKind;
use crate::connection::refusal::Refusal;
use crate::connection::visit::{Holder, Visit};
use crate::runtime::wakers::LazyWaker;
use crate::socket::peer::Origin;

/// All connections of a server.
pub(crate) struct Connections {
    bound: usize,
    per_address: usize,
    limit_loopback: bool,
    /// Whether the server drains, to be read without the lock. Set once, with Release, under the
    /// lock; read with Acquire, so that whoever sees it sees all that came before.
    draining: AtomicBool,
    /// Whether the connections that are left are to be dropped. As `draining`.
    cut: AtomicBool,
    /// Holding this = the right to say who is there.
    state: Mutex<State>,
}

struct State {
    draining: bool,
    open: Chunks<Open>,
    /// Parts of connections' tasks that are woken by themselves and want to know when the server
    /// drains.
    parts: HashMap<usize, Waker>,
    by_origin: HashMap<Origin, usize>,
    acceptors: Slab<Acceptor>,
    /// Who waits for the last connection and the last acceptor to end.
    drainers: Vec<Waker>,
    counts: Counts,
    /// The counts when the drain began.
    before: Option<Counts>,
    times: Histogram,
}

/// One connection.
struct Open {
    /// Its task; `None` until that has been polled, and while the drain calls it.
    task: Option<Waker>,
    origin: Option<Origin>,
    visit: Visit,
}

/// Each connection has one: it is part of what an idle connection takes.
const _: () = assert!(Chunks::<Open>::PLACE_BYTES <= 32);

/// Of which connection a waker is.
#[derive(Clone, Copy)]
enum WokenAs {
    Task(usize),
    /// A part of its task.
    Part(usize),
}

#[derive(Default)]
struct Acceptor {
    waker: Option<Waker>,
    /// It is to be woken when a connection ends, not only when the server drains.
    waits: bool,
}

/// What has happened to connections since the start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: u64,
    pub(crate) refused: [u64; Refusal::ALL.len()],
    pub(crate) closed: [u64; CloseKind::ALL.len()],
    pub(crate) accept_errors: BTreeMap<&'static str, u64>,
}

/// What an acceptor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Accept. So many connections have ended so far.
    Open { ended: u64 },
    /// Stop.
    Draining,
}

/// What became of waiting for a connection to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waited {
    Ended,
    /// There is no connection whose end could be waited for.
    NoConnection,
    Draining,
}

impl Connections {
    pub(crate) fn new(limits: &Limits) -> Connections {
        Connections {
            bound: limits.connections.max(1),
            per_address: limits.per_address.max(1),
            limit_loopback: limits.limit_loopback,
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            state: Mutex::new(State {
                draining: false,
                open: Chunks::new(),
                parts: HashMap::new(),
                by_origin: HashMap::new(),
                acceptors: Slab::new(),
                drainers: Vec::new(),
                counts: Counts::default(),
                before: None,
                times: Histogram::new(Scale::Time),
            }),
        }
    }

    /// How many connections there may be at once.
    pub(crate) fn bound(&self) -> usize {
        self.bound
    }

    /// Counts an acceptor in; returns its number.
    pub(crate) fn add_acceptor(&self) -> usize {
        self.state.lock().acceptors.insert(Acceptor::default())
    }

    /// The acceptor of this number has closed its socket.
    pub(crate) fn remove_acceptor(&self, number: usize) {
        let mut state = self.state.lock();
        let acceptor = state.acceptors.remove(number);
        let wakers = state.drainers_if_gone();
        drop(state);
        drop(acceptor);
        wake(wakers);
    }

    /// Waits until there is room for a connection, or the server drains. The task is woken by the
    /// latter even after it was told that there is room.
    pub(crate) fn poll_room(&self, acceptor: usize, cx: &mut Context<'_>) -> Poll<Admission> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.draining {
                return Poll::Ready(Admission::Draining);
            }
            let full = state.open.len() >= self.bound;
            let ended = state.counts.ended();
            if state.acceptors[acceptor].stay(full, &mut fresh) {
                return if full { Poll::Pending } else { Poll::Ready(Admission::Open { ended }) };
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Waits until more than `ended` connections have ended.
    pub(crate) fn poll_end(
        &self,
        acceptor: usize,
        ended: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Waited> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.draining {
                return Poll::Ready(Waited::Draining);
            }
            if state.counts.ended() != ended {
                return Poll::Ready(Waited::Ended);
            }
            if state.open.is_empty() {
                return Poll::Ready(Waited::NoConnection);
            }
            if state.acceptors[acceptor].stay(true, &mut fresh) {
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Counts a connection in, for its place and its task; returns its number.
    ///
    /// Also while the server drains: what was taken out of the backlog is ours to serve. The drain
    /// does not miss it, for it waits for the acceptor, too.
    pub(crate) fn enter(&self, address: Option<IpAddr>, now: Instant) -> Result<usize, Refusal> {
        let bounded = address.filter(|address| self.limit_loopback || !address.is_loopback());
        let origin = bounded.map(Origin::of);
        let mut state = self.state.lock();
        if self.is_cut() {
            return Err(Refusal::Draining);
        }
        if let Some(origin) = origin {
            let count = state.by_origin.entry(origin).or_default();
            if *count >= self.per_address {
                return Err(Refusal::PerAddress);
            }
            *count += 1;
        }
        state.counts.accepted += 1;
        let open = Open { task: None, origin, visit: Visit::new(now) };
        Ok(state.open.insert(open))
    }

    /// Takes a connection back that could not begin after all. Its place is free for another, also at
    /// a listener that waits.
    pub(crate) fn withdraw(&self, key: usize) {
        let mut state = self.state.lock();
        let open = state.open.remove(key);
        state.forget(open.origin);
        state.counts.accepted -= 1;
        let wakers = state.told_of_a_free_place();
        drop(state);
        wake(wakers);
    }

    /// Notes the task to wake when the server drains, and when it cuts.
    pub(crate) fn set_task(&self, key: usize, task: &Waker) {
        let task = task.clone();
        let old = self.state.lock().open[key].task.replace(task);
        drop(old);
    }

    /// Sees to it that `waker` is woken when the server drains.
    pub(crate) fn set_part(&self, key: usize, waker: &Waker) {
        let part = waker.clone();
        let mut state = self.state.lock();
        let told_already = state.open[key].task.as_ref().is_some_and(|task| task.will_wake(waker));
        let (old, unused) = match told_already {
            true => (state.take_part(key), Some(part)),
            false => (state.parts.insert(key, part), None),
        };
        drop(state);
        drop((old, unused));
    }

    /// When the connection was accepted.
    pub(crate) fn since(&self, key: usize) -> Instant {
        self.state.lock().open[key].visit.since()
    }

    /// A holder of a connection has gone. The last of them ends it; of the endings that they tell,
    /// the first counts.
    pub(crate) fn leave(
        &self,
        key: usize,
        holder: Holder,
        ending: Option<CloseKind>,
        now: Instant,
    ) {
        let mut state = self.state.lock();
        if !state.open[key].visit.leave(holder, ending) {
            return;
        }
        let open = state.open.remove(key);
        // Hashing costs more than asking whether there is anything to find.
        let part = if state.parts.is_empty() { None } else { state.take_part(key) };
        state.forget(open.origin);
        state.counts.closed[open.visit.ending().unwrap_or(CloseKind::Cancelled) as usize] += 1;
        state.times.record_time(now - open.visit.since());
        let wakers = state.told_of_a_free_place();
        drop(state);
        wake(wakers);
        drop((open, part));
    }

    /// Whether the server has begun to drain.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the connections that are left are to be dropped.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Tells acceptors and connections that the server ends. Once; further calls do nothing.
    ///
    /// The wakers of connections are taken out, called, and put back: the cut needs them again.
    pub(crate) fn begin_draining(&self) {
        let mut state = self.state.lock();
        if mem::replace(&mut state.draining, true) {
            return;
        }
        self.draining.store(true, Ordering::Release);
        state.before = Some(state.counts.clone());
        // From now on an acceptor finds the drain begun and waits no more.
        let acceptors: Vec<_> =
            state.acceptors.iter_mut().filter_map(|(_, acceptor)| acceptor.waker.take()).collect();
        let connections = state.take_connections();
        drop(state);
        wake(acceptors);
        panics::wake_all(connections.iter().map(|(_, waker)| waker.clone()));
        self.put_back(connections);
    }

    /// Puts wakers of connections back where they were, unless there is another one or the connection
    /// has ended.
    ///
    /// Where the number belongs to another connection by now, that one replaces the waker in the first
    /// poll of its task; until then, calling it does no harm.
    fn put_back(&self, connections: Vec<(WokenAs, Waker)>) {
        let mut left = Vec::new();
        let mut state = self.state.lock();
        // A cut that came meanwhile has not found these.
        let cut = self.is_cut();
        for (whose, waker) in connections {
            let unplaced = if cut { Some(waker) } else { state.put_back(whose, waker) };
            left.extend(unplaced);
        }
        drop(state);
        if cut {
            wake(left);
        }
    }

    /// Waits until no connection and no acceptor is left.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = LazyWaker::of(cx);
        loop {
            let mut state = self.state.lock();
            if state.is_gone() {
                return Poll::Ready(());
            }
            if state.drainers.iter().any(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if let Some(waker) = fresh.take() {
                state.drainers.push(waker);
                return Poll::Pending;
            }
            drop(state);
            fresh.prepare();
        }
    }

    /// Has every connection that is left dropped by its worker. Returns how many they are, by age.
    pub(crate) fn cut(&self, now: Instant) -> Ages {
        let mut state = self.state.lock();
        self.cut.store(true, Ordering::Release);
        let mut ages = Ages::default();
        state.open.iter().for_each(|(_, open)| ages.count(now - open.visit.since()));
        // From now on a task finds the cut at its next poll, so none is woken again.
        let connections = state.take_connections();
        drop(state);
        wake(connections.into_iter().map(|(_, waker)| waker).collect());
        ages
    }

    pub(crate) fn count_refusal(&self, refusal: Refusal) {
        self.state.lock().counts.refused[refusal as usize] += 1;
    }

    pub(crate) fn count_accept_error(&self, name: &'static str) {
        *self.state.lock().counts.accept_errors.entry(name).or_default() += 1;
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.state.lock().open.len()
    }

    /// What has happened so far, and how long the connections lasted.
    pub(crate) fn counts(&self) -> (Counts, Snapshot) {
        let state = self.state.lock();
        let mut times = Snapshot::new(Scale::Time);
        times.add(&state.times);
        (state.counts.clone(), times)
    }

    /// How many connections have ended, by ending, since the drain began.
    pub(crate) fn closed_draining(&self) -> [u64; CloseKind::ALL.len()] {
        let state = self.state.lock();
        let mut closed = state.counts.closed;
        let none = [0; CloseKind::ALL.len()];
        let before = state.before.as_ref().map_or(none, |counts| counts.closed);
        closed.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        closed
    }
}

impl State {
    /// Takes the wakers of all connections.
    fn take_connections(&mut self) -> Vec<(WokenAs, Waker)> {
        let keys: Vec<_> = self.open.iter().map(|(key, _)| key).collect();
        let mut taken = Vec::with_capacity(keys.len() + self.parts.len());
        for key in keys {
            taken.extend(self.open[key].task.take().map(|waker| (WokenAs::Task(key), waker)));
        }
        taken.extend(self.parts.drain().map(|(key, waker)| (WokenAs::Part(key), waker)));
        taken
    }

    /// Puts a waker back that was taken, or returns it if its place is gone or filled.
    fn put_back(&mut self, whose: WokenAs, waker: Waker) -> Option<Waker> {
        let (WokenAs::Task(key) | WokenAs::Part(key)) = whose;
        let Some(open) = self.open.get_mut(key) else { return Some(waker) };
        match whose {
            WokenAs::Task(_) if open.task.is_none() => open.task = Some(waker),
            WokenAs::Part(_) if !self.parts.contains_key(&key) => {
                self.parts.insert(key, waker);
            }
            WokenAs::Task(_) | WokenAs::Part(_) => return Some(waker),
        }
        None
    }

    fn take_part(&mut self, key: usize) -> Option<Waker> {
        let part = self.parts.remove(&key)?;
        if let Some(capacity) = chunks::trimmed(self.parts.len(), self.parts.capacity()) {
            self.parts.shrink_to(capacity);
        }
        Some(part)
    }

    fn is_gone(&self) -> bool {
        self.open.is_empty() && self.acceptors.is_empty()
    }

    /// Whom to wake now that a connection is gone: acceptors that wait, and drains if it was the last.
    fn told_of_a_free_place(&mut self) -> Vec<Waker> {
        let mut wakers = self.drainers_if_gone();
        wakers.extend(self.acceptors.iter_mut().filter_map(|(_, acceptor)| acceptor.stop()));
        wakers
    }

    fn drainers_if_gone(&mut self) -> Vec<Waker> {
        if self.is_gone() { mem::take(&mut self.drainers) } else { Vec::new() }
    }

    fn forget(&mut self, origin: Option<Origin>) {
        let Some(origin) = origin else { return };
        if let Some(count) = self.by_origin.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.by_origin.remove(&origin);
                let (length, capacity) = (self.by_origin.len(), self.by_origin.capacity());
                if let Some(capacity) = chunks::trimmed(length, capacity) {
                    self.by_origin.shrink_to(capacity);
                }
            }
        }
    }
}

impl Acceptor {
    /// It goes on waiting, also for the end of a connection if it `waits` for that. Returns whether its
    /// waker is stored.
    #[must_use = "without its waker it is not woken"]
    fn stay(&mut self, waits: bool, fresh: &mut LazyWaker<'_>) -> bool {
        self.waits = waits;
        fresh.store_in(&mut self.waker)
    }

    /// Whom to wake now that a connection has ended. Woken, it stores its waker again.
    fn stop(&mut self) -> Option<Waker> {
        if mem::replace(&mut self.waits, false) { self.waker.take() } else { None }
    }
}

impl Counts {
    fn ended(&self) -> u64 {
        self.closed.iter().sum()
    }
}

fn wake(wakers: Vec<Waker>) {
    panics::wake_all(wakers);
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
