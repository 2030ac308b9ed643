//! The table of a server's connections: which are open, how many there may be, and how each learns
//! that the server drains.
//!
//! At the bound no acceptor accepts: the kernel's backlog holds new connections, and the end of a
//! connection wakes the acceptors. When the server drains, acceptors and connections are woken once
//! each. One lock protects all of it. It is taken when a connection begins and ends, and not for
//! what happens in between. Wakers are cloned, called and dropped without it.

use std::mem;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use heist_scheduler::chunks::Chunks;
use heist_scheduler::metrics::{Histogram, HistogramSnapshot, Scale};
use heist_scheduler::panics;
use heist_scheduler::time::Instant;
use parking_lot::Mutex;

use super::close_reason::CloseKind;
use super::counts::{ClosedCounts, Counts};
use super::observers::Observers;
use super::origins::{Origin, OriginCounts};
use super::refusal::Refusal;

/// All connections of a server.
pub(crate) struct ConnectionTable {
    pub(super) limits: AdmissionLimits,
    /// Whether the server drains. Set once, with Release, under the lock. It pairs with the Acquire
    /// of [`is_draining`](ConnectionTable::is_draining): a connection that reads it as set sees what
    /// the drain wrote before.
    draining: AtomicBool,
    /// Whether the connections that are left are dropped. Ordered as `draining`.
    force_closed: AtomicBool,
    /// Holding this = the right to change which connections there are.
    pub(super) state: Mutex<State>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionLimits {
    /// At once; at least 1.
    pub(crate) connections: usize,
    /// Of one origin; at least 1.
    pub(crate) per_address: usize,
    /// Whether this machine's own addresses are bounded, too.
    pub(crate) limit_loopback: bool,
}

pub(super) struct State {
    pub(super) draining: bool,
    pub(super) entries: Chunks<Entry>,
    /// The wakers of drain signals whose tasks are not those of `entries`. `None` while the drain
    /// calls one.
    signals: Chunks<Option<Waker>>,
    origins: OriginCounts,
    pub(super) observers: Observers,
    pub(super) counts: Counts,
    /// What had ended when the drain began.
    closed_before: ClosedCounts,
    lifetimes: Histogram,
}

/// One connection.
pub(super) struct Entry {
    /// Its task; `None` until the first poll of that, and while the drain calls it.
    task: Option<Waker>,
    origin: Option<Origin>,
    accepted_at: AcceptTime,
}

/// Each connection has one: it is part of what an idle connection takes.
const _: () = assert!(Chunks::<Entry>::PLACE_BYTES <= 32);

/// Nanoseconds on the clock, at least 1, so that a place of the table takes no more than an entry.
#[derive(Clone, Copy)]
struct AcceptTime(NonZeroU64);

impl AcceptTime {
    fn at(instant: Instant) -> AcceptTime {
        AcceptTime(NonZeroU64::new(instant.as_nanos()).unwrap_or(NonZeroU64::MIN))
    }

    fn age(self, now: Instant) -> Duration {
        now - Instant::from_nanos(self.0.get())
    }
}

/// Which waker of the table one is.
#[derive(Clone, Copy)]
enum Slot {
    Entry(usize),
    Signal(usize),
}

impl ConnectionTable {
    pub(crate) fn new(limits: AdmissionLimits) -> ConnectionTable {
        ConnectionTable {
            limits,
            draining: AtomicBool::new(false),
            force_closed: AtomicBool::new(false),
            state: Mutex::new(State {
                draining: false,
                entries: Chunks::new(),
                signals: Chunks::new(),
                origins: OriginCounts::default(),
                observers: Observers::default(),
                counts: Counts::default(),
                closed_before: ClosedCounts::default(),
                lifetimes: Histogram::new(Scale::Time),
            }),
        }
    }

    /// How many connections there may be at once.
    pub(crate) fn max(&self) -> usize {
        self.limits.connections
    }

    /// Counts a connection in; returns its key.
    ///
    /// Also while the server drains: a connection that was taken out of the backlog is served. The
    /// drain does not miss it, as it waits for the acceptor, too.
    pub(super) fn admit(&self, address: Option<IpAddr>, now: Instant) -> Result<usize, Refusal> {
        let origin = address.and_then(|address| self.bounded_origin(address));
        let mut state = self.state.lock();
        if self.is_force_closed() {
            return Err(Refusal::Draining);
        }
        if let Some(origin) = origin
            && !state.origins.try_add(origin, self.limits.per_address)
        {
            return Err(Refusal::PerAddress);
        }
        state.counts.accepted += 1;
        let accepted_at = AcceptTime::at(now);
        Ok(state.entries.insert(Entry { task: None, origin, accepted_at }))
    }

    /// Counts a connection that was admitted without an address to this one.
    pub(super) fn attribute(&self, key: usize, address: IpAddr) -> Result<(), Refusal> {
        let Some(origin) = self.bounded_origin(address) else { return Ok(()) };
        let mut state = self.state.lock();
        debug_assert!(state.entries[key].origin.is_none(), "a connection is attributed once");
        if !state.origins.try_add(origin, self.limits.per_address) {
            return Err(Refusal::PerAddress);
        }
        state.entries[key].origin = Some(origin);
        Ok(())
    }

    /// Whose connections are counted together with those of `address`; `None` if they are not
    /// bounded.
    fn bounded_origin(&self, address: IpAddr) -> Option<Origin> {
        let bounded = self.limits.limit_loopback || !address.is_loopback();
        bounded.then(|| Origin::of(address))
    }

    /// Takes back a connection that could not begin after all: it counts neither as accepted nor as
    /// closed, and there is room for another.
    pub(super) fn withdraw(&self, key: usize) {
        let mut state = self.state.lock();
        let (entry, wakers) = state.remove(key);
        state.counts.accepted -= 1;
        drop(state);
        panics::wake_all(wakers);
        drop(entry);
    }

    /// The connection is over: its socket is closed.
    pub(super) fn release(&self, key: usize, kind: CloseKind, now: Instant) {
        let mut state = self.state.lock();
        state.counts.closed[kind as usize] += 1;
        let (entry, wakers) = state.remove(key);
        state.lifetimes.record_time(entry.accepted_at.age(now));
        drop(state);
        panics::wake_all(wakers);
        drop(entry);
    }

    /// Sets the task to wake when the server drains, and when it force-closes what is left.
    pub(super) fn set_task(&self, key: usize, task: &Waker) {
        let task = task.clone();
        let old = self.state.lock().entries[key].task.replace(task);
        drop(old);
    }

    /// Has `waker` woken when the server drains, and when it force-closes what is left. Returns the
    /// slot that this takes; `None` if that is the task of the connection `key`, which is woken
    /// anyway.
    ///
    /// `key` may be that of a connection that has ended, and be another one's by now. Then the task
    /// of that one is what is compared with, and is woken all the same.
    pub(super) fn add_signal(&self, key: usize, waker: Waker) -> Option<usize> {
        let mut state = self.state.lock();
        let task = state.entries.get(key).and_then(|entry| entry.task.as_ref());
        // Clone is compared with clone: the tables of a waker and its clone may differ.
        if task.is_some_and(|task| task.will_wake(&waker)) {
            // Before `waker`, which is dropped without the lock.
            drop(state);
            return None;
        }
        Some(state.signals.insert(Some(waker)))
    }

    /// Replaces the waker of a slot.
    pub(super) fn set_signal(&self, slot: usize, waker: Waker) {
        let old = self.state.lock().signals[slot].replace(waker);
        drop(old);
    }

    /// Frees a slot.
    pub(super) fn remove_signal(&self, slot: usize) {
        let old = self.state.lock().signals.remove(slot);
        drop(old);
    }

    /// Whether the server has begun to drain.
    #[inline]
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the connections that are left are dropped.
    #[inline]
    pub(crate) fn is_force_closed(&self) -> bool {
        self.force_closed.load(Ordering::Acquire)
    }

    /// Tells acceptors and connections that the server drains. Further calls do nothing.
    ///
    /// The wakers of connections are taken out, called, and put back: a forced close calls them
    /// again.
    pub(crate) fn begin_draining(&self) {
        let mut state = self.state.lock();
        if mem::replace(&mut state.draining, true) {
            return;
        }
        self.draining.store(true, Ordering::Release);
        state.closed_before = state.counts.closed;
        let acceptors = state.observers.on_drain();
        let connections = state.take_wakers();
        drop(state);
        panics::wake_all(acceptors);
        panics::wake_all(connections.iter().map(|(_, waker)| waker.clone()));
        self.put_back(connections);
    }

    /// Puts wakers of connections back, unless there is another one by now or the connection has
    /// ended.
    ///
    /// Where a key belongs to another connection by now, that one replaces the waker in the first
    /// poll of its task; until then, calling it does no harm.
    fn put_back(&self, connections: Vec<(Slot, Waker)>) {
        let mut left = Vec::new();
        let mut state = self.state.lock();
        // A forced close that came meanwhile has not found these.
        let force_closed = self.is_force_closed();
        for (slot, waker) in connections {
            left.extend(if force_closed { Some(waker) } else { state.put_back(slot, waker) });
        }
        drop(state);
        if force_closed {
            panics::wake_all(left);
        }
    }

    /// Has each connection that is left dropped by its task. Returns their ages.
    pub(crate) fn force_close(&self, now: Instant) -> Vec<Duration> {
        let mut state = self.state.lock();
        self.force_closed.store(true, Ordering::Release);
        let ages = state.entries.iter().map(|(_, entry)| entry.accepted_at.age(now)).collect();
        // From now on a task finds this at its next poll, so none is woken again.
        let connections = state.take_wakers();
        drop(state);
        panics::wake_all(connections.into_iter().map(|(_, waker)| waker));
        ages
    }

    pub(crate) fn count_refusal(&self, refusal: Refusal) {
        self.state.lock().counts.refused[refusal as usize] += 1;
    }

    pub(crate) fn count_accept_error(&self, name: &'static str) {
        *self.state.lock().counts.accept_errors.entry(name).or_default() += 1;
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.state.lock().entries.len()
    }

    /// What has happened so far, and how long the connections lasted that have ended.
    pub(crate) fn counts(&self) -> (Counts, HistogramSnapshot) {
        let state = self.state.lock();
        let mut lifetimes = HistogramSnapshot::new(Scale::Time);
        lifetimes.add(&state.lifetimes);
        (state.counts.clone(), lifetimes)
    }

    /// How many connections have ended since the drain began.
    pub(crate) fn closed_draining(&self) -> ClosedCounts {
        let state = self.state.lock();
        let (mut closed, before) = (state.counts.closed, state.closed_before);
        closed.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        closed
    }
}

impl State {
    /// Removes a connection. Returns what is to be dropped, and woken, without the lock: acceptors
    /// that wait for room, and drains if this was the last.
    fn remove(&mut self, key: usize) -> (Entry, Vec<Waker>) {
        let entry = self.entries.remove(key);
        if let Some(origin) = entry.origin {
            self.origins.remove(origin);
        }
        let mut wakers = self.on_gone();
        wakers.extend(self.observers.on_end());
        (entry, wakers)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.entries.is_empty() && !self.observers.has_acceptors()
    }

    pub(super) fn on_gone(&mut self) -> Vec<Waker> {
        if self.is_gone() { self.observers.on_last() } else { Vec::new() }
    }

    /// Takes the wakers of all connections and signals.
    fn take_wakers(&mut self) -> Vec<(Slot, Waker)> {
        let entries: Vec<_> = self.entries.iter().map(|(key, _)| key).collect();
        let signals: Vec<_> = self.signals.iter().map(|(slot, _)| slot).collect();
        let mut taken = Vec::with_capacity(entries.len() + signals.len());
        for key in entries {
            taken.extend(self.entries[key].task.take().map(|waker| (Slot::Entry(key), waker)));
        }
        for slot in signals {
            taken.extend(self.signals[slot].take().map(|waker| (Slot::Signal(slot), waker)));
        }
        taken
    }

    /// Puts back a waker that was taken, or returns it if its slot is gone or filled.
    fn put_back(&mut self, slot: Slot, waker: Waker) -> Option<Waker> {
        let place = match slot {
            Slot::Entry(key) => self.entries.get_mut(key).map(|entry| &mut entry.task),
            Slot::Signal(slot) => self.signals.get_mut(slot),
        };
        match place {
            Some(place @ None) => {
                *place = Some(waker);
                None
            }
            Some(Some(_)) | None => Some(waker),
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
