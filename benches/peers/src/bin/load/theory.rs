//! What the best of all schedulers without knowledge of the future would do: one queue, first come
//! first served, no cost (M/G/n). It is given the very requests that the server under test was.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// So many perfect servers behind one queue.
pub(crate) struct Theory {
    /// When each server is free, in whole nanoseconds, the first one on top.
    free: BinaryHeap<Reverse<u64>>,
    /// How long each request was there, in microseconds.
    stays: Vec<f64>,
}

impl Theory {
    pub(crate) fn new(servers: usize) -> Theory {
        Theory { free: (0..servers).map(|_| Reverse(0)).collect(), stays: Vec::new() }
    }

    /// A request arrives at `at` and takes a server `micros`. Requests come in order.
    pub(crate) fn arrive(&mut self, at: f64, micros: f64) {
        let Reverse(free) = self.free.pop().expect("there is a server");
        let end = (free as f64 / 1_000.0).max(at) + micros;
        self.free.push(Reverse((end * 1_000.0) as u64));
        self.stays.push(end - at);
    }

    pub(crate) fn p99(mut self) -> f64 {
        self.stays.sort_unstable_by(f64::total_cmp);
        self.stays[((self.stays.len() - 1) as f64 * 0.99).ceil() as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_waits_for_the_first_free_server_and_no_longer() {
        let mut theory = Theory::new(2);
        for (at, micros) in [(0.0, 10.0), (0.0, 4.0), (1.0, 2.0), (20.0, 1.0)] {
            theory.arrive(at, micros);
        }
        assert_eq!(theory.stays, [10.0, 4.0, 5.0, 1.0]);
    }
}
