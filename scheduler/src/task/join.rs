//! A handle to wait for the output of a task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};

use async_task::{FallibleTask, Task};
use parking_lot::Mutex;

use super::abort::AbortHandle;
use super::cell::Meta;
use super::error::{JoinError, Kind};
use super::guard::{Ending, Outcome};
use super::refused::Refused;
use crate::panics::{self, Place};
use crate::{context, coop};

/// Waits for a task's output.
///
/// Dropping the handle detaches the task: it runs on. A panic in a task is counted, and is reported by the error
/// that the handle gives; where the handle was dropped, the panic is logged instead, as is a refusal at a bound.
/// Awaiting it is cancel-safe: nothing is lost when the await is dropped,
/// the handle can be awaited again.
///
/// Inside a runtime that shuts down it is pending for ever, as every wait there; in another runtime
/// it yields an error: the task was dropped.
///
/// # Errors
/// Awaiting gives a [`JoinError`] if the task panicked, was aborted or dropped by a shutdown, or
/// was refused when it was spawned.
///
/// # Panics
/// When it is polled again after it gave its result.
///
/// ```
/// # let runtime = heist::Builder::new().workers(1).start()?;
/// runtime.block_on(async {
///     let answer = heist::spawn(async { 6 * 7 });
///     assert_eq!(answer.await.unwrap(), 42);
/// });
/// # Ok::<(), heist::StartError>(())
/// ```
pub struct JoinHandle<T> {
    state: State<T>,
}

enum State<T> {
    /// Not polled yet, as most handles never are: the task's own metadata can abort it.
    Spawned(Task<Outcome<T>, Meta>),
    Joining {
        task: FallibleTask<Outcome<T>, Meta>,
        abort: AbortHandle,
    },
    Refused(Refused),
    Finished,
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: Task<Outcome<T>, Meta>) -> Self {
        JoinHandle { state: State::Spawned(task) }
    }

    pub(crate) fn refused(refused: Refused) -> Self {
        JoinHandle { state: State::Refused(refused) }
    }

    /// Asks for the task to be dropped instead of polled again.
    ///
    /// A poll under way is not interrupted. A task that has finished keeps its output; otherwise
    /// awaiting the handle gives an error that is [cancelled](JoinError::is_cancelled).
    pub fn abort(&self) {
        match &self.state {
            State::Spawned(task) => drop(task.metadata().abort()),
            State::Joining { abort, .. } => drop(abort.abort()),
            State::Refused(_) | State::Finished => {}
        }
    }

    /// A handle that can abort the task but not join it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        match &self.state {
            State::Spawned(task) => AbortHandle::of(task.metadata()),
            State::Joining { abort, .. } => abort.clone(),
            State::Refused(_) | State::Finished => AbortHandle::of_none(),
        }
    }

    /// Whether the task has ended: finished, panicked, dropped or refused.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match &self.state {
            State::Spawned(task) => task.is_finished(),
            State::Joining { task, .. } => task.is_finished(),
            State::Refused(_) | State::Finished => true,
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_proceed(cx));
        self.state.join();
        let result = match &mut self.state {
            State::Spawned(_) => unreachable!("it is being joined since the line above"),
            State::Joining { task, .. } => match poll_task(task, cx) {
                Poll::Pending => {
                    coop::restore();
                    return Poll::Pending;
                }
                // Dropped by a shutdown, which may be that of the runtime that waits here.
                Poll::Ready(None) => {
                    ready!(coop::poll_closing());
                    Err(JoinError(Kind::Cancelled))
                }
                Poll::Ready(Some(outcome)) => outcome.into_result(),
            },
            State::Refused(refused) => Err(JoinError(Kind::Refused(refused.refusal()))),
            State::Finished => panic!("JoinHandle polled after it gave its result"),
        };
        // The finished task stays in place until here; dropping it has nothing left to cancel. One
        // that was refused is not detached, as its error is returned.
        if let State::Joining { task, .. } = std::mem::replace(&mut self.state, State::Finished) {
            task.detach();
        }
        Poll::Ready(result)
    }
}

/// What a [`JoinSet`](super::JoinSet) needs.
impl<T> JoinHandle<T> {
    /// As `poll`, with a waker that does not panic, and without a look at the budget. The outcome is not
    /// opened: dropped, it logs a panic.
    pub(super) fn poll_outcome(&mut self, waker: &Waker) -> Poll<Option<Outcome<T>>> {
        self.state.join();
        match &mut self.state {
            State::Joining { task, .. } => Pin::new(task).poll(&mut Context::from_waker(waker)),
            State::Spawned(_) | State::Refused(_) | State::Finished => Poll::Ready(None),
        }
    }

    /// Why the task was never taken, if so. The handle then has given its error.
    pub(super) fn take_refusal(&mut self) -> Option<JoinError> {
        match &self.state {
            State::Refused(refused) => {
                let error = JoinError(Kind::Refused(refused.refusal()));
                self.state = State::Finished;
                Some(error)
            }
            State::Spawned(_) | State::Joining { .. } | State::Finished => None,
        }
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Finished) {
            State::Spawned(task) => task.detach(),
            State::Joining { task, .. } => task.detach(),
            State::Refused(refused) => refused.detach(),
            State::Finished => {}
        }
    }
}

/// Polls a task that is joined, with a waker that does not panic: async-task, which calls it or
/// drops it where the task ends, would abort the process.
fn poll_task<T>(
    task: &mut FallibleTask<Outcome<T>, Meta>,
    cx: &mut Context<'_>,
) -> Poll<Option<Outcome<T>>> {
    if context::is_own_waker(cx.waker()) {
        return Pin::new(task).poll(cx);
    }
    let waker = Waker::from(Arc::new(Contained(Some(cx.waker().clone()))));
    Pin::new(task).poll(&mut Context::from_waker(&waker))
}

/// A foreign waker, whose panics are contained; `None` once it is dropped.
struct Contained(Option<Waker>);

impl Wake for Contained {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = &self.0 {
            panics::contain(Place::JoinWaker, || waker.wake_by_ref());
        }
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let waker = self.0.take();
        panics::contain(Place::WakerDrop, || drop(waker));
    }
}

impl<T> Outcome<T> {
    pub(super) fn into_result(self) -> Result<T, JoinError> {
        match self.into_ending() {
            Ending::Finished(output) => Ok(output),
            Ending::Panicked(panic) => Err(JoinError(Kind::Panicked(Mutex::new(panic.payload)))),
            Ending::Aborted => Err(JoinError(Kind::Cancelled)),
        }
    }
}

impl<T> State<T> {
    /// From the first poll on the task may be cancelled, which only a fallible handle survives; and
    /// that one does not lead to the task's metadata.
    fn join(&mut self) {
        *self = match std::mem::replace(self, State::Finished) {
            State::Spawned(task) => {
                let abort = AbortHandle::of(task.metadata());
                State::Joining { task: task.fallible(), abort }
            }
            other => other,
        };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
