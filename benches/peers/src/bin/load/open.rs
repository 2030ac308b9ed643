//! The open loop.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{self, Watch};
use crate::mix::Mix;
use crate::quantile;
use crate::theory::Theory;

pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) connections: usize,
    pub(crate) seconds: f64,
    pub(crate) mix: Mix,
    pub(crate) seed: u64,
    /// Perfect servers to compare with; 0 for none.
    pub(crate) servers: usize,
}

struct Client {
    stream: TcpStream,
    /// When each request that waits for its answer was due.
    due: VecDeque<Instant>,
    received: usize,
}

struct Load {
    watch: Watch,
    clients: Vec<Client>,
    /// Bytes of an answer.
    length: usize,
    /// Clients without a request under way, the one that waited longest first.
    free: VecDeque<usize>,
    latencies: Vec<u64>,
    /// Requests that were sent behind another one, as no client was free.
    behind: u64,
    theory: Option<Theory>,
}

pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let mut load = Load::new(plan)?;
    let mut random = Rng::with_seed(plan.seed);
    load.warm_up()?;
    crate::ready()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    let (mut due, mut sent) = (start, 0);
    while due < end {
        let late = Instant::now() >= due;
        if late {
            let (request, micros) = plan.mix.request(sent, &mut random);
            if let Some(theory) = &mut load.theory {
                theory.arrive((due - start).as_secs_f64() * 1e6, micros);
            }
            load.send(due, request.as_bytes(), &mut random)?;
            sent += 1;
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / plan.rate);
        }
        // Answers are taken at every turn, or a load that has fallen behind would not see them.
        load.receive_until(if late { start } else { due })?;
    }
    let patience = Instant::now() + PATIENCE;
    while (load.latencies.len() as u64) < sent && Instant::now() < patience {
        load.receive_until(patience)?;
    }
    load.report(sent)
}

impl Load {
    fn new(plan: &Plan) -> io::Result<Load> {
        let watch = Watch::new()?;
        let (streams, length) = client::connect_all(&watch, plan.address, plan.connections)?;
        let client = |stream| Client { stream, due: VecDeque::new(), received: 0 };
        let clients = streams.into_iter().map(client).collect();
        let expected = (plan.rate * plan.seconds * 1.5) as usize;
        let free = (0..plan.connections).collect();
        let latencies = Vec::with_capacity(expected);
        let theory = (plan.servers > 0).then(|| Theory::new(plan.servers));
        Ok(Load { watch, clients, length, free, latencies, behind: 0, theory })
    }

    /// One short request on every connection, for what first ones cost.
    fn warm_up(&mut self) -> io::Result<()> {
        for client in &mut self.clients {
            client.due.push_back(Instant::now());
            client.stream.write_all(crate::mix::get("").as_bytes())?;
        }
        self.free.clear();
        while self.free.len() < self.clients.len() {
            self.receive_until(Instant::now() + Duration::from_secs(10))?;
        }
        self.latencies.clear();
        Ok(())
    }

    fn send(&mut self, due: Instant, request: &[u8], random: &mut Rng) -> io::Result<()> {
        let index = self.free.pop_front().unwrap_or_else(|| {
            self.behind += 1;
            random.usize(..self.clients.len())
        });
        let client = &mut self.clients[index];
        client.due.push_back(due);
        client.stream.write_all(request)
    }

    /// Takes what answers there are; if there are none, it waits for some until `due`.
    fn receive_until(&mut self, due: Instant) -> io::Result<()> {
        let mut ready = self.watch.ready()?.peekable();
        if ready.peek().is_none() {
            let left = due.saturating_duration_since(Instant::now());
            // The last of the wait is spent looking: a sleep ends late.
            if left > LOOKING {
                self.watch.sleep(left - LOOKING)?;
            }
            return Ok(());
        }
        for index in ready {
            self.receive(index)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let client = &mut self.clients[index];
        client.received += client::read(&client.stream)?.ok_or(ErrorKind::UnexpectedEof)?;
        while client.received >= self.length {
            client.received -= self.length;
            let due = client.due.pop_front().ok_or(ErrorKind::InvalidData)?;
            self.latencies.push(due.elapsed().as_nanos() as u64);
            if client.due.is_empty() {
                self.free.push_back(index);
            }
        }
        Ok(())
    }

    /// What was not answered counts with the time it has waited so far.
    fn report(mut self, sent: u64) -> io::Result<()> {
        let answered = self.latencies.len() as u64;
        let waiting = self.clients.iter().flat_map(|client| &client.due);
        self.latencies.extend(waiting.map(|due| due.elapsed().as_nanos() as u64));
        self.latencies.sort_unstable();
        let at = |share| quantile(&self.latencies, share);
        let theory = self.theory.map_or(String::new(), |theory| {
            let perfect = theory.p99();
            format!(", \"theory_us\": {perfect:.1}, \"of_theory\": {:.4}", at(0.99) / perfect)
        });
        crate::say(&format!(
            "{{\"requests\": {}, \"unanswered\": {}, \"behind\": {}, \"p50_us\": {:.1}, \
             \"p99_us\": {:.1}, \"p999_us\": {:.1}{theory}}}",
            answered,
            sent - answered,
            self.behind,
            at(0.5),
            at(0.99),
            at(0.999),
        ))
    }
}

/// How long before a request is due the load stops sleeping.
const LOOKING: Duration = Duration::from_micros(30);
/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(1);
