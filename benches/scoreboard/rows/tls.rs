//! TLS: heist's server, hyper behind tokio-rustls, and nginx, with one certificate and one suite.

use super::counted::instructions_of;
use super::main_ones;
use crate::drive::{Idle, Load, Server};
use crate::measure::drive::Drive;
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::{COUNTED, Scale};
use crate::peers::Peer;

pub(crate) fn http1(scale: Scale) -> Row {
    let (cases, goals) = requests(scale, "tls", [64, 64], "64 connections");
    Row {
        name: "tls-h1",
        workload: "HTTP/1.1 over TLS: requests per server CPU second, p99 of an open loop",
        rounds: 7,
        cases,
        goals,
        charts: &["per_cpu_second", "p99_us", "instructions"],
    }
}

pub(crate) fn http2(scale: Scale) -> Row {
    let (cases, goals) = requests(scale, "h2 16", [16, 4], "16 connections of 16 streams");
    Row {
        name: "tls-h2",
        workload: "HTTP/2 over TLS: requests per server CPU second, p99 of an open loop",
        rounds: 7,
        cases,
        goals,
        charts: &["per_cpu_second", "p99_us", "instructions"],
    }
}

pub(crate) fn handshakes(scale: Scale) -> Row {
    let case = |&(name, wire): &(&str, &str)| {
        let words = format!("{wire} churn ADDRESS 16 {}", scale.seconds(0.8));
        case(name, &SERVERS, |peer| Load::new(Server::apart(peer), &words))
    };
    let cases: Vec<Case> =
        [("full (a)", "tls"), ("resumed (a)", "tls-resumed")].iter().map(case).collect();
    let goals = cases.iter().flat_map(|case| at_least(&case.name));
    Row {
        name: "tls-handshakes",
        workload: "a TLS connection per request, 16 at once: handshakes per server CPU second",
        rounds: 7,
        goals: goals.collect(),
        cases,
        charts: &["per_cpu_second"],
    }
}

pub(crate) fn idle(scale: Scale) -> Row {
    let case = |&(name, wire): &(&str, &'static str)| {
        case(name, &SERVERS, |peer| Idle {
            server: Server::together(peer, 2),
            wire,
            few: scale.count(1_000),
            many: scale.count(4_000),
            seconds: scale.seconds(0.5),
        })
    };
    let cases: Vec<Case> = main_ones(scale, &[("HTTP/1.1 (b)", "tls"), ("HTTP/2 (b)", "h2 1")], 1)
        .iter()
        .map(case)
        .collect();
    let goals = cases.iter().flat_map(|case| at_most(&case.name, "bytes"));
    Row {
        name: "tls-idle",
        workload: "1,000 to 4,000 idle TLS connections after a request each: memory a connection",
        rounds: COUNTED,
        goals: goals.collect(),
        cases,
        charts: &["bytes"],
    }
}

/// A closed loop, an open one, and instructions over fewer connections; `wire` is how requests travel.
fn requests(
    scale: Scale,
    wire: &str,
    [connections, fewer]: [usize; 2],
    load: &str,
) -> (Vec<Case>, Vec<Goal>) {
    let [closed, open] = [scale.seconds(0.5), scale.seconds(0.6)];
    let closed = format!("{wire} closed ADDRESS {connections} {closed}");
    let open = format!("{wire} open ADDRESS {RATE} {connections} {open} plain {SEED} 0");
    let [busy, steady] = [format!("{load} (a)"), format!("{load}, {RATE} a second (a)")];
    let counted = "callgrind (a)";
    let cases = [
        case(&busy, &SERVERS, |peer| Load::new(Server::apart(peer), &closed)),
        case(&steady, &SERVERS, |peer| Load::new(Server::apart(peer), &open)),
        // nginx serves in a child process, which callgrind does not count.
        case(counted, &SERVERS[..1], |peer| instructions_of(peer, wire, fewer, scale)),
    ];
    let mut goals = at_least(&busy);
    goals.extend(at_most(&steady, "p99_us"));
    goals.push(Goal::at_most(counted, "instructions", HEIST, 1.0, SERVERS[0].name()));
    let wanted = main_ones(scale, &[0, 1, 2], 2).len();
    (cases.into_iter().take(wanted).collect(), goals)
}

fn case<D: Drive + Clone + 'static>(
    name: &str,
    servers: &[Peer],
    drive: impl Fn(Peer) -> D,
) -> Case {
    let mut entrants = Vec::from(Entrant::twins(HEIST, drive(Peer::HeistTls)));
    entrants.extend(servers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
    Case { name: name.to_owned(), entrants }
}

fn at_least(case: &str) -> Vec<Goal> {
    let goal = |peer: Peer| Goal::at_least(case, "per_cpu_second", HEIST, 1.0, peer.name());
    SERVERS.map(goal).into()
}

fn at_most(case: &str, figure: &'static str) -> Vec<Goal> {
    SERVERS.map(|peer| Goal::at_most(case, figure, HEIST, 1.0, peer.name())).into()
}

const HEIST: &str = "heist_tls";
/// The servers to compare with.
const SERVERS: [Peer; 2] = [Peer::TokioHyperTls, Peer::NginxTls];
/// Requests a second of an open loop: a fifth of what any of them can answer.
const RATE: usize = 10_000;
const SEED: u64 = 7;
