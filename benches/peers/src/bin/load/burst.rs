//! Many requests at once: how long until the last of them is answered.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use heist_peers::ANSWER_LENGTH;

use crate::client::{self, Watch};
use crate::{mix, quantile};

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Requests at once, each on a connection of its own.
    pub(crate) count: usize,
    /// What each sleeps in the kernel.
    pub(crate) micros: u64,
    pub(crate) bursts: usize,
    /// Whether short requests come before each burst, or a rest.
    pub(crate) warm: bool,
}

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let watch = Watch::new()?;
    let mut streams = Vec::with_capacity(plan.count);
    for index in 0..plan.count {
        let stream = client::connect(plan.address)?;
        watch.add(&stream, index)?;
        streams.push(stream);
    }
    let short = mix::get("");
    let long = mix::get(&format!("sleep/{}", plan.micros));
    // Whatever the first requests of a server cost is not asked about.
    burst(&watch, &streams, short.as_bytes())?;
    crate::ready()?;
    let mut last = Vec::with_capacity(plan.bursts);
    for _ in 0..plan.bursts {
        before(plan, &watch, &streams, short.as_bytes())?;
        last.push(burst(&watch, &streams, long.as_bytes())?);
    }
    last.sort_unstable();
    println!("{{\"requests\": {}, \"last_us\": {:.1}}}", last.len(), quantile(&last, 0.5));
    Ok(())
}

fn before(plan: &Plan, watch: &Watch, streams: &[TcpStream], short: &[u8]) -> io::Result<()> {
    let end = Instant::now() + PHASE;
    while plan.warm && Instant::now() < end {
        burst(watch, streams, short)?;
    }
    std::thread::sleep(end.saturating_duration_since(Instant::now()));
    Ok(())
}

/// Sends the request on every connection; nanoseconds until the last is answered.
fn burst(watch: &Watch, streams: &[TcpStream], request: &[u8]) -> io::Result<u64> {
    let start = Instant::now();
    for mut stream in streams {
        stream.write_all(request)?;
    }
    let mut missing = streams.len() * ANSWER_LENGTH;
    while missing > 0 {
        watch.sleep(Duration::from_secs(10))?;
        for index in watch.ready()? {
            missing -= client::read(&streams[index])?.ok_or(ErrorKind::UnexpectedEof)?;
        }
    }
    Ok(start.elapsed().as_nanos() as u64)
}

/// What comes before each burst takes so long.
const PHASE: Duration = Duration::from_millis(20);
