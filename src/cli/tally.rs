//! Counting responses by status code without a cache line that all cores write to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hyper::StatusCode;

/// Counts of responses, one set for each of a few threads.
#[derive(Default)]
pub(crate) struct Tally {
    stripes: [Stripe; STRIPES],
}

/// One thread's counts, on cache lines of its own. More threads than stripes share them, which
/// costs time and loses nothing.
#[derive(Default)]
#[repr(align(128))]
struct Stripe {
    counts: [AtomicU64; CODES.len() + 1],
}

impl Tally {
    /// Counts a response.
    pub(crate) fn count(&self, status: StatusCode) {
        let code = CODES.iter().position(|&code| code == status).unwrap_or(CODES.len());
        // Relaxed: a count orders nothing.
        STRIPE.with(|&stripe| self.stripes[stripe].counts[code].fetch_add(1, Ordering::Relaxed));
    }

    /// The counts so far, by the code as a metric's label says it.
    pub(crate) fn sums(&self) -> BTreeMap<&'static str, u64> {
        let labels = CODES.iter().map(StatusCode::as_str).chain(["other"]);
        let sum = |code: usize| {
            self.stripes.iter().map(|stripe| stripe.counts[code].load(Ordering::Relaxed)).sum()
        };
        labels.enumerate().map(|(code, label)| (label, sum(code))).collect()
    }
}

thread_local! {
    static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
}

/// Deals stripes to threads in turn. Relaxed: any thread may get any.
static NEXT: AtomicUsize = AtomicUsize::new(0);

const STRIPES: usize = 16;

/// What the routes answer with.
const CODES: [StatusCode; 8] = [
    StatusCode::OK,
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::METHOD_NOT_ALLOWED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::INTERNAL_SERVER_ERROR,
    StatusCode::SERVICE_UNAVAILABLE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_counted_on_many_threads_add_up() {
        let tally = Tally::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1000).for_each(|_| tally.count(StatusCode::OK)));
            }
        });
        tally.count(StatusCode::IM_A_TEAPOT);
        let sums = tally.sums();
        assert_eq!((sums["200"], sums["404"], sums["other"]), (4000, 0, 1));
    }
}
