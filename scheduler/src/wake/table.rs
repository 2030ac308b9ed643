//! Holds README.md to the code: its tables have one row for each case here, and the functions that it
//! names exist.

use std::cell::RefCell;
use std::path::Path;

use super::IdleCounts;
use super::estimate::Estimate;
use super::policy::{Action, Snapshot, Trigger, decide, shard_to_join, shard_to_notify};
use crate::clock::Instant;

const README: &str = include_str!("README.md");
const NOW: Instant = Instant::from_nanos(1_000_000_000);

/// Half of `T`: two polls are not worth a wake, three are.
fn half_of_t() -> Estimate {
    Estimate::from_nanos(25_000)
}

/// A snapshot of plain values.
#[derive(Clone, Copy)]
struct Facts {
    listening: usize,
    parked: usize,
    permit_is_out: bool,
    watched: Instant,
    injected: bool,
    timer_due: bool,
    help_needed: bool,
    stealable: bool,
    uncovered_ready: bool,
    long_polls: bool,
    workers: usize,
    cpus: usize,
    max_waiters: usize,
    closing: bool,
}

/// A snapshot that notes what is read of it.
struct Noted {
    facts: Facts,
    reads: RefCell<Vec<&'static str>>,
}

/// All workers are busy and nothing waits.
const BUSY: Facts = Facts {
    listening: 0,
    parked: 0,
    permit_is_out: false,
    watched: Instant::FAR_FUTURE,
    injected: false,
    timer_due: false,
    help_needed: false,
    stealable: false,
    uncovered_ready: false,
    long_polls: false,
    workers: 3,
    cpus: 3,
    max_waiters: usize::MAX,
    closing: false,
};

/// One worker is parked, one listens, and nothing waits.
const IDLE: Facts = Facts { listening: 1, parked: 1, ..BUSY };

/// One worker listens, the others are busy.
const LISTENING: Facts = Facts { listening: 1, ..BUSY };

/// One worker is parked, the others are busy.
const PARKED: Facts = Facts { parked: 1, ..BUSY };

impl Noted {
    fn read<T>(&self, name: &'static str, fact: impl Fn(&Facts) -> T) -> T {
        self.reads.borrow_mut().push(name);
        fact(&self.facts)
    }
}

impl Snapshot for Noted {
    fn idle(&self) -> IdleCounts {
        self.read("idle", |f| IdleCounts::new(f.listening, f.parked, f.permit_is_out))
    }

    fn watched_deadline(&self) -> Instant {
        self.read("watched_deadline", |f| f.watched)
    }

    fn injector_has_tasks(&self) -> bool {
        self.read("injector_has_tasks", |f| f.injected)
    }

    fn shared_timer_is_due(&self, _: Instant) -> bool {
        self.read("shared_timer_is_due", |f| f.timer_due)
    }

    fn worker_needs_help(&self, _: Instant) -> bool {
        self.read("worker_needs_help", |f| f.help_needed)
    }

    fn can_steal(&self, _: usize, _: Instant) -> bool {
        self.read("can_steal", |f| f.stealable)
    }

    fn uncovered_shard_is_ready(&self) -> bool {
        self.read("uncovered_shard_is_ready", |f| f.uncovered_ready)
    }

    fn is_in_long_poll_mode(&self, _: Instant) -> bool {
        self.read("is_in_long_poll_mode", |f| f.long_polls)
    }

    fn workers(&self) -> usize {
        self.read("workers", |f| f.workers)
    }

    fn cpus(&self) -> usize {
        self.read("cpus", |f| f.cpus)
    }

    fn max_waiters(&self) -> usize {
        self.read("max_waiters", |f| f.max_waiters)
    }

    fn is_closing(&self) -> bool {
        self.read("is_closing", |f| f.closing)
    }
}

/// The decision, and what it read of the facts.
fn noted(trigger: Trigger, facts: Facts) -> (Action, Vec<&'static str>) {
    let snapshot = Noted { facts, reads: RefCell::default() };
    let action = decide(trigger, &snapshot);
    (action, snapshot.reads.into_inner())
}

fn own_push(queued: usize) -> Trigger {
    Trigger::OwnPush { queued, estimate: half_of_t() }
}

fn batch(queued: usize) -> Trigger {
    Trigger::Batch { queued, estimate: half_of_t() }
}

const SHARED_TIMER: Trigger = Trigger::SharedTimer { deadline: NOW };
const RELEASED: Trigger = Trigger::PermitReleased { now: NOW };
const TICK: Trigger = Trigger::MonitorTick { now: NOW };
const STANDBY: Trigger = Trigger::MonitorStandby { now: NOW };
const LAST_LOOK: Trigger = Trigger::LastLook { worker: 0, now: NOW };

type Case = (Trigger, &'static str, Facts, Action);

/// The rows of the table "The decision", in its order.
fn cases() -> Vec<Case> {
    use Action::{KeepSearching, None, NotifyListener, UnparkAll, UnparkOne};
    use Trigger::{ForeignSubmit, FullHarvests, LongPoll, Shutdown};
    let permit_out = Facts { permit_is_out: true, ..IDLE };
    let injected = Facts { injected: true, ..IDLE };
    let timer_due = Facts { timer_due: true, ..IDLE };
    let help_needed = Facts { help_needed: true, ..IDLE };
    let uncovered = Facts { uncovered_ready: true, ..PARKED };
    let long_polls = Facts { long_polls: true, ..IDLE };
    vec![
        (ForeignSubmit, "no worker is idle", BUSY, None),
        (ForeignSubmit, "the permit is out", permit_out, None),
        (ForeignSubmit, "a worker is parked", IDLE, UnparkOne),
        (ForeignSubmit, "idle workers only listen", LISTENING, NotifyListener),
        (
            SHARED_TIMER,
            "a waiting worker's deadline is as early",
            Facts { watched: NOW, ..IDLE },
            None,
        ),
        (SHARED_TIMER, "no waiting worker's deadline is as early", IDLE, UnparkOne),
        (own_push(2), "queued × h ≤ T", IDLE, None),
        (own_push(3), "queued × h > T", IDLE, UnparkOne),
        (own_push(3), "queued × h > T, the permit is out", permit_out, None),
        (batch(0), "nothing is queued", PARKED, None),
        (batch(3), "a worker listens, (queued − 1) × h ≤ T", LISTENING, None),
        (batch(4), "a worker listens, (queued − 1) × h > T", LISTENING, NotifyListener),
        (batch(2), "no worker listens, queued × h ≤ T", PARKED, None),
        (batch(3), "no worker listens, queued × h > T", PARKED, UnparkOne),
        (FullHarvests, "a shard without a listener is ready", uncovered, UnparkOne),
        (FullHarvests, "no shard without a listener is ready", PARKED, None),
        (
            FullHarvests,
            "as many workers are awake as there are CPUs",
            Facts { cpus: 2, ..uncovered },
            None,
        ),
        (LongPoll { queued: 1 }, "a worker listens, one task is queued", LISTENING, None),
        (
            LongPoll { queued: 2 },
            "a worker listens, two tasks are queued",
            LISTENING,
            NotifyListener,
        ),
        (LongPoll { queued: 1 }, "no worker listens, one task is queued", PARKED, UnparkOne),
        (RELEASED, "nothing waits", IDLE, None),
        (RELEASED, "the injector has tasks", injected, UnparkOne),
        (RELEASED, "a shared timer is due", timer_due, UnparkOne),
        (RELEASED, "a worker needs help", help_needed, UnparkOne),
        (
            RELEASED,
            "the injector has tasks, the permit is out again",
            Facts { injected: true, ..permit_out },
            None,
        ),
        (RELEASED, "a shard without a listener is ready", uncovered, None),
        (
            RELEASED,
            "a shard without a listener is ready, long-poll mode",
            Facts { long_polls: true, ..uncovered },
            UnparkOne,
        ),
        (TICK, "nothing waits", IDLE, None),
        (TICK, "the injector has tasks", injected, UnparkOne),
        (TICK, "a shared timer is due", timer_due, UnparkOne),
        (TICK, "a worker needs help", help_needed, UnparkOne),
        (TICK, "a shard without a listener is ready", uncovered, UnparkOne),
        (TICK, "the injector has tasks, no worker is idle", Facts { injected: true, ..BUSY }, None),
        (STANDBY, "not in long-poll mode", IDLE, None),
        (STANDBY, "long-poll mode, one worker listens, one is parked", long_polls, UnparkOne),
        (STANDBY, "long-poll mode, two workers listen", Facts { listening: 2, ..long_polls }, None),
        (
            STANDBY,
            "long-poll mode, no worker is parked",
            Facts { long_polls: true, ..LISTENING },
            None,
        ),
        (
            STANDBY,
            "long-poll mode, a shard takes one listener",
            Facts { max_waiters: 1, ..long_polls },
            None,
        ),
        (
            STANDBY,
            "long-poll mode, the permit is out",
            Facts { permit_is_out: true, ..long_polls },
            None,
        ),
        (LAST_LOOK, "nothing waits", IDLE, None),
        (LAST_LOOK, "the injector has tasks", injected, KeepSearching),
        (LAST_LOOK, "a shared timer is due", timer_due, KeepSearching),
        (
            LAST_LOOK,
            "another worker has something to take",
            Facts { stealable: true, ..IDLE },
            KeepSearching,
        ),
        (LAST_LOOK, "the runtime closes", Facts { closing: true, ..IDLE }, KeepSearching),
        (Shutdown, "in any case", permit_out, UnparkAll),
    ]
}

/// The cells of the table under `heading`, without the header and without the last column, which says
/// why.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let section = README.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("README.md has no section {heading:?}"));
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', ""));
            let mut cells: Vec<_> = cells.collect();
            let why = cells.pop();
            assert!(why.is_some_and(|why| !why.is_empty()), "no reason is given: {line}");
            cells
        })
        .collect()
}

#[test]
fn each_row_of_the_decision_table_is_a_case_and_each_case_a_row() {
    let mut expected = Vec::new();
    for (trigger, sees, facts, action) in cases() {
        assert_eq!(noted(trigger, facts).0, action, "{trigger:?}: {sees}");
        let trigger = format!("{trigger:?}");
        let name = trigger.split(' ').next().unwrap();
        expected.push([name.to_owned(), sees.to_owned(), format!("{action:?}")].to_vec());
    }
    assert_eq!(rows("The decision"), expected);
}

/// The rows of the table "Where an idle worker waits": listeners of each shard, the most that one
/// takes, and the cap; the shard that is joined.
#[test]
fn each_row_of_the_table_of_places_is_a_case_and_each_case_a_row() {
    let cases: [(_, &[usize], _, _, _); 5] = [
        ("a shard has no listener", &[1, 0], 1, 1, Some(1)),
        ("a shard has no listener, the cap is reached", &[2, 0], 4, 2, Some(1)),
        ("each shard has a listener, fewer than the cap listen", &[2, 1], 4, 4, Some(1)),
        ("each shard has a listener, the cap is reached", &[1, 1], 4, 2, None),
        ("each shard has as many listeners as it takes", &[1, 1], 1, 4, None),
    ];
    let mut expected = Vec::new();
    for (sees, listeners, max_waiters, cap, joined) in cases {
        let idle = IdleCounts::new(listeners.iter().sum(), 0, false);
        let shard = shard_to_join(listeners.iter().copied(), max_waiters, cap, || idle);
        assert_eq!(shard, joined.map(|shard| (shard, listeners[shard])), "{sees}");
        let waits = if joined.is_some() { "Listening" } else { "Parked" };
        expected.push([sees.to_owned(), waits.to_owned()].to_vec());
    }
    assert_eq!(rows("Where an idle worker waits"), expected);
}

#[test]
fn the_shard_with_the_most_listeners_is_notified() {
    assert_eq!(shard_to_notify([1, 3, 2].into_iter()), Some(1));
    assert_eq!(shard_to_notify([0, 0].into_iter()), None);
}

/// Failure: a push to a worker's own deque, or a task from another thread while a worker searches,
/// read lines that other workers write.
#[test]
fn a_decision_reads_no_more_than_it_depends_on() {
    for (trigger, sees, facts, _) in cases() {
        let (_, mut reads) = noted(trigger, facts);
        reads.sort_unstable();
        assert!(reads.windows(2).all(|two| two[0] != two[1]), "{trigger:?}: {sees}: {reads:?}");
    }
    let permit_out = Facts { permit_is_out: true, injected: true, ..IDLE };
    let reads_of = |trigger, facts| noted(trigger, facts).1;
    assert_eq!(reads_of(own_push(2), IDLE), [""; 0]);
    assert_eq!(reads_of(batch(0), IDLE), [""; 0]);
    assert_eq!(reads_of(own_push(3), IDLE), ["idle"]);
    for trigger in [Trigger::ForeignSubmit, SHARED_TIMER, RELEASED, TICK] {
        assert_eq!(reads_of(trigger, permit_out), ["idle"], "{trigger:?}");
        assert_eq!(reads_of(trigger, BUSY), ["idle"], "{trigger:?}");
    }
}

/// Whatever the rest of the snapshot says.
#[test]
fn no_decision_wakes_a_second_worker_or_a_worker_that_is_not_idle() {
    let triggers: Vec<Trigger> = cases().into_iter().map(|(trigger, ..)| trigger).collect();
    for bits in 0..1 << 11_u32 {
        let bit = |n: u32| bits >> n & 1 == 1;
        let facts = Facts {
            listening: usize::from(bit(0)) + usize::from(bit(1)),
            parked: usize::from(bit(2)),
            permit_is_out: bit(3),
            injected: bit(4),
            timer_due: bit(5),
            help_needed: bit(6),
            stealable: bit(7),
            uncovered_ready: bit(8),
            long_polls: bit(9),
            closing: bit(10),
            ..BUSY
        };
        for &trigger in &triggers {
            match noted(trigger, facts).0 {
                Action::UnparkOne => assert!(facts.parked > 0 && !facts.permit_is_out),
                Action::NotifyListener => {
                    assert!(facts.listening > 0 && facts.parked == 0 && !facts.permit_is_out);
                }
                Action::KeepSearching => assert_eq!(trigger, LAST_LOOK),
                Action::UnparkAll => assert_eq!(trigger, Trigger::Shutdown),
                Action::None => {}
            }
        }
    }
}

/// README.md names a function as `file.rs::function`, with the file's path from here or from `src`.
#[test]
fn the_functions_that_the_readme_names_exist() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let named = README.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(".rs::"));
    let mut count = 0;
    for (file, function) in named {
        let file = format!("{file}.rs");
        let here = src.join("wake").join(&file);
        let path = if here.exists() { here } else { src.join(&file) };
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("README.md names {file}: {error}"));
        let found =
            text.contains(&format!("fn {function}(")) || text.contains(&format!("fn {function}<"));
        assert!(found, "README.md names {function}, which {file} has not");
        count += 1;
    }
    assert!(count > 10, "README.md names functions as `file.rs::function`");
}
