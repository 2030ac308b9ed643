//! A connection per request.

use std::io;
use std::time::{Duration, Instant};

use crate::client::Watch;
use crate::connection::{Connection, Peer};
use crate::crew::Crew;
use crate::seen::Seen;
use crate::target::Target;

/// A connection, when it was begun, and how much of an answer it brought.
struct Visit {
    connection: Connection,
    begun: Instant,
    received: usize,
}

/// What became of the visits.
#[derive(Default)]
struct Ended {
    latencies: Vec<u64>,
    resumed: u64,
    errors: u64,
}

/// Keeps so many connections going; each asks once and reads until the server closes.
pub(crate) fn run(
    target: &Target,
    connections: usize,
    seconds: f64,
    crew: &Crew<'_>,
) -> io::Result<Seen> {
    let watch = Watch::new()?;
    let ask = |index: usize| -> io::Result<Visit> {
        let begun = Instant::now();
        let mut connection = Connection::open(target)?;
        connection.write(REQUEST)?;
        watch.add(&connection, index)?;
        Ok(Visit { connection, begun, received: 0 })
    };
    crew.ready()?;
    let mut visits = (0..crew.part(connections)).map(ask).collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let mut ended = Ended::default();
    while Instant::now() < end {
        watch.sleep(Duration::from_millis(10))?;
        for index in watch.ready()? {
            if visits[index].receive(&mut ended) == Peer::Closed {
                visits[index] = ask(index)?;
            }
        }
    }
    ended.check(target, visits.len())?;
    let mut counts = vec![("errors", ended.errors)];
    counts.extend(target.wire.tls.as_ref().map(|_| ("resumed", ended.resumed)));
    Ok(Seen {
        requests: ended.latencies.len() as u64,
        seconds: start.elapsed().as_secs_f64(),
        latencies: ended.latencies,
        counts,
        connections: visits.into_iter().map(|visit| visit.connection).collect(),
        ..Seen::default()
    })
}

impl Visit {
    /// Reads once, and counts how it ended if it did.
    fn receive(&mut self, ended: &mut Ended) -> Peer {
        let received = &mut self.received;
        match self.connection.read(|bytes| *received += bytes.len()) {
            Ok(Peer::Open) => return Peer::Open,
            Ok(Peer::Closed) if *received > 0 => {
                ended.latencies.push(self.begun.elapsed().as_nanos() as u64);
                ended.resumed += u64::from(self.connection.is_resumed());
            }
            Ok(Peer::Closed) | Err(_) => ended.errors += 1,
        }
        Peer::Closed
    }
}

impl Ended {
    /// Fails if sessions were to be resumed and were not, the first of each connection's place and
    /// one in ten others apart.
    fn check(&self, target: &Target, connections: usize) -> io::Result<()> {
        let requests = self.latencies.len() as u64;
        let full = requests - self.resumed;
        match target.wire.resumed && full > connections as u64 + requests / 10 {
            true => Err(io::Error::other(format!("{full} of {requests} handshakes were full"))),
            false => Ok(()),
        }
    }
}

/// The path tells the servers that parse no headers to close.
const REQUEST: &[u8] = b"GET /close HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
