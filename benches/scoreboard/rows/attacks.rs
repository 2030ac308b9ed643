//! Attacks, and a healthy load beside them.

use crate::drive::{Attacked, Defence, Server};
use crate::measure::row::{Case, Entrant, Goal, Row};
use crate::measure::scale::Scale;
use crate::peers::Peer;

pub(crate) fn attacks(scale: Scale) -> Row {
    let cases: Vec<Case> = ATTACKS.iter().map(|attack| attack.case(scale)).collect();
    Row {
        name: "attacks",
        workload: "2,000 requests a second beside an attack: p99, and how much memory grows",
        rounds: 5,
        cases,
        goals: ATTACKS.iter().flat_map(Attack::goals).collect(),
        charts: &["p99_us", "grown_bytes"],
    }
}

struct Attack {
    flood: &'static str,
    connections: usize,
    target: Target,
    /// Why heist closes its connections.
    reason: &'static str,
    /// How much heist's memory may grow.
    mebibytes: f64,
    /// Whether it stalls: heist then has a deadline of a second instead of its defaults.
    stalls: bool,
}

/// What is attacked, and how the healthy load speaks to it.
#[derive(Clone, Copy)]
enum Target {
    Http2,
    Tls,
    WebSocket,
}

/// A few connections flat out, or many that do nothing.
const ATTACKS: [Attack; 10] = [
    Attack::flood("rapid-reset", Target::Http2, "violation_resets", 16.0),
    Attack::flood("continuation", Target::Http2, "violation_header_block", 16.0),
    Attack::flood("empty-continuation", Target::Http2, "violation_continuations", 16.0),
    Attack::flood("ping", Target::Http2, "violation_pings", 16.0),
    Attack::flood("settings", Target::Http2, "violation_settings", 16.0),
    Attack::flood("empty-data", Target::Http2, "violation_empty_frames", 16.0),
    Attack::stall("zero-window", 50, Target::Http2, "closed_write_timeout", 64.0),
    Attack::stall("handshake", 200, Target::Tls, "closed_handshake_timeout", 32.0),
    Attack::flood("fragments", Target::WebSocket, "closed_protocol", 32.0),
    Attack::flood("tiny-fragments", Target::WebSocket, "closed_protocol", 32.0),
];

impl Attack {
    const fn flood(
        flood: &'static str,
        target: Target,
        reason: &'static str,
        mebibytes: f64,
    ) -> Attack {
        Attack { flood, connections: 4, target, reason, mebibytes, stalls: false }
    }

    const fn stall(
        flood: &'static str,
        connections: usize,
        target: Target,
        reason: &'static str,
        mebibytes: f64,
    ) -> Attack {
        Attack { flood, connections, target, reason, mebibytes, stalls: true }
    }

    fn name(&self) -> String {
        format!("{} (a)", self.flood)
    }

    /// One visit of each in a smoke run, as it has to close what stalls, which takes a second.
    fn case(&self, scale: Scale) -> Case {
        let [heist, tokio] = self.target.peers();
        let defended = self.drive(scale, heist, Some(self.defence()));
        let mut entrants = Vec::from(Entrant::twins(heist.name(), defended));
        if scale == Scale::Smoke {
            entrants.truncate(1);
        }
        entrants.push(Entrant::new(tokio.name(), self.drive(scale, tokio, None)));
        Case { name: self.name(), entrants }
    }

    fn drive(&self, scale: Scale, peer: Peer, defence: Option<Defence>) -> Attacked {
        let seconds = scale.seconds(0.8);
        let wire = self.target.wire();
        let server = Server::apart(peer);
        Attacked {
            server: if self.stalls { server.with("HEIST_PEERS_IMPATIENT") } else { server },
            healthy: format!("{wire} beside ADDRESS {RATE} 8 {seconds} plain {SEED}"),
            flood: self.flood,
            connections: self.connections,
            seconds,
            defence,
        }
    }

    fn defence(&self) -> Defence {
        Defence { reason: self.reason, bytes: self.bytes() }
    }

    fn bytes(&self) -> f64 {
        self.mebibytes * 1024.0 * 1024.0
    }

    fn goals(&self) -> [Goal; 3] {
        let case = &self.name();
        let [heist, tokio] = self.target.peers().map(Peer::name);
        [
            Goal::within(case, "unanswered", heist, 0.0),
            Goal::at_most(case, "p99_us", heist, 1.0, tokio),
            Goal::within(case, "grown_bytes", heist, self.bytes()),
        ]
    }
}

impl Target {
    fn peers(self) -> [Peer; 2] {
        match self {
            Target::Http2 => [Peer::HeistHttp2, Peer::TokioHyperHttp2],
            Target::Tls => [Peer::HeistTls, Peer::TokioHyperTls],
            Target::WebSocket => [Peer::HeistWebSocket, Peer::TokioWebSocket],
        }
    }

    /// How the requests of the load travel.
    fn wire(self) -> &'static str {
        match self {
            Target::Http2 => "h2c 1",
            Target::Tls => "tls",
            Target::WebSocket => "",
        }
    }
}

/// Healthy requests a second.
const RATE: usize = 2_000;
const SEED: u64 = 7;
