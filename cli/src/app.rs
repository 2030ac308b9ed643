//! What the routes and the admin listener share: the state of the program, and its figures.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use heist::Handle;
use heist::Server;
use heist::export::Exporter;
use metrics::{counter, describe_counter};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_appender::non_blocking::ErrorCounter;

use crate::access::{self, Writer};

/// The program, as those who ask it see it.
pub(crate) struct App {
    pub(crate) runtime: Handle,
    /// Set when the program is told to end. Relaxed: whoever sees it late answers as a moment ago.
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
        // It fails if there is one: then the page shows what is ours, and not what goes there.
        let _ = metrics::set_global_recorder(recorder);
        describe_counter!(DROPPED_LINES, "Log lines dropped because they came too fast.");
        access::describe_figures();
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

    /// Shows how many lines the access log dropped.
    pub(crate) fn show_access_log(&self, writer: &Writer) {
        // There is one at most.
        let _ = self.dropped_requests.set(writer.dropped_lines());
    }

    /// Shows the figures of `server`, too.
    pub(crate) fn show(&self, server: &Arc<Server>) {
        let shown = Arc::clone(server);
        self.exporter.server(RUNTIME, server.shared().name(), move || shown.metrics());
    }

    /// From now on the program is not ready for new work.
    pub(crate) fn begin_ending(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the program wants new connections.
    pub(crate) fn is_ready(&self) -> bool {
        !self.ending.load(Ordering::Relaxed)
    }

    /// The page for Prometheus: heist's figures, and whatever else was counted through `metrics`.
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
