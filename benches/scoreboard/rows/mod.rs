//! The rows of the board, in order of worth.

mod attacks;
mod beside;
mod closed;
mod counted;
mod hyper;
mod idle;
mod open;
mod runtime;
mod tls;

use crate::measure::row::Row;
use crate::measure::scale::Scale;
use crate::peers::Peer;

/// Every row, as large as `scale` wants it.
pub(crate) fn all(scale: Scale) -> Vec<Row> {
    vec![
        closed::cpu(scale),
        counted::instructions(scale),
        open::open(scale),
        closed::pipelined(scale),
        closed::tail(scale),
        hyper::hyper(scale),
        closed::churn(scale),
        tls::http1(scale),
        tls::http2(scale),
        tls::handshakes(scale),
        tls::idle(scale),
        attacks::attacks(scale),
        counted::syscalls(scale),
        idle::idle(scale),
        open::slo(scale),
        open::hog(scale),
        open::burst(scale),
        open::skew(scale),
        beside::beside(scale),
        beside::tenants(scale),
        beside::mixed(scale),
        closed::spread(scale),
        runtime::sched(scale),
        runtime::wake(scale),
        runtime::timers(scale),
        closed::metrics(scale),
        closed::growth(scale),
    ]
}

/// The first `few` of a list where only the main cases are wanted.
fn main_ones<T: Clone>(scale: Scale, all: &[T], few: usize) -> Vec<T> {
    match scale {
        Scale::Quick => all[..few].to_vec(),
        _ => all.to_vec(),
    }
}

/// The servers to compare with; those of every row first.
const PEERS: [Peer; 7] =
    [Peer::Epoll, Peer::Tokio, Peer::Smol, Peer::May, Peer::GoNet, Peer::Threads, Peer::TokioHyper];
