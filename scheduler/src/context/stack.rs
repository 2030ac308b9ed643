//! The runtimes that a thread has entered, in order: a stack in a thread-local.
//!
//! A worker's thread enters its worker for as long as it runs; `enter` and `block_on` enter a runtime
//! on other threads.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::poll::PollContext;
use super::runtime::{RuntimeContext, RuntimeRef};
use crate::panics;

thread_local! {
    // Never dropped, so that no look has to ask whether it was. Each scope leaves what it entered, so
    // at its end a thread is inside nothing.
    static STACK: ManuallyDrop<Stack> = const {
        ManuallyDrop::new(Stack {
            current: RefCell::new(None),
            is_worker: Cell::new(false),
            outer: RefCell::new(Vec::new()),
            next_scope: Cell::new(0),
        })
    };
}

struct Stack {
    /// What was entered last and is not left yet.
    current: RefCell<Option<Context>>,
    /// Whether that is a worker: for a look that costs one load.
    is_worker: Cell<bool>,
    /// For each scope that is not left yet, in the order of entering: its number, and what was
    /// current before it.
    outer: RefCell<Vec<(u64, Option<Context>)>>,
    next_scope: Cell<u64>,
}

/// Where the current thread is.
pub(crate) enum Context {
    /// In a turn of this worker.
    Worker(Rc<PollContext>),
    /// Inside a runtime, on a thread of a user's or of the blocking pool.
    Entered(RuntimeRef),
}

/// Leaves the context when dropped.
///
/// Code that ran inside may have forgotten a guard of its own. That is left, too.
#[must_use = "the context is left when this is dropped"]
pub(crate) struct Scope {
    number: u64,
    /// It is a user's guard, which has to be dropped in order.
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
    STACK.with(|stack| {
        let number = stack.next_scope.get();
        stack.next_scope.set(number + 1);
        let outer = stack.set_current(Some(context));
        stack.outer.borrow_mut().push((number, outer));
        Scope { number, is_guard, _thread: PhantomData }
    })
}

/// What `look` finds in the current context; `None` outside. Also in a destructor of the thread's
/// data: a waker that is called from there must still work.
///
/// `look` runs no foreign code, which might enter or leave a runtime meanwhile.
#[inline]
pub(super) fn look_at<R>(look: impl FnOnce(&Context) -> R) -> Option<R> {
    STACK.with(|stack| stack.current.borrow().as_ref().map(look))
}

/// As [`look_at`], where the current thread is a worker.
#[inline]
pub(super) fn look_at_worker<R>(look: impl FnOnce(&PollContext) -> R) -> Option<R> {
    look_at(|context| match context {
        Context::Worker(poll) => Some(look(poll)),
        Context::Entered(_) => None,
    })
    .flatten()
}

/// Whether what was entered last is a worker.
#[inline]
pub(crate) fn is_worker() -> bool {
    STACK.with(|stack| stack.is_worker.get())
}

/// Whether the current thread is a worker, whatever it has entered since.
pub(crate) fn on_worker() -> bool {
    any_worker(|_| true)
}

/// As [`on_worker`], of this runtime.
pub(crate) fn on_worker_of(runtime: &RuntimeContext) -> bool {
    any_worker(|poll| std::ptr::eq(poll.runtime().context(), runtime))
}

fn any_worker(is_meant: impl Fn(&PollContext) -> bool) -> bool {
    let worker = |context: &Option<Context>| match context {
        Some(Context::Worker(poll)) => is_meant(poll),
        Some(Context::Entered(_)) | None => false,
    };
    STACK.with(|stack| {
        worker(&stack.current.borrow())
            || stack.outer.borrow().iter().any(|(_, outer)| worker(outer))
    })
}

impl Context {
    pub(super) fn runtime(&self) -> &RuntimeRef {
        match self {
            Context::Worker(poll) => poll.runtime(),
            Context::Entered(runtime) => runtime,
        }
    }

    #[inline]
    pub(super) fn runtime_context(&self) -> &RuntimeContext {
        self.runtime().context()
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let (left, in_order) = STACK.with(|stack| match self.is_guard {
            true => stack.leave(self.number),
            false => (stack.leave_all_from(self.number), true),
        });
        // The last reference to the runtime may go with it, and foreign code with that: not under a
        // borrow.
        drop(left);
        if !in_order {
            guards_out_of_order();
        }
    }
}

impl Stack {
    /// Panics caught on this thread are counted for the runtime that it is inside.
    fn set_current(&self, context: Option<Context>) -> Option<Context> {
        let caught = context.as_ref().map(|context| &context.runtime_context().caught_panics);
        panics::count_in(caught.cloned());
        self.is_worker.set(matches!(context, Some(Context::Worker(_))));
        self.current.replace(context)
    }

    /// Leaves a scope; what was entered with it, and whether no scope was entered after it.
    fn leave(&self, number: u64) -> (Vec<Option<Context>>, bool) {
        let mut outer = self.outer.borrow_mut();
        let Some(place) = outer.iter().rposition(|(scope, _)| *scope == number) else {
            // Left with an older scope.
            return (Vec::new(), true);
        };
        let (_, before) = outer.remove(place);
        match outer.get_mut(place) {
            None => (vec![self.set_current(before)], true),
            // What was entered with this scope is what was current before the next one.
            Some((_, entered)) => (vec![std::mem::replace(entered, before)], false),
        }
    }

    /// Leaves a scope and all that were entered after it; what was entered with them.
    fn leave_all_from(&self, number: u64) -> Vec<Option<Context>> {
        let mut outer = self.outer.borrow_mut();
        let Some(place) = outer.iter().rposition(|(scope, _)| *scope == number) else {
            return Vec::new();
        };
        let mut left: Vec<_> = outer.drain(place..).map(|(_, before)| before).collect();
        // The first of these was current before this scope.
        left[0] = self.set_current(left[0].take());
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

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::context::is_inside;
    use crate::panics;
    use crate::{Builder, Handle, Idle};

    /// Failure: the thread stayed in a runtime for ever.
    #[test]
    fn guards_dropped_out_of_order_panic_and_leave_the_thread_where_it_is() {
        let runtimes = [(); 3].map(|()| Builder::new().workers(1).start(Idle::new()).unwrap());
        let [a, b, c] = [0, 1, 2].map(|n| runtimes[n].handle().clone());
        let is_in = |handle: &Handle| is_inside(handle.context());
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
