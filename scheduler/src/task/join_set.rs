//! A set of tasks that are joined in the order in which they end.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use parking_lot::Mutex;

use super::abort::AbortHandle;
use super::error::{JoinError, Kind};
use super::guard::Outcome;
use super::join::JoinHandle;
use crate::chunks::Chunks;
use crate::coop;
use crate::panics::{self, Place};

/// A set of tasks, joined in the order in which they end.
///
/// Each task that ends puts itself into a queue, so [`join_next`](JoinSet::join_next) takes the same time
/// however many tasks the set has, and looks at none that still runs. Dropping the set aborts its tasks.
///
/// The set may grow as far as the runtime takes tasks ([`Builder::max_tasks`](crate::Builder::max_tasks)). A task that is
/// refused beyond that is a member, too: its [`JoinError`] comes from `join_next` like that of any other. To bound
/// the tasks that run at once, join one before spawning the next.
///
/// Its methods are those of tokio's `JoinSet`. The tasks of a set may belong to several runtimes.
///
/// ```
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// use heist::task::JoinSet;
///
/// runtime.block_on(async {
///     let mut squares = JoinSet::new();
///     for number in 0..100_u32 {
///         if squares.len() == 8 {
///             squares.join_next().await.unwrap().unwrap();
///         }
///         squares.spawn(async move { number * number });
///     }
///     let mut last = squares.join_all().await;
///     last.sort();
///     assert_eq!(last.last(), Some(&9_801));
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
#[must_use = "dropping the set aborts its tasks"]
pub struct JoinSet<T> {
    members: Chunks<Member<T>>,
    ended: Arc<Ended>,
    /// Looks at tasks, whether they have ended.
    #[cfg(test)]
    looks: usize,
}

/// A task of the set.
struct Member<T> {
    task: JoinHandle<T>,
    /// What came of it, where it ended while it was added. A lock only for the set to be `Sync`.
    outcome: Mutex<Option<Outcome<T>>>,
    on_end: Arc<OnEnd>,
}

/// The waker of one member's end.
struct OnEnd {
    key: usize,
    /// The key is in the queue. Relaxed: it is cleared before the look that polls the task. That poll changes
    /// the task's state, as the end of the task does: either the poll sees the end, or the end's wake comes
    /// behind the poll and finds this cleared.
    queued: AtomicBool,
    ended: Arc<Ended>,
}

/// The members that have ended and are not yet joined.
#[derive(Default)]
struct Ended {
    /// Holding this = the right to add and to take keys, and to set the waker. No foreign code runs under it.
    state: Mutex<EndedState>,
}

#[derive(Default)]
struct EndedState {
    keys: VecDeque<usize>,
    /// Of the task that waits for the next end.
    waker: Option<Waker>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            members: Chunks::new(),
            ended: Arc::default(),
            #[cfg(test)]
            looks: 0,
        }
    }

    /// How many tasks are in the set: those that run, and those that have ended and were not joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether no task is left to be joined.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Waits until a task has ended, takes it out of the set, and returns its output; `None` if the set is
    /// empty.
    ///
    /// Cancel-safe: a task that was not returned stays in the set.
    ///
    /// # Errors
    /// That of the task: it panicked, was aborted, or was refused when it was spawned.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](JoinSet::join_next), without waiting: `None` also if every task still runs, or was dropped
    /// by the shutdown of the runtime that the caller is in.
    ///
    /// # Errors
    /// That of the task.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        while let Some(key) = self.ended.pop() {
            match self.take(key) {
                Poll::Ready(Some(result)) => return Some(result),
                // It had not ended, or is no member any more.
                Poll::Ready(None) => {}
                Poll::Pending => return None,
            }
        }
        None
    }

    /// Ready with the next task that has ended, or with `None` if the set is empty; otherwise the current task
    /// is woken when one ends. It spends an operation of the poll's budget ([`coop`]).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        ready!(coop::poll_proceed(cx));
        while !self.is_empty() {
            let next = self.ended.pop_or_wait(cx.waker()).map(|key| self.take(key));
            match next {
                Some(Poll::Ready(Some(result))) => return Poll::Ready(Some(result)),
                // It had not ended, or is no member any more.
                Some(Poll::Ready(None)) => {}
                Some(Poll::Pending) => return Poll::Pending,
                None => {
                    coop::restore();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(None)
    }

    /// Joins all tasks: their outputs, in the order in which the tasks ended.
    ///
    /// # Panics
    /// If a task did not give its output: with the panic of the task, or with the reason. The other tasks are
    /// aborted then.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result.map_err(JoinError::try_into_panic) {
                Ok(output) => outputs.push(output),
                Err(Ok(payload)) => resume_unwind(payload),
                Err(Err(error)) => panic!("{error}"),
            }
        }
        outputs
    }

    /// Aborts all tasks. They stay in the set: each is joined with an error that is
    /// [cancelled](JoinError::is_cancelled), unless it had finished.
    pub fn abort_all(&mut self) {
        self.members.iter().for_each(|(_, member)| member.task.abort());
    }

    /// Aborts all tasks and waits until each has been dropped or has finished; what they gave is dropped.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Takes all tasks out of the set, and lets them run on.
    pub fn detach_all(&mut self) {
        self.members = Chunks::new();
    }

    /// Adds a task.
    pub(crate) fn insert(&mut self, task: JoinHandle<T>) -> AbortHandle {
        let abort = task.abort_handle();
        let on_end = OnEnd::new(0, &self.ended);
        let key = self.members.insert(Member { task, outcome: Mutex::new(None), on_end });
        let member = &mut self.members[key];
        member.on_end = OnEnd::new(key, &self.ended);
        let mut has_ended = member.task.is_finished();
        if !has_ended && let Poll::Ready(outcome) = member.poll() {
            *member.outcome.get_mut() = outcome;
            has_ended = true;
        }
        if has_ended {
            member.on_end.notify();
        }
        self.count_look();
        abort
    }

    /// Takes a member out if it has ended. Pending where the runtime that waits here shuts down.
    fn take(&mut self, key: usize) -> Poll<Option<Result<T, JoinError>>> {
        self.count_look();
        let Some(member) = self.members.get_mut(key) else { return Poll::Ready(None) };
        // Before the look: an end that comes after it is queued again.
        member.on_end.queued.store(false, Ordering::Relaxed);
        let result = match member.task.take_refusal() {
            Some(error) => Err(error),
            None => match member.take_outcome() {
                Poll::Pending => return Poll::Ready(None),
                Poll::Ready(Some(outcome)) => outcome.into_result(),
                // Dropped by a shutdown, which may be that of the runtime that waits here.
                Poll::Ready(None) => {
                    if coop::poll_closing().is_pending() {
                        member.on_end.notify();
                        return Poll::Pending;
                    }
                    Err(JoinError(Kind::Cancelled))
                }
            },
        };
        drop(self.members.remove(key));
        Poll::Ready(Some(result))
    }

    fn count_look(&mut self) {
        #[cfg(test)]
        {
            self.looks += 1;
        }
    }
}

impl<T> Member<T> {
    fn take_outcome(&mut self) -> Poll<Option<Outcome<T>>> {
        match self.outcome.get_mut().take() {
            Some(outcome) => Poll::Ready(Some(outcome)),
            None => self.poll(),
        }
    }

    fn poll(&mut self) -> Poll<Option<Outcome<T>>> {
        self.task.poll_outcome(&Waker::from(Arc::clone(&self.on_end)))
    }
}

impl OnEnd {
    fn new(key: usize, ended: &Arc<Ended>) -> Arc<OnEnd> {
        Arc::new(OnEnd { key, queued: AtomicBool::new(false), ended: Arc::clone(ended) })
    }

    fn notify(&self) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.ended.push(self.key);
        }
    }
}

/// Does not panic: async-task, which calls it where a task ends, would abort the process.
impl Wake for OnEnd {
    fn wake(self: Arc<Self>) {
        self.notify();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify();
    }
}

impl Ended {
    fn push(&self, key: usize) {
        let waker = {
            let mut state = self.state.lock();
            state.keys.push_back(key);
            state.waker.take()
        };
        if let Some(waker) = waker {
            panics::contain(Place::JoinWaker, || waker.wake());
        }
    }

    fn pop(&self) -> Option<usize> {
        self.state.lock().pop()
    }

    /// The next key; if there is none, `waker` is called when there is one.
    fn pop_or_wait(&self, waker: &Waker) -> Option<usize> {
        {
            let mut state = self.state.lock();
            let next = state.pop();
            if next.is_some() || state.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
                return next;
            }
        }
        let new = waker.clone();
        let (next, old) = {
            let mut state = self.state.lock();
            match state.pop() {
                Some(next) => (Some(next), Some(new)),
                None => (None, state.waker.replace(new)),
            }
        };
        panics::drop_all(old);
        next
    }
}

impl EndedState {
    fn pop(&mut self) -> Option<usize> {
        let next = self.keys.pop_front();
        if self.keys.is_empty() && self.keys.capacity() > KEPT_PLACES {
            self.keys = VecDeque::new();
        }
        next
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
        // Here, where its panic is contained, and not with the last task.
        let waker = self.ended.state.lock().waker.take();
        panics::drop_all(waker);
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Places that an empty queue keeps.
const KEPT_PLACES: usize = 1024;

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::*;
    use crate::{Builder, Idle, yield_now};

    /// Failure: each end had all tasks of the set looked at, so that joining them was quadratic.
    #[test]
    fn joining_looks_at_no_task_that_runs() {
        const TASKS: usize = 10_000;
        let runtime = Builder::new().workers(2).start(Idle::new()).unwrap();
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for number in 0..TASKS {
                set.spawn(async move {
                    for _ in 0..number % 7 {
                        yield_now().await;
                    }
                    number
                });
            }
            // These never end.
            (0..100).for_each(|_| {
                set.spawn(std::future::pending());
            });
            let mut sum = 0;
            for _ in 0..TASKS {
                sum += set.join_next().await.unwrap().unwrap();
            }
            assert_eq!((sum, set.len()), (TASKS * (TASKS - 1) / 2, 100));
            // One look when it is added, and one when it has ended.
            assert!(set.looks <= 2 * TASKS + 100, "{} looks", set.looks);
        });
    }
}
