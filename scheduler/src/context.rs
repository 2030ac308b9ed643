//! Which runtime, and which of its workers, the current thread is in.
//!
//! The only thread-local of the crate. A worker sets it around each turn, so that many simulated
//! workers could share a thread; `enter` and `block_on` set it for other threads.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use crate::coop::Step;
use crate::local::Local;
use crate::runtime::Handle;
use crate::task::{Admission, Birth, Home, Refusal, Task};
use crate::time::{Instant, Place, TimerQueue};

thread_local! {
    // Never dropped, so that no look has to ask whether it was. Who entered leaves, so at its end a
    // thread is nowhere.
    static CURRENT: ManuallyDrop<RefCell<Option<Context>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Where the current thread is.
pub(crate) enum Context {
    /// In a turn of this worker.
    Worker(Rc<Local>),
    /// Inside a runtime, but on a thread of somebody else's, or of the blocking pool.
    Entered(Handle),
}

/// Puts the previous context back when dropped.
#[must_use = "the context is left when this is dropped"]
pub(crate) struct Scope {
    outer: Option<Context>,
}

/// Enters `context` until the scope is dropped.
pub(crate) fn enter(context: Context) -> Scope {
    Scope { outer: CURRENT.with(|current| current.replace(Some(context))) }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let outer = self.outer.take();
        drop(CURRENT.with(|current| current.replace(outer)));
    }
}

/// What `look` finds in the current context; `None` outside. Also in a destructor of the thread's
/// data: a waker that is called from there must still work.
///
/// `look` runs nobody else's code, which might enter or leave a runtime meanwhile.
#[inline]
fn look_at<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    CURRENT.with(|current| current.borrow().as_ref().map(look))
}

/// As [`look_at`], where the current thread is a worker.
#[inline]
fn look_at_worker<R>(look: impl FnOnce(&Local) -> R) -> Option<R> {
    look_at(|context| match context {
        Context::Worker(local) => Some(look(local)),
        Context::Entered(_) => None,
    })
    .flatten()
}

pub(crate) fn handle() -> Option<Handle> {
    look_at(|context| match context {
        Context::Worker(local) => local.handle().clone(),
        Context::Entered(handle) => handle.clone(),
    })
}

/// Takes a place for a task that is spawned here. Without a clone of the runtime's handle, whose
/// count all workers share.
#[inline]
pub(crate) fn admit(birth: &Birth) -> Option<Result<Admission, Refusal>> {
    look_at(|context| match context {
        Context::Worker(local) => Home::admit(local.home(), birth),
        Context::Entered(handle) => handle.admit_foreign(birth),
    })
}

/// The index of the worker of `handle`'s runtime that this thread is.
pub(crate) fn worker_index_in(handle: &Handle) -> Option<usize> {
    look_at_worker(|local| local.handle().same_runtime(handle).then(|| local.index())).flatten()
}

pub(crate) fn on_worker() -> bool {
    look_at_worker(|_| ()).is_some()
}

/// Gives a task to the current worker if it is one of the task's runtime; otherwise gives it back.
pub(crate) fn offer(task: Task, yielded: bool) -> Option<Task> {
    let mut task = Some(task);
    let refused = look_at_worker(|local| {
        let owned = |task: &mut Task| task.metadata().home().is_owned_by(local.core_address());
        task.take_if(owned).and_then(|task| local.push(task, yielded))
    });
    // By a worker that closes. Dropping it runs its owner's code, so not before here.
    drop(refused);
    task
}

/// The queue that timers armed here go to.
pub(crate) fn timers() -> Option<Arc<TimerQueue>> {
    look_at(|context| Arc::clone(timers_of(context)))
}

/// Whether [`timers`] is `queue`.
pub(crate) fn arms_in(queue: &Arc<TimerQueue>) -> bool {
    look_at(|context| Arc::ptr_eq(timers_of(context), queue)).unwrap_or(false)
}

fn timers_of(context: &Context) -> &Arc<TimerQueue> {
    match context {
        Context::Worker(local) => local.timers(),
        Context::Entered(handle) => handle.shared_timers(),
    }
}

/// The entry that the current worker keeps for the next timer.
#[inline]
pub(crate) fn spare_timer() -> Option<Place> {
    look_at_worker(Local::spare_timer).flatten()
}

/// Gives up a timer's entry: the current worker keeps it for the next timer if it can; otherwise, or
/// for it, one is cancelled.
#[inline]
pub(crate) fn give_up_timer(place: Place) {
    let mut place = Some(place);
    let kept = look_at_worker(|local| place.take().and_then(|place| local.keep_timer(place)));
    if let Some(place) = kept.flatten().or(place) {
        place.cancel();
    }
}

/// The time on the current runtime's clock.
pub(crate) fn now() -> Option<Instant> {
    look_at(|context| match context {
        Context::Worker(local) => local.clock().now(),
        Context::Entered(handle) => handle.clock().now(),
    })
}

/// The time at which the present poll began; off the workers, the time now.
#[inline]
pub(crate) fn poll_time() -> Option<Instant> {
    look_at(|context| match context {
        Context::Worker(local) => local.now.get(),
        Context::Entered(handle) => handle.clock().now(),
    })
}

/// Spends one operation of the current poll's budget, and says where and when that is. `None`
/// outside of a runtime.
///
/// Inline, because the answer is as large as the work that it takes.
#[inline(always)]
pub(crate) fn step(cx: &mut TaskContext<'_>) -> Option<Poll<Step>> {
    let on_worker = look_at_worker(|local| local.spend().then(|| local.step()));
    match on_worker {
        Some(Some(step)) => Some(Poll::Ready(step)),
        Some(None) => {
            cx.waker().wake_by_ref();
            Some(Poll::Pending)
        }
        None => step_off_the_workers().map(Poll::Ready),
    }
}

#[cold]
fn step_off_the_workers() -> Option<Step> {
    now().map(Step::off_the_workers)
}

/// Spends one operation of the current poll's budget.
#[inline]
pub(crate) fn spend(cx: &mut TaskContext<'_>) -> Poll<()> {
    if look_at_worker(Local::spend).unwrap_or(true) {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
