//! Loads that wrk has not got. Each says what it saw as one line of JSON.
//!
//! - `load open ADDRESS RATE CONNECTIONS SECONDS MIX SEED`: an open loop. Requests are due as a
//!   Poisson process whatever the answers do, and latency counts from when each was due.
//! - `load churn ADDRESS CONNECTIONS SECONDS`: a connection per request, so many at a time.
//! - `load burst ADDRESS COUNT MICROSECONDS BURSTS cold|warm`: so many requests at once.

mod burst;
mod churn;
mod client;
mod mix;
mod open;

use std::str::FromStr;

fn main() -> std::io::Result<()> {
    // Sleeps end when they are due, not up to 50 µs later.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["open", address, rate, connections, seconds, mix, seed] => open::run(&open::Plan {
            address: parse(address),
            rate: parse(rate),
            connections: parse(connections),
            seconds: parse(seconds),
            mix: parse(mix),
            seed: parse(seed),
        }),
        ["churn", address, connections, seconds] => {
            churn::run(parse(address), parse(connections), parse(seconds))
        }
        ["burst", address, count, micros, bursts, phase] => burst::run(&burst::Plan {
            address: parse(address),
            count: parse(count),
            micros: parse(micros),
            bursts: parse(bursts),
            warm: phase == "warm",
        }),
        _ => wrong("these arguments"),
    }
}

fn parse<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| wrong(word))
}

fn wrong(what: &str) -> ! {
    eprintln!("{what}: not understood; see the head of benches/peers/src/bin/load/main.rs");
    std::process::exit(2)
}

/// The `share` quantile of sorted nanoseconds, in microseconds.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length => sorted[((length - 1) as f64 * share).ceil() as usize] as f64 / 1_000.0,
    }
}
