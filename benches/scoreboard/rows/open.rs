//! Rows under a load that does not wait for answers: latency counts from when a request was due.

use super::main_ones;
use crate::drive::{Load, Server};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::peers::Peer;

pub(crate) fn open(scale: Scale) -> Row {
    let conditions = [(5_000, 2), (40_000, 16), (200, 2), (200, 16), (5_000, 16), (40_000, 2)];
    let conditions = main_ones(scale, &conditions, 2);
    let case = |&(rate, workers): &(usize, usize)| {
        let seconds = scale.seconds(if rate == 200 { 1.2 } else { 0.6 });
        let plan = Plan { rate: rate as f64, connections: 64, seconds, mix: "plain", servers: 0 };
        let name = format!("{rate} a second, {workers} workers (b)");
        case(name, workers, &[Peer::Tokio], &plan)
    };
    let cases: Vec<Case> = conditions.iter().map(case).collect();
    let goals = cases.iter().flat_map(|case| {
        ["cpu_us", "p99_us"].map(|figure| Goal::at_most(&case.name, figure, "heist", 1.0, "tokio"))
    });
    Row {
        name: "open",
        workload: "HTTP plaintext, open loop over 64 connections: CPU per request and p99",
        rounds: 7,
        goals: goals.collect(),
        cases,
        charts: &["cpu_us", "p99_us"],
    }
}

pub(crate) fn slo(scale: Scale) -> Row {
    let conditions = [
        (16, "exponential"),
        (16, "bimodal"),
        (4, "exponential"),
        (4, "bimodal"),
        (64, "exponential"),
        (64, "bimodal"),
    ];
    let conditions = main_ones(scale, &conditions, 1);
    let case = |&(workers, law): &(usize, &str)| {
        let seconds = scale.seconds(if workers == 4 { 1.3 } else { 0.8 });
        let mix = format!("{law}:{SERVICE}");
        // 90 % of what so many workers can do, each request on a connection of its own.
        let rate = 0.9 * workers as f64 * 1e6 / SERVICE;
        let connections = workers * 32;
        let plan = Plan { rate, connections, seconds, mix: &mix, servers: workers };
        case(format!("{workers} workers, {law} (b)"), workers, &[Peer::Tokio, Peer::Smol], &plan)
    };
    let cases: Vec<Case> = conditions.iter().map(case).collect();
    let goals = cases.iter().flat_map(|case| {
        [
            Goal::within(&case.name, "of_theory", "heist", 1.05),
            Goal::at_most(&case.name, "p99_us", "heist", 1.0, "tokio"),
            Goal::at_most(&case.name, "p99_us", "heist", 1.0, "smol"),
        ]
    });
    Row {
        name: "slo",
        workload: "emulated cores (handlers sleep in the kernel, mean 5 ms) at 90 % load: p99",
        rounds: 7,
        goals: goals.collect(),
        cases,
        charts: &["p99_us", "of_theory"],
    }
}

pub(crate) fn hog(scale: Scale) -> Row {
    let case = |&workers: &usize| {
        // Long enough for some 30 of them: the first one finds every server unprepared.
        let seconds = scale.seconds(1.6);
        let plan = Plan { rate: 20_000.0, connections: 256, seconds, mix: "hog", servers: 0 };
        let peers = main_ones(scale, &[Peer::Tokio, Peer::Smol, Peer::Epoll], 1);
        case(format!("{workers} workers (b)"), workers, &peers, &plan)
    };
    let cases: Vec<Case> = main_ones(scale, &[2, 16, 4], 2).iter().map(case).collect();
    let goals = cases.iter().flat_map(|case| {
        [
            Goal::at_most(&case.name, "p99_us", "heist", 0.06, "tokio"),
            Goal::within(&case.name, "p99_us", "heist", 200.0),
        ]
    });
    Row {
        name: "hog",
        workload: "one handler in 1,000 blocks its worker 5 ms, 20,000 requests a second: p99",
        rounds: 5,
        goals: goals.collect(),
        cases,
        charts: &["p99_us"],
    }
}

pub(crate) fn burst(scale: Scale) -> Row {
    let conditions = [(200, "cold"), (2_000, "warm"), (200, "warm"), (2_000, "cold")];
    let case = |&(micros, phase): &(usize, &str)| {
        let words = format!("burst ADDRESS 64 {micros} {} {phase}", scale.count(12).max(2));
        entrants(format!("{micros} µs each, {phase} (b)"), &[Peer::Tokio], |peer| {
            Load::new(Server::together(peer, 16), &words)
        })
    };
    let cases: Vec<Case> = main_ones(scale, &conditions, 2).iter().map(case).collect();
    Row {
        name: "burst",
        workload: "64 requests at once, 16 emulated workers, after rest or short ones: the last one",
        rounds: 7,
        goals: cases
            .iter()
            .map(|case| Goal::at_most(&case.name, "last_us", "heist", 1.1, "tokio"))
            .collect(),
        cases,
        charts: &["last_us"],
    }
}

pub(crate) fn skew(scale: Scale) -> Row {
    let case = "16 emulated workers at 60 % (b)";
    let (workers, seconds) = (16, scale.seconds(0.8));
    let rate = 0.6 * workers as f64 * 1e6 / SERVICE;
    let mix = format!("exponential:{SERVICE}");
    let plan = Plan { rate, connections: workers * 32, seconds, mix: &mix, servers: workers };
    let drive = |peer| {
        let server = Server::together(peer, workers);
        // Whichever worker accepts, the others steal; a loop per core needs all connections put on
        // it.
        let server =
            if peer == Peer::Epoll { server.with("HEIST_PEERS_ONE_LISTENER") } else { server };
        Load::new(server, &plan.words())
    };
    Row {
        name: "skew",
        workload: "all hot connections were accepted by one worker, mean 5 ms each: p99",
        rounds: 7,
        cases: vec![entrants(case.to_owned(), &[Peer::Tokio, Peer::Epoll], drive)],
        goals: vec![
            Goal::at_most(case, "p99_us", "heist", 0.25, "epoll"),
            Goal::at_most(case, "p99_us", "heist", 0.8, "tokio"),
        ],
        charts: &["p99_us"],
    }
}

/// An open loop.
struct Plan<'a> {
    rate: f64,
    connections: usize,
    seconds: f64,
    mix: &'a str,
    servers: usize,
}

impl Plan<'_> {
    /// The same seed for all, so that every contender is asked the same at the same times.
    fn words(&self) -> String {
        let Plan { rate, connections, seconds, mix, servers } = self;
        format!("open ADDRESS {rate} {connections} {seconds} {mix} {SEED} {servers}")
    }
}

fn case(name: String, workers: usize, peers: &[Peer], plan: &Plan<'_>) -> Case {
    let words = plan.words();
    entrants(name, peers, |peer| Load::new(Server::together(peer, workers), &words))
}

fn entrants(name: String, peers: &[Peer], drive: impl Fn(Peer) -> Load) -> Case {
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
    Case { name, entrants }
}

/// Mean time of an emulated handler in microseconds.
const SERVICE: f64 = 5_000.0;
const SEED: u64 = 7;
