//! What requests have in common: with all others, and with those of the same connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use heist::Handle;
use tracing_appender::non_blocking::ErrorCounter;

use super::connections::Connections;
use super::metrics::Exporter;
use super::options::Options;
use super::tally::Tally;

/// What all requests share.
pub(crate) struct App {
    pub(crate) connections: Arc<Connections>,
    pub(crate) responses: Tally,
    pub(crate) exporter: Exporter,
    pub(crate) runtime: Handle,
    pub(crate) max_body: u64,
    pub(crate) descriptor_limit: usize,
    pub(crate) dropped_lines: ErrorCounter,
}

impl App {
    pub(crate) fn new(
        options: &Options,
        runtime: Handle,
        descriptor_limit: usize,
        dropped_lines: ErrorCounter,
    ) -> Arc<App> {
        Arc::new(App {
            connections: Connections::new(MOST_CONNECTIONS.min(descriptor_limit / 2).max(1)),
            responses: Tally::default(),
            exporter: Exporter::install(),
            runtime,
            max_body: options.max_body,
            descriptor_limit,
            dropped_lines,
        })
    }
}

/// What the requests of one connection share. Each request holds a reference to it, not to the
/// [`App`], whose count every core would write to.
pub(crate) struct Conversation {
    pub(crate) app: Arc<App>,
    /// A request body was given up before its end. Relaxed: written and read by the connection's
    /// own task.
    left_unread: AtomicBool,
}

impl Conversation {
    pub(crate) fn new(app: Arc<App>) -> Arc<Conversation> {
        Arc::new(Conversation { app, left_unread: AtomicBool::new(false) })
    }

    /// What was left of the request before is no longer there, or hyper would not have read on.
    pub(crate) fn begin_request(&self) {
        self.left_unread.store(false, Ordering::Relaxed);
    }

    /// A request body was given up, and the peer may still be sending it.
    pub(crate) fn leave_unread(&self) {
        self.left_unread.store(true, Ordering::Relaxed);
    }

    pub(crate) fn left_unread(&self) -> bool {
        self.left_unread.load(Ordering::Relaxed)
    }
}

/// Also bounded by half the descriptors: the other half is for whatever serving a request needs.
const MOST_CONNECTIONS: usize = 10_000;
