//! Threads that load a server together.

use std::cell::Cell;
use std::io;
use std::sync::{Barrier, Mutex, MutexGuard, PoisonError};

use rustix::time::{ClockId, clock_gettime};

use crate::seen::Seen;

/// One of the threads.
pub(crate) struct Crew<'a> {
    index: usize,
    count: usize,
    meeting: &'a Meeting,
    /// CPU seconds used at the start signal.
    idle: Cell<f64>,
}

/// Where they meet.
struct Meeting {
    barrier: Barrier,
    /// Holding this = the right to open connections; how many were opened by all so far.
    opened: Mutex<usize>,
}

/// Has so many threads do the same, and gives what they saw together.
pub(crate) fn run(
    count: usize,
    play: impl Fn(&Crew<'_>) -> io::Result<Seen> + Sync,
) -> io::Result<Seen> {
    let meeting = &Meeting { barrier: Barrier::new(count), opened: Mutex::new(0) };
    let one = |index| match Crew::new(index, count, meeting).play(&play) {
        Ok(seen) => seen,
        // The others wait for this one, and a load without it is not what was asked for.
        Err(error) => {
            eprintln!("load: {error}");
            std::process::exit(1)
        }
    };
    std::thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (1..count).map(|index| scope.spawn(move || one(index))).collect();
        let mut seen = one(0);
        for thread in threads {
            seen.add(thread.join().map_err(|_| io::Error::other("a thread of the load panicked"))?);
        }
        Ok(seen)
    })
}

impl<'a> Crew<'a> {
    fn new(index: usize, count: usize, meeting: &'a Meeting) -> Crew<'a> {
        Crew { index, count, meeting, idle: Cell::new(0.0) }
    }

    fn play(&self, play: impl Fn(&Crew<'_>) -> io::Result<Seen>) -> io::Result<Seen> {
        let seen = play(self)?;
        Ok(Seen { cpu: cpu_seconds() - self.idle.get(), threads: 1, ..seen })
    }

    /// Its part of so many connections: one at least.
    pub(crate) fn part(&self, connections: usize) -> usize {
        let more = usize::from(self.index < connections % self.count);
        (connections / self.count + more).max(1)
    }

    /// Its part of a rate.
    pub(crate) fn rate(&self, rate: f64) -> f64 {
        rate / self.count as f64
    }

    /// A seed of its own; the first one has that which was given.
    pub(crate) fn seed(&self, seed: u64) -> u64 {
        seed + self.index as u64
    }

    /// The others open no connections while this is held.
    pub(crate) fn opening(&self) -> MutexGuard<'_, usize> {
        self.meeting.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reports that all are connected, and waits for the start signal.
    pub(crate) fn ready(&self) -> io::Result<()> {
        if self.meeting.barrier.wait().is_leader() {
            crate::ready()?;
        }
        self.meeting.barrier.wait();
        self.idle.set(cpu_seconds());
        Ok(())
    }
}

/// Of the calling thread.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
