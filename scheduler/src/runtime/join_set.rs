//! Spawning into a set of tasks.

use std::future::Future;

use super::handle::Handle;
use super::spawn::{spawn, spawn_blocking};
use crate::task::{AbortHandle, JoinSet};

impl<T: Send + 'static> JoinSet<T> {
    /// Spawns a task onto the current runtime, like [`spawn`], and adds it to the set.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.insert(spawn(future))
    }

    /// Spawns a task onto the runtime of `handle`, and adds it to the set.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.insert(handle.spawn(future))
    }

    /// Runs `work` on the current runtime's blocking pool, like [`spawn_blocking`], as a task of the set.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<W>(&mut self, work: W) -> AbortHandle
    where
        W: FnOnce() -> T + Send + 'static,
    {
        self.insert(spawn_blocking(work))
    }

    /// Runs `work` on the blocking pool of the runtime of `handle`, as a task of the set.
    #[track_caller]
    pub fn spawn_blocking_on<W>(&mut self, work: W, handle: &Handle) -> AbortHandle
    where
        W: FnOnce() -> T + Send + 'static,
    {
        self.insert(handle.spawn_blocking(work))
    }
}

/// Spawns each future onto the current runtime.
///
/// # Panics
/// Outside a runtime.
impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> JoinSet<T> {
        let mut set = JoinSet::new();
        futures.into_iter().for_each(|future| {
            set.spawn(future);
        });
        set
    }
}
