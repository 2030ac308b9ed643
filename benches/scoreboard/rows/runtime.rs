//! Rows about tasks and timers, without sockets: each runtime measures itself from inside.

use crate::drive::Own;
use crate::measure::figures::Figures;
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::measure::statistics::geometric_mean;

pub(crate) fn sched(scale: Scale) -> Row {
    let case = "2 workers (b)";
    let repetitions = if scale == Scale::Full { 5 } else { 3 };
    let words = format!("sched 2 {repetitions} {}", scale.count(5_000));
    let mut goals = vec![
        Goal::at_most(case, "geomean_ns", "heist", 1.0 / 1.8, "tokio"),
        Goal::at_most(case, "geomean_ns", "heist", 1.0 / 3.0, "smol"),
    ];
    goals.extend(WORKLOADS.map(|figure| Goal::at_most(case, figure, "heist", 1.0, "tokio")));
    Row {
        name: "sched",
        workload: "what a task costs: nanoseconds per spawn, yield, hand-over",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants: entrants(&words, mean) }],
        goals,
        charts: &["geomean_ns", "spawn_idle_ns", "spawn_worker_ns", "yield_ns", "ping_pong_ns"],
    }
}

pub(crate) fn wake(scale: Scale) -> Row {
    let case = "2 workers (b)";
    let words = format!("wake 2 {}", scale.count(1_000));
    Row {
        name: "wake",
        workload: "a task for an idle runtime every 500 µs: how late it runs, context switches",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants: entrants(&words, |_| ()) }],
        goals: ["p50_us", "p99_us", "switches"]
            .map(|figure| Goal::at_most(case, figure, "heist", 1.0, "tokio"))
            .into(),
        charts: &["p50_us", "p99_us", "switches"],
    }
}

pub(crate) fn timers(scale: Scale) -> Row {
    let case = "sleeps (b)";
    let pending = if scale == Scale::Full { 1_000_000 } else { scale.count(1_000_000) / 4 };
    let words = format!("timers {} {pending}", scale.count(50_000));
    Row {
        name: "timers",
        workload: "arm and cancel by 1, 2, 8 threads and with many pending, move, fire",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants: entrants(&words, |_| ()) }],
        goals: vec![
            Goal::within(case, "arm1_ns", "heist", 60.0),
            Goal::within(case, "arm2_ns", "heist", 60.0),
            Goal::flat(case, "arm2_ns", "heist", 1.1, "arm1_ns"),
            Goal::flat(case, "arm8_ns", "heist", 1.1, "arm1_ns"),
            Goal::flat(case, "arm_pending_ns", "heist", 1.1, "arm1_ns"),
            Goal::at_most(case, "arm2_ns", "heist", 0.1, "tokio"),
            Goal::at_most(case, "move_ns", "heist", 1.0, "tokio"),
            Goal::at_most(case, "fire_ns", "heist", 1.0, "tokio"),
        ],
        charts: &["arm1_ns", "arm2_ns", "arm8_ns", "arm_pending_ns", "move_ns", "fire_ns"],
    }
}

fn entrants(words: &str, derive: fn(&mut Figures)) -> Vec<Entrant> {
    let own = |program| Own {
        program,
        words: words.split_whitespace().map(str::to_owned).collect(),
        derive,
    };
    let mut entrants = Vec::from(Entrant::twins("heist", own("tasks_heist")));
    entrants.push(Entrant::new("tokio", own("tasks_tokio")));
    entrants.push(Entrant::new("smol", own("tasks_smol")));
    entrants
}

/// The geometric mean of all workloads, so that none weighs more for being slower.
fn mean(figures: &mut Figures) {
    let all: Vec<f64> = WORKLOADS.iter().filter_map(|name| figures.get(*name).copied()).collect();
    figures.insert("geomean_ns".to_owned(), geometric_mean(&all));
}

const WORKLOADS: [&str; 9] = [
    "spawn_idle_ns",
    "spawn_busy_ns",
    "spawn_worker_ns",
    "yield_ns",
    "ping_pong_ns",
    "chained_ns",
    "ring_ns",
    "blocking_ns",
    "remote8_ns",
];
