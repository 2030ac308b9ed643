//! What is asked of the server.

use crate::settings::Settings;

/// A kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    Echo,
    Http,
    Hog,
    Skew,
    Churn,
}

/// The size of one point: what a load grows with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) workers: usize,
    pub(crate) shards: usize,
    /// CPUs that the server has.
    pub(crate) server_cpus: usize,
    /// CPUs that the load may have.
    pub(crate) load_cpus: usize,
}

impl Workload {
    pub(crate) const ALL: [Workload; 5] =
        [Workload::Echo, Workload::Http, Workload::Hog, Workload::Skew, Workload::Churn];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Workload::Echo => "echo",
            Workload::Http => "http",
            Workload::Hog => "hog",
            Workload::Skew => "skew",
            Workload::Churn => "churn",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Workload::Echo => "63 bytes sent back, closed loop: the least work there is",
            Workload::Http => "HTTP plaintext, closed loop",
            Workload::Hog => {
                "open loop, HTTP, steady for each CPU; one request in 1,000 blocks its worker 5 ms"
            }
            Workload::Skew => {
                "open loop at 60 % of the workers, which sleep 1 ms each time (exponential); all \
                 busy connections are on one shard"
            }
            Workload::Churn => "a connection per request, closed by the server",
        }
    }

    /// Whether requests come at a rate, so that latency is the figure to look at, not throughput.
    pub(crate) fn open(self) -> bool {
        matches!(self, Workload::Hog | Workload::Skew)
    }

    /// The server's arguments.
    pub(crate) fn server(self) -> &'static str {
        match self {
            Workload::Echo => "echo",
            _ => "http",
        }
    }

    /// The arguments of `load`, with `ADDRESS` in place of the server's.
    pub(crate) fn load(self, size: Size, settings: &Settings) -> String {
        let Settings { seconds, connections, rate, .. } = *settings;
        let Size { workers, shards, server_cpus, .. } = size;
        let threads = settings.load_threads.unwrap_or(self.threads(size, settings));
        let all = connections * workers;
        let kind = match self {
            Workload::Echo => format!("echo ADDRESS {all} {seconds}"),
            Workload::Http => format!("closed ADDRESS {all} {seconds}"),
            Workload::Hog => {
                let rate = rate * server_cpus as f64;
                format!("open ADDRESS {rate} {all} {seconds} hog {SEED} 0")
            }
            Workload::Skew => {
                let rate = skew_rate(workers);
                let hot = (workers * 8).min(MOST_CONNECTIONS / shards).max(workers);
                format!("skew ADDRESS {rate} {hot} {seconds} exponential:{SERVICE} {SEED} {shards}")
            }
            Workload::Churn => format!("churn ADDRESS {} {seconds}", workers * 8),
        };
        format!("threads {threads} {kind}")
    }

    /// As many as the server has CPUs, since a request costs a closed loop about what it costs the
    /// server; for an open loop as many as its rate needs.
    pub(crate) fn threads(self, size: Size, settings: &Settings) -> usize {
        let rate = match self {
            Workload::Hog => settings.rate * size.server_cpus as f64,
            Workload::Skew => skew_rate(size.workers),
            _ => return size.server_cpus.clamp(1, size.load_cpus),
        };
        ((rate / RATE_A_THREAD).ceil() as usize).clamp(1, size.load_cpus)
    }
}

/// Requests a second that keep so many workers busy for 60 % of their time.
fn skew_rate(workers: usize) -> f64 {
    0.6 * workers as f64 * 1e6 / SERVICE
}

/// Mean time that a worker is kept by a request of `skew`, in microseconds.
const SERVICE: f64 = 1_000.0;
/// Requests a second that one thread sends in time.
const RATE_A_THREAD: f64 = 20_000.0;
/// Fewer than there are ports for.
const MOST_CONNECTIONS: usize = 20_000;
const SEED: u64 = 7;
