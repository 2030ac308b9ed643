//! The blocking pools: threads for work that blocks or computes for long.
//!
//! There are two pools, one for look-ups of names and one for all other work, each with threads and a
//! queue of its own. So name servers that do not answer cannot use up the threads of other work, and
//! other work that takes long does not hold up look-ups.
//!
//! Each [`Pool`] has two bounds: threads are started as they are needed, up to a bound, and end after
//! some idle time; work waits in one queue, and is refused when that is full. Work that is aborted while
//! it waits leaves the queue at once.

mod pool;
mod queue;

use std::sync::Arc;

use async_task::ScheduleInfo;

use crate::clock::Instant;
use crate::context::{self, RuntimeContext};
use crate::fair::Account;
use crate::metrics::Histogram;
use crate::task::{self, JoinHandle, Owner, Refused, SpawnInfo, Task, TaskRegistry, Withdraw};
use crate::threads::tracker::ThreadTracker;
use pool::Pool;
pub(crate) use pool::{Bounds, Load};

pub(crate) struct Blocking {
    work: Arc<Pool>,
    lookups: Arc<Pool>,
    runtime: Arc<RuntimeContext>,
}

/// Which of the two pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Work,
    Lookup,
}

impl Blocking {
    /// `thread_name` is the prefix of the names of all threads.
    pub(crate) fn new(
        runtime: &Arc<RuntimeContext>,
        work: Bounds,
        lookups: Bounds,
        thread_name: &str,
        threads: &Arc<ThreadTracker>,
    ) -> Arc<Self> {
        let pool = |bounds, kind| {
            let thread_name = format!("{thread_name}-{kind}");
            Pool::new(Arc::clone(runtime), bounds, thread_name, Arc::clone(threads))
        };
        let (work, lookups) = (pool(work, "blocking"), pool(lookups, "lookup"));
        Arc::new(Blocking { work, lookups, runtime: Arc::clone(runtime) })
    }

    /// The registry of both pools' tasks, which has room for all that run and wait.
    pub(crate) fn registry(self: &Arc<Self>, index: u32) -> Arc<TaskRegistry> {
        let bound = self.work.capacity().saturating_add(self.lookups.capacity()).saturating_mul(2);
        TaskRegistry::new(index, bound, Arc::clone(self) as _)
    }

    /// Queues `work`, which belongs to `registry`, or refuses it.
    pub(crate) fn launch<T, W>(
        &self,
        kind: Kind,
        registry: &Arc<TaskRegistry>,
        info: &SpawnInfo,
        work: W,
    ) -> JoinHandle<T>
    where
        W: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let admission = TaskRegistry::admit(registry, info, Account::NONE);
        let queue = |task| {
            self.pool(kind).push(task).map_err(|refusal| {
                registry.take_back_spawned(refusal);
                Refused::new(registry, info, refusal)
            })
        };
        task::launch_with(admission, async move { work() }, schedule, queue)
    }

    /// How long work of this kind waited for a thread.
    pub(crate) fn wait(&self, kind: Kind) -> &Histogram {
        self.pool(kind).wait()
    }

    /// What the pool of this kind does now.
    pub(crate) fn load(&self, kind: Kind, now: Instant) -> Load {
        self.pool(kind).load(now)
    }

    /// Refuses work from now on, drops what waits, and lets idle threads end.
    pub(crate) fn close(&self) {
        self.work.close();
        self.lookups.close();
    }

    fn pool(&self, kind: Kind) -> &Arc<Pool> {
        match kind {
            Kind::Work => &self.work,
            Kind::Lookup => &self.lookups,
        }
    }
}

/// The schedule function of a cell. Blocking work is queued once, by [`Blocking::launch`]. It never
/// waits, so a wake has nothing to do, and dropping the task that it brings ends the task.
fn schedule(task: Task, _info: ScheduleInfo) {
    drop(task);
}

impl Withdraw for Blocking {
    fn withdraw(&self, key: u32, serial: u32) {
        drop(self.work.take_out(key, serial).or_else(|| self.lookups.take_out(key, serial)));
    }
}

impl Owner for Blocking {
    /// As the schedule function of the cells.
    fn schedule(&self, task: Task) {
        drop(task);
    }

    fn run_inside(&self, code: &mut dyn FnMut()) {
        context::run_inside(&self.runtime, code);
    }
}
