//! What the contenders with heist's server have in common.

use std::time::Duration;

use heist::server::{Limits, Metrics};

/// heist's limits, but for shedding, which the others have not. With `HEIST_PEERS_IMPATIENT` set, what is
/// stalled is closed after a second, so that a short attack can see it.
pub fn limits() -> Limits {
    let mut limits = Limits { shed: false, ..Limits::default() };
    if std::env::var_os("HEIST_PEERS_IMPATIENT").is_some() {
        let patience = Duration::from_secs(1);
        limits.handshake_timeout = patience;
        limits.write_timeout = patience;
    }
    limits
}

/// For each line of input, prints why connections were closed so far, as a line of JSON. Never returns.
pub fn report(metrics: impl Fn() -> Metrics) -> ! {
    let mut line = String::new();
    while matches!(std::io::stdin().read_line(&mut line), Ok(1..)) {
        println!("{}", closings(&metrics()));
        line.clear();
    }
    loop {
        std::thread::park();
    }
}

fn closings(metrics: &Metrics) -> String {
    let closed = metrics.closed.iter().map(|&(kind, count)| ("closed", kind.label(), count));
    let http = metrics.http.iter();
    let violations = http.flat_map(|http| &http.http2.violations);
    let violations = violations.map(|&(kind, count)| ("violation", kind, count));
    let counted = closed.chain(violations).filter(|&(_, _, count)| count > 0);
    let fields: Vec<_> =
        counted.map(|(what, kind, count)| format!("\"{what}_{kind}\": {count}")).collect();
    format!("{{{}}}", fields.join(", "))
}
