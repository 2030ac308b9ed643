//! Models of the sleep protocol: the real [`Sleep`], with its fences and decisions, and the real
//! [`decide`], driven as the workers drive them.
//!
//! Work is a count of tasks. A run ends when all are done; a lost wake-up is a deadlock, which loom
//! reports.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::time::Duration;

use super::estimate::Estimate;
use super::policy::{Action, Snapshot, Trigger, decide};
use super::{Claim, IdleCounts, MonitorState, ParkKind, Sleep};
use crate::clock::Instant;
use crate::monitor::MonitorTimer;
use crate::mutant::{self, Mutant, caught};

/// What the workers share, in place of `Shared`.
struct World {
    sleep: Sleep,
    workers: usize,
    cap: usize,
    work: AtomicUsize,
    /// Tasks in the express queue of a worker that is held up, and whether that is in use: `SharedExpress`.
    express: AtomicUsize,
    express_in_use: AtomicBool,
    left: AtomicUsize,
    shards: Vec<Shard>,
    monitor: MonitorState,
    timer: MonitorTimer,
    shared_timers: Option<SharedTimers>,
}

/// The shared timers: when the first of them is due, and the deadline that an idle worker waits for.
struct SharedTimers {
    next: AtomicU64,
    watch: AtomicU64,
}

/// A shard: an event that is a task, an edge-triggered wake, and a level-triggered close.
#[derive(Default)]
struct Shard {
    state: Mutex<ShardState>,
    changed: Condvar,
}

#[derive(Default)]
struct ShardState {
    event: bool,
    woken: bool,
    closed: bool,
}

impl Shard {
    /// Waits. True if the event was taken.
    fn listen(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        while !state.event && !state.woken && !state.closed {
            state = self.changed.wait(state).unwrap();
        }
        state.woken = false;
        std::mem::take(&mut state.event)
    }

    fn take_wake(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap().woken)
    }

    fn change(&self, change: impl FnOnce(&mut ShardState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

impl SharedTimers {
    /// `Shared::watch_shared_timers`.
    fn watch(&self) -> Option<Instant> {
        let next = self.next.load(Ordering::Acquire);
        let before = self.watch.fetch_min(next, Ordering::Relaxed);
        (next < before).then(|| Instant::from_nanos(next))
    }

    /// Whether the calling worker is the one that fires the timer that is due [`SOON`].
    fn fire(&self) -> bool {
        let (soon, never) = (SOON.as_nanos(), Instant::FAR_FUTURE.as_nanos());
        let (ok, failed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.next.compare_exchange(soon, never, ok, failed).is_ok()
    }

    /// `Shared::unwatch_shared_timers`.
    fn unwatch(&self, watched: Instant) {
        let (watched, never) = (watched.as_nanos(), Instant::FAR_FUTURE.as_nanos());
        let (ok, failed) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.watch.compare_exchange(watched, never, ok, failed);
    }
}

impl World {
    fn new(workers: usize, shards: usize, cap: usize, tasks: usize) -> Arc<Self> {
        Arc::new(World::without_timers(workers, shards, cap, tasks))
    }

    /// One shard, one listener, and a shared timer that is due [`LATE`].
    fn with_timer(workers: usize, tasks: usize) -> Arc<Self> {
        let next = AtomicU64::new(LATE.as_nanos());
        let watch = AtomicU64::new(Instant::FAR_FUTURE.as_nanos());
        let shared_timers = Some(SharedTimers { next, watch });
        Arc::new(World { shared_timers, ..World::without_timers(workers, 1, 1, tasks) })
    }

    fn without_timers(workers: usize, shards: usize, cap: usize, tasks: usize) -> Self {
        World {
            sleep: Sleep::new(workers, shards, usize::MAX),
            workers,
            cap,
            work: AtomicUsize::new(0),
            express: AtomicUsize::new(0),
            express_in_use: AtomicBool::new(false),
            left: AtomicUsize::new(tasks),
            shards: (0..shards).map(|_| Shard::default()).collect(),
            monitor: MonitorState::new(),
            timer: MonitorTimer::new().unwrap(),
            shared_timers: None,
        }
    }

    fn submit(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.notify_one(Trigger::ForeignSubmit);
    }

    /// Arms the timer that is due [`SOON`]: `Shared::shared_timer_armed`.
    fn arm(&self) {
        let timers = self.shared_timers.as_ref().expect("the model has timers");
        timers.next.store(SOON.as_nanos(), Ordering::Release);
        self.notify_one(Trigger::SharedTimer { deadline: SOON });
    }

    /// `Shared::notify_one`.
    fn notify_one(&self, trigger: Trigger) {
        self.wake(self.sleep.notify(trigger, self));
    }

    /// `Shared::notify_if_idle`.
    fn notify_if_idle(&self, trigger: Trigger) {
        self.wake(self.sleep.notify_without_fence(trigger, self));
    }

    /// `Shared::wake`.
    fn wake(&self, claim: Option<Claim>) {
        match claim {
            Some(Claim::Parked(worker)) => self.sleep.parker(worker).unpark(),
            Some(Claim::Listener(shard)) => self.shards[shard].change(|shard| shard.woken = true),
            None => {}
        }
    }

    fn take(&self) -> bool {
        let take = |tasks: &AtomicUsize| {
            let (ok, failed) = (Ordering::Relaxed, Ordering::Relaxed);
            tasks.fetch_update(ok, failed, |tasks| tasks.checked_sub(1)).is_ok()
        };
        take(&self.work) || self.has_express() && take(&self.express)
    }

    /// `LocalExpress::push`.
    fn push_express(&self) {
        self.express_in_use.store(true, Ordering::Relaxed);
        self.express.fetch_add(1, Ordering::Relaxed);
    }

    /// `SharedExpress::is_empty` is false.
    fn has_express(&self) -> bool {
        self.express_in_use.load(Ordering::Relaxed) && self.express.load(Ordering::Relaxed) > 0
    }

    fn finished(&self) -> bool {
        // A read-modify-write reads the latest value: a model must not spin on an old one.
        self.left.fetch_add(0, Ordering::SeqCst) == 0
    }

    fn finish_one(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shards.iter().for_each(|shard| shard.change(|shard| shard.closed = true));
            self.sleep.unpark_all();
        }
    }

    /// `Worker::run_to_close`, with the work of a poll left out.
    fn worker(&self, index: usize) {
        self.worker_with(index, false);
    }

    fn worker_with(&self, index: usize, mut permit: bool) {
        while !self.finished() {
            if self.take() {
                if std::mem::take(&mut permit) {
                    self.pass_permit_on();
                }
                self.finish_one();
            } else {
                self.park(index, &mut permit);
            }
        }
    }

    /// `Worker::pass_permit_on`.
    fn pass_permit_on(&self) {
        let trigger = Trigger::PermitReleased { now: Instant::ZERO };
        self.wake(self.sleep.pass_permit(trigger, self));
    }

    fn park(&self, index: usize, permit: &mut bool) {
        if std::mem::take(permit) {
            self.sleep.release_permit();
        }
        let kind = self.sleep.announce(index, self.cap);
        let last_look = Trigger::LastLook { worker: index, now: Instant::ZERO };
        let found = match mutant::on(Mutant::NoLastLook) {
            true => self.finished(),
            false => decide(last_look, self) == Action::KeepSearching,
        };
        if found {
            *permit |= self.sleep.leave(index, kind);
            if !mutant::on(Mutant::UnparkUnsaid) {
                self.on_unpark();
            }
            return;
        }
        let watched = self.shared_timers.as_ref().and_then(SharedTimers::watch);
        if self.all_idle() {
            self.monitor.on_all_idle();
        }
        if watched == Some(SOON) {
            // It comes at once.
            *permit |= self.sleep.leave(index, kind);
            self.on_unpark();
        } else {
            self.wait(index, kind, permit);
        }
        if let Some((timers, watched)) = self.shared_timers.as_ref().zip(watched) {
            timers.unwatch(watched);
            if watched == SOON && timers.fire() {
                self.finish_one();
            }
        }
    }

    fn wait(&self, index: usize, kind: ParkKind, permit: &mut bool) {
        match &kind {
            ParkKind::Listening(shard) if self.shards[*shard].listen() => {
                self.work.fetch_add(1, Ordering::Relaxed);
            }
            ParkKind::Listening(_) => {}
            ParkKind::Parked => self.sleep.parker(index).park(None),
        }
        *permit |= self.sleep.leave(index, kind);
        self.on_unpark();
    }

    /// A busy worker polls the shard.
    fn poll_in_passing(&self, shard: usize) {
        let woken = self.shards[shard].take_wake();
        if woken && self.sleep.take_notification(shard) {
            // It has work of its own: the wake is for another worker.
            self.pass_permit_on();
        }
    }

    fn all_idle(&self) -> bool {
        self.sleep.idle().all() == self.workers
    }

    /// `MonitorShared::on_unpark`, with a timer that fires at once: the worker is taken to run for long.
    fn on_unpark(&self) {
        if self.monitor.on_unpark() {
            self.timer.set(Duration::ZERO);
        }
    }

    /// `Monitor::doze`. Returns once the timer fired or it did not have to wait.
    fn monitor_dozes(&self) {
        self.monitor.doze();
        if self.all_idle() || mutant::on(Mutant::MonitorBlind) {
            self.timer.wait();
        }
        self.monitor.on_wake();
    }
}

/// The model's work is injected, and its end is that of the runtime.
impl Snapshot for World {
    fn idle(&self) -> IdleCounts {
        self.sleep.idle()
    }

    fn watched_deadline(&self) -> Instant {
        let watch = self.shared_timers.as_ref().map(|timers| timers.watch.load(Ordering::Relaxed));
        watch.map_or(Instant::FAR_FUTURE, Instant::from_nanos)
    }

    fn injector_has_tasks(&self) -> bool {
        self.work.load(Ordering::Relaxed) > 0
    }

    fn shared_timer_is_due(&self, _: Instant) -> bool {
        false
    }

    fn worker_needs_help(&self, _: Instant) -> bool {
        self.has_express()
    }

    fn can_steal(&self, _: usize, _: Instant) -> bool {
        !mutant::on(Mutant::ExpressUnseen) && self.has_express()
    }

    fn uncovered_shard_is_ready(&self) -> bool {
        false
    }

    fn is_in_long_poll_mode(&self, _: Instant) -> bool {
        false
    }

    fn workers(&self) -> usize {
        1
    }

    fn cpus(&self) -> usize {
        1
    }

    fn max_waiters(&self) -> usize {
        usize::MAX
    }

    fn is_closing(&self) -> bool {
        self.finished()
    }
}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(body);
}

/// One shard with `cap` listeners; `submitters` threads bring one task each.
fn run(workers: usize, cap: usize, submitters: usize, preemptions: usize) {
    model(preemptions, move || {
        let world = World::new(workers, 1, cap, submitters);
        let threads: Vec<_> = (0..workers)
            .map(|index| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.worker(index))
            })
            .collect();
        let other = (submitters > 1).then(|| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.submit())
        });
        world.submit();
        other.into_iter().chain(threads).for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn one_listens_one_parks() {
    run(2, 1, 1, 3);
}

#[test]
fn one_listens_one_parks_two_submit() {
    run(2, 1, 2, 2);
}

/// The worker returns by itself while it is being woken, and becomes idle again.
#[test]
fn one_worker_two_submit() {
    run(1, 1, 2, 3);
}

#[test]
fn both_listen_two_submit() {
    run(2, 2, 2, 2);
}

/// Another worker, always busy, takes the wake that it finds in the shard.
#[test]
fn a_poller_takes_the_wake_of_a_listener() {
    model(3, || {
        let world = World::new(1, 1, 1, 1);
        let listener = Arc::clone(&world);
        let poller = Arc::clone(&world);
        let listener = thread::spawn(move || listener.worker(0));
        let poller = thread::spawn(move || poller.poll_in_passing(0));
        world.submit();
        poller.join().unwrap();
        listener.join().unwrap();
    });
}

/// A probe wakes the shard for nothing: the listener may see it before the wake, instead of it, or after.
#[test]
fn a_probe_takes_no_wake_away() {
    model(3, || {
        let world = World::new(1, 1, 1, 1);
        let (listener, monitor) = (Arc::clone(&world), Arc::clone(&world));
        let listener = thread::spawn(move || listener.worker(0));
        let monitor = thread::spawn(move || monitor.shards[0].change(|shard| shard.woken = true));
        world.submit();
        monitor.join().unwrap();
        listener.join().unwrap();
    });
}

/// A busy worker wakes another one for its own deque, without a fence: a submitter that sees the permit
/// relies on that wake, and on what its thread does where there is no worker to wake.
#[test]
fn a_wake_without_a_fence_takes_no_wake_away() {
    model(3, || {
        let world = World::new(1, 1, 1, 2);
        let (worker, owner) = (Arc::clone(&world), Arc::clone(&world));
        let worker = thread::spawn(move || worker.worker(0));
        let owner = thread::spawn(move || {
            owner.notify_if_idle(Trigger::OwnPush { queued: 2, estimate: Estimate::START });
        });
        world.submit();
        world.submit();
        owner.join().unwrap();
        worker.join().unwrap();
    });
}

/// The timer that is armed is earlier than the one that an idle worker waits for.
#[test]
fn a_shared_timer_is_waited_for() {
    for workers in [1, 2] {
        model(2, move || {
            let world = World::with_timer(workers, 1);
            let threads: Vec<_> = (0..workers)
                .map(|index| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || world.worker(index))
                })
                .collect();
            world.arm();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

/// The thread that arms the timer may rely on the wake of a submitter.
#[test]
fn a_shared_timer_is_waited_for_while_the_permit_is_out() {
    model(2, || {
        let world = World::with_timer(1, 2);
        let (worker, submitter) = (Arc::clone(&world), Arc::clone(&world));
        let worker = thread::spawn(move || worker.worker(0));
        let submitter = thread::spawn(move || submitter.submit());
        world.arm();
        submitter.join().unwrap();
        worker.join().unwrap();
    });
}

/// A listener on each of two shards: a wake for one must not be left in the other.
#[test]
fn two_shards() {
    model(2, || {
        let world = World::new(2, 2, 1, 2);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.worker(index))
            })
            .collect();
        world.submit();
        world.submit();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A listener leaves into a poll that only ends when the task is done, just as it is being woken
/// for that task: the wake must go to the listener of the other shard.
#[test]
fn a_listener_leaves_into_a_long_poll() {
    model(3, || {
        let world = World::new(2, 2, 2, 1);
        let (listener, leaver) = (world.sleep.announce(0, 2), world.sleep.announce(1, 2));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || {
            let mut permit = false;
            other.wait(0, listener, &mut permit);
            other.worker_with(0, permit);
        });
        let busy = Arc::clone(&world);
        let busy = thread::spawn(move || {
            if busy.sleep.leave(1, leaver) {
                busy.pass_permit_on();
            }
        });
        world.submit();
        busy.join().unwrap();
        other.join().unwrap();
    });
}

/// A woken worker found work and passes the permit on, into a poll that only ends when the other task
/// is done, just as that task is submitted: its submitter may rely on the permit.
#[test]
fn a_submitter_relies_on_the_permit_of_a_worker_that_found_work() {
    model(3, || {
        let world = World::new(2, 1, 1, 1);
        let (listener, woken) = (world.sleep.announce(0, 1), world.sleep.announce(1, 1));
        assert!(matches!(world.sleep.claim(), Some(Claim::Parked(1))));
        assert!(world.sleep.leave(1, woken));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || {
            let mut permit = false;
            other.wait(0, listener, &mut permit);
            other.worker_with(0, permit);
        });
        let busy = Arc::clone(&world);
        let busy = thread::spawn(move || busy.pass_permit_on());
        world.submit();
        busy.join().unwrap();
        other.join().unwrap();
    });
}

/// A woken worker found two light tasks, and passes the permit on into a poll of one that only ends when the
/// other one is done, just as another worker becomes idle.
#[test]
fn a_light_task_behind_a_long_poll_is_found() {
    model(3, || {
        let world = World::new(2, 1, 1, 1);
        let (listener, woken) = (world.sleep.announce(0, 1), world.sleep.announce(1, 1));
        assert!(matches!(world.sleep.claim(), Some(Claim::Parked(1))));
        assert!(world.sleep.leave(1, woken));
        assert!(!world.sleep.leave(0, listener));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || other.worker(0));
        world.push_express();
        world.pass_permit_on();
        other.join().unwrap();
    });
}

/// Two shards and a cap of one listener; the event comes to the second shard.
#[test]
fn events_find_a_listener() {
    model(2, || {
        let world = World::new(2, 2, 1, 1);
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let world = Arc::clone(&world);
                thread::spawn(move || world.worker(index))
            })
            .collect();
        world.shards[1].change(|shard| shard.event = true);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The only worker does as `run` says while the monitor begins to doze, and is then held in a poll that
/// never ends by itself: only a monitor that is awake would help, so the model ends only if it returns.
fn then_runs_for_long(run: impl Fn(&World) + Sync + Send + 'static) {
    model(3, move || {
        let world = World::new(1, 1, 1, 2);
        let monitor = Arc::clone(&world);
        let monitor = thread::spawn(move || monitor.monitor_dozes());
        run(&world);
        monitor.join().unwrap();
    });
}

#[test]
fn the_monitor_goes_to_sleep() {
    then_runs_for_long(|world| {
        let kind = world.sleep.announce(0, 1);
        let _ = world.sleep.leave(0, kind);
        world.on_unpark();
    });
}

/// The worker announces itself, and its last look finds work.
#[test]
fn the_monitor_goes_to_sleep_while_a_worker_looks_once_more() {
    then_runs_for_long(|world| {
        world.work.store(1, Ordering::Relaxed);
        world.park(0, &mut false);
    });
}

/// A short run and an idle time before: the timer, set for the short run, is set again.
#[test]
fn the_monitor_goes_to_sleep_between_a_short_run_and_a_long_one() {
    then_runs_for_long(|world| {
        let kind = world.sleep.announce(0, 1);
        let _ = world.sleep.leave(0, kind);
        if world.monitor.on_unpark() {
            // For a time after the end of the short run.
            world.timer.set(NEVER);
        }
        let kind = world.sleep.announce(0, 1);
        if world.all_idle() && !mutant::on(Mutant::AllIdleUnsaid) {
            world.monitor.on_all_idle();
        }
        let _ = world.sleep.leave(0, kind);
        world.on_unpark();
    });
}

/// When the shared timers of a model are due: one is, the other one is not before its end.
const SOON: Instant = Instant::from_nanos(1);
const LATE: Instant = Instant::from_nanos(2);

/// A time of the timer so late that no model reaches it.
const NEVER: Duration = Duration::from_secs(u64::MAX);

#[test]
fn mutants_are_caught() {
    for (mutant, test) in [
        (Mutant::NoLastLook, "one_listens_one_parks"),
        (Mutant::ExpressUnseen, "a_light_task_behind_a_long_poll_is_found"),
        (Mutant::LeaveShardEmpty, "events_find_a_listener"),
        (Mutant::NoSecondCount, "one_worker_two_submit"),
        (Mutant::NotifyBlindly, "a_listener_leaves_into_a_long_poll"),
        (Mutant::NoFenceBeforeDecision, "one_listens_one_parks"),
        (
            Mutant::NoFenceBehindRelease,
            "a_submitter_relies_on_the_permit_of_a_worker_that_found_work",
        ),
        (Mutant::NoLookAfterRelease, "a_poller_takes_the_wake_of_a_listener"),
        (Mutant::MonitorBlind, "the_monitor_goes_to_sleep"),
        (Mutant::UnparkUnsaid, "the_monitor_goes_to_sleep_while_a_worker_looks_once_more"),
        (Mutant::AllIdleUnsaid, "the_monitor_goes_to_sleep_between_a_short_run_and_a_long_one"),
    ] {
        caught(mutant, &format!("wake::loom::{test}"));
    }
}
