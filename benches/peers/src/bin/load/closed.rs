//! The closed loop: each connection asks again as soon as it is answered.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{self, Watch};
use crate::{mix, quantile};

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

pub(crate) fn run(address: SocketAddr, connections: usize, seconds: f64) -> io::Result<()> {
    let mut load = Load::new(address, connections)?;
    // One request each, for what first ones cost.
    load.ask_all()?;
    load.answer_all()?;
    crate::ready()?;
    load.latencies.clear();
    let start = Instant::now();
    load.ask_all()?;
    while start.elapsed().as_secs_f64() < seconds {
        load.turn(true)?;
    }
    load.answer_all()?;
    load.report(start.elapsed())
}

impl Load {
    fn new(address: SocketAddr, connections: usize) -> io::Result<Load> {
        let watch = Watch::new()?;
        let (streams, length) = client::connect_all(&watch, address, connections)?;
        let client = |stream| Client { stream, received: 0, asked: Instant::now() };
        let clients = streams.into_iter().map(client).collect();
        Ok(Load { watch, clients, request: mix::get(""), length, latencies: Vec::new() })
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

    fn report(mut self, time: Duration) -> io::Result<()> {
        self.latencies.sort_unstable();
        let at = |share| quantile(&self.latencies, share);
        let requests = self.latencies.len();
        crate::say(&format!(
            "{{\"requests\": {requests}, \"rate\": {:.1}, \"p50_us\": {:.1}, \"p99_us\": {:.1}, \
             \"p999_us\": {:.1}}}",
            requests as f64 / time.as_secs_f64(),
            at(0.5),
            at(0.99),
            at(0.999),
        ))
    }
}
