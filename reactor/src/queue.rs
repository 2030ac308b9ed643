//! The event queue: threads wait in it, and it turns the kernel's events into wakers.

use std::io;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::backend::{self, BATCH, FAR, Shard, Signals};
use crate::readiness::{Bits, Delivery};
use crate::sources::Sources;
use crate::token::Token;

/// The layout of an event queue; fixed when it is made.
///
/// ```
/// use heist::reactor::{Config, Queue};
///
/// let queue = Queue::new(Config { shards: 2, ..Config::default() })?;
/// assert_eq!(queue.shards(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The number of instances of the kernel's queue that share the sources, at most 2^16; 0 is
    /// taken for 1. One serves about eight threads.
    pub shards: usize,
    /// The number of sources that may be registered at once, at most 2^30. The table grows as
    /// needed, by 48 bytes a source; only its directory (24 bytes per 1,024 sources) exists from
    /// the start.
    pub max_sources: usize,
}

impl Default for Config {
    /// One shard, up to 2^20 sources.
    fn default() -> Config {
        Config { shards: 1, max_sources: 1 << 20 }
    }
}

/// The result of one harvest of a shard, besides the wakers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harvest {
    /// Events taken from the kernel, stale and spurious ones included, wakes and closes excluded.
    pub events: usize,
    /// Events whose source was gone.
    pub stale: usize,
    /// Events that told nothing new and for which no task waited.
    pub spurious: usize,
    /// A [`Queue::wake`] was taken.
    pub woken: bool,
    /// [`Queue::close`] was called.
    pub closed: bool,
}

/// An edge-triggered event queue that any number of threads may share; clones are the same queue.
///
/// See the [crate's page](crate) for the way of an event and an example.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sources: Sources,
    shards: Box<[Shard]>,
}

impl Queue {
    /// Makes an empty queue.
    ///
    /// # Errors
    /// The system's error when it has no file descriptor or memory left.
    pub fn new(config: Config) -> io::Result<Queue> {
        let shards = (0..config.shards.clamp(1, 1 << 16))
            .map(|_| Shard::new())
            .collect::<io::Result<_>>()?;
        Ok(Queue(Arc::new(Inner { sources: Sources::new(config.max_sources), shards })))
    }

    /// The number of shards; at least one.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.0.shards.len()
    }

    /// The number of threads that may wait on one shard at once: any number (`usize::MAX`), or 1
    /// where the system's queue cannot be shared. A further thread is safe, but blocks until
    /// another leaves.
    #[must_use]
    pub fn max_waiters(&self) -> usize {
        backend::MAX_WAITERS
    }

    /// Takes up to `bound` ready events (at least 1, at most 64) without waiting, and appends to
    /// `out` the wakers of the tasks that waited for them.
    ///
    /// Where [`max_waiters`](Queue::max_waiters) is 1 and another thread is inside, it takes
    /// nothing.
    ///
    /// # Errors
    /// The system's error; none is expected in a running program.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn poll(&self, shard: usize, bound: usize, out: &mut Vec<Waker>) -> io::Result<Harvest> {
        let mut batch = Batch::new(&self.0.sources, out);
        let signals = self.shard(shard).poll(clamp(bound), batch.sink())?;
        Ok(batch.harvest(signals))
    }

    /// Waits until there is an event, a wake or a close, or `timeout` has passed (`None`: for
    /// ever), then takes up to `bound` events (at least 1, at most 64) as [`poll`](Queue::poll)
    /// does.
    ///
    /// May return early with nothing: after a signal, when the timeout is longer than 24 days, and by
    /// less than a millisecond when it is a second or longer. Other timeouts count in nanoseconds, and
    /// are rounded up to milliseconds where the system's call takes no finer one.
    ///
    /// # Errors
    /// The system's error; none is expected in a running program.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn wait(
        &self,
        shard: usize,
        bound: usize,
        timeout: Option<Duration>,
        out: &mut Vec<Waker>,
    ) -> io::Result<Harvest> {
        let mut batch = Batch::new(&self.0.sources, out);
        let timeout = timeout.map(|timeout| timeout.min(FAR));
        let signals = self.shard(shard).wait(clamp(bound), timeout, batch.sink())?;
        Ok(batch.harvest(signals))
    }

    /// Makes one thread that waits on this shard, or else the next to `poll` or `wait`, return with
    /// [`woken`](Harvest::woken) set.
    ///
    /// # Errors
    /// The system's error; none is expected in a running program.
    ///
    /// # Panics
    /// If there is no such shard.
    pub fn wake(&self, shard: usize) -> io::Result<()> {
        self.shard(shard).wake()
    }

    /// Whether there is something to harvest; takes nothing. True also for a wake that was not
    /// taken yet, and always after a close. False where [`max_waiters`](Queue::max_waiters) is 1
    /// and another thread is inside, which then takes it.
    ///
    /// # Panics
    /// If there is no such shard.
    #[must_use]
    pub fn ready(&self, shard: usize) -> bool {
        self.shard(shard).ready()
    }

    /// Closes the queue: every thread that waits, now or later, returns with
    /// [`closed`](Harvest::closed) set; every operation of a source fails with
    /// [`Closed`](crate::Closed); nothing can be registered any more.
    ///
    /// Returns the wakers of all tasks that waited. The caller must wake them. A second call does
    /// nothing and returns nothing.
    #[must_use = "the tasks that waited must be woken"]
    pub fn close(&self) -> Vec<Waker> {
        let Some(wakers) = self.0.sources.close() else {
            return Vec::new();
        };
        for shard in &self.0.shards {
            shard.close();
        }
        wakers
    }

    /// Whether [`close`](Queue::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.sources.is_closed()
    }

    /// The number of registered sources.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.0.sources.live()
    }

    pub(crate) fn table(&self) -> &Sources {
        &self.0.sources
    }

    pub(crate) fn registry(&self, shard: usize) -> &mio::Registry {
        self.shard(shard).registry()
    }

    fn shard(&self, shard: usize) -> &Shard {
        let shards = &self.0.shards;
        assert!(shard < shards.len(), "there is no shard {shard}, only {}", shards.len());
        &shards[shard]
    }
}

/// The events of one harvest, on their way into the table.
struct Batch<'a> {
    sources: &'a Sources,
    out: &'a mut Vec<Waker>,
    harvest: Harvest,
}

impl<'a> Batch<'a> {
    fn new(sources: &'a Sources, out: &'a mut Vec<Waker>) -> Batch<'a> {
        Batch { sources, out, harvest: Harvest::default() }
    }

    /// Takes an event. One closure for `poll` and `wait`, so that there is one copy of the loop
    /// over the events, with all that is done for an event inlined.
    fn sink(&mut self) -> impl FnMut(Token, Bits) {
        |token, bits| self.add(token, bits)
    }

    #[inline]
    fn add(&mut self, token: Token, bits: Bits) {
        self.harvest.events += 1;
        match self.sources.deliver(token, bits, self.out) {
            Delivery::Delivered(_) => {}
            Delivery::Stale => self.harvest.stale += 1,
            Delivery::Spurious => self.harvest.spurious += 1,
        }
    }

    fn harvest(self, signals: Signals) -> Harvest {
        Harvest { woken: signals.woken, closed: signals.closed, ..self.harvest }
    }
}

fn clamp(bound: usize) -> usize {
    bound.clamp(1, BATCH)
}
