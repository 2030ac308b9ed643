//! Loads that wrk does not have. Each connects, prints `ready` on a line, waits for a line on its
//! standard input, prints its results as one line of JSON, and stays connected until another line
//! comes.
//!
//! - `load open ADDRESS RATE CONNECTIONS SECONDS MIX SEED SERVERS`: an open loop. Requests are due
//!   as a Poisson process whatever the answers do, and latency counts from when each was due.
//!   `SERVERS` other than 0 adds what so many perfect ones would have done with the same requests.
//! - `load closed ADDRESS CONNECTIONS SECONDS`: each connection asks again when it is answered.
//! - `load echo ADDRESS CONNECTIONS SECONDS`: the same to an echo server.
//! - `load churn ADDRESS CONNECTIONS SECONDS`: a connection per request, so many at a time.
//! - `load skew ADDRESS RATE CONNECTIONS SECONDS MIX SEED STRIDE`: `open`, but it opens STRIDE
//!   times as many connections and asks only one in every STRIDE.
//! - `load beside ADDRESS RATE CONNECTIONS SECONDS MIX SEED`: `open`, but every answer is waited for, for
//!   a minute at most: the load beside an attack.
//! - `load burst ADDRESS COUNT MICROSECONDS BURSTS cold|warm`: so many requests at once.
//! - `load uploads ADDRESS CONNECTIONS SIZE SECONDS computed|emulated`: so many uploads at once, flat out.
//! - `load probe ADDRESS GAP_MICROS SECONDS`: one connection that asks now and then, for so long at each
//!   start signal.
//! - `load mixed ADDRESS WORKERS MICROS CONNECTIONS SECONDS SEED together|apart`: 99 short requests to a long one:
//!   the most load at which the short ones are answered in time.
//! - `load hold ADDRESS FEW MANY`: so many idle connections after a request each, more of them from
//!   the start signal on.
//!
//! `load threads COUNT …` does `open`, `beside`, `closed`, `echo`, `churn` or `skew` on so many threads, each
//! with its share of connections and rate. They begin together, and what they saw is one.
//!
//! In front of any of these words, `tls` makes each connection one of TLS with a full handshake;
//! `tls-resumed` one that takes up an earlier session; `h2 STREAMS` one of HTTP/2 over TLS, on which
//! `closed` keeps so many streams open; `h2c STREAMS` the same without TLS; `from ADDRESS` one that
//! comes from that address, without TLS.

mod burst;
mod churn;
mod client;
mod closed;
mod connection;
mod crew;
mod hold;
mod http2;
mod mix;
mod mixed;
mod open;
mod probe;
mod seen;
mod target;
mod theory;
mod uploads;

use std::io;
use std::str::FromStr;
use std::time::Duration;

use crate::crew::Crew;
use crate::seen::Seen;
use crate::target::{Target, Wire};

fn main() -> io::Result<()> {
    // Sleeps end when they are due, not up to 50 µs later.
    rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (wire, words) = match words[..] {
        ["tls", ref words @ ..] => (Wire::tls(false), words),
        ["tls-resumed", ref words @ ..] => (Wire::tls(true), words),
        ["h2", streams, ref words @ ..] => (Wire::http2(parse(streams)), words),
        ["h2c", streams, ref words @ ..] => (Wire::prior_knowledge(parse(streams)), words),
        ["from", source, ref words @ ..] => (Wire::from(parse(source)), words),
        ref words => (Wire::default(), words),
    };
    let (threads, words) = match *words {
        ["threads", count, ref words @ ..] => (parse(count), words),
        ref words => (1, words),
    };
    if let Some(done) = play_alone(words, &wire) {
        return done;
    }
    let mut seen = crew::run(threads, |crew| play(words, &wire, crew))?;
    print(&seen.line())
}

/// The loads of one thread.
fn play_alone(words: &[&str], wire: &Wire) -> Option<io::Result<()>> {
    Some(match *words {
        ["burst", address, count, micros, bursts, phase] => burst::run(&burst::Plan {
            target: target(address, wire),
            count: parse(count),
            micros: parse(micros),
            bursts: parse(bursts),
            warm: phase == "warm",
        }),
        ["uploads", address, connections, size, seconds, kind] => uploads::run(&uploads::Plan {
            target: target(address, wire),
            connections: parse(connections),
            size: parse(size),
            seconds: parse(seconds),
            emulated: kind == "emulated",
        }),
        ["mixed", address, workers, micros, connections, seconds, seed, place] => {
            mixed::run(&mixed::Plan {
                target: target(address, wire),
                workers: parse(workers),
                micros: parse(micros),
                connections: parse(connections),
                apart: place == "apart",
                seconds: parse(seconds),
                seed: parse(seed),
            })
        }
        ["probe", address, gap, seconds] => {
            let gap = Duration::from_micros(parse(gap));
            probe::run(&target(address, wire), gap, parse(seconds))
        }
        ["hold", address, few, many] => hold::run(&target(address, wire), parse(few), parse(many)),
        _ => return None,
    })
}

/// What one thread of the load does.
fn play(words: &[&str], wire: &Wire, crew: &Crew<'_>) -> io::Result<Seen> {
    match *words {
        ["open", address, rate, connections, seconds, mix, seed, servers] => {
            let plan = open_plan(wire, [address, rate, connections, seconds, mix, seed]);
            open::run(&open::Plan { servers: parse(servers), ..plan }, crew)
        }
        ["beside", address, rate, connections, seconds, mix, seed] => {
            let plan = open_plan(wire, [address, rate, connections, seconds, mix, seed]);
            open::run(&open::Plan { patience: open::MINUTE, ..plan }, crew)
        }
        ["skew", address, rate, connections, seconds, mix, seed, stride] => {
            let plan = open_plan(wire, [address, rate, connections, seconds, mix, seed]);
            open::run(&open::Plan { stride: parse(stride), ..plan }, crew)
        }
        [kind @ ("closed" | "echo"), address, connections, seconds] => {
            let request = if kind == "echo" { client::MESSAGE.into() } else { wire.get("") };
            let target = target(address, wire);
            closed::run(&target, request, parse(connections), parse(seconds), crew)
        }
        ["churn", address, connections, seconds] => {
            churn::run(&target(address, wire), parse(connections), parse(seconds), crew)
        }
        _ => wrong("these arguments"),
    }
}

fn target(address: &str, wire: &Wire) -> Target {
    Target { address: parse(address), wire: wire.clone() }
}

fn open_plan(
    wire: &Wire,
    [address, rate, connections, seconds, mix, seed]: [&str; 6],
) -> open::Plan {
    open::Plan {
        target: target(address, wire),
        rate: parse(rate),
        connections: parse(connections),
        seconds: parse(seconds),
        mix: parse(mix),
        seed: parse(seed),
        servers: 0,
        stride: 1,
        patience: open::PATIENCE,
    }
}

fn parse<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| wrong(word))
}

fn wrong(what: &str) -> ! {
    eprintln!("{what}: not understood; see the head of benches/peers/src/bin/load/main.rs");
    std::process::exit(2)
}

/// Reports that all are connected, and waits for the start signal.
fn ready() -> io::Result<()> {
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Prints the results, and stays connected until the next line of input: what closing costs a
/// server is not part of what a request costs it.
fn print(figures: &str) -> io::Result<()> {
    println!("{figures}");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The `share` quantile of sorted nanoseconds, in microseconds.
fn quantile(sorted: &[u64], share: f64) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length => sorted[((length - 1) as f64 * share).ceil() as usize] as f64 / 1_000.0,
    }
}
