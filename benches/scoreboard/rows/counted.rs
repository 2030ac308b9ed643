//! Rows that count rather than time: they scatter little, so that few rounds show all there is.

use super::main_ones;
use crate::drive::{Instructions, Load, Server, Syscalls};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::{COUNTED, Scale};
use crate::peers::Peer;

pub(crate) fn instructions(scale: Scale) -> Row {
    let case = "64 connections (a)";
    let drive = |peer| instructions_of(peer, "", 64, scale);
    let peers = main_ones(scale, &[Peer::Tokio, Peer::Epoll, Peer::HeistAsync, Peer::Smol], 1);
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
    Row {
        name: "instructions",
        workload: "HTTP plaintext, closed loop, under callgrind, one worker: user instructions a request",
        rounds: COUNTED,
        cases: vec![Case { name: case.to_owned(), entrants }],
        goals: vec![Goal::at_most(case, "instructions", "heist", 0.6, "tokio")],
        charts: &["instructions"],
    }
}

pub(crate) fn syscalls(scale: Scale) -> Row {
    let case = |&connections: &usize| {
        let words = format!("closed ADDRESS {connections} {}", scale.seconds(0.4));
        let drive = |peer| Syscalls(Load::new(Server::apart(peer), &words));
        let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
        let peers = main_ones(scale, &[Peer::Tokio, Peer::Epoll], 0);
        entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
        Case { name: format!("{connections} connections (a)"), entrants }
    };
    let goals = |case: &Case| {
        let most = if case.name.starts_with("1 ") { 3.0 } else { 2.05 };
        [
            Goal::within(&case.name, "syscalls", "heist", most),
            Goal::within(&case.name, "epoll_ctl", "heist", 0.0),
        ]
    };
    let cases: Vec<Case> = [64, 1].iter().map(case).collect();
    Row {
        name: "syscalls",
        workload: "HTTP plaintext, closed loop: system calls of the server per request",
        rounds: COUNTED,
        goals: cases.iter().flat_map(goals).collect(),
        cases,
        charts: &["syscalls"],
    }
}

/// How a contender's instructions are counted; `wire` is how requests travel.
pub(super) fn instructions_of(
    peer: Peer,
    wire: &str,
    connections: usize,
    scale: Scale,
) -> Instructions {
    let seconds = if scale == Scale::Full { 1.0 } else { 0.5 };
    let words = format!("{wire} closed ADDRESS {connections} {seconds}");
    Instructions(Load::new(Server::apart(peer), &words))
}
