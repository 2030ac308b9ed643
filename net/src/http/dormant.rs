//! What is left of a connection between two requests without hyper: its transport and its service. hyper keeps
//! its buffers for as long as it exists. So it is given up where a connection idles, and made anew by the next
//! event; and it is made anew with a larger buffer where a large body comes.

use std::error::Error;
use std::task::Context;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;

use super::hyper_builder::{BUFFER_BYTES, BULK_BUFFER_BYTES, bounded};
use super::hyper_io::HyperIo;
use super::state::HttpState;
use crate::Transport;

/// hyper's part of a connection.
pub(super) type Served<S, T> = http1::UpgradeableConnection<HyperIo<T>, S>;

/// A connection between two requests, without hyper.
pub(super) struct Dormant<S, T: Transport> {
    io: HyperIo<T>,
    service: S,
}

impl<S, B, T> Dormant<S, T>
where
    T: Transport,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// Gives hyper's part up. It waits for a request, and nothing of the last one is under way.
    ///
    /// `None` if the connection is another protocol's.
    pub(super) fn of(served: Served<S, T>, cx: &mut Context<'_>) -> Option<Dormant<S, T>> {
        let http1::Parts { mut io, read_buf, service, .. } = served.into_parts()?;
        if !read_buf.is_empty() {
            // No event tells of it: it has left the transport.
            io.apply(cx, |io| io.put_back(&read_buf));
            cx.waker().wake_by_ref();
        }
        Some(Dormant { io, service })
    }

    /// Makes hyper's part anew.
    pub(super) fn serve(self, state: &HttpState) -> Served<S, T> {
        let Dormant { io, service } = self;
        let buffer_bytes = if state.is_bulk() { BULK_BUFFER_BYTES } else { BUFFER_BYTES };
        let hyper = bounded(state.limits(), buffer_bytes);
        hyper.serve_connection(io, service).with_upgrades()
    }
}
