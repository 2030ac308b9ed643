//! The open loop.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{self, Watch};
use crate::crew::Crew;
use crate::mix::{self, Mix};
use crate::seen::Seen;
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
    /// Of so many connections opened one after the other only one is asked anything; the others
    /// are there besides. A server that deals connections out in turn has them all in one place.
    pub(crate) stride: usize,
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
    /// Clients that are asked.
    hot: Vec<usize>,
    /// Hot clients without a request under way, the one that waited longest first.
    free: VecDeque<usize>,
    latencies: Vec<u64>,
    /// Requests that were sent behind another one, as no client was free.
    behind: u64,
    theory: Option<Theory>,
}

pub(crate) fn run(plan: &Plan, crew: &Crew<'_>) -> io::Result<Seen> {
    let mut load = Load::new(plan, crew)?;
    let mut random = Rng::with_seed(crew.seed(plan.seed));
    let rate = crew.rate(plan.rate);
    load.warm_up()?;
    crew.ready()?;
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
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        }
        // Answers are taken at every turn, or a load that has fallen behind would not see them.
        load.receive_until(if late { start } else { due })?;
    }
    let patience = Instant::now() + PATIENCE;
    while (load.latencies.len() as u64) < sent && Instant::now() < patience {
        load.receive_until(patience)?;
    }
    Ok(load.seen(sent, start))
}

impl Load {
    fn new(plan: &Plan, crew: &Crew<'_>) -> io::Result<Load> {
        let watch = Watch::new()?;
        let count = crew.part(plan.connections) * plan.stride;
        let mut opened = crew.opening();
        let (streams, length) = client::connect_all(&watch, plan.address, count, &mix::get(""))?;
        // Before them, one was opened to learn the length of an answer.
        let first = *opened + 1;
        *opened = first + count;
        drop(opened);
        let client = |stream| Client { stream, due: VecDeque::new(), received: 0 };
        let clients = streams.into_iter().map(client).collect();
        let expected = (crew.rate(plan.rate) * plan.seconds * 1.5) as usize;
        Ok(Load {
            watch,
            clients,
            length,
            hot: (0..count).filter(|index| (first + index).is_multiple_of(plan.stride)).collect(),
            free: VecDeque::new(),
            latencies: Vec::with_capacity(expected),
            behind: 0,
            theory: (plan.servers > 0).then(|| Theory::new(plan.servers)),
        })
    }

    /// One short request on every connection, for what first ones cost.
    fn warm_up(&mut self) -> io::Result<()> {
        for client in &mut self.clients {
            client.due.push_back(Instant::now());
            client.stream.write_all(mix::get("").as_bytes())?;
        }
        while self.free.len() < self.clients.len() {
            self.receive_until(Instant::now() + Duration::from_secs(10))?;
        }
        self.free = self.hot.iter().copied().collect();
        self.latencies.clear();
        Ok(())
    }

    fn send(&mut self, due: Instant, request: &[u8], random: &mut Rng) -> io::Result<()> {
        let index = self.free.pop_front().unwrap_or_else(|| {
            self.behind += 1;
            self.hot[random.usize(..self.hot.len())]
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
    fn seen(mut self, sent: u64, start: Instant) -> Seen {
        let answered = self.latencies.len() as u64;
        let waiting = self.clients.iter().flat_map(|client| &client.due);
        self.latencies.extend(waiting.map(|due| due.elapsed().as_nanos() as u64));
        Seen {
            requests: answered,
            seconds: start.elapsed().as_secs_f64(),
            latencies: self.latencies,
            counts: vec![("unanswered", sent - answered), ("behind", self.behind)],
            theory: self.theory.map(Theory::p99),
            streams: self.clients.into_iter().map(|client| client.stream).collect(),
            ..Seen::default()
        }
    }
}

/// How long before a request is due the load stops sleeping.
const LOOKING: Duration = Duration::from_micros(30);
/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(1);
