//! The future inside every cell, which catches the panics of user code.
//!
//! `async-task` closes a task whose poll panics and unwinds into the worker, and aborts the process
//! when a destructor panics while it drops a future or an output. Both panics end here instead.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::registration::Registration;
use super::spawn_info::SpawnInfo;
use crate::{context, panics};

pin_project_lite::pin_project! {
    /// A future that yields its output or the panic that ended it.
    pub(crate) struct Guarded<F> {
        // `None` once it is finished, so that its drop happens in here too.
        #[pin]
        future: Option<F>,
        // Behind the future: the entry in the registry is freed only after the future is dropped.
        registration: Registration,
    }

    impl<F> PinnedDrop for Guarded<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                // Inside the runtime, on any thread: a destructor may spawn, or arm a timer.
                let registration = &*this.registration;
                let owner = registration.registry().owner();
                owner.run_inside(&mut || drop_future(&mut this.future, registration));
            }
        }
    }
}

/// How a task ended, for its join handle; `None` once that was taken.
///
/// It is taken or dropped, and only once, as async-task's state decides: by the handle, or, where there is
/// none any more, by the task's end. So a panic is either reported by the handle's error or logged by the
/// destructor. That catches the panics of what it drops, too.
pub(crate) struct Outcome<T>(Option<Ending<T>>);

/// How a task ended.
pub(crate) enum Ending<T> {
    Finished(T),
    Panicked(Box<TaskPanic>),
    Aborted,
}

/// A panic that ended a task.
pub(crate) struct TaskPanic {
    pub(super) payload: Box<dyn Any + Send>,
    /// The task, to be named in the log; `None` if its registry has forgotten it.
    pub(super) info: Option<SpawnInfo>,
}

impl<F> Guarded<F> {
    pub(crate) fn new(future: F, registration: Registration) -> Self {
        Guarded { future: Some(future), registration }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            unreachable!("async-task never polls a future that has finished");
        };
        // Here and not before the poll: from here on a wake queues the task again, so the next poll sees
        // an abort that this check misses. The wake of an abort that came while the task was still marked
        // as queued would have had no effect.
        let ending = if this.registration.aborted() {
            Ending::Aborted
        } else {
            context::begin_poll(cx.waker());
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Pending) if this.registration.keep_waker(cx.waker()) => {
                    context::end_poll(cx.waker());
                    return Poll::Pending;
                }
                Ok(Poll::Pending) => Ending::Aborted,
                Ok(Poll::Ready(output)) => {
                    this.registration.set_finished();
                    Ending::Finished(output)
                }
                Err(payload) => {
                    this.registration.set_finished();
                    let info = this.registration.count_panic();
                    Ending::Panicked(Box::new(TaskPanic { payload, info }))
                }
            }
        };
        drop_future(&mut this.future, this.registration);
        Poll::Ready(Outcome(Some(ending)))
    }
}

fn drop_future<F>(future: &mut Pin<&mut Option<F>>, registration: &Registration) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| future.set(None))) {
        let info = registration.count_panic();
        TaskPanic { payload, info }.log("drop of its future");
    }
}

impl<T> Outcome<T> {
    pub(crate) fn into_ending(mut self) -> Ending<T> {
        self.0.take().unwrap_or_else(|| unreachable!("only this method takes it, by value"))
    }
}

impl TaskPanic {
    /// Logs the panic, for which no handle waits, and drops what it was raised with.
    #[cold]
    fn log(self, during: &str) {
        let TaskPanic { payload, info } = self;
        if let Some(info) = info {
            panics::log(|| {
                tracing::error!(
                    task = info.name(),
                    spawned_at = %info.location,
                    during,
                    message = panics::message(&*payload),
                    "task panicked"
                );
            });
        }
        panics::discard(payload);
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let ending = match self.0.take() {
            None => return,
            Some(Ending::Panicked(panic)) => return panic.log("poll"),
            Some(ending) => ending,
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(ending))) {
            let message = panics::message(&*payload);
            panics::log(|| tracing::error!(message, "panic in the drop of an output"));
            panics::discard(payload);
        }
    }
}
