//! hyper's part of an HTTP/2 connection.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use heist_scheduler::time::Instant;
use hyper::body::{Body, Incoming};
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::http2;
use hyper::service::HttpService;

use super::clock::ConnectionTimer;
use super::monitor::MAX_FRAME_SIZE;
use super::stream_set::StreamExecutor;
use crate::server::Limits;

/// hyper on one connection, whatever it serves there.
pub(super) trait Served: Future<Output = hyper::Result<()>> + Send {
    /// Has it take no further stream, and end behind those that it has.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, S, B> Served for http2::Connection<I, S, StreamExecutor>
where
    I: Read + Write + Unpin + Send,
    S: HttpService<Incoming, ResBody = B> + Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    StreamExecutor: Http2ServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http2::Connection::graceful_shutdown(self);
    }
}

/// hyper with the limits that it enforces itself.
pub(super) fn builder(
    limits: &Limits,
    now: Instant,
    executor: StreamExecutor,
) -> http2::Builder<StreamExecutor> {
    let http2 = &limits.http2;
    let mut hyper = http2::Builder::new(executor);
    hyper
        .timer(ConnectionTimer::new(now))
        .max_concurrent_streams(http2.streams)
        .initial_stream_window_size(http2.stream_window.min(LARGEST_WINDOW))
        .initial_connection_window_size(http2.connection_window.min(LARGEST_WINDOW))
        .max_frame_size(MAX_FRAME_SIZE)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(http2.send_buffer.min(LARGEST_WINDOW as usize))
        // As many as may be open: each can be reset before its service is called.
        .max_pending_accept_reset_streams(http2.streams as usize)
        // Counted in the long run, too, by the monitor. This one only ever grows.
        .max_local_error_reset_streams(LOCAL_ERRORS)
        .keep_alive_interval(http2.ping_interval.map(|interval| interval.min(LONGEST_WAIT)))
        .keep_alive_timeout(http2.ping_timeout.min(LONGEST_WAIT));
    hyper
}

/// 2³¹ − 1 (RFC 9113, 6.9.1).
const LARGEST_WINDOW: u32 = u32::MAX >> 1;

/// hyper adds waits to times of the system's clock, which panics beyond the range of that.
const LONGEST_WAIT: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Stream errors of one connection in all its time.
const LOCAL_ERRORS: usize = 100_000;
