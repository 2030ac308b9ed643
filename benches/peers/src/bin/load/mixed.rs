//! Short requests and long ones, 99 to 1: how much of both a server takes before the short ones wait too long.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::client::{self, Client, Watch};
use crate::target::Target;
use crate::{mix, quantile};

pub(crate) struct Plan {
    pub(crate) target: Target,
    /// How many requests the server works on at once.
    pub(crate) workers: usize,
    /// What a short request sleeps in the kernel; a long one 100 times that.
    pub(crate) micros: u64,
    pub(crate) connections: usize,
    /// Whether long requests come on connections of their own, an eighth of them.
    pub(crate) apart: bool,
    /// For each load that is tried.
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
}

/// Halves what is left between a load that is borne and one that is not, as often as [`STEPS`] says. A load is
/// borne if the p99.9 of the short requests is at most [`BOUND`] times their own length.
pub(crate) fn run(plan: &Plan) -> io::Result<()> {
    let mut load = Load::new(plan)?;
    crate::ready()?;
    let (mut borne, mut too_much) = (0.0, 1.0);
    for _ in 0..STEPS {
        let share = (borne + too_much) / 2.0;
        let bound = BOUND * plan.micros as f64;
        match load.play(plan, share)? <= bound {
            true => borne = share,
            false => too_much = share,
        }
    }
    // The middle of what is left, so that it is never nothing.
    let (requests, borne) = (load.answered, (borne + too_much) / 2.0);
    crate::print(&format!("{{\"requests\": {requests}, \"borne_load\": {borne:.4}}}"))
}

struct Load {
    watch: Watch,
    clients: Vec<Client>,
    /// Clients without a request under way: those for short requests, and those for long ones, unless each is
    /// for both.
    free: [VecDeque<usize>; 2],
    /// Requests that wait for a client, and when they were due.
    waiting: [VecDeque<Instant>; 2],
    /// Whether the request under way on a client is a long one.
    long: Vec<bool>,
    /// Clients for long requests alone.
    apart: usize,
    /// Of short requests, in nanoseconds.
    latencies: Vec<u64>,
    answered: u64,
}

impl Load {
    fn new(plan: &Plan) -> io::Result<Load> {
        let watch = Watch::new()?;
        let plain = mix::get("");
        let clients = client::connect_all(&watch, &plan.target, plan.connections, &plain)?;
        let apart = if plan.apart { plan.connections.div_ceil(8) } else { 0 };
        let free = [(apart..plan.connections).collect(), (0..apart).collect()];
        let long = vec![false; plan.connections];
        let (waiting, latencies) = (Default::default(), Vec::new());
        Ok(Load { watch, clients, free, waiting, long, apart, latencies, answered: 0 })
    }

    /// Loads the server with `share` of what it can do; the p99.9 of short requests in microseconds.
    fn play(&mut self, plan: &Plan, share: f64) -> io::Result<f64> {
        let mut random = Rng::with_seed(plan.seed);
        let mean = plan.micros as f64 * (1.0 + LONG * (TIMES - 1.0)) / 1e6;
        let rate = share * plan.workers as f64 / mean;
        let requests = [1.0, TIMES]
            .map(|times| mix::get(&format!("sleep/{}", (plan.micros as f64 * times) as u64)));
        self.latencies.clear();
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(plan.seconds);
        let mut due = start;
        while due < end {
            let late = Instant::now() >= due;
            if late {
                self.waiting[usize::from(random.f64() < LONG)].push_back(due);
                due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
            }
            self.send(&requests)?;
            self.receive_until(if late { start } else { due })?;
        }
        while !self.is_idle() {
            self.send(&requests)?;
            self.receive_until(Instant::now() + MOMENT)?;
        }
        self.latencies.sort_unstable();
        // Of few requests the quantile is the slowest; of none there is none to wait.
        Ok(quantile(&self.latencies, 0.999).max(0.0))
    }

    fn is_idle(&self) -> bool {
        let free: usize = self.free.iter().map(VecDeque::len).sum();
        free == self.clients.len() && self.waiting.iter().all(VecDeque::is_empty)
    }

    /// Sends what waits, as far as clients are free.
    fn send(&mut self, requests: &[Vec<u8>; 2]) -> io::Result<()> {
        for kind in [0, 1] {
            let place = if self.apart > 0 { kind } else { 0 };
            while !self.waiting[kind].is_empty() && !self.free[place].is_empty() {
                let (due, index) = (self.waiting[kind].pop_front(), self.free[place].pop_front());
                let (due, index) = due.zip(index).expect("neither is empty");
                self.long[index] = kind == 1;
                self.clients[index].ask(&requests[kind], due);
                self.clients[index].flush()?;
            }
        }
        Ok(())
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
        let mut answered = Vec::new();
        for index in ready {
            self.clients[index].receive(&mut answered)?;
            for due in answered.drain(..) {
                self.answered += 1;
                if !self.long[index] {
                    self.latencies.push(due.elapsed().as_nanos() as u64);
                }
                self.free[usize::from(index < self.apart)].push_back(index);
            }
        }
        Ok(())
    }
}

/// Loads that are tried: the result is exact to a 64th of what the server can do.
const STEPS: u32 = 6;
/// How many times its own length a short request may take.
const BOUND: f64 = 10.0;
/// The share of long requests, and how many times as long they are.
const LONG: f64 = 0.01;
const TIMES: f64 = 100.0;
/// How long before a request is due the load stops sleeping.
const LOOKING: Duration = Duration::from_micros(30);
const MOMENT: Duration = Duration::from_millis(10);
