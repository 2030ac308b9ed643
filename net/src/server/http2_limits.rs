//! The bounds of HTTP/2 connections.

use std::time::Duration;

/// The bounds of an HTTP/2 connection, beside those of [`Limits`](super::Limits), which hold for its
/// requests as for all others.
///
/// A peer that passes an [`Allowance`] gets a GOAWAY with `ENHANCE_YOUR_CALM`, and the connection is
/// closed. The defaults leave room for what browsers, gRPC and load generators do, by a factor of ten and
/// more.
///
/// ```
/// use heist::server::{Http2Limits, Limits};
///
/// let http2 = Http2Limits { streams: 32, ..Http2Limits::default() };
/// let limits = Limits { http2, ..Limits::default() };
/// assert_eq!(limits.http2.stream_window, 256 * 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http2Limits {
    /// Streams that a peer may have open at once; one more is refused. By default 128.
    pub streams: u32,
    /// Bytes of one request's body that a peer may send before the service reads them; at most
    /// 2³¹ − 1. By default 256 KiB.
    pub stream_window: u32,
    /// The same for all streams of a connection together: what it makes the server hold of bodies. By
    /// default 1 MiB.
    pub connection_window: u32,
    /// Bytes of one answer that wait for the peer before the service's body is asked for more. A body
    /// that is given in larger pieces has one of them waiting. By default 64 KiB.
    pub send_buffer: usize,
    /// How long nothing may come before the peer is asked by a PING whether it is there; `None` to ask
    /// never. By default 60 s.
    pub ping_interval: Option<Duration>,
    /// How long its answer may take; [`Duration::MAX`] as long as it wants. By default 20 s.
    pub ping_timeout: Duration,
    /// RST_STREAM frames. Each answer that is sent to its end allows for one more. By default 200, and
    /// 20 a second.
    pub resets: Allowance,
    /// Streams beyond [`streams`](Http2Limits::streams), which are refused. By default 200, and 10 a
    /// second.
    pub refused_streams: Allowance,
    /// Stream errors of the peer, to which the server answers with a RST_STREAM. 64 frames of a stream that
    /// the server has reset of its own accord do not count: they were under way. By default 100, and 1 a
    /// second.
    pub stream_errors: Allowance,
    /// SETTINGS frames; each ten settings in one count as a frame. By default 32, and 1 a second.
    pub settings: Allowance,
    /// PING frames. Each frame of an answer allows for one more. By default 100, and 10 a second.
    pub pings: Allowance,
    /// PRIORITY and PRIORITY_UPDATE frames. Each new stream allows for 4 more. By default 200, and 10 a
    /// second.
    pub priorities: Allowance,
    /// WINDOW_UPDATE frames. Each DATA frame that was sent, and each new stream, allows for 4 more. By
    /// default 1,000, and 100 a second.
    pub window_updates: Allowance,
    /// WINDOW_UPDATE frames of less than 128 bytes, which make the server send tiny frames. Each piece of
    /// an answer's body, as the service gives it, allows for 2 more. By default 1,000, and 100 a second.
    pub small_window_updates: Allowance,
    /// DATA, HEADERS and CONTINUATION frames that carry nothing and end nothing. By default 100, and 10
    /// a second.
    pub empty_frames: Allowance,
    /// Frames of a type that HTTP/2 does not define, and GOAWAY frames. Each new stream allows for 2 more.
    /// By default 100, and 10 a second.
    pub unknown_frames: Allowance,
}

/// How many of something a peer may send: `burst` at once, and `per_second` more in each second after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// How many at once.
    pub burst: u32,
    /// How many a second in the long run.
    pub per_second: u32,
}

impl Allowance {
    /// `burst` at once, and `per_second` a second in the long run.
    pub const fn new(burst: u32, per_second: u32) -> Allowance {
        Allowance { burst, per_second }
    }
}

impl Default for Http2Limits {
    fn default() -> Http2Limits {
        Http2Limits {
            streams: 128,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
            send_buffer: 64 * 1024,
            ping_interval: Some(Duration::from_secs(60)),
            ping_timeout: Duration::from_secs(20),
            resets: Allowance::new(200, 20),
            refused_streams: Allowance::new(200, 10),
            stream_errors: Allowance::new(100, 1),
            settings: Allowance::new(32, 1),
            pings: Allowance::new(100, 10),
            priorities: Allowance::new(200, 10),
            window_updates: Allowance::new(1000, 100),
            small_window_updates: Allowance::new(1000, 100),
            empty_frames: Allowance::new(100, 10),
            unknown_frames: Allowance::new(100, 10),
        }
    }
}
