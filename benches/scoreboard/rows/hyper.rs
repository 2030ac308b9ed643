//! An unmodified hyper, on heist and on tokio.

use super::counted::instructions_of;
use super::main_ones;
use crate::drive::{Server, Wrk};
use crate::measure::drive::Drive;
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::peers::Peer;

pub(crate) fn hyper(scale: Scale) -> Row {
    let wrk = |server| Wrk { server, connections: 64, depth: 1, seconds: scale.seconds(0.6) };
    let cases = [
        case("64 connections (a)", |peer| wrk(Server::apart(peer))),
        case("64 connections (b)", |peer| wrk(Server::together(peer, 2))),
        case("callgrind (a)", |peer| instructions_of(peer, "", 64, scale)),
    ];
    let goals = [
        ("64 connections (a)", "cpu_us", 0.98),
        ("64 connections (b)", "p99_us", 0.9),
        ("callgrind (a)", "instructions", 0.93),
    ];
    let wanted = main_ones(scale, &[0, 1, 2], 2).len();
    Row {
        name: "hyper",
        workload: "hyper's HTTP on heist's sockets, against on tokio's",
        rounds: 7,
        cases: cases.into_iter().take(wanted).collect(),
        goals: goals
            .map(|(case, figure, share)| {
                Goal::at_most(case, figure, "heist_hyper", share, "tokio_hyper")
            })
            .into(),
        charts: &["cpu_us", "p99_us", "instructions"],
    }
}

fn case<D: Drive + Clone + 'static>(name: &str, drive: impl Fn(Peer) -> D) -> Case {
    let mut entrants = Vec::from(Entrant::twins("heist_hyper", drive(Peer::HeistHyper)));
    entrants.push(Entrant::new("tokio_hyper", drive(Peer::TokioHyper)));
    Case { name: name.to_owned(), entrants }
}
