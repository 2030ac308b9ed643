//! A connection per request.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{self, Watch};
use crate::crew::Crew;
use crate::mix;
use crate::seen::Seen;

/// A connection and when it was begun.
struct Visit {
    stream: TcpStream,
    begun: Instant,
}

/// Keeps so many connections going; each asks once and reads until the server closes.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    seconds: f64,
    crew: &Crew<'_>,
) -> io::Result<Seen> {
    let watch = Watch::new()?;
    let request = mix::get("close");
    let ask = |index: usize| -> io::Result<Visit> {
        let begun = Instant::now();
        let mut stream = client::connect(address)?;
        stream.write_all(request.as_bytes())?;
        watch.add(&stream, index)?;
        Ok(Visit { stream, begun })
    };
    crew.ready()?;
    let mut visits = (0..crew.part(connections)).map(ask).collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let (mut latencies, mut errors) = (Vec::new(), 0_u64);
    while Instant::now() < end {
        watch.sleep(Duration::from_millis(10))?;
        for index in watch.ready()? {
            match client::read(&visits[index].stream) {
                Ok(Some(_)) => continue,
                Ok(None) => latencies.push(visits[index].begun.elapsed().as_nanos() as u64),
                Err(_) => errors += 1,
            }
            visits[index] = ask(index)?;
        }
    }
    Ok(Seen {
        requests: latencies.len() as u64,
        seconds: start.elapsed().as_secs_f64(),
        latencies,
        counts: vec![("errors", errors)],
        streams: visits.into_iter().map(|visit| visit.stream).collect(),
        ..Seen::default()
    })
}
