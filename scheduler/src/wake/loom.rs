//! Models of the sleep protocol: the real [`Sleep`], driven as the workers drive it.
//!
//! Work is a count of tasks. A run ends when all are done; a lost wake is a deadlock, which loom
//! reports.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::time::Duration;

use super::{MonitorState, ParkKind, Sleep, Wake};
use crate::monitor::timer::Alarm;
use crate::mutant::{self, Mutant, caught};

/// What the workers share, in place of `Core`.
struct World {
    sleep: Sleep,
    workers: usize,
    cap: usize,
    work: AtomicUsize,
    left: AtomicUsize,
    lanes: Vec<Lane>,
    doze: MonitorState,
    alarm: Alarm,
}

/// A lane: an event that is a task, an edge-triggered doorbell, and a level-triggered close.
#[derive(Default)]
struct Lane {
    state: Mutex<LaneState>,
    changed: Condvar,
}

#[derive(Default)]
struct LaneState {
    event: bool,
    bell: bool,
    closed: bool,
}

impl Lane {
    /// True if the event was taken.
    fn listen(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        while !state.event && !state.bell && !state.closed {
            state = self.changed.wait(state).unwrap();
        }
        state.bell = false;
        std::mem::take(&mut state.event)
    }

    fn take_bell(&self) -> bool {
        std::mem::take(&mut self.state.lock().unwrap().bell)
    }

    fn change(&self, change: impl FnOnce(&mut LaneState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }
}

impl World {
    fn new(workers: usize, lanes: usize, cap: usize, tasks: usize) -> Arc<Self> {
        Arc::new(World {
            sleep: Sleep::new(workers, lanes, usize::MAX),
            workers,
            cap,
            work: AtomicUsize::new(0),
            left: AtomicUsize::new(tasks),
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            doze: MonitorState::new(),
            alarm: Alarm::new().unwrap(),
        })
    }

    fn submit(&self) {
        self.work.fetch_add(1, Ordering::Relaxed);
        self.wake_for_unowned();
    }

    fn wake_for_unowned(&self) {
        fence(Ordering::SeqCst);
        match self.sleep.wake_one() {
            Some(Wake::Unparked(worker)) => self.sleep.parker(worker).unpark(),
            Some(Wake::Ring(lane)) => self.lanes[lane].change(|lane| lane.bell = true),
            Some(Wake::Nobody) | None => {}
        }
    }

    fn take(&self) -> bool {
        self.work
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |work| work.checked_sub(1))
            .is_ok()
    }

    fn finished(&self) -> bool {
        // A read-modify-write, so that it is never stale: a model must not spin on an old value.
        self.left.fetch_add(0, Ordering::SeqCst) == 0
    }

    fn finish_one(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.lanes.iter().for_each(|lane| lane.change(|lane| lane.closed = true));
            self.sleep.unpark_all();
        }
    }

    /// `Worker::run_to_close`, with the work of a poll left out.
    fn worker(&self, index: usize) {
        self.worker_with(index, false);
    }

    fn worker_with(&self, index: usize, mut token: bool) {
        while !self.finished() {
            if self.take() {
                if std::mem::take(&mut token) {
                    self.pass_token_on();
                }
                self.finish_one();
            } else {
                self.rest(index, &mut token);
            }
        }
    }

    fn pass_token_on(&self) {
        self.sleep.release_token();
        fence(Ordering::SeqCst);
        if self.work.load(Ordering::Relaxed) > 0 && !mutant::on(Mutant::TokenDropped) {
            self.wake_for_unowned();
        }
    }

    fn rest(&self, index: usize, token: &mut bool) {
        if std::mem::take(token) {
            self.sleep.release_token();
        }
        let bed = self.sleep.announce(index, self.cap);
        let look = !mutant::on(Mutant::NoLastLook);
        if (look && self.work.load(Ordering::Relaxed) > 0) || self.finished() {
            *token |= self.sleep.leave(index, bed);
            if !mutant::on(Mutant::GotUpUnsaid) {
                self.got_up();
            }
            return;
        }
        if self.all_rest() {
            self.doze.all_rest();
        }
        self.wait(index, bed, token);
    }

    fn wait(&self, index: usize, bed: ParkKind, token: &mut bool) {
        match &bed {
            ParkKind::Listening(lane) if self.lanes[*lane].listen() => {
                self.work.fetch_add(1, Ordering::Relaxed);
            }
            ParkKind::Listening(_) => {}
            ParkKind::Parked => self.sleep.parker(index).park(None),
        }
        *token |= self.sleep.leave(index, bed);
        self.got_up();
    }

    /// A busy worker that looks into the lane in passing.
    fn poll_in_passing(&self, lane: usize) {
        let heard = self.lanes[lane].take_bell();
        if heard && self.sleep.answer(lane) {
            // It has work of its own: it gives the wake to somebody else.
            self.pass_token_on();
        }
    }

    fn all_rest(&self) -> bool {
        self.sleep.sleepers().asleep() == self.workers
    }

    /// `Watch::got_up`, with an alarm that rings at once: whoever got up is taken to run for long.
    fn got_up(&self) {
        if self.doze.got_up() {
            self.alarm.set(Duration::ZERO);
        }
    }

    /// `Monitor::doze`. Returns once the alarm rang or it did not have to wait.
    fn monitor_dozes(&self) {
        self.doze.begin();
        if self.all_rest() || mutant::on(Mutant::MonitorBlind) {
            self.alarm.wait();
        }
        self.doze.end();
    }
}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(body);
}

/// One lane with `cap` listeners; `submitters` threads bring one task each.
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

/// The sleeper gets up by itself while it is being woken, and goes back to sleep.
#[test]
fn one_worker_two_submit() {
    run(1, 1, 2, 3);
}

#[test]
fn both_listen_two_submit() {
    run(2, 2, 2, 2);
}

/// A third worker, always busy, takes whatever wake it finds in the lane.
#[test]
fn a_poller_takes_the_wake_of_a_listener() {
    model(3, || {
        let world = World::new(1, 1, 1, 1);
        let sleeper = Arc::clone(&world);
        let poller = Arc::clone(&world);
        let sleeper = thread::spawn(move || sleeper.worker(0));
        let poller = thread::spawn(move || poller.poll_in_passing(0));
        world.submit();
        poller.join().unwrap();
        sleeper.join().unwrap();
    });
}

/// A probe rings for nothing: the sleeper may hear it before the wake, instead of it, or after.
#[test]
fn a_probe_takes_no_wake_away() {
    model(3, || {
        let world = World::new(1, 1, 1, 1);
        let (sleeper, monitor) = (Arc::clone(&world), Arc::clone(&world));
        let sleeper = thread::spawn(move || sleeper.worker(0));
        let monitor = thread::spawn(move || monitor.lanes[0].change(|lane| lane.bell = true));
        world.submit();
        monitor.join().unwrap();
        sleeper.join().unwrap();
    });
}

/// A listener on each of two lanes: a wake for one must not be left in the other.
#[test]
fn two_lanes() {
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
/// for that task: the wake must go to the listener of the other lane.
#[test]
fn a_listener_leaves_into_a_long_poll() {
    model(3, || {
        let world = World::new(2, 2, 2, 1);
        let (sleeper, leaver) = (world.sleep.announce(0, 2), world.sleep.announce(1, 2));
        let other = Arc::clone(&world);
        let other = thread::spawn(move || {
            let mut token = false;
            other.wait(0, sleeper, &mut token);
            other.worker_with(0, token);
        });
        let busy = Arc::clone(&world);
        let busy = thread::spawn(move || {
            if busy.sleep.leave(1, leaver) {
                busy.pass_token_on();
            }
        });
        world.submit();
        busy.join().unwrap();
        other.join().unwrap();
    });
}

/// Two lanes, one of the two workers would do by the numbers; an event comes to either lane.
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
        world.lanes[1].change(|lane| lane.event = true);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// The only worker does as `run` says, while the monitor goes to doze, and is then held in a poll that
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
        let bed = world.sleep.announce(0, 1);
        let _ = world.sleep.leave(0, bed);
        world.got_up();
    });
}

/// A rest that was none: the last look found work.
#[test]
fn the_monitor_goes_to_sleep_while_a_worker_looks_once_more() {
    then_runs_for_long(|world| {
        world.work.store(1, Ordering::Relaxed);
        world.rest(0, &mut false);
    });
}

/// A short run and a rest before: the alarm, set for the short run, is set again.
#[test]
fn the_monitor_goes_to_sleep_between_a_short_run_and_a_long_one() {
    then_runs_for_long(|world| {
        let bed = world.sleep.announce(0, 1);
        let _ = world.sleep.leave(0, bed);
        if world.doze.got_up() {
            // For a time to which the short run does not last.
            world.alarm.set(NEVER);
        }
        let bed = world.sleep.announce(0, 1);
        if world.all_rest() && !mutant::on(Mutant::RestUnsaid) {
            world.doze.all_rest();
        }
        let _ = world.sleep.leave(0, bed);
        world.got_up();
    });
}

/// As a time for the alarm: so late that no model sees it.
const NEVER: Duration = Duration::from_secs(u64::MAX);

#[test]
fn mutants_are_caught() {
    for (mutant, test) in [
        (Mutant::NoLastLook, "one_listens_one_parks"),
        (Mutant::LeaveLaneEmpty, "events_find_a_listener"),
        (Mutant::NoSecondCount, "one_worker_two_submit"),
        (Mutant::RingBlindly, "a_listener_leaves_into_a_long_poll"),
        (Mutant::TokenDropped, "a_poller_takes_the_wake_of_a_listener"),
        (Mutant::MonitorBlind, "the_monitor_goes_to_sleep"),
        (Mutant::GotUpUnsaid, "the_monitor_goes_to_sleep_while_a_worker_looks_once_more"),
        (Mutant::RestUnsaid, "the_monitor_goes_to_sleep_between_a_short_run_and_a_long_one"),
    ] {
        caught(mutant, &format!("wake::loom::{test}"));
    }
}
