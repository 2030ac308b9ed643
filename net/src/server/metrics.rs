//! What a server does and has done, as plain numbers.

use heist_scheduler::metrics::HistogramSnapshot;

use crate::connection::close_reason::CloseKind;
use crate::connection::refusal::Refusal;

/// What a server does now, and has done since it started; see
/// [`Server::metrics`](super::Server::metrics).
///
/// The numbers of connections are exact; the others are 0 without the feature `metrics`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Metrics {
    /// Connections that are doing something: serving a request, or in the middle of a message.
    pub connections_active: u64,
    /// Connections that wait for a request.
    pub connections_idle: u64,
    /// How many connections there may be at once ([`Limits::connections`](super::Limits::connections)).
    pub connections_limit: u64,
    /// Connections that were taken in.
    pub accepted: u64,
    /// Connections that were closed before they were served, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// Connections that ended, by why.
    pub closed: Vec<(CloseKind, u64)>,
    /// Errors of accepting, by the system's name for them, such as `EMFILE`.
    pub accept_errors: Vec<(&'static str, u64)>,
    /// How long the connections lasted that have ended.
    pub connection_time: HistogramSnapshot,
    /// Bytes read from all sockets.
    pub bytes_read: u64,
    /// Bytes written to all sockets.
    pub bytes_written: u64,
    /// Bytes that the connections buffer now.
    pub buffered_bytes: u64,
    /// How many they may buffer together: the [budget](super::Budget).
    pub buffered_limit: u64,
    /// Requests that were refused because the runtime was overloaded.
    pub shed: u64,
    /// What is known of requests, if the server speaks HTTP.
    pub http: Option<HttpMetrics>,
}

/// What a server that speaks HTTP counts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpMetrics {
    /// Requests by the status code of their answer; 0 if no answer began, as the peer was gone or the
    /// service panicked.
    pub requests: Vec<(u16, u64)>,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// From the call of the service to the end of its response.
    pub request_time: HistogramSnapshot,
}

impl HttpMetrics {
    /// Puts together what was counted.
    pub fn new(
        requests: Vec<(u16, u64)>,
        in_flight: u64,
        request_time: HistogramSnapshot,
    ) -> HttpMetrics {
        HttpMetrics { requests, in_flight, request_time }
    }
}

impl Metrics {
    /// How many connections were refused for this reason.
    pub fn refused_for(&self, reason: Refusal) -> u64 {
        self.refused.iter().find(|(refusal, _)| *refusal == reason).map_or(0, |(_, count)| *count)
    }

    /// How many connections ended for this reason.
    pub fn closed_by(&self, reason: CloseKind) -> u64 {
        self.closed.iter().find(|(kind, _)| *kind == reason).map_or(0, |(_, count)| *count)
    }
}
