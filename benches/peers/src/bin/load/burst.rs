//! Many requests at once: how long until the last of them is answered.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

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

struct Load {
    watch: Watch,
    streams: Vec<TcpStream>,
    /// Bytes of an answer.
    length: usize,
}

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let watch = Watch::new()?;
    let short = mix::get("");
    let (streams, length) = client::connect_all(&watch, plan.address, plan.count, &short)?;
    let load = Load { watch, streams, length };
    let long = mix::get(&format!("sleep/{}", plan.micros));
    // Whatever the first requests of a server cost is not asked about.
    load.burst(short.as_bytes())?;
    crate::ready()?;
    let mut last = Vec::with_capacity(plan.bursts);
    for _ in 0..plan.bursts {
        load.before(plan, short.as_bytes())?;
        last.push(load.burst(long.as_bytes())?);
    }
    last.sort_unstable();
    let median = quantile(&last, 0.5);
    crate::print(&format!("{{\"requests\": {}, \"last_us\": {median:.1}}}", last.len()))
}

impl Load {
    /// Short requests, or a rest.
    fn before(&self, plan: &Plan, short: &[u8]) -> io::Result<()> {
        let end = Instant::now() + PHASE;
        while plan.warm && Instant::now() < end {
            self.burst(short)?;
        }
        std::thread::sleep(end.saturating_duration_since(Instant::now()));
        Ok(())
    }

    /// Sends the request on every connection; nanoseconds until the last is answered.
    fn burst(&self, request: &[u8]) -> io::Result<u64> {
        let start = Instant::now();
        for mut stream in &self.streams {
            stream.write_all(request)?;
        }
        let mut missing = self.streams.len() * self.length;
        while missing > 0 {
            self.watch.sleep(Duration::from_secs(10))?;
            for index in self.watch.ready()? {
                let count = client::read(&self.streams[index])?;
                missing -= count.ok_or(ErrorKind::UnexpectedEof)?;
            }
        }
        Ok(start.elapsed().as_nanos() as u64)
    }
}

/// What comes before each burst takes so long.
const PHASE: Duration = Duration::from_millis(20);
