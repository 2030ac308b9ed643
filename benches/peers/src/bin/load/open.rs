//! The open loop.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{self, Client, Watch};
use crate::crew::Crew;
use crate::mix::Mix;
use crate::seen::Seen;
use crate::target::{Target, Wire};
use crate::theory::Theory;

pub(crate) struct Plan {
    pub(crate) target: Target,
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
    /// How long answers are waited for after the last request.
    pub(crate) patience: Duration,
}

struct Load {
    watch: Watch,
    wire: Wire,
    clients: Vec<Client>,
    /// What a client was just told: when the requests were due that are answered.
    answered: Vec<Instant>,
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
            let (path, micros) = plan.mix.request(sent, &mut random);
            if let Some(theory) = &mut load.theory {
                theory.arrive((due - start).as_secs_f64() * 1e6, micros);
            }
            load.send(due, &path, &mut random)?;
            sent += 1;
            due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        }
        // Answers are taken at every turn, or a load that has fallen behind would not see them.
        load.receive_until(if late { start } else { due })?;
    }
    let patience = Instant::now() + plan.patience;
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
        let wire = plan.target.wire.clone();
        let clients = client::connect_all(&watch, &plan.target, count, &wire.get(""))?;
        // Before them, one was opened to learn the length of an answer over HTTP/1.1.
        let first = *opened + 1;
        *opened = first + count;
        drop(opened);
        let expected = (crew.rate(plan.rate) * plan.seconds * 1.5) as usize;
        Ok(Load {
            watch,
            wire,
            clients,
            answered: Vec::new(),
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
            client.ask(&self.wire.get(""), Instant::now());
            client.flush()?;
        }
        while self.free.len() < self.clients.len() {
            self.receive_until(Instant::now() + Duration::from_secs(10))?;
        }
        self.free = self.hot.iter().copied().collect();
        self.latencies.clear();
        Ok(())
    }

    fn send(&mut self, due: Instant, path: &str, random: &mut Rng) -> io::Result<()> {
        let index = self.free.pop_front().unwrap_or_else(|| {
            self.behind += 1;
            self.hot[random.usize(..self.hot.len())]
        });
        let client = &mut self.clients[index];
        client.ask(&self.wire.get(path), due);
        client.flush()
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
        client.receive(&mut self.answered)?;
        client.flush()?;
        if !self.answered.is_empty() && client.is_free() {
            self.free.push_back(index);
        }
        let latency = |due: Instant| due.elapsed().as_nanos() as u64;
        self.latencies.extend(self.answered.drain(..).map(latency));
        Ok(())
    }

    /// What was not answered counts with the time it has waited so far.
    fn seen(mut self, sent: u64, start: Instant) -> Seen {
        let answered = self.latencies.len() as u64;
        let waiting = self.clients.iter().flat_map(Client::waiting);
        self.latencies.extend(waiting.map(|due| due.elapsed().as_nanos() as u64));
        Seen {
            requests: answered,
            seconds: start.elapsed().as_secs_f64(),
            latencies: self.latencies,
            counts: vec![("unanswered", sent - answered), ("behind", self.behind)],
            theory: self.theory.map(Theory::p99),
            clients: self.clients,
            ..Seen::default()
        }
    }
}

/// How long before a request is due the load stops sleeping.
const LOOKING: Duration = Duration::from_micros(30);
/// How long answers are waited for where it counts how many come in time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// The same where all of them are to come.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
