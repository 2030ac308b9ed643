//! Rows in which small requests stand beside a load that could take all of the server.

use super::main_ones;
use crate::drive::{Beside, Load, Server};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::peers::Peer;

pub(crate) fn beside(scale: Scale) -> Row {
    let conditions = [
        ("1 worker (a)", 1, "computed"),
        ("2 workers (b)", 2, "computed"),
        ("16 emulated workers (b)", 16, "emulated"),
    ];
    let seconds = scale.seconds(2.0);
    let case = |&(name, workers, kind): &(&str, usize, &str)| {
        let words = format!("uploads ADDRESS 50 {} {seconds} {kind}", 1 << 20);
        let drive = |peer| {
            let server = match workers {
                1 => Server::apart(peer),
                workers => Server::together(peer, workers),
            };
            Beside { server, words: words.clone(), seconds }
        };
        let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::HeistUpload)));
        entrants.push(Entrant::new("tokio_hyper", drive(Peer::TokioHyperUpload)));
        Case { name: name.to_owned(), entrants }
    };
    let cases: Vec<Case> = main_ones(scale, &conditions, 2).iter().map(case).collect();
    let goals = cases.iter().flat_map(|case| {
        [
            Goal::flat(&case.name, "p50_us", "heist", 1.0, "quiet_p50_us"),
            Goal::flat(&case.name, "p99_us", "heist", 3.0, "quiet_p50_us"),
            Goal::at_least(&case.name, "rate", "heist", 1.0, "tokio_hyper"),
        ]
    });
    Row {
        name: "beside",
        workload: "a hello each 2 ms, in quiet and beside 50 uploads of 1 MiB flat out",
        rounds: 7,
        goals: goals.collect(),
        cases,
        charts: &["p50_us", "p99_us", "rate"],
    }
}

pub(crate) fn tenants(scale: Scale) -> Row {
    let case = "1 worker (a)";
    let seconds = scale.seconds(1.0);
    let busy = scale.count(500);
    // The whole network 127.0.0.0/8 is the loopback's, and the probe comes from 127.0.0.1.
    let words = format!("from 127.0.0.2 closed ADDRESS {busy} {seconds}");
    let drive = |server| Beside { server, words: words.clone(), seconds };
    let mut entrants = Vec::from(Entrant::twins(
        "heist",
        drive(Server::apart(Peer::HeistUpload).with("HEIST_PEERS_TENANTS")),
    ));
    entrants.push(Entrant::new("tokio_hyper", drive(Server::apart(Peer::TokioHyperUpload))));
    Row {
        name: "tenants",
        workload: "a hello each 2 ms from one address, alone and beside 500 busy connections of another",
        rounds: 7,
        goals: vec![
            Goal::flat(case, "p99_us", "heist", 3.0, "quiet_p99_us"),
            Goal::at_least(case, "rate", "heist", 1.0, "tokio_hyper"),
        ],
        cases: vec![Case { name: case.to_owned(), entrants }],
        charts: &["p50_us", "p99_us", "rate"],
    }
}

pub(crate) fn mixed(scale: Scale) -> Row {
    // Workers sleep, and so many requests cost the CPUs little: each is as many times 20 µs or 2 ms long.
    let conditions = [
        ("16 emulated workers (b)", 16, 50, "together"),
        ("2 emulated workers (b)", 2, 10, "together"),
        ("16 emulated workers, long ones on their own connections (b)", 16, 50, "apart"),
    ];
    let case = |&(name, workers, times, place): &(&str, usize, usize, &str)| {
        // Two workers bear little: that few requests have a p99.9, they come for longer.
        let seconds = scale.seconds(if workers == 2 { 2.5 } else { 0.8 });
        let (micros, connections) = (20 * times, 32 * workers);
        let words =
            format!("mixed ADDRESS {workers} {micros} {connections} {seconds} {SEED} {place}");
        let drive = |peer| Load::new(Server::together(peer, workers), &words);
        let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
        entrants.push(Entrant::new("tokio", drive(Peer::Tokio)));
        Case { name: name.to_owned(), entrants }
    };
    let cases: Vec<Case> = main_ones(scale, &conditions, 1).iter().map(case).collect();
    let goals =
        cases.iter().map(|case| Goal::at_least(&case.name, "borne_load", "heist", 1.5, "tokio"));
    Row {
        name: "mixed",
        workload: "20 µs and 2 ms, 99 to 1: the most load with p99.9 of the short at 10 times their length",
        rounds: 5,
        goals: goals.collect(),
        cases,
        charts: &["borne_load"],
    }
}

const SEED: u64 = 7;
