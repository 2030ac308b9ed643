//! The families of a server.

use super::family::{Family, counter, gauge, histogram};
use crate::server::{HttpMetrics, Metrics, TlsMetrics};

pub(super) const SERVER: &[Family<Metrics>] = &[
    gauge("heist_connections", "Connections now, by whether a request is being served.", |m, s| {
        s.each(&[("state", "active")], m.connections_active);
        s.each(&[("state", "idle")], m.connections_idle);
    }),
    gauge("heist_connections_limit", "Connections at which accepting pauses.", |m, s| {
        s.one(m.connections_limit);
    }),
    counter("heist_connections_accepted_total", "Connections accepted.", |m, s| s.one(m.accepted)),
    counter("heist_connections_refused_total", "Connections not served, by why.", |m, s| {
        for &(refusal, count) in &m.refused {
            s.each(&[("reason", refusal.label())], count);
        }
    }),
    counter("heist_connections_closed_total", "Connections ended, by how.", |m, s| {
        for &(ending, count) in &m.closed {
            s.each(&[("reason", ending.label())], count);
        }
    }),
    histogram("heist_connection_seconds", "How long connections lived.", |m, s| {
        s.one(&m.connection_time);
    }),
    counter("heist_accept_errors_total", "Errors of accept, by the name of the error.", |m, s| {
        for &(error, count) in &m.accept_errors {
            s.each(&[("error", error)], count);
        }
    }),
    counter("heist_bytes_read_total", "Bytes read from sockets.", |m, s| s.one(m.bytes_read)),
    counter("heist_bytes_written_total", "Bytes written to sockets.", |m, s| {
        s.one(m.bytes_written);
    }),
    gauge("heist_buffered_bytes", "Bytes kept for connections.", |m, s| s.one(m.buffered_bytes)),
    gauge("heist_buffered_limit_bytes", "Bytes that may be kept for connections.", |m, s| {
        s.one(m.buffered_limit);
    }),
    counter("heist_shed_total", "Requests refused because of overload, by account.", |m, s| {
        s.each(&[("account", "heavy")], m.shed_heavy);
        s.each(&[("account", "other")], m.shed_other);
    }),
];

/// Of servers that speak HTTP, and only of those.
pub(super) const HTTP: &[Family<HttpMetrics>] = &[
    counter("heist_http_requests_total", "Requests answered, by status code.", |m, s| {
        for &(code, count) in &m.requests {
            match code {
                // No answer: the peer left or the service panicked.
                0 => s.each(&[("code", "none")], count),
                code => s.each(&[("code", &code.to_string())], count),
            }
        }
    }),
    gauge("heist_http_requests_in_flight", "Requests being served.", |m, s| s.one(m.in_flight)),
    counter("heist_http_upgrades_total", "Connections that changed their protocol.", |m, s| {
        s.one(m.upgrades);
    }),
    gauge("heist_http_upgraded_connections", "Connections in another protocol.", |m, s| {
        s.one(m.upgraded_connections);
    }),
    histogram("heist_http_request_seconds", "How long requests took.", |m, s| {
        s.one(&m.request_time);
    }),
    counter("heist_http_versions_total", "Requests that came, by version of HTTP.", |m, s| {
        s.each(&[("version", "1")], m.begun.saturating_sub(m.http2.streams));
        s.each(&[("version", "2")], m.http2.streams);
    }),
    gauge("heist_http2_streams", "Streams of HTTP/2 that are open.", |m, s| {
        s.one(m.http2.open_streams);
    }),
    counter("heist_http2_resets_total", "Streams reset, by which side.", |m, s| {
        s.each(&[("by", "peer")], m.http2.resets_received);
        s.each(&[("by", "server")], m.http2.resets_sent);
    }),
    counter("heist_http2_goaways_total", "GOAWAY frames sent.", |m, s| {
        s.one(m.http2.goaways_sent);
    }),
    counter("heist_http2_violations_total", "Connections cut off, by which bound.", |m, s| {
        for &(kind, count) in &m.http2.violations {
            s.each(&[("kind", kind)], count);
        }
    }),
];

/// Of servers that speak TLS, and only of those.
pub(super) const TLS: &[Family<TlsMetrics>] = &[
    counter("heist_tls_handshakes_total", "TLS handshakes completed.", |m, s| {
        for kind in &m.handshakes {
            let resumed = if kind.resumed { "yes" } else { "no" };
            s.each(&[("version", kind.version), ("resumed", resumed)], kind.count);
        }
    }),
    counter("heist_tls_handshakes_failed_total", "TLS handshakes failed, by why.", |m, s| {
        for &(reason, count) in &m.failed {
            s.each(&[("reason", reason)], count);
        }
    }),
    histogram("heist_tls_handshake_seconds", "How long TLS handshakes took.", |m, s| {
        s.one(&m.handshake_time);
    }),
    counter("heist_tls_reloads_total", "Reloads of the certificates, by outcome.", |m, s| {
        s.each(&[("outcome", "ok")], m.reloads);
        s.each(&[("outcome", "failed")], m.failed_reloads);
    }),
    gauge("heist_tls_certificate_expiry_seconds", "When the first certificate ends.", |m, s| {
        s.some(m.expires);
    }),
];
