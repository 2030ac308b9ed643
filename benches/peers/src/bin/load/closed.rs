//! The closed loop: each connection asks again as soon as it is answered.

use std::io;
use std::time::{Duration, Instant};

use crate::client::{self, Client, Watch};
use crate::crew::Crew;
use crate::seen::Seen;
use crate::target::Target;

struct Load {
    watch: Watch,
    clients: Vec<Client>,
    request: Vec<u8>,
    /// Requests under way on each connection.
    depth: usize,
    latencies: Vec<u64>,
}

pub(crate) fn run(
    target: &Target,
    request: Vec<u8>,
    connections: usize,
    seconds: f64,
    crew: &Crew<'_>,
) -> io::Result<Seen> {
    let mut load = Load::new(target, request, connections, crew)?;
    // One request each, for what first ones cost.
    load.ask_all()?;
    load.answer_all()?;
    crew.ready()?;
    load.latencies.clear();
    let start = Instant::now();
    load.ask_all()?;
    while start.elapsed().as_secs_f64() < seconds {
        load.turn(true)?;
    }
    load.answer_all()?;
    Ok(load.seen(start.elapsed()))
}

impl Load {
    fn new(
        target: &Target,
        request: Vec<u8>,
        connections: usize,
        crew: &Crew<'_>,
    ) -> io::Result<Load> {
        let watch = Watch::new()?;
        let opening = crew.opening();
        let clients = client::connect_all(&watch, target, crew.part(connections), &request)?;
        drop(opening);
        Ok(Load { watch, clients, request, depth: target.wire.depth(), latencies: Vec::new() })
    }

    fn ask_all(&mut self) -> io::Result<()> {
        for client in &mut self.clients {
            let now = Instant::now();
            (0..self.depth).for_each(|_| client.ask(&self.request, now));
            client.flush()?;
        }
        Ok(())
    }

    /// Takes the answers to every question, none of which is followed by another.
    fn answer_all(&mut self) -> io::Result<()> {
        while self.clients.iter().any(|client| !client.is_free()) {
            self.turn(false)?;
        }
        Ok(())
    }

    /// Takes what answers there are, or waits for some.
    fn turn(&mut self, again: bool) -> io::Result<()> {
        let mut ready = self.watch.ready()?.peekable();
        if ready.peek().is_none() {
            return self.watch.sleep(Duration::from_millis(10));
        }
        let mut answered = Vec::with_capacity(self.depth);
        for index in ready {
            let client = &mut self.clients[index];
            client.receive(&mut answered)?;
            let now = Instant::now();
            for asked in answered.drain(..) {
                self.latencies.push((now - asked).as_nanos() as u64);
                if again {
                    client.ask(&self.request, now);
                }
            }
            client.flush()?;
        }
        Ok(())
    }

    fn seen(self, time: Duration) -> Seen {
        Seen {
            requests: self.latencies.len() as u64,
            seconds: time.as_secs_f64(),
            latencies: self.latencies,
            clients: self.clients,
            ..Seen::default()
        }
    }
}
