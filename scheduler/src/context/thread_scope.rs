//! A scope of another library around what the threads of a runtime run.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::panics::{self, Place};

/// A scope of another library, inside which the threads of a runtime run the code of tasks.
///
/// Some libraries keep a context in each thread, which they borrow while it is entered, such as the
/// guard of tokio's runtime. So the scope calls the thread's loop, and not the other way round.
///
/// An implementation enters its context, calls `step` again and again until that returns
/// [`ControlFlow::Break`], leaves the context and returns:
///
/// * A step of a [worker](ThreadKind::Worker) polls one task at most; what a task finds in the context
///   can be renewed between two steps.
/// * A step may block for as long as the thread has nothing to do.
/// * A step does not panic.
/// * `run` is called on each thread by itself, and nested where code inside enters its runtime again.
///
/// If `run` panics or returns before a step has returned `Break`, it is logged, and the thread goes on
/// without the scope. A panic is counted in
/// [`Metrics::caught_panics`](crate::Metrics::caught_panics); only in `block_on` it is passed on to the
/// caller.
///
/// ```
/// use std::cell::Cell;
/// use std::ops::ControlFlow;
/// use std::sync::Arc;
///
/// use heist_scheduler::{Builder, Idle, ThreadKind, ThreadScope};
///
/// thread_local!(static CONNECTED: Cell<bool> = const { Cell::new(false) });
///
/// struct Connected;
///
/// impl ThreadScope for Connected {
///     fn run(&self, _thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>) {
///         let outer = CONNECTED.replace(true);
///         while step().is_continue() {}
///         CONNECTED.set(outer);
///     }
/// }
///
/// let runtime = Builder::new().workers(1).thread_scope(Arc::new(Connected)).start(Idle::new())?;
/// let connected = runtime.block_on(runtime.spawn(async { CONNECTED.get() }));
/// assert!(connected.unwrap());
/// # Ok::<(), heist_scheduler::StartError>(())
/// ```
pub trait ThreadScope: Send + Sync {
    /// Calls `step` inside the scope until it returns [`ControlFlow::Break`].
    fn run(&self, thread: ThreadKind, step: &mut dyn FnMut() -> ControlFlow<()>);
}

/// What the current thread does in a [`ThreadScope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadKind {
    /// A worker: a step runs one task or waits for one.
    Worker,
    /// A thread in [`block_on`](crate::Handle::block_on): a step polls its future once and waits. In a
    /// [current-thread](crate::Builder::current_thread) runtime a step also is one of a worker.
    BlockOn,
    /// A thread of the blocking pool: a step is one piece of work, or none.
    Blocking,
    /// Any thread, for one step: it runs a hook of the builder, or drops tasks because it aborts one or
    /// shuts the runtime down.
    Other,
}

/// The scope of a runtime's threads, where it has one.
#[derive(Clone, Default)]
pub(crate) struct OptionalScope(pub(crate) Option<Arc<dyn ThreadScope>>);

impl OptionalScope {
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Calls `step` until it returns `Break`, inside the scope if there is one. A panic of the scope
    /// ends here.
    ///
    /// A step must not panic: it would pass through the code of the scope.
    pub(crate) fn run_steps(&self, thread: ThreadKind, step: impl FnMut() -> ControlFlow<()>) {
        let mut steps = Steps { step, ended: false };
        if let Some(scope) = &self.0
            && let Err(payload) = steps.run_in(&**scope, thread)
        {
            panics::report(Place::ThreadScope, payload);
        }
        while steps.next().is_continue() {}
    }

    /// As [`run_steps`](OptionalScope::run_steps) for a caller, to which the panic of a step is passed
    /// on, and one with which the scope refuses to be entered.
    pub(crate) fn run_steps_of_caller(
        &self,
        thread: ThreadKind,
        mut step: impl FnMut() -> ControlFlow<()>,
    ) {
        let Some(scope) = &self.0 else {
            while step().is_continue() {}
            return;
        };
        let mut panic = None;
        let step = || {
            catch_unwind(AssertUnwindSafe(&mut step)).unwrap_or_else(|payload| {
                panic = Some(payload);
                ControlFlow::Break(())
            })
        };
        let mut steps = Steps { step, ended: false };
        match steps.run_in(&**scope, thread) {
            Err(payload) if steps.ended => panics::report(Place::ThreadScope, payload),
            Err(payload) => resume_unwind(payload),
            Ok(()) => while steps.next().is_continue() {},
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }

    /// Runs `code` once, inside the scope if there is one.
    pub(crate) fn run(&self, thread: ThreadKind, code: impl FnOnce()) {
        let mut code = Some(code);
        self.run_steps(thread, || {
            if let Some(code) = code.take() {
                code();
            }
            ControlFlow::Break(())
        });
    }
}

/// The steps of a thread. None follows the one that returned `Break`.
struct Steps<S> {
    step: S,
    ended: bool,
}

impl<S: FnMut() -> ControlFlow<()>> Steps<S> {
    #[inline]
    fn next(&mut self) -> ControlFlow<()> {
        if self.ended || (self.step)().is_break() {
            self.ended = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn run_in(&mut self, scope: &dyn ThreadScope, thread: ThreadKind) -> std::thread::Result<()> {
        let run = AssertUnwindSafe(|| scope.run(thread, &mut || self.next()));
        let outcome = catch_unwind(run);
        if outcome.is_ok() && !self.ended {
            panics::log(|| {
                tracing::error!(
                    ?thread,
                    "a thread scope returned before the last step; the thread goes on without it"
                );
            });
        }
        outcome
    }
}
