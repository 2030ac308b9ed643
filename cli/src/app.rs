//! What the routes and the admin listener share: the state of the program, and its metrics.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use heist::Handle;
use heist::Server;
use heist::export::Exporter;
use metrics::{counter, describe_counter};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::ErrorCounter;

use crate::access::{self, Writer};

/// State and metrics of the program.
pub(crate) struct App {
    pub(crate) runtime: Handle,
    /// Set when the program begins to end. Relaxed: it publishes nothing else, and a request that
    /// reads it late gets the answer of a moment before.
    ending: AtomicBool,
    exporter: Exporter,
    recorder: PrometheusHandle,
    dropped_lines: ErrorCounter,
    /// Of the access log, if there is one.
    dropped_requests: OnceLock<ErrorCounter>,
}

impl App {
    pub(crate) fn new(runtime: Handle, dropped_lines: ErrorCounter) -> Arc<App> {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // It fails if there is one already; the page then lacks what that one records.
        let _ = metrics::set_global_recorder(recorder);
        describe_counter!(DROPPED_LINES, "Log lines dropped because they came too fast.");
        access::describe_metrics();
        let exporter = Exporter::new();
        exporter.runtime(RUNTIME, &runtime);
        Arc::new(App {
            runtime,
            ending: AtomicBool::new(false),
            exporter,
            recorder: handle,
            dropped_lines,
            dropped_requests: OnceLock::new(),
        })
    }

    /// Adds the count of lines that the access log dropped.
    pub(crate) fn show_access_log(&self, writer: &Writer) {
        // At most one access log is started.
        let _ = self.dropped_requests.set(writer.dropped_lines());
    }

    /// Adds the metrics of `server`.
    pub(crate) fn show(&self, server: &Arc<Server>) {
        let shown = Arc::clone(server);
        self.exporter.server(RUNTIME, server.shared().name(), move || shown.metrics());
    }

    /// Makes [`is_ready`](App::is_ready) false.
    pub(crate) fn begin_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether load balancers should send new connections.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ending.load(Ordering::Relaxed)
    }

    /// The page for Prometheus: the metrics of runtime and server, and those recorded through
    /// `metrics`.
    pub(crate) fn metrics(&self) -> String {
        counter!(DROPPED_LINES).absolute(self.dropped_lines.dropped_lines() as u64);
        if let Some(dropped) = self.dropped_requests.get() {
            counter!(access::DROPPED).absolute(dropped.dropped_lines() as u64);
        }
        self.exporter.publish();
        let mut page = self.recorder.render();
        page.push_str(&self.exporter.render_unbridged());
        page
    }
}

/// The label of the runtime that serves.
const RUNTIME: &str = "main";

const DROPPED_LINES: &str = "heist_log_lines_dropped_total";
