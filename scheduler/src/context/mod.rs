//! Which runtime, and which of its workers, the current thread is in.
//!
//! The only thread-local of the crate. A worker's thread enters it for as long as it runs; `enter`
//! and `block_on` do so for other threads.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use crate::clock::Instant;
use crate::coop::Step;
use crate::panics;
use crate::runtime::Handle;
use crate::task::{Admission, Refused, SpawnInfo, Task, TaskRegistry};
use crate::wheel::{CachedEntry, TimerQueue};
use crate::worker::context::{Local, Pushed};

thread_local! {
    // Never dropped, so that no look has to ask whether it was. Who entered leaves, so at its end a
    // thread is nowhere.
    static THREAD: ManuallyDrop<Thread> = const {
        ManuallyDrop::new(Thread {
            current: RefCell::new(None),
            outer: RefCell::new(Vec::new()),
            next_scope: Cell::new(0),
            polled: Cell::new((ptr::null(), 0)),
            refusals: Cell::new((0, false)),
        })
    };
}

/// What is known of the current thread.
struct Thread {
    /// What was entered last and is not left yet.
    current: RefCell<Option<Context>>,
    /// For each scope that is not left yet, in the order of entering: its number, and what was
    /// current before it.
    outer: RefCell<Vec<(u64, Option<Context>)>>,
    next_scope: Cell<u64>,
    /// The [identity](identity) of the waker that the task polled last was given, which is one of
    /// this crate's.
    polled: Cell<(*const (), usize)>,
    /// Where the core of the runtime is whose `block_on` polls here, 0 for none; and whether a wait
    /// in that runtime was refused since the poll began, because it shuts down.
    refusals: Cell<(usize, bool)>,
}

/// Where the current thread is.
pub(crate) enum Context {
    /// In a turn of this worker.
    Worker(Rc<Local>),
    /// Inside a runtime, but on a thread of a user's, or of the blocking pool.
    Entered(Handle),
}

/// Leaves the context when dropped.
///
/// Code that ran inside may have forgotten a guard of its own. That is left, too.
#[must_use = "the context is left when this is dropped"]
pub(crate) struct Scope {
    number: u64,
    /// It is a user's, who has to drop it in order.
    is_guard: bool,
    /// It belongs to the thread that entered.
    _thread: PhantomData<*const ()>,
}

/// Enters `context` until the scope is dropped.
pub(crate) fn enter(context: Context) -> Scope {
    enter_as(context, false)
}

/// As [`enter`], for a guard of a user's: dropped before a younger one it panics.
pub(crate) fn enter_guarded(context: Context) -> Scope {
    enter_as(context, true)
}

fn enter_as(context: Context, is_guard: bool) -> Scope {
    THREAD.with(|thread| {
        let number = thread.next_scope.get();
        thread.next_scope.set(number + 1);
        let outer = thread.current.replace(Some(context));
        thread.outer.borrow_mut().push((number, outer));
        Scope { number, is_guard, _thread: PhantomData }
    })
}

impl Drop for Scope {
    fn drop(&mut self) {
        let (left, in_order) = THREAD.with(|thread| match self.is_guard {
            true => thread.leave(self.number),
            false => (thread.leave_all_from(self.number), true),
        });
        // The last handle may go with it, and foreign code with that, so not under a borrow.
        drop(left);
        if !in_order {
            guards_out_of_order();
        }
    }
}

impl Thread {
    /// Leaves a scope; what was entered with it, and whether no scope was entered after it.
    fn leave(&self, number: u64) -> (Vec<Option<Context>>, bool) {
        let mut outer = self.outer.borrow_mut();
        let Some(index) = outer.iter().rposition(|(scope, _)| *scope == number) else {
            // Left with an older scope.
            return (Vec::new(), true);
        };
        let (_, before) = outer.remove(index);
        match outer.get_mut(index) {
            None => (vec![self.current.replace(before)], true),
            // What was entered with this scope is what was current before the next one.
            Some((_, entered)) => (vec![std::mem::replace(entered, before)], false),
        }
    }

    /// Leaves a scope and all that were entered after it; what was entered with them.
    fn leave_all_from(&self, number: u64) -> Vec<Option<Context>> {
        let mut outer = self.outer.borrow_mut();
        let Some(index) = outer.iter().rposition(|(scope, _)| *scope == number) else {
            return Vec::new();
        };
        let mut left: Vec<_> = outer.drain(index..).map(|(_, before)| before).collect();
        // The first of these was current before this scope.
        left[0] = self.current.replace(left[0].take());
        left
    }
}

#[cold]
fn guards_out_of_order() {
    const WHAT: &str = "a guard of `Handle::enter` was dropped while a younger one was alive: drop \
                        guards in the reverse order of their making";
    // A panic beside another one would end the process.
    match std::thread::panicking() {
        true => panics::log(|| tracing::error!("{WHAT}")),
        false => panic!("{WHAT}"),
    }
}

/// What `look` finds in the current context; `None` outside. Also in a destructor of the thread's
/// data: a waker that is called from there must still work.
///
/// `look` runs no foreign code, which might enter or leave a runtime meanwhile.
#[inline]
fn look_at<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    THREAD.with(|thread| thread.current.borrow().as_ref().map(look))
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

impl Context {
    fn handle(&self) -> &Handle {
        match self {
            Context::Worker(local) => local.handle(),
            Context::Entered(handle) => handle,
        }
    }

    #[inline]
    fn is_closing(&self) -> bool {
        match self {
            Context::Worker(local) => local.is_closing(),
            Context::Entered(handle) => handle.is_shutting_down(),
        }
    }
}

pub(crate) fn handle() -> Option<Handle> {
    look_at(|context| context.handle().clone())
}

/// Whether the current thread is inside the runtime of `handle`.
pub(crate) fn is_inside(handle: &Handle) -> bool {
    look_at(|context| context.handle().same_runtime(handle)).unwrap_or(false)
}

/// Takes a place for a task that is spawned here. Without a clone of the runtime's handle, whose
/// count all workers share.
#[inline]
pub(crate) fn admit(info: &SpawnInfo) -> Option<Result<Admission, Refused>> {
    look_at(|context| match context {
        Context::Worker(local) => TaskRegistry::admit(local.registry(), info),
        Context::Entered(handle) => handle.admit_foreign(info),
    })
}

/// The index of the worker of `handle`'s runtime that this thread is.
pub(crate) fn worker_index_in(handle: &Handle) -> Option<usize> {
    look_at_worker(|local| local.handle().same_runtime(handle).then(|| local.index())).flatten()
}

/// Whether the current thread is a worker, whatever it has entered since.
pub(crate) fn on_worker() -> bool {
    let worker = |context: &Option<Context>| matches!(context, Some(Context::Worker(_)));
    THREAD.with(|thread| {
        worker(&thread.current.borrow())
            || thread.outer.borrow().iter().any(|(_, outer)| worker(outer))
    })
}

/// Counts a panic of foreign code that was caught, where there is a runtime to count it.
pub(crate) fn count_caught_panic() {
    look_at(|context| context.handle().core().count_caught_panic());
}

/// Gives a task to the current worker if it is one of the task's runtime; otherwise gives it back.
pub(crate) fn offer(task: Task, yielded: bool) -> Option<Task> {
    let mut task = Some(task);
    let pushed = look_at_worker(|local| {
        let owned = |task: &mut Task| task.metadata().registry().is_owned_by(local.core_address());
        task.take_if(owned).map(|task| local.push(task, yielded))
    });
    // Foreign code, so not under the borrow.
    match pushed.flatten() {
        Some(Pushed::Refused(task)) => drop(task),
        Some(Pushed::Wake(core, action)) => {
            core.carry_out(action);
        }
        Some(Pushed::Queued) | None => {}
    }
    task
}

/// A task is polled with `waker`, its own.
#[inline]
pub(crate) fn begin_poll(waker: &Waker) {
    THREAD.with(|thread| thread.polled.set(identity(waker)));
}

/// Whether `waker` is that of the task that was polled last on this thread, which does not panic.
pub(crate) fn is_own_waker(waker: &Waker) -> bool {
    THREAD.with(|thread| thread.polled.get() == identity(waker))
}

/// What [`Waker::will_wake`] compares.
#[inline]
fn identity(waker: &Waker) -> (*const (), usize) {
    (waker.data(), ptr::from_ref(waker.vtable()).addr())
}

/// What `look`, which runs no foreign code, finds in the queue that timers armed here go to.
#[inline]
pub(crate) fn with_timers<R>(look: impl FnOnce(&Arc<TimerQueue>) -> R) -> Option<R> {
    look_at(|context| look(timers_of(context)))
}

fn timers_of(context: &Context) -> &Arc<TimerQueue> {
    match context {
        Context::Worker(local) => local.timers(),
        Context::Entered(handle) => handle.shared_timers(),
    }
}

/// The entry that the current worker keeps for the next timer.
#[inline]
pub(crate) fn take_cached_timer() -> Option<CachedEntry> {
    look_at_worker(Local::take_cached_timer).flatten()
}

/// Gives up a timer's entry: the current worker keeps it for the next timer if it can; otherwise, or
/// for it, one is cancelled.
#[inline]
pub(crate) fn release_timer(entry: CachedEntry) {
    let mut entry = Some(entry);
    let kept = look_at_worker(|local| entry.take().and_then(|entry| local.cache_timer(entry)));
    if let Some(entry) = kept.flatten().or(entry) {
        entry.cancel();
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

/// What comes of asking for an operation.
pub(crate) enum Spent<T> {
    /// It may be done; this is known of the poll.
    Proceed(T),
    /// The budget of the poll is used up.
    Exhausted,
    /// The runtime shuts down, and with it what waits.
    Closing,
}

/// Spends one operation of the current poll's budget, and says where and when that is. `None`
/// outside of a runtime.
///
/// Inline, because the answer is as large as the work that it takes.
#[inline(always)]
pub(crate) fn step(cx: &mut TaskContext<'_>) -> Option<Poll<Step>> {
    match look_at_worker(|local| local.spend(Local::step)) {
        Some(Spent::Proceed(step)) => Some(Poll::Ready(step)),
        Some(Spent::Exhausted) => Some(put_off(cx)),
        Some(Spent::Closing) => Some(refuse()),
        None => step_off_the_workers(),
    }
}

#[cold]
fn step_off_the_workers() -> Option<Poll<Step>> {
    match is_closing() {
        true => Some(refuse()),
        false => now().map(|now| Poll::Ready(Step::off_the_workers(now))),
    }
}

/// Spends one operation of the current poll's budget.
#[inline]
pub(crate) fn spend(cx: &mut TaskContext<'_>) -> Poll<()> {
    match look_at_worker(|local| local.spend(|_| ())) {
        Some(Spent::Proceed(())) => Poll::Ready(()),
        Some(Spent::Exhausted) => put_off(cx),
        Some(Spent::Closing) => refuse(),
        None => match is_closing() {
            true => refuse(),
            false => Poll::Ready(()),
        },
    }
}

/// Gives back what [`spend`] took.
pub(crate) fn restore() {
    look_at_worker(Local::restore);
}

/// How many operations are left of the budget of the current poll; `None` off the workers.
pub(crate) fn operations_left() -> Option<u32> {
    look_at_worker(Local::operations_left)
}

/// Spends one operation if one is left.
pub(crate) fn charge() {
    look_at_worker(Local::charge);
}

#[cold]
fn put_off<T>(cx: &mut TaskContext<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Whether the current runtime has begun to shut down.
#[inline]
pub(crate) fn is_closing() -> bool {
    look_at(Context::is_closing).unwrap_or(false)
}

/// Ends a wait with the current runtime: the task is not woken again, and its worker drops it;
/// `block_on`, which cannot drop its caller, panics.
#[cold]
pub(crate) fn refuse<T>() -> Poll<T> {
    let core = look_at(|context| Arc::as_ptr(context.handle().core()).addr()).unwrap_or(0);
    THREAD.with(|thread| {
        let (watched, refused) = thread.refusals.get();
        thread.refusals.set((watched, refused || watched == core));
    });
    Poll::Pending
}

#[cold]
pub(crate) fn no_runtime(what: &str) -> ! {
    panic!(
        "{what} was used outside a heist runtime, where there is no clock and nobody to fire \
         timers: call it in a task, in `block_on`, or after `Handle::enter`"
    )
}

/// Watches for waits that are [refused](refuse) on this thread, until it is dropped. There may be a
/// `block_on` inside of another one.
pub(crate) struct Refusals {
    core: usize,
    outer: (usize, bool),
}

impl Refusals {
    /// Watches for those of the runtime of `handle`.
    pub(crate) fn watch(handle: &Handle) -> Refusals {
        let core = Arc::as_ptr(handle.core()).addr();
        let outer = THREAD.with(|thread| thread.refusals.replace((core, false)));
        Refusals { core, outer }
    }

    /// Whether there was one since the last call.
    pub(crate) fn take(&self) -> bool {
        THREAD.with(|thread| thread.refusals.replace((self.core, false))).1
    }
}

impl Drop for Refusals {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.refusals.set(self.outer));
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::panics;
    use crate::{Builder, Handle, Idle};

    /// Failure: the thread stayed in a runtime for ever.
    #[test]
    fn guards_dropped_out_of_order_panic_and_leave_the_thread_where_it_is() {
        let runtimes = [(); 3].map(|()| Builder::new().workers(1).start(Idle::new()).unwrap());
        let [a, b, c] = [0, 1, 2].map(|n| runtimes[n].handle().clone());
        let is_in = |handle: &Handle| Handle::current().same_runtime(handle);
        let (in_a, in_b, in_c) = (a.enter(), b.enter(), c.enter());
        let panic = catch_unwind(AssertUnwindSafe(|| drop(in_b))).unwrap_err();
        assert!(panics::message(&*panic).contains("reverse order"));
        assert!(is_in(&c));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(in_a))).unwrap_err();
        assert!(is_in(&c));
        drop(in_c);
        assert!(Handle::try_current().is_none());
    }
}
