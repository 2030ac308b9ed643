//! Attacks on a server, over a few connections: flat out, and again and again when the server closes.
//!
//! `attack KIND ADDRESS CONNECTIONS SECONDS [closed]` prints `ready`, waits for a line on its standard
//! input, attacks for so long, and prints its counts as one line of JSON. With `closed` it goes on until
//! the server has closed each of its connections at least once.
//!
//! The kinds are those of `floods`. The attack has the lowest priority, so that load on the same CPU,
//! whose latency is measured, does not wait for it.

mod connection;
mod floods;

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::connection::{Attacker, Progress};
use crate::floods::Flood;

/// What is attacked, and how.
struct Plan {
    flood: Flood,
    address: SocketAddr,
    connections: usize,
    seconds: f64,
    until_closed: bool,
}

/// One connection after the other, in one place of the list.
#[derive(Default)]
struct Place {
    attacker: Option<Attacker>,
    /// How many the server has closed.
    closed: u64,
}

#[derive(Default)]
struct Counts {
    connections: u64,
    bytes: u64,
    refused: u64,
}

fn main() -> io::Result<()> {
    rustix::process::nice(19)?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (words, until_closed) = match words[..] {
        [ref words @ .., "closed"] => (words, true),
        ref words => (words, false),
    };
    let &[kind, address, connections, seconds] = words else { wrong("these arguments") };
    let plan = Plan {
        flood: Flood::named(kind).unwrap_or_else(|| wrong(kind)),
        address: parse(address),
        connections: parse(connections),
        seconds: parse(seconds),
        until_closed,
    };
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    println!("{}", run(&plan)?);
    Ok(())
}

/// Attacks, and gives a line of JSON.
fn run(plan: &Plan) -> io::Result<String> {
    let mut places: Vec<Place> = (0..plan.connections).map(|_| Place::default()).collect();
    let mut counts = Counts::default();
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    let patience = end + PATIENCE;
    while is_on(plan, &places, end, patience) {
        let mut idle = true;
        for place in &mut places {
            idle &= !step(plan, place, &mut counts)?;
        }
        if idle {
            wait(&places)?;
        }
    }
    let closed: u64 = places.iter().map(|place| place.closed).sum();
    let open = places.iter().filter(|place| place.closed == 0).count();
    Ok(format!(
        "{{\"attack_connections\": {}, \"attack_bytes\": {}, \"attack_refused\": {}, \
         \"attack_closed\": {closed}, \"never_closed\": {open}, \"attack_seconds\": {:.4}}}",
        counts.connections,
        counts.bytes,
        counts.refused,
        start.elapsed().as_secs_f64()
    ))
}

fn is_on(plan: &Plan, places: &[Place], end: Instant, patience: Instant) -> bool {
    let now = Instant::now();
    let open = plan.until_closed && places.iter().any(|place| place.closed == 0);
    now < end || (open && now < patience)
}

/// Does what can be done in a place without waiting; says whether that was anything.
fn step(plan: &Plan, place: &mut Place, counts: &mut Counts) -> io::Result<bool> {
    let Some(attacker) = &mut place.attacker else {
        match Attacker::connect(plan.address, &plan.flood) {
            Ok(attacker) => {
                counts.connections += 1;
                place.attacker = Some(attacker);
            }
            Err(_) => counts.refused += 1,
        }
        return Ok(place.attacker.is_some());
    };
    match attacker.step(&plan.flood) {
        Progress::Sent(bytes) => {
            counts.bytes += bytes as u64;
            Ok(true)
        }
        Progress::Read => Ok(true),
        Progress::Blocked => Ok(false),
        Progress::Closed => {
            place.closed += 1;
            place.attacker = None;
            Ok(true)
        }
    }
}

/// Waits until a connection can go on, for a moment at most.
fn wait(places: &[Place]) -> io::Result<()> {
    let attackers = places.iter().filter_map(|place| place.attacker.as_ref());
    let mut watched: Vec<PollFd<'_>> = attackers
        .map(|attacker| {
            let writes =
                if attacker.wants_to_write() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::new(attacker.socket(), PollFlags::IN | writes)
        })
        .collect();
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }))?;
    Ok(())
}

fn parse<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| wrong(word))
}

fn wrong(what: &str) -> ! {
    eprintln!("{what}: not understood; see the head of benches/peers/src/bin/attack/main.rs");
    std::process::exit(2)
}

/// How long the server may take to close what it has to close.
const PATIENCE: Duration = Duration::from_secs(60);
