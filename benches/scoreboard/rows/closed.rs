//! Rows under a closed loop: a connection asks again when it is answered.

use super::{PEERS, main_ones};
use crate::drive::{Load, Server, Wrk};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::peers::Peer;

pub(crate) fn cpu(scale: Scale) -> Row {
    let conditions = [
        ("64 connections (a)", 64, Server::apart as fn(Peer) -> Server),
        ("1,024 connections (a)", 1_024, Server::apart),
        ("64 connections (b)", 64, two_workers),
    ];
    let conditions = main_ones(scale, &conditions, 1);
    let peers = main_ones(scale, &PEERS, 3);
    let case = |&(name, connections, place): &(&str, usize, fn(Peer) -> Server)| {
        let drive = |peer| wrk(place(peer), connections, 1, scale.seconds(0.5));
        let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
        entrants.push(Entrant::new("heist_async", drive(Peer::HeistAsync)));
        entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
        Case { name: name.to_owned(), entrants }
    };
    let goals = |case: &Case| {
        let name = case.name.clone();
        let goal = move |&peer: &Peer| {
            let share = if peer == Peer::Epoll { 1.02 } else { 1.0 };
            Goal::at_most(&name, "cpu_us", "heist", share, peer.name())
        };
        peers.iter().map(goal).collect::<Vec<_>>()
    };
    let cases: Vec<Case> = conditions.iter().map(case).collect();
    Row {
        name: "cpu",
        workload: "HTTP plaintext, closed loop by wrk: server CPU per request",
        rounds: 7,
        goals: cases.iter().flat_map(goals).collect(),
        cases,
        charts: &["cpu_us"],
    }
}

pub(crate) fn pipelined(scale: Scale) -> Row {
    let case = "64 connections (a)";
    let drive = |peer| wrk(Server::apart(peer), 64, 16, scale.seconds(0.5));
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend([Peer::Epoll, Peer::Tokio].map(|peer| Entrant::new(peer.name(), drive(peer))));
    Row {
        name: "pipelined",
        workload: "HTTP plaintext, 16 requests at once on each connection, by wrk: server CPU",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants }],
        goals: vec![Goal::at_most(case, "cpu_us", "heist", 0.95, "epoll")],
        charts: &["cpu_us"],
    }
}

pub(crate) fn tail(scale: Scale) -> Row {
    let case = "64 connections (b)";
    let peers = main_ones(scale, &PEERS, 3);
    let drive = |peer| wrk(two_workers(peer), 64, 1, scale.seconds(0.8));
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
    let goals = peers.iter().flat_map(|&peer| {
        let share = if peer == Peer::Tokio { 0.8 } else { 1.0 };
        ["p99_us", "p999_us"].map(|figure| Goal::at_most(case, figure, "heist", share, peer.name()))
    });
    Row {
        name: "tail",
        workload: "HTTP plaintext, closed loop by wrk, server and load on both CPUs: latency",
        rounds: 7,
        goals: goals.collect(),
        cases: vec![Case { name: case.to_owned(), entrants }],
        charts: &["p99_us", "p999_us"],
    }
}

pub(crate) fn churn(scale: Scale) -> Row {
    let case = "16 connections at once (a)";
    let words = format!("churn ADDRESS 16 {}", scale.seconds(0.5));
    let drive = |peer| Load::new(Server::apart(peer), &words);
    let peers = [Peer::Tokio, Peer::Nginx, Peer::Epoll];
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend(peers.map(|peer| Entrant::new(peer.name(), drive(peer))));
    Row {
        name: "churn",
        workload: "a connection per request, closed by the server: requests per server CPU second",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants }],
        goals: [("tokio", 1.0), ("nginx", 1.0), ("epoll", 0.93)]
            .map(|(other, share)| Goal::at_least(case, "per_cpu_second", "heist", share, other))
            .into(),
        charts: &["per_cpu_second"],
    }
}

pub(crate) fn spread(scale: Scale) -> Row {
    let case = |&connections: &usize| {
        let words = format!("closed ADDRESS {connections} {}", scale.seconds(0.5));
        let drive = |peer, workers| Load::new(Server::together(peer, workers), &words);
        let mut entrants = Vec::from(Entrant::twins("heist 2", drive(Peer::Heist, 2)));
        for workers in [16, 64] {
            for peer in [Peer::Heist, Peer::Tokio] {
                let label = format!("{} {workers}", peer.name());
                entrants.push(Entrant::new(label, drive(peer, workers)));
            }
        }
        Case { name: format!("{connections} connections (b)"), entrants }
    };
    let goals = |case: &Case| {
        let name = case.name.clone();
        let goals = ["heist 16", "heist 64"].into_iter().flat_map(move |subject| {
            let tokio = subject.replace("heist", "tokio");
            ["cpu_us", "switches_per_1000"].into_iter().flat_map({
                let name = name.clone();
                move |figure| {
                    [
                        Goal::at_most(&name, figure, subject, 1.05, "heist 2"),
                        Goal::at_most(&name, figure, subject, 1.0, &tokio),
                    ]
                }
            })
        });
        goals.collect::<Vec<_>>()
    };
    let cases: Vec<Case> = main_ones(scale, &[64, 8, 1_024], 1).iter().map(case).collect();
    Row {
        name: "spread",
        workload: "many more workers than CPUs, short handlers: CPU and context switches",
        rounds: 7,
        goals: cases.iter().flat_map(goals).collect(),
        cases,
        charts: &["cpu_us", "switches_per_1000"],
    }
}

pub(crate) fn metrics(scale: Scale) -> Row {
    let case = "64 connections (a)";
    let seconds = if scale == Scale::Full { 1.5 } else { scale.seconds(1.0) };
    let drive = |server| wrk(server, 64, 1, seconds);
    let scraped = drive(Server::apart(Peer::Heist).with("HEIST_PEERS_SCRAPE"));
    let mut entrants =
        Vec::from(Entrant::twins("heist_bare", drive(Server::apart(Peer::HeistBare))));
    entrants.push(Entrant::new("heist scraped", scraped));
    Row {
        name: "metrics",
        workload: "all figures read each second, against a build without any: server CPU",
        rounds: 7,
        cases: vec![Case { name: case.to_owned(), entrants }],
        goals: vec![Goal::at_most(case, "cpu_us", "heist scraped", 1.01, "heist_bare")],
        charts: &["cpu_us"],
    }
}

pub(crate) fn growth(scale: Scale) -> Row {
    let case = "heist (a)";
    let counts = main_ones(scale, &[64, 1_024, 15_000, 1, 256, 4_096], 3);
    let drive = |peer, connections: usize| {
        let words = format!("closed ADDRESS {connections} {}", scale.seconds(0.5));
        Load::new(Server::apart(peer), &words)
    };
    let entrant = |peer| move |count: &usize| Entrant::new(count.to_string(), drive(peer, *count));
    let mut entrants = Vec::from(Entrant::twins("64", drive(Peer::Heist, 64)));
    entrants.extend(counts[1..].iter().map(entrant(Peer::Heist)));
    // The cost of the same connections without any server code: no goal, but a base for the goals.
    let bare = Case {
        name: "epoll (a)".to_owned(),
        entrants: main_ones(scale, &[64, 1_024, 15_000, 4_096], 3)
            .iter()
            .map(entrant(Peer::Epoll))
            .collect(),
    };
    let larger = counts.iter().filter(|&&count| count > 64);
    Row {
        name: "growth",
        workload: "1 to 15,000 connections, closed loop: server CPU per request",
        rounds: 7,
        goals: larger
            .map(|count| Goal::at_most(case, "cpu_us", &count.to_string(), 1.1, "64"))
            .collect(),
        cases: vec![Case { name: case.to_owned(), entrants }, bare],
        charts: &["cpu_us"],
    }
}

fn two_workers(peer: Peer) -> Server {
    Server::together(peer, 2)
}

fn wrk(server: Server, connections: usize, depth: usize, seconds: f64) -> Wrk {
    Wrk { server, connections, depth, seconds }
}
