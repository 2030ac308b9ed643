//! The closed loop: each connection asks again as soon as it is answered.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{self, Watch};
use crate::crew::Crew;
use crate::seen::Seen;

struct Client {
    stream: TcpStream,
    received: usize,
    asked: Instant,
}

struct Load {
    watch: Watch,
    clients: Vec<Client>,
    request: String,
    /// Bytes of an answer.
    length: usize,
    latencies: Vec<u64>,
}

pub(crate) fn run(
    address: SocketAddr,
    request: String,
    connections: usize,
    seconds: f64,
    crew: &Crew<'_>,
) -> io::Result<Seen> {
    let mut load = Load::new(address, request, connections, crew)?;
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
        address: SocketAddr,
        request: String,
        connections: usize,
        crew: &Crew<'_>,
    ) -> io::Result<Load> {
        let watch = Watch::new()?;
        let opening = crew.opening();
        let (streams, length) =
            client::connect_all(&watch, address, crew.part(connections), &request)?;
        drop(opening);
        let client = |stream| Client { stream, received: 0, asked: Instant::now() };
        let clients = streams.into_iter().map(client).collect();
        Ok(Load { watch, clients, request, length, latencies: Vec::new() })
    }

    fn ask_all(&mut self) -> io::Result<()> {
        for client in &mut self.clients {
            client.asked = Instant::now();
            client.stream.write_all(self.request.as_bytes())?;
        }
        Ok(())
    }

    /// Takes the answers to every question, none of which is followed by another.
    fn answer_all(&mut self) -> io::Result<()> {
        while self.clients.iter().any(|client| client.received < self.length) {
            self.turn(false)?;
        }
        self.clients.iter_mut().for_each(|client| client.received = 0);
        Ok(())
    }

    /// Takes what answers there are, or waits for some.
    fn turn(&mut self, again: bool) -> io::Result<()> {
        let mut ready = self.watch.ready()?.peekable();
        if ready.peek().is_none() {
            return self.watch.sleep(Duration::from_millis(10));
        }
        for index in ready {
            let client = &mut self.clients[index];
            client.received += client::read(&client.stream)?.ok_or(ErrorKind::UnexpectedEof)?;
            if client.received < self.length {
                continue;
            }
            let now = Instant::now();
            self.latencies.push((now - client.asked).as_nanos() as u64);
            if again {
                client.received = 0;
                client.asked = now;
                client.stream.write_all(self.request.as_bytes())?;
            }
        }
        Ok(())
    }

    fn seen(self, time: Duration) -> Seen {
        Seen {
            requests: self.latencies.len() as u64,
            seconds: time.as_secs_f64(),
            latencies: self.latencies,
            streams: self.clients.into_iter().map(|client| client.stream).collect(),
            ..Seen::default()
        }
    }
}
