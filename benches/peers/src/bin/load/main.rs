//! Loads that wrk has not got. Each connects, says `ready` on a line, waits for a line on its
//! standard input, says what it saw as one line of JSON, and stays connected until another line
//! comes.
//!
//! - `load open ADDRESS RATE CONNECTIONS SECONDS MIX SEED SERVERS`: an open loop. Requests are due
//!   as a Poisson process whatever the answers do, and latency counts from when each was due.
//!   `SERVERS` other than 0 adds what so many perfect ones would have done with the same requests.
//! - `load closed ADDRESS CONNECTIONS SECONDS`: each connection asks again when it is answered.
//! - `load churn ADDRESS CONNECTIONS SECONDS`: a connection per request, so many at a time.
//! - `load burst ADDRESS COUNT MICROSECONDS BURSTS cold|warm`: so many requests at once.

mod burst;
mod churn;
mod client;
mod closed;
mod mix;
mod open;
mod theory;

use std::str::FromStr;

fn main() -> std::io::Result<()> {
    // Sleeps end when they are due, not up to 50 µs later.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["open", address, rate, connections, seconds, mix, seed, servers] => {
            open::run(&open::Plan {
                address: parse(address),
                rate: parse(rate),
                connections: parse(connections),
                seconds: parse(seconds),
                mix: parse(mix),
                seed: parse(seed),
                servers: parse(servers),
            })
        }
        ["closed", address, connections, seconds] => {
            closed::run(parse(address), parse(connections), parse(seconds))
        }
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

/// Says that all is connected, and waits to be told to go.
fn ready() -> std::io::Result<()> {
    println!("ready");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Says what was seen, and stays connected until told otherwise: what closing costs a server is not
/// part of what a request costs it.
fn say(figures: &str) -> std::io::Result<()> {
    println!("{figures}");
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The `share` quantile of sorted nanoseconds, in microseconds.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length => sorted[((length - 1) as f64 * share).ceil() as usize] as f64 / 1_000.0,
    }
}
