//! What came of draining.

use std::fmt;
use std::time::Duration;

/// How the connections ended that were open when the server began to drain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// Finished their request.
    pub(crate) finished: u64,
    /// Had none, and were closed at once.
    pub(crate) idle: u64,
    /// Were still busy at the end of the grace.
    pub(crate) cut: usize,
    pub(crate) took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { finished, idle, cut, took } = self;
        let seconds = took.as_secs_f64();
        write!(f, "{finished} finished, {idle} idle closed, {cut} cut, in {seconds:.3} s")
    }
}
