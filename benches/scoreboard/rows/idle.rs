//! What idle connections cost.

use super::main_ones;
use crate::drive::{Idle, Server};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::{COUNTED, Scale};
use crate::peers::Peer;

pub(crate) fn idle(scale: Scale) -> Row {
    let case = "2,000 to 10,000 connections (b)";
    let drive = |peer| Idle {
        server: Server::together(peer, 2),
        wire: "",
        few: scale.count(2_000),
        many: scale.count(10_000),
        seconds: scale.seconds(1.0),
    };
    let peers = [Peer::HeistLean, Peer::Tokio, Peer::Epoll, Peer::GoNet, Peer::May];
    let peers = main_ones(scale, &peers, 1);
    let mut entrants = Vec::from(Entrant::twins("heist", drive(Peer::Heist)));
    entrants.extend(peers.iter().map(|&peer| Entrant::new(peer.name(), drive(peer))));
    Row {
        name: "idle",
        workload: "idle connections after a request each: process memory a connection, CPU at rest",
        // Each visit takes seconds, and the slope of 8,000 connections scatters little.
        rounds: COUNTED,
        cases: vec![Case { name: case.to_owned(), entrants }],
        goals: vec![
            Goal::within(case, "bytes", "heist", 384.0),
            Goal::within(case, "bytes", "heist_lean", 1_024.0),
            Goal::within(case, "rest_us", "heist", 0.0),
        ],
        charts: &["bytes"],
    }
}
