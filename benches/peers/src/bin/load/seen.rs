//! What a load saw.

use crate::client::Client;
use crate::connection::Connection;
use crate::quantile;

#[derive(Default)]
pub(crate) struct Seen {
    /// Requests that were answered.
    pub(crate) requests: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// CPU seconds that it took, of so many threads.
    pub(crate) cpu: f64,
    pub(crate) threads: usize,
    /// In nanoseconds.
    pub(crate) latencies: Vec<u64>,
    /// What else was counted, by name.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// The p99 of perfect servers in microseconds.
    pub(crate) theory: Option<f64>,
    /// What is open still: what closing costs a server is not part of what a request costs it.
    pub(crate) clients: Vec<Client>,
    pub(crate) connections: Vec<Connection>,
}

impl Seen {
    /// Adds what another thread saw at the same time, of the same kind of load.
    pub(crate) fn add(&mut self, other: Seen) {
        self.requests += other.requests;
        self.seconds = self.seconds.max(other.seconds);
        self.cpu += other.cpu;
        self.threads += other.threads;
        self.latencies.extend(other.latencies);
        for ((_, count), (_, more)) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        // What part of the servers a thread's requests would have had is not known.
        self.theory = None;
        self.clients.extend(other.clients);
        self.connections.extend(other.connections);
    }

    /// One line of JSON.
    pub(crate) fn line(&mut self) -> String {
        self.latencies.sort_unstable();
        let at = |share| quantile(&self.latencies, share);
        let rate = self.requests as f64 / self.seconds;
        let mut figures = vec![("requests", self.requests as f64), ("rate", rate)];
        figures.push(("seconds", self.seconds));
        // At 1 it is the load that can do no more.
        figures.push(("load_busy", self.cpu / (self.seconds * self.threads as f64)));
        figures.extend(self.counts.iter().map(|&(name, count)| (name, count as f64)));
        figures.extend([("p50_us", at(0.5)), ("p99_us", at(0.99)), ("p999_us", at(0.999))]);
        let theory =
            self.theory.map(|perfect| [("theory_us", perfect), ("of_theory", at(0.99) / perfect)]);
        figures.extend(theory.into_iter().flatten());
        let fields = figures.into_iter().filter(|(_, figure)| figure.is_finite());
        let fields: Vec<_> =
            fields.map(|(name, figure)| format!("\"{name}\": {figure:.4}")).collect();
        format!("{{{}}}", fields.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_threads_and_not_a_mean_of_theirs() {
        let of = |latencies: &[u64]| Seen {
            requests: latencies.len() as u64,
            seconds: 0.5,
            cpu: 0.1,
            threads: 1,
            latencies: latencies.to_vec(),
            counts: vec![("errors", 1)],
            ..Seen::default()
        };
        let mut both = of(&[9_000_000, 1_000]);
        both.add(of(&[2_000, 3_000, 1_000]));
        let line = both.line();
        assert!(line.contains("\"requests\": 5.0000, \"rate\": 10.0000"), "{line}");
        assert!(line.contains("\"load_busy\": 0.2000"), "{line}");
        assert!(line.contains("\"errors\": 2.0000, \"p50_us\": 2.0000"), "{line}");
        assert!(line.contains("\"p999_us\": 9000.0000"), "{line}");
    }
}
